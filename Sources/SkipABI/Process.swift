import CSkip
import HeapCore

// Safety: the heap is made once and never destroyed; what the C side hands out is its own or this thread's.

/// What there is one of in a process: the heap behind Skip's symbols, and the end.
enum Process {
    static let outOfMemoryCode: Int32 = 24

    /// The heap; nil before `SKIP_memory_init`.
    @inline(__always)
    static var heap: BoundedHeap? {
        guard let header = unsafe cistern_skip_current_heap() else { return nil }
        return unsafe BoundedHeap(headerPointer: header)
    }

    /// The heap. Ends the process when there is none yet.
    @inline(__always)
    static func requireHeap() -> BoundedHeap {
        if let heap = Process.heap { return heap }
        var line = MessageLine()
        line.put("Could not initialize memory: used before SKIP_memory_init")
        line.end(code: 42)
    }

    /// This thread's regions.
    @inline(__always)
    static var thread: Ref<cistern_skip_thread> { unsafe Ref(cistern_skip_current_thread()) }

    /// No room: one line that says for what, and the end. Text and code of the two kinds are Skip's own.
    @inline(never)
    static func endWithoutRoom(persistent: Bool, byteCount: UInt) -> Never {
        var line = MessageLine()
        if persistent {
            line.put("Error: out of persistent memory.")
        } else {
            line.put("malloc: Cannot allocate memory (")
            line.put(UInt64(byteCount))
            line.put(" bytes, capacity ")
            line.put(heap?.capacityBytes ?? 0)
            line.put(" bytes; see --capacity, SKIP_CAPACITY)")
        }
        line.end(code: outOfMemoryCode)
    }
}
