import CTestSupport
import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// What regions take for objects of one size, and for ones that stand on large alignments.
    @Suite struct SizeSweepTests {
        private func fill(_ heap: TestHeap, _ size: Int, count: Int) throws -> RegionStatistics {
            let region = try #require(heap.open())
            for _ in 0..<count { #expect(region.allocate(size) != nil) }
            let statistics = region.core.statistics
            #expect(region.core.close() == .done)
            return statistics
        }

        /// No size makes a region twice as large as what is in it, or every object a run of its own.
        @Test func everySizeIsPackedInChunks() throws {
            let heap = try TestHeap(128 << 20)
            for size in Array(stride(from: 8, through: 16_376, by: 248)) + [3000, 4000, 4024, 4032, 4040, 4080, 8120, 8128, 8200, 12_300] {
                let statistics = try fill(heap, size, count: 8 << 20 / size)
                #expect(statistics.largeObjectCount <= 16, "\(size) bytes: \(statistics.largeObjectCount) runs of their own")
                let ratio = Double(statistics.runBytes) / Double(statistics.usedBytes)
                #expect(ratio <= 1.08, "\(size) bytes: \(ratio)")
            }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        /// From 64 KiB of content on, a region takes at most half more than that, and less the more it holds.
        @Test func smallRegionsOfEverySize() throws {
            let heap = try TestHeap(128 << 20)
            for size in stride(from: 8, through: 16_376, by: 88) {
                let small = try fill(heap, size, count: max(65_536 / size, 1))
                #expect(small.runBytes <= small.usedBytes * 2, "\(size) bytes")
                let middle = try fill(heap, size, count: 1 << 20 / size)
                #expect(Double(middle.runBytes) <= Double(middle.usedBytes) * 1.35, "\(size) bytes")
            }
            heap.destroy()
        }

        /// The alignment itself is no part of what an object takes.
        @Test func alignedObjectsTakeTheirSize() throws {
            let heap = try TestHeap(4 << 20)
            let region = try #require(heap.open())
            for (size, alignment) in [(16, 4096), (16, 1 << 20), (16_384, 2 << 20), (100_000, 1 << 16)] {
                let before = region.core.statistics.runBytes
                let object = try #require(region.allocate(size, alignment: alignment), "\(size) bytes at \(alignment)")
                #expect(object % UInt(alignment) == 0)
                cistern_test_fill(object, size, 3)
                #expect(cistern_test_holds(object, size, 3))
                #expect(region.core.statistics.runBytes - before <= UInt64(size + 3 * 4096))
                #expect(heap.verify() == nil)
                #expect(region.core.reset() == .done)
            }
            #expect(region.core.close() == .done)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func alignedObjectsThatAreZeroed() throws {
            let heap = try TestHeap(32 << 20)
            let region = try #require(heap.open())
            for round in 0..<3 {
                for shift in 12...22 {
                    for size in [16, 5000, 70_000] {
                        let object = try #require(region.allocateZeroed(size, alignment: 1 << shift))
                        #expect(object % (1 << UInt(shift)) == 0 && cistern_test_is_zero(object, size))
                        cistern_test_fill(object, size, UInt64(round))
                    }
                }
                #expect(heap.verify() == nil)
                #expect(region.core.reset() == .done)
            }
            #expect(region.core.close() == .done)
            heap.destroy()
        }
    }
}
