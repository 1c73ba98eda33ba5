public import Limits

/// A limit, where it was read, and how much of it is in use.
public struct LimitReading: Equatable, Sendable {
    /// The limit.
    public var limit: MemoryLimit
    /// The call or the file that says it.
    public var source: String
    /// What counts against it now; nil when that cannot be read.
    public var inUseBytes: UInt64?
    /// True for one limit of all: the one with the fewest available bytes.
    public var isTightest: Bool

    /// What is left of it; nil when what is in use cannot be read.
    public var leftBytes: UInt64? { inUseBytes.map { limit.valueBytes > $0 ? limit.valueBytes - $0 : 0 } }

    /// The limit's usual name.
    public var name: String { limit.kind.systemName }
}

extension MemoryLimit.Kind {
    /// What the system calls such a limit.
    public var systemName: String {
        switch self {
        case .addressSpace: "RLIMIT_AS"
        case .data: "RLIMIT_DATA"
        case .groupV1: "memory.limit_in_bytes"
        case .groupV2Max: "memory.max"
        case .groupV2High: "memory.high"
        case .physicalMemory: "machine memory"
        }
    }
}

/// All limits that apply to this process, and what does not limit it.
///
/// Safety: the table of calls is handed on for the length of a call, and outlives `SystemFiles`.
public struct LimitReport: Sendable {
    /// Limits in the order in which they were found.
    public var readings: [LimitReading] = []
    /// Limits beyond those, which are not listed.
    public var omittedCount = 0
    /// The tightest, also when it is not listed.
    public var tightest: MemoryLimit?
    /// Limits that are known to be absent, by name.
    public var absent: [String] = []
    /// What could not be read.
    public var unreadables: [Unreadable] = []

    /// Reads everything now.
    /// - Complexity: a few dozen system calls.
    public static func read(_ files: SystemFiles) -> LimitReport {
        let limits = unsafe MemoryLimits.read(root: files.root.utf8.span, calls: files.calls)
        return LimitReport(limits, files)
    }

    private init(_ limits: MemoryLimits, _ files: SystemFiles) {
        tightest = limits.tightest
        omittedCount = limits.omittedCount
        unreadables = (0..<limits.unreadableCount).map { Self.unreadable(limits.unreadable(at: $0)) }
        let groups = files.groups(of: .memory)
        for limit in limits {
            let (source, usage) = place(limit, groups, files)
            let isTightest = limit == limits.tightest && !readings.contains(where: \.isTightest)
            readings.append(LimitReading(limit: limit, source: source, inUseBytes: usage, isTightest: isTightest))
        }
        for (kind, name) in [(MemoryLimit.Kind.addressSpace, "RLIMIT_AS"), (.data, "RLIMIT_DATA")] {
            let isUnreadable = unreadables.contains { $0.subject == name }
            if !isUnreadable, !limits.contains(where: { $0.kind == kind }) { absent.append(name) }
        }
        let isInGroup = limits.contains { $0.kind == .groupV1 || $0.kind == .groupV2Max || $0.kind == .groupV2High }
        if !isInGroup, !unreadables.contains(where: { $0.subject.contains("cgroup") || $0.subject.contains("memory.") }) {
            absent.append("control groups")
        }
    }

    /// Where a limit was read, and what counts against it.
    private mutating func place(
        _ limit: MemoryLimit, _ groups: [ControlGroupDirectory], _ files: SystemFiles
    ) -> (source: String, usage: UInt64?) {
        switch limit.kind {
        case .addressSpace:
            let status = number(files.root + "/proc/self/status", files) { TextFields.bytes(afterKibibytes: "VmSize:", in: $0) }
            return ("getrlimit (ulimit -v)", status)
        case .data:
            let status = number(files.root + "/proc/self/status", files) { TextFields.bytes(afterKibibytes: "VmData:", in: $0) }
            return ("getrlimit (ulimit -d)", status)
        case .physicalMemory:
            let memory = MachineMemory.read(files)
            let used = memory.availableBytes.map { limit.valueBytes > $0 ? limit.valueBytes - $0 : 0 }
            return (files.root + "/proc/meminfo", used)
        case .groupV1: return group(limit, "memory.limit_in_bytes", "memory.usage_in_bytes", .v1, groups, files)
        case .groupV2Max: return group(limit, "memory.max", "memory.current", .v2, groups, files)
        case .groupV2High: return group(limit, "memory.high", "memory.current", .v2, groups, files)
        }
    }

    private mutating func group(
        _ limit: MemoryLimit, _ file: String, _ usageFile: String, _ version: ControlGroupDirectory.Version,
        _ groups: [ControlGroupDirectory], _ files: SystemFiles
    ) -> (source: String, usage: UInt64?) {
        // Without a table of mounts, version 2 is looked for in two places: the right one is where the file says the value.
        for group in groups where group.version == version && group.level == limit.level {
            let path = group.path + "/" + file
            guard let text = files.readWhole(path).text, TextFields.firstNumber(text) == limit.valueBytes else { continue }
            return (path, number(group.path + "/" + usageFile, files) { TextFields.firstNumber($0) })
        }
        return (file, nil)
    }

    private mutating func number(_ path: String, _ files: SystemFiles, _ part: (String) -> UInt64?) -> UInt64? {
        var code = SystemCode.invalid
        switch files.readWhole(path) {
        case .text(let text): if let number = part(text) { return number }
        case .missing: code = SystemCode.noEntry
        case .failed(let failure): code = failure
        }
        let unreadable = Unreadable(path, code: code)
        if !unreadables.contains(unreadable) { unreadables.append(unreadable) }
        return nil
    }

    private static func unreadable(_ limit: UnreadableLimit) -> Unreadable {
        let above = limit.level == 0 ? "" : ", \(limit.level) above the own group"
        let subject =
            switch limit.subject {
            case .addressSpace: "RLIMIT_AS"
            case .data: "RLIMIT_DATA"
            case .mappedBytes: "/proc/self/statm"
            case .physicalMemory: "/proc/meminfo"
            case .groups: "/proc/self/cgroup"
            case .mounts: "/proc/self/mountinfo"
            case .groupPathV1: "the path of the version 1 cgroup"
            case .groupPathV2: "the path of the version 2 cgroup"
            case .groupV1: "memory.limit_in_bytes\(above)"
            case .groupV2Max: "memory.max\(above)"
            case .groupV2High: "memory.high\(above)"
            }
        return Unreadable(subject, code: limit.code)
    }
}
