import CHeap

// Safety: see RawMemory.swift; a run is handed to the caller and back, who keeps its length.

// Runs of whole pages, for layers that cut them up themselves: every address inside one says where it starts, in one or
// two loads and without a lock. The page map's entry of each of their pages names the run's first page in the units that
// span records are named in; that page's own entry names itself, which the page of a span record never does.
extension BoundedHeap {
    /// Bytes of a page of the heap: what page runs are multiples of, and aligned to.
    @inlinable public static var pageByteCount: Int { Int(bitPattern: Layout.pageByteCount) }

    /// Takes a run of whole pages.
    ///
    /// - Parameter pageCount: 1 or more; what the capacity cannot hold is answered with `nil`.
    /// - Returns: the first page, of undefined content; `nil` when there is no room, and nothing is lost then.
    /// - Complexity: constant, but for a search before a no, and an entry for each page. Any thread; takes the run lock.
    public func allocatePages(_ pageCount: Int) -> UnsafeMutableRawPointer? {
        let count = UInt(bitPattern: pageCount)
        guard header.it.incarnation != 0, count > 0, count <= UInt(header.it.capacity_bytes) >> Layout.pageShift else { return nil }
        var start = takePages(UInt32(truncatingIfNeeded: count))
        if start == 0, scavenge() { start = takePages(UInt32(truncatingIfNeeded: count)) }
        return unsafe start == 0 ? nil : UnsafeMutableRawPointer(bitPattern: address(ofGranule: start))
    }

    private func takePages(_ count: UInt32) -> UInt32 {
        lockRuns()
        defer { unlockRuns() }
        let start = allocateAlignedRun(count << 6, alignment: Layout.granulesPerPage)
        guard start != 0 else { return 0 }
        header.it.page_run_granules &+= UInt64(count) << 6
        setEntries(from: start, count: count, start << 1)
        return start
    }

    /// Gives a run of whole pages back.
    ///
    /// - Parameters:
    ///   - first: what `allocatePages` returned.
    ///   - pageCount: what it was asked for.
    /// - Complexity: constant, but for an entry for each page. Any thread; takes the run lock.
    public func deallocatePages(_ first: UnsafeMutableRawPointer, _ pageCount: Int) {
        guard header.it.incarnation != 0 else { return }
        let start = granule(at: UInt(bitPattern: first))
        let count = UInt32(truncatingIfNeeded: pageCount)
        lockRuns()
        setEntries(from: start, count: count, 0)
        header.it.page_run_granules &-= UInt64(count) << 6
        freeRun(start, granules: count << 6)
        unlockRuns()
    }

    private func setEntries(from start: UInt32, count: UInt32, _ entry: UInt32) {
        let first = start >> 6
        for page in first..<first &+ count { setPageMapEntry(ofPage: page, entry) }
    }

    /// The first page of the page run that holds an address; `nil` for every address that is in none.
    ///
    /// For addresses in memory that is the caller's, and for all outside the heap. Constant, no lock.
    @inlinable @inline(__always)
    public func pageRun(holding address: UnsafeRawPointer) -> UnsafeMutableRawPointer? {
        let offset = UInt(bitPattern: address) &- base
        guard offset < UInt(header.it.capacity_bytes) else { return nil }
        let entry = pageMapEntry(ofPage: offset >> Layout.pageShift)
        guard isPageRun(entry) else { return nil }
        return unsafe UnsafeMutableRawPointer(bitPattern: base &+ UInt(entry) << Layout.spanRecordShift)
    }

    /// Does an entry of the page map name a page run? Page 0 is the header's, so entry 0 is none.
    @inlinable @inline(__always)
    func isPageRun(_ entry: UInt32) -> Bool {
        entry & 127 == 0 && entry != 0 && pageMapEntry(ofPage: UInt(entry >> 7)) == entry
    }
}

extension BoundedHeap {
    /// Is the address where blocks stand: inside the heap, but neither in memory of the heap's own nor in a page run?
    ///
    /// For addresses in live memory; in free memory the answer may be either. Constant, no lock.
    @inlinable @inline(__always)
    public func isBlockMemory(_ address: UnsafeRawPointer) -> Bool {
        let offset = UInt(bitPattern: address) &- base
        guard offset < UInt(header.it.capacity_bytes), offset >> Layout.granuleShift >= UInt(header.it.first_granule) else { return false }
        let entry = pageMapEntry(ofPage: offset >> Layout.pageShift)
        return entry != Layout.metadataEntry && !isPageRun(entry)
    }
}
