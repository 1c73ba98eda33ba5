import Testing

@Suite(.enabled(if: Sanitizer.isAbsent, "children of cistern-bench run without sanitizers"))
struct ReplayTests {
    @Test(arguments: ["", "ulimit -v 400000;"])
    func aRealTraceRunsInThePromisedAddressSpace(_ limit: String) throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let run = ["run", "--trace", "python-json", "--allocator", "cistern", "--address-space"]
        let enough = try program.bench(run + ["60M"], shell: limit)
        #expect(enough.exitCode == 0 && enough.output.contains("\"completed\":true"), "\(enough)")
        let tooLittle = try program.bench(run + ["24M"], shell: limit)
        #expect(tooLittle.exitCode == 3 && tooLittle.signal == 0 && tooLittle.errorLineCount == 1, "\(tooLittle)")
        #expect(tooLittle.output.isEmpty)
    }

    @Test func mallocRunsOutOfMemoryInTheSameWay() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let outcome = try program.bench(["run", "--trace", "git-log", "--allocator", "glibc", "--address-space", "24M"])
        #expect(outcome.exitCode == 3 && outcome.signal == 0 && outcome.errorLineCount == 1, "\(outcome)")
    }

    @Test(arguments: ["glibc", "cistern", "cistern-single-thread", "cistern-unsized-free", "cistern-aligned-16"])
    func contentsSurvive(_ allocator: String) throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let seed = UInt64.random(in: 1...1_000_000)
        print("seed \(seed) for \(allocator): replay with --seed \(seed)")
        let path = try program.gzip("mixed.trace.gz", SyntheticTrace.mixed(eventCount: 20_000).bytes())
        for trace in [[path], ["perl-text", "--events", "100000"]] {
            let run = ["run", "--check", "--allocator", allocator, "--seed", "\(seed)", "--trace"] + trace
            let outcome = try program.bench(run)
            #expect(outcome.exitCode == 0 && outcome.output.contains("\"contentsChecked\":true"), "seed \(seed): \(outcome)")
        }
    }

    /// An allocator that hands out overlapping blocks must be found out.
    @Test func theCheckCanFail() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let outcome = try program.bench(["run", "--check", "--allocator", "broken", "--trace", "perl-text", "--events", "20000"])
        #expect(outcome.exitCode == 1 && outcome.errors.contains("wrong contents"), "\(outcome)")
        let unchecked = try program.bench(["run", "--allocator", "broken", "--trace", "perl-text", "--events", "20000"])
        #expect(unchecked.exitCode == 0, "\(unchecked)")
    }

    @Test func theSuiteWritesOneRowPerTraceAndAllocator() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let files = ["--json", "\(program.directory)/out.json", "--html", "\(program.directory)/out.html"]
        let outcome = try program.bench(
            ["--quick", "--check", "--events", "30000", "--trace", "perl-text", "--trace", "sqlite-mixed", "--allocator", "cistern"]
                + ["--allocator", "glibc"] + files)
        #expect(outcome.exitCode == 0, "\(outcome)")
        let lines = try program.read("out.json").split(separator: "\n")
        for trace in ["perl-text", "sqlite-mixed"] {
            for allocator in ["cistern", "glibc"] {
                let rows = lines.filter { $0.contains("{\"trace\":\"\(trace)\",\"allocator\":\"\(allocator)\"") }
                #expect(rows.count == 1)
                for key in [
                    "completed\":true", "coldNanosecondsPerOperation\":", "warmNanosecondsPerOperation\":",
                    "overheadNanosecondsPerOperation\":", "peakLiveBytes\":", "peakResidentBytes\":", "smallestAddressSpaceBytes\":",
                    "addressSpaceLessLoadBytes\":", "contentsChecked\":true", "workHash\":",
                ] {
                    #expect(rows.allSatisfy { $0.contains("\"\(key)") }, "\(key) is missing in \(rows)")
                }
                #expect(rows.allSatisfy { !$0.contains("Bytes\":null") }, "\(rows)")
            }
        }
        #expect(lines.contains { $0.contains("\"machine\"") } && lines.contains { $0.contains("\"geometricMeans\"") })
        #expect(try program.read("out.html").hasPrefix("<!DOCTYPE html>"))
        #expect(outcome.output.contains("Geometric means"))
    }

    @Test func threadedWorkloadsFinish() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let trace = ["threads", "--repeat", "1", "--operations", "20000", "--allocator", "cistern", "--allocator", "glibc"]
        let outcome = try program.bench(trace + ["--events", "50000"])
        #expect(outcome.exitCode == 0, "\(outcome)")
        for workload in ["server", "server-8", "server-large", "exchange", "redis-io"] {
            let rows = outcome.output.split(separator: "\n").filter { $0.hasPrefix("| \(workload) ") }
            #expect(rows.count == 3, "cistern, glibc and the loop alone: \(outcome)")
        }
    }

    @Test func theCommandLineIsChecked() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let refused = [
            ["--nonsense"], ["run", "--trace"], ["run", "--trace", "no-such-trace"], ["run", "--allocator", "no-such-allocator"],
            ["run", "--allocator", "x=/nowhere/libx.so"], ["run", "--address-space", "12Q"], ["run", "--address-space", "0"],
            ["run", "--allocator", "glibc", "--allocator", "glibc"], ["run", "--trace", "git-log", "--trace", "git-log"],
            ["run", "--address-space", "99999999999G"], ["--repeat", "0"], ["--repeat", "-1"],
        ]
        for arguments in refused {
            let outcome = try program.bench(arguments)
            #expect(outcome.exitCode == 2 && outcome.errorLineCount == 1, "\(arguments): \(outcome)")
        }
        let help = try program.bench(["--help"])
        #expect(help.exitCode == 0 && help.output.contains("--address-space") && help.errors.isEmpty)
        let list = try program.bench(["--list"])
        #expect(list.exitCode == 0 && list.output.contains("python-json") && list.output.contains("glibc 2"))
    }
}
