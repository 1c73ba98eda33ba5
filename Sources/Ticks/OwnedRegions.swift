import CTicks
import HeapCore
import Regions

// Safety: see RegionDirectory.swift. A content names the record of a region that was opened as an owned one: nobody else gives
// that record back, so that it stands until the content is gone, whoever closes the region before.

// Named regions with memory of their own. What such a region holds is its *content*: a region of the heap, from the tick in which
// it came until another took its place, or the name was removed. A content (b, d] is needed by the snapshots in it, as a removal
// is by its readers, so the table of pins that payloads hang on tells when nobody needs one (PinTable.swift): at the boundary for
// those that nobody sees, else at a boundary or `maintain` after the last such snapshot, within its budget. What is replaced in the
// tick in which it came nobody can need: it goes at once.
//
// Whoever is in a content is counted. A content that is not needed any more is closed when the count is 0, outside the lock, so
// that cleanup actions may use the directory, at its end too: then its names have no memory. One thread closes at a time, for all.

/// Somebody in a content, who must say when to stop.
public struct RegionAccess {
    let slot: UInt32
    /// The memory.
    public let region: BoundedRegion
    /// The caller's word about it.
    public let payload: UInt64
}

extension RegionDirectory {
    // MARK: Create, replace

    /// Makes a named region that owns a region of the heap.
    ///
    /// - Parameters:
    ///   - name: as for `create(_:parent:payload:)`.
    ///   - parent: as there.
    ///   - region: opened with `isOwned` in the directory's heap, standing alone; the directory's from now on, unless this throws.
    ///   - payload: the caller's word about what is in it. The release function does not see it.
    /// - Throws: as there, and `invalidRegion`. Nothing has changed then, and the region is the caller's.
    /// - Complexity: as there.
    public func create(
        _ name: UnsafeRawBufferPointer, parent: RegionID = .none, owning region: BoundedRegion, payload: UInt64 = 0
    ) throws(DirectoryError) -> RegionID {
        guard name.count <= CISTERN_NAME_MOST_BYTES else { throw .nameTooLong(byteCount: name.count) }
        guard isOwnable(region) else { throw .invalidRegion }
        lock()
        defer { unlock() }
        return unsafe try createOwning(name, parent, region, payload)
    }

    @inline(never)
    private func createOwning(
        _ name: UnsafeRawBufferPointer, _ parent: RegionID, _ region: BoundedRegion, _ payload: UInt64
    ) throws(DirectoryError) -> RegionID {
        let hash = unsafe try freeNameHash(name, parent: parent)
        let slot = makeContent(region, payload)
        guard slot != 0 else { throw .outOfCapacity }
        do throws(DirectoryError) {
            let id = unsafe try create(name, hash: hash, parent: parent, payload: UInt64(slot))
            record(id.slot).it.state |= UInt8(CISTERN_RECORD_OWNS_REGION.rawValue)
            content(slot).it.owner = id.slot
            return id
        } catch {
            freeContent(slot)
            throw error
        }
    }

    /// Gives a named region another content, and marks it changed. The one before goes when no snapshot needs it: at the boundary,
    /// or, when it came in the open tick, now.
    ///
    /// - Parameters:
    ///   - id: of a living region that was made with one.
    ///   - region: as for `create(_:parent:owning:payload:)`.
    ///   - payload: the caller's word about what is in it.
    /// - Throws: `unknownRegion`, `removedRegion`, `noRegion`, `invalidRegion`, `outOfCapacity`. Nothing has changed then, and the
    ///   region is the caller's.
    /// - Complexity: constant, and closing the one before, or what others have left to close.
    public func replace(_ id: RegionID, owning region: BoundedRegion, payload: UInt64 = 0) throws(DirectoryError) {
        guard isOwnable(region) else { throw .invalidRegion }
        lock()
        defer { unlockAndClose() }
        try replaceContent(id, region, payload)
    }

    @inline(never)
    private func replaceContent(_ id: RegionID, _ region: BoundedRegion, _ payload: UInt64) throws(DirectoryError) {
        let record = try livingRecord(id)
        guard has(CISTERN_RECORD_OWNS_REGION, record) else { throw .noRegion }
        let slot = makeContent(region, payload)
        guard slot != 0 else { throw .outOfCapacity }
        let part = livePart(record)
        let before = content(UInt32(truncatingIfNeeded: part.it.payload))
        let newest = content(slot)
        let slotBefore = before.it.slot
        let recordBefore = self.record(slotBefore)
        part.it.payload = UInt64(slot)
        newest.it.owner = id.slot
        newest.it.older = slotBefore
        before.it.newer = slot
        before.it.owner = 0
        before.it.changed = openNumber
        if recordBefore.it.birth == openNumber {
            doom(before)
        } else {
            recordBefore.it.next = header.it.staged_content
            header.it.staged_content = slotBefore
        }
        markChanged(record)
    }

    private func isOwnable(_ region: BoundedRegion) -> Bool {
        unsafe region.isOpen && region.parent == nil && region.heap.headerPointer == heap.headerPointer
    }

    // MARK: Access

    /// What a named region has in memory, without being counted as somebody in it: for those who know that it stays.
    ///
    /// - Parameters:
    ///   - id: of a living region; of one removed with a snapshot that still sees it, or where `keepsLastValue` keeps it.
    ///   - reader: one that holds content: as things were there; nil: as they are now.
    /// - Throws: `unknownRegion`, `removedRegion`, `noRegion`; with a reader `notPinned`, and `regionInUse` for one that began while
    ///   the content was being changed: it sees neither what was there before nor what it became.
    /// - Complexity: constant; with a reader, the contents that younger snapshots hold.
    public func content(of id: RegionID, at reader: ReaderHandle? = nil) throws(DirectoryError) -> (region: BoundedRegion, payload: UInt64)
    {
        lock()
        defer { unlock() }
        let found = content(try contentSlot(id, reader))
        return (region(found), found.it.payload)
    }

    /// Enters a content, which stays until `endAccess`.
    ///
    /// - Parameters:
    ///   - id: as for `content(of:at:)`.
    ///   - reader: as there.
    ///   - changing: the only one in it, of the newest content of a living region; marks it changed.
    /// - Throws: as there; `regionInUse` where one who changes it meets another; `regionPinned` where a snapshot sees what would be
    ///   changed: replace it then.
    /// - Complexity: as there.
    public func beginAccess(
        _ id: RegionID, at reader: ReaderHandle? = nil, changing: Bool = false
    ) throws(DirectoryError) -> RegionAccess {
        lock()
        defer { unlock() }
        let slot = try contentSlot(id, changing ? nil : reader)
        let found = content(slot)
        guard found.it.access_count < (changing ? 1 : .max - 1) else { throw .regionInUse }
        if changing {
            let record = try livingRecord(id)
            if isPinned(slot) {
                // A snapshot that has gone makes way at once.
                collectNotes()
                if isPinned(slot) { throw .regionPinned }
            }
            markChanged(record)
        }
        found.it.access_count = changing ? .max : found.it.access_count &+ 1
        return RegionAccess(slot: slot, region: region(found), payload: found.it.payload)
    }

    /// Leaves a content; once for each `beginAccess`. Closes it when nobody needs it any more. One who changed it marks it changed
    /// again, for those who were told of the tick in which that began.
    ///
    /// - Parameter payload: of one who changed it: the caller's word from now on, also when `setPayload` gave another meanwhile.
    /// - Complexity: constant, or closing it.
    public func endAccess(_ access: RegionAccess, payload: UInt64? = nil) {
        lock()
        defer { unlockAndClose() }
        let left = content(access.slot)
        if let payload { left.it.payload = payload }
        if left.it.access_count == .max {
            leaveChanged(left)
            left.it.access_count = 0
        } else {
            left.it.access_count &-= 1
        }
        if left.it.access_count == 0, left.it.is_doomed != 0 { list(doomed: access.slot) }
    }

    /// What was changed has changed in the tick in which that ends, too. None was pinned when it began, so a snapshot that sees it
    /// began meanwhile, and sees neither what was there before nor a whole.
    @inline(never)
    private func leaveChanged(_ content: Ref<cistern_content>) {
        if isPinned(content.it.slot) { content.it.torn = openNumber }
        guard content.it.owner != 0 else { return }
        let record = record(content.it.owner)
        if isLive(record) { markChanged(record) }
    }

    private func contentSlot(_ id: RegionID, _ handle: ReaderHandle?) throws(DirectoryError) -> UInt32 {
        guard let handle else { return try currentContent(id) }
        let reader = reader(handle)
        guard isCurrent(handle), !isExpired(reader), hasFlag(CISTERN_READER_HOLDS_CONTENT, reader) else { throw .notPinned }
        let pin = acknowledged(reader)
        guard let record = record(id), wasAlive(record, at: pin) else { throw .unknownRegion }
        guard has(CISTERN_RECORD_OWNS_REGION, record) else { throw .noRegion }
        guard hasLivePart(record) else { throw .unknownRegion }
        var slot = UInt32(truncatingIfNeeded: livePart(record).it.payload)
        while slot != 0, self.record(slot).it.birth >= pin { slot = content(slot).it.older }
        guard slot != 0 else { throw .unknownRegion }
        guard content(slot).it.torn < pin else { throw .regionInUse }
        assert(content(slot).it.changed == 0 || content(slot).it.changed >= pin, "what a snapshot sees has gone")
        return slot
    }

    private func currentContent(_ id: RegionID) throws(DirectoryError) -> UInt32 {
        guard let record = record(id) else { throw .unknownRegion }
        let isThere = isLive(record) || (has(CISTERN_DIRECTORY_KEEPS_LAST_VALUE) && hasLivePart(record))
        guard isThere else { throw .removedRegion(at: Tick(death(record))) }
        guard has(CISTERN_RECORD_OWNS_REGION, record) else { throw .noRegion }
        return UInt32(truncatingIfNeeded: livePart(record).it.payload)
    }

    /// Does a snapshot see a content that is the newest?
    private func isPinned(_ slot: UInt32) -> Bool {
        contents.it.count > 0 && group(contents, contents.it.count &- 1).it.high > record(slot).it.birth
    }

    private func region(_ content: Ref<cistern_content>) -> BoundedRegion {
        // The word is the record of the region that the content owns.
        unsafe BoundedRegion(recordPointer: UnsafeMutablePointer(bitPattern: UInt(content.it.region)).unsafelyUnwrapped)
    }

    /// Where the caller's word of a region stands, which has its live part.
    func payload(_ record: Ref<cistern_region_record>, _ part: Ref<cistern_live_part>) -> Ref<UInt64> {
        let content = UInt32(truncatingIfNeeded: part.it.payload)
        let isContents = has(CISTERN_RECORD_OWNS_REGION, record) && content != 0
        // It is the first word of both.
        return Ref(place: isContents ? address(self.record(content).it.death) : address(record.it.death))
    }

    // MARK: Contents

    /// The content that a slot is of.
    @inline(never)
    func content(_ slot: UInt32) -> Ref<cistern_content> { at(record(slot).it.death) }

    /// A content from the open tick on; its slot, 0 when there is no room.
    private func makeContent(_ region: BoundedRegion, _ payload: UInt64) -> UInt32 {
        let slot = takeSlot()
        guard slot != 0 else { return 0 }
        let block = allocate(UInt(MemoryLayout<cistern_content>.size))
        guard block != 0 else {
            returnSlot(slot)
            return 0
        }
        let record = record(slot)
        record.it = cistern_region_record()
        record.it.birth = openNumber
        record.it.death = block
        record.it.state = UInt8(CISTERN_RECORD_HAS_CONTENT.rawValue)
        let content = content(slot)
        content.it = cistern_content()
        content.it.payload = payload
        content.it.region = uintptr_t(UInt(bitPattern: unsafe region.recordPointer))
        content.it.slot = slot
        header.it.content_count &+= 1
        return slot
    }

    private func freeContent(_ slot: UInt32) {
        free(record(slot).it.death, UInt(MemoryLayout<cistern_content>.size))
        returnSlot(slot)
        header.it.content_count &-= 1
    }

    // MARK: Their end

    /// Decides for each content replaced in the tick that ends whether a snapshot needs it. Before that of the removals, which
    /// look at what their regions have left.
    func classifyStagedContents() {
        var slot = header.it.staged_content
        header.it.staged_content = 0
        while slot != 0 {
            let record = record(slot)
            let next = record.it.next
            header.it.touched_total &+= 1
            let content = content(slot)
            if !hang(contents, slot, record, death: content.it.changed) { doom(content) }
            slot = next
        }
    }

    /// The same for the newest content of a region that is removed.
    ///
    /// - Returns: whether there is any content of the region that a snapshot needs.
    func retireContent(_ part: Ref<cistern_live_part>, _ tick: UInt64) -> Bool {
        let slot = UInt32(truncatingIfNeeded: part.it.payload)
        let newest = content(slot)
        newest.it.changed = tick
        if !hang(contents, slot, record(slot), death: tick) { doom(newest) }
        return part.it.payload != 0
    }

    /// A region's live part goes: what is left of its contents stays as long as it is needed, which the newest is no more.
    func disown(_ slot: UInt32) {
        let newest = content(slot)
        newest.it.owner = 0
        if newest.it.changed == 0 { doom(newest) }
    }

    /// Nobody needs a content any more: it goes as soon as nobody is in it.
    @inline(never)
    func doom(_ content: Ref<cistern_content>) {
        let it = content.it
        if it.older != 0 {
            self.content(it.older).it.newer = it.newer
            self.content(it.older).it.owner = it.owner
        }
        if it.newer != 0 { self.content(it.newer).it.older = it.older }
        if it.owner != 0 { setNewest(it.older, of: it.owner) }
        content.it.older = 0
        content.it.newer = 0
        content.it.owner = 0
        content.it.is_doomed = 1
        if it.access_count == 0 { list(doomed: it.slot) }
    }

    /// With its last content a removed region's live part goes.
    private func setNewest(_ slot: UInt32, of owner: UInt32) {
        let record = record(owner)
        let part = livePart(record)
        part.it.payload = UInt64(slot)
        guard slot == 0, state(record) == CISTERN_RECORD_TOMBSTONE.rawValue, has(CISTERN_RECORD_HAS_CONTENT, record) else { return }
        let offset = record.it.death
        record.it.death = part.it.changed
        record.it.state &= ~UInt8(CISTERN_RECORD_HAS_CONTENT.rawValue)
        freeLivePart(offset)
    }

    private func list(doomed slot: UInt32) {
        record(slot).it.next = header.it.doomed_content
        header.it.doomed_content = slot
    }

    /// Releases the lock, and closes what was doomed under it, unless somebody is closing already.
    @inline(__always)
    func unlockAndClose() {
        if _slowPath(header.it.doomed_content != 0) { closeDoomed() }
        unlock()
    }

    /// Under the lock, but for the closing. One at a time: a cleanup action that comes here leaves what it added to the loop that
    /// called it, so that the stack does not grow with what there is to close.
    @inline(never)
    private func closeDoomed() {
        guard header.it.is_closing == 0 else { return }
        header.it.is_closing = 1
        defer { header.it.is_closing = 0 }
        while header.it.doomed_content != 0 {
            let slot = header.it.doomed_content
            header.it.doomed_content = record(slot).it.next
            let region = region(content(slot))
            freeContent(slot)
            unlockOutOfLine()
            region.dispose()
            lockOutOfLine()
        }
    }

    /// For the directory's end, while all of it is there: cleanup actions find names that have no memory, also for snapshots, and what
    /// they make with memory goes, too.
    func closeEveryContent() {
        lockOutOfLine()
        while header.it.content_count > 0 {
            letGoOfContents()
            closeDoomed()
        }
        unlockOutOfLine()
    }

    /// Dooms every content, and takes it off all lists and names.
    private func letGoOfContents() {
        clearLists(contents)
        header.it.staged_content = 0
        header.it.doomed_content = 0
        // In a fork's child another thread may have been closing.
        header.it.is_closing = 0
        forEachSlot { slot, record in
            if isContent(record) {
                content(slot).it.is_doomed = 1
                record.it.next = header.it.doomed_content
                header.it.doomed_content = slot
            } else if has(CISTERN_RECORD_OWNS_REGION, record) {
                record.it.state &= ~UInt8(CISTERN_RECORD_OWNS_REGION.rawValue)
                if hasLivePart(record) { livePart(record).it.payload = 0 }
            }
        }
    }

    func isContent(_ record: Ref<cistern_region_record>) -> Bool {
        UInt32(record.it.state) == CISTERN_RECORD_HAS_CONTENT.rawValue
    }

    // MARK: Verification

    /// Is each content of its region, and is the count right?
    func verifyContents() -> DirectoryInconsistency? {
        var count: UInt64 = 0
        var isRight = true
        forEachSlot { slot, record in
            if isContent(record) {
                count &+= 1
                if !isConsistent(content(slot), slot) { isRight = false }
            } else if state(record) != CISTERN_RECORD_FREE.rawValue, has(CISTERN_RECORD_OWNS_REGION, record), hasLivePart(record) {
                let newest = UInt32(truncatingIfNeeded: livePart(record).it.payload)
                if newest == 0 || !isContent(self.record(newest)) || content(newest).it.owner != slot { isRight = false }
            }
        }
        return isRight && count == header.it.content_count ? nil : .contents
    }

    private func isConsistent(_ content: Ref<cistern_content>, _ slot: UInt32) -> Bool {
        let it = content.it
        guard it.slot == slot, it.owner == 0 || it.newer == 0 else { return false }
        // Nobody follows its links any more.
        if it.is_doomed != 0 { return true }
        if it.newer != 0, self.content(it.newer).it.older != slot { return false }
        guard it.older != 0 else { return true }
        let older = self.content(it.older).it
        return older.newer == slot && older.changed <= record(slot).it.birth && record(it.older).it.birth < older.changed
    }
}
