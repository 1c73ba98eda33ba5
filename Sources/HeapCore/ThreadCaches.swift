import CHeap

// What a thread holds ready: for each block size a short stack of addresses, filled from and emptied into the spans in
// batches. A block in a cache counts as used in its span (or run); only its owner touches the stack, without locks,
// and the block's own memory is never touched. How many blocks a stack may hold starts at none and grows with use,
// paid out of one budget per heap (a 64th of the capacity, shared equally), so that what all threads together park is bounded. Caches
// stand in pages of the heap and can be enumerated, which thread exit, fork and trim need. A stack changes by one
// store to its top: a thread that vanishes in a fork loses one block at most.
extension BoundedHeap {
    @inlinable @inline(__always)
    func bin(_ index: UInt, of cache: Ref<cistern_cache>) -> Ref<cistern_bin> {
        Ref(at: cache.address &+ UInt(CISTERN_CACHE_BINS_OFFSET) &+ index << 5)
    }

    /// This thread's slot for this heap.
    @inlinable @inline(__always)
    var slot: Ref<cistern_slot> { unsafe Ref(cistern_thread_slot(header.it.slot_place)) }

    // MARK: Attaching

    /// This thread's cache, made on first use. nil: in checked mode, while the thread is ending, or without room.
    func attachedCache() -> Ref<cistern_cache>? {
        let slot = slot
        if slot.it.incarnation == header.it.incarnation { return Ref(at: slot.it.cache) }
        guard !has(CISTERN_HEAP_CHECKED), let cache = findOrMakeCache() else { return nil }
        slot.it.cache = cache.address
        slot.it.incarnation = header.it.incarnation
        return cache
    }

    private func findOrMakeCache() -> Ref<cistern_cache>? {
        // A heap for one thread has one cache, whichever thread it is at the moment.
        let owner = has(CISTERN_HEAP_SINGLE_THREAD) ? 1 : cistern_thread_number()
        guard has(CISTERN_HEAP_SINGLE_THREAD) || cistern_thread_watch_exit() else { return nil }
        lockRuns()
        defer { unlockRuns() }
        var free: Ref<cistern_cache>?
        var page = header.it.cache_list_page
        while page != 0 {
            let cache = cache(atPage: page)
            if cache.it.owner == owner { return cache }
            if cache.it.owner == 0 { free = cache }
            page = cache.it.next_page
        }
        guard let cache = free ?? makeCache() else { return nil }
        cache.it.owner = owner
        unsafe cistern_cache_count_store(header.pointer, header.it.cache_count &+ 1)
        return cache
    }

    /// Leaves a cache to the next thread that comes; it has been flushed. Under the run lock.
    func leave(_ cache: Ref<cistern_cache>) {
        cache.it.owner = 0
        unsafe cistern_cache_count_store(header.pointer, header.it.cache_count &- 1)
    }

    private func makeCache() -> Ref<cistern_cache>? {
        let granules = cachePages << 6
        let granule = allocateAlignedRun(granules, alignment: Layout.granulesPerPage)
        guard granule != 0 else { return nil }
        header.it.metadata_granules &+= UInt64(granules)
        for page in 0..<cachePages { setPageMapEntry(ofPage: granule >> 6 &+ page, Layout.metadataEntry) }
        let cache = cache(atPage: granule >> 6)
        Memory.zero(cache.address, byteCount: Layout.pageByteCount)
        var slots = cache.address &+ Layout.pageByteCount
        for index in 0..<SizeClass.binCount {
            let bin = bin(index, of: cache)
            bin.it.bottom = uintptr_t(slots)
            bin.it.top = uintptr_t(slots)
            bin.it.end = uintptr_t(slots)
            slots &+= depthLimit(index) << 3
            bin.it.most_bytes = UInt32(truncatingIfNeeded: depthLimit(index) << 3)
        }
        cache.it.next_page = header.it.cache_list_page
        header.it.cache_list_page = granule >> 6
        return cache
    }

    /// Pages of a thread cache: one for its bins, and its stacks.
    private var cachePages: UInt32 {
        var slots: UInt = 0
        for index in 0..<SizeClass.binCount { slots &+= depthLimit(index) }
        return 1 &+ UInt32(truncatingIfNeeded: (slots << 3 &+ Layout.pageByteCount &- 1) >> Layout.pageShift)
    }

    /// How many blocks of a bin one thread may hold in this heap.
    private func depthLimit(_ index: UInt) -> UInt { max(SizeClass.depthLimit(index) >> UInt(header.it.depth_shift), 2) }

    func cache(atPage page: UInt32) -> Ref<cistern_cache> { Ref(at: base &+ UInt(page) << Layout.pageShift) }

    func page(of cache: Ref<cistern_cache>) -> UInt32 { UInt32(truncatingIfNeeded: (cache.address &- base) >> Layout.pageShift) }

    /// Calls `body` with each cache, those without an owner among them.
    func forEachCache(_ body: (Ref<cistern_cache>) -> Void) {
        var page = header.it.cache_list_page
        while page != 0 {
            let cache = cache(atPage: page)
            body(cache)
            page = cache.it.next_page
        }
    }

    // MARK: Limits

    /// Lets a bin hold twice as much, if the heap allows. Returns whether it may.
    func raiseLimit(_ index: UInt, of bin: Ref<cistern_bin>, in cache: Ref<cistern_cache>) -> Bool {
        let old = UInt(bin.it.end &- bin.it.bottom)
        let new = min(UInt(bin.it.most_bytes), max(16, old &* 2))
        guard new > old, claim(claimBytes(slots: new &- old, index), isSmall: index < SizeClass.smallCount, for: cache) else {
            return false
        }
        bin.it.end = bin.it.bottom &+ uintptr_t(new)
        return true
    }

    /// What the blocks need that fill so many bytes of a bin's stack; on lines of their own they may need twice that.
    func claimBytes(slots byteCount: UInt, _ index: UInt) -> UInt64 {
        UInt64(byteCount / 8) &* UInt64(SizeClass.binBlockByteCount(index))
    }

    /// Claims room for a thread, within its share, and within what all caches may hold.
    func claim(_ byteCount: UInt64, isSmall: Bool, for cache: Ref<cistern_cache>) -> Bool {
        let claimed = (isSmall ? cache.it.claimed_small_bytes : cache.it.claimed_other_bytes) &+ byteCount
        guard !isMoreThanShare(claimed, isSmall: isSmall),
            unsafe cistern_cache_claim(header.pointer, byteCount, header.it.capacity_bytes / 64)
        else { return false }
        if isSmall { cache.it.claimed_small_bytes = claimed } else { cache.it.claimed_other_bytes = claimed }
        return true
    }

    func disclaim(_ byteCount: UInt64, isSmall: Bool, of cache: Ref<cistern_cache>) {
        if isSmall { cache.it.claimed_small_bytes &-= byteCount } else { cache.it.claimed_other_bytes &-= byteCount }
        unsafe cistern_cache_disclaim(header.pointer, byteCount)
    }

    /// All threads have the same share of what caches may hold, a 64th of the capacity: three quarters of it for small blocks, so that
    /// larger ones and spare pages cannot take their room. Capacity and threads are far from where the products wrap.
    private func isMoreThanShare(_ byteCount: UInt64, isSmall: Bool) -> Bool {
        byteCount &* (unsafe cistern_cache_count(header.pointer)) > header.it.capacity_bytes / 256 &* (isSmall ? 3 : 1)
    }

    /// Keeps a cache in step with other threads: looks for contested classes, and halves what bins may hold that have more than the
    /// thread's share, because threads that came later want theirs. A thread does so where it would take a lock anyway, and holds none.
    func adapt(_ cache: Ref<cistern_cache>) {
        lookForContested(cache)
        if isMoreThanShare(cache.it.claimed_small_bytes, isSmall: true) {
            shrinkBins(from: 0, to: SizeClass.smallCount, of: cache)
        }
        if isMoreThanShare(cache.it.claimed_other_bytes, isSmall: false) {
            if cache.it.spare_page_limit > 0 { flushSparePages(of: cache) }
            shrinkBins(from: SizeClass.smallCount, to: SizeClass.binCount, of: cache)
        }
    }

    private func shrinkBins(from first: UInt, to end: UInt, of cache: Ref<cistern_cache>) {
        for index in first..<end {
            let bin = bin(index, of: cache)
            let old = UInt(bin.it.end &- bin.it.bottom)
            let new = old / 16 &* 8
            guard old > 0 else { continue }
            if bin.it.top != bin.it.bottom { flush(index, of: bin, in: cache, count: blockCount(bin)) }
            bin.it.end = bin.it.bottom &+ uintptr_t(new)
            disclaim(claimBytes(slots: old &- new, index), isSmall: first == 0, of: cache)
        }
    }

    // MARK: Flushing

    /// Gives all blocks of a cache back, and what it had claimed. Only for its owner, or for whoever knows
    /// that the owner is gone.
    func flush(_ cache: Ref<cistern_cache>) {
        for index in 0..<SizeClass.binCount {
            let bin = bin(index, of: cache)
            if bin.it.top != bin.it.bottom { flush(index, of: bin, in: cache, count: blockCount(bin)) }
            if index < SizeClass.smallCount { disown(index, of: bin) }
            bin.it.end = bin.it.bottom
        }
        if cache.it.spare_page_limit > 0 { flushSparePages(of: cache) }
        disclaim(cache.it.claimed_small_bytes, isSmall: true, of: cache)
        disclaim(cache.it.claimed_other_bytes, isSmall: false, of: cache)
    }

    func blockCount(_ bin: Ref<cistern_bin>) -> UInt { UInt(bin.it.top &- bin.it.bottom) >> 3 }

    /// Gives the `count` blocks back that a bin has held longest, and every one that would share lines with another thread's if it were
    /// handed out here again. The stack is cut under the lock that fork takes, so that a fork finds every block either in the stack or in
    /// its span.
    func flush(_ index: UInt, of bin: Ref<cistern_bin>, in cache: Ref<cistern_cache>, count: UInt) {
        let bottom = UInt(bin.it.bottom)
        var cut = bottom &+ count << 3
        var strangers: UInt = 0
        if index >= SizeClass.smallCount {
            lockRuns()
            for slot in stride(from: bottom, to: cut, by: 8) { returnRunBlock(Memory.loadWord(slot)) }
            closeGap(in: bin, cut: cut)
            unlockRuns()
            return
        }
        // Blocks of two classes may be in the stack of a contested one.
        let lineClass = lineClass(index)
        lock(sizeClass(index))
        if lineClass != index { lock(sizeClass(lineClass)) }
        if !cistern_is_single_threaded() { cut = max(cut, sinkSharedBlocks(index, lineClass, of: bin, in: cache)) }
        var slot = bottom
        while slot < cut {
            let block = Memory.loadWord(slot)
            let entry = pageMapEntry(ofPage: (block &- base) >> Layout.pageShift)
            if _fastPath(isOfSpan(entry, index, lineClass)) {
                slot = returnBlocks(from: slot, to: cut, toSpan: entry, of: sizeClass(UInt(span(entry).it.size_class)))
            } else {
                Memory.storeWord(block, strangers)
                strangers = block
                slot &+= 8
            }
        }
        closeGap(in: bin, cut: cut)
        if lineClass != index { unlock(sizeClass(lineClass)) }
        unlock(sizeClass(index))
        // Blocks that were freed under a smaller size than their own: aligned ones, and runs that hold a small block.
        while strangers != 0 {
            let next = Memory.loadWord(strangers)
            returnBlock(strangers)
            strangers = next
        }
    }

    private func closeGap(in bin: Ref<cistern_bin>, cut: UInt) {
        let kept = UInt(bin.it.top) &- cut
        Memory.copy(from: cut, to: UInt(bin.it.bottom), byteCount: kept)
        bin.it.top = bin.it.bottom &+ uintptr_t(kept)
    }

    /// Gives one block back to where it belongs, by the page map.
    func returnBlock(_ block: UInt) {
        let entry = pageMapEntry(ofPage: (block &- base) >> Layout.pageShift)
        if Layout.isSpan(entry) {
            let sizeClass = sizeClass(UInt(span(entry).it.size_class))
            lock(sizeClass)
            var block = block
            // Safety: the slot is a local word, alive during the call.
            unsafe withUnsafeMutablePointer(to: &block) { slot in
                let slot = UInt(bitPattern: slot)
                _ = returnBlocks(from: slot, to: slot &+ 8, toSpan: entry, of: sizeClass)
            }
            unlock(sizeClass)
        } else {
            lockRuns()
            returnRunBlock(block)
            unlockRuns()
        }
    }

    /// Gives back a block that is a run of a known length. Takes the run lock.
    func returnRunBlock(_ block: UInt, granules: UInt32) {
        lockRuns()
        header.it.run_block_count &-= 1
        freeRun(granule(at: block), granules: granules)
        unlockRuns()
    }

    /// Gives back a block that is a run. Under the run lock.
    private func returnRunBlock(_ block: UInt) {
        let granule = granule(at: block)
        header.it.run_block_count &-= 1
        freeRun(granule, granules: allocatedLength(granule))
    }

    /// Flushes this thread's cache and the empty spans. True when that may have made room.
    func scavenge() -> Bool {
        var hasBlocks = false
        if let cache = attachedCache() {
            for index in 0..<SizeClass.binCount where blockCount(bin(index, of: cache)) > 0 {
                let bin = bin(index, of: cache)
                flush(index, of: bin, in: cache, count: blockCount(bin))
                hasBlocks = true
            }
            if cache.it.spare_page != 0 {
                flushSparePages(of: cache)
                hasBlocks = true
            }
        }
        let hasSpans = retireEmptySpans()
        return releaseEmptyRecordPages() || hasSpans || hasBlocks
    }
}
