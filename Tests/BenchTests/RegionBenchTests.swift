import Testing

/// `cistern-bench regions` with small traces and few rounds: rows and pages as they must be, counts within their targets.
@Suite(.enabled(if: Sanitizer.isAbsent, "children of cistern-bench run without sanitizers"))
struct RegionBenchTests {
    /// The fixed rows, with their targets.
    private static func expected(hasInstructions: Bool) -> [(String, Double?)] {
        var rows: [(String, Double?)] = []
        for name in ["small", "service", "parser", "constants"] {
            rows.append(("skfmt.\(name).timeRatio", name == "service" ? 0.7 : nil))
            rows.append(("skfmt.\(name).spaceRatio", name == "small" ? 1.3 : nil))
            rows.append(("skfmt.\(name).peakLive", nil))
            for engine in ["cistern", "pages", "obstack", "malloc", "loop"] {
                rows.append(("skfmt.\(name).time.\(engine)", nil))
                if !["cistern", "loop"].contains(engine) { rows.append(("skfmt.\(name).spaceRatio.\(engine)", nil)) }
            }
        }
        for engine in ["cistern", "bump", "obstack", "malloc"] { rows.append(("nested4x500.\(engine)", nil)) }
        guard hasInstructions else { return rows }
        rows += [("region.small.instructionsRatio", 1.1), ("region.empty.instructions", 40)]
        for name in [
            "region.small.instructions.net", "region.small.fromC.instructions.net", "bump.small.instructions.net",
            "obstack.small.instructions.net", "malloc.pair.instructions.net", "region.empty.fromC.instructions",
            "region.emptyAlone.instructions", "obstack.empty.instructions",
        ] { rows.append((name, nil)) }
        return rows
    }

    @Test func everyRowIsThere() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        for name in ["service", "parser", "constants"] { _ = try program.gzip("skfmt-\(name).trace.gz", SyntheticRegionTrace().bytes) }
        // One real trace: its space is a count that is the same everywhere.
        let real = try program.run("cp \"$1\"/skfmt-small.trace.gz \"$2\"", [BenchProgram.traceDirectory, program.directory])
        try #require(real.exitCode == 0, "\(real)")
        let outcome = try program.bench(
            [
                "regions", "--repeat", "1", "--operations", "1000", "--json", "\(program.directory)/out.json", "--html",
                "\(program.directory)/out.html",
            ], traceDirectory: program.directory)
        let rows = TargetRows(page: try program.read("out.json"))
        let hasInstructions = try program.run("command -v valgrind && command -v strip").exitCode == 0
        // What is not optimised, or built for testing, takes more instructions, and the command says so; those of the release build are
        // judged by `.ci/run regions`.
        let unjudged: Set<String> = ["region.small.instructionsRatio", "region.empty.instructions"]
        let expected = Self.expected(hasInstructions: hasInstructions)
        let findings = rows.allFindings(expected: expected, unjudged: unjudged)
        #expect(findings.isEmpty, "\(findings)")
        #expect(rows.rows.count == expected.count, "\(Set(rows.rows.map(\.name)).symmetricDifference(expected.map(\.0)))")
        let isBroken = rows.rows.contains { !$0.isTime && $0.isMet == false }
        #expect(outcome.exitCode == (isBroken ? 1 : 0), "\(outcome)")
        #expect(outcome.errors.contains("NOT MET") == isBroken, "\(outcome)")
        for row in rows.rows { #expect(outcome.output.contains("\(row.name): "), "\(row.name)") }
        #expect(rows["skfmt.service.peakLive"]?.value == Double(SyntheticRegionTrace.peakLiveBytes))
        try BenchProgram.checkPage(try program.read("out.html"), rows)
    }
}

/// A small trace of regions, in the format of Benchmarks/Traces/README-skip.md.
struct SyntheticRegionTrace {
    private(set) var bytes = Array("SKTRACE1".utf8)

    private static let regionCount: UInt32 = 40
    private static let objectCount = 2000
    private static let objectBytes: UInt32 = 1000
    private static let blockBytes: UInt32 = 300
    private static let survivorBytes: UInt32 = 5000

    /// The base region has the survivors of all regions before the last, when that one is full and its survivor copied.
    static let peakLiveBytes = Int(regionCount * survivorBytes) + objectCount * Int(objectBytes) + Int(blockBytes) * 3 + 64

    /// Regions one after the other, all objects alike; each leaves one value in the base region.
    init() {
        append(9, 64, 1)
        for region in 1...Self.regionCount {
            append(6, 0, region)
            for number in 0..<Self.objectCount { append(number % 3 == 0 ? 4 : number % 3 == 1 ? 3 : 5, Self.objectBytes, 0) }
            append(1, Self.blockBytes, region + 1)
            append(8, 0, region)
            append(3, Self.survivorBytes, 0)
            append(11, 0, region)
            if region > 2 { append(2, Self.blockBytes, region - 1) }
        }
        append(10, 64, 1)
    }

    private mutating func append(_ operation: UInt8, _ byteCount: UInt32, _ id: UInt32) {
        bytes.append(operation)
        for word in [byteCount, id] {
            for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * byte))) }
        }
    }
}
