import CVirtualMemory

/// Why the system refused.
public struct ReservationError: Error, Equatable {
    /// What was asked.
    public enum Operation: UInt32, Sendable {
        case reserve = 0
        case commit
        case uncommit
        case decommit
        case release
    }

    /// What was asked.
    public var operation: Operation
    /// For how many bytes.
    public var byteCount: UInt64
    /// The system's errno value.
    public var code: Int32
    /// For ENOMEM: the limit that is in the way, read right after the refusal.
    public var limit: BlockingLimit

    static var invalidArgument: Int32 { 22 }
    static var outOfMemory: Int32 { 12 }

    /// Describes a refusal; for ENOMEM the limits are read now, through the same table.
    init(_ operation: Operation, byteCount: UInt64, code: Int32, calls: UnsafePointer<cistern_os_calls>) {
        self.operation = operation
        self.byteCount = byteCount
        self.code = code
        if code == Self.outOfMemory, operation == .reserve || operation == .commit {
            limit = unsafe BlockingLimit.find(for: operation, byteCount: byteCount, calls: calls)
        } else {
            limit = BlockingLimit(kind: .unknown, valueBytes: 0, usedBytes: 0)
        }
    }
}

/// The limit behind an ENOMEM, which the system itself does not name.
public struct BlockingLimit: Sendable, Equatable {
    /// Which limit.
    public enum Kind: UInt32, Sendable {
        /// None that we can read would be exceeded.
        case unknown = 0
        /// RLIMIT_AS, `ulimit -v`.
        case addressSpace
        /// RLIMIT_DATA, `ulimit -d`.
        case data
        /// The kernel's overcommit accounting.
        case overcommit
        /// The processor's address range.
        case addressRange
    }

    /// Which limit.
    public var kind: Kind
    /// Its value; 0 when unknown.
    public var valueBytes: UInt64
    /// What counted against it when it was read.
    public var usedBytes: UInt64

    /// Reads the limits and decides which of them the request would have exceeded.
    static func find(
        for operation: ReservationError.Operation, byteCount: UInt64, calls: UnsafePointer<cistern_os_calls>
    ) -> BlockingLimit {
        let addressRangeBytes: UInt64 = 1 << 47
        if byteCount >= addressRangeBytes { return BlockingLimit(kind: .addressRange, valueBytes: addressRangeBytes, usedBytes: 0) }
        let usage = unsafe MemoryUsage(calls: calls)
        if operation == .reserve {
            if let found = unsafe rlimit(.addressSpace, CISTERN_LIMIT_ADDRESS_SPACE, byteCount, usage.mappedBytes, calls) { return found }
        } else if let found = unsafe rlimit(.data, CISTERN_LIMIT_DATA, byteCount, usage.dataBytes, calls) {
            return found
        }
        if let found = overcommit(byteCount, usage) { return found }
        return BlockingLimit(kind: .unknown, valueBytes: 0, usedBytes: 0)
    }

    private static func rlimit(
        _ kind: Kind, _ which: Int, _ byteCount: UInt64, _ used: UInt64, _ calls: UnsafePointer<cistern_os_calls>
    ) -> BlockingLimit? {
        var value = UInt64.max
        guard unsafe calls.pointee.read_limit(calls.pointee.context, UInt32(which), &value) == 0, value != UInt64.max else {
            return nil
        }
        let (sum, overflow) = used.addingReportingOverflow(byteCount)
        return overflow || sum > value ? BlockingLimit(kind: kind, valueBytes: value, usedBytes: used) : nil
    }

    /// Mode 2 refuses above the commit limit. Modes 0 and 1 do not count what we map.
    private static func overcommit(_ byteCount: UInt64, _ usage: MemoryUsage) -> BlockingLimit? {
        guard usage.overcommitMode == 2 else { return nil }
        let (sum, overflow) = usage.committedBytes.addingReportingOverflow(byteCount)
        guard overflow || sum > usage.commitLimitBytes else { return nil }
        return BlockingLimit(kind: .overcommit, valueBytes: usage.commitLimitBytes, usedBytes: usage.committedBytes)
    }
}
