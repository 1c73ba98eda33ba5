import HeapCore
import Limits
import Regions

// Safety: blocks are handed on between the caller and the core, which says what it takes; nothing is dereferenced here.

/// A bounded heap: one reservation of a known capacity, and everything the heap needs lives inside it.
///
/// ```swift
/// let heap = try Heap(capacityBytes: 64 << 20)
/// let block = heap.allocate(byteCount: 100)
/// ```
///
/// Running out of capacity is an ordinary answer: `allocate` returns `nil`, nothing is lost by it, and freeing makes room
/// again. The heap lives as long as this object; its memory goes back to the system with it, live blocks and all. Swift
/// ends an object after its last use in the code, so keep it where it outlives the blocks, or use `withExtendedLifetime`.
///
/// Every method may be called from any thread at any time, unless the heap was made `isForOneThread` or the method says
/// otherwise. Sizes are bytes. Nothing prints, exits or calls malloc.
///
/// Safety: blocks are raw memory, and it is the caller who keeps each within its size and its life. Checked mode finds
/// most breaches.
public final class Heap: @unchecked Sendable {
    @usableFromInline
    let core: BoundedHeap

    /// Where the capacity came from, why it is what it is, and which limit it exceeds. Its `bytes` are what was reserved,
    /// before rounding up to a page.
    public let capacityChoice: CapacityChoice

    /// For a capacity that was fitted and still refused, so that the heap is smaller: the first refusal. Otherwise `nil`.
    public let capacityRefusal: HeapCreationError?

    /// Reserves a heap.
    ///
    /// - Parameter options: capacity and mode.
    /// - Throws: `HeapError.creation`, which names the limit in the way; nothing is left behind.
    /// - Complexity: constant; three system calls, five when not inherited by fork. The limits of the process are not read, so
    ///   `capacityChoice.exceeds` is `nil`.
    public init(_ options: HeapOptions) throws(HeapError) {
        let given = CapacityChoice(bytes: options.capacityBytes, source: .api, reason: .given)
        (core, capacityChoice, capacityRefusal) = try HeapCapacity.Plan(choice: given, mayShrink: false).reserve(options)
    }

    /// Reserves a heap of a capacity, in every other respect the default.
    ///
    /// - Parameter capacityBytes: 1 MiB to 128 GiB, rounded up to a page.
    /// - Throws: as `init(_:)`.
    public convenience init(capacityBytes: UInt64) throws(HeapError) {
        try self.init(HeapOptions(capacityBytes: capacityBytes))
    }

    /// Reserves a heap whose capacity a rule gives.
    ///
    /// A capacity that was fitted and is refused all the same shrinks by an eighth per try, down to 16 MiB; one that was asked
    /// for does not.
    ///
    /// - Parameters:
    ///   - capacity: a number or a rule, such as `.bytes(1 << 30)`, `.environment()` or `.parsed("75%")`.
    ///   - change: sets options other than the capacity.
    /// - Throws: `HeapError`, with a line that says what was given and what is expected or in the way; nothing is left behind.
    /// - Complexity: constant; some ten system calls to read the limits, four at most for each try.
    public init(capacity: HeapCapacity, _ change: (inout HeapOptions) -> Void = { _ in }) throws(HeapError) {
        let plan: HeapCapacity.Plan
        do throws(CapacityError) { plan = try capacity.plan(.current()) } catch { throw .capacityText(error) }
        var options = HeapOptions(capacityBytes: plan.choice.bytes)
        change(&options)
        (core, capacityChoice, capacityRefusal) = try plan.reserve(options)
    }

    deinit {
        // A refusal leaves the address space mapped; there is nobody left to tell.
        _ = core.destroy()
    }

    // MARK: Blocks

    /// Allocates a block of at least `byteCount` bytes, content undefined; `nil` when the capacity does not hold it.
    ///
    /// - Parameter byteCount: 0 or more.
    /// - Returns: 16-aligned when the size is a multiple of 16, else 8-aligned, or as the heap's `blockAlignment` has it.
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

    /// Allocates a block whose bytes are zero, `nil` when the capacity does not hold it. Pages fresh from the system are not
    /// written.
    ///
    /// - Parameter byteCount: 0 or more.
    /// - Complexity: the bytes that have to be cleared.
    public func allocateZeroed(byteCount: Int) -> UnsafeMutableRawPointer? {
        unsafe core.allocateZeroed(byteCount: byteCount)
    }

    /// Frees a block of known size. The fastest way.
    ///
    /// - Parameters:
    ///   - block: a live block of this heap.
    ///   - byteCount: from the size asked for to the usable size.
    /// - Complexity: constant, but for a flush.
    @inlinable @inline(__always)
    public func deallocate(_ block: UnsafeMutableRawPointer, byteCount: Int) {
        unsafe core.deallocate(block, byteCount: byteCount)
    }

    /// Frees a live block of this heap; its size is looked up.
    ///
    /// - Complexity: as `usableSize(of:)`.
    @inlinable @inline(__always)
    public func deallocate(_ block: UnsafeMutableRawPointer) {
        unsafe core.deallocate(block)
    }

    /// Gives a block another size, in place where it can; the content is kept up to the smaller size.
    ///
    /// - Parameters:
    ///   - block: a live block of this heap.
    ///   - oldByteCount: the size asked for before; keeps `requestedBytes` exact.
    ///   - byteCount: the new size, 0 or more.
    /// - Complexity: constant in place; otherwise the bytes kept.
    /// - Returns: the block, moved or not; `nil` when there is no room: then it is as it was. Shrinking fails only in a
    ///   full heap, where the smaller size asks for more alignment than the block has.
    public func resize(
        _ block: UnsafeMutableRawPointer, from oldByteCount: Int? = nil, to byteCount: Int
    ) -> UnsafeMutableRawPointer? {
        unsafe core.resize(block, from: oldByteCount, to: byteCount)
    }

    // MARK: Look-up

    /// Bytes that a live block can hold: at least what was asked for.
    ///
    /// - Complexity: constant up to 512 bytes; above, a look at a bit per 64 bytes of the block, 64 at a time.
    public func usableSize(of block: UnsafeRawPointer) -> Int { unsafe core.usableSize(of: block) }

    /// Is the address inside this heap's reservation? Constant, no lock.
    @inlinable
    public func contains(_ address: UnsafeRawPointer) -> Bool { unsafe core.contains(address) }

    /// The block that holds an address, which may point into its middle; `nil` where no block is. A freed block that a
    /// thread cache still holds is found.
    ///
    /// - Complexity: up to 512 bytes constant; above, a bit per 64 bytes before the address, 64 at a time.
    public func block(holding address: UnsafeRawPointer) -> UnsafeMutableRawBufferPointer? {
        unsafe core.block(holding: address)
    }

    /// Calls `body` with every live block and its usable size, in address order. No other call may be in progress, and `body`
    /// must not call the heap.
    ///
    /// - Complexity: proportional to the heap's extent.
    public func visitLiveBlocks(_ body: (UnsafeMutableRawPointer, Int) -> Void) { unsafe core.visitLiveBlocks(body) }

    // MARK: The heap itself

    /// Bytes reserved.
    public var capacityBytes: UInt64 { core.capacityBytes }

    /// What the heap holds. Exact when no other thread is in it. A look at each block in a thread cache, none at live ones.
    public var statistics: HeapStatistics { core.statistics() }

    /// Is more in use than the soft limit? One load: a runtime may poll it at every safe point.
    public var isAboveSoftLimit: Bool { core.isAboveSoftLimit }

    /// Sets the soft limit; 0 clears it.
    public func setSoftLimit(bytes: UInt64) { core.setSoftLimit(bytes: bytes) }

    /// The errno of the last commit that the system refused; 0 after one that it granted.
    public var lastRefusalCode: Int32 { core.lastRefusalCode }

    /// Gives everything that is free back to the system at once, so that what the kernel counts for this process falls before
    /// the call returns. Free blocks in other threads' caches, at most a 64th of the capacity, stay. Returns bytes given back.
    @discardableResult
    public func trim() -> UInt64 { core.trim() }

    /// The same, and the caches of all other threads. No other call on this heap may be in progress: for hosts that stop their
    /// threads.
    @discardableResult
    public func trimAtSafePoint() -> UInt64 { core.trimAtSafePoint() }

    /// Frees every block at once and gives all memory behind them back to the system. The heap may be used again.
    ///
    /// All blocks are gone, whoever has them: touching one is undefined, and may end the process by a signal; so are handles that C
    /// code has of regions it has closed. No other call on
    /// this heap may be in progress, in any thread; threads need no preparation otherwise.
    ///
    /// - Throws: `DiscardError` while a region of the heap, the handle of one, or a `Directory` is there; nothing has changed then.
    /// - Returns: bytes given back. Where the system refuses to take pages, the heap is empty all the same, and
    ///   `statistics.touchedBytes` tells what stayed.
    /// - Complexity: the pages that the kernel has to free, about 70 ms per GiB; no look at any block.
    @discardableResult
    public func discard() throws(DiscardError) -> UInt64 { try core.discard() }

    /// For idle hosts: gives back what was free since the last call. Returns bytes given back.
    @discardableResult
    public func maintain() -> UInt64 { core.maintain() }

    /// Compares all of the heap's structures with each other, its regions among them; `nil` when they agree. No other call may be
    /// in progress.
    ///
    /// - Complexity: proportional to the heap's extent.
    public func verify() -> HeapInconsistency? { core.verifyRegions() }
}
