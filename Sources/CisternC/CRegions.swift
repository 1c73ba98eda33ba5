import CCistern
import CHeap
import HeapCore
import Regions

// The functions of cistern_region.h that allocate and give back. A handle is the address of the region's record.
//
// Safety: every handle and address comes from the caller, who keeps the contract of cistern_region.h; records stand as long as
// their heap, so that handles of closed regions can be looked at.

extension BoundedRegion {
    @inline(__always)
    init(_ handle: OpaquePointer) {
        unsafe self.init(recordPointer: UnsafeMutablePointer<CHeap.cistern_region>(handle))
    }

    var handle: OpaquePointer { unsafe OpaquePointer(recordPointer) }
}

/// The status of cistern.h that a status of the core is.
func code(_ status: RegionStatus) -> UInt32 {
    switch status {
    case .done: CISTERN_OK.rawValue
    case .exhausted: CISTERN_EXHAUSTED.rawValue
    case .limitReached: CISTERN_LIMIT_REACHED.rawValue
    case .closed: CISTERN_REGION_CLOSED.rawValue
    case .busy: CISTERN_REGION_BUSY.rawValue
    case .noParent: CISTERN_NO_PARENT.rawValue
    case .notInRegion: CISTERN_NOT_IN_REGION.rawValue
    case .staleMark: CISTERN_STALE_MARK.rawValue
    case .notExchangeable: CISTERN_NOT_EXCHANGEABLE.rawValue
    case .invalidArgument: CISTERN_INVALID_ARGUMENT.rawValue
    }
}

/// `cistern_region_destroy`; cistern_region.h says what it does and what can fail.
@c(cistern_region_destroy)
public func cisternRegionDestroy(_ handle: OpaquePointer?) -> UInt32 {
    guard let region = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    return unsafe code(RegionStack.close(BoundedRegion(region)))
}

/// `cistern_region_allocate`; cistern_region.h says what it does and what can fail.
@c(cistern_region_allocate)
public func cisternRegionAllocate(_ handle: OpaquePointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard let region = unsafe handle else { return nil }
    return unsafe BoundedRegion(region).allocate(byteCount: byteCount)
}

/// `cistern_region_allocate_zeroed`; cistern_region.h says what it does and what can fail.
@c(cistern_region_allocate_zeroed)
public func cisternRegionAllocateZeroed(_ handle: OpaquePointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard let region = unsafe handle else { return nil }
    return unsafe BoundedRegion(region).allocateZeroed(byteCount: byteCount)
}

/// `cistern_region_allocate_aligned`; cistern_region.h says what it does and what can fail.
@c(cistern_region_allocate_aligned)
public func cisternRegionAllocateAligned(_ handle: OpaquePointer?, _ byteCount: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
    guard let region = unsafe handle else { return nil }
    return unsafe BoundedRegion(region).allocate(byteCount: byteCount, alignment: alignment)
}

/// `cistern_region_last_refusal`; cistern_region.h says what it does and what can fail.
@c(cistern_region_last_refusal)
public func cisternRegionLastRefusal(_ handle: OpaquePointer?) -> UInt32 {
    guard let region = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    return unsafe code(BoundedRegion(region).lastRefusal)
}

/// `cistern_region_set_limit`; cistern_region.h says what it does and what can fail.
@c(cistern_region_set_limit)
public func cisternRegionSetLimit(_ handle: OpaquePointer?, _ byteCount: UInt64) -> UInt32 {
    guard let region = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    return unsafe code(BoundedRegion(region).setLimit(bytes: byteCount))
}

/// `cistern_region_mark`; cistern_region.h says what it does and what can fail.
@c(cistern_region_mark)
public func cisternRegionMark(_ handle: OpaquePointer?, _ place: UnsafeMutablePointer<cistern_region_place>?) -> UInt32 {
    guard let region = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let place = unsafe place else { return CISTERN_INVALID_ARGUMENT.rawValue }
    var mark = RegionMark()
    let status = unsafe BoundedRegion(region).mark(&mark)
    if status == .done { unsafe place.pointee.words = mark.words }
    return code(status)
}

/// `cistern_region_release`; cistern_region.h says what it does and what can fail.
@c(cistern_region_release)
public func cisternRegionRelease(_ handle: OpaquePointer?, _ place: UnsafePointer<cistern_region_place>?) -> UInt32 {
    guard let region = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let place = unsafe place else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let mark = unsafe RegionMark(words: place.pointee.words)
    let target = unsafe BoundedRegion(region)
    return code(RegionStack.emptying(target) { target.release(to: mark) })
}

/// `cistern_region_reset`; cistern_region.h says what it does and what can fail.
@c(cistern_region_reset)
public func cisternRegionReset(_ handle: OpaquePointer?) -> UInt32 {
    guard let region = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    let target = unsafe BoundedRegion(region)
    return code(RegionStack.emptying(target) { target.reset() })
}

/// `cistern_region_add_cleanup`; cistern_region.h says what it does and what can fail.
@c(cistern_region_add_cleanup)
public func cisternRegionAddCleanup(_ handle: OpaquePointer?, _ cleanup: cistern_region_cleanup?, _ context: UInt) -> UInt32 {
    guard let region = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let cleanup else { return CISTERN_INVALID_ARGUMENT.rawValue }
    return unsafe code(BoundedRegion(region).addCleanup(cleanup, context: context))
}

/// `cistern_region_promote`; cistern_region.h says what it does and what can fail.
@c(cistern_region_promote)
public func cisternRegionPromote(
    _ handle: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ byteCount: Int, _ alignment: Int, _ copy: cistern_region_copy?,
    _ context: UInt, _ promoted: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> UInt32 {
    guard let region = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let object = unsafe object, let promoted = unsafe promoted else { return CISTERN_INVALID_ARGUMENT.rawValue }
    return unsafe code(
        BoundedRegion(region).promote(
            object, byteCount: byteCount, alignment: alignment, copy: copy, context: context, to: &promoted.pointee))
}

/// `cistern_region_exchange`; cistern_region.h says what it does and what can fail.
@c(cistern_region_exchange)
public func cisternRegionExchange(_ handle: OpaquePointer?, _ otherHandle: OpaquePointer?) -> UInt32 {
    guard let region = unsafe handle, let other = unsafe otherHandle else { return CISTERN_INVALID_HANDLE.rawValue }
    return unsafe code(BoundedRegion(region).exchangeContents(with: BoundedRegion(other)))
}
