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
        guard let node = unsafe allocate(byteCount: MemoryLayout<cistern_region_cleanup_record>.size) else { return lastRefusal }
        let cleanup = Ref<cistern_region_cleanup_record>(regionAddress: UInt(bitPattern: node))
        cleanup.it.older = record.it.cleanups
        cleanup.it.function = unsafe unsafeBitCast(function, to: uintptr_t.self)
        cleanup.it.context = uintptr_t(context)
        record.it.cleanups = uintptr_t(cleanup.number)
        return .done
    }

    /// Runs and forgets the actions registered after a given one. The region is busy meanwhile, and those above it are pinned:
    /// an action cannot close them.
    func runCleanups(downTo oldest: uintptr_t) {
        guard record.it.cleanups != oldest else { return }
        pinParents(by: 1)
        defer { pinParents(by: UInt32.max) }
        while record.it.cleanups != oldest, let cleanup = Ref<cistern_region_cleanup_record>.optional(record.it.cleanups) {
            // Forgotten first: an action runs once, whatever it does.
            record.it.cleanups = cleanup.it.older
            let function = unsafe unsafeBitCast(cleanup.it.function, to: RegionCleanup.self)
            function(UInt(cleanup.it.context))
        }
    }

    private func pinParents(by change: UInt32) {
        var next = Ref<cistern_region>.optional(record.it.parent)
        while let region = next {
            region.it.pin_count &+= change
            next = .optional(region.it.parent)
        }
    }
}
