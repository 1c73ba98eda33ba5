import CTicks
import HeapCore

// Safety: see RegionDirectory.swift and Image.swift; the buffer is the caller's, valid for the call.

extension RegionDirectory {
    /// How many bytes the image has that would be written now. Changes of other threads can make it larger.
    ///
    /// - Complexity: as `writeImage`.
    public func imageByteCount() -> Int {
        unsafe image(into: UnsafeMutableRawBufferPointer(start: nil, count: 0))
    }

    /// Writes the directory as it is now, in the middle of a tick too, as plain bytes that `reopen` makes it of again. The same
    /// state gives the same bytes.
    ///
    /// A durable reader lets go of a stored position only once `noteStored` names a newer one. Where the image is what its position
    /// is stored in, call that after the image has reached its storage, with the state taken before the image was written.
    ///
    /// - Returns: bytes of the image.
    /// - Throws: `bufferTooSmall` with the bytes it takes.
    /// - Complexity: proportional to what the directory holds, with the directory locked.
    public func writeImage(into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) -> Int {
        let byteCount = unsafe image(into: buffer)
        guard byteCount <= buffer.count else { throw .bufferTooSmall(byteCount: byteCount) }
        return byteCount
    }

    private func image(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        lock()
        defer { unlock() }
        collectNotes()
        var image = unsafe ImageWriter(buffer)
        image.put(ImageFormat.magic)
        image.put(ImageFormat.version)
        image.put(header.it.flags)
        let lengthOffset = image.byteCount
        image.put(UInt64(0))
        let held = heldByDurableReaders()
        writeOptions(&image)
        writeState(&image, floor: held.floor)
        let countsOffset = image.byteCount
        image.put(UInt64(0))
        image.put(header.it.used_slot_count &- header.it.content_count &- header.it.live_count)
        image.put(header.it.live_count)
        image.put(UInt64(0))
        writeLives(&image, endingFrom: min(held.floor, held.oldest), countAt: countsOffset)
        writeReaders(&image, countAt: countsOffset &+ 4)
        writeRemoved(&image)
        writeLiving(&image)
        writeOwned(&image, countAt: countsOffset &+ 24)
        writeChanges(&image)
        let byteCount = image.byteCount &+ ImageFormat.checksumBytes
        image.put(UInt64(byteCount), at: lengthOffset)
        if byteCount <= buffer.count {
            image.put(unsafe ImageFormat.checksum(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<image.byteCount])))
        }
        return byteCount
    }

    private func writeOptions(_ image: inout ImageWriter) {
        image.put(header.it.markers.ignores_birth != 0 ? RetentionMode.horizon.rawValue : RetentionMode.interval.rawValue)
        image.put(header.it.policy)
        image.put(header.it.reader_limits)
        image.put(header.it.total_held_count_limit)
        image.put(header.it.total_held_byte_limit)
    }

    private func writeState(_ image: inout ImageWriter, floor: UInt64) {
        image.put(openNumber)
        image.put(floor)
        image.put(header.it.time)
        image.put(header.it.first_time)
        image.put(header.it.operation_count)
        lockReaders()
        image.put(header.it.next_reader_serial)
        unlockReaders()
        image.put(header.it.born_total)
        image.put(header.it.annihilated_total)
        image.put(header.it.purged_total)
        image.put(header.it.expired_total)
        image.put(header.it.resync_total)
        image.put(header.it.touched_last_seal)
        image.put(header.it.touched_most)
    }

    // MARK: Readers

    /// Is it one that the image has? An expired one is told to resync without, one on its way in is not there yet.
    private func isInImage(_ reader: Ref<cistern_reader>) -> Bool {
        hasFlag(CISTERN_READER_IS_DURABLE, reader) && reader.it.registered_acknowledged != 0
            && readerState(reader) != CISTERN_READER_CANCELLED.rawValue
    }

    /// The floor as it is without the readers that are left out, and the oldest pin of the others. A cell at a time.
    private func heldByDurableReaders() -> (floor: UInt64, oldest: UInt64) {
        var held: UInt64 = 0
        var oldest = UInt64.max
        forEachReader { reader, _ in
            guard isInImage(reader) else { return }
            forEachPin(of: reader) { pin in
                guard let index = groupIndex(markers, of: pin) else { return }
                held |= 1 << UInt64(index)
                oldest = min(oldest, pin)
            }
        }
        var floor = header.it.floor
        for column in 0..<markers.it.count {
            for row in 0...column {
                let needing = ((UInt64(2) << UInt64(column)) &- 1) & ~((UInt64(1) << UInt64(row)) &- 1)
                let cell = cell(markers, afterGroups: row, onGroup: column)
                if cell.it.head != 0, held & needing == 0 { floor = max(floor, cell.it.last_death &+ 1) }
            }
        }
        return (floor, oldest)
    }

    func forEachPin(of reader: Ref<cistern_reader>, _ body: (UInt64) -> Void) {
        if reader.it.registered_acknowledged != 0 { body(reader.it.registered_acknowledged) }
        if reader.it.registered_delivered != 0 { body(reader.it.registered_delivered) }
        if reader.it.registered_stored != 0 { body(reader.it.registered_stored) }
    }

    private func writeReaders(_ image: inout ImageWriter, countAt countOffset: Int) {
        lockReaders()
        defer { unlockReaders() }
        // The newest is the first of the list.
        var offset = header.it.first_reader
        while offset != 0, at(offset, cistern_reader.self).it.next != 0 { offset = at(offset, cistern_reader.self).it.next }
        var count: UInt32 = 0
        while offset != 0 {
            let reader: Ref<cistern_reader> = at(offset)
            if isInImage(reader) {
                write(reader, &image)
                count &+= 1
            }
            offset = reader.it.previous
        }
        image.put(count, at: countOffset)
    }

    private func write(_ reader: Ref<cistern_reader>, _ image: inout ImageWriter) {
        let kept = CISTERN_READER_IS_DURABLE.rawValue | CISTERN_READER_HOLDS_CONTENT.rawValue | CISTERN_READER_IS_FIXED.rawValue
        image.put(reader.it.serial)
        image.put(reader.it.reader_class)
        image.put(reader.it.flags & UInt8(kept))
        image.put(UInt8(truncatingIfNeeded: readerState(reader)))
        image.put(UInt8(reader.it.limits != 0 ? 1 : 0))
        image.put(reader.it.registered_acknowledged)
        image.put(reader.it.registered_delivered)
        image.put(reader.it.registered_stored)
        // One at the open tick is not behind yet.
        image.put(reader.it.registered_acknowledged >= openNumber ? UInt64.max : behindSince(reader))
        if reader.it.limits != 0 { image.put(at(reader.it.limits, cistern_reader_limits.self).it) }
    }

    // MARK: Regions

    private func writeRemoved(_ image: inout ImageWriter) {
        forEachRecord { slot, record in
            guard !isLive(record) else { return }
            var marks = UInt32(record.it.state)
            if has(CISTERN_RECORD_OWNS_REGION, record) {
                marks &= ~(CISTERN_RECORD_OWNS_REGION.rawValue | CISTERN_RECORD_HAS_CONTENT.rawValue)
            }
            image.put(slot)
            image.put(record.it.generation)
            image.put(record.it.birth)
            image.put(death(record))
            image.put(record.it.sequence)
            image.put(UInt8(truncatingIfNeeded: marks))
            image.put(UInt8(0))
            image.put(record.it.name_byte_count)
            image.put(parent(of: record).slot)
            if isStaged(record) || marks & CISTERN_RECORD_HAS_CONTENT.rawValue != 0 { image.put(payloadToStore(record)) }
            unsafe image.put(name(of: record))
        }
    }

    /// That of a region with memory is a word about the memory, which is in no image.
    private func payloadToStore(_ record: Ref<cistern_region_record>) -> UInt64 {
        has(CISTERN_RECORD_OWNS_REGION, record) ? 0 : livePart(record).it.payload
    }

    private func writeLiving(_ image: inout ImageWriter) {
        forEachRecord { slot, record in
            guard isLive(record) else { return }
            image.put(slot)
            image.put(record.it.generation)
            image.put(record.it.birth)
            image.put(payloadToStore(record))
            image.put(record.it.name_byte_count)
            unsafe image.put(name(of: record))
        }
    }

    /// List after list, each from its end: what is listed last is the first of a list.
    private func writeOwned(_ image: inout ImageWriter, countAt countOffset: Int) {
        var count: UInt64 = 0
        forEachRecord { _, parent in
            guard isLive(parent) else { return }
            var child = livePart(parent).it.first_child
            while child != 0, livePart(record(child)).it.next_sibling != 0 { child = livePart(record(child)).it.next_sibling }
            while child != 0 {
                writeOwners(of: child, &image)
                count &+= 1
                child = record(child).it.sequence
            }
        }
        image.put(count, at: countOffset)
    }

    private func writeOwners(of slot: UInt32, _ image: inout ImageWriter) {
        image.put(slot)
        let countOffset = image.byteCount
        image.put(UInt32(0))
        var count: UInt32 = 0
        forEachOwner(record(slot), slot) { owner in
            image.put(owner)
            count &+= 1
        }
        image.put(count, at: countOffset)
    }

    private func writeChanges(_ image: inout ImageWriter) {
        var offset = header.it.oldest_change
        while offset != 0 {
            let part: Ref<cistern_live_part> = at(offset)
            image.put(part.it.slot)
            image.put(part.it.changed)
            image.put(part.it.changed_before)
            offset = part.it.next
        }
    }
}
