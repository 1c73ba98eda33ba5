import CHeap
@_spi(Regions) import HeapCore

// Safety: records come from the heap's pool and go back there once; see RegionMemory.swift.

extension BoundedHeap {
    /// Opens a free-standing region.
    ///
    /// - Returns: nil when the heap has no room for its record.
    /// - Complexity: constant. Any thread may call it; the region is that thread's.
    public func openRegion(_ options: RegionOptions = RegionOptions()) -> BoundedRegion? {
        var record = takeRegionRecord()
        if record == nil, scavengeForRegions() { record = takeRegionRecord() }
        guard let record else { return nil }
        BoundedRegion(record: record).begin(options)
        return BoundedRegion(record: record)
    }
}

extension BoundedRegion {
    /// Opens a region inside this one, which closes it at the latest when it is closed itself.
    ///
    /// - Returns: nil when the heap has no room for its record, and in a closed or busy region.
    /// - Complexity: constant.
    @inlinable @inline(__always)
    public func openChild(_ options: RegionOptions = RegionOptions()) -> BoundedRegion? {
        // A busy region keeps no record for children. A closed one may: it is of use when the region is opened again.
        guard _fastPath(record.it.spare_child != 0), _fastPath(isOpen) else { return openChildSlow(options) }
        let child = BoundedRegion(record: Ref(regionAddress: UInt(record.it.spare_child)))
        record.it.spare_child = 0
        child.begin(options)
        link(child)
        return child
    }

    @inline(never)
    @usableFromInline
    func openChildSlow(_ options: RegionOptions) -> BoundedRegion? {
        let status = usability()
        guard status == .done, let child = heap.openRegion(options) else {
            record.it.last_refusal = (status == .done ? .exhausted : status).rawValue
            return nil
        }
        child.record.it.parent = uintptr_t(record.number)
        link(child)
        return child
    }

    /// A closed record becomes an open region without anything in it.
    @inlinable @inline(__always)
    func begin(_ options: RegionOptions) {
        record.it.incarnation &+= 1
        record.it.limit_bytes = options.limitBytes
        record.it.last_refusal = 0
        record.it.flags |= UInt64(CISTERN_REGION_OPEN | (options.isOwned ? CISTERN_REGION_OWNED : 0))
    }

    /// Enters a child as the youngest.
    @inlinable @inline(__always)
    func link(_ child: BoundedRegion) {
        record.it.serial &+= 1
        child.record.it.birth = record.it.serial
        child.record.it.next = record.it.first_child
        if record.it.first_child != 0 {
            Ref<cistern_region>(regionAddress: UInt(record.it.first_child)).it.previous = uintptr_t(child.record.number)
        }
        record.it.first_child = uintptr_t(child.record.number)
    }

    // MARK: Closing

    /// Closes the region: first the regions inside it, youngest first, then runs its cleanup actions, youngest first, then gives
    /// back its memory.
    ///
    /// - Returns: `.done`; `.closed` when it was closed already; `.busy` from inside one of its own cleanup actions. In checked
    ///   mode a second closing is reported.
    /// - Complexity: linear in chunks, large objects, cleanup actions and children. One inside another that is empty: constant.
    @inlinable @inline(__always)
    @discardableResult
    public func close() -> RegionStatus {
        closeIfEmpty(flags: UInt64(CISTERN_REGION_OPEN)) ? .done : closeSlow()
    }

    /// Ends an owned handle: closes the region if a parent has not done so, and gives the record back.
    ///
    /// To be called once for each region opened with `isOwned`; the handle is not to be used afterwards.
    ///
    /// - Complexity: as `close()`.
    @inlinable @inline(__always)
    public func dispose() {
        if !closeIfEmpty(flags: UInt64(CISTERN_REGION_OPEN | CISTERN_REGION_OWNED)) { disposeSlow() }
    }

    /// The youngest child, in which there never was anything, is unlinked and kept for the next one. False: nothing has happened.
    @inlinable @inline(__always)
    func closeIfEmpty(flags: UInt64) -> Bool {
        let it = record.it
        guard _fastPath(it.flags == flags), _fastPath(it.parent != 0) else { return false }
        let parent = Ref<cistern_region>(regionAddress: UInt(it.parent))
        guard _fastPath(UInt(parent.it.first_child) == record.number), _fastPath(parent.it.spare_child == 0) else { return false }
        // Who had a chunk or a large object has a high-water mark; cleanup actions and marks stand in a chunk. The record that it
        // keeps for a child of its own stays with it.
        guard _fastPath(it.run_high_water_bytes | UInt64(it.first_child) == 0) else { return false }
        parent.it.first_child = it.next
        if it.next != 0 { Ref<cistern_region>(regionAddress: UInt(it.next)).it.previous = 0 }
        record.it.flags = 0
        parent.it.spare_child = uintptr_t(record.number)
        return true
    }

    @inline(never)
    @usableFromInline
    func closeSlow() -> RegionStatus {
        let status = closability()
        guard status == .done else { return status }
        let parent = Ref<cistern_region>.optional(record.it.parent)
        if closeTree(), let parent { BoundedRegion(record: parent).closeAbandoned() }
        return .done
    }

    /// What closing would answer now. Asking is no misuse.
    public var closingStatus: RegionStatus { isOpen ? closability() : .closed }

    /// Makes the caller the owner of an open region that stands alone and has none, as if it had opened it with `isOwned`.
    ///
    /// - Returns: `.done`; `.closed`; `.busy`; `.invalidArgument` for one that is inside another, has an owner, or is on a stack.
    public func claim() -> RegionStatus {
        let status = closability()
        guard status == .done else { return status }
        guard record.it.parent == 0, !has(CISTERN_REGION_OWNED), !has(CISTERN_REGION_ON_STACK) else { return .invalidArgument }
        set(CISTERN_REGION_OWNED)
        return .done
    }

    /// Undoes a `claim()` that has just been made.
    public func unclaim() { clear(CISTERN_REGION_OWNED) }

    @inline(never)
    @usableFromInline
    func disposeSlow() {
        let parent = isOpen ? Ref<cistern_region>.optional(record.it.parent) : nil
        if has(CISTERN_REGION_BUSY) || record.it.pin_count > 0 {
            // From inside a cleanup action, and it cannot be closed now: whoever runs the actions does so afterwards.
            clear(CISTERN_REGION_OWNED)
            return set(CISTERN_REGION_ABANDONED)
        }
        let hasRunActions = isOpen && closeTree()
        clear(CISTERN_REGION_OWNED)
        heap.returnRegionRecord(record)
        if hasRunActions, let parent { BoundedRegion(record: parent).closeAbandoned() }
    }

    /// Closes this region, and those above it, where the handle went while cleanup actions stood in the way. To be called when
    /// actions have run, of this region or inside it.
    func closeAbandoned() {
        var next: Ref<cistern_region>? = record
        while let current = next {
            next = .optional(current.it.parent)
            let region = BoundedRegion(record: current)
            guard region.has(CISTERN_REGION_ABANDONED), region.closability() == .done else { continue }
            region.closeTree()
        }
    }

    /// Closes an open region and all inside it, without recursion: down to the youngest child of the youngest child, and up.
    /// Says whether cleanup actions have run.
    @discardableResult
    private func closeTree() -> Bool {
        var current = self
        var hasRunActions = false
        while true {
            current.becomeBusy()
            if let child = Ref<cistern_region>.optional(current.record.it.first_child) {
                current = BoundedRegion(record: child)
                continue
            }
            if current.runCleanups(downTo: 0) { hasRunActions = true }
            current.giveBackEverything()
            let parent = Ref<cistern_region>.optional(current.record.it.parent)
            current.unlinkFromParent()
            current.retire()
            if current == self { return hasRunActions }
            guard let parent else { return hasRunActions }
            current = BoundedRegion(record: parent)
        }
    }

    /// Nothing may be done to the region from here on; what is in it stays. Its spare record goes back, and the one that this
    /// one keeps, and so on: a busy region opens none.
    func becomeBusy() {
        closeFastPath()
        set(CISTERN_REGION_BUSY)
        var next = Ref<cistern_region>.optional(record.it.spare_child)
        record.it.spare_child = 0
        while let spare = next {
            next = .optional(spare.it.spare_child)
            spare.it.spare_child = 0
            spare.it.parent = 0
            heap.returnRegionRecord(spare)
        }
    }

    /// The opposite, for a region that goes on.
    func endBusy() {
        clear(CISTERN_REGION_BUSY)
        refreshEnd()
    }

    /// Closes the children that were opened after a serial, youngest first.
    /// Says whether cleanup actions have run.
    func closeChildren(bornAfter serial: UInt64) -> Bool {
        var hasRunActions = false
        while let child = Ref<cistern_region>.optional(record.it.first_child), child.it.birth > serial {
            if BoundedRegion(record: child).closeTree() { hasRunActions = true }
        }
        return hasRunActions
    }

    private func giveBackEverything() {
        if let chunk {
            record.it.chunk = 0
            giveBack(chunk)
        }
        if let large = Ref<cistern_region_chunk>.optional(record.it.large) {
            record.it.large = 0
            giveBack(large)
        }
    }

    private func unlinkFromParent() {
        guard let parent = Ref<cistern_region>.optional(record.it.parent) else { return }
        if let next = Ref<cistern_region>.optional(record.it.next) { next.it.previous = record.it.previous }
        if let previous = Ref<cistern_region>.optional(record.it.previous) {
            previous.it.next = record.it.next
        } else {
            parent.it.first_child = record.it.next
        }
    }

    /// The record of a region that has nothing any more is zeroed, and kept by its parent or given back, unless it is owned.
    private func retire() {
        let parent = Ref<cistern_region>.optional(record.it.parent)
        let isOwned = has(CISTERN_REGION_OWNED)
        var empty = cistern_region()
        empty.incarnation = record.it.incarnation
        empty.heap = record.it.heap
        empty.flags = record.it.flags & UInt64(CISTERN_REGION_CHECKED | CISTERN_REGION_OWNED)
        // Who uses it now is told so.
        empty.last_refusal = RegionStatus.closed.rawValue
        record.it = empty
        if isOwned { return }
        if let parent, parent.it.spare_child == 0, parent.it.flags & UInt64(CISTERN_REGION_BUSY | CISTERN_REGION_CHECKED) == 0 {
            record.it.parent = uintptr_t(parent.number)
            parent.it.spare_child = uintptr_t(record.number)
        } else {
            heap.returnRegionRecord(record)
        }
    }
}
