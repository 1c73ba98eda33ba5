import CHeap
@_spi(Regions) import HeapCore

// Safety: a chunk that is linked into a region is the region's own; see RegionMemory.swift.

/// How large chunks are.
///
/// A quarter of what the region has already, from one page to 256 KiB: what a region leaves unused at its end is then at most
/// a fifth of it, once it has a few pages, and of a large one next to nothing. What is left in each chunk where the next object
/// does not fit comes on top: with objects of the worst of all sizes below 16 KiB, regions of 8 MiB take 1.09 times the bytes
/// asked for, of 1 MiB 1.31, of 64 KiB 1.81, and of a few pages twice as much.
///
/// On recorded traces of a formatter's regions that came to 1.01 times the bytes asked for at the peak, where chunks that double
/// came to 1.12 and fixed chunks of 8 MiB to 1.12 and 1.16.
enum ChunkSize {
    static var pageByteCount: UInt { 4096 }
    static var headerByteCount: UInt { 64 }
    static var mostPages: UInt { 64 }
    /// From here on an object has a run of its own. Its last page is at most a quarter of it.
    static var largeByteCount: UInt { 16384 }

    /// Pages that hold so many bytes; at most the capacity and a page, so nothing wraps.
    static func pages(_ byteCount: UInt) -> UInt { (byteCount &+ pageByteCount &- 1) / pageByteCount }

    /// Pages of the next chunk of a region that has so many bytes in runs.
    static func next(runBytes: UInt64) -> UInt { min(max(UInt(runBytes / 4) / pageByteCount, 1), mostPages) }
}

extension BoundedRegion {
    /// In checked mode, what new bytes hold, and what a region leaves behind.
    static var newByte: UInt8 { 0xA5 }
    static var freedByte: UInt8 { 0xDD }

    // MARK: Head and end

    /// Where the next bytes of the current chunk begin. While the fast path is off, its header knows.
    func currentHead(of chunk: Ref<cistern_region_chunk>) -> UInt {
        UInt(record.it.head != 0 ? record.it.head : chunk.it.used_end)
    }

    /// Sets where the next bytes begin, and how far the fast path may go. It is off in checked mode, so that a closed region or
    /// a busy one is never allocated from, and where the limit leaves less than 16 bytes: the slow path counts those exactly.
    func setHead(_ head: UInt, in chunk: Ref<cistern_region_chunk>) {
        record.it.head = 0
        record.it.end = 0
        chunk.it.used_end = uintptr_t(head)
        guard !isChecked, !has(CISTERN_REGION_BUSY) else { return }
        var end = UInt(chunk.it.end)
        if let left = bytesLeftUnderLimit, left < UInt64(end &- head) { end = (head &+ UInt(left)) & ~15 }
        guard end > head else { return }
        record.it.head = uintptr_t(head)
        record.it.end = uintptr_t(end)
    }

    /// Sets the end again after the limit or what counts against it has changed.
    func refreshEnd() {
        guard let chunk else { return }
        setHead(currentHead(of: chunk), in: chunk)
    }

    /// Turns the fast path off; `used_end` of the current chunk is right from then on.
    func closeFastPath() {
        if record.it.head != 0, let chunk { chunk.it.used_end = record.it.head }
        record.it.head = 0
        record.it.end = 0
    }

    /// Bytes allocated, alignment included.
    public var usedBytes: UInt64 {
        guard let chunk else { return record.it.settled_bytes }
        return record.it.settled_bytes &+ UInt64(currentHead(of: chunk) &- UInt(chunk.it.first))
    }

    func nextSerial() -> UInt64 {
        record.it.serial &+= 1
        return record.it.serial
    }

    // MARK: Chunks

    /// Makes a chunk with room for an allocation the current one. False when the heap has none; nothing has changed then.
    func addChunk(for byteCount: UInt, alignment: UInt) -> Bool {
        let least = ChunkSize.pages(max(ChunkSize.headerByteCount, alignment) &+ byteCount)
        var pages = max(least, ChunkSize.next(runBytes: record.it.run_bytes))
        var taken = heap.takeRegionRun(pages: UInt32(truncatingIfNeeded: pages)).chunk
        while taken == nil, pages > least {
            pages = max(pages / 2, least)
            taken = heap.takeRegionRun(pages: UInt32(truncatingIfNeeded: pages)).chunk
        }
        if taken == nil, heap.scavengeForRegions() { taken = heap.takeRegionRun(pages: UInt32(truncatingIfNeeded: least)).chunk }
        guard let added = taken else { return false }
        if let chunk {
            closeFastPath()
            record.it.settled_bytes &+= UInt64(chunk.it.used_end &- chunk.it.first)
            chunk.it.newer = uintptr_t(added.number)
        }
        added.it.region = uintptr_t(record.number)
        added.it.older = record.it.chunk
        added.it.newer = 0
        added.it.first = uintptr_t(added.number &+ ChunkSize.headerByteCount)
        added.it.serial = nextSerial()
        added.it.is_large = 0
        record.it.chunk = uintptr_t(added.number)
        record.it.chunk_count &+= 1
        countRun(of: added)
        setHead(UInt(added.it.first), in: added)
        return true
    }

    func countRun(of chunk: Ref<cistern_region_chunk>) {
        record.it.run_bytes &+= runBytes(of: chunk)
        record.it.run_high_water_bytes = max(record.it.run_high_water_bytes, record.it.run_bytes)
    }

    func runBytes(of chunk: Ref<cistern_region_chunk>) -> UInt64 { UInt64(UInt(chunk.it.end) &- chunk.number) }

    /// Gives back a list of chunks, linked by `older`, that are no longer the region's.
    func giveBack(_ list: Ref<cistern_region_chunk>) {
        if isChecked {
            var next: Ref<cistern_region_chunk>? = list
            while let chunk = next {
                RegionMemory.fill(UInt(chunk.it.first), byteCount: UInt(chunk.it.end &- chunk.it.first), with: Self.freedByte)
                next = .optional(chunk.it.older)
            }
        }
        heap.returnRegionRuns(list)
    }

    // MARK: Large objects

    /// Is a run of its own better for an allocation that the current chunk does not hold? It is for a large one, and where its
    /// last page leaves less unused than the rest of the chunk would be: but the rest is left once, and a run costs each time. So
    /// that is for what would be a good part of the next chunk only; as the region grows by such runs, soon none is.
    func isBetterAlone(_ byteCount: UInt, alignment: UInt) -> Bool {
        if byteCount >= ChunkSize.largeByteCount || alignment >= ChunkSize.pageByteCount { return true }
        guard alignment <= ChunkSize.headerByteCount, let chunk else { return false }
        guard byteCount &* 4 >= ChunkSize.next(runBytes: record.it.run_bytes) &* ChunkSize.pageByteCount else { return false }
        let alone = ChunkSize.headerByteCount &+ byteCount
        return ChunkSize.pages(alone) &* ChunkSize.pageByteCount &- alone < UInt(chunk.it.end) &- currentHead(of: chunk)
    }

    /// Takes a run for one object; nil when there is no room. Its bytes begin behind the header, at the next multiple of the
    /// alignment; from a page's alignment on, the header has the page before.
    func allocateLarge(_ byteCount: UInt, alignment: UInt, isZeroed: Bool) -> UInt? {
        // Both are at most the capacity, 128 GiB: neither the sum nor the pages in 32 bits wrap, once it is compared.
        let offset = min(max(ChunkSize.headerByteCount, alignment), ChunkSize.pageByteCount)
        let pages = ChunkSize.pages(offset &+ byteCount)
        guard pages &* ChunkSize.pageByteCount <= UInt(heap.capacityBytes) else { return nil }
        let pageAlignment = max(alignment / ChunkSize.pageByteCount, 1)
        var taken = takeRun(pages, alignment: pageAlignment)
        if taken.chunk == nil, heap.scavengeForRegions() { taken = takeRun(pages, alignment: pageAlignment) }
        guard let chunk = taken.chunk else { return nil }
        let first = chunk.number &+ offset
        chunk.it.first = uintptr_t(first)
        chunk.it.used_end = uintptr_t(first &+ byteCount)
        chunk.it.is_large = 1
        linkLarge(chunk)
        if isZeroed { zero(first, byteCount, in: chunk, hasZeroInterior: taken.hasZeroInterior) }
        if isChecked, !isZeroed { RegionMemory.fill(first, byteCount: byteCount, with: Self.newByte) }
        return first
    }

    private func takeRun(_ pages: UInt, alignment: UInt) -> (chunk: Ref<cistern_region_chunk>?, hasZeroInterior: Bool) {
        heap.takeRegionRun(
            pages: UInt32(truncatingIfNeeded: pages), alignment: UInt32(truncatingIfNeeded: alignment), ofPage: alignment > 1 ? 1 : 0)
    }

    private func zero(_ first: UInt, _ byteCount: UInt, in chunk: Ref<cistern_region_chunk>, hasZeroInterior: Bool) {
        let end = first &+ byteCount
        let interior = chunk.number &+ ChunkSize.pageByteCount
        let interiorEnd = UInt(chunk.it.end) &- ChunkSize.pageByteCount
        guard hasZeroInterior, interior < interiorEnd else { return RegionMemory.fill(first, byteCount: byteCount, with: 0) }
        if first < interior { RegionMemory.fill(first, byteCount: min(interior, end) &- first, with: 0) }
        if interiorEnd < end { RegionMemory.fill(max(interiorEnd, first), byteCount: end &- max(interiorEnd, first), with: 0) }
    }

    /// Enters a large object as the youngest, and counts it.
    func linkLarge(_ chunk: Ref<cistern_region_chunk>) {
        chunk.it.region = uintptr_t(record.number)
        chunk.it.serial = nextSerial()
        chunk.it.older = record.it.large
        chunk.it.newer = 0
        if let older = Ref<cistern_region_chunk>.optional(record.it.large) { older.it.newer = uintptr_t(chunk.number) }
        record.it.large = uintptr_t(chunk.number)
        record.it.large_count &+= 1
        record.it.settled_bytes &+= UInt64(chunk.it.used_end &- chunk.it.first)
        countRun(of: chunk)
        refreshEnd()
    }

    /// The opposite. The object's bytes stay as they are.
    func unlinkLarge(_ chunk: Ref<cistern_region_chunk>) {
        if let older = Ref<cistern_region_chunk>.optional(chunk.it.older) { older.it.newer = chunk.it.newer }
        if let newer = Ref<cistern_region_chunk>.optional(chunk.it.newer) {
            newer.it.older = chunk.it.older
        } else {
            record.it.large = chunk.it.older
        }
        record.it.large_count &-= 1
        record.it.settled_bytes &-= UInt64(chunk.it.used_end &- chunk.it.first)
        record.it.run_bytes &-= runBytes(of: chunk)
        refreshEnd()
    }
}
