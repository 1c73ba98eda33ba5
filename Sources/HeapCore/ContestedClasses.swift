import CHeap

// Safety: the C calls take the heap's header and class records, which stand as long as the reservation.

// Classes whose blocks threads pass to each other. Packed blocks that changed hands stand between another thread's for good, and each
// write to one takes the cache line from its neighbour's thread. A class where that is so is contested from then on: its blocks come
// from spans of the class whose size is the next multiple of 64, share no line, and take the place of the packed ones, which go
// back to their spans as they pass through the stacks. The two kinds mix in a stack; the page map tells them apart.
extension BoundedHeap {
    /// The class whose spans serve a class first: itself, or, when it is contested, the one with blocks on lines.
    func lineClass(_ index: UInt) -> UInt {
        guard index < SizeClass.smallCount, unsafe cistern_class_is_contested(sizeClass(index).pointer) else { return index }
        return SizeClass.lineClass(index)
    }

    /// Lines of their own cost an eighth of the capacity at most: with a quarter of it in use, more memory is for packed blocks.
    private var linesLimitBytes: UInt64 { header.it.capacity_bytes / 4 }

    /// How many of the sixteen newest blocks of a stack may be from other threads' spans before its class is contested.
    private var foreignLimit: UInt { 4 }

    /// Takes a batch for a contested class, from spans whose blocks share no cache line. 0 for other classes, and where that needs
    /// more memory than there is for it.
    func refillOnLines(_ index: UInt, _ cache: Ref<cistern_cache>, size: UInt) -> UInt {
        let lineClass = lineClass(index)
        guard lineClass != index else { return 0 }
        let sizeClass = sizeClass(lineClass)
        lock(sizeClass)
        defer { unlock(sizeClass) }
        let bin = bin(lineClass, of: cache)
        var entry = source(of: sizeClass, for: bin, cache: cache)
        if entry == nil, addSpan(to: sizeClass, index: lineClass, upToUsedBytes: linesLimitBytes) {
            entry = source(of: sizeClass, for: bin, cache: cache)
        }
        guard let entry else { return 0 }
        return fill(index, cache, from: entry, of: sizeClass, source: bin, size: size)
    }

    /// Looks for contested classes where a flush would see them late: most stacks are so deep that they are flushed rarely. All stacks
    /// when another class has become contested, because who passes blocks of one size on mostly does so with others; and one stack
    /// at each fourth slow call.
    func lookForContested(_ cache: Ref<cistern_cache>) {
        guard !cistern_is_single_threaded() else { return }
        let count = unsafe cistern_contested_count(header.pointer)
        let calls = UInt(cache.it.allocation_slow_count &+ cache.it.deallocation_slow_count)
        if count != cache.it.contested_count_seen {
            cache.it.contested_count_seen = count
            for index in 0..<SizeClass.smallCount { look(at: index, of: cache) }
        } else if calls % 4 == 0 {
            look(at: calls / 4 % SizeClass.smallCount, of: cache)
        }
    }

    private func look(at index: UInt, of cache: Ref<cistern_cache>) {
        let bin = bin(index, of: cache)
        if blockCount(bin) > foreignLimit { flush(index, of: bin, in: cache, count: 0) }
    }

    /// Is a page map entry a span of one of two classes?
    func isOfSpan(_ entry: UInt32, _ index: UInt, _ other: UInt) -> Bool {
        guard Layout.isSpan(entry) else { return false }
        let sizeClass = UInt(span(entry).it.size_class)
        return sizeClass == index || sizeClass == other
    }

    /// Moves blocks to the bottom of a stack, where a flush takes them first, that would share lines with another thread's if they
    /// were handed out here again: of a contested class the packed ones, of others those of another thread's spans. Where these are more
    /// than four of the sixteen newest blocks, the class is contested from then on: threads pass its blocks to each other, or empty and
    /// fill the same spans. Returns where the blocks end that have to go. Under the locks of both classes.
    func sinkSharedBlocks(_ index: UInt, _ lineClass: UInt, of bin: Ref<cistern_bin>, in cache: Ref<cistern_cache>) -> UInt {
        let page = page(of: cache)
        let isReplacing = lineClass != index && hasRoomForLines
        let bottom = UInt(bin.it.bottom)
        let newest = max(bottom, UInt(bin.it.top) &- 128)
        var foreignCount: UInt = 0
        var end = bottom
        for slot in stride(from: bottom, to: UInt(bin.it.top), by: 8) {
            let block = Memory.loadWord(slot)
            let entry = pageMapEntry(ofPage: (block &- base) >> Layout.pageShift)
            // Whose a span is may be asked under its own class's lock only; blocks of other classes go back, too.
            if isOfSpan(entry, index, lineClass) {
                let span = span(entry)
                if isReplacing ? UInt(span.it.size_class) == lineClass : span.it.owner_page == page { continue }
                if slot >= newest { foreignCount &+= 1 }
            }
            Memory.storeWord(slot, Memory.loadWord(end))
            Memory.storeWord(end, block)
            end &+= 8
        }
        if lineClass == index, foreignCount > foreignLimit {
            unsafe cistern_class_note_contested(sizeClass(index).pointer, header.pointer)
        }
        return end
    }

    private var hasRoomForLines: Bool {
        lockRuns()
        defer { unlockRuns() }
        return usedByteCount <= linesLimitBytes
    }
}
