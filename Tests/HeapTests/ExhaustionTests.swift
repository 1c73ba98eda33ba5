import CTestSupport
import Testing

import HeapCore

extension HeapSuites {
    @Suite struct ExhaustionTests {
        /// Blocks of one size until there is no room; each holds a pattern.
        private func fill(_ heap: TestHeap, _ size: Int) -> [UInt] {
            var blocks: [UInt] = []
            while let block = heap.allocate(size) {
                cistern_test_fill(block, min(size, 64), UInt64(blocks.count))
                blocks.append(block)
            }
            return blocks
        }

        @Test(arguments: [UInt64(1 << 20), 4 << 20], [8, 16, 24, 64, 104, 512, 520, 4096, 4104, 30_000, 400_000])
        func fillFreeAndFillAgain(capacity: UInt64, size: Int) throws {
            // Small blocks are many: only in the small heap when time is short.
            if capacity > 1 << 20, size < 500, isSmall { return }
            let heap = try TestHeap(capacity)
            let blocks = fill(heap, size)
            #expect(UInt64(blocks.count * size) > capacity * (size < 400_000 ? 7 : 3) / 10, "\(blocks.count) blocks of \(size)")
            #expect(heap.verify() == nil)
            #expect(heap.allocate(size) == nil && heap.allocateZeroed(size) == nil && heap.allocate(size, alignment: 16) == nil)
            #expect(heap.core.lastRefusalCode == 0)
            var lost = 0
            for (number, block) in blocks.enumerated() {
                if !cistern_test_holds(block, min(size, 64), UInt64(number)) { lost += 1 }
                if number % 2 == 0 { heap.free(block, size) } else { heap.free(block) }
            }
            #expect(lost == 0)
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            let again = fill(heap, size)
            #expect(again.count * 100 >= blocks.count * 98, "\(again.count) after \(blocks.count)")
            for block in again.reversed() { heap.free(block, size) }
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
        }

        @Test(arguments: [16, 64, 512, 4096]) func aLargeBlockFitsAfterSmallOnesWereFreed(size: Int) throws {
            if size < 64, isSmall { return }
            let heap = try TestHeap(16 << 20)
            let blocks = fill(heap, size)
            #expect(heap.allocate(100_000) == nil)
            for block in blocks { heap.free(block, size) }
            let large = heap.allocate(15 << 20)
            #expect(large != nil)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        /// The last free granules of a heap are used by any class that fits them.
        @Test func everyClassFindsTheLastRoom() throws {
            let heap = try TestHeap(1 << 20)
            var blocks: [(UInt, Int)] = []
            for size in [200_000, 20_000, 4096, 2000, 513, 512, 300, 104, 72, 64, 40, 8] {
                while let block = heap.allocate(size) { blocks.append((block, size)) }
                #expect(heap.verify() == nil, "size \(size)")
            }
            let live = heap.core.statistics()
            #expect(live.liveBlockBytes + live.metadataBytes > (1 << 20) * 95 / 100)
            for (block, size) in blocks { heap.free(block, size) }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            heap.destroy()
        }

        /// A commitment that the system refuses is an ordinary no with its errno, until it is granted.
        @Test func aRefusedCommitIsRecoverable() throws {
            let table = FaultTable()
            let heap = try TestHeap(64 << 20) { table.install(in: &$0) }
            var blocks = (0..<100).compactMap { _ in heap.allocate(1000) }
            table.refuse(0, forEver: true)
            var more = 0
            while let block = heap.allocate(10_000) {
                blocks.append(block)
                more += 1
            }
            #expect(more > 0 && more < 400)
            #expect(heap.core.lastRefusalCode == 12)
            #expect(heap.verify() == nil)
            table.refuseNothing()
            let block = try #require(heap.allocate(1 << 22))
            #expect(heap.core.lastRefusalCode == 0)
            heap.free(block, 1 << 22)
            for block in blocks { heap.free(block) }
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
            #expect(table.counts.liveReservations == 0)
            table.isNeeded()
        }
    }
}
