import CHeap

// Safety: see RawMemory.swift; chunks and records handed in came from here and were not given back.

// What regions need of the heap: runs of whole pages that the page map knows, and records. The layer above makes regions
// of them; nothing else sees this interface. Runs and records are handed out under the run lock; single pages are kept
// by the thread for its next region, as blocks are, within the same budget.
extension BoundedHeap {
    /// How many pages a thread may come to keep, and how many more it may claim at a time.
    private static var sparePageLimit: UInt32 { 16 }
    private static var sparePageStep: UInt32 { 4 }

    func regionEntry(ofPage page: UInt32) -> UInt32 { page << 1 | 1 }

    private func chunk(at address: UInt) -> Ref<cistern_region_chunk> { Ref(at: address) }

    private func chunk(atPage page: UInt32) -> Ref<cistern_region_chunk> { chunk(at: base &+ UInt(page) << Layout.pageShift) }

    private func page(of chunk: Ref<cistern_region_chunk>) -> UInt32 {
        UInt32(truncatingIfNeeded: (chunk.address &- base) >> Layout.pageShift)
    }

    private func pageCount(of chunk: Ref<cistern_region_chunk>) -> UInt32 {
        UInt32(truncatingIfNeeded: (UInt(chunk.it.end) &- chunk.address) >> Layout.pageShift)
    }

    // MARK: Runs

    /// Takes a run for a chunk of a region.
    ///
    /// - Parameters:
    ///   - pages: its length, 1 or more; 4 KiB each.
    ///   - alignment: of its address, in pages; a power of two.
    ///   - ofPage: which of its pages stands on that alignment.
    /// - Returns: the chunk, its `end` set and nothing else, or nil when there is no room; and whether the pages inside it, all
    ///   but the first and the last, read as zero.
    /// - Complexity: constant for a page that the thread kept; else a look at a few free runs and a store per page.
    @_spi(Regions)
    public func takeRegionRun(
        pages: UInt32, alignment: UInt32 = 1, ofPage aligned: UInt32 = 0
    ) -> (chunk: Ref<cistern_region_chunk>?, hasZeroInterior: Bool) {
        if pages == 1, alignment == 1, let chunk = takeSparePage() { return (chunk, false) }
        lockRuns()
        defer { unlockRuns() }
        let run = allocateAlignedRunForZeroing(pages << 6, alignment: alignment << 6, at: aligned << 6)
        guard run.start != 0 else { return (nil, false) }
        let first = run.start >> 6
        header.it.region_granules &+= UInt64(pages) << 6
        for page in first..<first &+ pages { setPageMapEntry(ofPage: page, regionEntry(ofPage: first)) }
        let chunk = chunk(atPage: first)
        chunk.it.end = uintptr_t(chunk.address &+ UInt(pages) << Layout.pageShift)
        return (chunk, run.hasZeroInterior)
    }

    /// Gives back a list of chunks, linked by `older`. Single pages stay with the thread, as far as its budget goes.
    ///
    /// - Complexity: linear in the chunks and their pages; one lock.
    @_spi(Regions)
    public func returnRegionRuns(_ list: Ref<cistern_region_chunk>) {
        let cache = attachedCache()
        var address = list.address
        var isLocked = false
        while address != 0 {
            let chunk = chunk(at: address)
            address = UInt(chunk.it.older)
            if pageCount(of: chunk) == 1, let cache, keepSparePage(chunk, in: cache) { continue }
            if !isLocked { lockRuns() }
            isLocked = true
            freeRegionRun(chunk)
        }
        if isLocked { unlockRuns() }
    }

    /// Under the run lock.
    private func freeRegionRun(_ chunk: Ref<cistern_region_chunk>) {
        let pages = pageCount(of: chunk)
        let first = page(of: chunk)
        for page in first..<first &+ pages { setPageMapEntry(ofPage: page, 0) }
        header.it.region_granules &-= UInt64(pages) << 6
        freeRun(first << 6, granules: pages << 6)
    }

    /// The chunk that holds an address, or nil. Two loads, no lock: meaningful for an address whose region is not being
    /// closed at the same time.
    @_spi(Regions)
    public func regionChunk(holding address: UInt) -> Ref<cistern_region_chunk>? {
        let offset = address &- base
        guard offset < UInt(header.it.capacity_bytes) else { return nil }
        let entry = pageMapEntry(ofPage: offset >> Layout.pageShift)
        return Layout.isRegion(entry) ? chunk(atPage: entry >> 1) : nil
    }

    /// Makes room: gives this thread's blocks and pages back, and what spans are empty. True when that may have helped.
    @_spi(Regions)
    public func scavengeForRegions() -> Bool { isUsable && scavenge() }

    // MARK: Pages that a thread keeps

    /// This thread's cache, if it has one that is in use.
    @inline(__always)
    private var currentCache: Ref<cistern_cache>? {
        let slot = slot
        return slot.it.incarnation == header.it.incarnation ? Ref(at: slot.it.cache) : nil
    }

    private func takeSparePage() -> Ref<cistern_region_chunk>? {
        guard let cache = currentCache, cache.it.spare_page != 0 else { return nil }
        let chunk = chunk(atPage: cache.it.spare_page)
        cache.it.spare_page = chunk.it.older == 0 ? 0 : page(of: self.chunk(at: UInt(chunk.it.older)))
        cache.it.spare_page_count &-= 1
        return chunk
    }

    private func keepSparePage(_ chunk: Ref<cistern_region_chunk>, in cache: Ref<cistern_cache>) -> Bool {
        if cache.it.spare_page_count >= cache.it.spare_page_limit {
            guard cache.it.spare_page_limit < Self.sparePageLimit,
                claim(UInt64(Self.sparePageStep) << UInt64(Layout.pageShift), isSmall: false, for: cache)
            else { return false }
            cache.it.spare_page_limit &+= Self.sparePageStep
        }
        chunk.it.region = 0
        chunk.it.older = cache.it.spare_page == 0 ? 0 : uintptr_t(self.chunk(atPage: cache.it.spare_page).address)
        cache.it.spare_page = page(of: chunk)
        cache.it.spare_page_count &+= 1
        return true
    }

    /// Gives a thread's spare pages back, and what it had claimed for them.
    func flushSparePages(of cache: Ref<cistern_cache>) {
        lockRuns()
        while cache.it.spare_page != 0 {
            let chunk = chunk(atPage: cache.it.spare_page)
            cache.it.spare_page = chunk.it.older == 0 ? 0 : page(of: self.chunk(at: UInt(chunk.it.older)))
            freeRegionRun(chunk)
        }
        unlockRuns()
        let claimed = UInt64(cache.it.spare_page_limit) << UInt64(Layout.pageShift)
        cache.it.spare_page_count = 0
        cache.it.spare_page_limit = 0
        disclaim(claimed, isSmall: false, of: cache)
    }

    // MARK: Records

    /// Checked mode uses a record again only when so many others have been closed after it.
    private static var recordQuarantineCount: UInt32 { 1024 }

    private func region(at address: UInt) -> Ref<cistern_region> { Ref(at: address) }

    /// Takes a closed record, nil when there is no room for more. All that says what is in a region is zero;
    /// `heap` is set, and `flags` says whether the heap is in checked mode.
    @_spi(Regions)
    public func takeRegionRecord() -> Ref<cistern_region>? {
        guard isUsable else { return nil }
        lockRuns()
        defer { unlockRuns() }
        let isKept = has(CISTERN_HEAP_CHECKED) && header.it.free_region_count <= Self.recordQuarantineCount
        if header.it.free_region == 0 || isKept, !makeRegionRecords() {
            guard header.it.free_region != 0 else { return nil }
        }
        let record = region(at: UInt(header.it.free_region))
        header.it.free_region = record.it.next
        if record.it.next == 0 { header.it.free_region_tail = 0 }
        header.it.free_region_count &-= 1
        record.it.next = 0
        return record
    }

    /// The record at an address, which may be anything; nil where there is none.
    @_spi(Regions)
    public func regionRecord(at address: UInt) -> Ref<cistern_region>? {
        let offset = address &- base
        guard offset < UInt(header.it.capacity_bytes), pageMapEntry(ofPage: offset >> Layout.pageShift) == Layout.metadataEntry else {
            return nil
        }
        let offsetInPage = offset & (Layout.pageByteCount &- 1)
        let stride = UInt(MemoryLayout<cistern_region>.stride)
        guard offsetInPage % stride == 0, offsetInPage != 0, region(at: address).it.heap == uintptr_t(header.address) else { return nil }
        return region(at: address)
    }

    /// Gives a closed record back. In checked mode it goes to the end of the queue.
    @_spi(Regions)
    public func returnRegionRecord(_ record: Ref<cistern_region>) {
        lockRuns()
        defer { unlockRuns() }
        if has(CISTERN_HEAP_CHECKED), header.it.free_region_tail != 0 {
            record.it.next = 0
            region(at: UInt(header.it.free_region_tail)).it.next = uintptr_t(record.address)
            header.it.free_region_tail = uintptr_t(record.address)
        } else {
            insertFreeRecord(record)
        }
        header.it.free_region_count &+= 1
    }

    private func insertFreeRecord(_ record: Ref<cistern_region>) {
        record.it.next = header.it.free_region
        if header.it.free_region == 0 { header.it.free_region_tail = uintptr_t(record.address) }
        header.it.free_region = uintptr_t(record.address)
    }

    /// Puts a fresh page of records before the others. False when there is no room for it.
    private func makeRegionRecords() -> Bool {
        let granule = allocateAlignedRun(Layout.granulesPerPage, alignment: Layout.granulesPerPage)
        guard granule != 0 else { return false }
        header.it.metadata_granules &+= UInt64(Layout.granulesPerPage)
        setPageMapEntry(ofPage: granule >> 6, Layout.metadataEntry)
        let start = address(ofGranule: granule)
        Memory.zero(start, byteCount: Layout.pageByteCount)
        Ref<cistern_region_page>(at: start).it.next_page = header.it.region_page_list
        header.it.region_page_list = granule >> 6
        let stride = UInt(MemoryLayout<cistern_region>.stride)
        var index = UInt(CISTERN_REGION_RECORDS_PER_PAGE)
        while index > 0 {
            let record = region(at: start &+ index &* stride)
            record.it.heap = uintptr_t(header.address)
            // Of another heap at this address, no mark and no identity is one of these.
            record.it.incarnation = header.it.incarnation << 40
            record.it.flags = has(CISTERN_HEAP_CHECKED) ? UInt64(CISTERN_REGION_CHECKED) : 0
            insertFreeRecord(record)
            index &-= 1
        }
        header.it.free_region_count &+= UInt32(CISTERN_REGION_RECORDS_PER_PAGE)
        return true
    }

    /// Calls `body` with every record, open or closed, until it says no.
    @_spi(Regions)
    public func visitRegionRecords(_ body: (Ref<cistern_region>) -> Bool) {
        let stride = UInt(MemoryLayout<cistern_region>.stride)
        var page = header.it.region_page_list
        while page != 0 {
            let start = base &+ UInt(page) << Layout.pageShift
            for index in 1...UInt(CISTERN_REGION_RECORDS_PER_PAGE) where !body(region(at: start &+ index &* stride)) { return }
            page = Ref<cistern_region_page>(at: start).it.next_page
        }
    }

    // MARK: Checked mode

    /// Reports the use of a closed region; without a report function, it traps.
    @_spi(Regions)
    public func reportClosedRegion(_ record: UInt) { report(.closedRegion, record) }
}
