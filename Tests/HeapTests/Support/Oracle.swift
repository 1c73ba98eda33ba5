import CTestSupport

import HeapCore

/// What a model test drives: the heap, or something that only looks like one.
protocol BlockSource {
    func allocate(_ byteCount: Int) -> UInt?
    func allocateZeroed(_ byteCount: Int) -> UInt?
    func allocate(_ byteCount: Int, alignment: Int) -> UInt?
    func free(_ block: UInt, _ byteCount: Int)
    func free(_ block: UInt)
    func resize(_ block: UInt, from old: Int?, to byteCount: Int) -> UInt?
    func usableSize(_ block: UInt) -> Int
}

extension TestHeap: BlockSource {}

/// What must be live: plain records in the order of their addresses.
struct Oracle {
    struct Block {
        var address: UInt
        var byteCount: Int
        var usableBytes: Int
        var seed: UInt64
        var end: UInt { address + UInt(max(usableBytes, 1)) }
    }

    /// In address order.
    private(set) var blocks: [Block] = []
    private(set) var requestedBytes = 0
    /// What was wrong first.
    private(set) var failure: String?

    mutating func fail(_ text: String) {
        if failure == nil { failure = text }
    }

    private func position(of address: UInt) -> Int {
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].address < address { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// A block that was handed out: nobody else's, inside the range, filled now.
    mutating func enter(_ address: UInt, _ byteCount: Int, usableBytes: Int, alignment: UInt, within range: Range<UInt>, seed: UInt64) {
        let block = Block(address: address, byteCount: byteCount, usableBytes: usableBytes, seed: seed)
        if address % alignment != 0 { fail("\(address) is not \(alignment)-aligned") }
        if usableBytes < byteCount { fail("\(usableBytes) usable bytes for \(byteCount)") }
        if address < range.lowerBound || block.end > range.upperBound { return fail("a block outside the heap") }
        let position = position(of: address)
        if position < blocks.count, blocks[position].address < block.end { return fail("overlaps the block behind it") }
        if position > 0, blocks[position - 1].end > address { return fail("overlaps the block before it") }
        cistern_test_fill(address, byteCount, seed)
        blocks.insert(block, at: position)
        requestedBytes += byteCount
    }

    /// Takes a block out, and looks whether it still holds what was written.
    mutating func leave(at index: Int) -> Block {
        let block = blocks.remove(at: index)
        requestedBytes -= block.byteCount
        if !cistern_test_holds(block.address, block.byteCount, block.seed) { fail("a block lost its content") }
        return block
    }

    mutating func checkAllContents() {
        for block in blocks where !cistern_test_holds(block.address, block.byteCount, block.seed) { fail("a block lost its content") }
    }
}
