import CVirtualMemory
@testable import Envelope
import Glibc
import Limits
import Testing

/// A machine of 3.8 GiB with two processors, in version 2 group /job below one with a limit.
func machine() throws -> Scratch {
    let tree = try Scratch()
    defer { tree.isNeeded() }
    try tree.write(
        "proc/meminfo",
        """
        MemTotal:        3984588 kB
        MemFree:           12345 kB
        MemAvailable:    2000000 kB
        SwapTotal:       1048576 kB
        SwapFree:         524288 kB
        CommitLimit:     3040870 kB
        Committed_AS:     500000 kB

        """)
    try tree.write("proc/sys/vm/overcommit_memory", "0\n")
    try tree.write("proc/sys/kernel/ostype", "Linux\n")
    try tree.write("proc/sys/kernel/osrelease", "6.1.0-test\n")
    try tree.write("proc/self/statm", "765 422 394 5 0 123 0\n")
    try tree.write(
        "proc/self/status", "Name:\tx\nVmPeak:\t    4000 kB\nVmSize:\t    3060 kB\nVmData:\t     492 kB\nCpus_allowed_list:\t0-3,8\n")
    try tree.write("proc/self/cgroup", "0::/outer/job\n")
    try tree.write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
    try tree.write("sys/devices/system/cpu/online", "0-7\n")
    try tree.write("sys/fs/cgroup/outer/memory.max", "1073741824\n")
    try tree.write("sys/fs/cgroup/outer/memory.current", "104857600\n")
    try tree.write("sys/fs/cgroup/outer/job/memory.max", "max\n")
    try tree.write("sys/fs/cgroup/outer/job/memory.high", "2147483648\n")
    try tree.write("sys/fs/cgroup/outer/job/memory.current", "52428800\n")
    try tree.write("sys/fs/cgroup/outer/job/memory.events", "low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\n")
    try tree.write("sys/fs/cgroup/outer/job/memory.pressure", "some avg10=1.50 avg60=0.25 avg300=100.00 total=12345\n")
    try tree.write("sys/fs/cgroup/outer/cpu.max", "250000 100000\n")
    try tree.write("sys/fs/cgroup/outer/job/cpu.max", "max 100000\n")
    try tree.write(
        "proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.01 avg60=0.00 avg300=0.00 total=7\n")
    return tree
}

extension SystemFiles {
    /// The files of a tree, with the real system's resource limits.
    static func of(_ tree: Scratch) -> SystemFiles { unsafe SystemFiles(root: tree.path, calls: cistern_os_system()) }
}

@Suite struct ReadingTests {
    @Test func aWholeMachine() throws {
        let tree = try machine()
        defer { tree.isNeeded() }
        let all = Surroundings.read(.of(tree))
        let groups = all.limits.readings.filter { $0.limit.kind != .addressSpace && $0.limit.kind != .data }
        #expect(groups.map(\.name) == ["memory.high", "memory.max", "machine memory"])
        #expect(groups.map(\.limit.valueBytes) == [2 << 30, 1 << 30, 3_984_588 << 10])
        #expect(groups.map(\.limit.level) == [0, 1, 0])
        #expect(groups.map(\.inUseBytes) == [52_428_800, 104_857_600, (3_984_588 - 2_000_000) << 10])
        #expect(groups.map(\.leftBytes) == [(2 << 30) - 52_428_800, (1 << 30) - 104_857_600, 2_000_000 << 10])
        let root = tree.path
        #expect(
            groups.map(\.source) == [
                "\(root)/sys/fs/cgroup/outer/job/memory.high", "\(root)/sys/fs/cgroup/outer/memory.max", "\(root)/proc/meminfo",
            ])
        #expect(all.limits.readings.filter(\.isTightest).map(\.limit) == [try #require(all.limits.tightest)])
        #expect(all.kernel.hasPrefix("Linux 6.1.0-test "))
        #expect(all.memory.overcommitMode == 0 && all.memory.swapFreeBytes == 524_288 << 10)
        #expect(all.memory.commitLimitBytes == 3_040_870 << 10 && all.memory.committedBytes == 500_000 << 10)
        #expect(all.processors.affinityCount == 5 && all.processors.onlineCount == 8 && all.processors.count == 3)
        #expect(all.processors.quota?.hundredths == 250)
        #expect(all.pressures.map(\.resource) == ["memory", "memory"])
        #expect(all.pressures[1].some == Pressure.Line(average10: 150, average60: 25, average300: 10000, totalMicroseconds: 12345))
        #expect(all.unreadables.isEmpty, "\(all.unreadables)")
        let lines = all.page.split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("* ") }.count == 1)
        #expect(lines.contains("overcommit     mode 0, heuristic: one mapping may not promise more than all memory and swap"))
        #expect(lines.contains { $0.hasPrefix("cpus           3 (affinity 5, online 8, quota 2.50 in ") })
    }

    /// Each file missing, unreadable, empty, or nonsense in turn: it is said, and the rest is still there.
    @Test(arguments: [
        "proc/meminfo", "proc/sys/vm/overcommit_memory", "proc/self/status", "sys/devices/system/cpu/online", "proc/self/cgroup",
        "proc/pressure/memory", "sys/fs/cgroup/outer/memory.max", "sys/fs/cgroup/outer/memory.current", "sys/fs/cgroup/outer/cpu.max",
        "sys/fs/cgroup/outer/job/memory.pressure", "proc/sys/kernel/ostype",
    ])
    func oneFileIsSpoiled(_ name: String) throws {
        for text in ["", "\u{1}\u{2}\n", "-1\n", "99999999999999999999999999\n", String(repeating: "x", count: 100_000)] {
            let tree = try machine()
            defer { tree.isNeeded() }
            try tree.write(name, text)
            let all = Surroundings.read(.of(tree))
            if name != "proc/sys/kernel/ostype", name != "proc/self/cgroup", !(name.hasSuffix("memory.max") && text.hasPrefix("9")) {
                #expect(all.unreadables.contains { $0.code == EINVAL }, "\(name): \(text.prefix(20))")
            }
            check(all, without: name)
        }
        let tree = try machine()
        defer { tree.isNeeded() }
        tree.remove(name)
        check(Surroundings.read(.of(tree)), without: name)
        // A directory in the file's place: opened, and refused when it is read.
        try tree.makeDirectory(name)
        let all = Surroundings.read(.of(tree))
        #expect(all.unreadables.contains { $0.code == EISDIR }, "\(name): \(all.unreadables)")
        #expect(all.unreadables.filter { $0.code == EISDIR }.allSatisfy { $0.line.hasSuffix(": Is a directory") })
        check(all, without: name)
    }

    private func check(_ all: Surroundings, without name: String) {
        if name != "proc/meminfo" { #expect(all.limits.readings.contains { $0.name == "machine memory" }) }
        if !name.hasPrefix("sys/fs/cgroup/outer/memory"), name != "proc/self/cgroup" {
            #expect(all.limits.readings.contains { $0.limit.valueBytes == 1 << 30 && $0.inUseBytes == 104_857_600 })
        }
        if !name.contains("cpu"), name != "proc/self/status", name != "proc/self/cgroup" { #expect(all.processors.count == 3) }
        for unreadable in all.unreadables { #expect(all.page.contains("not read       \(unreadable.line)\n")) }
        #expect(all.page.utf8.allSatisfy { $0 == 0x0A || ($0 >= 0x20 && $0 < 0x7F) })
        #expect(!all.json.line.contains("\n"))
    }

    @Test func nothingIsThere() throws {
        let tree = try Scratch()
        defer { tree.isNeeded() }
        let all = Surroundings.read(.of(tree))
        #expect(all.processors.count == 1 && all.processors.unreadables.count == 2)
        #expect(all.memory.totalBytes == nil && all.memory.overcommitMode == nil)
        #expect(all.unreadables.contains { $0.subject == "/proc/meminfo" && $0.code == ENOENT })
        #expect(all.page.contains("memory         unknown in all, unknown available\n"))
        #expect(all.json.line.contains("\"totalBytes\":null"))
    }

    @Test func anyBytesNeverTrap() throws {
        var (random, seed) = Random.printed("ReadingTests.anyBytesNeverTrap")
        let pieces = [
            "0::/outer/job\n", "4:memory,cpu:/b\n", " ", "\n", ":", "/", "..", "-", ",", "=", ".", "max", "99999999999999999999", "7",
            "0-3",
            "MemTotal:", "MemAvailable: ", " kB", "some avg10=", "avg60=1.00", "total=", "\0", "\u{FFFD}", "Cpus_allowed_list:\t",
            "VmSize:",
            "18446744073709551615", "oom_kill ", "é",
        ]
        let names = [
            "proc/meminfo", "proc/self/status", "proc/self/cgroup", "proc/self/mountinfo", "proc/sys/vm/overcommit_memory",
            "proc/pressure/memory", "proc/pressure/cpu", "sys/devices/system/cpu/online", "sys/fs/cgroup/outer/job/cpu.max",
            "sys/fs/cgroup/outer/job/memory.max", "sys/fs/cgroup/outer/job/memory.current", "sys/fs/cgroup/outer/job/memory.events",
            "sys/fs/cgroup/outer/job/memory.pressure", "proc/sys/kernel/osrelease",
        ]
        let tree = try machine()
        defer { tree.isNeeded() }
        for _ in 0..<200 {
            for name in names where Bool.random(using: &random) {
                try tree.write(
                    name, (0..<Int.random(in: 0...12, using: &random)).map { _ in pieces.randomElement(using: &random)! }.joined())
            }
            let files = SystemFiles.of(tree)
            let all = Surroundings.read(files)
            #expect(all.processors.count >= 1, "seed \(seed)")
            #expect(all.page.hasSuffix("\n") && !all.json.line.contains("\n"), "seed \(seed)")
            for counter in KillCounter.shared(files) { #expect(counter.count(files) != nil, "seed \(seed)") }
        }
    }

    @Test(
        arguments: [
            ("0", 1), ("0-3", 4), ("0-3,8", 5), ("7-7", 1), ("3-1", nil), ("", nil), (",", nil), ("0-", nil), ("-3", nil), ("0x1", nil),
            ("0-18446744073709551615", nil), ("18446744073709551615", 1), ("1-2-3", nil),
            ("0-9223372036854775807,0-9223372036854775807", nil),
        ] as [(String, UInt64?)])
    func listsOfProcessors(text: String, count: UInt64?) throws {
        let tree = try machine()
        defer { tree.isNeeded() }
        try tree.write("sys/devices/system/cpu/online", text + "\n")
        #expect(Processors.read(.of(tree)).onlineCount == count)
    }

    @Test(
        arguments: [
            ("50000 100000", 1, 50), ("100000 100000", 1, 100), ("100001 100000", 2, 100), ("800000 100000", 5, 800), ("0 100000", 1, 0),
            ("1 0", 5, nil), ("max", 5, nil), ("5", 5, nil), ("a b", 5, nil), ("1 2 3", 5, nil),
            ("18446744073709551615 1", 5, UInt64.max), ("1 18446744073709551615", 1, 0),
        ] as [(String, UInt64, UInt64?)])
    func quotas(text: String, count: UInt64, hundredths: UInt64?) throws {
        let tree = try machine()
        defer { tree.isNeeded() }
        tree.remove("sys/fs/cgroup/outer/cpu.max")
        try tree.write("sys/fs/cgroup/outer/job/cpu.max", text + "\n")
        let processors = Processors.read(.of(tree))
        #expect(processors.count == count && processors.quota?.hundredths == hundredths)
    }

    @Test func versionOneGroups() throws {
        let tree = try machine()
        defer { tree.isNeeded() }
        try tree.write("proc/self/cgroup", "4:memory:/a\n2:cpu,cpuacct:/c\n")
        try tree.write(
            "proc/self/mountinfo",
            """
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
            36 31 0:33 / /sys/fs/cgroup/cpu\\040x rw,relatime - cgroup cgroup rw,cpu,cpuacct

            """)
        try tree.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "4194304\n")
        try tree.write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "4096\n")
        try tree.write("sys/fs/cgroup/memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
        try tree.write("sys/fs/cgroup/cpu x/c/cpu.cfs_quota_us", "150000\n")
        try tree.write("sys/fs/cgroup/cpu x/c/cpu.cfs_period_us", "100000\n")
        try tree.write("sys/fs/cgroup/cpu x/cpu.cfs_quota_us", "-1\n")
        try tree.write("sys/fs/cgroup/cpu x/cpu.cfs_period_us", "100000\n")
        let files = SystemFiles.of(tree)
        let all = Surroundings.read(files)
        let own = all.limits.readings.first { $0.name == "memory.limit_in_bytes" }
        #expect(own?.limit.valueBytes == 4 << 20 && own?.inUseBytes == 4096)
        #expect(own?.source == "\(tree.path)/sys/fs/cgroup/memory/a/memory.limit_in_bytes")
        #expect(all.processors.count == 2 && all.processors.quota?.source.hasSuffix("cpu x/c/cpu.cfs_quota_us") == true)
        let counters = KillCounter.shared(files)
        #expect(counters.map { $0.count(files) } == [4] && !counters[0].isOfCommandAlone)
    }

    @Test func peaksOfAProcess() {
        var use = RunUse()
        use.add(statuses: ["Name:\tx\nVmPeak:\t  2000 kB\nVmHWM:\t 100 kB\n"])
        use.add(statuses: ["VmPeak:\t  1000 kB\nVmHWM:\t 300 kB\n", "VmPeak:\t  1500 kB\nVmHWM:\t 200 kB\n"])
        use.add(statuses: ["State:\tZ (zombie)\n"])
        use.add(statuses: [])
        use.add(statuses: ["VmPeak:\t  18446744073709551615 kB\n"])
        #expect(use.sampleCount == 2 && use.peakMappedBytes == 2000 << 10 && use.peakResidentBytes == 300 << 10)
    }
}
