import CHeap

// Safety: blocks are handed to the visitor for the time of the call.

// Walks over everything. All of them want the heap to themselves: no other call may be in progress. They flush every
// thread's cache first, so that what is free is free in its span or run.
extension BoundedHeap {
    /// One run, as a walk meets it.
    enum Run {
        case free
        case span(UInt32)
        case metadata
        case region
        case block
    }

    /// Calls `body` with every live block and the bytes it can hold, in address order.
    ///
    /// No other call on this heap may be in progress, and `body` must not call the heap.
    ///
    /// - Complexity: proportional to the heap's extent.
    public func visitLiveBlocks(_ body: (UnsafeMutableRawPointer, Int) -> Void) {
        guard header.it.incarnation != 0 else { return }
        flushAllCaches()
        visitRuns { run, start, granules in
            switch run {
            case .free, .metadata, .region: return true
            case .block: unsafe self.visit(address(ofGranule: start), UInt(granules) << Layout.granuleShift, body)
            case .span(let entry): unsafe self.visitSpan(entry, body)
            }
            return true
        }
    }

    private func visit(_ start: UInt, _ byteCount: UInt, _ body: (UnsafeMutableRawPointer, Int) -> Void) {
        if has(CISTERN_HEAP_CHECKED) {
            guard let user = checkedUserBlock(inRaw: start, byteCount: byteCount) else { return }
            unsafe body(UnsafeMutableRawPointer(bitPattern: user.start).unsafelyUnwrapped, Int(bitPattern: user.byteCount))
        } else {
            unsafe body(UnsafeMutableRawPointer(bitPattern: start).unsafelyUnwrapped, Int(bitPattern: byteCount))
        }
    }

    private func visitSpan(_ entry: UInt32, _ body: (UnsafeMutableRawPointer, Int) -> Void) {
        let span = span(entry)
        let byteCount = SizeClass.blockByteCount(UInt(span.it.size_class))
        for number in 0..<UInt(span.it.block_count) where !isFree(number, in: span) {
            unsafe visit(spanAddress(span) &+ number &* byteCount, byteCount, body)
        }
    }

    /// Flushes the caches of all threads, which must not be in the heap.
    func flushAllCaches() {
        forEachCache { cache in flush(cache) }
    }

    /// Walks the runs below the top until `body` says no. False: a run does not end where the next one begins.
    @discardableResult
    func visitRuns(_ body: (Run, _ start: UInt32, _ granules: UInt32) -> Bool) -> Bool {
        var start = header.it.first_granule
        while start < header.it.top_granule {
            guard bit(start) else { return false }
            let isFree = isFreeRun(start)
            let length = isFree ? freeRunLength(start) : allocatedLength(start)
            guard length > 0, length <= header.it.top_granule &- start else { return false }
            guard body(isFree ? .free : kind(ofRunAt: start), start, length) else { return false }
            start &+= length
        }
        return start == header.it.top_granule && bit(start)
    }

    private func kind(ofRunAt start: UInt32) -> Run {
        let entry = pageMapEntry(ofPage: UInt(start >> 6))
        if Layout.isSpan(entry) { return .span(entry) }
        if Layout.isRegion(entry) { return .region }
        return entry == Layout.metadataEntry ? .metadata : .block
    }
}
