import CCistern
import CHeap
import HeapCore
import Regions

// The functions of cistern_region.h that look.
//
// Safety: handles and structs are the caller's, as cistern_region.h says.

/// `cistern_region_owner`; cistern_region.h says what it does and what can fail.
@c(cistern_region_owner)
public func cisternRegionOwner(_ handle: OpaquePointer?, _ address: UnsafeRawPointer?) -> OpaquePointer? {
    guard let heap = unsafe handle, let address = unsafe address else { return nil }
    return unsafe BoundedHeap(heap).region(owning: address)?.handle
}

/// `cistern_region_contains`; cistern_region.h says what it does and what can fail.
@c(cistern_region_contains)
public func cisternRegionContains(_ handle: OpaquePointer?, _ address: UnsafeRawPointer?) -> Bool {
    guard let region = unsafe handle, let address = unsafe address else { return false }
    return unsafe BoundedRegion(region).contains(address)
}

/// `cistern_region_next_extent`; cistern_region.h says what it does and what can fail.
@c(cistern_region_next_extent)
public func cisternRegionNextExtent(_ handle: OpaquePointer?, _ extent: UnsafeMutablePointer<cistern_region_extent>?) -> Bool {
    guard let region = unsafe handle, let extent = unsafe extent else { return false }
    var last: RegionChunk?
    if let start = unsafe extent.pointee.start {
        unsafe last = RegionChunk(
            bytes: UnsafeRawBufferPointer(start: start, count: extent.pointee.byte_count), isLargeObject: extent.pointee.is_large_object)
    }
    guard let chunk = unsafe BoundedRegion(region).chunk(after: last) else { return false }
    unsafe extent.pointee = cistern_region_extent(
        start: UnsafeMutableRawPointer(mutating: chunk.bytes.baseAddress), byte_count: chunk.bytes.count,
        is_large_object: chunk.isLargeObject)
    return true
}

/// `cistern_region_read_statistics`; cistern_region.h says what it does and what can fail.
@c(cistern_region_read_statistics)
public func cisternRegionReadStatistics(
    _ handle: OpaquePointer?, _ statistics: UnsafeMutablePointer<cistern_region_statistics>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe isSized(statistics) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let region = unsafe BoundedRegion(handle)
    guard region.isOpen else { return CISTERN_REGION_CLOSED.rawValue }
    let read = region.statistics
    var result = cistern_region_statistics()
    result.used_bytes = read.usedBytes
    result.run_bytes = read.runBytes
    result.run_high_water_bytes = read.runHighWaterBytes
    result.limit_bytes = read.limitBytes
    result.chunk_count = UInt64(read.chunkCount)
    result.large_object_count = UInt64(read.largeObjectCount)
    result.cleanup_count = UInt64(read.cleanupCount)
    result.child_count = UInt64(read.childCount)
    unsafe give(&result, to: statistics)
    return CISTERN_OK.rawValue
}
