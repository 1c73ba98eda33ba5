import CTicks
import HeapCore

// Safety: see RegionDirectory.swift.

/// What a boundary did.
public struct SealReport: Equatable, Sendable {
    /// The tick that ended.
    public var tick = Tick.first
    /// Removals of the tick, regions below removed ones among them.
    public var stagedCount: UInt64 = 0
    /// Of those, how many no reader needs.
    public var annihilatedCount: UInt64 = 0
    /// Of those, how many some reader needs.
    public var retainedCount: UInt64 = 0
    /// Tombstones freed.
    public var purgedCount: UInt64 = 0
    /// Tombstones and contents that nobody needs, left for later boundaries.
    public var backlogCount: UInt64 = 0
    /// Records looked at in all.
    public var touchedCount: UInt64 = 0
    /// Readers over a limit that were warned.
    public var laggingCount: UInt64 = 0
    /// Readers that lost their pins.
    public var expiredCount: UInt64 = 0

    /// Nothing done.
    public init() {}
}

extension RegionDirectory {
    /// Ends the open tick: takes what readers have published, decides for each removal of the tick who needs it, expires readers
    /// that hold too much, and frees some of what nobody needs.
    ///
    /// - Parameters:
    ///   - budget: how many tombstones to free at most, and buckets of names with what is left of it; `nil`: twice the
    ///     removals of the tick, at least 64. What is left over
    ///     costs memory, nothing else.
    ///   - time: the host's clock, in any unit, for the age of readers; 0: as before.
    /// - Throws: `tickExhausted`.
    /// - Complexity: proportional to the removals and replacements of the tick, the readers that published, and the budget, and closing
    ///   the regions that nobody needs any more. Not to what lives, to what is kept, nor to the readers.
    @discardableResult
    public func seal(budget: UInt64? = nil, time: UInt64 = 0) throws(DirectoryError) -> SealReport {
        lock()
        defer { unlockAndClose() }
        let tick = openNumber
        guard tick < Tick.last.number else { throw .tickExhausted }
        var report = SealReport()
        report.tick = Tick(tick)
        // The next tick opens first: whoever attaches from here on sees it, and who did before has left a note.
        unsafe cistern_open_tick_store(header.pointer, tick &+ 1)
        let touched = header.it.touched_total
        if time != 0 {
            header.it.time = time
            if header.it.first_time == 0 { header.it.first_time = time }
        }
        // Who was at the tick that ends is behind from now on.
        if markers.it.count > 0, group(markers, markers.it.count &- 1).it.high == tick {
            group(markers, markers.it.count &- 1).it.behind_since = header.it.time
        }
        collectNotes()
        report.stagedCount = header.it.staged_count
        if _slowPath(header.it.staged_content != 0) { classifyStagedContents() }
        if header.it.staged_count > 0 { classifyStaged(tick, &report) }
        enforceLimits(&report)
        report.purgedCount = purge(budget ?? max(64, 2 &* report.stagedCount))
        report.backlogCount = markers.it.queue_count &+ contents.it.queue_count
        report.touchedCount = header.it.touched_total &- touched
        header.it.touched_last_seal = report.touchedCount
        if report.touchedCount > header.it.touched_most { header.it.touched_most = report.touchedCount }
        return report
    }

    /// For idle hosts: takes what readers have published and frees up to `budget` tombstones that nobody needs, then what the
    /// directory keeps ready. Ends no tick.
    ///
    /// - Returns: how many are left.
    /// - Complexity: proportional to the readers that published and the budget, and closing regions.
    @discardableResult
    public func maintain(budget: UInt64) -> UInt64 {
        lock()
        defer { unlockAndClose() }
        collectNotes()
        _ = purge(budget)
        let left = markers.it.queue_count &+ contents.it.queue_count
        if left == 0 { releaseEmptyChunk() }
        return left
    }

    // MARK: Free

    @inline(__always)
    func freeLivePart(_ offset: UInt64) {
        free(offset, UInt(MemoryLayout<cistern_live_part>.size))
        header.it.live_part_count &-= 1
    }

    @inline(__always)
    func freeNameAndSlot(_ slot: UInt32, _ record: Ref<cistern_region_record>) {
        let byteCount = UInt(record.it.name_byte_count)
        if byteCount > 0 {
            free(nameOffset(record), byteCount)
            header.it.name_byte_count &-= UInt64(byteCount)
        }
        returnSlot(slot)
    }

    // MARK: Purge

    /// Frees up to `budget` of what nobody needs: contents first, so that none hangs on a marker that is gone.
    private func purge(_ budget: UInt64) -> UInt64 {
        var freed: UInt64 = 0
        while freed < budget {
            let slot = takeFromQueue(contents)
            guard slot != 0 else { break }
            let record = record(slot)
            if state(record) == CISTERN_RECORD_FREE.rawValue { doom(content(slot)) } else { dropContent(record) }
            freed &+= 1
        }
        while freed < budget {
            let slot = takeFromQueue(markers)
            guard slot != 0 else { break }
            let record = record(slot)
            if has(CISTERN_RECORD_HAS_CONTENT, record) { dropContent(record) }
            freeNameAndSlot(slot, record)
            _ = shrinkNames()
            header.it.purged_total &+= 1
            freed &+= 1
        }
        // What is left goes into a table of names that has become too large.
        var rest = budget &- freed
        while rest > 0, shrinkNames() { rest &-= 1 }
        return freed
    }

    @inline(never)
    private func dropContent(_ record: Ref<cistern_region_record>) {
        let part = livePart(record)
        let offset = record.it.death
        release(record, part)
        record.it.death = part.it.changed
        record.it.state &= ~UInt8(CISTERN_RECORD_HAS_CONTENT.rawValue)
        freeLivePart(offset)
    }

    /// Gives back everything but the header.
    func releaseEverything() {
        closeEveryContent()
        forEachRecord { slot, record in releaseRecord(record, slot) }
        var offset = header.it.first_reader
        while offset != 0 {
            let reader: Ref<cistern_reader> = at(offset)
            let next = reader.it.next
            freeBatch(reader)
            unsafe heap.deallocate(Bytes.pointer(address(offset)), byteCount: byteCount(reader))
            offset = next
        }
        releaseAllNames()
        releaseAllChunks()
        releaseTable(markers)
        releaseTable(contents)
    }

    private func releaseRecord(_ record: Ref<cistern_region_record>, _ slot: UInt32) {
        if hasLivePart(record) {
            let offset = record.it.death
            dropLinks(slot, livePart(record))
            release(record, livePart(record))
            freeLivePart(offset)
        }
        let byteCount = UInt(record.it.name_byte_count)
        if byteCount > 0 { free(nameOffset(record), byteCount) }
    }
}
