import CVirtualMemory
import Limits
import Testing

/// Text that no kernel writes, and files that cannot be read: no trap, and the rest is still found.
@Suite struct HostileLimitsTests {
    @Test(arguments: [
        "", "\n", "max", "4x", "-1", " 4096", "0x1000", "1\02", "99999999999999999999999999999", "4611686018427387904",
        "18446744073709551615", String(repeating: "9", count: 20_000), String(repeating: "\0", count: 100),
    ])
    func aGroupsFile(text: String) throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/a\n")
        try tree.write("proc/self/mountinfo", v2Mounts)
        try tree.write("sys/fs/cgroup/a/memory.max", text)
        let limits = MemoryLimits.of(tree)
        #expect(Array(limits) == [machineLimit])
        let isNone = text == "max" || (!text.isEmpty && text.utf8.allSatisfy { $0 >= 48 && $0 <= 57 })
        #expect(limits.unreadables == (isNone ? [] : [UnreadableLimit(subject: .groupV2Max, level: 0, code: 22)]))
    }

    @Test func zeroAndTheLargestLimit() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/a\n")
        try tree.write("proc/self/mountinfo", v2Mounts)
        try tree.write("sys/fs/cgroup/a/memory.max", "0")
        try tree.write("sys/fs/cgroup/a/memory.high", "4611686018427387903\n")
        #expect(MemoryLimits.of(tree).map(\.valueBytes) == [0, 1 << 62 - 1, machineLimit.valueBytes])
    }

    @Test(arguments: [
        "/../x", "/a/../../..", "/..", "/a/..", "/" + String(repeating: "d", count: 5000), "/a\0b",
        "/" + String(repeating: "e/", count: 2040),
    ])
    func aGroupsPath(path: String) throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "4:memory:\(path)\n0::\(path)\n")
        try tree.write("proc/self/mountinfo", v1Mounts)
        try tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "8192\n")
        try tree.write("sys/fs/cgroup/unified/memory.max", "4096\n")
        try tree.write("sys/fs/x/memory.max", "1\n")
        let limits = MemoryLimits.of(tree)
        #expect(limits.map(\.valueBytes) == [8192, 4096, machineLimit.valueBytes])
        let codes = limits.unreadables
        #expect(!codes.isEmpty && codes.allSatisfy { $0.code == 22 || $0.code == 36 })
        if path.utf8.count < 2000 || path.utf8.count > 4096 { #expect(codes.map(\.subject) == [.groupPathV1, .groupPathV2]) }
    }

    /// The own group's path fits, the file's name behind it does not.
    @Test func aPathThatIsJustTooLongForTheFilesName() throws {
        let tree = try machine()
        let mount = tree.root + "/sys/fs/cgroup"
        let path = "/a/" + String(repeating: "b", count: 4090 - mount.utf8.count - 3)
        try tree.write("proc/self/cgroup", "0::\(path)\n")
        try tree.write("proc/self/mountinfo", v2Mounts)
        try tree.write("sys/fs/cgroup/a/memory.max", "4096\n")
        let limits = MemoryLimits.of(tree)
        #expect(limits.tightest == MemoryLimit(kind: .groupV2Max, valueBytes: 4096, level: 1))
        #expect(
            limits.unreadables == [
                UnreadableLimit(subject: .groupV2Max, code: 36), UnreadableLimit(subject: .groupV2High, code: 36),
            ])
    }

    @Test func slashesAreCollapsedAtTheEnds() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/a//\n")
        try tree.write("proc/self/mountinfo", v2Mounts)
        try tree.write("sys/fs/cgroup/a/memory.max", "4096\n")
        try tree.write("sys/fs/cgroup/memory.max", "8192\n")
        #expect(MemoryLimits.of(tree).map(\.level) == [0, 1, 0])
    }

    @Test(arguments: ["", "\n\n", "::", "0:", "0::", "0::relative\n", "x::/\n", ":::::\n", "4:memoryx:/a\n", "4:xmemory,:/a\n", "\0\0"])
    func linesThatNameNoGroup(text: String) throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", text)
        try tree.write("proc/self/mountinfo", v1Mounts)
        try tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "8192\n")
        #expect(Array(MemoryLimits.of(tree)) == [machineLimit])
    }

    @Test(arguments: [
        "\n", " ", "30", "30 23 0:1 / /sys/fs/cgroup rw - ", "30 23 0:1 / relative rw - cgroup cgroup rw,memory",
        "30 23 0:1 /a / rw cgroup cgroup rw,memory", "30 23 0:1 / /m rw - cgroup cgroup rw,memory,\\", "- - - - - - - - - -",
    ])
    func mountsThatAreNone(text: String) throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/\n")
        try tree.write("proc/self/mountinfo", text)
        try tree.write("sys/fs/cgroup/memory.max", "8192\n")
        #expect(MemoryLimits.of(tree).map(\.valueBytes) == [8192, machineLimit.valueBytes])
    }

    @Test(arguments: ["\\777", "\\04", "\\", "\\000", "\\089", "\\08x"])
    func escapesInMountPoints(escape: String) throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/\n")
        try tree.write("proc/self/mountinfo", "30 23 0:1 / /m\(escape) rw - cgroup2 cgroup2 rw\n")
        // With a zero byte in its name the mount point is none, and what stands before that byte is another directory.
        try tree.write(escape == "\\000" ? "m/memory.max" : "m\(escape)/memory.max", "8192\n")
        let found = MemoryLimits.of(tree)
        #expect(found.map(\.valueBytes) == (escape == "\\000" ? [] : [8192]) + [machineLimit.valueBytes])
        #expect(found.unreadables == (escape == "\\000" ? [UnreadableLimit(subject: .groupPathV2, code: 22)] : []))
    }

    @Test(arguments: [
        "", "MemTotal:", "MemTotal: x kB", "MemTotal: 0 kB", "MemFree: 7 kB\n", "MemTotal: 99999999999999999999 kB",
        "MemTotal: 18014398509481984 kB", "MemTotal", "\0MemTotal: 1 kB",
    ])
    func machinesThatAreNone(text: String) throws {
        let tree = try machine()
        try tree.write("proc/meminfo", text)
        let limits = MemoryLimits.of(tree)
        #expect(limits.isEmpty && limits.tightest == nil)
        #expect(limits.unreadables == [UnreadableLimit(subject: .physicalMemory, code: 22)])
    }

    @Test func aMachineOfNearlyTwoToTheSixtyFour() throws {
        let tree = try machine()
        try tree.write("proc/meminfo", "Other: 1 kB\nMemTotal:\t18014398509481983 kB")
        #expect(MemoryLimits.of(tree).first?.availableBytes == 18_014_398_509_481_983 << 10)
    }

    @Test(arguments: [("", 0), ("x", 0), ("99999999999999999999 1", 0), ("9999999999999999999 1", -1), ("1", 1)] as [(String, Int)])
    func mappedBytes(text: String, pages: Int) throws {
        let tree = try machine()
        try tree.write("proc/self/statm", text)
        let limits = MemoryLimits.of(tree, Answers(addressSpace: 1 << 20))
        let page = UInt64(cistern_os_page_byte_count())
        let rest: UInt64 = pages < 0 ? 0 : 1 << 20 - UInt64(pages) * page
        #expect(limits.first == MemoryLimit(kind: .addressSpace, valueBytes: 1 << 20, availableBytes: rest))
        #expect(limits.unreadables == (pages == 0 ? [UnreadableLimit(subject: .mappedBytes, code: 22)] : []))
    }

    @Test func nothingIsThere() throws {
        let limits = MemoryLimits.of(try TemporaryTree(), Answers(addressSpace: 7, limitCode: 38))
        #expect(limits.isEmpty && limits.tightest == nil)
        #expect(
            limits.unreadables == [
                UnreadableLimit(subject: .addressSpace, code: 38), UnreadableLimit(subject: .data, code: 38),
                UnreadableLimit(subject: .groups, code: 2), UnreadableLimit(subject: .physicalMemory, code: 2),
            ])
        let bare = MemoryLimits.of(try TemporaryTree(), Answers(addressSpace: 7))
        #expect(Array(bare) == [MemoryLimit(kind: .addressSpace, valueBytes: 7)])
        #expect(bare.unreadables.first == UnreadableLimit(subject: .mappedBytes, code: 2))
    }

    @Test(
        arguments: [
            ("/proc/self/mountinfo", UnreadableLimit.Subject.mounts, 2), ("/proc/self/cgroup", .groups, 1), ("/memory.max", .groupV2Max, 1),
            ("/proc/meminfo", .physicalMemory, 1),
        ] as [(String, UnreadableLimit.Subject, Int)])
    func aRefusedFileKeepsItsCode(ending: String, subject: UnreadableLimit.Subject, count: Int) throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/\n")
        try tree.write("proc/self/mountinfo", v2Mounts)
        try tree.write("sys/fs/cgroup/memory.max", "4096\n")
        let limits = MemoryLimits.of(tree, Answers(refusedEnding: ending))
        #expect(limits.unreadables == [UnreadableLimit(subject: subject, code: 13)])
        #expect(limits.count == count)
    }

    @Test func aListOfGroupsThatIsTooLong() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", String(repeating: "1:cpu:/x\n", count: 2000) + "0::/\n")
        try tree.write("sys/fs/cgroup/memory.max", "4096\n")
        let limits = MemoryLimits.of(tree)
        #expect(Array(limits) == [machineLimit])
        #expect(limits.unreadables == [UnreadableLimit(subject: .groups, code: 27)])
    }

    @Test func rootsThatCannotBePaths() {
        for root in [String(repeating: "r", count: 5000), "/tmp\0"] {
            let limits = unsafe Answers(addressSpace: 7).with { unsafe MemoryLimits.read(root: root.utf8.span, calls: $0) }
            #expect(limits.map(\.kind) == [.addressSpace])
            #expect(limits.unreadables.map(\.code) == (root.utf8.count > 4096 ? [36, 36, 36] : [22, 22, 22]))
        }
    }

    @Test func anyBytesNeverTrap() throws {
        var (numbers, seed) = Random.printed("HostileLimitsTests.anyBytesNeverTrap")
        let pieces = [
            "0::/a\n", "4:memory:/b\n", " ", "\n", ":", "/", "..", "-", "cgroup2 ", "cgroup x memory", "\\040", "\0", "max",
            "99999999999", "MemTotal:", " kB", "/sys/fs/cgroup ", "30 23 0:1 / ",
        ]
        let tree = try machine()
        for _ in 0..<300 {
            for file in ["proc/self/cgroup", "proc/self/mountinfo", "proc/meminfo", "proc/self/statm", "sys/fs/cgroup/a/memory.max"] {
                let text = (0..<Int.random(in: 0...30, using: &numbers)).map { _ in pieces.randomElement(using: &numbers)! }.joined()
                try tree.write(file, text)
            }
            let limits = MemoryLimits.of(tree, Answers(addressSpace: numbers.next(), data: numbers.next()))
            let tightest = limits.min { $0.availableBytes < $1.availableBytes }
            #expect(limits.omittedCount > 0 || limits.tightest == tightest, "seed \(seed)")
            let choice = Capacity.choose(.fit, tightest: limits.tightest)
            #expect(choice.bytes >= 1 << 20 && choice.bytes <= Capacity.defaultBytes, "seed \(seed)")
        }
    }
}
