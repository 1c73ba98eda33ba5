import CTestSupport
import Testing

import HeapCore

extension HeapSuites {
    @Suite struct ResizeTests {
        private static let sizes = [0, 1, 8, 24, 64, 65, 104, 128, 500, 512, 513, 576, 1000, 4096, 4097, 5000, 70000, 300_000]

        @Test(arguments: [false, true]) func everyStepKeepsTheContent(isChecked: Bool) throws {
            let heap = try TestHeap(16 << 20) { $0.isChecked = isChecked }
            for old in Self.sizes {
                for new in Self.sizes {
                    for isSized in [false, true] {
                        let block = try #require(heap.allocate(old))
                        cistern_test_fill(block, old, UInt64(old))
                        let moved = try #require(heap.resize(block, from: isSized ? old : nil, to: new))
                        #expect(cistern_test_holds(moved, min(old, new), UInt64(old)), "\(old) to \(new)")
                        #expect(heap.usableSize(moved) >= new)
                        if new % 16 == 0, new > 0 { #expect(moved % 16 == 0, "\(old) to \(new)") }
                        if isSized { heap.free(moved, new) } else { heap.free(moved) }
                    }
                }
            }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            heap.destroy()
        }

        @Test func requestedBytesFollowEveryResize() throws {
            let heap = try TestHeap(16 << 20)
            for old in Self.sizes {
                for new in Self.sizes {
                    let block = try #require(heap.allocate(old))
                    let moved = try #require(heap.resize(block, from: old, to: new))
                    #expect(heap.core.statistics().requestedBytes == Int64(new), "\(old) to \(new)")
                    heap.free(moved, new)
                    #expect(heap.core.statistics().requestedBytes == 0, "\(old) to \(new)")
                }
            }
            heap.destroy()
        }

        @Test func largeBlocksGrowAndShrinkInPlace() throws {
            let heap = try TestHeap(16 << 20)
            let block = try #require(heap.allocate(10_000))
            cistern_test_fill(block, 10_000, 1)
            #expect(heap.resize(block, from: 10_000, to: 1_000_000) == block)
            #expect(heap.resize(block, from: 1_000_000, to: 600) == block)
            #expect(cistern_test_holds(block, 600, 1))
            #expect(heap.usableSize(block) == 640)
            let neighbour = try #require(heap.allocate(10_000))
            #expect(heap.resize(block, from: 600, to: 640) == block)
            let moved = try #require(heap.resize(block, from: 640, to: 100_000))
            #expect(moved != block)
            heap.free(neighbour, 10_000)
            heap.free(moved, 100_000)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func blocksOfOneClassStayWhereTheyAre() throws {
            let heap = try TestHeap(16 << 20)
            // Enough of them that the class has a span.
            let blocks = try (0..<100).map { _ in try #require(heap.allocate(100)) }
            let last = try #require(blocks.last)
            for size in 97...104 { #expect(heap.resize(last, from: 100, to: size) == last) }
            for block in blocks { heap.free(block) }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func alignedBlocksResize() throws {
            let heap = try TestHeap(16 << 20)
            for alignment in [16, 64, 256, 4096, 1 << 20] {
                for size in [10, 100, 600, 5000] {
                    let block = try #require(heap.allocate(size, alignment: alignment))
                    cistern_test_fill(block, size, 3)
                    let larger = try #require(heap.resize(block, from: size, to: size * 3))
                    #expect(cistern_test_holds(larger, size, 3))
                    let smaller = try #require(heap.resize(larger, from: size * 3, to: size / 2))
                    #expect(cistern_test_holds(smaller, size / 2, 3))
                    heap.free(smaller, size / 2)
                }
            }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            #expect(heap.core.statistics().requestedBytes == 0)
            heap.destroy()
        }

        @Test(arguments: [24, 136, 600, 5000]) func aRefusedResizeLeavesTheBlock(size: Int) throws {
            let heap = try TestHeap(1 << 20)
            var blocks: [UInt] = []
            while let block = heap.allocate(size) {
                cistern_test_fill(block, size, UInt64(blocks.count))
                blocks.append(block)
            }
            // Each refusal looks at everything that is free: not too many of them.
            for number in stride(from: 0, to: blocks.count, by: max(1, blocks.count / scaled(500))) {
                #expect(heap.resize(blocks[number], from: size, to: 200_000) == nil)
            }
            let intact = blocks.enumerated().filter { cistern_test_holds($1, size, UInt64($0)) }.count
            #expect(intact == blocks.count)
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == UInt64(blocks.count))
            for block in blocks { heap.free(block, size) }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test(arguments: [32, 144, 272, 600, 5000]) func shrinkingInAFullHeapWorks(size: Int) throws {
            let heap = try TestHeap(1 << 20)
            var blocks: [UInt] = []
            while let block = heap.allocate(size) {
                cistern_test_fill(block, size, UInt64(blocks.count))
                blocks.append(block)
            }
            let smaller = size - 8
            let step = max(1, blocks.count / scaled(1000))
            for number in stride(from: 0, to: blocks.count, by: step) {
                blocks[number] = try #require(heap.resize(blocks[number], from: size, to: smaller))
                #expect(cistern_test_holds(blocks[number], smaller, UInt64(number)))
            }
            #expect(heap.verify() == nil)
            for (number, block) in blocks.enumerated() { heap.free(block, number % step == 0 ? smaller : size) }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().requestedBytes == 0)
            heap.destroy()
        }

        /// A block that cannot move when it shrinks may not be aligned as its new size asks: then it is refused and as it
        /// was, and is never handed out as a block of the smaller size.
        @Test(arguments: [24, 136, 264]) func shrinkingToMoreAlignmentInAFullHeap(size: Int) throws {
            let heap = try TestHeap(1 << 20)
            let smaller = size - 8
            var blocks: [(address: UInt, size: Int)] = []
            while let block = heap.allocate(size) {
                cistern_test_fill(block, size, UInt64(blocks.count))
                blocks.append((block, size))
            }
            var refused = 0
            var tried = 0
            for (number, block) in blocks.enumerated() where number % max(1, blocks.count / scaled(1000)) == 0 {
                tried += 1
                if let shrunk = heap.resize(block.address, from: size, to: smaller) {
                    #expect(shrunk % 16 == 0)
                    #expect(cistern_test_holds(shrunk, smaller, UInt64(number)))
                    blocks[number] = (shrunk, smaller)
                } else {
                    refused += 1
                    #expect(cistern_test_holds(block.address, size, UInt64(number)))
                }
            }
            #expect(refused < tried)
            #expect(heap.verify() == nil)
            for block in blocks { heap.free(block.address, block.size) }
            #expect(heap.core.statistics().requestedBytes == 0)
            var again: [UInt] = []
            while again.count < 3000, let block = heap.allocate(smaller) { again.append(block) }
            #expect(again.allSatisfy { $0 % 16 == 0 })
            for block in again { heap.free(block, smaller) }
            #expect(heap.verify() == nil)
            heap.destroy()
        }
    }
}
