import CTestSupport
import Testing

import HeapCore

extension HeapSuites {
    @Suite struct ZeroedTests {
        private static let sizes = [0, 1, 8, 100, 512, 600, 4096, 4097, 10_000, 65_536, 1_000_000]

        private func expectZeroed(_ heap: TestHeap, _ size: Int) throws {
            let block = try #require(heap.allocateZeroed(size))
            #expect(cistern_test_is_zero(block, size), "size \(size)")
            cistern_test_fill(block, heap.usableSize(block), 9)
            heap.free(block, size)
        }

        @Test(arguments: [false, true]) func freshAndRecycledMemoryIsZero(isChecked: Bool) throws {
            let heap = try TestHeap(16 << 20) { $0.isChecked = isChecked }
            for _ in 0..<3 { for size in Self.sizes { try expectZeroed(heap, size) } }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().requestedBytes == 0)
            heap.destroy()
        }

        @Test func pagesThatWereGivenBackAreZero() throws {
            let heap = try TestHeap(16 << 20)
            for size in Self.sizes {
                let dirty = try (0..<4).map { _ in try #require(heap.allocate(size)) }
                let fence = try #require(heap.allocate(5000))
                for block in dirty { cistern_test_fill(block, heap.usableSize(block), 5) }
                for block in dirty { heap.free(block, size) }
                heap.core.trim()
                for _ in 0..<4 { try expectZeroed(heap, size) }
                heap.free(fence, 5000)
                heap.core.trim()
                for _ in 0..<2 { try expectZeroed(heap, size) }
            }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        /// A system that leaves the bytes where they are when it takes memory back.
        @Test func pagesThatReadAsStaleAreCleared() throws {
            let table = FaultTable()
            table.decommitLeavesStaleBytes()
            let heap = try TestHeap(16 << 20) { table.install(in: &$0) }
            let dirty = try #require(heap.allocate(1 << 20))
            let fence = try #require(heap.allocate(5000))
            cistern_test_fill(dirty, 1 << 20, 5)
            heap.free(dirty, 1 << 20)
            #expect(heap.core.trim() == 0)
            #expect(table.counts.decommit > 0)
            #expect(heap.core.statistics().givenBackBytes == 0)
            try expectZeroed(heap, 1 << 20)
            heap.free(fence, 5000)
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
            table.isNeeded()
        }

        /// Zeroed blocks over memory that was partly used: every mixture of dirty and untouched pages.
        @Test func mixturesOfDirtyAndFreshPagesAreZero() throws {
            let heap = try TestHeap(16 << 20)
            var random = Random(seed: 3)
            for _ in 0..<scaled(300) {
                var held: [(UInt, Int)] = []
                for _ in 0..<8 {
                    let size = 4097 + random.below(60_000)
                    let block = try #require(heap.allocateZeroed(size))
                    #expect(cistern_test_is_zero(block, size))
                    // Only a stretch of it becomes dirty.
                    let start = random.below(size)
                    cistern_test_fill(block + UInt(start), random.below(size - start + 1), 7)
                    held.append((block, size))
                }
                if random.below(4) == 0 { heap.core.trim() }
                for (block, size) in held { heap.free(block, size) }
                if random.below(4) == 0 { heap.core.trim() }
            }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func aFullHeapRefusesAndRecovers() throws {
            let heap = try TestHeap(1 << 20)
            var blocks: [UInt] = []
            while let block = heap.allocateZeroed(9000) { blocks.append(block) }
            #expect(blocks.count > 80)
            #expect(heap.verify() == nil)
            for block in blocks { heap.free(block, 9000) }
            // What small blocks hold in this thread's cache is given back when a zeroed block needs it.
            var small: [UInt] = []
            while let block = heap.allocate(512) { small.append(block) }
            for block in small { heap.free(block, 512) }
            #expect(heap.allocateZeroed(100_000) != nil)
            #expect(heap.verify() == nil)
            heap.destroy()
        }
    }
}
