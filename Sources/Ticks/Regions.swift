import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; names are copied in before a call returns.

/// What is known of an id.
public enum NamedRegionStatus: Equatable, Sendable {
    /// It is alive.
    case alive(birth: Tick, lastChange: Tick)
    /// It was removed; the tombstone is still there.
    case removed(at: Tick)
    /// It was never given, or the tombstone is gone.
    case unknown
}

extension RegionDirectory {
    // MARK: States

    @inline(__always)
    func state(_ record: Ref<cistern_region_record>) -> UInt32 {
        UInt32(record.it.state) & CISTERN_RECORD_STATE_MASK.rawValue
    }

    @inline(__always)
    func isLive(_ record: Ref<cistern_region_record>) -> Bool { state(record) == CISTERN_RECORD_LIVE.rawValue }

    @inline(__always)
    func isStaged(_ record: Ref<cistern_region_record>) -> Bool { state(record) == CISTERN_RECORD_STAGED.rawValue }

    @inline(__always)
    func has(_ mark: cistern_record_state, _ record: Ref<cistern_region_record>) -> Bool {
        UInt32(record.it.state) & mark.rawValue != 0
    }

    /// Is there a live part? Until its tick is over, and as long as its content is kept.
    @inline(__always)
    func hasLivePart(_ record: Ref<cistern_region_record>) -> Bool {
        state(record) != CISTERN_RECORD_TOMBSTONE.rawValue || has(CISTERN_RECORD_HAS_CONTENT, record)
    }

    /// While the record has a live part.
    @inline(__always)
    func livePart(_ record: Ref<cistern_region_record>) -> Ref<cistern_live_part> { at(record.it.death) }

    /// When a record died, or would if its tick ended now.
    @inline(__always)
    func death(_ record: Ref<cistern_region_record>) -> UInt64 {
        if isStaged(record) { return openNumber }
        return has(CISTERN_RECORD_HAS_CONTENT, record) ? livePart(record).it.changed : record.it.death
    }

    func id(_ record: Ref<cistern_region_record>, slot: UInt32) -> RegionID {
        RegionID(slot: slot, generation: record.it.generation)
    }

    /// Numbers an operation; never 0, which marks a free slot.
    private func nextOperation() -> UInt32 {
        header.it.operation_count &+= 1
        if header.it.operation_count == 0 { header.it.operation_count = 1 }
        return header.it.operation_count
    }

    // MARK: Create

    /// Makes a named region.
    ///
    /// - Parameters:
    ///   - name: 0 to 4096 bytes, compared bytewise; no living region of the directory has it.
    ///   - parent: a living region, the first owner: this one goes with its last. `.none` for no owner.
    ///   - payload: the caller's word, 0 for none; given to the release function when the content is not needed any more.
    /// - Throws: `nameTooLong`, `nameTaken`, `unknownRegion`, `removedRegion`, `outOfCapacity`.
    /// - Complexity: linear in the name; at most one bucket of names is split.
    public func create(
        _ name: UnsafeRawBufferPointer, parent: RegionID = .none, payload: UInt64 = 0
    ) throws(DirectoryError) -> RegionID {
        guard name.count <= CISTERN_NAME_MOST_BYTES else { throw .nameTooLong(byteCount: name.count) }
        lock()
        defer { unlock() }
        let hash = unsafe try freeNameHash(name, parent: parent)
        return unsafe try create(name, hash: hash, parent: parent, payload: payload)
    }

    /// The hash of a name that nobody has, under a parent that is alive.
    @inline(never)
    func freeNameHash(_ name: UnsafeRawBufferPointer, parent: RegionID) throws(DirectoryError) -> UInt32 {
        if parent != .none { _ = try livingRecord(parent) }
        let hash = unsafe nameHash(name)
        let taken = unsafe find(name, hash: hash)
        if taken != 0 { throw .nameTaken(id(record(taken), slot: taken)) }
        return hash
    }

    /// The same for a name that is known to be free. Under the lock.
    func create(
        _ name: UnsafeRawBufferPointer, hash: UInt32, parent: RegionID, payload: UInt64
    ) throws(DirectoryError) -> RegionID {
        let slot = takeSlot()
        guard slot != 0 else { throw .outOfCapacity }
        let nameBlock = name.count == 0 ? 0 : allocate(UInt(name.count))
        let liveBlock = allocate(UInt(MemoryLayout<cistern_live_part>.size))
        let isEntered = (nameBlock != 0 || name.count == 0) && liveBlock != 0 && enterName(hash: hash, slot: slot)
        guard isEntered else {
            free(nameBlock, UInt(name.count))
            free(liveBlock, UInt(MemoryLayout<cistern_live_part>.size))
            returnSlot(slot)
            throw .outOfCapacity
        }
        unsafe Bytes.copy(name, to: address(nameBlock))
        let open = openNumber
        let record = record(slot)
        record.it.generation = nextOperation()
        record.it.next = 0
        record.it.birth = open
        record.it.death = liveBlock
        record.it.name_low = UInt32(truncatingIfNeeded: nameBlock >> 3)
        record.it.name_high = UInt8(truncatingIfNeeded: nameBlock >> 35)
        record.it.name_byte_count = UInt16(name.count)
        record.it.state = UInt8(CISTERN_RECORD_LIVE.rawValue)
        record.it.parent = parent.slot
        record.it.sequence = 0
        let part = livePart(record)
        part.it = cistern_live_part()
        part.it.payload = payload
        part.it.changed = open
        part.it.slot = slot
        part.it.hash = hash
        appendToChanges(part, liveBlock)
        if parent.slot != 0 { enter(record, slot, underParent: parent.slot) }
        header.it.live_count &+= 1
        header.it.live_part_count &+= 1
        header.it.name_byte_count &+= UInt64(name.count)
        header.it.born_total &+= 1
        return id(record, slot: slot)
    }

    /// The record of a region that is alive.
    func livingRecord(_ id: RegionID) throws(DirectoryError) -> Ref<cistern_region_record> {
        guard let record = record(id) else { throw .unknownRegion }
        guard isLive(record) else { throw .removedRegion(at: Tick(death(record))) }
        return record
    }

    // MARK: The order of changes

    func appendToChanges(_ part: Ref<cistern_live_part>, _ offset: UInt64) {
        part.it.next = 0
        part.it.previous = header.it.newest_change
        if header.it.newest_change != 0 {
            at(header.it.newest_change, cistern_live_part.self).it.next = offset
        } else {
            header.it.oldest_change = offset
        }
        header.it.newest_change = offset
    }

    @inline(__always)
    func removeFromChanges(_ part: Ref<cistern_live_part>) {
        if part.it.previous != 0 {
            at(part.it.previous, cistern_live_part.self).it.next = part.it.next
        } else {
            header.it.oldest_change = part.it.next
        }
        if part.it.next != 0 {
            at(part.it.next, cistern_live_part.self).it.previous = part.it.previous
        } else {
            header.it.newest_change = part.it.previous
        }
    }

    /// Says that a region's content changed in the open tick.
    ///
    /// - Throws: `unknownRegion`, `removedRegion`.
    /// - Complexity: constant.
    public func markChanged(_ id: RegionID) throws(DirectoryError) {
        lock()
        defer { unlock() }
        markChanged(try livingRecord(id))
    }

    func markChanged(_ record: Ref<cistern_region_record>) {
        let part = livePart(record)
        let open = openNumber
        guard part.it.changed != open else { return }
        part.it.changed_before = part.it.changed
        part.it.changed = open
        removeFromChanges(part)
        appendToChanges(part, record.it.death)
    }

    // MARK: Look-up

    /// The living region of a name.
    ///
    /// - Complexity: linear in the name.
    public func lookUp(_ name: UnsafeRawBufferPointer) -> RegionID? {
        guard name.count <= CISTERN_NAME_MOST_BYTES else { return nil }
        lock()
        defer { unlock() }
        let slot = unsafe find(name, hash: nameHash(name))
        return slot == 0 ? nil : id(record(slot), slot: slot)
    }

    /// What is known of an id. Constant; never traps.
    public func status(of id: RegionID) -> NamedRegionStatus {
        lock()
        defer { unlock() }
        guard let record = record(id) else { return .unknown }
        guard isLive(record) else { return .removed(at: Tick(death(record))) }
        return .alive(birth: Tick(record.it.birth), lastChange: Tick(livePart(record).it.changed))
    }

    /// The payload of a region that is alive or was until the open tick, or of one removed whose content is still kept for a
    /// snapshot or by `keepsLastValue`; otherwise `nil`, as for a payload of 0. Of a removed region with memory: that of the newest
    /// content that is left, which an older snapshot can see longer than the last one was there.
    public func payload(of id: RegionID) -> UInt64? {
        lock()
        defer { unlock() }
        guard let record = record(id) else { return nil }
        // Once released it is 0.
        guard hasLivePart(record) else { return nil }
        let payload = payload(record, livePart(record)).it
        return payload != 0 ? payload : nil
    }

    /// Gives a living region another payload and returns the old one, which is the caller's then. Not a change by itself.
    ///
    /// - Throws: `unknownRegion`, `removedRegion`.
    public func setPayload(_ payload: UInt64, of id: RegionID) throws(DirectoryError) -> UInt64 {
        lock()
        defer { unlock() }
        let record = try livingRecord(id)
        let place = self.payload(record, livePart(record))
        let old = place.it
        place.it = payload
        return old
    }

    /// Copies a region's name, alive or not, as far as its tombstone is there.
    ///
    /// - Parameter buffer: filled as far as it goes.
    /// - Returns: bytes of the whole name; `nil` for an unknown region.
    public func copyName(of id: RegionID, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        lock()
        defer { unlock() }
        guard let record = record(id) else { return nil }
        let name = unsafe name(of: record)
        if let start = buffer.baseAddress {
            unsafe Bytes.copy(
                UnsafeRawBufferPointer(rebasing: name.prefix(buffer.count)), to: UInt(bitPattern: start))
        }
        return name.count
    }

    /// The parent that a region was made under, alive or removed with it; when that went before it, another of its owners. `.none`
    /// where there is none or it is not known.
    public func parent(of id: RegionID) -> RegionID {
        lock()
        defer { unlock() }
        guard let record = record(id) else { return .none }
        return parent(of: record)
    }

    func parent(of record: Ref<cistern_region_record>) -> RegionID {
        let slot = record.it.parent
        guard slot != 0 else { return .none }
        if isLive(record) { return id(self.record(slot), slot: slot) }
        // A parent that died with it is known as long as its own tombstone is there, which can go first.
        guard has(CISTERN_RECORD_IS_SUBTREE_PART, record), (slot &- 1) >> 8 < header.it.chunk_count,
            chunk((slot &- 1) >> 8).it.records != 0
        else { return .none }
        let parent = self.record(slot)
        guard state(parent) == state(record), death(parent) == death(record) else { return .none }
        return id(parent, slot: slot)
    }

    // MARK: Remove

    /// Removes a region and all whose last owner goes with it, as one event. Needs no memory: the records become tombstones.
    ///
    /// The payloads are released when the tick ends, unless a snapshot or `keepsLastValue` needs them: one that begins in the same
    /// tick still does.
    ///
    /// - Returns: how many regions, this one among them.
    /// - Throws: `unknownRegion`, `removedRegion`; under the policy `pushBack`, `retentionExhausted`.
    /// - Complexity: proportional to the regions removed, their owners, and what they own.
    @discardableResult
    public func remove(_ id: RegionID) throws(DirectoryError) -> UInt64 {
        lock()
        defer { unlock() }
        let record = try livingRecord(id)
        if header.it.policy == RetentionPolicy.pushBack.rawValue { try checkRoom(toRemove: id.slot) }
        let part = livePart(record)
        if record.it.parent != 0 { leaveParent(record, part) }
        let open = openNumber
        var count: UInt64 = 1
        stage(record, id.slot, open)
        if part.it.owner_links != 0 { dropLinks(id.slot, part) }
        guard part.it.first_child != 0 else { return count }
        var slot = id.slot
        while let next = nextToGo(after: slot, root: id.slot) {
            slot = next
            let record = self.record(slot)
            let part = livePart(record)
            record.it.state |= UInt8(CISTERN_RECORD_IS_SUBTREE_PART.rawValue)
            stage(record, slot, open)
            if part.it.owner_links != 0 { dropLinks(slot, part) }
            count &+= 1
        }
        return count
    }

    /// Walks what goes with a region, parents first. Passes over what another owner keeps, and lists it under that one: which is
    /// not on the way, because what is has lost its links.
    private func nextToGo(after slot: UInt32, root: UInt32) -> UInt32? {
        var current = slot
        var candidate = livePart(record(slot)).it.first_child
        while true {
            while candidate != 0 {
                let record = record(candidate)
                let part = livePart(record)
                guard hasMoreOwners(candidate, part) else { return candidate }
                let next = part.it.next_sibling
                moveToNextOwner(record, candidate, part)
                candidate = next
            }
            guard current != root else { return nil }
            let record = record(current)
            candidate = livePart(record).it.next_sibling
            current = record.it.parent
        }
    }

    @inline(__always)
    func stage(_ record: Ref<cistern_region_record>, _ slot: UInt32, _ open: UInt64) {
        let mark = UInt32(record.it.state) & ~CISTERN_RECORD_STATE_MASK.rawValue
        record.it.state = UInt8(truncatingIfNeeded: mark | CISTERN_RECORD_STAGED.rawValue)
        record.it.next = 0
        record.it.sequence = nextOperation()
        if header.it.staged_tail != 0 {
            self.record(header.it.staged_tail).it.next = slot
        } else {
            header.it.staged_head = slot
        }
        header.it.staged_tail = slot
        header.it.staged_count &+= 1
        if record.it.birth < open {
            header.it.staged_held_count &+= 1
            header.it.staged_held_byte_count &+= weight(record)
        }
        header.it.live_count &-= 1
    }

    /// Bytes that a tombstone holds: its record and its name.
    func weight(_ record: Ref<cistern_region_record>) -> UInt64 {
        UInt64(MemoryLayout<cistern_region_record>.size) &+ UInt64(record.it.name_byte_count)
    }

    /// Hands a payload back; at most once, and never 0.
    @inline(__always)
    func release(_ record: Ref<cistern_region_record>, _ part: Ref<cistern_live_part>) {
        let payload = part.it.payload
        part.it.payload = 0
        if payload != 0 { release(record, payload) }
    }

    @inline(never)
    private func release(_ record: Ref<cistern_region_record>, _ payload: UInt64) {
        if has(CISTERN_RECORD_OWNS_REGION, record) { return disown(UInt32(truncatingIfNeeded: payload)) }
        guard header.it.release_function != 0 else { return }
        // Safety: the word is the function that the creator gave.
        let function = unsafe unsafeBitCast(UInt(header.it.release_function), to: PayloadRelease.self)
        function(UInt(header.it.release_context), payload)
    }

    private func checkRoom(toRemove root: UInt32) throws(DirectoryError) {
        // A reader that has moved on or gone makes room at once.
        collectNotes()
        guard unsafe cistern_reader_count_load(header.pointer) > 0 else { return }
        let open = openNumber
        var count = markers.it.held_count &+ header.it.staged_held_count
        var byteCount = markers.it.held_byte_count &+ header.it.staged_held_byte_count
        forEachToGo(with: root) { record in
            guard record.it.birth < open else { return }
            count &+= 1
            byteCount &+= weight(record)
        }
        guard count <= header.it.total_held_count_limit, byteCount <= header.it.total_held_byte_limit else {
            throw .retentionExhausted
        }
    }
}
