import CHeap
import CTestSupport

@testable import HeapCore

/// A random program against an oracle. The same seed gives the same program.
struct ModelProgram<Source: BlockSource> {
    let source: Source
    /// For what only a real heap has: verify, trim, statistics.
    let heap: TestHeap
    var oracle = Oracle()
    var random: Random
    let mostBytes: Int
    let leastAlignment: UInt
    /// Frees without a size make `requestedBytes` an estimate.
    var allFreesAreSized = true
    /// Counts of what happened, so that a test can tell that it did.
    var refusals = 0
    var moves = 0

    init(_ source: Source, heap: TestHeap, seed: UInt64, mostBytes: Int, leastAlignment: UInt) {
        self.source = source
        self.heap = heap
        random = Random(seed: seed)
        self.mostBytes = mostBytes
        self.leastAlignment = leastAlignment
    }

    private var range: Range<UInt> { heap.base..<heap.base + UInt(heap.core.capacityBytes) }

    /// Runs steps until done or something is wrong. Phases of growth and of decline follow each other.
    mutating func run(steps: Int, checkEvery interval: Int) -> String? {
        for step in 0..<steps {
            let isGrowing = (step / 700) % 2 == 0
            self.step(isGrowing: isGrowing)
            if step % interval == interval - 1 { compare() }
            if let failure = oracle.failure { return "step \(step): \(failure)" }
        }
        while !oracle.blocks.isEmpty, oracle.failure == nil { release(at: oracle.blocks.count - 1, isSized: true) }
        compare()
        return oracle.failure.map { "at the end: \($0)" }
    }

    private mutating func step(isGrowing: Bool) {
        let choice = random.below(100)
        if oracle.blocks.isEmpty || choice < (isGrowing ? 45 : 25) { return take() }
        switch choice {
        case ..<85:
            if choice < (isGrowing ? 60 : 45) { return resize(at: random.below(oracle.blocks.count)) }
            release(at: random.below(oracle.blocks.count), isSized: random.below(10) != 0)
        case ..<95: take()
        case ..<97: heap.core.trim()
        case ..<98: heap.core.maintain()
        default: oracle.checkAllContents()
        }
    }

    private mutating func take() {
        let size = random.size(most: mostBytes)
        let kind = random.below(10)
        let alignment = kind == 0 ? 1 << random.below(14) : 1
        let block =
            kind == 0
            ? source.allocate(size, alignment: alignment)
            : kind == 1 ? source.allocateZeroed(size) : source.allocate(size)
        guard let block else {
            refusals += 1
            return
        }
        if kind == 1, !cistern_test_is_zero(block, size) { oracle.fail("zeroed memory is not zero") }
        enter(block, size, alignment: kind == 0 ? max(UInt(alignment), leastAlignment) : promised(size))
    }

    private func promised(_ size: Int) -> UInt { promisedAlignment(ofSize: size, least: leastAlignment) }

    private mutating func enter(_ block: UInt, _ size: Int, alignment: UInt) {
        oracle.enter(
            block, size, usableBytes: source.usableSize(block), alignment: alignment, within: range, seed: random.next())
    }

    private mutating func release(at index: Int, isSized: Bool) {
        let block = oracle.leave(at: index)
        if isSized { return source.free(block.address, block.byteCount) }
        allFreesAreSized = false
        source.free(block.address)
    }

    private mutating func resize(at index: Int) {
        let block = oracle.leave(at: index)
        let size = random.below(4) == 0 ? random.size(most: mostBytes) : block.byteCount + random.below(block.byteCount + 64)
        guard let moved = source.resize(block.address, from: block.byteCount, to: size) else {
            refusals += 1
            if !cistern_test_holds(block.address, block.byteCount, block.seed) { oracle.fail("a refused resize changed the block") }
            return enter(block.address, block.byteCount, alignment: 8)
        }
        if moved != block.address { moves += 1 }
        if !cistern_test_holds(moved, min(size, block.byteCount), block.seed) { oracle.fail("resize lost the content") }
        enter(moved, size, alignment: promised(size))
    }

    /// The heap's own view against the oracle's.
    mutating func compare() {
        oracle.checkAllContents()
        let before = heap.core.statistics()
        if let fault = heap.verify() { oracle.fail("\(fault)") }
        let live = heap.liveBlocks()
        let after = heap.core.statistics()
        if live.map(\.start) != oracle.blocks.map(\.address) { oracle.fail("the visitor shows other blocks") }
        for (shown, block) in zip(live, oracle.blocks) where shown.byteCount < block.byteCount { oracle.fail("the visitor's sizes") }
        for now in [before, after] {
            if heap.core.has(CISTERN_HEAP_CHECKED) { break }
            if now.liveBlockCount != UInt64(oracle.blocks.count) { oracle.fail("\(now.liveBlockCount) live, not \(oracle.blocks.count)") }
            let bytes = oracle.blocks.reduce(0) { $0 + $1.usableBytes }
            if now.liveBlockBytes != UInt64(bytes) { oracle.fail("\(now.liveBlockBytes) live bytes, not \(bytes)") }
        }
        if after.cachedBlockCount != 0 { oracle.fail("caches were not flushed") }
        if allFreesAreSized, after.requestedBytes != Int64(oracle.requestedBytes) {
            oracle.fail("\(after.requestedBytes) requested, not \(oracle.requestedBytes)")
        }
    }
}
