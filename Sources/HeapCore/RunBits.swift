import CHeap

// One bit per granule tells runs apart, allocated from free, without a header before blocks:
//
//   allocated run, n >= 2 granules   1 0 0 ... 0      the next set bit is the start of the next run: its length
//   free run of 1 granule            1
//   free run of 2                    1 1
//   free run of n >= 3               1 1 0 ... 0 1    its first granule says the length, its last one too
//
// So for a run that starts at g: it is free when bit g+1 is set (an allocated run has at least two granules, and the
// granule after a one-granule run starts the next one). And the run before g is free when bit g-1 is set. Bit
// `top_granule` is always set and ends the last run; bits above it are clear. All of it is guarded by the run lock.
extension BoundedHeap {
    private func wordAddress(_ granule: UInt32) -> UInt {
        base &+ UInt(header.it.bits_offset) &+ UInt(granule >> 6) << 3
    }

    func bit(_ granule: UInt32) -> Bool {
        Memory.load64(wordAddress(granule)) & (1 << UInt64(granule & 63)) != 0
    }

    func setBit(_ granule: UInt32) {
        let address = wordAddress(granule)
        Memory.store64(address, Memory.load64(address) | (1 << UInt64(granule & 63)))
    }

    func clearBit(_ granule: UInt32) {
        let address = wordAddress(granule)
        Memory.store64(address, Memory.load64(address) & ~(1 << UInt64(granule & 63)))
    }

    func isFreeRun(_ start: UInt32) -> Bool { bit(start &+ 1) }

    func followsFreeRun(_ start: UInt32) -> Bool { start > header.it.first_granule && bit(start &- 1) }

    func markFree(_ start: UInt32, granules: UInt32) {
        setBit(start)
        if granules > 1 { setBit(start &+ 1) }
        if granules > 2 { setBit(start &+ granules &- 1) }
    }

    /// Clears the bits of a free run but for its first.
    func markAllocated(_ start: UInt32, granules: UInt32) {
        setBit(start)
        if granules > 1 { clearBit(start &+ 1) }
        if granules > 2 { clearBit(start &+ granules &- 1) }
    }

    /// Granules from `start` to the next set bit. Length/4096 loads.
    func allocatedLength(_ start: UInt32) -> UInt32 {
        var index = start &+ 1
        var address = wordAddress(index)
        var word = Memory.load64(address) >> UInt64(index & 63)
        if word == 0 {
            index = (index | 63) &+ 1
            address &+= 8
            word = Memory.load64(address)
            while word == 0 {
                index &+= 64
                address &+= 8
                word = Memory.load64(address)
            }
        }
        return index &+ UInt32(truncatingIfNeeded: word.trailingZeroBitCount) &- start
    }

    /// The last granule at or before `granule` whose bit is set: the start of an allocated run that holds it.
    func lastSetBit(from granule: UInt32) -> UInt32 {
        var index = granule
        var address = wordAddress(index)
        var word = Memory.load64(address) << UInt64(63 &- index & 63)
        while word == 0 {
            guard index >= 64 else { return 0 }
            index = (index & ~63) &- 1
            address &-= 8
            word = Memory.load64(address)
        }
        return index &- UInt32(truncatingIfNeeded: word.leadingZeroBitCount)
    }
}
