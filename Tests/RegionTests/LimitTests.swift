import CTestSupport
import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// Limits to the byte, large objects, sizes that cannot be, and heaps that are full.
    @Suite struct LimitTests {
        @Test func theLimitIsExact() throws {
            let heap = try TestHeap(16 << 20)
            for limit in 1...200 {
                let region = try #require(heap.open(limit: UInt64(limit)))
                var count = 0
                while region.allocate(8) != nil { count += 1 }
                #expect(count == limit / 8)
                #expect(region.core.lastRefusal == .limitReached)
                #expect(region.core.usedBytes == UInt64(limit / 8 * 8))
                #expect(heap.verify() == nil)
                #expect(region.core.setLimit(bytes: 0) == .done && region.allocate(8) != nil)
                #expect(region.core.close() == .done)
            }
            heap.destroy()
        }

        @Test(arguments: [100, 5000, 16_383, 16_384, 20_000, 100_000, 1_000_000])
        func theLimitHoldsForEverySize(size: Int) throws {
            let heap = try TestHeap(64 << 20)
            let rounded = (size + 7) / 8 * 8
            for slack in [-1, 0, 1] {
                let region = try #require(heap.open(limit: UInt64(rounded * 3 + slack)))
                for count in 0..<3 { #expect((region.allocate(size) != nil) == (count < 2 || slack >= 0)) }
                #expect(region.allocate(size, alignment: 16) == nil && region.core.lastRefusal == .limitReached)
                #expect(region.allocateZeroed(size) == nil && region.core.lastRefusal == .limitReached)
                #expect(region.core.close() == .done)
            }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func sizesThatCannotBe() throws {
            let heap = try TestHeap(16 << 20)
            let region = try #require(heap.open())
            for size in [Int.max, Int.max - 7, Int.max - 4096, Int.min, -1, 1 << 40, 16 << 20, (16 << 20) + 1] {
                #expect(region.allocate(size) == nil)
                #expect(region.core.lastRefusal == .exhausted)
                #expect(region.allocateZeroed(size) == nil)
                for alignment in [1, 16, 64, 4096, 1 << 24] { #expect(region.allocate(size, alignment: alignment) == nil) }
            }
            for alignment in [0, -1, 3, 24, Int.max, Int.min + 1] {
                #expect(region.allocate(8, alignment: alignment) == nil)
                #expect(region.core.lastRefusal == .invalidArgument)
            }
            #expect(region.allocate(8, alignment: 1 << 40) == nil && region.core.lastRefusal == .exhausted)
            #expect(region.core.usedBytes == 0)
            #expect(region.core.close() == .done)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func largeObjectsStandAloneAndKeepTheirAlignment() throws {
            let heap = try TestHeap(64 << 20)
            let region = try #require(heap.open())
            var expected = 0
            for shift in 3...21 {
                for size in [16_384, 50_000, 4096 * 7 - 64] {
                    let object = try #require(region.allocate(size, alignment: 1 << shift))
                    #expect(object % (1 << UInt(shift)) == 0)
                    cistern_test_fill(object, size, UInt64(shift))
                    #expect(cistern_test_holds(object, size, UInt64(shift)))
                    expected += 1
                    #expect(heap.owner(of: object) == region && heap.owner(of: object + UInt(size) - 1) == region)
                }
            }
            #expect(region.core.statistics.largeObjectCount == expected)
            #expect(heap.verify() == nil)
            #expect(region.core.close() == .done)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func zeroedMemoryIsZeroAlsoWhereItWasUsedBefore() throws {
            let heap = try TestHeap(64 << 20)
            for round in 0..<4 {
                let region = try #require(heap.open())
                for size in [1, 100, 5000, 16_384, 70_000, 1_000_000] {
                    let object = try #require(region.allocateZeroed(size, alignment: round % 2 == 0 ? 8 : 4096))
                    #expect(cistern_test_is_zero(object, size))
                    cistern_test_fill(object, size, 7)
                }
                #expect(region.core.close() == .done)
            }
            heap.destroy()
        }

        /// A heap that is full: every operation says so and changes nothing.
        @Test func aFullHeapRefusesEverythingAndKeepsEverything() throws {
            let heap = try TestHeap(1 << 20)
            let root = try #require(heap.open())
            let child = try #require(root.child())
            let small = try #require(child.allocate(3000))
            cistern_test_fill(small, 3000, 1)
            let large = try #require(child.allocate(20_000))
            cistern_test_fill(large, 20_000, 2)
            var blocks: [UInt] = []
            for size in [4096, 64] { while let block = heap.allocate(size) { blocks.append(block) } }
            while root.allocate(8) != nil {}
            while child.allocate(8) != nil {}
            var opened: [TestRegion] = []
            while let one = heap.open() { opened.append(one) }
            let before = (root.core.statistics, child.core.statistics, heap.core.statistics().regionBytes)
            #expect(root.allocate(1) == nil && root.core.lastRefusal == .exhausted)
            #expect(root.mark().status == .exhausted)
            #expect(root.core.addCleanup(CleanupLog.action, context: 0) == .exhausted)
            unsafe #expect(child.promote(small, 3000).status == .exhausted)
            #expect(root.child() == nil && root.core.lastRefusal == .exhausted)
            #expect(before.0 == root.core.statistics && before.1 == child.core.statistics)
            #expect(before.2 == heap.core.statistics().regionBytes)
            #expect(cistern_test_holds(small, 3000, 1) && cistern_test_holds(large, 20_000, 2))
            // A large object needs no memory to change hands.
            unsafe #expect(child.promote(large, 20_000) == (.done, large))
            #expect(heap.verify() == nil)
            // What is given back can be had again.
            #expect(child.core.close() == .done)
            #expect(root.allocate(1000) != nil)
            #expect(cistern_test_holds(large, 20_000, 2))
            for one in opened { #expect(one.core.close() == .done) }
            #expect(root.core.close() == .done)
            for block in blocks.dropLast() { heap.free(block, 64) }
            #expect(heap.core.statistics().regionBytes <= 64 << 10)
            heap.destroy()
        }
    }
}
