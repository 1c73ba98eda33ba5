import CCistern
import CisternC
import Testing

// The calls of cistern_region.h by the names that they have in Swift: where another module says what a handle points to, the
// importer takes it for a pointer of that type.
//
// Safety: handles and objects are used as cistern_region.h allows; structs are locals.

@Suite struct CRegionTests {
    private func makeHeap() -> OpaquePointer? {
        var options = cistern_heap_options()
        options.struct_byte_count = MemoryLayout<cistern_heap_options>.size
        options.capacity_bytes = 16 << 20
        var heap: OpaquePointer?
        return unsafe cisternHeapCreate(&options, &heap) == CISTERN_OK.rawValue ? heap : nil
    }

    @Test func theStackOfAThread() throws {
        let heap = try unsafe #require(unsafe makeHeap())
        #expect(unsafe cisternRegionCurrent() == nil)
        var regions: [OpaquePointer?] = unsafe [nil, nil, nil]
        for index in 0..<3 { #expect(unsafe cisternRegionPush(heap, nil, &regions[index]) == CISTERN_OK.rawValue) }
        #expect(unsafe cisternRegionCurrent() == regions[2])
        #expect(unsafe cisternRegionAllocate(regions[2], 100) != nil)
        // An error path leaves two behind: popping the first one closes them.
        #expect(unsafe cisternRegionPop(regions[0]) == CISTERN_OK.rawValue)
        #expect(unsafe cisternRegionCurrent() == nil)
        #expect(unsafe cisternRegionPop(regions[2]) == CISTERN_REGION_CLOSED.rawValue)
        #expect(unsafe cisternRegionAllocate(regions[1], 8) == nil)
        #expect(unsafe cisternRegionLastRefusal(regions[1]) == CISTERN_REGION_CLOSED.rawValue)
        var alone: OpaquePointer?
        #expect(unsafe cisternRegionCreate(heap, nil, &alone) == CISTERN_OK.rawValue)
        #expect(unsafe cisternRegionPop(alone) == CISTERN_REGION_NOT_CURRENT.rawValue)
        // A stack over two heaps, of which the lower one's region is not to be popped first.
        let other = try unsafe #require(unsafe makeHeap())
        #expect(unsafe cisternRegionPush(heap, nil, &regions[0]) == CISTERN_OK.rawValue)
        #expect(unsafe cisternRegionPush(other, nil, &regions[1]) == CISTERN_OK.rawValue)
        #expect(unsafe cisternRegionPop(regions[0]) == CISTERN_REGION_NOT_CURRENT.rawValue)
        #expect(unsafe cisternRegionPop(regions[1]) == CISTERN_OK.rawValue && cisternRegionPop(regions[0]) == CISTERN_OK.rawValue)
        #expect(unsafe cisternVerify(heap) && cisternVerify(other))
        #expect(unsafe cisternHeapDestroy(heap) == CISTERN_OK.rawValue && cisternHeapDestroy(other) == CISTERN_OK.rawValue)
    }

    @Test func everyCall() throws {
        let heap = try unsafe #require(unsafe makeHeap())
        var options = cistern_region_options()
        options.struct_byte_count = MemoryLayout<cistern_region_options>.size
        options.limit_bytes = 60_000
        var parent: OpaquePointer?
        var region: OpaquePointer?
        #expect(unsafe cisternRegionCreate(heap, &options, &parent) == CISTERN_OK.rawValue)
        #expect(unsafe cisternRegionCreateChild(parent, &options, &region) == CISTERN_OK.rawValue)
        var place = cistern_region_place()
        #expect(unsafe cisternRegionMark(region, &place) == CISTERN_OK.rawValue)
        let object = try unsafe #require(unsafe cisternRegionAllocateZeroed(region, 100))
        #expect(unsafe UInt(bitPattern: cisternRegionAllocateAligned(region, 10, 64)) % 64 == 0)
        #expect(unsafe cisternRegionAllocate(region, 70_000) == nil && cisternRegionLastRefusal(region) == CISTERN_LIMIT_REACHED.rawValue)
        #expect(unsafe cisternRegionOwner(heap, object) == region && cisternRegionContains(region, object))
        var promoted: UnsafeMutableRawPointer?
        #expect(unsafe cisternRegionPromote(region, object, 100, 8, nil, 0, &promoted) == CISTERN_OK.rawValue)
        #expect(unsafe cisternRegionOwner(heap, promoted) == parent)
        #expect(unsafe cisternRegionAddCleanup(region, { _ in }, 0) == CISTERN_OK.rawValue)
        var statistics = cistern_region_statistics()
        statistics.struct_byte_count = MemoryLayout<cistern_region_statistics>.size
        #expect(unsafe cisternRegionReadStatistics(region, &statistics) == CISTERN_OK.rawValue)
        #expect(statistics.cleanup_count == 1 && statistics.limit_bytes == 60_000 && statistics.chunk_count == 1)
        var extent = unsafe cistern_region_extent()
        #expect(unsafe cisternRegionNextExtent(region, &extent) && extent.byte_count == Int(statistics.used_bytes))
        #expect(unsafe !cisternRegionNextExtent(region, &extent))
        #expect(unsafe cisternRegionRelease(region, &place) == CISTERN_OK.rawValue)
        #expect(
            unsafe cisternRegionReset(region) == CISTERN_OK.rawValue && cisternRegionRelease(region, &place) == CISTERN_STALE_MARK.rawValue)
        #expect(unsafe cisternRegionExchange(region, parent) == CISTERN_OK.rawValue)
        #expect(unsafe cisternRegionExchange(region, region) == CISTERN_NOT_EXCHANGEABLE.rawValue)
        #expect(unsafe cisternRegionSetLimit(region, 0) == CISTERN_OK.rawValue)
        #expect(
            unsafe cisternRegionDestroy(parent) == CISTERN_OK.rawValue && cisternRegionDestroy(parent) == CISTERN_REGION_CLOSED.rawValue)
        #expect(unsafe cisternRegionDestroy(region) == CISTERN_REGION_CLOSED.rawValue)
        #expect(unsafe cisternVerify(heap))
        #expect(unsafe cisternHeapDestroy(heap) == CISTERN_OK.rawValue)
    }

    @Test func badArguments() throws {
        let heap = try unsafe #require(unsafe makeHeap())
        var region: OpaquePointer?
        #expect(unsafe cisternRegionCreate(nil, nil, &region) == CISTERN_INVALID_HANDLE.rawValue)
        #expect(unsafe cisternRegionCreate(heap, nil, nil) == CISTERN_INVALID_ARGUMENT.rawValue)
        var options = cistern_region_options()
        #expect(unsafe cisternRegionCreate(heap, &options, &region) == CISTERN_INVALID_ARGUMENT.rawValue)
        #expect(unsafe cisternRegionPush(nil, nil, &region) == CISTERN_INVALID_HANDLE.rawValue)
        #expect(unsafe cisternRegionCreateChild(nil, nil, &region) == CISTERN_INVALID_HANDLE.rawValue)
        #expect(
            cisternRegionDestroy(nil) == CISTERN_INVALID_HANDLE.rawValue && cisternRegionPop(nil) == CISTERN_INVALID_HANDLE.rawValue)
        #expect(unsafe cisternRegionAllocate(nil, 8) == nil && cisternRegionAllocateZeroed(nil, 8) == nil)
        #expect(
            cisternRegionReset(nil) == CISTERN_INVALID_HANDLE.rawValue
                && cisternRegionMark(nil, nil) == CISTERN_INVALID_HANDLE.rawValue)
        #expect(unsafe cisternRegionOwner(heap, nil) == nil && !cisternRegionContains(nil, nil))
        #expect(unsafe cisternRegionCreate(heap, nil, &region) == CISTERN_OK.rawValue)
        #expect(unsafe cisternRegionMark(region, nil) == CISTERN_INVALID_ARGUMENT.rawValue)
        #expect(unsafe cisternRegionAddCleanup(region, nil, 0) == CISTERN_INVALID_ARGUMENT.rawValue)
        #expect(unsafe cisternRegionReadStatistics(region, nil) == CISTERN_INVALID_ARGUMENT.rawValue)
        for code in CISTERN_EXHAUSTED.rawValue...CISTERN_NOT_EXCHANGEABLE.rawValue {
            let text = unsafe String(cString: cistern_status_text(cistern_status(rawValue: code)))
            #expect(text != "unknown status")
        }
        #expect(unsafe cisternHeapDestroy(heap) == CISTERN_OK.rawValue)
    }
}
