import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; a slot is followed only while its chunk has memory.

// Records stand in chunks of 256, so that a slot number finds its record by two loads, and memory goes back to the heap when
// a chunk is empty. One empty chunk is kept, so that a lone region that comes and goes does not take and give one each time.
extension RegionDirectory {
    static var chunkBytes: UInt {
        UInt(CISTERN_CHUNK_SLOT_COUNT) * UInt(MemoryLayout<cistern_region_record>.stride)
    }

    @inline(__always)
    func chunk(_ number: UInt32) -> Ref<cistern_record_chunk> { Ref(place: element(.chunks, number)) }

    @inline(__always)
    func record(_ slot: UInt32) -> Ref<cistern_region_record> {
        let index = slot &- 1
        let records = chunk(index >> 8).it.records
        return at(records &+ UInt64(index & 255) &* UInt64(MemoryLayout<cistern_region_record>.stride))
    }

    /// The same for one who walks: neighbours mostly share a chunk, which is looked up once.
    @inline(__always)
    func record(_ slot: UInt32, _ last: inout (chunk: UInt32, records: UInt64)) -> Ref<cistern_region_record> {
        let index = slot &- 1
        if last.chunk != index >> 8 { last = (index >> 8, chunk(index >> 8).it.records) }
        return at(last.records &+ UInt64(index & 255) &* UInt64(MemoryLayout<cistern_region_record>.stride))
    }

    /// The record of an id, alive or dead; nil when the slot is another's by now.
    @inline(__always)
    func record(_ id: RegionID) -> Ref<cistern_region_record>? {
        guard id.slot != 0, id.generation != 0, (id.slot &- 1) >> 8 < header.it.chunk_count,
            chunk((id.slot &- 1) >> 8).it.records != 0
        else { return nil }
        let record = record(id.slot)
        return record.it.generation == id.generation ? record : nil
    }

    /// Calls `body` with the record of each slot that is a named region's, from the lowest on.
    func forEachRecord(_ body: (UInt32, Ref<cistern_region_record>) -> Void) {
        forEachSlot { slot, record in
            if state(record) != CISTERN_RECORD_FREE.rawValue { body(slot, record) }
        }
    }

    /// The same for every slot that has memory, free ones and those of contents among them.
    func forEachSlot(_ body: (UInt32, Ref<cistern_region_record>) -> Void) {
        var slot = nextSlot(after: 0)
        while slot != 0 {
            body(slot, record(slot))
            slot = nextSlot(after: slot)
        }
    }

    /// The next slot of a chunk that has memory; 0: there is none.
    @inline(never)
    private func nextSlot(after slot: UInt32) -> UInt32 {
        guard slot & 255 == 0 else { return slot &+ 1 }
        var number = slot >> 8
        while number < header.it.chunk_count {
            if chunk(number).it.records != 0 { return number << 8 &+ 1 }
            number &+= 1
        }
        return 0
    }

    /// A free slot; 0 when the heap is full.
    func takeSlot() -> UInt32 {
        if header.it.open_chunk == 0, !addChunk() { return 0 }
        let number = header.it.open_chunk &- 1
        let chunk = chunk(number)
        let slot = chunk.it.first_free
        chunk.it.first_free = record(slot).it.next
        if chunk.it.free_count == UInt16(CISTERN_CHUNK_SLOT_COUNT), header.it.empty_chunk == number &+ 1 {
            header.it.empty_chunk = 0
        }
        chunk.it.free_count &-= 1
        if chunk.it.free_count == 0 { unlist(number, from: .open) }
        header.it.used_slot_count &+= 1
        return slot
    }

    /// Gives a slot back; its chunk too, when that is empty and another empty one is kept already.
    func returnSlot(_ slot: UInt32) {
        let number = (slot &- 1) >> 8
        let chunk = chunk(number)
        let record = record(slot)
        record.it.generation = 0
        record.it.state = UInt8(CISTERN_RECORD_FREE.rawValue)
        record.it.next = chunk.it.first_free
        chunk.it.first_free = slot
        chunk.it.free_count &+= 1
        header.it.used_slot_count &-= 1
        if chunk.it.free_count == 1 { list(number, in: .open) }
        guard chunk.it.free_count == UInt16(CISTERN_CHUNK_SLOT_COUNT) else { return }
        if header.it.empty_chunk == 0 {
            header.it.empty_chunk = number &+ 1
        } else {
            releaseChunk(number)
        }
    }

    /// Gives the kept empty chunk back.
    func releaseEmptyChunk() {
        guard header.it.empty_chunk != 0 else { return }
        let number = header.it.empty_chunk &- 1
        header.it.empty_chunk = 0
        releaseChunk(number)
    }

    // MARK: Chunks

    private func addChunk() -> Bool {
        let isNew = header.it.vacant_chunk == 0
        let number = isNew ? header.it.chunk_count : header.it.vacant_chunk &- 1
        // Slots are 32-bit numbers that begin with 1.
        guard number < UInt32.max >> 8, reserve(.chunks, through: number) else { return false }
        let block = allocate(Self.chunkBytes)
        guard block != 0 else {
            if isNew { release(.chunks, keeping: number) }
            return false
        }
        if isNew { header.it.chunk_count &+= 1 } else { unlist(number, from: .vacant) }
        let chunk = chunk(number)
        chunk.it = cistern_record_chunk()
        chunk.it.records = block
        chunk.it.free_count = UInt16(CISTERN_CHUNK_SLOT_COUNT)
        let first = number << 8 &+ 1
        chunk.it.first_free = first
        for slot in first..<(first &+ 256) {
            let record = record(slot)
            record.it = cistern_region_record()
            record.it.next = slot == first &+ 255 ? 0 : slot &+ 1
        }
        list(number, in: .open)
        return true
    }

    private func releaseChunk(_ number: UInt32) {
        let chunk = chunk(number)
        unlist(number, from: .open)
        free(chunk.it.records, Self.chunkBytes)
        chunk.it.records = 0
        list(number, in: .vacant)
        var count = header.it.chunk_count
        while count > 0, self.chunk(count &- 1).it.records == 0 {
            count &-= 1
            unlist(count, from: .vacant)
        }
        if count < header.it.chunk_count {
            header.it.chunk_count = count
            release(.chunks, keeping: count)
        }
    }

    /// The two lists of chunks.
    enum ChunkList: UInt8 {
        case open = 0
        case vacant = 1
    }

    private func first(of list: ChunkList) -> UInt32 { list == .open ? header.it.open_chunk : header.it.vacant_chunk }

    private func setFirst(of list: ChunkList, _ entry: UInt32) {
        if list == .open { header.it.open_chunk = entry } else { header.it.vacant_chunk = entry }
    }

    func list(_ number: UInt32, in list: ChunkList) {
        let head = first(of: list)
        let chunk = chunk(number)
        chunk.it.previous = 0
        chunk.it.next = head
        if head != 0 { self.chunk(head &- 1).it.previous = number &+ 1 }
        setFirst(of: list, number &+ 1)
    }

    private func unlist(_ number: UInt32, from list: ChunkList) {
        let chunk = chunk(number)
        if chunk.it.previous != 0 {
            self.chunk(chunk.it.previous &- 1).it.next = chunk.it.next
        } else {
            setFirst(of: list, chunk.it.next)
        }
        if chunk.it.next != 0 { self.chunk(chunk.it.next &- 1).it.previous = chunk.it.previous }
    }

    func releaseAllChunks() {
        for number in 0..<header.it.chunk_count { free(chunk(number).it.records, Self.chunkBytes) }
        header.it.chunk_count = 0
        release(.chunks, keeping: 0)
    }
}
