import CSkip
import HeapCore

// Safety: blocks come from the caller and go back to the heap they came from, with their sizes, as cistern_skip.h says.

/// `sk_palloc`; cistern_skip.h says what it does and how it fails.
@c(sk_palloc)
public func skPalloc(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let block = unsafe Process.requireHeap().allocate(byteCount: byteCount)
    guard let block = unsafe block else { Process.endWithoutRoom(persistent: true, byteCount: UInt(bitPattern: byteCount)) }
    return unsafe block
}

/// `sk_pfree_size`; cistern_skip.h says what it does.
@c(sk_pfree_size)
public func skPfreeSize(_ block: UnsafeMutableRawPointer?, _ byteCount: Int) {
    guard let block = unsafe block else { return }
    unsafe Process.requireHeap().deallocate(block, byteCount: byteCount)
}

/// `sk_is_static`; cistern_skip.h says what it does. Two or three loads.
@c(sk_is_static)
public func skIsStatic(_ address: UnsafeRawPointer?) -> Int32 {
    guard let address = unsafe address, let heap = Process.heap else { return 1 }
    return unsafe heap.isBlockMemory(address) ? 0 : 1
}

/// `SKIP_print_persistent_size`; cistern_skip.h says what it does. Exact when no other thread allocates.
@c(SKIP_print_persistent_size)
public func skipPrintPersistentSize() {
    cistern_skip_print_number(Process.requireHeap().statistics().liveBlockBytes)
}
