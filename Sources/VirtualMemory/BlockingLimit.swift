import CVirtualMemory

/// The limit behind an ENOMEM, which the system itself does not name.
///
/// A limit is named only when the request would have exceeded it; otherwise the kind is `unknown`.
///
/// Safety: the table of calls that is passed down here is valid for the call, as the caller vouches.
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
    /// Its value in bytes; 0 when unknown.
    public var valueBytes: UInt64
    /// What counted against it when it was read.
    public var usedBytes: UInt64

    /// A limit, its value and its use in bytes.
    public init(kind: Kind, valueBytes: UInt64, usedBytes: UInt64) {
        self.kind = kind
        self.valueBytes = valueBytes
        self.usedBytes = usedBytes
    }

    static var unknown: BlockingLimit { BlockingLimit(kind: .unknown, valueBytes: 0, usedBytes: 0) }

    #if arch(arm64)
        private static var addressRangeBytes: UInt64 { 1 << 48 }
    #else
        private static var addressRangeBytes: UInt64 { 1 << 47 }
    #endif

    /// Reads the limits and decides which of them the request would have exceeded.
    static func find(
        for operation: ReservationError.Operation, byteCount: UInt64, calls: UnsafePointer<cistern_os_calls>
    ) -> BlockingLimit {
        let usage = unsafe MemoryUsage(calls: calls)
        if operation == .reserve {
            // Only a new mapping adds to what is mapped, and it is not writable, so nothing else counts it.
            return exceeded(.addressRange, addressRangeBytes, usage.mappedBytes, byteCount)
                ?? exceeded(.addressSpace, unsafe limit(CISTERN_LIMIT_ADDRESS_SPACE, calls), usage.mappedBytes, byteCount)
                ?? .unknown
        }
        // What is committed was mapped before: it adds to the writable part. Modes 0 and 1 do not account for a mapping
        // that was made with MAP_NORESERVE; mode 2 does.
        return exceeded(.data, unsafe limit(CISTERN_LIMIT_DATA, calls), usage.dataBytes, byteCount)
            ?? exceeded(.overcommit, usage.overcommitLimitBytes, usage.committedBytes, byteCount)
            ?? .unknown
    }

    private static func exceeded(_ kind: Kind, _ valueBytes: UInt64, _ usedBytes: UInt64, _ byteCount: UInt64) -> BlockingLimit? {
        guard valueBytes != UInt64.max else { return nil }
        let (sum, overflow) = usedBytes.addingReportingOverflow(byteCount)
        return overflow || sum > valueBytes ? BlockingLimit(kind: kind, valueBytes: valueBytes, usedBytes: usedBytes) : nil
    }

    /// The limit's value; `UInt64.max` when there is none or it cannot be read.
    private static func limit(_ which: Int, _ calls: UnsafePointer<cistern_os_calls>) -> UInt64 {
        var value = UInt64.max
        let code = unsafe calls.pointee.read_limit(calls.pointee.context, UInt32(which), &value)
        return code == 0 ? value : UInt64.max
    }
}
