// A Swift program with the standard library in its shared form, and Cistern's archive in it: what reference counting, closures, arrays,
// strings and lazy globals need of the runtime must still be the runtime's own.
import CisternLibrary

final class Node {
    let value: Int
    let next: Node?
    init(_ value: Int, _ next: Node?) {
        self.value = value
        self.next = next
    }
}

let words: [String] = (0..<100).map { "word \($0) of a list that is not inline" }

func sum(_ node: Node?) -> Int {
    var total = 0
    var rest = node
    while let node = rest {
        total += node.value
        rest = node.next
    }
    return total
}

func run() -> Bool {
    var options = cistern_heap_options()
    options.struct_byte_count = MemoryLayout<cistern_heap_options>.size
    options.capacity_bytes = 4 << 20
    var made: OpaquePointer?
    guard cistern_heap_create(&options, &made) == CISTERN_OK, let heap = made else { return false }
    var list: Node?
    var blocks: [(UnsafeMutableRawPointer, Int)] = []
    for number in 1...1000 {
        list = Node(number, list)
        guard let block = cistern_allocate(heap, number) else { return false }
        block.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: number), count: number)
        blocks.append((block, number))
    }
    let texts = Dictionary(uniqueKeysWithValues: words.enumerated().map { ($0.element, $0.offset) })
    let isSound = blocks.allSatisfy { $0.0.load(fromByteOffset: $0.1 - 1, as: UInt8.self) == UInt8(truncatingIfNeeded: $0.1) }
    for (block, size) in blocks { cistern_deallocate_sized(heap, block, size) }
    return isSound && sum(list) == 500_500 && texts[words[42]] == 42 && cistern_verify(heap)
        && cistern_heap_destroy(heap) == CISTERN_OK
}

print(run() ? "both runtimes at work" : "failed")
