import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; a batch's events are read by the one reader that they were made for, until it polls again.

/// What a poll answers.
public enum PollAnswer {
    /// What changed; may be empty.
    case changes(ReaderBatch)
    /// Something was dropped: start from a listing of what is alive.
    case resync(Resync)
}

/// Events of one poll, in the heap. They stay until the reader polls again, is cancelled, or has acknowledged them.
public struct ReaderBatch {
    /// To acknowledge with.
    public let token: BatchToken
    /// Events, not counting regions that went with their parent.
    public let count: Int
    /// Regions that went with their parent.
    public let descendantCount: Int
    let events: UInt64
}

/// One change of a batch.
public struct RegionChange: Equatable, Sendable {
    /// What happened. A region that came and went between two looks does not appear. The same name anew is a removal and an
    /// addition, of different ids.
    public enum Kind: UInt32, Sendable {
        /// It is gone, and all that was below it, which the batch lists apart.
        case removed = 1
        /// It is new, or new to this reader.
        case added = 2
        /// It was known; its content changed.
        case changed = 3
        /// It went with its parent.
        case removedWithParent = 4
    }
    /// What happened.
    public let kind: Kind
    /// To which region.
    public let id: RegionID
    /// In which tick; for a change the last.
    public let tick: Tick
    let sequence: UInt32

    init(_ record: cistern_change) {
        kind = Kind(rawValue: record.kind) ?? .changed
        id = RegionID(slot: record.slot, generation: record.generation)
        tick = Tick(record.tick)
        sequence = record.sequence
    }
}

extension RegionDirectory {
    // MARK: Poll

    /// Tells a reader what changed in the ticks that are over and that it has not acknowledged, in order of tick; removals and
    /// additions of one tick in their own order, a parent before its children.
    ///
    /// The answer pins its end until it is acknowledged or another poll replaces it. An empty one acknowledges itself, so that
    /// a reader that looks now and then holds nothing. By the reader's own thread.
    ///
    /// - Throws: `outOfCapacity` when the heap does not hold the list of events: as if never asked; `notPinned` for a reader that
    ///   is cancelled.
    /// - Complexity: proportional to the events, and n log n where they have to be sorted; the changes of the open tick and the
    ///   groups of pins are looked at too.
    public func poll(_ handle: ReaderHandle) throws(DirectoryError) -> PollAnswer {
        lock()
        defer { unlock() }
        let reader = reader(handle)
        let open = openNumber
        guard isCurrent(handle) else { throw .notPinned }
        if isExpired(reader) { return .resync(try pinAnew(reader, open)) }
        let from = acknowledged(reader)
        var count = 0
        var descendantCount = 0
        forEachChange(from: from, until: open) { change in
            if change.kind == CISTERN_CHANGE_REMOVED_WITH_PARENT.rawValue { descendantCount += 1 } else { count += 1 }
        }
        let total = count + descendantCount
        guard total <= Int(UInt32.max) else { throw .outOfCapacity }
        let byteCount = UInt(total) * UInt(MemoryLayout<cistern_change>.size)
        let events = total == 0 ? 0 : allocate(byteCount)
        guard total == 0 || events != 0 else { throw .outOfCapacity }
        freeBatch(reader)
        let serial = reader.it.batch_serial &+ 1
        unsafe cistern_reader_batch_serial_store(reader.pointer, serial)
        reader.it.batch = events
        reader.it.batch_count = UInt32(total)
        header.it.batch_byte_count &+= UInt64(byteCount)
        fill(events, count: total, from: from, until: open)
        if total == 0, !hasFlag(CISTERN_READER_IS_FIXED, reader) {
            unsafe cistern_reader_acknowledged_store(reader.pointer, open)
            unsafe cistern_reader_delivered_store(reader.pointer, 0)
        } else {
            unsafe cistern_reader_delivered_store(reader.pointer, open)
        }
        note(reader, handle.offset)
        let token = BatchToken(
            directoryIdentity: header.it.identity, readerSerial: handle.serial, batchSerial: serial, tick: Tick(open))
        return .changes(ReaderBatch(token: token, count: count, descendantCount: descendantCount, events: events))
    }

    private func pinAnew(_ reader: Ref<cistern_reader>, _ open: UInt64) throws(DirectoryError) -> Resync {
        if hasFlag(CISTERN_READER_HOLDS_CONTENT, reader), !addPin(contents, open) { throw .outOfCapacity }
        supersedeBatch(reader)
        unsafe cistern_reader_acknowledged_store(reader.pointer, open)
        unsafe cistern_reader_delivered_store(reader.pointer, 0)
        unsafe cistern_reader_stored_store(reader.pointer, 0)
        // Not cancelled: this is its owner.
        _ = unsafe cistern_reader_state_change(reader.pointer, CISTERN_READER_ACTIVE.rawValue)
        reader.it.is_registered = 0
        registerPins(reader)
        header.it.resync_total &+= 1
        return Resync(reason: ResyncReason(rawValue: reader.it.resync_reason) ?? .purged, tick: Tick(open))
    }

    /// One event of a batch; descendants follow the others.
    ///
    /// - Parameter index: 0 to `count + descendantCount` - 1, of the reader's newest batch.
    public func event(_ batch: ReaderBatch, _ index: Int) -> RegionChange {
        precondition(index >= 0 && index < batch.count + batch.descendantCount, "event out of range")
        return RegionChange(change(batch.events, UInt64(index)).it)
    }

    /// Which events of a batch are the regions that went with the one removed at `index`.
    ///
    /// - Complexity: logarithmic.
    public func descendants(_ batch: ReaderBatch, of index: Int) -> Range<Int> {
        let root = event(batch, index)
        guard root.kind == .removed else { return batch.count..<batch.count }
        let total = batch.count + batch.descendantCount
        let start = firstDescendant(batch, after: root)
        // The next removal of the same tick ends them.
        var next = index + 1
        while next < batch.count, event(batch, next).kind != .removed { next += 1 }
        return start..<(next < batch.count ? firstDescendant(batch, after: event(batch, next)) : total)
    }

    private func firstDescendant(_ batch: ReaderBatch, after root: RegionChange) -> Int {
        var low = batch.count
        var high = batch.count + batch.descendantCount
        while low < high {
            let middle = (low + high) / 2
            let event = event(batch, middle)
            let isBefore = event.tick < root.tick || (event.tick == root.tick && Int32(bitPattern: event.sequence &- root.sequence) < 0)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Does the reader still hold the batch, so that names and payloads of what it lists are there? No lock.
    public func isPinned(_ handle: ReaderHandle, _ token: BatchToken) -> Bool {
        let reader = reader(handle)
        let newest = unsafe cistern_reader_batch_serial_load(reader.pointer)
        return token.directoryIdentity == header.it.identity && token.readerSerial == handle.serial
            && isCurrent(handle) && token.batchSerial == newest && !isExpired(reader)
            && (token.tick.number > acknowledged(reader) || hasFlag(CISTERN_READER_IS_FIXED, reader))
    }

    /// Copies the changes since a tick without a reader of its own, for code that runs under somebody's pin.
    ///
    /// - Parameter buffer: filled as far as it goes, in no order.
    /// - Returns: how many there are.
    /// - Throws: `notPinned` where something may be missing; in a checked directory wherever no live pin is.
    public func changes(
        since tick: Tick, into buffer: UnsafeMutableBufferPointer<RegionChange>
    ) throws(DirectoryError) -> Int {
        lock()
        defer { unlock() }
        collectNotes()
        let isCovered = has(CISTERN_DIRECTORY_IS_CHECKED) ? hasLivePin(at: tick.number) : isExact(at: tick.number)
        guard isCovered, tick.number <= openNumber else { throw .notPinned }
        var count = 0
        forEachChange(from: tick.number, until: openNumber) { change in
            if count < buffer.count { unsafe buffer[count] = RegionChange(change) }
            count += 1
        }
        return count
    }

    // MARK: Collect

    private func change(_ events: UInt64, _ index: UInt64) -> Ref<cistern_change> {
        at(events &+ index &* UInt64(MemoryLayout<cistern_change>.size))
    }

    /// Everything that a reader at `from` has to be told about the ticks before `until`, in no order.
    private func forEachChange(from: UInt64, until: UInt64, _ body: (cistern_change) -> Void) {
        guard from < until else { return }
        forEachRemoval(from: from) { slot, record in
            let kind =
                has(CISTERN_RECORD_IS_SUBTREE_PART, record)
                ? CISTERN_CHANGE_REMOVED_WITH_PARENT : CISTERN_CHANGE_REMOVED
            body(
                cistern_change(
                    tick: death(record), slot: slot, generation: record.it.generation, sequence: record.it.sequence,
                    kind: kind.rawValue))
        }
        var offset = header.it.newest_change
        while offset != 0 {
            let part: Ref<cistern_live_part> = at(offset)
            guard part.it.changed >= from else { return }
            offset = part.it.previous
            let record = record(part.it.slot)
            let birth = record.it.birth
            let changed = part.it.changed < until ? part.it.changed : part.it.changed_before
            guard birth < until, changed >= from || birth >= from else { continue }
            let isNew = birth >= from
            body(
                cistern_change(
                    tick: isNew ? birth : changed, slot: part.it.slot, generation: record.it.generation,
                    sequence: record.it.generation,
                    kind: isNew ? CISTERN_CHANGE_ADDED.rawValue : CISTERN_CHANGE_CHANGED.rawValue))
        }
    }

    /// The tombstones that a reader at `from` needs: whole cells, but where pins share a group.
    private func forEachRemoval(from: UInt64, _ body: (UInt32, Ref<cistern_region_record>) -> Void) {
        let table = markers
        guard table.it.count > 0 else { return }
        let lastRow = groups(table, endingBy: from &- 1)
        let beginning = groups(table, beginningBy: from)
        for column in (beginning == 0 ? 0 : beginning &- 1)..<table.it.count {
            for row in 0...min(lastRow, column) {
                forEach(table, cell(table, afterGroups: row, onGroup: column)) { slot, record in
                    if record.it.birth < from, death(record) >= from { body(slot, record) }
                }
            }
        }
    }

    private func fill(_ events: UInt64, count: Int, from: UInt64, until: UInt64) {
        guard count > 0 else { return }
        var index: UInt64 = 0
        forEachChange(from: from, until: until) { event in
            change(events, index).it = event
            index &+= 1
        }
        sort(events, count: UInt64(count))
    }

    /// Descendants last; else by tick, then by the number of the operation.
    private func isBefore(_ left: cistern_change, _ right: cistern_change) -> Bool {
        let isLeftBelow = left.kind == CISTERN_CHANGE_REMOVED_WITH_PARENT.rawValue
        if isLeftBelow != (right.kind == CISTERN_CHANGE_REMOVED_WITH_PARENT.rawValue) { return !isLeftBelow }
        if left.tick != right.tick { return left.tick < right.tick }
        // Numbers wrap: the older one is further back from now.
        let now = header.it.operation_count
        return now &- left.sequence > now &- right.sequence
    }

    /// Heap sort: in place, and never slow. Skipped where the lists were in order.
    private func sort(_ events: UInt64, count: UInt64) {
        var isSorted = true
        var index: UInt64 = 1
        while index < count, isSorted {
            isSorted = !isBefore(change(events, index).it, change(events, index &- 1).it)
            index &+= 1
        }
        guard !isSorted else { return }
        var start = count / 2
        while start > 0 {
            start &-= 1
            sink(events, from: start, count: count)
        }
        var end = count
        while end > 1 {
            end &-= 1
            let last = change(events, end).it
            change(events, end).it = change(events, 0).it
            change(events, 0).it = last
            sink(events, from: 0, count: end)
        }
    }

    private func sink(_ events: UInt64, from start: UInt64, count: UInt64) {
        let moved = change(events, start).it
        var hole = start
        while true {
            var child = hole &* 2 &+ 1
            guard child < count else { break }
            if child &+ 1 < count, isBefore(change(events, child).it, change(events, child &+ 1).it) { child &+= 1 }
            guard isBefore(moved, change(events, child).it) else { break }
            change(events, hole).it = change(events, child).it
            hole = child
        }
        change(events, hole).it = moved
    }

    // MARK: Baseline

    /// Lists what was alive where a reader is, some at a time: what it has to start from after attaching or a resync. The
    /// answer does not depend on what happens between two calls.
    ///
    /// - Parameters:
    ///   - cursor: 0 at first; moved by each call.
    ///   - buffer: at least one place; filled with additions, in no order.
    /// - Returns: how many; 0 at the end.
    /// - Throws: `notPinned` when the reader has expired or is cancelled.
    /// - Complexity: proportional to the slots passed; the directory is locked for 4096 of them at a time.
    public func baseline(
        _ handle: ReaderHandle, cursor: inout UInt32, into buffer: UnsafeMutableBufferPointer<RegionChange>
    ) throws(DirectoryError) -> Int {
        let reader = reader(handle)
        var count = 0
        while count == 0, buffer.count > 0 {
            lock()
            defer { unlock() }
            guard isCurrent(handle), !isExpired(reader) else { throw .notPinned }
            let pin = acknowledged(reader)
            let end = header.it.chunk_count << 8
            guard cursor < end else { return 0 }
            let stop = min(end, cursor &+ 4096)
            while cursor < stop, count < buffer.count {
                cursor &+= 1
                if chunk((cursor &- 1) >> 8).it.records == 0 {
                    cursor = min(stop, (cursor &- 1 | 255) &+ 1)
                    continue
                }
                let record = record(cursor)
                guard wasAlive(record, at: pin) else { continue }
                unsafe buffer[count] = RegionChange(
                    cistern_change(
                        tick: record.it.birth, slot: cursor, generation: record.it.generation, sequence: record.it.generation,
                        kind: CISTERN_CHANGE_ADDED.rawValue))
                count += 1
            }
        }
        return count
    }

    /// Was it alive at the end of the tick before `pin`?
    func wasAlive(_ record: Ref<cistern_region_record>, at pin: UInt64) -> Bool {
        guard state(record) != CISTERN_RECORD_FREE.rawValue, record.it.birth < pin else { return false }
        return isLive(record) || death(record) >= pin
    }
}

extension RegionChange {
    /// No change: fills buffers that a call is to write to.
    public static var placeholder: RegionChange { RegionChange(cistern_change()) }
}
