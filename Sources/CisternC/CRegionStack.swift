import CCistern
import CHeap
import HeapCore
import Regions

// The functions of cistern_region.h that open regions, and the stack of them that each thread has.
//
// Safety: handles are the caller's, as cistern_region.h says. What the stack names is looked at only when it is of a heap that the
// caller has just named, or below a region that the caller has: then that heap is alive, and so is the record.

/// Reads options, which may be NULL. nil: they state a size or a wish that cannot be.
private func regionOptions(_ given: UnsafePointer<cistern_region_options>?) -> RegionOptions? {
    guard let given = unsafe given else { return RegionOptions() }
    var copy = cistern_region_options()
    guard unsafe take(given, into: &copy) else { return nil }
    return RegionOptions(limitBytes: copy.limit_bytes)
}

/// `cistern_region_create`; cistern_region.h says what it does and what can fail.
@c(cistern_region_create)
public func cisternRegionCreate(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_region_options>?, _ region: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    guard let region = unsafe region else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe region.pointee = nil
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let options = unsafe regionOptions(options) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    guard let opened = heap.openRegion(options) else { return CISTERN_EXHAUSTED.rawValue }
    unsafe region.pointee = opened.handle
    return CISTERN_OK.rawValue
}

/// `cistern_region_create_child`; cistern_region.h says what it does and what can fail.
@c(cistern_region_create_child)
public func cisternRegionCreateChild(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_region_options>?, _ region: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    guard let region = unsafe region else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe region.pointee = nil
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let options = unsafe regionOptions(options) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let parent = unsafe BoundedRegion(handle)
    guard let opened = parent.openChild(options) else { return code(parent.lastRefusal) }
    unsafe region.pointee = opened.handle
    return CISTERN_OK.rawValue
}

/// `cistern_region_push`; cistern_region.h says what it does and what can fail.
@c(cistern_region_push)
public func cisternRegionPush(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_region_options>?, _ region: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    guard let region = unsafe region else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe region.pointee = nil
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let options = unsafe regionOptions(options) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let heap = unsafe BoundedHeap(handle)
    let incarnation = unsafe heap.headerPointer.pointee.incarnation
    let stack = unsafe cistern_thread_region_stack()
    var opened: BoundedRegion?
    if let top = unsafe OpaquePointer(bitPattern: stack.pointee.top), unsafe stack.pointee.incarnation == incarnation,
        unsafe BoundedRegion(top).isOpen
    {
        let parent = unsafe BoundedRegion(top)
        opened = parent.openChild(options)
        if opened == nil { return code(parent.lastRefusal) }
    } else {
        opened = heap.openRegion(options)
    }
    guard let opened else { return CISTERN_EXHAUSTED.rawValue }
    unsafe opened.recordPointer.pointee.below = stack.pointee.top
    unsafe opened.recordPointer.pointee.below_incarnation = stack.pointee.incarnation
    unsafe stack.pointee.top = UInt(bitPattern: opened.handle)
    unsafe stack.pointee.incarnation = incarnation
    unsafe region.pointee = opened.handle
    return CISTERN_OK.rawValue
}

/// `cistern_region_pop`; cistern_region.h says what it does and what can fail.
@c(cistern_region_pop)
public func cisternRegionPop(_ handle: OpaquePointer?) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    let region = unsafe BoundedRegion(handle)
    guard region.isOpen else { return code(region.close()) }
    let incarnation = unsafe region.heap.headerPointer.pointee.incarnation
    let stack = unsafe cistern_thread_region_stack()
    // Those above it are of the same heap, which is alive.
    var top = unsafe stack.pointee
    while let above = unsafe OpaquePointer(bitPattern: top.top), unsafe above != handle, top.incarnation == incarnation {
        let record = unsafe BoundedRegion(above).recordPointer
        top = unsafe cistern_region_stack(top: record.pointee.below, incarnation: record.pointee.below_incarnation)
    }
    guard unsafe OpaquePointer(bitPattern: top.top) == handle else { return CISTERN_REGION_NOT_CURRENT.rawValue }
    let below = unsafe cistern_region_stack(
        top: region.recordPointer.pointee.below, incarnation: region.recordPointer.pointee.below_incarnation)
    let status = region.close()
    if status == .done { unsafe stack.pointee = below }
    return code(status)
}

/// `cistern_region_current`; cistern_region.h says what it does and what can fail.
@c(cistern_region_current)
public func cisternRegionCurrent() -> OpaquePointer? {
    unsafe OpaquePointer(bitPattern: cistern_thread_region_stack().pointee.top)
}
