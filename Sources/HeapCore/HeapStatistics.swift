import CHeap

// Safety: see RawMemory.swift; the header handed to C is this heap's own.

/// What a heap holds, in bytes unless the name says otherwise. Exact when no other thread is in the heap.
public struct HeapStatistics: Sendable, Equatable {
    /// The reservation.
    public var capacityBytes: UInt64 = 0
    /// What the system lets us use now.
    public var committedBytes: UInt64 = 0
    /// The most it ever let us use.
    public var committedHighWaterBytes: UInt64 = 0
    /// Everything in use lies below this distance from the base.
    public var extentBytes: UInt64 = 0
    /// The highest that `extentBytes` ever was.
    public var extentHighWaterBytes: UInt64 = 0
    /// In runs that are taken: spans, blocks with a run of their own, the heap's own runs.
    public var usedBytes: UInt64 = 0
    /// The highest that `usedBytes` ever was.
    public var usedHighWaterBytes: UInt64 = 0
    /// Pages that may be resident, fixed metadata not among them.
    public var touchedBytes: UInt64 = 0
    /// The highest that `touchedBytes` ever was.
    public var touchedHighWaterBytes: UInt64 = 0
    /// Page map, run bits, header, span records, thread caches.
    public var metadataBytes: UInt64 = 0
    /// In block spans, blocks in use or not.
    public var spanBytes: UInt64 = 0
    /// In chunks and large objects of regions, and in pages that threads keep for the next ones.
    public var regionBytes: UInt64 = 0
    /// Live blocks.
    public var liveBlockCount: UInt64 = 0
    /// What the live blocks can hold.
    public var liveBlockBytes: UInt64 = 0
    /// Free blocks in thread caches.
    public var cachedBlockCount: UInt64 = 0
    /// What the free blocks in thread caches could hold.
    public var cachedBytes: UInt64 = 0
    /// What was asked for and not yet returned. Exact where every free says its size, and in checked mode.
    public var requestedBytes: Int64 = 0
    /// Free runs between those in use.
    public var freeRunCount: UInt64 = 0
    /// Given back to the system, in all.
    public var givenBackBytes: UInt64 = 0
    /// Allocations that a thread cache had no block for.
    public var slowAllocationCount: UInt64 = 0
    /// Frees that a thread cache had no room for.
    public var slowDeallocationCount: UInt64 = 0

    /// All zero.
    public init() {}
}

/// One small size class.
public struct SizeClassStatistics: Sendable, Equatable {
    /// Bytes of a block.
    public var blockBytes: Int
    /// Spans of the class.
    public var spanCount: Int
    /// Bytes in those spans.
    public var spanBytes: UInt64
    /// Blocks handed out: live, or in a thread cache.
    public var usedBlockCount: UInt64
}

extension BoundedHeap {
    /// Counts what the heap holds. Takes the heap's locks one after the other; a look at each block in a cache, no walk
    /// over live ones.
    public func statistics() -> HeapStatistics {
        var result = HeapStatistics()
        guard header.it.incarnation != 0 else { return result }
        var spanBlocks: UInt64 = 0
        var spanBlockBytes: UInt64 = 0
        for index in 0..<SizeClass.smallCount {
            let used = sizeClassStatistics(Int(bitPattern: index)).usedBlockCount
            spanBlocks += used
            spanBlockBytes += used * UInt64(SizeClass.blockByteCount(index))
        }
        lockRuns()
        let granuleBytes = UInt64(Layout.granuleByteCount)
        result.capacityBytes = header.it.capacity_bytes
        result.committedBytes = header.it.committed_bytes
        result.committedHighWaterBytes = header.it.committed_high_water_bytes
        result.extentBytes = UInt64(header.it.top_granule) * granuleBytes
        result.extentHighWaterBytes = header.it.top_granule_high_water * granuleBytes
        result.usedBytes = header.it.used_granules * granuleBytes
        result.usedHighWaterBytes = header.it.used_granules_high_water * granuleBytes
        result.touchedBytes = header.it.touched_pages << UInt64(Layout.pageShift)
        result.touchedHighWaterBytes = header.it.touched_pages_high_water << UInt64(Layout.pageShift)
        result.metadataBytes = (header.it.metadata_granules + UInt64(header.it.first_granule)) * granuleBytes
        result.spanBytes = header.it.span_granules * granuleBytes
        result.regionBytes = header.it.region_granules * granuleBytes
        result.freeRunCount = header.it.free_run_count
        result.givenBackBytes = header.it.given_back_bytes
        result.requestedBytes = header.it.direct_requested_bytes
        let runBlocks = header.it.run_block_count
        let otherGranules = header.it.span_granules + header.it.metadata_granules + header.it.region_granules
        let runBytes = (header.it.used_granules - otherGranules) * granuleBytes
        forEachCache { cache in add(cache, to: &result) }
        unlockRuns()
        // The classes were counted before the caches: beside other threads the difference may come out below zero.
        result.liveBlockCount = spanBlocks + runBlocks - min(result.cachedBlockCount, spanBlocks + runBlocks)
        result.liveBlockBytes = spanBlockBytes + runBytes - min(result.cachedBytes, spanBlockBytes + runBytes)
        return result
    }

    private func add(_ cache: Ref<cistern_cache>, to result: inout HeapStatistics) {
        result.requestedBytes += cache.it.requested_byte_count &- cache.it.returned_byte_count
        result.slowAllocationCount += cache.it.allocation_slow_count
        result.slowDeallocationCount += cache.it.deallocation_slow_count
        for index in 0..<SizeClass.binCount {
            let bin = bin(index, of: cache)
            for slot in stride(from: UInt(bin.it.bottom), to: UInt(bin.it.top), by: 8) {
                result.cachedBlockCount += 1
                result.cachedBytes += UInt64(parkedByteCount(Memory.loadWord(slot)))
            }
        }
    }

    /// Bytes of a block in a cache, which may be larger than its bin says. Another thread may just be taking it: then this
    /// is a guess, but nothing outside the heap is looked at.
    private func parkedByteCount(_ block: UInt) -> UInt {
        guard block &- base < UInt(header.it.capacity_bytes) else { return 0 }
        let entry = pageMapEntry(ofPage: (block &- base) >> Layout.pageShift)
        if Layout.isSpan(entry) { return SizeClass.blockByteCount(UInt(span(entry).it.size_class)) }
        let granule = granule(at: block)
        return granule < header.it.top_granule ? UInt(allocatedLength(granule)) << Layout.granuleShift : 0
    }

    /// How many small size classes there are.
    public static var sizeClassCount: Int { Int(bitPattern: SizeClass.smallCount) }

    /// Counts one small size class.
    ///
    /// - Parameter index: 0 to `sizeClassCount` - 1; class i holds blocks of 8 (i + 1) bytes.
    public func sizeClassStatistics(_ index: Int) -> SizeClassStatistics {
        precondition(index >= 0 && index < Self.sizeClassCount, "size class out of range")
        guard header.it.incarnation != 0 else {
            return SizeClassStatistics(blockBytes: 0, spanCount: 0, spanBytes: 0, usedBlockCount: 0)
        }
        let sizeClass = sizeClass(UInt(bitPattern: index))
        lock(sizeClass)
        defer { unlock(sizeClass) }
        return SizeClassStatistics(
            blockBytes: Int(bitPattern: SizeClass.blockByteCount(UInt(bitPattern: index))), spanCount: Int(sizeClass.it.span_count),
            spanBytes: sizeClass.it.span_byte_count, usedBlockCount: sizeClass.it.used_block_count)
    }

    /// Is more in use than the soft limit? Set and cleared on slow paths; reading it is one load.
    public var isAboveSoftLimit: Bool { unsafe cistern_soft_limit_load(header.pointer) != 0 }

    /// Sets or, with 0, clears the soft limit.
    public func setSoftLimit(bytes: UInt64) {
        lockRuns()
        header.it.soft_limit_bytes = bytes
        let isAbove = bytes > 0 && usedByteCount > bytes
        unsafe cistern_soft_limit_store(header.pointer, isAbove ? 1 : 0)
        unlockRuns()
    }

    /// The errno of the last commit that the system refused, 0 after one that it granted: why a heap below its capacity
    /// said no.
    public var lastRefusalCode: Int32 {
        lockRuns()
        defer { unlockRuns() }
        return Int32(bitPattern: header.it.last_refusal)
    }

    /// The first address of the reservation.
    public var baseAddress: UInt { UInt(bitPattern: unsafe headerPointer) }

    /// Bytes of address space reserved.
    public var capacityBytes: UInt64 { header.it.capacity_bytes }

}
