import CHeap

// Safety: blocks are the caller's, live, and of this heap; see RawMemory.swift.

extension BoundedHeap {
    /// Gives a block another size, in place where it can.
    ///
    /// The content is kept up to the smaller size. A block that has to move has the alignment of `allocate`.
    ///
    /// - Parameters:
    ///   - block: a live block of this heap.
    ///   - oldByteCount: the size it was asked for; nil when unknown, then `requestedBytes` counts its usable size.
    ///   - byteCount: the new size, 0 to the capacity.
    /// - Returns: the block, moved or not; `nil` when there is no room: then `block` is as it was. Shrinking fails
    ///   only in a full heap, and only where the smaller size asks for more alignment than the block has.
    /// - Complexity: constant in place; otherwise the bytes kept.
    public func resize(
        _ block: UnsafeMutableRawPointer, from oldByteCount: Int? = nil, to byteCount: Int
    ) -> UnsafeMutableRawPointer? {
        let address = UInt(bitPattern: block)
        let size = UInt(bitPattern: byteCount)
        guard isUsable, size <= UInt(header.it.capacity_bytes) else { return nil }
        if has(CISTERN_HEAP_CHECKED) { return unsafe UnsafeMutableRawPointer(bitPattern: checkedResize(address, to: size)) }
        let entry = pageMapEntry(ofPage: (address &- base) >> Layout.pageShift)
        var old: UInt
        if Layout.isSpan(entry) {
            let index = UInt(span(entry).it.size_class)
            old = SizeClass.blockByteCount(index)
            if let wanted = binIndex(max(size, 1)), wanted == index || lineClass(wanted) == index {
                noteResized(from: oldByteCount.map { UInt(bitPattern: $0) } ?? old, to: size)
                return unsafe block
            }
        } else {
            let (usable, isResized) = resizeRun(at: address, to: size)
            old = usable
            if isResized {
                noteResized(from: oldByteCount.map { UInt(bitPattern: $0) } ?? old, to: size)
                return unsafe block
            }
        }
        guard let moved = unsafe allocate(byteCount: byteCount) else {
            // A smaller size may stay where it is, if it has the alignment of blocks of that size.
            guard size <= old, address & (alignment(ofSize: size) &- 1) == 0 else { return nil }
            noteResized(from: oldByteCount.map { UInt(bitPattern: $0) } ?? old, to: size)
            return unsafe block
        }
        Memory.copy(from: address, to: UInt(bitPattern: moved), byteCount: min(old, size))
        if let oldByteCount { unsafe deallocate(block, byteCount: oldByteCount) } else { unsafe deallocate(block) }
        return unsafe moved
    }

    /// Resizes a run where it stands. Small sizes leave their run: they belong into a span.
    private func resizeRun(at address: UInt, to size: UInt) -> (oldByteCount: UInt, isResized: Bool) {
        let granule = granule(at: address)
        lockRuns()
        defer { unlockRuns() }
        let old = allocatedLength(granule)
        let oldByteCount = UInt(old) << Layout.granuleShift
        guard size > SizeClass.smallByteLimit else { return (oldByteCount, false) }
        let wanted = SizeClass.granules(size)
        if wanted > old { return (oldByteCount, growRun(granule, from: old, to: wanted)) }
        shrinkRun(granule, from: old, to: wanted)
        return (oldByteCount, true)
    }

    /// The alignment that every block of a size's class has.
    private func alignment(ofSize size: UInt) -> UInt {
        guard let index = binIndex(max(size, 1)) else { return Layout.granuleByteCount }
        let byteCount = SizeClass.binBlockByteCount(index)
        return min(byteCount & (0 &- byteCount), Layout.granuleByteCount)
    }

    private func noteResized(from old: UInt, to new: UInt) {
        noteRequested(Int64(bitPattern: UInt64(new &- old)), cache: attachedCache())
    }

    /// Allocates zeroed memory. Pages that the system hands out for the first time are not written.
    ///
    /// - Returns: as `allocate`, the bytes that were asked for all zero.
    /// - Complexity: the bytes that have to be cleared.
    public func allocateZeroed(byteCount: Int) -> UnsafeMutableRawPointer? {
        let size = UInt(bitPattern: byteCount)
        if size > SizeClass.mediumByteLimit, !has(CISTERN_HEAP_CHECKED) {
            return unsafe UnsafeMutableRawPointer(bitPattern: allocateZeroedRun(size))
        }
        guard let block = unsafe allocate(byteCount: byteCount) else { return nil }
        Memory.zero(UInt(bitPattern: block), byteCount: size)
        return unsafe block
    }

    private func allocateZeroedRun(_ size: UInt) -> UInt {
        guard isUsable, size <= UInt(header.it.capacity_bytes) else { return 0 }
        let granules = SizeClass.granules(size)
        lockRuns()
        var run = allocateRunForZeroing(granules)
        unlockRuns()
        if run.start == 0, scavenge() {
            lockRuns()
            run = allocateRunForZeroing(granules)
            unlockRuns()
        }
        guard run.start != 0 else { return 0 }
        noteRequested(Int64(size), cache: attachedCache())
        let start = address(ofGranule: run.start)
        let end = address(ofGranule: run.start &+ granules)
        let firstPageEnd = min((start | (Layout.pageByteCount - 1)) + 1, end)
        let lastPageStart = max(firstPageEnd, (end - 1) & ~(Layout.pageByteCount - 1))
        Memory.zero(start, byteCount: firstPageEnd - start)
        if !run.hasZeroInterior { Memory.zero(firstPageEnd, byteCount: lastPageStart - firstPageEnd) }
        Memory.zero(lastPageStart, byteCount: end - lastPageStart)
        return start
    }

    /// Allocates a block at a multiple of an alignment.
    ///
    /// - Parameters:
    ///   - byteCount: 0 to the capacity.
    ///   - alignment: a power of two, up to the capacity; any other value is answered with `nil`.
    /// - Returns: as `allocate`. The block is freed like every other, with the size that was asked for here.
    /// - Complexity: as `allocate`; above 64, a look at up to eight free runs.
    public func allocate(byteCount: Int, alignment: Int) -> UnsafeMutableRawPointer? {
        let size = UInt(bitPattern: byteCount)
        let align = UInt(bitPattern: alignment)
        guard isUsable, align > 0, align & (align &- 1) == 0, align <= UInt(header.it.capacity_bytes),
            size <= UInt(header.it.capacity_bytes)
        else { return nil }
        if has(CISTERN_HEAP_CHECKED) {
            return unsafe UnsafeMutableRawPointer(bitPattern: checkedAllocate(size, alignment: align))
        }
        if align <= 8 { return unsafe allocate(byteCount: byteCount) }
        // A class whose size is a multiple of the alignment has all its blocks at such multiples; granules are 64.
        let rounded = (max(size, 1) &+ align &- 1) & ~(align &- 1)
        if align <= Layout.granuleByteCount {
            guard let block = unsafe allocate(byteCount: Int(bitPattern: rounded)) else { return nil }
            noteResized(from: rounded, to: size)
            return unsafe block
        }
        var block = allocateAlignedBlock(size, alignment: align)
        if block == 0, scavenge() { block = allocateAlignedBlock(size, alignment: align) }
        guard block != 0 else { return nil }
        noteRequested(Int64(size), cache: attachedCache())
        return unsafe UnsafeMutableRawPointer(bitPattern: block)
    }

    func allocateAlignedBlock(_ size: UInt, alignment: UInt) -> UInt {
        lockRuns()
        defer { unlockRuns() }
        let granule = allocateAlignedRun(
            SizeClass.granules(size), alignment: UInt32(truncatingIfNeeded: max(alignment >> Layout.granuleShift, 1)))
        guard granule != 0 else { return 0 }
        header.it.run_block_count &+= 1
        return address(ofGranule: granule)
    }
}
