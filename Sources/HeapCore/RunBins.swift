import CHeap

// Free runs in bins by length: two-level segregated fit (Masmano, Ripoll, Crespo, Real: "TLSF", 2004), 8 bins per
// doubling, most recently freed first. A free run says in its first granule {length, next, previous} and, in the last
// four bytes of its last granule, its length again, so that its successor finds its start. Guarded by the run lock.
extension BoundedHeap {
    enum FreeRun {
        static var lengthOffset: UInt { 0 }
        static var nextOffset: UInt { 4 }
        static var previousOffset: UInt { 8 }
        static var footerFromEnd: UInt { 4 }
    }

    static func runBin(_ granules: UInt32) -> UInt32 {
        if granules < 16 { return granules }
        let doubling = UInt32(31 - granules.leadingZeroBitCount)
        return (doubling &- 2) &<< 3 &+ ((granules &>> (doubling &- 3)) & 7)
    }

    func binHead(_ bin: UInt32) -> UInt32 { Memory.load32(binAddress(bin)) }

    private func binAddress(_ bin: UInt32) -> UInt {
        header.address &+ UInt(CISTERN_RUN_BINS_OFFSET) &+ UInt(bin) << 2
    }

    private func binWordAddress(_ word: UInt32) -> UInt {
        header.address &+ UInt(CISTERN_BIN_WORDS_OFFSET) &+ UInt(word) << 3
    }

    func freeRunLength(_ start: UInt32) -> UInt32 { Memory.load32(address(ofGranule: start)) }

    func freeRunNext(_ start: UInt32) -> UInt32 { Memory.load32(address(ofGranule: start) &+ FreeRun.nextOffset) }

    /// Length of the free run whose last granule is the one before `granule`.
    func freeRunLength(endingBefore granule: UInt32) -> UInt32 {
        Memory.load32(address(ofGranule: granule) &- FreeRun.footerFromEnd)
    }

    /// Makes a free run of granules that are nobody's and puts it into its bin. It must not touch another free run.
    func insertFreeRun(_ start: UInt32, granules: UInt32) {
        markFree(start, granules: granules)
        let bin = Self.runBin(granules)
        let first = address(ofGranule: start)
        let next = binHead(bin)
        markTouched(fromGranule: start, granules: 1)
        markTouched(fromGranule: start &+ granules &- 1, granules: 1)
        Memory.store32(first &+ FreeRun.lengthOffset, granules)
        Memory.store32(first &+ FreeRun.nextOffset, next)
        Memory.store32(first &+ FreeRun.previousOffset, 0)
        // A zero where a footer would stand says "first granule of a longer run": look-ups of addresses rely on it.
        Memory.store32(first &+ Layout.granuleByteCount &- FreeRun.footerFromEnd, 0)
        Memory.store32(address(ofGranule: start &+ granules) &- FreeRun.footerFromEnd, granules)
        if next != 0 { Memory.store32(address(ofGranule: next) &+ FreeRun.previousOffset, start) }
        Memory.store32(binAddress(bin), start)
        let word = binWordAddress(bin >> 6)
        Memory.store64(word, Memory.load64(word) | (1 << UInt64(bin & 63)))
        header.it.free_run_count &+= 1
    }

    /// Takes a free run out of its bin. Its bits stay as they are.
    func removeFreeRun(_ start: UInt32) {
        let first = address(ofGranule: start)
        let next = Memory.load32(first &+ FreeRun.nextOffset)
        let previous = Memory.load32(first &+ FreeRun.previousOffset)
        if next != 0 { Memory.store32(address(ofGranule: next) &+ FreeRun.previousOffset, previous) }
        if previous != 0 {
            Memory.store32(address(ofGranule: previous) &+ FreeRun.nextOffset, next)
        } else {
            let bin = Self.runBin(Memory.load32(first))
            Memory.store32(binAddress(bin), next)
            if next == 0 {
                let word = binWordAddress(bin >> 6)
                Memory.store64(word, Memory.load64(word) & ~(1 << UInt64(bin & 63)))
            }
        }
        header.it.free_run_count &-= 1
    }

    /// The first bin from `bin` on that holds a run; nil when there is none. At most four loads.
    func nonEmptyBin(from bin: UInt32) -> UInt32? {
        guard bin < UInt32(CISTERN_RUN_BIN_COUNT) else { return nil }
        var index = bin >> 6
        var word = Memory.load64(binWordAddress(index)) & (UInt64.max << UInt64(bin & 63))
        while word == 0 {
            index &+= 1
            guard index < UInt32(CISTERN_RUN_BIN_COUNT) >> 6 else { return nil }
            word = Memory.load64(binWordAddress(index))
        }
        return index &<< 6 &+ UInt32(truncatingIfNeeded: word.trailingZeroBitCount)
    }
}
