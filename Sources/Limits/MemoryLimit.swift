/// One limit on the memory of this process. A value of numbers only.
public struct MemoryLimit: Equatable, Sendable {
    /// Which limit.
    public enum Kind: UInt32, Sendable {
        /// RLIMIT_AS, `ulimit -v`: address space.
        case addressSpace = 0
        /// RLIMIT_DATA, `ulimit -d`: writable private memory.
        case data
        /// memory.limit_in_bytes of a version 1 control group.
        case groupV1
        /// memory.max of a version 2 control group.
        case groupV2Max
        /// memory.high of a version 2 control group.
        case groupV2High
        /// The machine's memory.
        case physicalMemory
    }

    /// Which limit.
    public var kind: Kind
    /// The limit as the system states it, in bytes.
    public var valueBytes: UInt64
    /// What of it a heap can count on, in bytes: the rest of RLIMIT_AS after what is mapped already; the machine's memory rounded
    /// up to a GiB, because a "4 GB" machine shows about 3.8; otherwise the limit itself.
    public var availableBytes: UInt64
    /// For control groups, how far above the process's own group: 0 is its own. Otherwise 0.
    public var level: UInt32

    /// A limit; `availableBytes` is the whole of it unless given.
    public init(kind: Kind, valueBytes: UInt64, availableBytes: UInt64? = nil, level: UInt32 = 0) {
        self.kind = kind
        self.valueBytes = valueBytes
        self.availableBytes = availableBytes ?? valueBytes
        self.level = level
    }
}

/// Something that would have told a limit and could not be read.
public struct UnreadableLimit: Equatable, Sendable {
    /// What was to be read.
    public enum Subject: UInt32, Sendable {
        /// RLIMIT_AS.
        case addressSpace = 0
        /// RLIMIT_DATA.
        case data
        /// /proc/self/statm: what is mapped already, taken as nothing then.
        case mappedBytes
        /// /proc/meminfo.
        case physicalMemory
        /// /proc/self/cgroup: which groups the process is in.
        case groups
        /// /proc/self/mountinfo: where groups are mounted; the usual places are looked at then.
        case mounts
        /// The path of the own group, version 1: only the mounted root is looked at then.
        case groupPathV1
        /// The same, version 2.
        case groupPathV2
        /// memory.limit_in_bytes of a group.
        case groupV1
        /// memory.max of a group.
        case groupV2Max
        /// memory.high of a group.
        case groupV2High
    }

    /// What was to be read.
    public var subject: Subject
    /// For control groups, how far above the own group.
    public var level: UInt32
    /// errno; 22 (EINVAL) for text that makes no sense, 27 (EFBIG) and 36 (ENAMETOOLONG) for what is too long.
    public var code: Int32

    /// What was to be read, and why it was not.
    public init(subject: Subject, level: UInt32 = 0, code: Int32) {
        self.subject = subject
        self.level = level
        self.code = code
    }
}
