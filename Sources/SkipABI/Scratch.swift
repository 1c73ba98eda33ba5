import CSkip
import HeapCore

// Safety: blocks come from the caller and go back to the heap they came from, with their sizes, as cistern_skip.h says.

/// `sk_malloc`; cistern_skip.h says what it does and how it fails.
@c(sk_malloc)
public func skMalloc(_ byteCount: UInt) -> UnsafeMutableRawPointer {
    guard let pages = PageCount.holding(byteCount), let block = unsafe Process.requireHeap().allocatePages(pages) else {
        Process.endWithoutRoom(persistent: false, byteCount: byteCount)
    }
    return unsafe block
}

/// `sk_free_size`; cistern_skip.h says what it does.
@c(sk_free_size)
public func skFreeSize(_ block: UnsafeMutableRawPointer?, _ byteCount: UInt) {
    guard let block = unsafe block, let pages = PageCount.holding(byteCount) else { return }
    unsafe Process.requireHeap().deallocatePages(block, pages)
}

enum PageCount {
    /// Pages of a run that holds so many bytes, at least one; nil for more than an address space has.
    static func holding(_ byteCount: UInt) -> Int? {
        guard byteCount <= UInt(Int.max) else { return nil }
        let page = UInt(bitPattern: BoundedHeap.pageByteCount)
        return max(1, Int(bitPattern: (byteCount &+ page &- 1) / page))
    }
}
