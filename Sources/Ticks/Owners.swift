import CTicks
import HeapCore

// Safety: see RegionDirectory.swift.

// A region is owned by any number of regions that were made before it, and goes with the last of them. It is listed under one
// of its owners, its parent, by slots in the live parts of its siblings; each further owner costs a link (40 bytes) of its own.
//
// - An owner is older than what it owns, so that nothing owns itself in the end.
// - What has a link to an owner has a parent: dropping a link never takes a region's last owner. Only what is listed under a region
//   that goes can go with it, and it does unless it has a link to another owner, under which it is listed then.
// - Both ends of a link are alive: a region that is removed drops all its links at once, before anything below it is looked at.
//
// Taking owners away, by removal or one by one, frees links and needs no memory. A region without links costs one look at a word.
extension RegionDirectory {
    private static var linkBytes: UInt { UInt(MemoryLayout<cistern_owner_link>.size) }

    func link(_ offset: UInt64) -> Ref<cistern_owner_link> { at(offset) }

    // MARK: Owners

    /// Makes a region an owner of another, beside those that it has, or the first of one that has none: from then on the child
    /// goes when the last of them does. Readers are not told of it: it changes no name and no content.
    ///
    /// - Parameters:
    ///   - owner: a living region that was made before the child: in an earlier tick, or earlier in the same.
    ///   - child: a living region.
    /// - Throws: `unknownRegion`, `removedRegion`, `ownerTooYoung`, `alreadyOwner`; `outOfCapacity`, not for the first owner. Nothing
    ///   has changed then.
    /// - Complexity: proportional to the owners of the child or to what the owner shares with others, whichever is less.
    public func addOwner(_ owner: RegionID, of child: RegionID) throws(DirectoryError) {
        lock()
        defer { unlock() }
        let record = try livingRecord(child)
        guard isOlder(try livingRecord(owner), record) else { throw .ownerTooYoung(owner: owner, child: child) }
        let isOwner = record.it.parent == owner.slot || findLink(owner.slot, child.slot) != 0
        guard !isOwner else { throw .alreadyOwner(owner: owner, child: child) }
        guard addOwner(owner.slot, of: child.slot) else { throw .outOfCapacity }
    }

    /// Another owner for one that does not have it; false when the heap is full.
    func addOwner(_ owner: UInt32, of child: UInt32) -> Bool {
        let record = record(child)
        guard record.it.parent != 0 else {
            record.it.parent = owner
            enter(record, child, underParent: owner)
            return true
        }
        let offset = allocate(Self.linkBytes)
        guard offset != 0 else { return false }
        let link = link(offset)
        link.it.owner = owner
        link.it.child = child
        enterRing(offset, of: owner, isFirst: false)
        enterRing(offset, of: child, isFirst: true)
        header.it.owner_link_count &+= 1
        return true
    }

    /// Takes an owner away from a region that lives on: under its other owners, or, when this was the last, without one, until it is
    /// removed itself or owned anew. Never fails for want of memory.
    ///
    /// - Returns: false when the child has no owner now, true as long as it has.
    /// - Throws: `unknownRegion`, `removedRegion`, `notOwner`; nothing has changed then.
    /// - Complexity: as `addOwner`.
    public func removeOwner(_ owner: RegionID, of child: RegionID) throws(DirectoryError) -> Bool {
        lock()
        defer { unlock() }
        _ = try livingRecord(owner)
        let record = try livingRecord(child)
        let part = livePart(record)
        if record.it.parent != owner.slot {
            let offset = findLink(owner.slot, child.slot)
            guard offset != 0 else { throw .notOwner(owner: owner, child: child) }
            dropLink(offset)
        } else if hasMoreOwners(child.slot, part) {
            moveToNextOwner(record, child.slot, part)
        } else {
            leaveParent(record, part)
            record.it.parent = 0
        }
        return record.it.parent != 0
    }

    /// Calls `body` with each owner of a living region, its parent first, then the others as they came; with none for any other id.
    ///
    /// - Parameter body: runs with the directory locked: it must not call the directory.
    /// - Complexity: linear in the owners.
    public func forEachOwner(of id: RegionID, _ body: (RegionID) -> Void) {
        lock()
        defer { unlock() }
        guard let record = record(id), isLive(record) else { return }
        forEachOwner(record, id.slot) { owner in body(self.id(self.record(owner), slot: owner)) }
    }

    /// Within a tick the numbers of operations tell. They wrap, but two of one tick are not 2^31 apart: each is the birth or the removal
    /// of a record that stays until the tick is over, and 2^30 of those with their live parts are 104 GiB.
    func isOlder(_ left: Ref<cistern_region_record>, _ right: Ref<cistern_region_record>) -> Bool {
        if left.it.birth != right.it.birth { return left.it.birth < right.it.birth }
        return Int32(bitPattern: left.it.generation &- right.it.generation) < 0
    }

    /// Calls `body` with the slot of each owner of a living region, its parent first, then the others as they came.
    func forEachOwner(_ record: Ref<cistern_region_record>, _ slot: UInt32, _ body: (UInt32) -> Void) {
        if record.it.parent != 0 { body(record.it.parent) }
        let part = livePart(record)
        guard hasMoreOwners(slot, part) else { return }
        // From the last link to an owner, which is before the first to a child, or at the end.
        let first = part.it.owner_links
        var last = first
        while next(link(last), of: slot) != first, link(next(link(last), of: slot)).it.child == slot { last = next(link(last), of: slot) }
        while true {
            body(link(last).it.owner)
            if last == first { return }
            last = link(last).it.previous_of_child
        }
    }

    /// Calls `body` with the slot of each region that a living one owns.
    private func forEachOwned(by slot: UInt32, _ body: (UInt32) -> Void) {
        let part = livePart(record(slot))
        var child = part.it.first_child
        while child != 0 {
            body(child)
            child = livePart(record(child)).it.next_sibling
        }
        let last = lastLink(slot, part)
        var offset = last
        while offset != 0, link(offset).it.owner == slot {
            body(link(offset).it.child)
            offset = link(offset).it.previous_of_owner
            if offset == last { return }
        }
    }

    // MARK: The list under a parent

    /// Lists a region under the parent that its record names.
    func enter(_ record: Ref<cistern_region_record>, _ slot: UInt32, underParent parent: UInt32) {
        let parentPart = livePart(self.record(parent))
        let sibling = parentPart.it.first_child
        livePart(record).it.next_sibling = sibling
        record.it.sequence = 0
        if sibling != 0 { self.record(sibling).it.sequence = slot }
        parentPart.it.first_child = slot
    }

    /// Takes a living region out of its parent's list. The siblings before it may be staged, those after it are alive.
    func leaveParent(_ record: Ref<cistern_region_record>, _ part: Ref<cistern_live_part>) {
        let previous = record.it.sequence
        let next = part.it.next_sibling
        if previous != 0 {
            livePart(self.record(previous)).it.next_sibling = next
        } else {
            livePart(self.record(record.it.parent)).it.first_child = next
        }
        if next != 0 { self.record(next).it.sequence = previous }
        record.it.sequence = 0
        part.it.next_sibling = 0
    }

    /// Has it owners beside its parent?
    @inline(__always)
    func hasMoreOwners(_ slot: UInt32, _ part: Ref<cistern_live_part>) -> Bool {
        part.it.owner_links != 0 && link(part.it.owner_links).it.child == slot
    }

    /// Lists a region that has more owners under one of those; the link is not needed any more.
    @inline(never)
    func moveToNextOwner(_ record: Ref<cistern_region_record>, _ slot: UInt32, _ part: Ref<cistern_live_part>) {
        leaveParent(record, part)
        let owner = link(part.it.owner_links).it.owner
        dropLink(part.it.owner_links)
        record.it.parent = owner
        enter(record, slot, underParent: owner)
    }

    // MARK: Links

    /// Drops all links of a region, to owners and to children.
    @inline(never)
    func dropLinks(_ slot: UInt32, _ part: Ref<cistern_live_part>) {
        while part.it.owner_links != 0 { dropLink(part.it.owner_links) }
    }

    private func dropLink(_ offset: UInt64) {
        let link = link(offset)
        leaveRing(offset, link, of: link.it.owner)
        leaveRing(offset, link, of: link.it.child)
        free(offset, Self.linkBytes)
        header.it.owner_link_count &-= 1
    }

    /// The link between two regions; 0 when there is none. Looks from both ends, until one has no more.
    private func findLink(_ owner: UInt32, _ child: UInt32) -> UInt64 {
        let first = livePart(record(child)).it.owner_links
        let last = lastLink(owner, livePart(record(owner)))
        guard first != 0, last != 0 else { return 0 }
        var (forward, backward) = (first, last)
        repeat {
            guard link(forward).it.child == child, link(backward).it.owner == owner else { return 0 }
            if link(forward).it.owner == owner { return forward }
            if link(backward).it.child == child { return backward }
            forward = link(forward).it.next_of_child
            backward = link(backward).it.previous_of_owner
        } while forward != first && backward != last
        return 0
    }

    private func lastLink(_ slot: UInt32, _ part: Ref<cistern_live_part>) -> UInt64 {
        part.it.owner_links == 0 ? 0 : previous(link(part.it.owner_links), of: slot)
    }

    // MARK: Rings

    func next(_ link: Ref<cistern_owner_link>, of slot: UInt32) -> UInt64 {
        link.it.child == slot ? link.it.next_of_child : link.it.next_of_owner
    }

    func previous(_ link: Ref<cistern_owner_link>, of slot: UInt32) -> UInt64 {
        link.it.child == slot ? link.it.previous_of_child : link.it.previous_of_owner
    }

    private func join(_ left: UInt64, _ right: UInt64, of slot: UInt32) {
        if link(left).it.child == slot { link(left).it.next_of_child = right } else { link(left).it.next_of_owner = right }
        if link(right).it.child == slot { link(right).it.previous_of_child = left } else { link(right).it.previous_of_owner = left }
    }

    private func enterRing(_ offset: UInt64, of slot: UInt32, isFirst: Bool) {
        let part = livePart(record(slot))
        let first = part.it.owner_links
        let last = first == 0 ? offset : previous(link(first), of: slot)
        join(last, offset, of: slot)
        join(offset, first == 0 ? offset : first, of: slot)
        if isFirst || first == 0 { part.it.owner_links = offset }
    }

    private func leaveRing(_ offset: UInt64, _ link: Ref<cistern_owner_link>, of slot: UInt32) {
        let part = livePart(record(slot))
        let next = next(link, of: slot)
        join(previous(link, of: slot), next, of: slot)
        if part.it.owner_links == offset { part.it.owner_links = next == offset ? 0 : next }
    }

    // MARK: What would go

    /// Calls `body` with the record of each region that the removal of one would take, the one itself first. Leaves all as it was.
    ///
    /// While it looks, `next` of a living record counts the owners that it would have left, and, once there are none, names the next
    /// that would go.
    func forEachToGo(with root: UInt32, _ body: (Ref<cistern_region_record>) -> Void) {
        var last = root
        var slot = root
        record(root).it.state |= UInt8(CISTERN_RECORD_WOULD_GO.rawValue)
        while slot != 0 {
            body(record(slot))
            forEachOwned(by: slot) { child in
                guard losesLastOwner(child) else { return }
                record(last).it.next = child
                last = child
            }
            slot = record(slot).it.next
        }
        slot = root
        while slot != 0 {
            forEachOwned(by: slot) { child in
                if !has(CISTERN_RECORD_WOULD_GO, record(child)) { record(child).it.next = 0 }
            }
            slot = record(slot).it.next
        }
        slot = root
        while slot != 0 {
            let record = record(slot)
            slot = record.it.next
            record.it.next = 0
            record.it.state &= ~UInt8(CISTERN_RECORD_WOULD_GO.rawValue)
        }
    }

    private func losesLastOwner(_ child: UInt32) -> Bool {
        let record = record(child)
        // Nothing comes round to where the look began, unless a hostile image has births of one tick 2^31 numbers apart.
        guard !has(CISTERN_RECORD_WOULD_GO, record) else { return false }
        if record.it.next == 0 { forEachOwner(record, child) { _ in record.it.next &+= 1 } }
        record.it.next &-= 1
        guard record.it.next == 0 else { return false }
        record.it.state |= UInt8(CISTERN_RECORD_WOULD_GO.rawValue)
        return true
    }
}
