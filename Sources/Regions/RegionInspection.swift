import CHeap
@_spi(Regions) import HeapCore

// Safety: what is looked at are headers of chunks that the page map or a region's own list names.

/// What a region holds, in bytes unless the name says otherwise.
public struct RegionStatistics: Sendable, Equatable {
    /// Allocated: bytes that were asked for, rounded up to 8, alignment, marks and cleanup actions included.
    public var usedBytes: UInt64 = 0
    /// Taken from the heap, in whole pages.
    public var runBytes: UInt64 = 0
    /// The highest that `runBytes` ever was.
    public var runHighWaterBytes: UInt64 = 0
    /// The limit; 0: none.
    public var limitBytes: UInt64 = 0
    /// Chunks, large objects not among them.
    public var chunkCount: Int = 0
    /// Large objects, promoted ones from regions inside it among them.
    public var largeObjectCount: Int = 0
    /// Cleanup actions.
    public var cleanupCount: Int = 0
    /// Open regions directly inside it.
    public var childCount: Int = 0

    /// All zero.
    public init() {}
}

/// One run of a region, as a collector meets it.
///
/// Safety: the bytes are the region's; they are handed on, not read.
@safe
public struct RegionChunk {
    /// Objects lie from here on, in the order in which they were allocated.
    public var bytes: UnsafeRawBufferPointer
    /// One large object, which begins where the bytes begin.
    public var isLargeObject: Bool

    /// A run that `chunk(after:)` gave, from its parts: for C.
    public init(bytes: UnsafeRawBufferPointer, isLargeObject: Bool) {
        unsafe self.bytes = bytes
        self.isLargeObject = isLargeObject
    }
}

extension BoundedHeap {
    /// The region whose bytes hold an address; nil for every other address, in this heap or not.
    ///
    /// - Complexity: constant, a few loads, no lock. The answer means something while that region is not being closed, and its
    ///   thread is not allocating from it: beside a thread that does, it is some region of this heap, or nil. Beside one that trims
    ///   the heap, it must not be asked about a region that is being closed.
    public func region(owning address: UnsafeRawPointer) -> BoundedRegion? {
        let number = UInt(bitPattern: address)
        // The chunk's first word may be a program's by now: it is a record's address only where there is a record.
        guard let chunk = regionChunk(holding: number), let record = regionRecord(at: UInt(chunk.it.region)),
            number >= UInt(chunk.it.first), number < BoundedRegion(record: record).usedEnd(of: chunk)
        else { return nil }
        return BoundedRegion(record: record)
    }

    /// Compares all regions with each other and with their chunks, after the heap itself. No other call may be in progress.
    ///
    /// - Returns: the first rule that does not hold; nil when all do.
    /// - Complexity: proportional to the heap's extent.
    public func verifyRegions() -> HeapInconsistency? {
        if let fault = verify() { return fault }
        var found: HeapInconsistency?
        visitRegionRecords { record in
            let region = BoundedRegion(record: record)
            if !(region.isOpen ? region.isConsistent : region.isEmpty) {
                found = HeapInconsistency(
                    rule: .regionRecord, offsetBytes: UInt64(record.number &- UInt(bitPattern: unsafe headerPointer)))
            }
            return found == nil
        }
        return found
    }
}

extension BoundedRegion {
    /// Is the address inside this region's bytes? Constant, no lock.
    public func contains(_ address: UnsafeRawPointer) -> Bool { unsafe heap.region(owning: address) == self }

    /// Counts what the region holds; all zero for a closed one.
    ///
    /// - Complexity: linear in cleanup actions and children.
    public var statistics: RegionStatistics {
        var result = RegionStatistics()
        guard isOpen else { return result }
        result.usedBytes = usedBytes
        result.runBytes = record.it.run_bytes
        result.runHighWaterBytes = record.it.run_high_water_bytes
        result.limitBytes = record.it.limit_bytes
        result.chunkCount = Int(record.it.chunk_count)
        result.largeObjectCount = Int(record.it.large_count)
        var cleanup = Ref<cistern_region_cleanup_record>.optional(record.it.cleanups)
        while let next = cleanup {
            result.cleanupCount += 1
            cleanup = .optional(next.it.older)
        }
        var child = Ref<cistern_region>.optional(record.it.first_child)
        while let next = child {
            result.childCount += 1
            child = .optional(next.it.next)
        }
        return result
    }

    /// Calls `body` with every chunk, youngest first, then with every large object, youngest first. `body` must not allocate in
    /// this region.
    ///
    /// - Complexity: linear in both.
    public func visitChunks(_ body: (RegionChunk) -> Void) {
        guard isOpen else { return }
        visit(record.it.chunk, body)
        visit(record.it.large, body)
    }

    private func visit(_ list: uintptr_t, _ body: (RegionChunk) -> Void) {
        var next = Ref<cistern_region_chunk>.optional(list)
        while let chunk = next {
            next = .optional(chunk.it.older)
            body(description(of: chunk))
        }
    }

    private func description(of chunk: Ref<cistern_region_chunk>) -> RegionChunk {
        let first = UInt(chunk.it.first)
        let bytes = unsafe UnsafeRawBufferPointer(
            start: UnsafeRawPointer(bitPattern: first), count: Int(bitPattern: usedEnd(of: chunk) &- first))
        return unsafe RegionChunk(bytes: bytes, isLargeObject: chunk.it.is_large != 0)
    }

    /// One chunk after the other, for callers without closures: the first for nil, then the one after; nil at the end.
    ///
    /// - Parameter chunk: the last answer, of a region in which nothing was allocated or freed since.
    /// - Complexity: constant.
    public func chunk(after chunk: RegionChunk?) -> RegionChunk? {
        guard isOpen else { return nil }
        var next = record.it.chunk != 0 ? record.it.chunk : record.it.large
        if let chunk, let last = heap.regionChunk(holding: UInt(bitPattern: unsafe chunk.bytes.baseAddress)) {
            next = last.it.older == 0 && last.it.is_large == 0 ? record.it.large : last.it.older
        }
        guard let found = Ref<cistern_region_chunk>.optional(next) else { return nil }
        return description(of: found)
    }

    // MARK: Verification

    var isEmpty: Bool {
        let it = record.it
        return it.head | it.end | it.chunk | it.large | it.cleanups | it.marks | it.first_child == 0
            && it.settled_bytes | it.run_bytes == 0 && it.flags & UInt64(CISTERN_REGION_BUSY) == 0
    }

    /// Do the counters agree with the chunks, and the chunks with the region?
    var isConsistent: Bool {
        var used: UInt64 = 0
        var run: UInt64 = 0
        let chunks = tally(record.it.chunk, isLarge: 0, &used, &run)
        let large = tally(record.it.large, isLarge: 1, &used, &run)
        var child = Ref<cistern_region>.optional(record.it.first_child)
        var previous: uintptr_t = 0
        while let next = child {
            guard next.it.parent == uintptr_t(record.number), next.it.previous == previous,
                next.it.flags & UInt64(CISTERN_REGION_OPEN) != 0, next.it.birth <= record.it.serial
            else { return false }
            previous = uintptr_t(next.number)
            child = .optional(next.it.next)
        }
        guard chunks == record.it.chunk_count, large == record.it.large_count, run == record.it.run_bytes, used == usedBytes else {
            return false
        }
        guard let chunk else { return record.it.head | record.it.end == 0 }
        return record.it.head == 0
            ? record.it.end == 0
            : record.it.head >= chunk.it.first && record.it.head <= record.it.end && record.it.end <= chunk.it.end
                && record.it.end & 15 == 0 && record.it.head & 7 == 0
    }

    /// Counts a list, whose serials fall; nil where a chunk is not this region's.
    private func tally(_ list: uintptr_t, isLarge: UInt64, _ used: inout UInt64, _ run: inout UInt64) -> UInt32? {
        var count: UInt32 = 0
        var newer: uintptr_t = 0
        var serial = UInt64.max
        var next = Ref<cistern_region_chunk>.optional(list)
        while let chunk = next {
            let end = usedEnd(of: chunk)
            guard chunk.it.region == uintptr_t(record.number), chunk.it.is_large == isLarge, chunk.it.newer == newer,
                chunk.it.serial < serial, chunk.it.serial <= record.it.serial, UInt(chunk.it.first) <= end, end <= UInt(chunk.it.end)
            else { return nil }
            used += UInt64(end &- UInt(chunk.it.first))
            run += runBytes(of: chunk)
            newer = uintptr_t(chunk.number)
            serial = chunk.it.serial
            count += 1
            next = .optional(chunk.it.older)
        }
        return count
    }
}
