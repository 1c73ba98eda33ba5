import CHeap
import VirtualMemory

// The run heap: everything in a heap that is not inside a block span is a run of adjoining granules, spans included.
// No headers; neighbours coalesce at once. All functions here are called with the run lock held.
extension BoundedHeap {
    /// How many runs of the fitting bin are looked at before a larger bin is taken, which always fits.
    private static var candidateLimit: Int { 8 }

    /// Bytes in allocated runs, the heap's own among them.
    var usedByteCount: UInt64 { header.it.used_granules << UInt64(Layout.granuleShift) }

    /// Takes a run. Returns its first granule, or 0 when there is no room.
    func allocateRun(_ granules: UInt32) -> UInt32 {
        let start = takeRun(granules)
        if start != 0 { noteAllocated(start, granules: granules) }
        return start
    }

    /// Takes a run for a block of its own, and says whether the pages inside it (all but the first and the last) read as zero.
    func allocateRunForZeroing(_ granules: UInt32) -> (start: UInt32, hasZeroInterior: Bool) {
        let start = takeRun(granules)
        guard start != 0 else { return (0, false) }
        let isZero = nextTouchedStretch(from: (start >> 6) &+ 1, to: (start &+ granules &- 1) >> 6) == nil
        noteAllocated(start, granules: granules)
        header.it.run_block_count &+= 1
        return (start, isZero)
    }

    private func takeRun(_ granules: UInt32) -> UInt32 {
        var start = takeFromBins(granules)
        if start == 0 { start = takeFromTop(granules, alignment: 1, at: 0) }
        if start == 0 { start = takeFromBinExhaustively(granules, alignment: 1, at: 0) }
        return start
    }

    /// Takes a run whose address is a multiple of `alignment` granules, a power of two.
    func allocateAlignedRun(_ granules: UInt32, alignment: UInt32) -> UInt32 {
        let start = takeAlignedRun(granules, alignment: alignment, at: 0)
        if start != 0 { noteAllocated(start, granules: granules) }
        return start
    }

    /// Takes a run of whole pages, and says whether the pages inside it (all but the first and the last) read as zero.
    /// `offset`: the granule of it that stands on the alignment, inside it.
    func allocateAlignedRunForZeroing(
        _ granules: UInt32, alignment: UInt32, at offset: UInt32
    ) -> (start: UInt32, hasZeroInterior: Bool) {
        let start = takeAlignedRun(granules, alignment: alignment, at: offset)
        guard start != 0 else { return (0, false) }
        let isZero = nextTouchedStretch(from: (start >> 6) &+ 1, to: (start &+ granules &- 1) >> 6) == nil
        noteAllocated(start, granules: granules)
        return (start, isZero)
    }

    private func takeAlignedRun(_ granules: UInt32, alignment: UInt32, at offset: UInt32) -> UInt32 {
        var start = takeAlignedFromBins(granules, alignment: alignment, at: offset)
        if start == 0 { start = takeFromTop(granules, alignment: alignment, at: offset) }
        if start == 0 { start = takeFromBinExhaustively(granules, alignment: alignment, at: offset) }
        return start
    }

    private func noteAllocated(_ start: UInt32, granules: UInt32) {
        markTouched(fromGranule: start, granules: granules)
        header.it.used_granules &+= UInt64(granules)
        if header.it.used_granules > header.it.used_granules_high_water {
            header.it.used_granules_high_water = header.it.used_granules
        }
        noteUse()
    }

    /// Gives a run back and joins it with free neighbours.
    func freeRun(_ start: UInt32, granules: UInt32) {
        header.it.used_granules &-= UInt64(granules)
        returnGranules(start, granules: granules)
        noteFreed(granules: granules)
    }

    /// The part of `freeRun` that knows no counters: also for tails that were cut off before anybody had them.
    private func returnGranules(_ start: UInt32, granules: UInt32) {
        var first = start
        var length = granules
        if followsFreeRun(start) {
            let previousLength = freeRunLength(endingBefore: start)
            first = start &- previousLength
            removeFreeRun(first)
            // Its last granule and our first are inside the joined run.
            clearBit(start)
            clearBit(start &- 1)
            length &+= previousLength
        }
        let end = start &+ granules
        if end == header.it.top_granule {
            lowerTop(to: first, from: end)
            return
        }
        if isFreeRun(end) {
            let nextLength = freeRunLength(end)
            removeFreeRun(end)
            markAllocated(end, granules: nextLength)
            clearBit(end)
            length &+= nextLength
        }
        insertFreeRun(first, granules: length)
    }

    private func lowerTop(to first: UInt32, from end: UInt32) {
        // Between them only the first bits of a joined free run may be set.
        clearBit(end)
        if first &+ 1 < end { clearBit(first &+ 1) }
        setBit(first)
        header.it.top_granule = first
    }

    // MARK: Where a run comes from

    private func takeFromBins(_ granules: UInt32) -> UInt32 {
        let bin = Self.runBin(granules)
        var candidate = binHead(bin)
        var count = 0
        while candidate != 0, count < Self.candidateLimit {
            let length = freeRunLength(candidate)
            if length >= granules { return carve(candidate, length: length, at: candidate, granules: granules) }
            candidate = freeRunNext(candidate)
            count &+= 1
        }
        guard let larger = nonEmptyBin(from: bin &+ 1) else { return 0 }
        let start = binHead(larger)
        return carve(start, length: freeRunLength(start), at: start, granules: granules)
    }

    private func takeAlignedFromBins(_ granules: UInt32, alignment: UInt32, at offset: UInt32) -> UInt32 {
        var count = 0
        var bin = Self.runBin(granules)
        while count < Self.candidateLimit, let next = nonEmptyBin(from: bin) {
            var candidate = binHead(next)
            while candidate != 0, count < Self.candidateLimit {
                let length = freeRunLength(candidate)
                if let start = alignedStart(in: candidate, length: length, granules: granules, alignment: alignment, at: offset) {
                    return carve(candidate, length: length, at: start, granules: granules)
                }
                candidate = freeRunNext(candidate)
                count &+= 1
            }
            bin = next &+ 1
        }
        let (sure, overflow) = granules.addingReportingOverflow(alignment &- 1)
        guard !overflow, sure < header.it.capacity_granules,
            let larger = nonEmptyBin(from: Self.runBin(sure) &+ 1)
        else { return 0 }
        let run = binHead(larger)
        let length = freeRunLength(run)
        guard let start = alignedStart(in: run, length: length, granules: granules, alignment: alignment, at: offset) else { return 0 }
        return carve(run, length: length, at: start, granules: granules)
    }

    /// Last resort before a no: look at every free run that could be long enough.
    private func takeFromBinExhaustively(_ granules: UInt32, alignment: UInt32, at offset: UInt32) -> UInt32 {
        var bin = Self.runBin(granules)
        while let next = nonEmptyBin(from: bin) {
            var candidate = binHead(next)
            while candidate != 0 {
                let length = freeRunLength(candidate)
                if let start = alignedStart(in: candidate, length: length, granules: granules, alignment: alignment, at: offset) {
                    return carve(candidate, length: length, at: start, granules: granules)
                }
                candidate = freeRunNext(candidate)
            }
            bin = next &+ 1
        }
        return 0
    }

    private func alignedStart(
        in run: UInt32, length: UInt32, granules: UInt32, alignment: UInt32, at offset: UInt32
    ) -> UInt32? {
        guard length >= granules else { return nil }
        guard let start = aligned(run, alignment: alignment, at: offset), start &- run <= length &- granules else { return nil }
        return start
    }

    /// The first granule from `granule` on whose address is aligned, or that of the one `offset` later; nil beyond 2^32 granules.
    private func aligned(_ granule: UInt32, alignment: UInt32, at offset: UInt32) -> UInt32? {
        let origin = (base >> Layout.granuleShift) &+ UInt(offset)
        let mask = UInt(alignment) &- 1
        let (sum, overflow) = (origin &+ UInt(granule)).addingReportingOverflow(mask)
        guard !overflow else { return nil }
        return UInt32(exactly: (sum & ~mask) &- origin)
    }

    /// Cuts an allocated run out of a free one; what is left at both ends is free again.
    private func carve(_ run: UInt32, length: UInt32, at start: UInt32, granules: UInt32) -> UInt32 {
        removeFreeRun(run)
        markAllocated(run, granules: length)
        if start > run {
            insertFreeRun(run, granules: start &- run)
            setBit(start)
        }
        let tail = (run &+ length) &- (start &+ granules)
        if tail > 0 { insertFreeRun(start &+ granules, granules: tail) }
        return start
    }

    private func takeFromTop(_ granules: UInt32, alignment: UInt32, at offset: UInt32) -> UInt32 {
        let top = header.it.top_granule
        guard let start = aligned(top, alignment: alignment, at: offset), start <= header.it.capacity_granules,
            granules <= header.it.capacity_granules &- start, commit(throughGranule: start &+ granules)
        else { return 0 }
        if start > top {
            setBit(start)
            insertFreeRun(top, granules: start &- top)
        }
        setBit(start &+ granules)
        raiseTop(to: start &+ granules)
        return start
    }

    private func raiseTop(to granule: UInt32) {
        header.it.top_granule = granule
        if UInt64(granule) > header.it.top_granule_high_water { header.it.top_granule_high_water = UInt64(granule) }
    }

    // MARK: Resize in place

    /// Cuts a run short. Always possible.
    func shrinkRun(_ start: UInt32, from granules: UInt32, to kept: UInt32) {
        guard kept < granules else { return }
        setBit(start &+ kept)
        header.it.used_granules &-= UInt64(granules &- kept)
        returnGranules(start &+ kept, granules: granules &- kept)
        noteFreed(granules: granules &- kept)
    }

    /// Makes a run longer by what is free behind it. False when that is not enough; then nothing has changed.
    func growRun(_ start: UInt32, from granules: UInt32, to wanted: UInt32) -> Bool {
        let end = start &+ granules
        if end == header.it.top_granule {
            guard wanted <= header.it.capacity_granules &- start, commit(throughGranule: start &+ wanted) else { return false }
            clearBit(end)
            setBit(start &+ wanted)
            raiseTop(to: start &+ wanted)
        } else {
            guard isFreeRun(end) else { return false }
            let length = freeRunLength(end)
            guard granules &+ length >= wanted else { return false }
            removeFreeRun(end)
            markAllocated(end, granules: length)
            clearBit(end)
            let tail = granules &+ length &- wanted
            if tail > 0 { insertFreeRun(start &+ wanted, granules: tail) }
        }
        noteAllocated(end, granules: start &+ wanted &- end)
        return true
    }
}
