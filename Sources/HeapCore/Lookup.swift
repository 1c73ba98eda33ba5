import CHeap

// Safety: addresses are compared with the reservation before anything at them is read.

// From an address to what stands there.
extension BoundedHeap {
    /// Is the address inside this heap's reservation? Constant, no lock.
    @inlinable
    public func contains(_ address: UnsafeRawPointer) -> Bool {
        UInt(bitPattern: address) &- base < UInt(header.it.capacity_bytes)
    }

    /// Is the address where blocks stand: inside the heap, but neither in memory of the heap's own nor in a region's chunk?
    ///
    /// For addresses in live memory; in free memory the answer may be either. Constant, no lock.
    @inlinable
    public func isBlockMemory(_ address: UnsafeRawPointer) -> Bool {
        let offset = UInt(bitPattern: address) &- base
        guard offset < UInt(header.it.capacity_bytes), offset >> Layout.granuleShift >= UInt(header.it.first_granule) else { return false }
        let entry = pageMapEntry(ofPage: offset >> Layout.pageShift)
        return entry != Layout.metadataEntry && !Layout.isRegion(entry)
    }

    /// Bytes of a page of the heap: what chunks of regions are multiples of.
    @inlinable public static var pageByteCount: Int { Int(bitPattern: Layout.pageByteCount) }

    /// Bytes that a live block can hold: at least what was asked for.
    ///
    /// - Complexity: constant up to 512 bytes; above, a look at a bit per 64 bytes of the block, 64 at a time.
    public func usableSize(of block: UnsafeRawPointer) -> Int {
        guard isUsable else { return 0 }
        let address = UInt(bitPattern: block)
        if has(CISTERN_HEAP_CHECKED) { return Int(bitPattern: checkedRequestedByteCount(address)) }
        return Int(bitPattern: usableByteCount(address))
    }

    /// The block that holds an address, which may point into its middle.
    ///
    /// - Returns: `nil` for addresses outside the heap, in free runs, in memory of the heap's own, and in free blocks. A
    ///   freed block that a thread cache still holds is found.
    /// - Complexity: constant in spans; in a run of its own a bit per 64 bytes before the address, 64 at a time.
    public func block(holding address: UnsafeRawPointer) -> UnsafeMutableRawBufferPointer? {
        guard isUsable else { return nil }
        let found =
            has(CISTERN_HEAP_CHECKED)
            ? checkedBlock(holding: UInt(bitPattern: address)) : rawBlock(holding: UInt(bitPattern: address))
        guard let found else { return nil }
        return unsafe UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(bitPattern: found.start), count: Int(bitPattern: found.byteCount))
    }

    /// The same as numbers. Takes the locks of what it finds.
    func rawBlock(holding address: UInt) -> (start: UInt, byteCount: UInt)? {
        let offset = address &- base
        guard offset < UInt(header.it.capacity_bytes) else { return nil }
        let page = offset >> Layout.pageShift
        lockRuns()
        let granule = granule(at: address)
        let isInUse = granule >= header.it.first_granule && granule < header.it.top_granule
        let entry = isInUse ? pageMapEntry(ofPage: page) : Layout.metadataEntry
        let run = entry == 0 ? allocatedRun(holding: granule) : nil
        // Here the record cannot change hands; once the lock is given back, it can, and its bytes may be anything.
        let index = Layout.isSpan(entry) ? UInt(span(entry).it.size_class) : 0
        let granules = run.map { allocatedLength($0) } ?? 0
        unlockRuns()
        if let run { return (self.address(ofGranule: run), UInt(granules) << Layout.granuleShift) }
        return Layout.isSpan(entry) ? blockInSpan(entry, ofClass: index, page: page, address: address) : nil
    }

    /// A class's lock comes before the run lock, so a span is found without it and looked at again with it.
    private func blockInSpan(
        _ entry: UInt32, ofClass index: UInt, page: UInt, address: UInt
    ) -> (start: UInt, byteCount: UInt)? {
        let span = span(entry)
        let sizeClass = sizeClass(index)
        lock(sizeClass)
        defer { unlock(sizeClass) }
        lockRuns()
        let isSame = pageMapEntry(ofPage: page) == entry && UInt(span.it.size_class) == index
        unlockRuns()
        guard isSame else { return nil }
        let number = blockNumber(of: address, in: span)
        guard number < UInt(span.it.block_count), !isFree(number, in: span) else { return nil }
        let byteCount = SizeClass.blockByteCount(index)
        return (spanAddress(span) &+ number &* byteCount, byteCount)
    }

    /// The start of the allocated run that holds a granule; nil inside a free run.
    private func allocatedRun(holding granule: UInt32) -> UInt32? {
        let start = lastSetBit(from: granule)
        guard start >= header.it.first_granule, !isFreeRun(start) else { return nil }
        // The second bit of a free run looks like the start of an allocated one that follows a free run; what stands at
        // the end of the granule before tells them apart (0: the first granule of a longer free run).
        if followsFreeRun(start), freeRunLength(endingBefore: start) == 0 { return nil }
        return start
    }
}
