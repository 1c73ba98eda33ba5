import Testing

@Suite(.enabled(if: Sanitizer.isAbsent, "children of cistern-bench run without sanitizers"))
struct TraceFileTests {
    /// Each case: a file that is not a whole trace, and what the one line says about it.
    @Test func filesThatAreNoTraceEndWithOneLineAndExitCode2() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let good = SyntheticTrace.mixed(eventCount: 2000)
        var unknownObject = good
        unknownObject.appendRaw(operation: 1, value: 1_000_000)
        var freedTwice = good
        let object = freedTwice.allocate(10)
        freedTwice.free(object)
        freedTwice.appendRaw(operation: 1, value: freedTwice.objectCount - object)
        var unknownOperation = good
        unknownOperation.appendRaw(operation: 7, value: 1)
        var unknownThread = good
        unknownThread.switchThread(3)
        unknownThread.threadCount = 2
        let packed = try program.gzip("good.trace.gz", good.bytes())
        let bytes = try program.readBytes("good.trace.gz")
        try program.write("cut.trace.gz", Array(bytes.prefix(bytes.count / 2)))
        try program.write("cut-head.trace.gz", Array(bytes.prefix(30)))
        try program.write("bare.trace.gz", good.bytes())
        try program.write("empty.trace.gz", [])
        var flipped = bytes
        flipped[bytes.count - 6] ^= 0x40  // in the checksum at the end
        try program.write("flipped.trace.gz", flipped)
        let cases: [(String, String)] = [
            ("\(program.directory)/nothing-here.trace.gz", "no such trace file"),
            ("\(program.directory)/bare.trace.gz", "not a gzip file"),
            ("\(program.directory)/empty.trace.gz", "trace"),
            ("\(program.directory)/cut.trace.gz", "cut off"),
            ("\(program.directory)/cut-head.trace.gz", "cut off"),
            ("\(program.directory)/flipped.trace.gz", "damaged"),
            (try program.gzip("foreign.trace.gz", Array("SKTRACE1 and something else".utf8)), "not an allocation trace"),
            (try program.gzip("short.trace.gz", Array("ALLOCTR1".utf8)), "not an allocation trace"),
            (try program.gzip("less.trace.gz", good.bytes(streamLengthError: 1)), "cut off"),
            (try program.gzip("more.trace.gz", good.bytes() + [0]), "damaged"),
            (try program.gzip("count.trace.gz", good.bytes(eventCountError: 1)), "damaged"),
            (try program.gzip("unknown.trace.gz", unknownObject.bytes()), "damaged"),
            (try program.gzip("twice.trace.gz", freedTwice.bytes()), "damaged"),
            (try program.gzip("operation.trace.gz", unknownOperation.bytes()), "damaged"),
            (try program.gzip("thread.trace.gz", unknownThread.bytes()), "damaged"),
        ]
        for (path, expected) in cases {
            let outcome = try program.bench(["run", "--allocator", "glibc", "--trace", path])
            #expect(outcome.exitCode == 2, "\(path): \(outcome)")
            #expect(outcome.errorLineCount == 1, "\(path): \(outcome)")
            #expect(outcome.errors.contains(expected), "\(path): \(outcome)")
            #expect(outcome.output.isEmpty)
        }
        // The canary: the file that all of them were made from is accepted.
        #expect(try program.bench(["run", "--allocator", "glibc", "--trace", packed]).exitCode == 0)
    }

    @Test func aRowTellsWhatTheTraceHolds() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let trace = SyntheticTrace.mixed(eventCount: 5000)
        let path = try program.gzip("mixed.trace.gz", trace.bytes())
        var hashes: Set<Substring> = []
        for allocator in ["glibc", "cistern"] {
            let outcome = try program.bench(["run", "--trace", path, "--allocator", allocator])
            #expect(outcome.exitCode == 0, "\(outcome)")
            for expected in [
                "\"trace\":\"mixed\"", "\"allocator\":\"\(allocator)\"", "\"completed\":true", "\"events\":\(trace.eventCount),",
                "\"objects\":\(trace.objectCount),", "\"peakLiveBytes\":\(trace.peakLiveBytes),",
                "\"peakLiveObjects\":\(trace.peakLiveObjects),",
            ] {
                #expect(outcome.output.contains(expected), "\(expected) is not in \(outcome)")
            }
            hashes.insert(outcome.output.split(separator: "\"workHash\":").last ?? "")
        }
        #expect(hashes.count == 1, "the allocators did not do the same work: \(hashes)")
    }

    @Test func aChangedTraceOrADamagedCacheIsUnpackedAgain() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        var trace = SyntheticTrace.mixed(eventCount: 1000)
        let path = try program.gzip("changing.trace.gz", trace.bytes())
        let run = ["run", "--allocator", "glibc", "--trace", path]
        #expect(try program.bench(run).output.contains("\"events\":\(trace.eventCount),"))
        trace.allocate(77)
        _ = try program.gzip("changing.trace.gz", trace.bytes())
        #expect(try program.bench(run).output.contains("\"events\":\(trace.eventCount),"))
        let cut = try program.run("for f in \"$1\"/cache/*.flat; do truncate -s 500 \"$f\"; done", [program.directory])
        #expect(cut.exitCode == 0)
        let again = try program.bench(run)
        #expect(again.exitCode == 0 && again.output.contains("\"events\":\(trace.eventCount),"), "\(again)")
    }
}
