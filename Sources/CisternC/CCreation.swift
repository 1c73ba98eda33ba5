import CCistern
import HeapCore
import Limits
import VirtualMemory

// Safety: `options`, `heap` and `refusal` are the caller's, valid for the call, as cistern.h says.

/// `cistern_heap_create`; cistern.h says what it does and what can fail.
@c(cistern_heap_create)
public func cisternHeapCreate(
    _ options: UnsafePointer<cistern_heap_options>?, _ heap: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    unsafe create(options, heap, nil)
}

/// `cistern_heap_create_explained`; cistern.h says what it does and what can fail.
@c(cistern_heap_create_explained)
public func cisternHeapCreateExplained(
    _ options: UnsafePointer<cistern_heap_options>?, _ heap: UnsafeMutablePointer<OpaquePointer?>?,
    _ refusal: UnsafeMutablePointer<cistern_refusal>?
) -> UInt32 {
    guard unsafe isSized(refusal) else {
        unsafe heap?.pointee = nil
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    var none = cistern_refusal()
    unsafe give(&none, to: refusal)
    return unsafe create(options, heap, refusal)
}

private func create(
    _ options: UnsafePointer<cistern_heap_options>?, _ heap: UnsafeMutablePointer<OpaquePointer?>?,
    _ refusal: UnsafeMutablePointer<cistern_refusal>?
) -> UInt32 {
    guard let heap = unsafe heap else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe heap.pointee = nil
    var given = cistern_heap_options()
    guard unsafe take(options, into: &given), var chosen = heapOptions(given) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    var firstRefusal = unsafe refusal
    while true {
        do throws(HeapCreationError) {
            let made = try BoundedHeap.create(chosen)
            unsafe heap.pointee = made.handle
            return CISTERN_OK.rawValue
        } catch {
            let status = unsafe explain(error, firstRefusal)
            unsafe firstRefusal = nil
            guard given.may_shrink, status == CISTERN_RESERVATION_REFUSED || status == CISTERN_COMMIT_REFUSED,
                let less = Capacity.shrunk(chosen.capacityBytes)
            else { return status.rawValue }
            chosen.capacityBytes = less
        }
    }
}

/// nil: a value is not among those that cistern.h lists.
private func heapOptions(_ options: cistern_heap_options) -> HeapOptions? {
    let reserved = options.reserved
    let alignment = options.minimum_alignment == 0 ? .eight : BlockAlignment(rawValue: UInt64(options.minimum_alignment))
    guard let alignment, reserved.0 | reserved.1 | reserved.2 | reserved.3 | reserved.4 | reserved.5 | reserved.6 == 0 else { return nil }
    var chosen = HeapOptions(capacityBytes: options.capacity_bytes)
    chosen.softLimitBytes = options.soft_limit_bytes
    chosen.blockAlignment = alignment
    chosen.isForOneThread = options.single_thread
    chosen.isChecked = options.checked
    chosen.usesHugePages = !options.no_huge_pages
    chosen.isInheritedByFork = !options.not_inherited
    return chosen
}

/// The status of an error; writes a refusal down.
private func explain(_ error: HeapCreationError, _ refusal: UnsafeMutablePointer<cistern_refusal>?) -> cistern_status {
    switch error {
    case .capacityTooSmall: return CISTERN_CAPACITY_TOO_SMALL
    case .capacityTooLarge: return CISTERN_CAPACITY_TOO_LARGE
    case .tooManyHeaps: return CISTERN_TOO_MANY_HEAPS
    case .reservation(let error):
        unsafe give(error, to: refusal)
        return CISTERN_RESERVATION_REFUSED
    case .commitment(let error):
        unsafe give(error, to: refusal)
        return CISTERN_COMMIT_REFUSED
    }
}

/// Writes an error into the caller's struct, if there is one.
func give(_ error: ReservationError, to refusal: UnsafeMutablePointer<cistern_refusal>?) {
    var result = cistern_refusal()
    result.byte_count = error.byteCount
    result.code = error.code
    result.operation = error.operation.rawValue
    result.limit = error.limit.kind.rawValue
    result.limit_bytes = error.limit.valueBytes
    result.used_bytes = error.limit.usedBytes
    unsafe give(&result, to: refusal)
}
