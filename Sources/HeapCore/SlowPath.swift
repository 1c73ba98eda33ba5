import CHeap

// Where a call goes that this thread's cache could not serve. All functions return addresses; 0 is "no room".
extension BoundedHeap {
    /// Allocates: attaches, refills, or takes a run.
    @inline(never)
    @usableFromInline
    func allocateSlow(_ size: UInt) -> UInt {
        // Incarnation 0: a child that did not inherit this heap sees only an empty header.
        guard isUsable, size <= UInt(header.it.capacity_bytes) else { return 0 }
        if has(CISTERN_HEAP_CHECKED) { return checkedAllocate(size) }
        var block = allocateOnce(size)
        if block == 0, scavenge() { block = allocateOnce(size) }
        return block
    }

    func allocateOnce(_ size: UInt) -> UInt {
        let cache = attachedCache()
        guard let index = binIndex(max(size, 1)) else { return allocateRunBlock(size, cache: cache) }
        guard let cache else {
            return index < SizeClass.smallCount ? refill(index, nil, size: size) : allocateRunBlock(size, cache: nil)
        }
        let bin = bin(index, of: cache)
        if bin.it.top != bin.it.bottom {
            bin.it.top &-= 8
            cache.it.requested_byte_count &+= Int64(size)
            return Memory.loadWord(UInt(bin.it.top))
        }
        cache.it.allocation_slow_count &+= 1
        if index >= SizeClass.smallCount { return allocateRunBlock(size, cache: cache) }
        return refill(index, cache, size: size)
    }

    /// Takes a batch from the class's spans: one block for the caller, the others for the cache.
    private func refill(_ index: UInt, _ cache: Ref<cistern_cache>?, size: UInt) -> UInt {
        if let cache {
            adapt(cache)
            let block = refillOnLines(index, cache, size: size)
            if block != 0 { return block }
        }
        let sizeClass = sizeClass(index)
        lock(sizeClass)
        defer { unlock(sizeClass) }
        let bin = cache.map { self.bin(index, of: $0) }
        var entry = source(of: sizeClass, for: bin, cache: cache)
        if entry == nil {
            if startsInRuns(sizeClass, index: index) { return allocateRunBlock(size, cache: cache) }
            if addSpan(to: sizeClass, index: index) {
                entry = source(of: sizeClass, for: bin, cache: cache)
            } else if sizeClass.it.list_head != 0 {
                // No room for a span of one's own: another thread's will do.
                entry = sizeClass.it.list_head
            }
        }
        guard let entry else {
            // No free page: a run of granules may still be there.
            return SizeClass.blockByteCount(index) > 64 ? allocateRunBlock(size, cache: cache) : 0
        }
        return fill(index, cache, from: entry, of: sizeClass, source: bin, size: size)
    }

    /// Takes a block for the caller from a span, and half a stack of them for the cache. Under the lock of the span's class.
    @inline(never)  // rare, and would otherwise stand in both its callers
    func fill(
        _ index: UInt, _ cache: Ref<cistern_cache>?, from entry: UInt32, of sizeClass: Ref<cistern_class>, source: Ref<cistern_bin>?,
        size: UInt
    ) -> UInt {
        noteRequested(Int64(size), cache: cache)
        guard let cache else { return takeBlock(from: entry, of: sizeClass) }
        let bin = bin(index, of: cache)
        _ = raiseLimit(index, of: bin, in: cache)
        // Half a stack: the other half is room for what comes back.
        let half = UInt(bin.it.end &- bin.it.bottom) / 16
        let bottom = UInt(bin.it.bottom)
        guard half > 0 else { return takeBlock(from: entry, of: sizeClass) }
        var count = takeBlocks(from: entry, of: sizeClass, want: half, into: bottom)
        while count < half, let next = self.source(of: sizeClass, for: source, cache: cache) {
            count &+= takeBlocks(from: next, of: sizeClass, want: half &- count, into: bottom &+ count << 3)
        }
        // The stack gives its newest first: turned round, it gives the lowest address first.
        reverse(from: bottom, count: count)
        bin.it.top = uintptr_t(bottom &+ (count &- 1) << 3)
        return Memory.loadWord(UInt(bin.it.top))
    }

    /// The span to take from: the thread's own, or, without a cache, any; nil when there is none yet.
    func source(
        of sizeClass: Ref<cistern_class>, for bin: Ref<cistern_bin>?, cache: Ref<cistern_cache>?
    ) -> UInt32? {
        guard let bin, let cache else { return sizeClass.it.list_head != 0 ? sizeClass.it.list_head : nil }
        return ownSpan(of: bin, inCacheAt: page(of: cache), of: sizeClass)
    }

    private func takeBlock(from entry: UInt32, of sizeClass: Ref<cistern_class>) -> UInt {
        var block: UInt = 0
        // Safety: the slot is a local word, alive during the call.
        _ = unsafe withUnsafeMutablePointer(to: &block) { slot in
            takeBlocks(from: entry, of: sizeClass, want: 1, into: UInt(bitPattern: slot))
        }
        return block
    }

    private func reverse(from bottom: UInt, count: UInt) {
        var low = bottom
        var high = bottom &+ count << 3
        while low &+ 8 < high {
            high &-= 8
            let word = Memory.loadWord(low)
            Memory.storeWord(low, Memory.loadWord(high))
            Memory.storeWord(high, word)
            low &+= 8
        }
    }

    /// The first 2 KiB of a class above 64 bytes live in runs of their own: a span for each class that is used a few times
    /// would be most of a small heap.
    private func startsInRuns(_ sizeClass: Ref<cistern_class>, index: UInt) -> Bool {
        let block = SizeClass.blockByteCount(index)
        guard block > 64, sizeClass.it.span_count == 0, UInt(sizeClass.it.run_block_total) * block < 2048 else { return false }
        sizeClass.it.run_block_total &+= 1
        return true
    }

    private func allocateRunBlock(_ size: UInt, cache: Ref<cistern_cache>?) -> UInt {
        lockRuns()
        let granule = allocateRun(SizeClass.granules(size))
        if granule != 0 { header.it.run_block_count &+= 1 }
        unlockRuns()
        guard granule != 0 else { return 0 }
        noteRequested(Int64(size), cache: cache)
        return address(ofGranule: granule)
    }

    /// Counts requested bytes: in the cache, or, for a call without one, in the heap.
    func noteRequested(_ byteCount: Int64, cache: Ref<cistern_cache>?) {
        if let cache {
            cache.it.requested_byte_count &+= byteCount
        } else {
            lockRuns()
            header.it.direct_requested_bytes &+= byteCount
            unlockRuns()
        }
    }

    /// Frees a block of a known size: makes room in the cache, or gives it back at once.
    @inline(never)
    @usableFromInline
    func deallocateSlow(_ block: UInt, size: UInt) {
        guard block != 0, isUsable else { return }
        if has(CISTERN_HEAP_CHECKED) { return checkedDeallocate(block, size: size) }
        let cache = attachedCache()
        noteRequested(-Int64(size), cache: cache)
        guard let index = binIndex(max(size, 1)) else { return returnRunBlock(block, granules: SizeClass.granules(size)) }
        guard let cache else { return returnBlock(block) }
        cache.it.deallocation_slow_count &+= 1
        keep(block, index: index, in: cache)
    }

    /// Puts a block into a cache's bin; makes room there first.
    private func keep(_ block: UInt, index: UInt, in cache: Ref<cistern_cache>) {
        let bin = bin(index, of: cache)
        if bin.it.top == bin.it.end {
            adapt(cache)
            if bin.it.top == bin.it.end, !raiseLimit(index, of: bin, in: cache) {
                let count = blockCount(bin)
                guard count > 1 else { return returnBlock(block) }
                flush(index, of: bin, in: cache, count: count / 2)
            }
        }
        Memory.storeWord(UInt(bin.it.top), block)
        bin.it.top &+= 8
    }

    /// Frees a block whose size only the page map knows.
    ///
    /// - Parameter block: a live block of this heap.
    /// - Complexity: as with a size, and one look-up.
    @inlinable @inline(__always)
    public func deallocate(_ block: UnsafeMutableRawPointer) {
        deallocateUnsized(UInt(bitPattern: block))
    }

    @inline(never)
    @usableFromInline
    func deallocateUnsized(_ block: UInt) {
        guard isUsable else { return }
        if has(CISTERN_HEAP_CHECKED) { return checkedDeallocate(block, size: nil) }
        let cache = attachedCache()
        let entry = pageMapEntry(ofPage: (block &- base) >> Layout.pageShift)
        if Layout.isSpan(entry), let cache {
            let index = UInt(span(entry).it.size_class)
            cache.it.requested_byte_count &-= Int64(SizeClass.blockByteCount(index))
            return keep(block, index: index, in: cache)
        }
        let byteCount = usableByteCount(block)
        noteRequested(-Int64(byteCount), cache: cache)
        guard let cache, byteCount > SizeClass.smallByteLimit, let index = binIndex(byteCount) else { return returnBlock(block) }
        keep(block, index: index, in: cache)
    }

    /// Bytes a live block holds.
    func usableByteCount(_ block: UInt) -> UInt {
        let entry = pageMapEntry(ofPage: (block &- base) >> Layout.pageShift)
        if Layout.isSpan(entry) { return SizeClass.blockByteCount(UInt(span(entry).it.size_class)) }
        guard !Layout.isRegion(entry) else { return 0 }
        lockRuns()
        let granules = allocatedLength(granule(at: block))
        unlockRuns()
        return UInt(granules) << Layout.granuleShift
    }
}

extension BoundedHeap {
    /// A block for checked mode to frame: no cache; the size is a multiple of 16, so the block is 16-aligned.
    func checkedRawBlock(_ size: UInt) -> UInt {
        let block = allocateOnce(size)
        if block != 0 { noteRequested(-Int64(size), cache: nil) }
        return block
    }
}
