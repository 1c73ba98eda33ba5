import Testing

/// `cistern-bench ticks` with small batches: rows and page as they must be, counts within their targets.
@Suite(.enabled(if: Sanitizer.isAbsent, "cistern-bench runs without sanitizers"))
struct TickBenchTests {
    private static let expected: [(String, Double?)] = [
        ("seal.idle.retained1e6", 150), ("seal.idle.live1e7", 150), ("seal.idle.touched", 0), ("stage", 40), ("classify", 40),
        ("free.inOrder", 40), ("step4096.max", 1.5), ("held.stuckAndFast", .nan), ("tombstone.bytes", 40), ("acknowledge", 25),
        ("min.cursors1e4", .nan), ("min.cursors10", nil), ("slope.bytesPerCycle", 0), ("held.stuckAndFast.horizon", nil),
        ("free.scattered", 200), ("drop.pins64", 0.1), ("seal.removals1000.perRemoval", 30), ("seal.removals1000.p99", 0.04),
        ("reader.bytes", 128), ("tombstone.bytesWithTables", nil), ("dictionary.scan", nil), ("dictionary.remove", nil),
        ("dictionary.removeByName", nil),
    ]

    @Test func everyRowIsThere() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let outcome = try program.bench([
            "ticks", "--repeat", "2", "--operations", "10000", "--json", "\(program.directory)/out.json", "--html",
            "\(program.directory)/out.html",
        ])
        #expect(outcome.exitCode == 0, "\(outcome)")
        let rows = TargetRows(page: try program.read("out.json"))
        let findings = rows.allFindings(expected: Self.expected)
        #expect(findings.isEmpty, "\(findings)")
        #expect(rows.rows.count == Self.expected.count, "\(Set(rows.rows.map(\.name)).symmetricDifference(Self.expected.map(\.0)))")
        // Counts are exact, and the same everywhere.
        #expect(rows["seal.idle.touched"]?.value == 0 && rows["slope.bytesPerCycle"]?.value == 0)
        #expect(rows["tombstone.bytes"]?.value == 40)
        // 100 regions live at both readers' ticks; the other mode keeps every removal that some tick has seen alive.
        let held = try #require(rows["held.stuckAndFast"])
        #expect(held.target == 200 && held.value > 0 && held.value <= 200, "\(held)")
        #expect(try #require(rows["held.stuckAndFast.horizon"]).value > 5000)
        // The bound is on the clock, and on the other row's.
        let (few, many) = (try #require(rows["min.cursors10"]), try #require(rows["min.cursors1e4"]))
        #expect(abs(try #require(many.target) - 1.5 * few.value) < 0.01, "\(many)")
        for row in rows.rows { #expect(outcome.output.contains("\(row.name): "), "\(row.name)") }
        let page = try program.read("out.html")
        try BenchProgram.checkPage(page, rows)
        for text in [
            "<polyline class=\"horizon\" points=\"", "<polyline class=\"interval\" points=\"", "below its bound of 200.", ">bound: 200<",
        ] {
            #expect(page.contains(text), "\(text)")
        }
    }
}
