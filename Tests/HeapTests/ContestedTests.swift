import Testing

@_spi(Regions) import HeapCore

extension HeapSuites {
    /// Classes whose blocks threads pass to each other: what is cut for them later shares no cache line.
    @Suite struct ContestedTests {
        private static let blockCount = 2048

        /// One thread allocates blocks, another frees them, and each takes as many again: what those can hold, and where they stand.
        private func blocksAfterPassing(_ size: Int, in heap: TestHeap) -> [Extent] {
            let boxes = Mailboxes(Self.blockCount)
            let stage = SharedWord()
            inThreads(2) { number in
                if number == 0 {
                    for index in 0..<Self.blockCount { _ = boxes.exchange(index, heap.allocate(size) ?? 0) }
                    stage.value = 1
                    stage.wait(until: 2)  // its cache stays alive: the spans are its own
                    for index in 0..<Self.blockCount / 2 { _ = boxes.exchange(index, heap.allocate(size) ?? 0) }
                } else {
                    stage.wait(until: 1)
                    for index in 0..<Self.blockCount { heap.free(boxes.exchange(index, 0), size) }
                    for index in Self.blockCount / 2..<Self.blockCount { _ = boxes.exchange(index, heap.allocate(size) ?? 0) }
                    stage.value = 2
                }
            }
            return (0..<Self.blockCount).map { index in
                let block = boxes.exchange(index, 0)
                return Extent(start: block, byteCount: block == 0 ? 0 : heap.usableSize(block))
            }
        }

        /// Frees blocks with their size, every other one without it if asked to.
        private func release(_ blocks: [Extent], _ size: Int, to heap: TestHeap, sized: Bool = true) {
            for (index, block) in blocks.enumerated() {
                if sized || index % 2 == 0 { heap.free(block.start, size) } else { heap.free(block.start) }
            }
            if sized { #expect(heap.core.statistics().requestedBytes == 0) }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0 && heap.liveBlocks().isEmpty)
        }

        @Test(arguments: isSmall ? [24, 25, 72, 512] : [8, 16, 24, 25, 32, 40, 64, 72, 100, 128, 136, 300, 449, 504, 512])
        func blocksThatArePassedOnGetLines(size: Int) throws {
            let heap = try TestHeap(64 << 20)
            let blocks = blocksAfterPassing(size, in: heap)
            let packed = (size + 7) / 8 * 8
            let lines = size <= 24 ? packed : (size + 63) / 64 * 64
            #expect(blocks.allSatisfy { $0.byteCount == packed || $0.byteCount == lines })
            #expect(blocks.allSatisfy { $0.byteCount == packed || $0.start % 64 == 0 })
            // Blocks that were ready before may come again.
            #expect(blocks.count { $0.byteCount == lines } > Self.blockCount / 2)
            release(blocks, size, to: heap, sized: size % 8 != 0)
            #expect(heap.destroy())
        }

        /// Threads that keep to what they took go on with packed blocks.
        @Test(arguments: [1, 2]) func blocksThatAreKeptStayPacked(threads: Int) throws {
            let heap = try TestHeap(64 << 20)
            let packedCount = SharedWord()
            inThreads(threads) { _ in
                for _ in 0..<1000 {
                    let blocks = (0..<40).map { _ in heap.allocate(72) ?? 0 }
                    packedCount.add(UInt64(blocks.count { $0 != 0 && heap.usableSize($0) == 72 }))
                    for block in blocks { heap.free(block, 72) }
                }
            }
            // The first 2 KiB of a class stand in runs of their own, which caches keep.
            #expect(packedCount.value >= UInt64(1000 * (40 * threads - 2048 / 72 - 1)))
            #expect(heap.verify() == nil && heap.core.statistics().liveBlockCount == 0)
            #expect(heap.destroy())
        }

        /// Two threads in turn replace blocks at random, and after each turn take over each other's. Returns how much of the lines that
        /// hold a first or last byte of the one's blocks also hold one of the other's: what slows both down when they write.
        private func sharedLines(sizes: ClosedRange<Int>, turns: Int) throws -> Double {
            let heap = try TestHeap(64 << 20)
            let slotCount = 256
            let (blocks, byteCounts) = (Mailboxes(2 * slotCount), Mailboxes(2 * slotCount))
            let stage = SharedWord()
            inThreads(2) { number in
                var random = Random(seed: UInt64(number) + 3)
                for turn in 0..<turns {
                    stage.wait(until: UInt64(2 * turn + number))
                    for _ in 0..<4096 {
                        let slot = (number + turn) % 2 * slotCount + random.below(slotCount)
                        let size = sizes.lowerBound + random.below(sizes.count)
                        let old = blocks.exchange(slot, 0)
                        let oldSize = byteCounts.exchange(slot, UInt(size))
                        if old != 0 { heap.free(old, Int(oldSize)) }
                        _ = blocks.exchange(slot, heap.allocate(size) ?? 0)
                    }
                    stage.add(1)
                }
                stage.wait(until: UInt64(2 * turns))  // both caches stay alive until then
            }
            var lines: [Set<UInt>] = [[], []]
            for slot in 0..<2 * slotCount {
                let (block, size) = (blocks.exchange(slot, 0), byteCounts.exchange(slot, 0))
                guard block != 0 else { continue }
                lines[slot / slotCount].formUnion([block / 64, (block + size - 1) / 64])
                heap.free(block, Int(size))
            }
            #expect(heap.verify() == nil && heap.core.statistics().liveBlockCount == 0)
            #expect(heap.destroy())
            return Double(lines[0].intersection(lines[1]).count) / Double(lines[0].union(lines[1]).count)
        }

        /// After a few turns hardly a line is left that both threads write to: what one class shows is looked for in the others at once.
        /// Up to 24 bytes blocks stay packed: so the measure can fail.
        @Test func threadsThatSwapBlocksShareFewLines() throws {
            let few = try sharedLines(sizes: 129...256, turns: 16)
            let many = try sharedLines(sizes: 8...24, turns: 16)
            #expect(few < 0.02, "\(few)")
            #expect(many > 0.1, "\(many)")
        }

        /// With a quarter of the capacity in use, more memory is for packed blocks.
        @Test func aFullerHeapPacks() throws {
            let heap = try TestHeap(16 << 20)
            let large = try #require(heap.allocate(4 << 20))
            let blocks = blocksAfterPassing(72, in: heap)
            #expect(blocks.count { $0.byteCount == 72 } >= Self.blockCount - 2048 / 72 - 1)
            heap.free(large, 4 << 20)
            release(blocks, 72, to: heap)
            #expect(heap.destroy())
        }

        /// There, a contested class keeps its packed blocks in the stacks: they would come back from their spans at the next call.
        @Test func aFullerHeapKeepsItsStacks() throws {
            let heap = try TestHeap(64 << 20)
            let blocks = blocksAfterPassing(72, in: heap)
            let large = try #require(heap.allocate(17 << 20))
            var held: [UInt] = []
            func hold(_ count: Int) { for _ in 0..<count { held.append(heap.allocate(72) ?? 0) } }
            func drop(_ count: Int) { for _ in 0..<count { heap.free(held.removeLast(), 72) } }
            var refillCount: UInt64 = 0
            inThreads(1) { _ in
                for _ in 0..<20 {
                    hold(200)
                    drop(120)  // full once, and then half of it goes
                    let before = heap.core.statistics().slowAllocationCount
                    hold(40)
                    refillCount = heap.core.statistics().slowAllocationCount - before
                    drop(120)
                }
            }
            #expect(refillCount == 0)
            heap.free(large, 17 << 20)
            release(blocks, 72, to: heap)
            #expect(heap.destroy())
        }

        /// Lines of their own cost an eighth of the capacity at most.
        @Test func blocksOnLinesLeaveRoom() throws {
            let heap = try TestHeap(16 << 20)
            release(blocksAfterPassing(32, in: heap), 32, to: heap)
            var blocks: [UInt] = []
            var lineCount = 0
            while let block = heap.allocate(32) {
                blocks.append(block)
                lineCount += heap.usableSize(block) == 64 ? 1 : 0
            }
            #expect(lineCount > 0 && lineCount * 64 <= 5 << 20)
            #expect(blocks.count * 32 >= 13 << 20)
            for block in blocks { heap.free(block, 32) }
            #expect(heap.verify() == nil && heap.core.statistics().liveBlockCount == 0)
            #expect(heap.destroy())
        }

        /// A block on lines of its own grows into them, and leaves them for another class.
        @Test func blocksGrowWithinTheirLines() throws {
            let heap = try TestHeap(64 << 20)
            let blocks = blocksAfterPassing(72, in: heap)
            let index = try #require(blocks.lastIndex { $0.byteCount == 128 })
            let block = blocks[index].start
            TestHeap.store(block, 7)
            #expect(heap.resize(block, from: 72, to: 128) == block)
            #expect(heap.resize(block, from: 128, to: 65) == block)
            let moved = try #require(heap.resize(block, from: 65, to: 136))
            #expect(moved != block && TestHeap.load(moved) == 7)
            heap.free(moved, 136)
            release(Array(blocks[..<index]) + Array(blocks[(index + 1)...]), 72, to: heap)
            #expect(heap.destroy())
        }
    }
}
