@testable import Envelope
import Glibc
import Limits
import Testing

@Suite struct JobCountTests {
    @Test(
        arguments: [
            (2, 16, 2, 2), (2, 4, 8, 1), (2, 8, 8, 3), (1, 16, 64, 15), (16, 16, 4, 1), (100, 16, 4, 1), (1, 1, 1, 1),
        ] as [(UInt64, UInt64, UInt64, UInt64)])
    func table(eachGib: UInt64, limitGib: UInt64, processors: UInt64, jobs: UInt64) {
        let limit = MemoryLimit(kind: .groupV2Max, valueBytes: limitGib << 30)
        #expect(JobCount.of(eachBytes: eachGib << 30, processorCount: processors, tightest: limit).count == jobs)
    }

    /// Against the formula with products twice as wide.
    @Test func theFormula() {
        var (random, seed) = Random.printed("JobCountTests.theFormula")
        for _ in 0..<20_000 {
            let shift = UInt64.random(in: 0...63, using: &random)
            let limitBytes = random.next() >> shift
            let each = max(1, random.next() >> UInt64.random(in: 0...63, using: &random))
            let processors = UInt64.random(in: 1...256, using: &random)
            let jobs = JobCount.of(eachBytes: each, processorCount: processors, tightest: MemoryLimit(kind: .data, valueBytes: limitBytes))
            // jobs * each <= 0.95 * limit, the limit's rest of at most 19 bytes aside, and one more would not be.
            let budget = limitBytes - limitBytes / 20
            let isWithin = jobs.count == 1 || !jobs.count.multipliedReportingOverflow(by: each).overflow && jobs.count * each <= budget
            let (next, tooLarge) = (jobs.count + 1).multipliedReportingOverflow(by: each)
            #expect(jobs.count >= 1 && jobs.count <= processors && isWithin, "seed \(seed)")
            #expect(jobs.count == processors || tooLarge || next > budget, "seed \(seed)")
        }
    }

    @Test func whatDecides() {
        let limit = MemoryLimit(kind: .physicalMemory, valueBytes: 3_984_588 << 10, availableBytes: 4 << 30)
        #expect(JobCount.of(eachBytes: 1 << 30, processorCount: 8, tightest: limit) == JobCount(count: 3, reason: .limit(limit)))
        #expect(JobCount.of(eachBytes: 1 << 30, processorCount: 2, tightest: limit) == JobCount(count: 2, reason: .processors))
        #expect(JobCount.of(eachBytes: 4 << 30, processorCount: 2, tightest: limit) == JobCount(count: 1, reason: .tooLarge(limit)))
        #expect(JobCount.of(eachBytes: 1, processorCount: 0, tightest: nil) == JobCount(count: 1, reason: .processors))
        let rest = MemoryLimit(kind: .addressSpace, valueBytes: 8 << 30, availableBytes: 2 << 30)
        #expect(JobCount.of(eachBytes: 1 << 30, processorCount: 8, tightest: rest).count == 1)
        #expect(JobCount.of(eachBytes: 0, processorCount: 3, tightest: rest).count == 3)
    }
}

@Suite struct ContainerArgumentsTests {
    @Test func setAndNotSet() throws {
        #expect(try ContainerArguments.words(nil, for: .docker).isEmpty)
        #expect(try ContainerArguments.words("", for: .bake).isEmpty)
        #expect(try ContainerArguments.words("3G", for: .docker) == ["--build-arg", "SKIP_CAPACITY=3G"])
        #expect(try ContainerArguments.words("3G", for: .bake) == ["--set", "*.args.SKIP_CAPACITY=3G"])
    }

    @Test(arguments: ["3GB", " ", "1 --privileged", "$(id)", "0", "-1"])
    func malformed(_ value: String) {
        #expect(throws: CapacityError.self) { try ContainerArguments.words(value, for: .docker) }
    }
}

@Suite struct VerdictTests {
    private func counter(_ before: UInt64?, _ after: UInt64?, alone: Bool) -> KillCounter {
        var counter = KillCounter(source: "/g/memory.events", isOfCommandAlone: alone)
        counter.before = before
        counter.after = after
        return counter
    }

    private func evidence(_ counters: [KillCounter], record: String? = nil, problem: String? = nil) -> KillEvidence {
        var evidence = KillEvidence()
        evidence.counters = counters
        evidence.logRecord = record
        evidence.logProblem = problem
        evidence.hasReadLog = true
        return evidence
    }

    @Test func aKillIsForMemoryOnlyWithAProof() {
        let killed = CommandEnd.signalled(SIGKILL)
        let proven = evidence([counter(0, 1, alone: true)])
        #expect(Verdict.of(killed, proven) == .killedForMemory("oom_kill of /g/memory.events rose from 0 to 1"))
        #expect(Verdict.of(killed, evidence([], record: "Out of memory: Killed process 7 (x)")).word == "killed for memory")
        for nothing in [
            evidence([]), evidence([counter(0, 0, alone: true)]), evidence([counter(nil, 5, alone: true)]),
            evidence([counter(5, nil, alone: true)]), evidence([counter(0, 3, alone: false)]), evidence([counter(5, 2, alone: true)]),
            evidence([], problem: "Permission denied"),
        ] {
            #expect(Verdict.of(killed, nothing) == .killedCauseUnknown)
            #expect(Verdict.of(.exited(137), nothing) == .killedCauseUnknown)
            let sentence = Verdict.killedCauseUnknown.sentence(killed, nothing)
            #expect(sentence?.hasPrefix("killed, cause unknown (") == true && sentence?.contains("()") == false, "\(sentence ?? "")")
        }
    }

    @Test func anExitCodeDoesNotHideAKill() {
        let proven = evidence([counter(1, 3, alone: true)])
        for end in [CommandEnd.exited(0), .exited(2), .exited(24), .exited(137), .signalled(SIGTERM)] {
            let verdict = Verdict.of(end, proven)
            #expect(verdict == .partKilledForMemory(2, "oom_kill of /g/memory.events rose from 1 to 3"))
            #expect(verdict.sentence(end, proven)?.hasPrefix("2 processes of the run were killed for memory (") == true)
        }
        #expect(proven.killsOfCommand == 2)
    }

    @Test func otherEnds() {
        let nothing = evidence([counter(0, 0, alone: false)])
        #expect(Verdict.of(.exited(0), nothing) == .ended && Verdict.ended.sentence(.exited(0), nothing) == nil)
        #expect(Verdict.of(.exited(24), nothing) == .exit24)
        #expect(
            Verdict.exit24.sentence(.exited(24), nothing) == "exit code 24: out of memory, if the program is a Skip runtime")
        #expect(Verdict.of(.signalled(SIGSEGV), nothing).sentence(.signalled(SIGSEGV), nothing) == "ended by signal 11 (SIGSEGV)")
        #expect(SignalName.text(64) == "signal 64" && SignalName.text(0) == "signal 0" && SignalName.text(31) == "signal 31 (SIGSYS)")
        #expect(CommandEnd.signalled(15).status == 143 && CommandEnd.exited(7).status == 7)
    }

    @Test func aSharedGroupProvesNothing() {
        let shared = evidence([counter(0, 1, alone: false)])
        #expect(shared.proof == nil && shared.killsOfCommand == 0)
        #expect(shared.remarks.contains("the kernel killed 1 in the shared group of /g/memory.events, not known which"))
    }

    @Test(
        arguments: [
            ("4,2154,798,-;Memory cgroup out of memory: Killed process 7240 (python3) total-vm:221356kB, anon-rss:6kB", 7240, "python3"),
            ("3,1,2,-;Out of memory: Killed process 12 (a b) total-vm:1kB", 12, "a b"),
            ("3,1,2,-;Out of memory: Kill process 12 (old) score 900 or sacrifice child", 12, "old"),
            ("3,1,2,-;Out of memory: Killed process 123 (x)", 12, nil), ("3,1,2,-;Out of memory: Killed process 12", 12, ""),
            ("3,1,2,-;Killed process 12 (x)", 12, nil), ("6,1,2,-;x\n SUBSYSTEM=Out of memory: Killed process 12 (x)", 12, nil),
            ("", 12, nil),
            ("3,1,2,-;Out of memory: Killed process  (x)", 0, nil),
        ] as [(String, Int32, String?)])
    func recordsOfTheKernel(record: String, process: Int32, name: String?) {
        #expect(KernelLog.victim(in: record, process: process) == name)
    }
}

@Suite struct TextTests {
    @Test func timesAsTheCLibraryHasThem() {
        var (random, seed) = Random.printed("TextTests.timesAsTheCLibraryHasThem")
        // To the year 9999; leap days, ends of centuries, and any second.
        var seconds: [UInt64] = [0, 951_782_400, 951_868_799, 4_107_542_400, 4_107_456_000, 253_402_300_799]
        for _ in 0..<5000 { seconds.append(UInt64.random(in: 0...253_402_300_799, using: &random)) }
        for second in seconds {
            var time = time_t(second)
            var parts = unsafe tm()
            var text = [CChar](repeating: 0, count: 64)
            unsafe gmtime_r(&time, &parts)
            let count = unsafe text.withUnsafeMutableBufferPointer {
                unsafe strftime($0.baseAddress!, $0.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
            }
            let expected = String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            #expect(UTCTime.text(second) == expected, "seed \(seed)")
        }
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (6_442_450_944, "6.0 GiB"), (1 << 40, "1.0 TiB"),
            (UInt64.max, "15.9 EiB"), ((1 << 30) - 1, "1023.9 MiB"),
        ] as [(UInt64, String)])
    func sizes(byteCount: UInt64, text: String) {
        #expect(ByteCountText.short(byteCount) == text)
    }

    @Test func jsonTexts() {
        let json = JSON.members([
            ("a\"b", .text("\\\n\u{1}é")), ("n", .hundredths(1205)), ("l", .list([.null, .bool(true), .integer(UInt64.max)])),
            ("o", .optional(nil as String?)),
        ])
        #expect(json.line == #"{"a\"b":"\\\n\u0001é","n":12.05,"l":[null,true,18446744073709551615],"o":null}"#)
    }

    @Test func printableTexts() {
        #expect(printable("a b\n\u{1B}[1m\\é") == #"a b\x0a\x1b[1m\x5c\xc3\xa9"#)
        #expect(printable(String(repeating: "x", count: 300)).utf8.count == 203)
    }
}
