import CHeap
@_spi(Regions) import HeapCore

// Safety: the bytes handed in are the caller's object in this region; the copy lies in fresh bytes of the parent.

/// Copies a small object that is promoted: from the region to fresh bytes of the parent. What it points to is its business,
/// which may allocate from the parent.
public typealias RegionCopy =
    @convention(c) (
        _ context: UInt, _ source: UnsafeRawPointer, _ destination: UnsafeMutableRawPointer, _ byteCount: Int
    ) -> Void

extension BoundedRegion {
    /// Hands an object to the parent, where it outlives this region. A large object keeps its address: its run changes hands.
    /// Any other is copied, and the original stays what it was.
    ///
    /// - Parameters:
    ///   - object: where an object of this region begins.
    ///   - byteCount: its size; 0 or more.
    ///   - alignment: for a copy.
    ///   - copy: makes the copy; nil: the bytes as they are.
    ///   - context: passed to `copy` as it is.
    ///   - promoted: where the object is now; set when the answer is `.done`.
    /// - Returns: `.done`; otherwise nothing has changed: `.noParent`, `.notInRegion`, `.exhausted` and `.limitReached` (both
    ///   the parent's), `.closed`, `.busy`, `.invalidArgument` (more bytes than the object can have).
    /// - Complexity: constant for a large object; else an allocation and the copy.
    public func promote(
        _ object: UnsafeMutableRawPointer, byteCount: Int, alignment: Int = 8, copy: RegionCopy? = nil, context: UInt = 0,
        to promoted: inout UnsafeMutableRawPointer?
    ) -> RegionStatus {
        let status = usability()
        guard status == .done else { return status }
        guard let parent else { return .noParent }
        let parentStatus = parent.usability()
        guard parentStatus == .done else { return parentStatus }
        let address = UInt(bitPattern: object)
        let size = UInt(bitPattern: byteCount)
        guard let chunk = heap.regionChunk(holding: address), UInt(chunk.it.region) == record.number,
            address >= UInt(chunk.it.first), address < usedEnd(of: chunk)
        else { return .notInRegion }
        guard size <= usedEnd(of: chunk) &- address else { return .invalidArgument }
        if chunk.it.is_large != 0, address == UInt(chunk.it.first) {
            guard parent.fits(UInt(chunk.it.used_end &- chunk.it.first)) else { return .limitReached }
            unlinkLarge(chunk)
            parent.linkLarge(chunk)
            unsafe promoted = object
            return .done
        }
        guard let target = unsafe parent.allocate(byteCount: byteCount, alignment: alignment) else { return parent.lastRefusal }
        if let copy = unsafe copy {
            unsafe copy(context, object, target, byteCount)
        } else {
            RegionMemory.copy(from: address, to: UInt(bitPattern: target), byteCount: size)
        }
        unsafe promoted = target
        return .done
    }

    /// Where the bytes in use of a chunk of this region end.
    func usedEnd(of chunk: Ref<cistern_region_chunk>) -> UInt {
        UInt(record.it.chunk) == chunk.number ? currentHead(of: chunk) : UInt(chunk.it.used_end)
    }

    /// Exchanges the contents of two regions: chunks, large objects, cleanup actions. Each keeps its place in the tree, its
    /// children and its limit. For a collector: it copies what lives into a second region, exchanges, and closes that one, which
    /// then holds the old contents, cleanup actions among them.
    ///
    /// - Returns: `.done`; otherwise nothing has changed: `.notExchangeable` for regions of two heaps or one and the same,
    ///   `.limitReached` when a limit does not hold the other's contents, `.closed`, `.busy`. Marks of both are stale afterwards.
    /// - Complexity: linear in the chunks and large objects of both.
    public func exchangeContents(with other: BoundedRegion) -> RegionStatus {
        var status = closability()
        if status == .done { status = other.closability() }
        guard status == .done else { return status }
        guard self != other, record.it.heap == other.record.it.heap else { return .notExchangeable }
        let mine = usedBytes
        let others = other.usedBytes
        guard record.it.limit_bytes == 0 || others <= record.it.limit_bytes,
            other.record.it.limit_bytes == 0 || mine <= other.record.it.limit_bytes
        else { return .limitReached }
        closeFastPath()
        other.closeFastPath()
        let kept = record.it
        takeContents(of: other.record.it)
        other.takeContents(of: kept)
        // Serials of both go on from the larger one, so that what joins is younger than all that is there.
        let serial = max(record.it.serial, other.record.it.serial)
        adoptContents(serial: serial)
        other.adoptContents(serial: serial)
        return .done
    }

    private func takeContents(of from: cistern_region) {
        record.it.chunk = from.chunk
        record.it.large = from.large
        record.it.cleanups = from.cleanups
        record.it.settled_bytes = from.settled_bytes
        record.it.run_bytes = from.run_bytes
        record.it.run_high_water_bytes = max(record.it.run_high_water_bytes, from.run_bytes)
        record.it.chunk_count = from.chunk_count
        record.it.large_count = from.large_count
    }

    private func adoptContents(serial: UInt64) {
        adopt(record.it.chunk)
        adopt(record.it.large)
        record.it.serial = serial
        record.it.marks = 0
        refreshEnd()
    }

    private func adopt(_ list: uintptr_t) {
        var next = Ref<cistern_region_chunk>.optional(list)
        while let chunk = next {
            chunk.it.region = uintptr_t(record.number)
            next = .optional(chunk.it.older)
        }
    }
}
