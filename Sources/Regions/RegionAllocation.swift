import CHeap
@_spi(Regions) import HeapCore

// Safety: addresses that are handed out lie in the current chunk or in a large object of this region, below its end.

// The path that nearly every allocation takes: the next bytes of the current chunk. The size is compared with the room
// that is left, never added to an address first. `end - head` is a multiple of 8, and the comparison is strict: so a size
// that passes also fits rounded up, and a region without a chunk (both 0) refuses every size, 0 included. The exact fit goes
// to the slow path, which takes it.
extension BoundedRegion {
    /// Allocates `byteCount` bytes of undefined content at a multiple of 8.
    ///
    /// - Parameter byteCount: 0 or more. An allocation of 0 bytes may have the address of the next one.
    /// - Returns: nil when the region's limit or the heap's capacity does not hold it (`lastRefusal` says which), and in a
    ///   closed or busy region. Nothing has changed then.
    /// - Complexity: constant, but for a new chunk.
    @inlinable @inline(__always)
    public func allocate(byteCount: Int) -> UnsafeMutableRawPointer? {
        let size = UInt(bitPattern: byteCount)
        let head = UInt(record.it.head)
        if _fastPath(size < UInt(record.it.end) &- head) {
            record.it.head = uintptr_t((head &+ size &+ 7) & ~7)
            return unsafe UnsafeMutableRawPointer(bitPattern: head).unsafelyUnwrapped
        }
        return unsafe UnsafeMutableRawPointer(bitPattern: allocateSlow(size, alignment: 8))
    }

    /// Allocates `byteCount` bytes of undefined content at a multiple of `alignment`.
    ///
    /// - Parameters:
    ///   - byteCount: 0 or more.
    ///   - alignment: a power of two, up to the heap's capacity; anything else gives nil.
    /// - Returns: as `allocate(byteCount:)`.
    /// - Complexity: as `allocate(byteCount:)`.
    @inlinable @inline(__always)
    public func allocate(byteCount: Int, alignment: Int) -> UnsafeMutableRawPointer? {
        if alignment <= 8, alignment > 0, alignment & (alignment &- 1) == 0 { return unsafe allocate(byteCount: byteCount) }
        let size = UInt(bitPattern: byteCount)
        if alignment == 16 {
            // `end` is a multiple of 16: rounding `head` up does not pass it.
            let start = (UInt(record.it.head) &+ 15) & ~15
            if _fastPath(size < UInt(record.it.end) &- start) {
                record.it.head = uintptr_t((start &+ size &+ 7) & ~7)
                return unsafe UnsafeMutableRawPointer(bitPattern: start).unsafelyUnwrapped
            }
        }
        return unsafe UnsafeMutableRawPointer(bitPattern: allocateSlow(size, alignment: UInt(bitPattern: alignment)))
    }

    /// Allocates `byteCount` bytes that are all zero. Pages of a large object that come fresh from the system are not written.
    ///
    /// - Parameters:
    ///   - byteCount: 0 or more.
    ///   - alignment: as for `allocate(byteCount:alignment:)`.
    /// - Returns: as `allocate(byteCount:)`.
    /// - Complexity: the bytes that have to be cleared.
    public func allocateZeroed(byteCount: Int, alignment: Int = 8) -> UnsafeMutableRawPointer? {
        let size = UInt(bitPattern: byteCount)
        if size >= ChunkSize.largeByteCount {
            return unsafe UnsafeMutableRawPointer(
                bitPattern: allocateSlow(size, alignment: UInt(bitPattern: max(alignment, 0)), isZeroed: true))
        }
        guard let block = unsafe allocate(byteCount: byteCount, alignment: alignment) else { return nil }
        RegionMemory.fill(UInt(bitPattern: block), byteCount: size, with: 0)
        return unsafe block
    }

    // MARK: Slow path

    /// Takes the exact fit, a large object's run, or a new chunk. Returns an address; 0 is "no", and `last_refusal` says why.
    @inline(never)
    @usableFromInline
    func allocateSlow(_ size: UInt, alignment: UInt, isZeroed: Bool = false) -> UInt {
        let status = usability()
        guard status == .done else { return refuse(status) }
        guard alignment > 0, alignment & (alignment &- 1) == 0 else { return refuse(.invalidArgument) }
        let capacity = UInt(heap.capacityBytes)
        guard size <= capacity, alignment <= capacity else { return refuse(.exhausted) }
        let byteCount = (max(size, 1) &+ 7) & ~7
        let align = max(alignment, 8)
        if let block = allocateInChunk(byteCount, alignment: align) {
            if isZeroed { RegionMemory.fill(block, byteCount: byteCount, with: 0) }
            return block
        }
        let isAlone = isBetterAlone(byteCount, alignment: align)
        // In a chunk of its own, what comes before an aligned object counts; its run's does not.
        let padding = isAlone || align <= ChunkSize.headerByteCount ? 0 : align &- ChunkSize.headerByteCount
        guard fits(byteCount &+ padding) else { return refuse(.limitReached) }
        if isAlone { return allocateLarge(byteCount, alignment: align, isZeroed: isZeroed) ?? refuse(.exhausted) }
        guard addChunk(for: byteCount, alignment: align), let block = allocateInChunk(byteCount, alignment: align) else {
            return refuse(.exhausted)
        }
        if isZeroed { RegionMemory.fill(block, byteCount: byteCount, with: 0) }
        return block
    }

    /// For faces that find out themselves that a size cannot be: `lastRefusal` says so.
    public func refuseInvalidArgument() {
        let status = usability()
        _ = refuse(status == .done ? .invalidArgument : status)
    }

    private func refuse(_ status: RegionStatus) -> UInt {
        record.it.last_refusal = status.rawValue
        return 0
    }

    /// Takes bytes of the current chunk, to its very end; nil when they are not there or the limit is in the way.
    private func allocateInChunk(_ byteCount: UInt, alignment: UInt) -> UInt? {
        guard let chunk else { return nil }
        let head = currentHead(of: chunk)
        let start = (head &+ alignment &- 1) & ~(alignment &- 1)
        guard start >= head, start <= UInt(chunk.it.end), byteCount <= UInt(chunk.it.end) &- start,
            fits(start &- head &+ byteCount)
        else { return nil }
        setHead(start &+ byteCount, in: chunk)
        if isChecked { RegionMemory.fill(start, byteCount: byteCount, with: Self.newByte) }
        return start
    }

    /// Bytes that may still be allocated under the limit; nil without one.
    var bytesLeftUnderLimit: UInt64? {
        record.it.limit_bytes == 0 ? nil : record.it.limit_bytes &- min(usedBytes, record.it.limit_bytes)
    }

    /// Does the limit hold so many bytes more?
    func fits(_ byteCount: UInt) -> Bool { bytesLeftUnderLimit.map { UInt64(byteCount) <= $0 } ?? true }
}
