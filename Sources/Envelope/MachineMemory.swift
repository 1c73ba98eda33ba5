/// The machine's memory and the kernel's rules about promising it. What could not be read is nil.
public struct MachineMemory: Equatable, Sendable {
    /// What the kernel manages.
    public var totalBytes: UInt64?
    /// What new work can have without swapping.
    public var availableBytes: UInt64?
    /// Swap space.
    public var swapTotalBytes: UInt64?
    /// Swap space that is not used.
    public var swapFreeBytes: UInt64?
    /// What overcommit mode 2 would promise at most.
    public var commitLimitBytes: UInt64?
    /// What has been promised.
    public var committedBytes: UInt64?
    /// vm.overcommit_memory: 0, 1 or 2.
    public var overcommitMode: UInt64?
    /// What could not be read.
    public var unreadables: [Unreadable] = []

    /// What the mode means.
    public var overcommitName: String {
        switch overcommitMode {
        case 0: "heuristic: one mapping may not promise more than all memory and swap"
        case 1: "always: every promise is made"
        case 2: "never: promises stay below the commit limit"
        case .some: "unknown to this program"
        case nil: "not readable"
        }
    }

    /// Reads it now.
    public static func read(_ files: SystemFiles) -> MachineMemory {
        var memory = MachineMemory()
        if let text = memory.text("/proc/meminfo", files) {
            memory.totalBytes = TextFields.bytes(afterKibibytes: "MemTotal:", in: text)
            memory.availableBytes = TextFields.bytes(afterKibibytes: "MemAvailable:", in: text)
            memory.swapTotalBytes = TextFields.bytes(afterKibibytes: "SwapTotal:", in: text)
            memory.swapFreeBytes = TextFields.bytes(afterKibibytes: "SwapFree:", in: text)
            memory.commitLimitBytes = TextFields.bytes(afterKibibytes: "CommitLimit:", in: text)
            memory.committedBytes = TextFields.bytes(afterKibibytes: "Committed_AS:", in: text)
            if memory.totalBytes == nil || memory.availableBytes == nil {
                memory.unreadables.append(Unreadable("/proc/meminfo", code: SystemCode.invalid))
            }
        }
        let path = "/proc/sys/vm/overcommit_memory"
        if let text = memory.text(path, files) {
            memory.overcommitMode = TextFields.firstNumber(text)
            if memory.overcommitMode == nil { memory.unreadables.append(Unreadable(path, code: SystemCode.invalid)) }
        }
        return memory
    }

    private mutating func text(_ path: String, _ files: SystemFiles) -> String? {
        switch files.read(path) {
        case .text(let text): return text
        case .missing: unreadables.append(Unreadable(path, code: SystemCode.noEntry))
        case .failed(let code): unreadables.append(Unreadable(path, code: code))
        }
        return nil
    }
}
