import HeapCore

/// A bounded heap: one reservation of a known capacity, and everything the heap needs lives inside it.
///
/// ```swift
/// let heap = try Heap(capacityBytes: 64 << 20)
/// let block = heap.allocate(byteCount: 100)
/// ```
///
/// Running out of capacity is an ordinary answer: `allocate` returns `nil`, nothing is lost by it, and freeing makes room
/// again. The heap lives as long as this object; its memory goes back to the system with it, live blocks and all.
///
/// Every method may be called from any thread at any time, unless the heap was made `isForOneThread` or the method says
/// otherwise. Sizes are bytes. Nothing prints, exits or calls malloc.
///
/// Safety: blocks are raw memory, and it is the caller who keeps each within its size and its life. Checked mode finds
/// most breaches.
public final class Heap: @unchecked Sendable {
    @usableFromInline
    let core: BoundedHeap

    /// Reserves a heap.
    ///
    /// - Parameter options: capacity and mode.
    /// - Throws: `HeapCreationError`, which names the limit in the way; nothing is left behind.
    /// - Complexity: constant; at most four system calls.
    public init(_ options: HeapOptions) throws(HeapCreationError) {
        core = try BoundedHeap.create(options)
    }

    /// Reserves a heap of a capacity, in every other respect the default.
    ///
    /// - Parameter capacityBytes: 1 MiB to 128 GiB, rounded up to a page.
    public convenience init(capacityBytes: UInt64) throws(HeapCreationError) {
        try self.init(HeapOptions(capacityBytes: capacityBytes))
    }

    deinit {
        // A refusal leaves the address space mapped; there is nobody left to tell.
        _ = core.destroy()
    }

    // MARK: Blocks

    /// Allocates a block of at least `byteCount` bytes, content undefined; `nil` when the capacity does not hold it.
    ///
    /// - Parameter byteCount: 0 or more.
    /// - Returns: 16-aligned when the size is a multiple of 16 (or the heap `alignsTo16`), else 8-aligned.
    /// - Complexity: constant, but for a refill.
    @inlinable @inline(__always)
    public func allocate(byteCount: Int) -> UnsafeMutableRawPointer? {
        unsafe core.allocate(byteCount: byteCount)
    }

    /// Allocates a block at a multiple of `alignment`, a power of two up to the capacity; anything else gives `nil`.
    ///
    /// - Complexity: as `allocate`; above 64, a look at up to eight free runs.
    public func allocate(byteCount: Int, alignment: Int) -> UnsafeMutableRawPointer? {
        unsafe core.allocate(byteCount: byteCount, alignment: alignment)
    }

    /// Allocates a block whose bytes are zero. Pages fresh from the system are not written.
    ///
    /// - Complexity: the bytes that have to be cleared.
    public func allocateZeroed(byteCount: Int) -> UnsafeMutableRawPointer? {
        unsafe core.allocateZeroed(byteCount: byteCount)
    }

    /// Frees a block of known size: from the size asked for to the usable size. The fastest way.
    @inlinable @inline(__always)
    public func deallocate(_ block: UnsafeMutableRawPointer, byteCount: Int) {
        unsafe core.deallocate(block, byteCount: byteCount)
    }

    /// Frees a block; its size is looked up.
    @inlinable @inline(__always)
    public func deallocate(_ block: UnsafeMutableRawPointer) {
        unsafe core.deallocate(block)
    }

    /// Gives a block another size, in place where it can; the content is kept up to the smaller size.
    ///
    /// - Parameters:
    ///   - oldByteCount: the size asked for before; keeps `requestedBytes` exact.
    /// - Returns: the block, moved or not; `nil` when there is no room: then it is as it was. Shrinking fails only in a
    ///   full heap, where the smaller size asks for more alignment than the block has.
    public func resize(
        _ block: UnsafeMutableRawPointer, from oldByteCount: Int? = nil, to byteCount: Int
    ) -> UnsafeMutableRawPointer? {
        unsafe core.resize(block, from: oldByteCount, to: byteCount)
    }

    // MARK: Look-up

    /// Bytes that a live block can hold.
    public func usableSize(of block: UnsafeRawPointer) -> Int { unsafe core.usableSize(of: block) }

    /// Is the address inside this heap's reservation? Constant, no lock.
    @inlinable
    public func contains(_ address: UnsafeRawPointer) -> Bool { unsafe core.contains(address) }

    /// The block that holds an address, which may point into its middle; `nil` where no block is.
    public func block(holding address: UnsafeRawPointer) -> UnsafeMutableRawBufferPointer? {
        unsafe core.block(holding: address)
    }

    /// Calls `body` with every live block and its usable size, in address order. No other call may be in progress.
    public func visitLiveBlocks(_ body: (UnsafeMutableRawPointer, Int) -> Void) { unsafe core.visitLiveBlocks(body) }

    // MARK: The heap itself

    /// Bytes reserved.
    public var capacityBytes: UInt64 { core.capacityBytes }

    /// What the heap holds. Exact when no other thread is in it.
    public var statistics: HeapStatistics { core.statistics() }

    /// Is more in use than the soft limit? One load: a runtime may poll it at every safe point.
    public var isAboveSoftLimit: Bool { core.isAboveSoftLimit }

    /// Sets the soft limit; 0 clears it.
    public func setSoftLimit(bytes: UInt64) { core.setSoftLimit(bytes: bytes) }

    /// The errno of the last commit that the system refused; 0 after one that it granted.
    public var lastRefusalCode: Int32 { core.lastRefusalCode }

    /// Gives everything that is free back to the system at once. Returns bytes given back.
    @discardableResult
    public func trim() -> UInt64 { core.trim() }

    /// For idle hosts: gives back what was free since the last call. Returns bytes given back.
    @discardableResult
    public func maintain() -> UInt64 { core.maintain() }

    /// Compares all of the heap's structures with each other; `nil` when they agree. No other call may be in progress.
    public func verify() -> HeapInconsistency? { core.verify() }
}
