import CVirtualMemory
import VirtualMemory

/// What a heap is like; fixed at its creation.
///
/// Safety: the one pointer in it is dereferenced by the heap only, and must outlive the heap.
@safe
public struct HeapOptions {
    /// Bytes of address space that the heap may ever use, everything included: 1 MiB to 128 GiB, rounded up to a page.
    public var capacityBytes: UInt64
    /// Bytes in use from which `isAboveSoftLimit` says so; 0: none.
    public var softLimitBytes: UInt64 = 0
    /// What the address of every block is a multiple of.
    public var blockAlignment = BlockAlignment.eight
    /// Every call comes from one thread at a time: no atomics.
    public var isForOneThread = false
    /// Redzones, poison and a quarantine for freed blocks; misuse is found and reported. Several times slower. An
    /// alignment of 4 GiB or more is answered with `nil`.
    public var isChecked = false
    /// May ask for transparent huge pages, above the first 4 MiB.
    public var usesHugePages = true
    /// After a fork the child has no copy of the heap's pages; using the heap there is answered with `nil`.
    public var isInheritedByFork = true
    /// Checked mode: called with `reportContext` for each misuse. Without one, misuse traps.
    public var report: HeapReport?
    /// Passed to `report` as it is.
    public var reportContext: UInt = 0
    /// The calls to the system; tests refuse some. Must outlive the heap.
    public var systemCalls: UnsafePointer<cistern_os_calls>

    /// Options with every default.
    public init(capacityBytes: UInt64) {
        self.capacityBytes = capacityBytes
        unsafe systemCalls = Self.realSystemCalls
    }

    private static var realSystemCalls: UnsafePointer<cistern_os_calls> { unsafe cistern_os_system() }
}

/// What the address of every block is a multiple of; the raw value, in bytes.
public enum BlockAlignment: UInt64, Sendable {
    /// 8 bytes; 16 where the size is a multiple of 16. The least memory.
    case eight = 8
    /// 16 bytes, as C expects of malloc.
    case sixteen = 16
    /// 64 bytes, and blocks are as long as a multiple of 64: no two share a cache line. For threads that pass blocks on to each
    /// other, which would write to each other's lines. The other alignments come to that by themselves for size classes that
    /// threads are seen to pass on; this one does it for all, from the first block, however full the heap is.
    case cacheLine = 64
}

/// Why a heap could not be made.
public enum HeapCreationError: Error, Equatable {
    /// Below 1 MiB.
    case capacityTooSmall(givenBytes: UInt64, leastBytes: UInt64)
    /// Above 128 GiB, the most that 32-bit indices reach.
    case capacityTooLarge(givenBytes: UInt64, mostBytes: UInt64)
    /// The system refused the address space; the error names the limit in the way.
    case reservation(ReservationError)
    /// The system refused to make the first pages usable.
    case commitment(ReservationError)
    /// 4096 heaps are alive in this process.
    case tooManyHeaps
}

/// Receives a misuse that checked mode found. It runs with the heap locked: it must not call the heap.
public typealias HeapReport = @convention(c) (_ context: UInt, _ misuse: HeapMisuse.RawValue, _ address: UInt) -> Void

/// What checked mode finds.
public enum HeapMisuse: UInt32, Sendable {
    /// Freed twice.
    case doubleFree = 1
    /// An address that no block of this heap begins at.
    case foreignPointer = 2
    /// Bytes before the block were written.
    case underflow = 3
    /// Bytes after the block were written.
    case overflow = 4
    /// Written after it was freed.
    case useAfterFree = 5
    /// Freed with a size that is not the one asked for.
    case wrongSize = 6
    /// A call on a heap that was destroyed; the address is that of its header.
    case useAfterDestroy = 7
    /// A region was used or closed after it had been closed; the address is its record's.
    case closedRegion = 8
}
