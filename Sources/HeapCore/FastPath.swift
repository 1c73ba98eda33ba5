import CHeap

// Safety: see RawMemory.swift; blocks are handed to the caller and back, who keeps their sizes.

// The path that nearly every call takes: this thread's cache, one list, no lock and no atomic read-modify-write. What
// does not fit goes to a function of SlowPath.swift. Heaps in checked mode never have a cache, so they need no test here.
extension BoundedHeap {
    /// Allocates a block.
    ///
    /// - Parameter byteCount: 0 to the capacity; anything larger is answered with `nil`.
    /// - Returns: at least `byteCount` bytes of undefined content; 16-aligned when the size is a multiple of 16 (or the
    ///   heap was made so), else 8-aligned. `nil` when the capacity does not hold it; nothing is lost then.
    /// - Complexity: constant, but for a refill.
    @inlinable @inline(__always)
    public func allocate(byteCount: Int) -> UnsafeMutableRawPointer? {
        let size = UInt(bitPattern: byteCount)
        let place = header.it.slot_place
        if _fastPath(cistern_slot_incarnation(place) == header.it.incarnation), let code = binCode(size) {
            let cache = Ref<cistern_cache>(at: UInt(cistern_slot_cache(place)))
            let bin = bin(code: code, of: cache)
            let top = UInt(bin.it.top)
            if _fastPath(top != UInt(bin.it.bottom)) {
                bin.it.top = uintptr_t(top &- 8)
                cache.it.requested_byte_count &+= Int64(byteCount)
                return unsafe UnsafeMutableRawPointer(bitPattern: Memory.loadWord(top &- 8)).unsafelyUnwrapped
            }
        }
        return unsafe UnsafeMutableRawPointer(bitPattern: allocateSlow(size))
    }

    /// Frees a block whose size the caller knows. Faster than without, and keeps `requestedBytes` exact.
    ///
    /// - Parameters:
    ///   - block: a live block of this heap.
    ///   - byteCount: from the size that was asked for to the usable size.
    /// - Complexity: constant, but for a flush.
    @inlinable @inline(__always)
    public func deallocate(_ block: UnsafeMutableRawPointer, byteCount: Int) {
        give(UInt(bitPattern: block), size: UInt(bitPattern: byteCount), mayBeNone: false)
    }

    /// The same for languages where freeing no block is allowed, which does nothing.
    @inlinable @inline(__always)
    public func deallocate(ifAny block: UnsafeMutableRawPointer?, byteCount: Int) {
        give(UInt(bitPattern: block), size: UInt(bitPattern: byteCount), mayBeNone: true)
    }

    /// The test for no block stands where the compiler does not join it to another test before it, which would take longer.
    @inlinable @inline(__always)
    func give(_ address: UInt, size: UInt, mayBeNone: Bool) {
        let place = header.it.slot_place
        let isAttached = cistern_slot_incarnation(place) == header.it.incarnation
        if _fastPath(isAttached), !mayBeNone || _fastPath(address != 0), let code = binCode(size) {
            let cache = Ref<cistern_cache>(at: UInt(cistern_slot_cache(place)))
            let bin = bin(code: code, of: cache)
            let top = UInt(bin.it.top)
            if _fastPath(top != UInt(bin.it.end)) {
                Memory.storeWord(top, address)
                bin.it.top = uintptr_t(top &+ 8)
                cache.it.returned_byte_count &+= Int64(bitPattern: UInt64(size))
                return
            }
        }
        deallocateSlow(address, size: size)
        cistern_end_of_slow_path()
    }

    /// The cache bin of a size; nil for those that no cache keeps: 0, and above 4096.
    @inlinable @inline(__always)
    func binIndex(_ size: UInt) -> UInt? { binCode(size).map { $0 >> 3 } }

    /// The same times 8 and 7 more, which is what rounding a size up leaves and saves an instruction.
    @inlinable @inline(__always)
    func binCode(_ size: UInt) -> UInt? {
        let last = size &- 1
        if _fastPath(last < SizeClass.smallByteLimit) { return last | UInt(header.it.size_mask) }
        return last < SizeClass.mediumByteLimit ? (56 &+ last >> Layout.granuleShift) << 3 &+ 7 : nil
    }

    /// A bin has 32 bytes, and the processor multiplies by 4 by itself.
    @inlinable @inline(__always)
    func bin(code: UInt, of cache: Ref<cistern_cache>) -> Ref<cistern_bin> {
        Ref(at: cache.address &+ UInt(CISTERN_CACHE_BINS_OFFSET - 28) &+ code << 2)
    }
}
