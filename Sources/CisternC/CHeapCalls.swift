import CCistern
import HeapCore
import Regions

// The functions of cistern.h that work on a whole heap. All of them find handles of heaps that are gone.
//
// Safety: out-parameters are the caller's, valid for the call, as cistern.h says; a struct is written within the size it states.

/// `cistern_heap_destroy`; cistern.h says what it does and what can fail.
@c(cistern_heap_destroy)
public func cisternHeapDestroy(_ handle: OpaquePointer?) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    // A refusal leaves the address space mapped; the heap is gone all the same.
    _ = heap.destroy()
    return CISTERN_OK.rawValue
}

/// `cistern_set_misuse_report`; cistern.h says what it does and what can fail.
@c(cistern_set_misuse_report)
public func cisternSetMisuseReport(
    _ handle: OpaquePointer?, _ report: cistern_misuse_report?, _ context: UnsafeMutableRawPointer?
) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    // Pointers and numbers of their size are passed alike, and the enumeration is a 32-bit number.
    heap.setReport(unsafe unsafeBitCast(report, to: HeapReport?.self), context: UInt(bitPattern: context))
    return CISTERN_OK.rawValue
}

/// `cistern_trim`; cistern.h says what it does and what can fail.
@c(cistern_trim)
public func cisternTrim(_ handle: OpaquePointer?) -> Int {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return 0 }
    return Int(truncatingIfNeeded: heap.trim())
}

/// `cistern_trim_at_safe_point`; cistern.h says what it does and what can fail.
@c(cistern_trim_at_safe_point)
public func cisternTrimAtSafePoint(_ handle: OpaquePointer?) -> Int {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return 0 }
    return Int(truncatingIfNeeded: heap.trimAtSafePoint())
}

/// `cistern_discard`; cistern.h says what it does and what can fail.
@c(cistern_discard)
public func cisternDiscard(_ handle: OpaquePointer?, _ byteCount: UnsafeMutablePointer<Int>?) -> UInt32 {
    unsafe byteCount?.pointee = 0
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    do throws(DiscardError) {
        let given = try heap.discard()
        unsafe byteCount?.pointee = Int(truncatingIfNeeded: given)
        return CISTERN_OK.rawValue
    } catch {
        switch error {
        case .regionsOpen: return CISTERN_REGIONS_OPEN.rawValue
        case .directoriesOpen: return CISTERN_DIRECTORIES_OPEN.rawValue
        }
    }
}

/// `cistern_maintain`; cistern.h says what it does and what can fail.
@c(cistern_maintain)
public func cisternMaintain(_ handle: OpaquePointer?) -> Int {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return 0 }
    return Int(truncatingIfNeeded: heap.maintain())
}

/// `cistern_set_soft_limit`; cistern.h says what it does and what can fail.
@c(cistern_set_soft_limit)
public func cisternSetSoftLimit(_ handle: OpaquePointer?, _ byteCount: UInt64) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    heap.setSoftLimit(bytes: byteCount)
    return CISTERN_OK.rawValue
}

/// `cistern_last_refusal_code`; cistern.h says what it does and what can fail.
@c(cistern_last_refusal_code)
public func cisternLastRefusalCode(_ handle: OpaquePointer?) -> Int32 {
    unsafe BoundedHeap.alive(handle)?.lastRefusalCode ?? 0
}

/// `cistern_verify`; cistern.h says what it does and what can fail.
@c(cistern_verify)
public func cisternVerify(_ handle: OpaquePointer?) -> Bool {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return false }
    return heap.verifyRegions() == nil
}

/// `cistern_verify_explained`; cistern.h says what it does and what can fail.
@c(cistern_verify_explained)
public func cisternVerifyExplained(_ handle: OpaquePointer?, _ found: UnsafeMutablePointer<cistern_inconsistency>?) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe isSized(found) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let inconsistency = heap.verifyRegions()
    var result = cistern_inconsistency()
    result.rule = inconsistency?.rule.rawValue ?? 0
    result.offset_bytes = inconsistency?.offsetBytes ?? 0
    unsafe give(&result, to: found)
    return inconsistency == nil ? CISTERN_OK.rawValue : CISTERN_INCONSISTENT.rawValue
}

/// `cistern_visit_live_blocks`; cistern.h says what it does and what can fail.
@c(cistern_visit_live_blocks)
public func cisternVisitLiveBlocks(_ handle: OpaquePointer?, _ visitor: cistern_visitor?, _ context: UnsafeMutableRawPointer?) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let visitor = unsafe visitor else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe heap.visitLiveBlocks { block, byteCount in unsafe visitor(context, block, byteCount) }
    return CISTERN_OK.rawValue
}

/// `cistern_size_class_count`; cistern.h says what it does and what can fail.
@c(cistern_size_class_count)
public func cisternSizeClassCount() -> UInt32 { UInt32(BoundedHeap.sizeClassCount) }

/// `cistern_read_size_class`; cistern.h says what it does and what can fail.
@c(cistern_read_size_class)
public func cisternReadSizeClass(
    _ handle: OpaquePointer?, _ index: UInt32, _ statistics: UnsafeMutablePointer<cistern_size_class_statistics>?
) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe isSized(statistics), index < cisternSizeClassCount() else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let read = heap.sizeClassStatistics(Int(index))
    var result = cistern_size_class_statistics()
    result.block_bytes = UInt64(read.blockBytes)
    result.span_count = UInt64(read.spanCount)
    result.span_bytes = read.spanBytes
    result.used_block_count = read.usedBlockCount
    unsafe give(&result, to: statistics)
    return CISTERN_OK.rawValue
}

/// `cistern_read_statistics`; cistern.h says what it does and what can fail.
@c(cistern_read_statistics)
public func cisternReadStatistics(_ handle: OpaquePointer?, _ statistics: UnsafeMutablePointer<cistern_heap_statistics>?) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe isSized(statistics) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let read = heap.statistics()
    var result = cistern_heap_statistics()
    result.capacity_bytes = read.capacityBytes
    result.committed_bytes = read.committedBytes
    result.committed_high_water_bytes = read.committedHighWaterBytes
    result.extent_bytes = read.extentBytes
    result.extent_high_water_bytes = read.extentHighWaterBytes
    result.used_bytes = read.usedBytes
    result.used_high_water_bytes = read.usedHighWaterBytes
    result.touched_bytes = read.touchedBytes
    result.touched_high_water_bytes = read.touchedHighWaterBytes
    result.metadata_bytes = read.metadataBytes
    result.span_bytes = read.spanBytes
    result.live_block_count = read.liveBlockCount
    result.live_block_bytes = read.liveBlockBytes
    result.cached_block_count = read.cachedBlockCount
    result.cached_bytes = read.cachedBytes
    result.requested_bytes = read.requestedBytes
    result.free_run_count = read.freeRunCount
    result.given_back_bytes = read.givenBackBytes
    result.slow_allocation_count = read.slowAllocationCount
    result.slow_deallocation_count = read.slowDeallocationCount
    result.region_bytes = read.regionBytes
    unsafe give(&result, to: statistics)
    return CISTERN_OK.rawValue
}
