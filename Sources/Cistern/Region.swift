import HeapCore
import Regions

// Safety: addresses are handed on between the caller and the core, which says what it takes. A handle names an open region, or
// one that a region above it has closed: its record stays this handle's until the handle goes. The heap is there as long as the
// handle: the handle holds on to it, or stands in a scope whose caller does.

/// Memory of a heap that dies all at once.
///
/// ```swift
/// let sum = heap.withRegion { region in
///     guard let numbers = region.makeArray(repeating: 1, count: 1000) else { return 0 }
///     return numbers.reduce(0, +)
/// }
/// ```
///
/// Allocation takes the next bytes of the region's current chunk, a run of whole pages; chunks begin with one page and grow.
/// Objects are not freed one by one: the region goes when its handle does, at `close()` or at the end of its scope, and with
/// it every region that was opened inside it and is still there. Whoever holds the handle of such a one finds it closed.
///
/// A region is one thread's at a time, together with its parent and its children: the handle is no `Sendable`, and there is no
/// region that a thread has "now". The handle of a free-standing region keeps the heap alive. A heap that a fork's child did
/// not inherit has no regions there either: handles that keep the heap may go in it, and nothing else may be done with any.
///
/// Safety: objects are raw memory, and it is the caller who keeps each within its size, and from being used when its region
/// is gone. In a heap in checked mode bytes of a region that is gone read as 0xDD.
@safe @frozen
public struct Region: ~Copyable {
    @usableFromInline
    let core: BoundedRegion

    @usableFromInline
    let heap: Unmanaged<Heap>

    /// Does the handle hold on to the heap? Not in a scope, whose parent or heap outlives it: counting would cost more there
    /// than all the rest.
    @usableFromInline
    let isKeepingHeap: Bool

    /// A handle that holds on to the heap.
    @usableFromInline
    init(core: BoundedRegion, keeping heap: Heap) {
        self.core = core
        unsafe self.heap = Unmanaged.passRetained(heap)
        isKeepingHeap = true
    }

    /// A handle for a scope.
    @inlinable @inline(__always)
    init(core: BoundedRegion, inScopeOf heap: Unmanaged<Heap>) {
        self.core = core
        unsafe self.heap = unsafe heap
        isKeepingHeap = false
    }

    @inlinable @inline(__always)
    deinit {
        guard isKeepingHeap else {
            core.dispose()
            return
        }
        if unsafe heap.takeUnretainedValue().core.isInThisProcess { core.dispose() }
        unsafe heap.release()
    }

    /// Ends the handle of a scope without closing the region, which is somebody else's from now on, or was all along.
    consuming func relinquish() {
        assert(!isKeepingHeap, "the handle would have to let go of the heap")
        discard self
    }

    /// Closes the region now, as the end of the handle's life does without a word.
    ///
    /// - Throws: `.closed` when a region above it has done so already; `.busy` from inside a cleanup action of this region or of
    ///   one inside it: it goes then with its parent, or as soon as the actions are done where it is being closed itself.
    /// - Complexity: linear in its chunks, large objects, cleanup actions and children.
    @inlinable
    public consuming func close() throws(RegionError) {
        try RegionError.check(core.closingStatus)
    }

    // MARK: Allocating

    /// Allocates `byteCount` bytes of undefined content at a multiple of 8.
    ///
    /// - Parameter byteCount: 0 or more. An allocation of 0 bytes may have the address of the next one.
    /// - Returns: `nil` when the region's limit or the heap's capacity does not hold it, or a parent has closed the region;
    ///   `lastRefusal` says which. Nothing has changed then.
    /// - Complexity: constant, but for a new chunk.
    @inlinable @inline(__always)
    public func allocate(byteCount: Int) -> UnsafeMutableRawPointer? { unsafe core.allocate(byteCount: byteCount) }

    /// Allocates `byteCount` bytes of undefined content at a multiple of `alignment`, a power of two up to the heap's
    /// capacity; anything else gives `nil`.
    ///
    /// - Complexity: constant, but for a new chunk.
    @inlinable @inline(__always)
    public func allocate(byteCount: Int, alignment: Int) -> UnsafeMutableRawPointer? {
        unsafe core.allocate(byteCount: byteCount, alignment: alignment)
    }

    /// Allocates `byteCount` bytes that are all zero.
    ///
    /// - Complexity: the bytes that have to be cleared. Pages fresh from the system are not written.
    public func allocateZeroed(byteCount: Int, alignment: Int = 8) -> UnsafeMutableRawPointer? {
        unsafe core.allocateZeroed(byteCount: byteCount, alignment: alignment)
    }

    /// Why the last allocation that was refused was; `nil` when none was.
    public var lastRefusal: RegionError? { RegionError(core.lastRefusal) }

    // MARK: Giving back

    /// Remembers this moment.
    ///
    /// - Throws: `.exhausted`, `.limitReached`, `.closed`, `.busy`; nothing has changed then.
    /// - Complexity: constant; takes 24 bytes of the region.
    public func mark() throws(RegionError) -> RegionMark {
        var mark = RegionMark()
        try RegionError.check(core.mark(&mark))
        return mark
    }

    /// Gives back what was allocated since a mark was taken: closes the regions opened in this one since, runs the cleanup
    /// actions registered since, and frees. The mark stays and can be released to again.
    ///
    /// - Throws: `.staleMark` for a mark of another region, and for one that a release to an older mark, a reset or an exchange
    ///   has taken away; `.closed`; `.busy`. Nothing has changed then.
    /// - Complexity: linear in what is given back, and in the younger marks.
    public func release(to mark: RegionMark) throws(RegionError) { try RegionError.check(core.release(to: mark)) }

    /// Empties the region and keeps it open, with one chunk. All its marks are stale from then on.
    ///
    /// - Throws: `.closed`, `.busy`.
    /// - Complexity: as `close()`.
    public func reset() throws(RegionError) { try RegionError.check(core.reset()) }

    /// Sets the most bytes that may be allocated in the region, alignment included; 0 takes the limit away. What is there stays.
    ///
    /// - Throws: `.closed`, `.busy`.
    /// - Complexity: constant.
    public func setLimit(bytes: UInt64) throws(RegionError) { try RegionError.check(core.setLimit(bytes: bytes)) }

    // MARK: Inside it

    /// Opens a region inside this one, with a handle of its own, which may go before or after this one's.
    ///
    /// - Parameter limitBytes: the most bytes that may be allocated in it; 0: as many as the heap holds.
    /// - Throws: `.exhausted`, `.closed`, `.busy`.
    /// - Complexity: constant.
    public func openChild(limitBytes: UInt64 = 0) throws(RegionError) -> Region {
        guard let child = core.openChild(RegionOptions(limitBytes: limitBytes, isOwned: true)) else {
            throw RegionError(core.lastRefusal) ?? .exhausted
        }
        return Region(core: child, keeping: unsafe heap.takeUnretainedValue())
    }

    /// Opens a region inside this one for the time of `body`.
    ///
    /// - Returns: what `body` returned; `nil` when there was no room for the region, or this one is closed or busy.
    /// - Throws: what `body` threw; the region is closed before.
    /// - Complexity: constant, and closing; 40 instructions at most for one in which nothing was allocated.
    @inlinable @inline(__always)
    public func withChild<Result: ~Copyable, Failure: Error>(
        limitBytes: UInt64 = 0, _ body: (borrowing Region) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let child = core.openChild(RegionOptions(limitBytes: limitBytes, isOwned: true)) else { return nil }
        let region = unsafe Region(core: child, inScopeOf: heap)
        return try body(region)
    }
}

extension Heap {
    /// Opens a free-standing region. Its handle keeps the heap alive.
    ///
    /// - Parameter limitBytes: the most bytes that may be allocated in it; 0: as many as the heap holds.
    /// - Throws: `.exhausted`.
    /// - Complexity: constant. Any thread may call it; the region is that thread's.
    public func openRegion(limitBytes: UInt64 = 0) throws(RegionError) -> Region {
        guard let region = core.openRegion(RegionOptions(limitBytes: limitBytes, isOwned: true)) else { throw .exhausted }
        return Region(core: region, keeping: self)
    }

    /// Opens a free-standing region for the time of `body`.
    ///
    /// - Returns: what `body` returned; `nil` when there was no room for the region.
    /// - Throws: what `body` threw; the region is closed before.
    /// - Complexity: constant, and closing.
    @inlinable
    public func withRegion<Result: ~Copyable, Failure: Error>(
        limitBytes: UInt64 = 0, _ body: (borrowing Region) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let core = core.openRegion(RegionOptions(limitBytes: limitBytes, isOwned: true)) else { return nil }
        defer { withExtendedLifetime(self) {} }
        let region = unsafe Region(core: core, inScopeOf: Unmanaged.passUnretained(self))
        return try body(region)
    }

    /// Which region's bytes hold an address; `nil` for every other address, in this heap or not.
    ///
    /// - Complexity: constant, no lock. The answer means something while that region is not being closed, and its thread does
    ///   not allocate from it.
    public func region(owning address: UnsafeRawPointer) -> RegionIdentity? {
        unsafe core.region(owning: address).map { $0.identity }
    }
}
