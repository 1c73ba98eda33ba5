// README
import Cistern

func useHeap() throws -> String {
    let heap = try Heap(capacityBytes: 64 << 20)  // one reservation; memory behind it as it is used
    guard let block = unsafe heap.allocate(byteCount: 5) else { return "no room" }
    unsafe block.copyMemory(from: "hello", byteCount: 5)

    // In place where it can; nil when there is no room, and the block is then as it was.
    guard let larger = unsafe heap.resize(block, from: 5, to: 4096) else { return "no room to grow" }

    // Running out is an answer, not the end of the process.
    let tooMuch = unsafe heap.allocate(byteCount: 1 << 30)
    let answer = unsafe tooMuch == nil ? "nil" : "a block"

    unsafe heap.deallocate(larger, byteCount: 4096)
    let now = heap.statistics
    return "1 GiB: \(answer); \(now.liveBlockCount) live blocks, capacity \(now.capacityBytes) bytes"
}
// END README
