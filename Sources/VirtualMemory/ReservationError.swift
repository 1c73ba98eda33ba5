import CVirtualMemory

/// Why the system refused.
public struct ReservationError: Error, Equatable {
    /// What was asked.
    public enum Operation: UInt32, Sendable {
        /// Address space.
        case reserve = 0
        /// Making pages usable.
        case commit
        /// Making pages unusable again.
        case uncommit
        /// Taking away the memory behind pages.
        case decommit
        /// Giving the address space back.
        case release
    }

    /// What was asked.
    public var operation: Operation
    /// For how many bytes.
    public var byteCount: UInt64
    /// The system's errno value; EINVAL too for a request that was refused before the system saw it.
    public var code: Int32
    /// For ENOMEM: the limit that is in the way, read right after the refusal.
    public var limit: BlockingLimit

    /// A refusal as it was described before.
    public init(operation: Operation, byteCount: UInt64, code: Int32, limit: BlockingLimit) {
        self.operation = operation
        self.byteCount = byteCount
        self.code = code
        self.limit = limit
    }

    static var invalidArgument: Int32 { 22 }
    static var outOfMemory: Int32 { 12 }

    /// Describes a refusal; for ENOMEM the limits are read now, through the same table.
    ///
    /// Safety: the table is only handed on, and is valid for the call, as the caller vouches.
    init(_ operation: Operation, byteCount: UInt64, code: Int32, calls: UnsafePointer<cistern_os_calls>) {
        self.operation = operation
        self.byteCount = byteCount
        self.code = code
        if code == Self.outOfMemory, operation == .reserve || operation == .commit {
            limit = unsafe BlockingLimit.find(for: operation, byteCount: byteCount, calls: calls)
        } else {
            limit = .unknown
        }
    }
}
