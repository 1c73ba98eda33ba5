import CTicks
import HeapCore

// Safety: see RegionDirectory.swift and Image.swift. Whatever the bytes say, the directory can be destroyed at each step: a record has
// a state once its blocks are its own, and nobody else knows the directory before all of it is there.

extension RegionDirectory {
    /// Makes a directory of the bytes that `writeImage` wrote, in any heap: names, ids, tombstones and positions are as they were.
    /// Removals of the tick that was open are decided when it ends.
    ///
    /// Durable readers are there without an owner, for `resume` and `forget`; `detachedState(after:)` lists them. Each can be taken up
    /// where it had acknowledged, where it had last stored, or at the end of what had been delivered to it; anything else that its
    /// owner has stored is answered as any position: exactly, or by a resync. A position that was reached after the image was written
    /// is lost with the ticks up to it, and is answered by a resync also when ticks of the same numbers have passed again.
    ///
    /// Payloads are as they were; `replacePayloads` gives the caller's words of today. The release function is called for none before
    /// this returns. Ids that were given out after the image was written can be given to other regions.
    ///
    /// - Parameters:
    ///   - image: all of it; may be on any alignment. Damaged or hostile bytes are an error or a sound directory.
    ///   - release: as in `DirectoryOptions`; the other options are the image's.
    ///   - hashSeed: the seed of the hash of names; 0: from the system's randomness.
    /// - Throws: `damaged`; `outOfCapacity`. Nothing is left behind.
    /// - Complexity: linear in the image, and in the chunks up to the greatest slot number.
    public static func reopen(
        _ image: UnsafeRawBufferPointer, in heap: BoundedHeap, release: PayloadRelease? = nil, releaseContext: UInt = 0,
        hashSeed: UInt64 = 0
    ) throws(ImageError) -> RegionDirectory {
        var image = unsafe try ImageReader(image)
        var options = try readOptions(&image)
        options.hashSeed = hashSeed
        options.firstTick = Tick(try image.takeTick(Tick.first.number...Tick.last.number))
        var made: RegionDirectory?
        do throws(DirectoryError) { made = try create(in: heap, options) } catch {}
        guard let directory = made else { throw .outOfCapacity }
        do throws(ImageError) { try directory.fill(&image) } catch {
            directory.destroy()
            throw error
        }
        directory.setRelease(release, releaseContext)
        return directory
    }

    private static func readOptions(_ image: inout ImageReader) throws(ImageError) -> DirectoryOptions {
        var options = DirectoryOptions()
        let flags = try image.take(UInt32.self)
        options.keepsLastValue = flags & CISTERN_DIRECTORY_KEEPS_LAST_VALUE.rawValue != 0
        options.isChecked = flags & CISTERN_DIRECTORY_IS_CHECKED.rawValue != 0
        guard flags & ~(CISTERN_DIRECTORY_KEEPS_LAST_VALUE.rawValue | CISTERN_DIRECTORY_IS_CHECKED.rawValue) == 0 else {
            throw image.damage(.options)
        }
        _ = try image.take(UInt64.self)
        guard let mode = RetentionMode(rawValue: try image.take(UInt32.self)) else { throw image.damage(.options) }
        guard let policy = RetentionPolicy(rawValue: try image.take(UInt32.self)) else { throw image.damage(.options) }
        options.mode = mode
        options.policy = policy
        options.readerLimits = ReaderLimits(try image.takeLimits())
        options.heldCountLimit = try image.take(UInt64.self)
        options.heldBytesLimit = try image.take(UInt64.self)
        return options
    }

    /// Readers before what they hold, removed regions before living ones of the same names, regions before who owns them.
    private func fill(_ image: inout ImageReader) throws(ImageError) {
        header.it.floor = try image.takeTick(Tick.first.number...openNumber)
        header.it.time = try image.take(UInt64.self)
        header.it.first_time = try image.take(UInt64.self)
        let operationCount = try image.take(UInt32.self)
        let lastSerial = try image.take(UInt32.self)
        try readTotals(&image)
        let lifeCount = try image.take(UInt32.self)
        let readerCount = try image.take(UInt32.self)
        let removedCount = try image.take(UInt64.self)
        let livingCount = try image.take(UInt64.self)
        let ownedCount = try image.take(UInt64.self)
        guard ownedCount <= livingCount else { throw image.damage(.counts) }
        // Without a carry: neither is more than the bytes of an image, or reading it ends early.
        let isWhole = removedCount <= UInt64(image.rest) && livingCount <= UInt64(image.rest)
        let gone = header.it.purged_total.addingReportingOverflow(header.it.annihilated_total)
        let born = gone.partialValue.addingReportingOverflow(isWhole ? removedCount + livingCount : 0)
        guard isWhole, !gone.overflow, !born.overflow, born.partialValue == header.it.born_total else { throw image.damage(.counts) }
        try readLives(&image, count: lifeCount)
        try readReaders(&image, count: readerCount, lastSerial: lastSerial)
        for _ in 0..<removedCount { try readRemoved(&image) }
        // Which removing them anew has moved.
        header.it.operation_count = operationCount
        for _ in 0..<livingCount { try readLiving(&image) }
        for _ in 0..<ownedCount { try readOwners(&image) }
        try checkOwnersOfRemoved(&image)
        for _ in 0..<(livingCount &+ header.it.staged_count) { try readChange(&image) }
        try image.finish()
        header.it.touched_total = 0
        listFreeSlots()
    }

    private func readTotals(_ image: inout ImageReader) throws(ImageError) {
        header.it.born_total = try image.take(UInt64.self)
        header.it.annihilated_total = try image.take(UInt64.self)
        header.it.purged_total = try image.take(UInt64.self)
        header.it.expired_total = try image.take(UInt64.self)
        header.it.resync_total = try image.take(UInt64.self)
        header.it.touched_last_seal = try image.take(UInt64.self)
        header.it.touched_most = try image.take(UInt64.self)
    }

    // MARK: Readers

    private func readReaders(_ image: inout ImageReader, count: UInt32, lastSerial: UInt32) throws(ImageError) {
        // Serials are given in order, so how far each is behind the last one falls; that wraps where they do.
        var distance = UInt64.max
        for _ in 0..<count {
            let serial = try image.take(UInt32.self)
            guard serial != 0, UInt64(lastSerial &- serial) < distance else { throw image.damage(.reader) }
            distance = UInt64(lastSerial &- serial)
            try readReader(&image, serial: serial)
        }
        header.it.next_reader_serial = lastSerial
    }

    private func readReader(_ image: inout ImageReader, serial: UInt32) throws(ImageError) {
        let readerClass = try image.take(UInt8.self)
        guard ReaderClass(rawValue: readerClass) != nil else { throw image.damage(.reader) }
        let flags = UInt32(try image.take(UInt8.self))
        let (fixed, content) = (CISTERN_READER_IS_FIXED.rawValue, CISTERN_READER_HOLDS_CONTENT.rawValue)
        let known = CISTERN_READER_IS_DURABLE.rawValue | fixed | content
        guard flags & ~known == 0, flags & CISTERN_READER_IS_DURABLE.rawValue != 0, flags & content == 0 || flags & fixed != 0 else {
            throw image.damage(.reader)
        }
        let state = UInt32(try image.take(UInt8.self))
        guard state <= CISTERN_READER_LAGGING.rawValue else { throw image.damage(.reader) }
        let hasLimits = try image.take(UInt8.self)
        guard hasLimits <= 1 else { throw image.damage(.reader) }
        let open = openNumber
        let acknowledged = try image.takeTick(1...open)
        let delivered = try image.takeTick(0...open)
        guard delivered == 0 || delivered > acknowledged else { throw image.damage(.tick) }
        let stored = try image.takeTick(0...open)
        let behindSince = try image.take(UInt64.self)
        let limits: cistern_reader_limits? = hasLimits != 0 ? try image.takeLimits() : nil

        let reader = try enterReopened(flags: flags)
        reader.it.serial = serial
        reader.it.reader_class = readerClass
        if let limits { setLimits(ReaderLimits(limits), of: reader, offset(of: reader)) }
        unsafe cistern_reader_acknowledged_store(reader.pointer, acknowledged)
        unsafe cistern_reader_delivered_store(reader.pointer, delivered)
        unsafe cistern_reader_stored_store(reader.pointer, stored)
        _ = unsafe cistern_reader_state_change(reader.pointer, state)
        if state == CISTERN_READER_LAGGING.rawValue { header.it.has_over_limit = 1 }
        if flags & content != 0 { try pinContents(acknowledged) }
        reader.it.registered_acknowledged = acknowledged
        reader.it.registered_delivered = delivered
        reader.it.registered_stored = stored
        reader.it.caught_up_time = behindSince
        reader.it.is_registered = 1
        forEachPin(of: reader) { _ = addPin(markers, $0) }
        setDeadlines(reader)
    }

    /// A durable reader without an owner.
    private func enterReopened(flags: UInt32) throws(ImageError) -> Ref<cistern_reader> {
        let byteCount = Self.readerBytes(mayHaveLimits: true)
        guard let block = unsafe heap.allocateZeroed(byteCount: byteCount) else { throw .outOfCapacity }
        let reader = Ref<cistern_reader>(place: UInt(bitPattern: block))
        let marks = CISTERN_READER_IS_DETACHED.rawValue | CISTERN_READER_IS_REOPENED.rawValue
        reader.it.flags = UInt8(truncatingIfNeeded: flags | marks)
        unsafe cistern_reader_enter(header.pointer, offset(of: reader), UInt64(byteCount))
        return reader
    }

    private func offset(of reader: Ref<cistern_reader>) -> UInt64 { UInt64(UInt(bitPattern: unsafe reader.pointer)) &- header.it.base }

    private func pinContents(_ tick: UInt64) throws(ImageError) {
        guard header.it.content_reader_count < Self.mostGroups, addPin(contents, tick) else { throw .outOfCapacity }
        header.it.content_reader_count &+= 1
    }

    // MARK: Regions

    private func readRemoved(_ image: inout ImageReader) throws(ImageError) {
        let (record, slot) = try place(&image)
        let generation = try takeGeneration(&image)
        let open = openNumber
        let birth = try image.takeTick(1...open)
        let death = try image.takeTick(birth...open)
        let sequence = try image.take(UInt32.self)
        let marks = UInt32(try image.take(UInt8.self))
        let (content, below) = (CISTERN_RECORD_HAS_CONTENT.rawValue, CISTERN_RECORD_IS_SUBTREE_PART.rawValue)
        // What died in the tick that it was born in, or in the open one, is no tombstone.
        let isStaged = death == open && marks & ~below == CISTERN_RECORD_STAGED.rawValue
        let isTombstone = death < open && death > birth && marks & ~(below | content) == CISTERN_RECORD_TOMBSTONE.rawValue
        guard try image.take(UInt8.self) == 0, isStaged || isTombstone else { throw image.damage(.region) }
        let nameByteCount = try takeNameByteCount(&image)
        let owner = try image.take(UInt32.self)
        guard owner == 0 || marks & below != 0 else { throw image.damage(.owner) }
        let payload = isStaged || marks & content != 0 ? try image.take(UInt64.self) : nil
        let name = unsafe try image.takeBytes(nameByteCount)
        unsafe try fill(record, slot, name: name, payload: payload)
        record.it.generation = generation
        record.it.birth = birth
        record.it.parent = owner
        if isStaged {
            // As if it were removed now: it lives for a moment.
            guard enterName(hash: livePart(record).it.hash, slot: slot) else { throw .outOfCapacity }
            record.it.state = UInt8(CISTERN_RECORD_LIVE.rawValue | (marks & below))
            header.it.live_count &+= 1
            stage(record, slot, open)
        } else {
            bury(record, slot, death: death, marks)
        }
        record.it.sequence = sequence
    }

    /// A tombstone goes where the pins want it; what is needed by none, to what the next boundaries free.
    private func bury(_ record: Ref<cistern_region_record>, _ slot: UInt32, death: UInt64, _ marks: UInt32) {
        record.it.state = UInt8(truncatingIfNeeded: marks)
        if has(CISTERN_RECORD_HAS_CONTENT, record) {
            livePart(record).it.changed = death
            let isKept = has(CISTERN_DIRECTORY_KEEPS_LAST_VALUE) || hang(contents, slot, record, death: death)
            if !isKept { queueLoose(contents, slot, record) }
        } else {
            record.it.death = death
        }
        if !hang(markers, slot, record, death: death) { queueLoose(markers, slot, record) }
    }

    private func readLiving(_ image: inout ImageReader) throws(ImageError) {
        let (record, slot) = try place(&image)
        let generation = try takeGeneration(&image)
        let birth = try image.takeTick(1...openNumber)
        let payload = try image.take(UInt64.self)
        let nameByteCount = try takeNameByteCount(&image)
        let name = unsafe try image.takeBytes(nameByteCount)
        let hash = unsafe nameHash(name)
        guard unsafe find(name, hash: hash) == 0 else { throw image.damage(.name) }
        unsafe try fill(record, slot, name: name, payload: payload)
        record.it.generation = generation
        record.it.birth = birth
        guard enterName(hash: hash, slot: slot) else { throw .outOfCapacity }
        record.it.state = UInt8(CISTERN_RECORD_LIVE.rawValue)
        header.it.live_count &+= 1
    }

    /// Each is alive, older, and there once: until the end of the list `next` of an owner's record names the child.
    private func readOwners(_ image: inout ImageReader) throws(ImageError) {
        let slot = try image.take(UInt32.self)
        guard isLive(slot: slot), record(slot).it.parent == 0 else { throw image.damage(.owner) }
        let count = try image.take(UInt32.self)
        guard count > 0 else { throw image.damage(.owner) }
        for _ in 0..<count {
            let owner = try image.take(UInt32.self)
            guard isLive(slot: owner), isOlder(record(owner), record(slot)), record(owner).it.next != slot else {
                throw image.damage(.owner)
            }
            guard addOwner(owner, of: slot) else { throw .outOfCapacity }
            record(owner).it.next = slot
        }
        forEachOwner(record(slot), slot) { owner in record(owner).it.next = 0 }
    }

    private func takeGeneration(_ image: inout ImageReader) throws(ImageError) -> UInt32 {
        let generation = try image.take(UInt32.self)
        guard generation != 0 else { throw image.damage(.region) }
        return generation
    }

    private func takeNameByteCount(_ image: inout ImageReader) throws(ImageError) -> Int {
        let count = Int(try image.take(UInt16.self))
        guard count <= CISTERN_NAME_MOST_BYTES else { throw image.damage(.name) }
        return count
    }

    private func isThere(slot: UInt32) -> Bool {
        slot != 0 && (slot &- 1) >> 8 < header.it.chunk_count && chunk((slot &- 1) >> 8).it.records != 0
    }

    private func isLive(slot: UInt32) -> Bool { isThere(slot: slot) && isLive(record(slot)) }

    /// Gives a record its blocks; its state says so from here on.
    private func fill(
        _ record: Ref<cistern_region_record>, _ slot: UInt32, name: UnsafeRawBufferPointer, payload: UInt64?
    ) throws(ImageError) {
        let partBytes = UInt(MemoryLayout<cistern_live_part>.size)
        let nameBlock = name.count == 0 ? 0 : allocate(UInt(name.count))
        let liveBlock = payload == nil ? 0 : allocate(partBytes)
        guard nameBlock != 0 || name.count == 0, liveBlock != 0 || payload == nil else {
            free(nameBlock, UInt(name.count))
            free(liveBlock, partBytes)
            throw .outOfCapacity
        }
        unsafe Bytes.copy(name, to: address(nameBlock))
        record.it.next = 0
        record.it.name_low = UInt32(truncatingIfNeeded: nameBlock >> 3)
        record.it.name_high = UInt8(truncatingIfNeeded: nameBlock >> 35)
        record.it.name_byte_count = UInt16(name.count)
        header.it.name_byte_count &+= UInt64(name.count)
        record.it.state = UInt8(CISTERN_RECORD_TOMBSTONE.rawValue)
        guard let payload else { return }
        record.it.death = liveBlock
        record.it.state |= UInt8(CISTERN_RECORD_HAS_CONTENT.rawValue)
        let part = livePart(record)
        part.it = cistern_live_part()
        part.it.payload = payload
        part.it.slot = slot
        part.it.hash = unsafe nameHash(name)
        header.it.live_part_count &+= 1
    }

    /// An owner in whose removal this one went died in the same tick, and was made before: so none is above itself.
    private func checkOwnersOfRemoved(_ image: inout ImageReader) throws(ImageError) {
        var isRight = true
        forEachRecord { _, record in
            guard !isLive(record), record.it.parent != 0 else { return }
            guard isThere(slot: record.it.parent) else { return isRight = false }
            let owner = self.record(record.it.parent)
            if state(owner) != state(record) || death(owner) != death(record) || !isOlder(owner, record) { isRight = false }
        }
        guard isRight else { throw image.damage(.owner) }
    }

    private func readChange(_ image: inout ImageReader) throws(ImageError) {
        let slot = try image.take(UInt32.self)
        guard isThere(slot: slot), state(record(slot)) == CISTERN_RECORD_LIVE.rawValue || isStaged(record(slot)) else {
            throw image.damage(.change)
        }
        let part = livePart(record(slot))
        guard part.it.changed == 0 else { throw image.damage(.change) }
        let birth = record(slot).it.birth
        let newest = header.it.newest_change == 0 ? 0 : at(header.it.newest_change, cistern_live_part.self).it.changed
        let changed = try image.takeTick(max(birth, newest)...openNumber)
        let before = try image.take(UInt64.self)
        guard before == 0 || (before >= birth && before < changed) else { throw image.damage(.tick) }
        part.it.changed = changed
        part.it.changed_before = before
        appendToChanges(part, record(slot).it.death)
    }

    // MARK: Slots

    /// The record of a slot that nobody has yet.
    private func place(_ image: inout ImageReader) throws(ImageError) -> (record: Ref<cistern_region_record>, slot: UInt32) {
        let slot = try image.take(UInt32.self)
        let number = (slot &- 1) >> 8
        guard slot != 0, number < UInt32.max >> 8 else { throw image.damage(.region) }
        while header.it.chunk_count <= number {
            guard reserve(.chunks, through: header.it.chunk_count) else { throw .outOfCapacity }
            chunk(header.it.chunk_count).it = cistern_record_chunk()
            header.it.chunk_count &+= 1
        }
        let chunk = chunk(number)
        if chunk.it.records == 0 {
            let block = allocate(Self.chunkBytes)
            guard block != 0 else { throw .outOfCapacity }
            Bytes.zero(address(block), byteCount: Self.chunkBytes)
            chunk.it.records = block
        }
        let record = record(slot)
        guard state(record) == CISTERN_RECORD_FREE.rawValue else { throw image.damage(.region) }
        header.it.used_slot_count &+= 1
        return (record, slot)
    }

    /// The free slots of each chunk, and the chunks that have some, lowest first.
    private func listFreeSlots() {
        var number = header.it.chunk_count
        while number > 0 {
            number &-= 1
            let chunk = chunk(number)
            guard chunk.it.records != 0 else {
                list(number, in: .vacant)
                continue
            }
            var slot = number << 8 &+ 256
            while slot > number << 8 {
                let record = record(slot)
                if state(record) == CISTERN_RECORD_FREE.rawValue {
                    record.it.next = chunk.it.first_free
                    chunk.it.first_free = slot
                    chunk.it.free_count &+= 1
                }
                slot &-= 1
            }
            if chunk.it.free_count > 0 { list(number, in: .open) }
        }
    }

    // MARK: What the caller takes up

    private func setRelease(_ release: PayloadRelease?, _ context: UInt) {
        header.it.release_function = uintptr_t(UInt(bitPattern: unsafe unsafeBitCast(release, to: UnsafeRawPointer?.self)))
        header.it.release_context = uintptr_t(context)
    }

    /// Gives each region that still has a payload another one: for words that mean something only while a process lives. Removed
    /// regions are among them, whose payload is kept or not released yet. No payload is released, and nothing counts as changed. Of a
    /// region with memory it is the newest content's; those before it, which only snapshots see, keep theirs.
    ///
    /// - Parameter replacement: given id, name and payload; what it returns is the payload from now on, 0 for none. It runs with the
    ///   directory locked: it must not call the directory.
    /// - Complexity: proportional to the slots.
    public func replacePayloads(_ replacement: (RegionID, UnsafeRawBufferPointer, UInt64) -> UInt64) {
        lockOutOfLine()
        defer { unlockOutOfLine() }
        forEachRecord { slot, record in
            guard hasLivePart(record) else { return }
            let payload = payload(record, livePart(record))
            guard payload.it != 0 else { return }
            payload.it = unsafe replacement(id(record, slot: slot), name(of: record), payload.it)
        }
    }

    /// The durable reader without an owner that was entered next after the one of a serial; `nil` when there is no other. What a
    /// caller finds in a directory that it has reopened, one after another from serial 0.
    ///
    /// - Complexity: proportional to the readers.
    public func detachedState(after serial: UInt32) -> DurableState? {
        lock()
        defer { unlock() }
        collectNotes()
        var found: DurableState?
        forEachReader { reader, _ in
            guard hasFlag(CISTERN_READER_IS_DETACHED, reader), reader.it.serial > serial, !isExpired(reader),
                readerState(reader) != CISTERN_READER_CANCELLED.rawValue, found.map({ reader.it.serial < $0.readerSerial }) ?? true
            else { return }
            let tick = acknowledged(reader)
            found = DurableState(directoryIdentity: identity(at: tick), readerSerial: reader.it.serial, tick: Tick(tick))
        }
        return found
    }
}
