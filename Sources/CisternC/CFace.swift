import CCistern
import CHeap
import HeapCore

// The functions of cistern.h. A handle is the address of the heap's header; it is wrapped and unwrapped here.
//
// Safety: every handle and block comes from the caller, who keeps the contract of cistern.h; this file does no pointer
// arithmetic of its own.

extension BoundedHeap {
    @inline(__always)
    init(_ handle: OpaquePointer) {
        unsafe self.init(headerPointer: UnsafeMutablePointer<CHeap.cistern_heap>(handle))
    }

    var handle: OpaquePointer { unsafe OpaquePointer(headerPointer) }
}

/// `cistern_allocate`; cistern.h says what it does and what can fail.
@c(cistern_allocate)
public func cisternAllocate(_ heap: OpaquePointer, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    unsafe BoundedHeap(heap).allocate(byteCount: byteCount)
}

/// `cistern_deallocate_sized`; cistern.h says what it does and what can fail.
@c(cistern_deallocate_sized)
public func cisternDeallocateSized(_ heap: OpaquePointer, _ block: UnsafeMutableRawPointer?, _ byteCount: Int) {
    guard let block = unsafe block else { return }
    unsafe BoundedHeap(heap).deallocate(block, byteCount: byteCount)
}

/// `cistern_deallocate`; cistern.h says what it does and what can fail.
@c(cistern_deallocate)
public func cisternDeallocate(_ heap: OpaquePointer, _ block: UnsafeMutableRawPointer?) {
    guard let block = unsafe block else { return }
    unsafe BoundedHeap(heap).deallocate(block)
}

/// `cistern_allocate_zeroed`; cistern.h says what it does and what can fail.
@c(cistern_allocate_zeroed)
public func cisternAllocateZeroed(_ heap: OpaquePointer, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    unsafe BoundedHeap(heap).allocateZeroed(byteCount: byteCount)
}

/// `cistern_allocate_aligned`; cistern.h says what it does and what can fail.
@c(cistern_allocate_aligned)
public func cisternAllocateAligned(_ heap: OpaquePointer, _ byteCount: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
    unsafe BoundedHeap(heap).allocate(byteCount: byteCount, alignment: alignment)
}

/// `cistern_resize`; cistern.h says what it does and what can fail.
@c(cistern_resize)
public func cisternResize(_ heap: OpaquePointer, _ block: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard let block = unsafe block else { return unsafe BoundedHeap(heap).allocate(byteCount: byteCount) }
    return unsafe BoundedHeap(heap).resize(block, to: byteCount)
}

/// `cistern_resize_sized`; cistern.h says what it does and what can fail.
@c(cistern_resize_sized)
public func cisternResizeSized(
    _ heap: OpaquePointer, _ block: UnsafeMutableRawPointer?, _ oldByteCount: Int, _ byteCount: Int
) -> UnsafeMutableRawPointer? {
    guard let block = unsafe block else { return unsafe BoundedHeap(heap).allocate(byteCount: byteCount) }
    return unsafe BoundedHeap(heap).resize(block, from: oldByteCount, to: byteCount)
}

/// `cistern_usable_size`; cistern.h says what it does and what can fail.
@c(cistern_usable_size)
public func cisternUsableSize(_ heap: OpaquePointer, _ block: UnsafeRawPointer) -> Int {
    unsafe BoundedHeap(heap).usableSize(of: block)
}

/// `cistern_contains`; cistern.h says what it does and what can fail.
@c(cistern_contains)
public func cisternContains(_ heap: OpaquePointer, _ address: UnsafeRawPointer?) -> Bool {
    guard let address = unsafe address else { return false }
    return unsafe BoundedHeap(heap).contains(address)
}

/// `cistern_trim`; cistern.h says what it does and what can fail.
@c(cistern_trim)
public func cisternTrim(_ heap: OpaquePointer) -> Int {
    unsafe Int(truncatingIfNeeded: BoundedHeap(heap).trim())
}

/// `cistern_trim_at_safe_point`; cistern.h says what it does and what can fail.
@c(cistern_trim_at_safe_point)
public func cisternTrimAtSafePoint(_ heap: OpaquePointer) -> Int {
    unsafe Int(truncatingIfNeeded: BoundedHeap(heap).trimAtSafePoint())
}

/// `cistern_discard`; cistern.h says what it does and what can fail.
@c(cistern_discard)
public func cisternDiscard(_ heap: OpaquePointer) -> Int {
    unsafe Int(truncatingIfNeeded: BoundedHeap(heap).discard())
}

/// `cistern_verify`; cistern.h says what it does and what can fail.
@c(cistern_verify)
public func cisternVerify(_ heap: OpaquePointer) -> Bool {
    unsafe BoundedHeap(heap).verify() == nil
}

/// `cistern_heap_destroy`; cistern.h says what it does and what can fail.
@c(cistern_heap_destroy)
public func cisternHeapDestroy(_ heap: OpaquePointer?) {
    guard let heap = unsafe heap else { return }
    unsafe BoundedHeap(heap).destroy()
}
