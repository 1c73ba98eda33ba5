import CHeap

// One bit per page: set when the page may hold something, clear when it was never used or has been given back, and so
// reads as zero and is not resident. It answers "must this be zeroed?" and "what would giving back save?". Guarded by
// the run lock.
extension BoundedHeap {
    private func touchedWordAddress(_ page: UInt32) -> UInt {
        base &+ UInt(header.it.touched_offset) &+ UInt(page >> 6) << 3
    }

    func isTouched(page: UInt32) -> Bool {
        Memory.load64(touchedWordAddress(page)) & (1 << UInt64(page & 63)) != 0
    }

    /// Marks the pages under some granules. A word of 64 pages at a time.
    func markTouched(fromGranule granule: UInt32, granules: UInt32) {
        var page = granule >> 6
        let end = (granule &+ granules &- 1) >> 6
        repeat {
            let lastInWord = min(end, page | 63)
            let mask = Self.mask(from: page & 63, through: lastInWord & 63)
            let address = touchedWordAddress(page)
            let word = Memory.load64(address)
            if word & mask != mask {
                header.it.touched_pages &+= UInt64((mask & ~word).nonzeroBitCount)
                Memory.store64(address, word | mask)
            }
            page = lastInWord &+ 1
        } while page <= end
        if header.it.touched_pages > header.it.touched_pages_high_water {
            header.it.touched_pages_high_water = header.it.touched_pages
        }
    }

    /// Says that pages read as zero from now on.
    func clearTouched(page first: UInt32, count: UInt32) {
        var page = first
        let end = first &+ count
        while page < end {
            let lastInWord = min(end &- 1, page | 63)
            let mask = Self.mask(from: page & 63, through: lastInWord & 63)
            let address = touchedWordAddress(page)
            let word = Memory.load64(address)
            header.it.touched_pages &-= UInt64((word & mask).nonzeroBitCount)
            Memory.store64(address, word & ~mask)
            page = lastInWord &+ 1
        }
    }

    /// The next stretch of touched pages in `first ..< end`; nil when there is none.
    func nextTouchedStretch(from first: UInt32, to end: UInt32) -> (first: UInt32, count: UInt32)? {
        var page = first
        while page < end, !isTouched(page: page) {
            // Skip a whole word of untouched pages at once: large heaps are mostly that.
            page = page & 63 == 0 && Memory.load64(touchedWordAddress(page)) == 0 ? page &+ 64 : page &+ 1
        }
        guard page < end else { return nil }
        var stop = page &+ 1
        while stop < end, isTouched(page: stop) { stop &+= 1 }
        return (page, stop &- page)
    }

    private static func mask(from low: UInt32, through high: UInt32) -> UInt64 {
        (UInt64.max << UInt64(low)) & (UInt64.max >> UInt64(63 &- high))
    }
}
