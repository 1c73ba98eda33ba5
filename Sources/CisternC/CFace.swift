import CCistern
import CHeap
import HeapCore

// The functions of cistern.h that work on blocks. A handle is the address of the heap's header; it is wrapped and unwrapped here.
// These calls are too frequent for a look into the registry: of a handle they only see whether it is NULL.
//
// Safety: every handle and block comes from the caller, who keeps the contract of cistern.h; this file does no pointer
// arithmetic of its own.

extension BoundedHeap {
    @inline(__always)
    init(_ handle: OpaquePointer) {
        unsafe self.init(headerPointer: UnsafeMutablePointer<CHeap.cistern_heap>(handle))
    }

    var handle: OpaquePointer { unsafe OpaquePointer(headerPointer) }

    /// The heap of a handle that may be NULL or that of a heap which is gone; nil then. Nothing at the address is read before.
    ///
    /// - Complexity: proportional to the number of heaps.
    static func alive(_ handle: OpaquePointer?) -> BoundedHeap? {
        guard let handle = unsafe handle else { return nil }
        let header = unsafe UnsafeMutablePointer<CHeap.cistern_heap>(handle)
        guard unsafe cistern_registry_contains(header) else { return nil }
        return unsafe BoundedHeap(headerPointer: header)
    }
}

/// `cistern_allocate`; cistern.h says what it does and what can fail.
@c(cistern_allocate)
public func cisternAllocate(_ heap: OpaquePointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard let heap = unsafe heap else { return nil }
    return unsafe BoundedHeap(heap).allocate(byteCount: byteCount)
}

/// `cistern_deallocate_sized`; cistern.h says what it does and what can fail.
@c(cistern_deallocate_sized)
public func cisternDeallocateSized(_ heap: OpaquePointer?, _ block: UnsafeMutableRawPointer?, _ byteCount: Int) {
    guard let heap = unsafe heap else { return }
    unsafe BoundedHeap(heap).deallocate(ifAny: block, byteCount: byteCount)
}

/// `cistern_deallocate`; cistern.h says what it does and what can fail.
@c(cistern_deallocate)
public func cisternDeallocate(_ heap: OpaquePointer?, _ block: UnsafeMutableRawPointer?) {
    guard let heap = unsafe heap, let block = unsafe block else { return }
    unsafe BoundedHeap(heap).deallocate(block)
}

/// `cistern_allocate_zeroed`; cistern.h says what it does and what can fail.
@c(cistern_allocate_zeroed)
public func cisternAllocateZeroed(_ heap: OpaquePointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard let heap = unsafe heap else { return nil }
    return unsafe BoundedHeap(heap).allocateZeroed(byteCount: byteCount)
}

/// `cistern_allocate_aligned`; cistern.h says what it does and what can fail.
@c(cistern_allocate_aligned)
public func cisternAllocateAligned(_ heap: OpaquePointer?, _ byteCount: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
    guard let heap = unsafe heap else { return nil }
    return unsafe BoundedHeap(heap).allocate(byteCount: byteCount, alignment: alignment)
}

/// `cistern_resize`; cistern.h says what it does and what can fail.
@c(cistern_resize)
public func cisternResize(_ heap: OpaquePointer?, _ block: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard let heap = unsafe heap else { return nil }
    guard let block = unsafe block else { return unsafe BoundedHeap(heap).allocate(byteCount: byteCount) }
    return unsafe BoundedHeap(heap).resize(block, to: byteCount)
}

/// `cistern_resize_sized`; cistern.h says what it does and what can fail.
@c(cistern_resize_sized)
public func cisternResizeSized(
    _ heap: OpaquePointer?, _ block: UnsafeMutableRawPointer?, _ oldByteCount: Int, _ byteCount: Int
) -> UnsafeMutableRawPointer? {
    guard let heap = unsafe heap else { return nil }
    guard let block = unsafe block else { return unsafe BoundedHeap(heap).allocate(byteCount: byteCount) }
    return unsafe BoundedHeap(heap).resize(block, from: oldByteCount, to: byteCount)
}

/// `cistern_usable_size`; cistern.h says what it does and what can fail.
@c(cistern_usable_size)
public func cisternUsableSize(_ heap: OpaquePointer?, _ block: UnsafeRawPointer?) -> Int {
    guard let heap = unsafe heap, let block = unsafe block else { return 0 }
    return unsafe BoundedHeap(heap).usableSize(of: block)
}

/// `cistern_contains`; cistern.h says what it does and what can fail.
@c(cistern_contains)
public func cisternContains(_ heap: OpaquePointer?, _ address: UnsafeRawPointer?) -> Bool {
    guard let heap = unsafe heap, let address = unsafe address else { return false }
    return unsafe BoundedHeap(heap).contains(address)
}

/// `cistern_block_holding`; cistern.h says what it does and what can fail.
@c(cistern_block_holding)
public func cisternBlockHolding(
    _ heap: OpaquePointer?, _ address: UnsafeRawPointer?, _ byteCount: UnsafeMutablePointer<Int>?
) -> UnsafeMutableRawPointer? {
    guard let heap = unsafe heap, let address = unsafe address, let found = unsafe BoundedHeap(heap).block(holding: address) else {
        unsafe byteCount?.pointee = 0
        return nil
    }
    unsafe byteCount?.pointee = found.count
    return found.baseAddress
}

/// `cistern_is_above_soft_limit`; cistern.h says what it does and what can fail.
@c(cistern_is_above_soft_limit)
public func cisternIsAboveSoftLimit(_ heap: OpaquePointer?) -> Bool {
    guard let heap = unsafe heap else { return false }
    return unsafe BoundedHeap(heap).isAboveSoftLimit
}
