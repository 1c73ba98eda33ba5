import CTicks
import HeapCore

// Safety: see RegionDirectory.swift.

/// A rule that a directory's structures break.
public enum DirectoryInconsistency: UInt32, Error, Sendable {
    /// Counts of live, staged, held and queued records do not add up to the slots in use.
    case slotCount = 1
    /// Born is not live, staged, held, queued, purged and annihilated together.
    case totals = 2
    /// A list of tombstones holds what it must not, or its count is wrong.
    case cell = 3
    /// Groups of pins are out of order, or their members miscounted.
    case pins = 4
    /// A living region cannot be found by its name, or the table's count is wrong.
    case names = 5
    /// The order of changes is broken.
    case changes = 6
    /// Bytes counted are not those of the parts.
    case bytes = 7
    /// Owners and what they own disagree, or an owner is not older.
    case owners = 8
    /// Contents of named regions are not theirs, or miscounted.
    case contents = 9
}

extension RegionDirectory {
    /// Compares the structures with each other; `nil` when they agree.
    ///
    /// - Complexity: proportional to what the directory holds.
    public func verify() -> DirectoryInconsistency? {
        lockOutOfLine()
        defer { unlockOutOfLine() }
        let it = header.it
        let dead = it.markers.held_count &+ it.markers.queue_count
        let regionCount = it.used_slot_count &- it.content_count
        if regionCount != it.live_count &+ it.staged_count &+ dead { return .slotCount }
        if it.born_total != regionCount &+ it.purged_total &+ it.annihilated_total { return .totals }
        if let found = verifyTable(markers) ?? verifyTable(contents) { return found }
        return verifyRecords() ?? verifyOwners() ?? verifyContents() ?? verifyChanges() ?? verifyReaders()
    }

    private func verifyTable(_ table: PinTable) -> DirectoryInconsistency? {
        guard table.it.count > 0 else { return table.it.held_count == 0 ? nil : .cell }
        var isOrdered = true
        for index in 0..<table.it.count {
            let group = group(table, index)
            if group.it.low > group.it.high || group.it.member_count == 0 { isOrdered = false }
            if index > 0, self.group(table, index &- 1).it.high >= group.it.low { isOrdered = false }
        }
        guard isOrdered else { return .pins }
        var count: UInt64 = 0
        var byteCount: UInt64 = 0
        var isRight = true
        for column in 0..<table.it.count {
            for row in 0...column {
                let cell = cell(table, afterGroups: row, onGroup: column)
                var own: UInt64 = 0
                forEach(table, cell) { _, record in
                    own &+= 1
                    byteCount &+= weight(record)
                    let isDead = state(record) == CISTERN_RECORD_TOMBSTONE.rawValue || (table.it.is_of_contents != 0 && isContent(record))
                    let wanted = table.it.ignores_birth != 0 ? 0 : groups(table, endingBy: record.it.birth)
                    let wantedColumn = groups(table, beginningBy: death(record))
                    if !isDead || row != wanted || column &+ 1 != wantedColumn || death(record) > cell.it.last_death { isRight = false }
                }
                if own != cell.it.count { isRight = false }
                count &+= own
            }
        }
        return isRight && count == table.it.held_count && byteCount == table.it.held_byte_count ? nil : .cell
    }

    private func verifyRecords() -> DirectoryInconsistency? {
        var named: UInt64 = 0
        var nameBytes: UInt64 = 0
        var parts: UInt64 = 0
        for number in 0..<header.it.chunk_count where chunk(number).it.records != 0 {
            let first = number << 8 &+ 1
            for slot in first..<(first &+ 256) {
                let record = record(slot)
                guard state(record) != CISTERN_RECORD_FREE.rawValue else { continue }
                nameBytes &+= UInt64(record.it.name_byte_count)
                if hasLivePart(record) { parts &+= 1 }
                guard state(record) != CISTERN_RECORD_TOMBSTONE.rawValue else { continue }
                named &+= 1
                let name = unsafe name(of: record)
                if isLive(record), unsafe find(name, hash: nameHash(name)) != slot { return .names }
            }
        }
        guard named == header.it.name_count else { return .names }
        return nameBytes == header.it.name_byte_count && parts == header.it.live_part_count ? nil : .bytes
    }

    private func verifyOwners() -> DirectoryInconsistency? {
        var ownedCount: UInt64 = 0
        var listedCount: UInt64 = 0
        var linkEnds: UInt64 = 0
        var isRight = true
        forEachRecord { slot, record in
            if isStaged(record), livePart(record).it.owner_links != 0 { isRight = false }
            guard isLive(record) else { return }
            if record.it.next != 0 || has(CISTERN_RECORD_WOULD_GO, record) { isRight = false }
            if record.it.parent != 0 { ownedCount &+= 1 }
            guard let ends = verifyLinks(record, slot), let listed = verifyList(record, slot) else { return isRight = false }
            linkEnds &+= ends
            listedCount &+= listed
        }
        return isRight && ownedCount == listedCount && linkEnds == header.it.owner_link_count &* 2 ? nil : .owners
    }

    /// How many are listed under a region; nil when the list is broken.
    private func verifyList(_ parent: Ref<cistern_region_record>, _ slot: UInt32) -> UInt64? {
        var count: UInt64 = 0
        var previous: UInt32 = 0
        var child = livePart(parent).it.first_child
        while child != 0 {
            let record = record(child)
            guard isLive(record), record.it.parent == slot, record.it.sequence == previous, isOlder(parent, record) else { return nil }
            count &+= 1
            previous = child
            child = livePart(record).it.next_sibling
        }
        return count
    }

    /// How many links a region has, to owners and to children; nil when the ring is broken.
    private func verifyLinks(_ record: Ref<cistern_region_record>, _ slot: UInt32) -> UInt64? {
        let first = livePart(record).it.owner_links
        guard first != 0 else { return 0 }
        var count: UInt64 = 0
        var hasChildren = false
        var offset = first
        repeat {
            let link = link(offset)
            let (owner, child) = (self.record(link.it.owner), self.record(link.it.child))
            guard isLive(owner), isLive(child), isOlder(owner, child), link.it.owner == slot || link.it.child == slot,
                child.it.parent != 0, child.it.parent != link.it.owner, link.it.child != slot || !hasChildren
            else { return nil }
            hasChildren = link.it.owner == slot
            let next = next(link, of: slot)
            guard previous(self.link(next), of: slot) == offset, count <= header.it.owner_link_count else { return nil }
            count &+= 1
            offset = next
        } while offset != first
        return count
    }

    private func verifyChanges() -> DirectoryInconsistency? {
        var offset = header.it.newest_change
        var tick = UInt64.max
        var count: UInt64 = 0
        while offset != 0 {
            let part: Ref<cistern_live_part> = at(offset)
            if part.it.changed > tick || part.it.changed_before >= part.it.changed { return .changes }
            tick = part.it.changed
            count &+= 1
            offset = part.it.previous
        }
        return count == header.it.live_count &+ header.it.staged_count ? nil : .changes
    }

    private func verifyReaders() -> DirectoryInconsistency? {
        var members: UInt64 = 0
        var contentMembers: UInt64 = 0
        var isRight = true
        forEachReader { reader, _ in
            if hasFlag(CISTERN_READER_HOLDS_CONTENT, reader), reader.it.registered_acknowledged != 0 { contentMembers &+= 1 }
            for pin in 0..<3 {
                let value =
                    pin == 0
                    ? reader.it.registered_acknowledged
                    : pin == 1 ? reader.it.registered_delivered : reader.it.registered_stored
                guard value != 0 else { continue }
                members &+= 1
                if groupIndex(markers, of: value) == nil { isRight = false }
            }
        }
        var counted: UInt64 = 0
        for index in 0..<markers.it.count { counted &+= UInt64(group(markers, index).it.member_count) }
        for index in 0..<contents.it.count { contentMembers &-= UInt64(group(contents, index).it.member_count) }
        if contentMembers != 0 { isRight = false }
        return isRight && counted == members ? nil : .pins
    }
}
