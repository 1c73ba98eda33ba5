import CHeap
import CSkip
import HeapCore

// Safety: blocks come from the caller and go back where they came from, with their sizes, as cistern_skip.h says; a small block's
// page is the one that its address is in.

// Scratch is made of whole pages, because `sk_is_static` must tell it from persistent blocks. Most of it is large: stacks and
// tables of many kilobytes. What is small shares pages by powers of two, so that many small blocks do not cost a page each.

/// `sk_malloc`; cistern_skip.h says what it does and how it fails.
@c(sk_malloc)
public func skMalloc(_ byteCount: UInt) -> UnsafeMutableRawPointer {
    let block = Scratch.allocate(byteCount)
    return unsafe UnsafeMutableRawPointer(bitPattern: block).unsafelyUnwrapped
}

/// `sk_free_size`; cistern_skip.h says what it does.
@c(sk_free_size)
public func skFreeSize(_ block: UnsafeMutableRawPointer?, _ byteCount: UInt) {
    guard let block = unsafe block else { return }
    Scratch.free(UInt(bitPattern: block), byteCount)
}

enum Scratch {
    private static var leastShift: UInt { 6 }
    private static var mostSmallBytes: UInt { 1024 }

    static func allocate(_ byteCount: UInt) -> UInt {
        if byteCount <= mostSmallBytes { return allocateSmall(classIndex(byteCount)) }
        guard let count = Pages.count(holding: byteCount), let run = Pages.take(count, in: Process.requireHeap()) else {
            Process.endWithoutRoom(persistent: false, byteCount: byteCount)
        }
        return run
    }

    static func free(_ block: UInt, _ byteCount: UInt) {
        if byteCount <= mostSmallBytes {
            freeSmall(block)
        } else if let count = Pages.count(holding: byteCount) {
            // The header's place was the caller's.
            Pages.chunk(block).it = cistern_region_chunk()
            Pages.chunk(block).it.end = uintptr_t(block &+ count &* Pages.byteCount)
            Pages.giveBack(block, in: Process.requireHeap())
        }
    }

    // MARK: Small blocks

    /// 64, 128, 256, 512 and 1024 bytes.
    private static func classIndex(_ byteCount: UInt) -> UInt64 {
        let last = max(byteCount, 1 << leastShift) - 1
        return UInt64(UInt(UInt.bitWidth - last.leadingZeroBitCount) - leastShift)
    }

    /// The bits of a page whose blocks are all free. The page's header takes the place of the first two of the smallest class,
    /// or of the first one.
    private static func allFree(_ index: UInt64) -> UInt64 {
        ((1 << (UInt64(Pages.byteCount) >> (index + UInt64(leastShift)))) &- 1) & (index == 0 ? ~3 : ~1)
    }

    private static func page(_ address: UInt) -> Ref<cistern_skip_scratch_page> {
        unsafe Ref(UnsafeMutablePointer<cistern_skip_scratch_page>(bitPattern: address).unsafelyUnwrapped)
    }

    private static func list(_ index: UInt64) -> Ref<uintptr_t> { unsafe Ref(cistern_skip_scratch_list(index)) }

    private static func allocateSmall(_ index: UInt64) -> UInt {
        cistern_skip_lock()
        if list(index).it == 0 {
            // Without the lock: where there is no room, the process ends.
            cistern_skip_unlock()
            guard let run = Pages.take(1, in: Process.requireHeap()) else {
                Process.endWithoutRoom(persistent: false, byteCount: 1 << (UInt(index) + leastShift))
            }
            page(run).it.chunk.region = uintptr_t(run)
            page(run).it.free_bits = allFree(index)
            page(run).it.class_index = index
            cistern_skip_lock()
            enter(run, index)
        }
        let address = UInt(list(index).it)
        let bits = page(address).it.free_bits
        page(address).it.free_bits = bits & (bits &- 1)
        if bits & (bits &- 1) == 0 { leave(address, index) }
        cistern_skip_unlock()
        return address &+ UInt(bits.trailingZeroBitCount) << (UInt(index) + leastShift)
    }

    private static func freeSmall(_ block: UInt) {
        let address = block & ~(Pages.byteCount &- 1)
        cistern_skip_lock()
        let index = page(address).it.class_index
        let bits = page(address).it.free_bits
        page(address).it.free_bits = bits | 1 << UInt64((block &- address) >> (UInt(index) + leastShift))
        if bits == 0 { enter(address, index) }
        // One page of each class stays, for the next block.
        let isUnneeded = page(address).it.free_bits == allFree(index) && (page(address).it.chunk.older | page(address).it.chunk.newer) != 0
        if isUnneeded { leave(address, index) }
        cistern_skip_unlock()
        if isUnneeded { Pages.giveBack(address, in: Process.requireHeap()) }
    }

    private static func enter(_ address: UInt, _ index: UInt64) {
        let head = UInt(list(index).it)
        page(address).it.chunk.older = uintptr_t(head)
        page(address).it.chunk.newer = 0
        if head != 0 { page(head).it.chunk.newer = uintptr_t(address) }
        list(index).it = uintptr_t(address)
    }

    private static func leave(_ address: UInt, _ index: UInt64) {
        let older = UInt(page(address).it.chunk.older)
        let newer = UInt(page(address).it.chunk.newer)
        if older != 0 { page(older).it.chunk.newer = uintptr_t(newer) }
        if newer != 0 { page(newer).it.chunk.older = uintptr_t(older) } else { list(index).it = uintptr_t(older) }
        page(address).it.chunk.older = 0
        page(address).it.chunk.newer = 0
    }
}
