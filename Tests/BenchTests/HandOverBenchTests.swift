import Testing

@Suite(.enabled(if: Sanitizer.isAbsent, "children of cistern-bench run without sanitizers"))
struct HandOverBenchTests {
    /// A row's number.
    private func value(_ name: String, in page: String) throws -> Double {
        let line = try #require(page.split(separator: "\n").first { $0.contains("\"name\":\"\(name)\"") }, "no row \(name)")
        let rest = try #require(line.split(separator: "\"value\":").dropFirst().first)
        return try #require(Double(rest.prefix { $0.isNumber || $0 == "." }))
    }

    /// With a control group where one can be made, and by samples alone.
    @Test(arguments: [[], ["--sampled"]]) func aDeadHeapDoesNotCountTwice(_ more: [String]) throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let outcome = try program.bench(["handover", "--quick", "--json", "\(program.directory)/out.json"] + more)
        #expect(outcome.exitCode == 0 && outcome.errors.isEmpty, "\(outcome)")
        let page = try program.read("out.json")
        for name in ["handover.release.ratio", "handover.exec.ratio"] {
            let line = try #require(page.split(separator: "\n").first { $0.contains("\"name\":\"\(name)\"") })
            #expect(line.contains("\"unit\":\"ratio\",\"target\":1.05,\"met\":true"), "\(line)")
            #expect(line.contains("cgroup") || line.contains("sum of PSS sampled every 10 ms"), "\(line)")
            if !more.isEmpty { #expect(!line.contains("cgroup"), "\(line)") }
            #expect(try value(name, in: page) <= 1.05)
        }
        // The measurement can tell: without a hand-over the two do add up.
        let plain = try value("handover.plain.ratio", in: page)
        #expect(plain > 1.2 && plain < 1.35, "\(plain)")
        let parent = try value("handover.parent.peak", in: page)
        let child = try value("handover.child.peak", in: page)
        #expect(parent >= 419 && parent < 480 && child >= 104 && child < 140, "\(parent) \(child)")
        #expect(page.contains("\"machine\": {\"cpu\""))
    }
}
