import CHeap

// Safety: see RawMemory.swift; stretches are written to the caller's buffer, as many as it has room for.

/// What a stretch of a heap holds.
public enum HeapStretchKind: UInt8, Sendable {
    /// The heap's fixed part: header, classes, page map, bits.
    case fixed = 0
    /// Runs that the heap took for itself: thread caches and span records.
    case ownRun = 1
    /// A span of blocks of one small size.
    case span = 2
    /// One block with a run of its own.
    case block = 3
    /// Free, between runs that are in use: a hole.
    case free = 4
    /// Usable, above the last byte in use.
    case unused = 5
    /// Reserved, not usable yet.
    case reserved = 6
    /// A chunk or a large object of a region, or a page that a thread keeps for its next region.
    case region = 7
}

/// A part of a heap that is of one kind. Sizes are bytes.
public struct HeapStretch: Sendable, Equatable {
    /// Where it begins, from the heap's base.
    public var offsetBytes: UInt64 = 0
    /// How long it is.
    public var byteCount: UInt64 = 0
    /// What of it lies in pages that may be resident. 0 for the fixed part, whose pages are not followed.
    public var touchedBytes: UInt64 = 0
    /// In a span: the size of a block. Otherwise 0.
    public var blockBytes: UInt32 = 0
    /// In a span: how many blocks it has. One for a block with a run of its own. Otherwise 0.
    public var blockCount: UInt32 = 0
    /// In a span: how many of them are free. A block that a thread holds ready is not.
    public var freeBlockCount: UInt32 = 0
    /// What it holds.
    public var kind: HeapStretchKind = .reserved

    /// All zero, and reserved.
    public init() {}

    /// What its blocks take that are handed out: live, or held ready by a thread.
    public var handedOutBytes: UInt64 {
        switch kind {
        case .span: UInt64(blockCount - freeBlockCount) * UInt64(blockBytes)
        case .block: byteCount
        default: 0
        }
    }
}

extension BoundedHeap {
    /// Tells what stands where: stretches in the order of their addresses, without gap or overlap, from the base to the capacity.
    ///
    /// All of it is of one moment: the heap's locks are held meanwhile, so that threads that need one wait, and those served by
    /// their own cache do not. What they take from or put into their caches does not show: a block that a thread holds ready
    /// counts as handed out. The look itself allocates nothing.
    ///
    /// - Parameter stretches: where they go. If there are more than fit, the first ones are written.
    /// - Returns: how many there are; 0 in a fork's child that did not inherit the heap.
    /// - Complexity: proportional to the number of runs, and to a 4096th of the bytes in use.
    public func snapshot(into stretches: UnsafeMutableBufferPointer<HeapStretch>) -> Int {
        guard isUsable else { return 0 }
        lockEverything()
        defer { unlockEverything() }
        var count = 0
        let fixedBytes = UInt64(header.it.first_granule) << UInt64(Layout.granuleShift)
        let topBytes = UInt64(header.it.top_granule) << UInt64(Layout.granuleShift)
        unsafe write(stretch(.fixed, from: 0, to: fixedBytes), to: stretches, &count)
        visitRuns { run, start, granules in
            unsafe self.write(stretch(of: run, start, granules), to: stretches, &count)
            return true
        }
        unsafe write(stretch(.unused, from: topBytes, to: header.it.committed_bytes), to: stretches, &count)
        unsafe write(stretch(.reserved, from: header.it.committed_bytes, to: header.it.capacity_bytes), to: stretches, &count)
        return count
    }

    private func write(_ stretch: HeapStretch, to stretches: UnsafeMutableBufferPointer<HeapStretch>, _ count: inout Int) {
        guard stretch.byteCount > 0 else { return }
        if count < stretches.count { unsafe stretches[count] = stretch }
        count += 1
    }

    private func stretch(of run: Run, _ start: UInt32, _ granules: UInt32) -> HeapStretch {
        let offset = UInt64(start) << UInt64(Layout.granuleShift)
        let end = offset &+ UInt64(granules) << UInt64(Layout.granuleShift)
        switch run {
        case .free: return stretch(.free, from: offset, to: end)
        case .metadata: return stretch(.ownRun, from: offset, to: end)
        case .region: return stretch(.region, from: offset, to: end)
        case .block:
            var block = stretch(.block, from: offset, to: end)
            block.blockCount = 1
            return block
        case .span(let entry):
            var found = stretch(.span, from: offset, to: end)
            let span = span(entry)
            found.blockBytes = UInt32(truncatingIfNeeded: SizeClass.blockByteCount(UInt(span.it.size_class)))
            found.blockCount = UInt32(span.it.block_count)
            found.freeBlockCount = UInt32(truncatingIfNeeded: freeBlockCount(of: span))
            return found
        }
    }

    private func stretch(_ kind: HeapStretchKind, from start: UInt64, to end: UInt64) -> HeapStretch {
        var stretch = HeapStretch()
        stretch.kind = kind
        stretch.offsetBytes = start
        stretch.byteCount = end > start ? end - start : 0
        if kind != .fixed, kind != .reserved { stretch.touchedBytes = touchedBytes(from: start, to: end) }
        return stretch
    }

    /// Bytes between two offsets that lie in touched pages.
    private func touchedBytes(from start: UInt64, to end: UInt64) -> UInt64 {
        var sum: UInt64 = 0
        var page = UInt32(truncatingIfNeeded: start >> UInt64(Layout.pageShift))
        let stop = UInt32(truncatingIfNeeded: (end &+ UInt64(Layout.pageByteCount) &- 1) >> UInt64(Layout.pageShift))
        while page < stop, let found = nextTouchedStretch(from: page, to: stop) {
            page = found.first &+ found.count
            let first = max(start, UInt64(found.first) << UInt64(Layout.pageShift))
            sum += min(end, UInt64(page) << UInt64(Layout.pageShift)) - first
        }
        return sum
    }
}
