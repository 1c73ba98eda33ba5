import HeapCore
import Regions

// Safety: the bytes handed in are the caller's objects in this region; a closure that a C function calls lives on the stack
// of the call that passes it, or is retained until the function has run.

/// Tells regions of a heap apart: equal for the same opening of the same region only.
public struct RegionIdentity: Hashable, Sendable {
    let record: UInt
    let incarnation: UInt64
}

extension BoundedRegion {
    var identity: RegionIdentity { RegionIdentity(record: UInt(bitPattern: unsafe recordPointer), incarnation: incarnation) }
}

extension Region {
    /// Which region this is.
    public var identity: RegionIdentity { core.identity }

    /// Hands an object to the parent, where it outlives this region. A large object (16 KiB and more) keeps its address, and
    /// nothing is copied; any other is copied, and the original stays what it was.
    ///
    /// - Parameters:
    ///   - object: where an object of this region begins.
    ///   - byteCount: its size; 0 or more.
    ///   - alignment: for a copy.
    /// - Returns: where it is now.
    /// - Throws: `.noParent`, `.notInRegion`, `.exhausted` and `.limitReached` (both the parent's), `.closed`, `.busy`,
    ///   `.invalidArgument`. Nothing has changed then.
    /// - Complexity: constant for a large object; else an allocation and the copy.
    public func promote(
        _ object: UnsafeMutableRawPointer, byteCount: Int, alignment: Int = 8
    ) throws(RegionError) -> UnsafeMutableRawPointer {
        var promoted: UnsafeMutableRawPointer?
        try RegionError.check(unsafe core.promote(object, byteCount: byteCount, alignment: alignment, to: &promoted))
        return unsafe promoted.unsafelyUnwrapped
    }

    /// The same, where `copy` makes the copy: `source` and `destination` have `byteCount` bytes.
    public func promote(
        _ object: UnsafeMutableRawPointer, byteCount: Int, alignment: Int = 8,
        copy: (_ source: UnsafeRawPointer, _ destination: UnsafeMutableRawPointer, _ byteCount: Int) -> Void
    ) throws(RegionError) -> UnsafeMutableRawPointer {
        var promoted: UnsafeMutableRawPointer?
        let status = unsafe withoutActuallyEscaping(copy) { copy in
            var action = unsafe copy
            return unsafe withUnsafePointer(to: &action) { action in
                unsafe core.promote(
                    object, byteCount: byteCount, alignment: alignment,
                    copy: { context, source, destination, byteCount in
                        typealias Copy = (UnsafeRawPointer, UnsafeMutableRawPointer, Int) -> Void
                        guard let copy = unsafe UnsafePointer<Copy>(bitPattern: context) else { return }
                        unsafe copy.pointee(source, destination, byteCount)
                    }, context: UInt(bitPattern: action), to: &promoted)
            }
        }
        try RegionError.check(status)
        return unsafe promoted.unsafelyUnwrapped
    }

    /// Registers an action that runs when the region goes, is reset, or is released to an older mark: the youngest first, while
    /// everything in the region can still be read. It must not use this region or one above it that is going.
    ///
    /// - Parameters:
    ///   - function: called once.
    ///   - context: passed to it as it is.
    /// - Throws: `.exhausted`, `.limitReached`, `.closed`, `.busy`.
    /// - Complexity: constant; 24 bytes of the region.
    public func addCleanup(_ function: RegionCleanup, context: UInt) throws(RegionError) {
        try RegionError.check(core.addCleanup(function, context: context))
    }

    /// The same with a closure, which is kept outside the heap.
    public func addCleanup(_ action: @escaping () -> Void) throws(RegionError) {
        let box = unsafe Unmanaged.passRetained(CleanupBox(action))
        let status = core.addCleanup(
            { context in
                guard let box = unsafe UnsafeRawPointer(bitPattern: context) else { return }
                unsafe Unmanaged<CleanupBox>.fromOpaque(box).takeRetainedValue().action()
            }, context: UInt(bitPattern: unsafe box.toOpaque()))
        if status != .done { unsafe box.release() }
        try RegionError.check(status)
    }

    private final class CleanupBox {
        let action: () -> Void
        init(_ action: @escaping () -> Void) { self.action = action }
    }

    // MARK: For collectors

    /// Exchanges the contents of two regions: chunks, large objects, cleanup actions. Each keeps its children, its limit and its
    /// place among the others. A collector copies what lives into a second region, exchanges, and closes that one.
    ///
    /// - Throws: `.notExchangeable` for regions of two heaps, `.limitReached` when a limit does not hold the other's contents,
    ///   `.closed`, `.busy`. Nothing has changed then. Marks of both are stale afterwards.
    /// - Complexity: linear in the chunks and large objects of both.
    public func exchangeContents(with other: borrowing Region) throws(RegionError) {
        try RegionError.check(core.exchangeContents(with: other.core))
    }

    /// Is the address inside this region's bytes? Constant, no lock.
    public func contains(_ address: UnsafeRawPointer) -> Bool { unsafe core.contains(address) }

    /// Calls `body` with every chunk, youngest first, then with every large object, youngest first. `body` must not allocate in
    /// this region.
    ///
    /// - Complexity: linear in both.
    public func visitChunks(_ body: (RegionChunk) -> Void) { core.visitChunks(body) }

    /// What the region holds.
    ///
    /// - Complexity: linear in cleanup actions and children.
    public var statistics: RegionStatistics { core.statistics }
}
