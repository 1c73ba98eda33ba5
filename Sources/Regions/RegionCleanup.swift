import CHeap
@_spi(Regions) import HeapCore

// Safety: a cleanup record stands in its region's own bytes and goes with them; the function was handed over together with
// its context.

/// What runs when a region gives back what was allocated since: a C function and what it is called with.
public typealias RegionCleanup = @convention(c) (_ context: UInt) -> Void

extension BoundedRegion {
    /// Registers an action that runs when the region is closed or reset, or released to an older mark. The youngest runs first,
    /// while everything in the region can still be read. It must not use this region or one above it that is being closed:
    /// they answer `.busy`. It may use others.
    ///
    /// - Parameters:
    ///   - function: called once.
    ///   - context: passed to it as it is.
    /// - Returns: `.done`, or why not: `.exhausted`, `.limitReached`, `.closed`, `.busy`.
    /// - Complexity: constant; takes 24 bytes of the region.
    public func addCleanup(_ function: RegionCleanup, context: UInt) -> RegionStatus {
        guard let node = unsafe allocate(byteCount: Self.cleanupByteCount) else { return lastRefusal }
        unsafe addCleanup(function, context: context, at: node)
        return .done
    }

    /// Bytes of the record of a cleanup action.
    public static var cleanupByteCount: Int { MemoryLayout<cistern_region_cleanup_record>.size }

    /// The same with room for the record that the caller has allocated: nothing can be in the way.
    ///
    /// - Parameter node: `cleanupByteCount` bytes of this region that hold nothing else, at a multiple of 8; the youngest allocation,
    ///   or a part of it.
    public func addCleanup(_ function: RegionCleanup, context: UInt, at node: UnsafeMutableRawPointer) {
        let cleanup = Ref<cistern_region_cleanup_record>(regionAddress: UInt(bitPattern: node))
        cleanup.it.older = record.it.cleanups
        cleanup.it.function = unsafe unsafeBitCast(function, to: uintptr_t.self)
        cleanup.it.context = uintptr_t(context)
        record.it.cleanups = uintptr_t(cleanup.number)
    }

    /// Runs and forgets the actions registered after a given one. The region is busy meanwhile, and those above it are pinned:
    /// an action cannot close them. False: there was none.
    func runCleanups(downTo oldest: uintptr_t) -> Bool {
        guard record.it.cleanups != oldest else { return false }
        pinParents(by: 1)
        defer { pinParents(by: UInt32.max) }
        while record.it.cleanups != oldest, let cleanup = Ref<cistern_region_cleanup_record>.optional(record.it.cleanups) {
            // Forgotten first: an action runs once, whatever it does.
            record.it.cleanups = cleanup.it.older
            let function = unsafe unsafeBitCast(cleanup.it.function, to: RegionCleanup.self)
            function(UInt(cleanup.it.context))
        }
        return true
    }

    private func pinParents(by change: UInt32) {
        var next = Ref<cistern_region>.optional(record.it.parent)
        while let region = next {
            region.it.pin_count &+= change
            next = .optional(region.it.parent)
        }
    }
}
