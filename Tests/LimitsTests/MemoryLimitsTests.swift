import CTestSupport
import CVirtualMemory
import Limits
import Testing

extension MemoryLimits {
    /// The limits in a tree, with chosen answers about resource limits.
    static func of(_ tree: TemporaryTree, _ answers: Answers = Answers()) -> MemoryLimits {
        unsafe answers.with { unsafe MemoryLimits.read(root: tree.root.utf8.span, calls: $0) }
    }

    var unreadables: [UnreadableLimit] { (0..<unreadableCount).map { unreadable(at: $0) } }
}

/// A tree with a machine of 3.8 GiB and nothing else.
func machine() throws -> TemporaryTree {
    let tree = try TemporaryTree()
    try tree.write("proc/meminfo", "MemTotal:        3984588 kB\nMemFree:           12345 kB\n")
    try tree.write("proc/self/statm", "765 422 394 5 0 123 0\n")
    try tree.write("proc/self/cgroup", "")
    try tree.write("proc/self/mountinfo", "")
    return tree
}

let machineLimit = MemoryLimit(kind: .physicalMemory, valueBytes: 3_984_588 << 10, availableBytes: 4 << 30)
let v1Mounts = """
    31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
    32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
    35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:2 - cgroup cgroup rw,memory
    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw

    """
let v2Mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

@Suite struct MemoryLimitsTests {
    @Test func theMachineAlone() throws {
        let limits = MemoryLimits.of(try machine())
        #expect(Array(limits) == [machineLimit])
        #expect(limits.tightest == machineLimit)
        #expect(limits.unreadables == [])
        #expect(Capacity.choose(ResolvedCapacity(bytes: 1, source: .default), tightest: limits.tightest).bytes == 3 << 30)
    }

    @Test func resourceLimits() throws {
        let limits = MemoryLimits.of(try machine(), Answers(addressSpace: 2 << 30, data: 1 << 30))
        let mapped = 765 * UInt64(cistern_os_page_byte_count())
        #expect(
            Array(limits) == [
                MemoryLimit(kind: .addressSpace, valueBytes: 2 << 30, availableBytes: 2 << 30 - mapped),
                MemoryLimit(kind: .data, valueBytes: 1 << 30), machineLimit,
            ])
        #expect(limits.tightest?.kind == .data)
        let used = MemoryLimits.of(try machine(), Answers(addressSpace: 1 << 20))
        #expect(used.tightest == MemoryLimit(kind: .addressSpace, valueBytes: 1 << 20, availableBytes: 0))
        #expect(Capacity.choose(ResolvedCapacity(bytes: 1, source: .default), tightest: used.tightest).bytes == 1 << 20)
    }

    @Test func version1FromTheOwnGroupToTheRoot() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory,pids:/a/b c\n1:cpu:/x\n0::/\n")
        try tree.write("proc/self/mountinfo", v1Mounts)
        try tree.write("sys/fs/cgroup/memory/a/b c/memory.limit_in_bytes", "3221225472\n")
        try tree.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824\n")
        try tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        // Not asked for: another controller's tree and a group beside the own one.
        try tree.write("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "4096\n")
        let limits = MemoryLimits.of(tree)
        #expect(
            Array(limits) == [
                MemoryLimit(kind: .groupV1, valueBytes: 3 << 30), MemoryLimit(kind: .groupV1, valueBytes: 1 << 30, level: 1), machineLimit,
            ])
        #expect(limits.tightest == MemoryLimit(kind: .groupV1, valueBytes: 1 << 30, level: 1))
        #expect(limits.unreadables == [])
    }

    @Test func version2FromTheOwnGroupToTheRoot() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/user.slice/app.scope\n")
        try tree.write("proc/self/mountinfo", v2Mounts)
        try tree.write("sys/fs/cgroup/user.slice/app.scope/memory.max", "max\n")
        try tree.write("sys/fs/cgroup/user.slice/app.scope/memory.high", "2147483648\n")
        try tree.write("sys/fs/cgroup/user.slice/memory.max", "8589934592\n")
        try tree.write("sys/fs/cgroup/user.slice/memory.high", "max\n")
        let limits = MemoryLimits.of(tree)
        #expect(
            Array(limits) == [
                MemoryLimit(kind: .groupV2High, valueBytes: 2 << 30), MemoryLimit(kind: .groupV2Max, valueBytes: 8 << 30, level: 1),
                machineLimit,
            ])
        #expect(limits.tightest?.kind == .groupV2High)
        #expect(limits.unreadables == [])
    }

    @Test func bothVersionsSideBySide() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "4:memory:/one\n0::/two\n")
        try tree.write("proc/self/mountinfo", v1Mounts)
        try tree.write("sys/fs/cgroup/memory/one/memory.limit_in_bytes", "2000\n")
        try tree.write("sys/fs/cgroup/unified/two/memory.max", "1000\n")
        let limits = MemoryLimits.of(tree)
        #expect(limits.map(\.kind) == [.groupV1, .groupV2Max, .physicalMemory])
        #expect(limits.tightest == MemoryLimit(kind: .groupV2Max, valueBytes: 1000))
    }

    /// In a container without a namespace of its own, a part of the hierarchy is mounted.
    @Test func theMountedRootIsTakenOffTheGroupsPath() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "4:memory:/docker/abc/sub\n0::/\n")
        try tree.write(
            "proc/self/mountinfo",
            """
            30 23 0:1 /dock /mnt/other rw - cgroup cgroup rw,memory
            30 23 0:1 /docker/abc/sub/deeper /mnt/deeper rw - cgroup cgroup rw,memory
            30 23 0:1 /docker/abc /mnt/a\\040b\\x rw - cgroup cgroup rw,memory

            """)
        try tree.write("mnt/a b\\x/sub/memory.limit_in_bytes", "4096\n")
        try tree.write("mnt/a b\\x/memory.limit_in_bytes", "8192\n")
        try tree.write("mnt/other/memory.limit_in_bytes", "1\n")
        try tree.write("mnt/other/docker/memory.limit_in_bytes", "1\n")
        let limits = MemoryLimits.of(tree)
        #expect(
            Array(limits) == [
                MemoryLimit(kind: .groupV1, valueBytes: 4096), MemoryLimit(kind: .groupV1, valueBytes: 8192, level: 1), machineLimit,
            ])
    }

    @Test func aGroupThatIsTheMountedRoot() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/docker/abc\n")
        try tree.write("proc/self/mountinfo", "30 23 0:1 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        try tree.write("sys/fs/cgroup/memory.max", "4096\n")
        #expect(Array(MemoryLimits.of(tree)) == [MemoryLimit(kind: .groupV2Max, valueBytes: 4096), machineLimit])
    }

    @Test func aMountThatTheGroupIsNotBelowStillHasARoot() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "0::/elsewhere\n")
        try tree.write("proc/self/mountinfo", "30 23 0:1 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        try tree.write("sys/fs/cgroup/memory.max", "4096\n")
        #expect(Array(MemoryLimits.of(tree)) == [MemoryLimit(kind: .groupV2Max, valueBytes: 4096, level: 1), machineLimit])
    }

    @Test func withoutMountsTheUsualPlacesAreLookedAt() throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "4:memory:/a\n0::/b\n")
        try tree.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3000\n")
        try tree.write("sys/fs/cgroup/b/memory.max", "2000\n")
        try tree.write("sys/fs/cgroup/unified/b/memory.high", "1000\n")
        let limits = MemoryLimits.of(tree)
        #expect(limits.map(\.valueBytes).sorted() == [1000, 2000, 3000, machineLimit.valueBytes])
        #expect(limits.tightest == MemoryLimit(kind: .groupV2High, valueBytes: 1000))
    }

    /// The rows of the fit table, through the parent of the own group.
    @Test(arguments: [("512", 256), ("1024", 512), ("1536", 1024), ("4096", 3072)] as [(String, UInt64)])
    func fittedThroughANestedGroup(mib: String, capacityMib: UInt64) throws {
        let tree = try machine()
        try tree.write("proc/self/cgroup", "4:memory:/t/sub\n")
        try tree.write("proc/self/mountinfo", v1Mounts)
        try tree.write("sys/fs/cgroup/memory/t/memory.limit_in_bytes", "\(UInt64(mib)! << 20)\n")
        let tightest = MemoryLimits.of(tree).tightest
        #expect(tightest?.level == 1)
        #expect(Capacity.choose(.fit, tightest: tightest).bytes == capacityMib << 20)
    }

    @Test func theRealProcessHasAMachine() {
        let limits = MemoryLimits.current()
        #expect(limits.contains { $0.kind == .physicalMemory && $0.valueBytes > 1 << 20 && $0.availableBytes % (1 << 30) == 0 })
        #expect(limits.unreadableCount == 0)
        #expect(limits.tightest == limits.min { $0.availableBytes < $1.availableBytes })
        let again = MemoryLimits.read(root: "")
        #expect(again.count == limits.count && again.tightest?.kind == limits.tightest?.kind)
    }

    @Test func moreLimitsThanFit() {
        var limits = MemoryLimits()
        #expect(limits.isEmpty && limits.tightest == nil)
        for number in 0..<40 as Range<UInt32> {
            limits.add(MemoryLimit(kind: .groupV1, valueBytes: UInt64(100 - number), level: number))
            limits.addUnreadable(UnreadableLimit(subject: .groupV1, level: number, code: 13))
        }
        #expect(limits.count == MemoryLimits.countLimit && limits.omittedCount == 8)
        #expect(limits.tightest == MemoryLimit(kind: .groupV1, valueBytes: 61, level: 39))
        #expect(limits.unreadables.map(\.level) == Array(0..<8))
        limits.add(MemoryLimit(kind: .data, valueBytes: 61))
        #expect(limits.tightest?.kind == .groupV1)
    }
}

/// A child process with limits of its own, through the real system calls. Exit codes 11 to 13 name what is wrong.
/// A sanitizer maps more than any limit allows.
@Suite(.enabled(if: cistern_test_sanitizer() == UInt32(CISTERN_TEST_NO_SANITIZER), "needs real limits"))
struct RealLimitsTests {
    @Test func aChildFindsItsOwnLimits() {
        let status = unsafe cistern_test_in_child(
            { _ in
                let limits = MemoryLimits.current()
                guard let space = limits.first(where: { $0.kind == .addressSpace }), space.valueBytes == 3 << 38 else { return 11 }
                guard space.availableBytes < space.valueBytes, space.availableBytes > 1 << 30 else { return 12 }
                return limits.tightest == MemoryLimit(kind: .data, valueBytes: 1 << 28) ? 0 : 13
            }, nil, 3 << 38, 1 << 28, 60)
        #expect(status == 0)
    }
}
