import CHeap

// A block span is a page-aligned run cut into blocks of one small class. Its record stands apart from the blocks, and
// says by one bit per block which are free, so free memory is never touched and blocks are handed out in address
// order. Guarded by the class's lock; taking and releasing the run itself takes the run lock inside it, never the
// other way round.
extension BoundedHeap {
    private static var recordsPerChunk: UInt32 { 64 }
    private static var bitsInRecord: UInt { 256 }

    // MARK: Records and runs, under the run lock

    private func takeRecord() -> UInt32 {
        if header.it.free_record == 0 {
            let granule = allocateAlignedRun(Layout.granulesPerPage, alignment: Layout.granulesPerPage)
            guard granule != 0 else { return 0 }
            header.it.metadata_granules &+= UInt64(Layout.granulesPerPage)
            setPageMapEntry(ofPage: granule >> 6, Layout.metadataEntry)
            var entry = (granule &+ Self.recordsPerChunk) << 1
            for _ in 0..<Self.recordsPerChunk {
                entry &-= 2
                returnRecord(entry)
            }
        }
        let entry = header.it.free_record
        header.it.free_record = span(entry).it.next
        return entry
    }

    private func returnRecord(_ entry: UInt32) {
        span(entry).it = cistern_span()
        span(entry).it.next = header.it.free_record
        header.it.free_record = entry
    }

    /// Gives back the pages whose records are all free. True when there was one. Takes the run lock.
    ///
    /// Only when room is short: otherwise the next spans want them again, and they are a hundredth of their spans.
    func releaseEmptyRecordPages() -> Bool {
        lockRuns()
        defer { unlockRuns() }
        countFreeRecords()
        var entry = header.it.free_record
        var kept: UInt32 = 0
        var doomed: UInt32 = 0
        while entry != 0 {
            let next = span(entry).it.next
            let first = firstRecord(ofPageOf: entry)
            if UInt32(span(first).it.free_in_chunk) < Self.recordsPerChunk {
                span(entry).it.next = kept
                kept = entry
            } else if entry == first {
                span(entry).it.next = doomed
                doomed = entry
            }
            entry = next
        }
        header.it.free_record = kept
        let hasDoomed = doomed != 0
        while doomed != 0 {
            let next = span(doomed).it.next
            let granule = doomed >> 1
            setPageMapEntry(ofPage: granule >> 6, 0)
            header.it.metadata_granules &-= UInt64(Layout.granulesPerPage)
            freeRun(granule, granules: Layout.granulesPerPage)
            doomed = next
        }
        return hasDoomed
    }

    private func countFreeRecords() {
        var entry = header.it.free_record
        while entry != 0 {
            span(firstRecord(ofPageOf: entry)).it.free_in_chunk = 0
            entry = span(entry).it.next
        }
        entry = header.it.free_record
        while entry != 0 {
            span(firstRecord(ofPageOf: entry)).it.free_in_chunk &+= 1
            entry = span(entry).it.next
        }
    }

    private func firstRecord(ofPageOf entry: UInt32) -> UInt32 { entry & ~127 }

    @inline(never)  // rare, and would otherwise stand in its caller twice
    private func takeSpan(classIndex: UInt, pages: UInt32) -> UInt32 {
        let entry = takeRecord()
        guard entry != 0 else { return 0 }
        let granule = allocateAlignedRun(pages << 6, alignment: Layout.granulesPerPage)
        guard granule != 0 else {
            returnRecord(entry)
            return 0
        }
        header.it.span_granules &+= UInt64(pages) << 6
        let span = span(entry)
        span.it.first_page = granule >> 6
        span.it.page_count = UInt16(truncatingIfNeeded: pages)
        span.it.size_class = UInt8(truncatingIfNeeded: classIndex)
        let block = SizeClass.blockByteCount(classIndex)
        span.it.reciprocal = UInt32(truncatingIfNeeded: ((UInt(1) << 32) &+ block &- 1) / block)
        span.it.block_count = Self.blockCount(spanBytes: UInt(pages) << Layout.pageShift, blockBytes: block)
        fillBits(of: span)
        for page in 0..<pages { setPageMapEntry(ofPage: span.it.first_page &+ page, entry) }
        return entry
    }

    /// Blocks that fit a span beside their bits, where the record does not hold them.
    private static func blockCount(spanBytes: UInt, blockBytes: UInt) -> UInt16 {
        let most = spanBytes / blockBytes
        if most <= bitsInRecord { return UInt16(truncatingIfNeeded: most) }
        var count = most
        while count &* blockBytes &+ (count &+ 63) / 64 &* 8 > spanBytes { count &-= 1 }
        return UInt16(truncatingIfNeeded: max(count, bitsInRecord))
    }

    // MARK: Bits

    private func bitsAddress(_ span: Ref<cistern_span>) -> UInt {
        let count = UInt(span.it.block_count)
        if count <= Self.bitsInRecord { return span.address &+ 32 }
        return spanAddress(span) &+ UInt(span.it.page_count) << Layout.pageShift &- (count &+ 63) / 64 &* 8
    }

    private func fillBits(of span: Ref<cistern_span>) {
        let bits = bitsAddress(span)
        let count = UInt(span.it.block_count)
        for word in 0..<count / 64 { Memory.store64(bits &+ word << 3, UInt64.max) }
        if count % 64 > 0 { Memory.store64(bits &+ (count / 64) << 3, (1 << UInt64(count % 64)) &- 1) }
    }

    /// Is a block, by its number, neither live nor in a thread cache?
    func isFree(_ number: UInt, in span: Ref<cistern_span>) -> Bool {
        Memory.load64(bitsAddress(span) &+ (number / 64) << 3) & (1 << UInt64(number % 64)) != 0
    }

    /// How many blocks of a span are free, by its bits.
    func freeBlockCount(of span: Ref<cistern_span>) -> Int {
        var count = 0
        for word in 0..<(UInt(span.it.block_count) &+ 63) / 64 {
            count &+= Memory.load64(bitsAddress(span) &+ word << 3).nonzeroBitCount
        }
        return count
    }

    /// The number of the block that holds an address of the span.
    func blockNumber(of address: UInt, in span: Ref<cistern_span>) -> UInt {
        ((address &- spanAddress(span)) &* UInt(span.it.reciprocal)) >> 32
    }

    private func releaseSpan(_ entry: UInt32) {
        let span = span(entry)
        let pages = UInt32(span.it.page_count)
        for page in 0..<pages { setPageMapEntry(ofPage: span.it.first_page &+ page, 0) }
        header.it.span_granules &-= UInt64(pages) << 6
        freeRun(span.it.first_page << 6, granules: pages << 6)
        returnRecord(entry)
    }

    // MARK: A class's spans, under the class's lock

    /// Adds a span to a class that has none with room. False when the heap has no room for one, or more in use than the limit.
    func addSpan(to sizeClass: Ref<cistern_class>, index: UInt, upToUsedBytes limit: UInt64 = .max) -> Bool {
        let least = UInt32(truncatingIfNeeded: SizeClass.minimumSpanBytes(index) >> Layout.pageShift)
        var pages = SizeClass.spanPages(index, spanBytes: sizeClass.it.span_byte_count)
        lockRuns()
        guard usedByteCount <= limit else {
            unlockRuns()
            return false
        }
        var entry = takeSpan(classIndex: index, pages: pages)
        while entry == 0, pages > 1 {
            // A smaller span may still fit; in the end one whose tail is larger than we like.
            pages = pages > least ? max(pages / 2, least) : 1
            entry = takeSpan(classIndex: index, pages: pages)
        }
        unlockRuns()
        guard entry != 0 else { return false }
        sizeClass.it.span_count &+= 1
        sizeClass.it.span_byte_count &+= UInt64(pages) << UInt64(Layout.pageShift)
        list(entry, in: sizeClass)
        return true
    }

    /// Enters a span behind the one that is being filled: next to be used, most recently freed into.
    private func list(_ entry: UInt32, in sizeClass: Ref<cistern_class>) {
        let span = span(entry)
        let head = sizeClass.it.list_head
        span.it.is_listed = 1
        span.it.previous = head
        if head == 0 {
            span.it.next = 0
            sizeClass.it.list_head = entry
            return
        }
        let second = self.span(head).it.next
        span.it.next = second
        self.span(head).it.next = entry
        if second != 0 { self.span(second).it.previous = entry }
    }

    private func unlist(_ entry: UInt32, in sizeClass: Ref<cistern_class>) {
        let span = span(entry)
        let next = span.it.next
        let previous = span.it.previous
        if next != 0 { self.span(next).it.previous = previous }
        if previous != 0 { self.span(previous).it.next = next } else { sizeClass.it.list_head = next }
        endFilling(from: entry)
        span.it.is_listed = 0
        span.it.next = 0
        span.it.previous = 0
    }

    /// How many listed spans a thread looks at for one of its own.
    private static var spanSearchLimit: Int { 16 }

    /// The span that a thread's refills come from, preferably one it filled itself from before: threads that get neighbours
    /// write to the same cache lines, and two of them ran at half their speed. A span that another thread is filling
    /// itself from now is left alone. nil when there is none among the first few.
    func ownSpan(of bin: Ref<cistern_bin>, inCacheAt page: UInt32, of sizeClass: Ref<cistern_class>) -> UInt32? {
        let current = source(of: bin)
        if current != 0 { return current }
        var entry = sizeClass.it.list_head
        var best: UInt32?
        var count = 0
        while entry != 0, count < Self.spanSearchLimit {
            let owner = span(entry).it.owner_page
            if owner == page {
                best = entry
                break
            }
            if best == nil, !isBeingFilledFrom(entry) { best = entry }
            entry = span(entry).it.next
            count &+= 1
        }
        guard let best else { return nil }
        span(best).it.owner_page = page
        setSource(of: bin, to: best)
        return best
    }

    /// The span a bin is filled from. Apart from the bin's other fields: it is the class lock's, they are the owner's alone.
    private func source(of bin: Ref<cistern_bin>) -> UInt32 { Memory.load32(bin.address &+ UInt(CISTERN_BIN_SPAN_OFFSET)) }

    private func setSource(of bin: Ref<cistern_bin>, to entry: UInt32) {
        Memory.store32(bin.address &+ UInt(CISTERN_BIN_SPAN_OFFSET), entry)
    }

    private func isBeingFilledFrom(_ entry: UInt32) -> Bool {
        let span = span(entry)
        guard span.it.owner_page != 0 else { return false }
        return source(of: bin(UInt(span.it.size_class), of: cache(atPage: span.it.owner_page))) == entry
    }

    /// Ends a thread's filling from a span. Takes the class's lock.
    func disown(_ index: UInt, of bin: Ref<cistern_bin>) {
        let sizeClass = sizeClass(index)
        lock(sizeClass)
        setSource(of: bin, to: 0)
        unlock(sizeClass)
    }

    /// A span that leaves its class's list is nobody's source; whose it was stays written down.
    private func endFilling(from entry: UInt32) {
        guard isBeingFilledFrom(entry) else { return }
        setSource(of: bin(UInt(span(entry).it.size_class), of: cache(atPage: span(entry).it.owner_page)), to: 0)
    }

    /// Takes up to `want` blocks from a listed span, lowest addresses first, and stores their addresses from `slots` on.
    /// `want` is not 0. Returns how many.
    func takeBlocks(from entry: UInt32, of sizeClass: Ref<cistern_class>, want: UInt, into slots: UInt) -> UInt {
        let span = span(entry)
        let start = spanAddress(span)
        let byteCount = SizeClass.blockByteCount(UInt(span.it.size_class))
        let bits = bitsAddress(span)
        let count = min(want, UInt(span.it.block_count &- span.it.used))
        var slot = slots
        let end = slots &+ count << 3
        var index = UInt(span.it.hint)
        while true {
            var word = Memory.load64(bits &+ index << 3)
            while word != 0, slot < end {
                let number = index << 6 &+ UInt(truncatingIfNeeded: word.trailingZeroBitCount)
                word &= word &- 1
                Memory.storeWord(slot, start &+ number &* byteCount)
                slot &+= 8
            }
            Memory.store64(bits &+ index << 3, word)
            if slot == end { break }
            index &+= 1
        }
        span.it.hint = UInt16(truncatingIfNeeded: index)
        span.it.used &+= UInt16(truncatingIfNeeded: count)
        sizeClass.it.used_block_count &+= UInt64(count)
        if span.it.used == span.it.block_count { unlist(entry, in: sizeClass) }
        return count
    }

    /// Gives back the blocks whose addresses stand from `slots` on, as long as they belong to one span, the first one's.
    /// A span that empties goes back to the run heap, unless it is the class's last. Returns where the next span's begin.
    func returnBlocks(from slots: UInt, to end: UInt, toSpan entry: UInt32, of sizeClass: Ref<cistern_class>) -> UInt {
        let span = span(entry)
        let start = spanAddress(span)
        let byteCount = UInt(span.it.page_count) << Layout.pageShift
        let reciprocal = UInt(span.it.reciprocal)
        let bits = bitsAddress(span)
        var lowest = UInt(span.it.hint)
        var slot = slots
        var offset = Memory.loadWord(slot) &- start
        // Blocks freed one after another are mostly neighbours: a word of bits is stored when another one's turn comes.
        var index = (offset &* reciprocal) >> 38
        var word = Memory.load64(bits &+ index << 3)
        repeat {
            let number = (offset &* reciprocal) >> 32
            if number >> 6 != index {
                Memory.store64(bits &+ index << 3, word)
                lowest = min(lowest, index)
                index = number >> 6
                word = Memory.load64(bits &+ index << 3)
            }
            word |= 1 << UInt64(number & 63)
            slot &+= 8
            if slot == end { break }
            offset = Memory.loadWord(slot) &- start
        } while offset < byteCount
        Memory.store64(bits &+ index << 3, word)
        lowest = min(lowest, index)
        span.it.hint = UInt16(truncatingIfNeeded: lowest)
        let count = (slot &- slots) >> 3
        span.it.used &-= UInt16(truncatingIfNeeded: count)
        sizeClass.it.used_block_count &-= UInt64(count)
        if span.it.is_listed == 0 { list(entry, in: sizeClass) }
        if span.it.used == 0 { retire(entry, of: sizeClass, keepingLast: true) }
        return slot
    }

    @inline(never)  // rare, and would otherwise stand in each caller
    private func retire(_ entry: UInt32, of sizeClass: Ref<cistern_class>, keepingLast: Bool) {
        guard !keepingLast || sizeClass.it.span_count > 1 else { return }
        unlist(entry, in: sizeClass)
        sizeClass.it.span_count &-= 1
        sizeClass.it.span_byte_count &-= UInt64(span(entry).it.page_count) << UInt64(Layout.pageShift)
        lockRuns()
        releaseSpan(entry)
        unlockRuns()
    }

    /// Gives back the empty span that each class may have kept. True when there was one. Takes each class's lock.
    func retireEmptySpans() -> Bool {
        var hasRetired = false
        for index in 0..<SizeClass.smallCount {
            let sizeClass = sizeClass(index)
            lock(sizeClass)
            var entry = sizeClass.it.list_head
            while entry != 0 {
                let next = span(entry).it.next
                if span(entry).it.used == 0 {
                    retire(entry, of: sizeClass, keepingLast: false)
                    hasRetired = true
                }
                entry = next
            }
            unlock(sizeClass)
        }
        return hasRetired
    }
}
