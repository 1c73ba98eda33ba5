@testable import Envelope
import Testing

/// The blocks of an envelope as they are written, from facts that are made up.
@Suite struct EnvelopeTextTests {
    private static func envelope(_ bounds: RunBounds) throws -> RunEnvelope {
        let tree = try machine()
        defer { tree.isNeeded() }
        var before = Surroundings.read(.of(tree))
        before.disks = [Surroundings.DiskSpace(path: "/work\n", freeBytes: 5 << 30, totalBytes: 10 << 30)]
        return RunEnvelope(command: ["sh", "-c", "a\nb"], bounds: bounds, before: before, startSeconds: 86400)
    }

    private static var use: RunUse {
        var use = RunUse()
        use.elapsedMilliseconds = 61_005
        use.add(statuses: ["VmPeak: 2048 kB\nVmHWM: 1024 kB\n"])
        return use
    }

    private static func evidence(_ rise: UInt64) -> KillEvidence {
        var evidence = KillEvidence()
        var counter = KillCounter(source: "/g/memory.events", isOfCommandAlone: true)
        counter.before = 1
        counter.after = 1 + rise
        evidence.counters = [counter]
        return evidence
    }

    @Test func theFirstBlock() throws {
        var bounds = RunBounds()
        let plain = try Self.envelope(bounds).firstBlock
        #expect(
            plain.hasPrefix("--- cistern run: before, 1970-01-02T00:00:00Z\ncommand        sh -c a\\x0ab\nkernel         Linux 6.1.0-test ")
        )
        #expect(plain.contains("\ndisk free      5368709120 (5.0 GiB) of 10737418240 (10.0 GiB) at /work\\x0a\n"))
        #expect(plain.contains("\nlimit          memory.max 1073741824 (1.0 GiB), 104857600 (100.0 MiB) in use"))
        #expect(!plain.contains("SKIP_CAPACITY") && !plain.contains("memory bound"))
        bounds.capacity = (3 << 30, "fits --memory 4294967296")
        bounds.addressSpaceBytes = 8 << 30
        bounds.memoryBytes = 4 << 30
        #expect(try Self.envelope(bounds).firstBlock.hasSuffix("\nmemory bound   4294967296 (4.0 GiB)\n"))
        bounds.group = .success("/g/cistern-7")
        let bounded = try Self.envelope(bounds)
        #expect(
            bounded.firstBlock.hasSuffix(
                """

                SKIP_CAPACITY  3221225472 (3.0 GiB), fits --memory 4294967296
                RLIMIT_AS      8589934592 (8.0 GiB) for the command
                memory bound   4294967296 (4.0 GiB) in /g/cistern-7

                """))
        #expect(bounded.firstJSON.line.contains("\"memoryBytes\":4294967296,\"memoryGroup\":\"/g/cistern-7\",\"memoryGroupProblem\":null,"))
        bounds.group = .failure(.init("mkdir /g: Permission denied"))
        let unbounded = try Self.envelope(bounds)
        #expect(unbounded.firstBlock.hasSuffix("\nmemory bound   none: mkdir /g: Permission denied\n"))
        #expect(unbounded.firstJSON.line.contains("\"memoryGroup\":null,\"memoryGroupProblem\":\"mkdir /g: Permission denied\""))
    }

    @Test func aRunThatGoesOn() throws {
        let envelope = try Self.envelope(RunBounds())
        #expect(
            envelope.runningBlock(Self.use, Self.evidence(0)) == """
                --- cistern run: running, 1970-01-02T00:01:01Z
                elapsed        61.005 s
                peak resident  1048576 (1.0 MiB), so far (VmHWM)
                peak mapped    at least 2097152 (2.0 MiB), the largest process seen (VmPeak, looked at 1 times)
                memory kill    none proven: oom_kill of /g/memory.events stayed 1

                """)
        let json = envelope.runningJSON(Self.use, Self.evidence(0)).line
        #expect(json.hasPrefix("{\"time\":\"1970-01-02T00:01:01Z\",\"use\":{\"elapsedMilliseconds\":61005,\"peakResidentBytes\":1048576,"))
        #expect(json.contains("\"memoryKill\":{\"isProven\":false,\"proof\":null,"))
    }

    @Test func theLastBlock() throws {
        let envelope = try Self.envelope(RunBounds())
        var use = Self.use
        use.userMicroseconds = 1_500_000
        use.systemMicroseconds = 999
        use.groupPeakBytes = 1 << 20
        #expect(
            envelope.lastBlock(.signalled(9), use, Self.evidence(1)) == """
                --- cistern run: after, 1970-01-02T00:01:01Z
                ended by       signal 9 (SIGKILL)
                verdict        killed for memory (oom_kill of /g/memory.events rose from 1 to 2)
                elapsed        61.005 s
                cpu time       1.500 s user, 0.000 s system
                peak resident  1048576 (1.0 MiB), the largest process (wait4)
                peak mapped    at least 2097152 (2.0 MiB), the largest process seen (VmPeak, looked at 1 times)
                peak of group  1048576 (1.0 MiB), all processes and their files' pages
                memory kill    yes: oom_kill of /g/memory.events rose from 1 to 2

                """)
        let killed = envelope.lastJSON(.signalled(9), use, Self.evidence(1)).line
        #expect(
            killed.contains(
                "\"exitCode\":null,\"signal\":9,\"status\":137,\"verdict\":\"killed for memory\",\"explanation\":\"killed for memory ("))
        let quick = envelope.lastBlock(.exited(0), RunUse(), KillEvidence())
        #expect(quick.contains("\nexit code      0\n") && !quick.contains("verdict"))
        #expect(quick.contains("\npeak mapped    unknown: it ended before VmPeak could be looked at\n"))
        #expect(quick.hasSuffix("\nmemory kill    none proven: nothing that counts kills could be read\n"))
        #expect(envelope.lastJSON(.exited(0), RunUse(), KillEvidence()).line.contains("\"exitCode\":0,\"signal\":null,\"status\":0,"))
    }
}
