import CTestSupport
import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// Sizes, alignments, chunks, large objects, the limit.
    @Suite struct AllocationTests {
        @Test func everySmallSizeAtEveryAlignment() throws {
            let heap = try TestHeap(16 << 20)
            let region = try #require(heap.open())
            var objects: [(start: UInt, size: Int, seed: UInt64)] = []
            for alignment in [1, 2, 4, 8, 16, 32, 64, 128, 1024] {
                for size in 0...130 {
                    let start = try #require(region.allocate(size, alignment: alignment))
                    #expect(start % UInt(max(alignment, 8)) == 0)
                    if size > 0 { #expect(heap.owner(of: start) == region && heap.owner(of: start + UInt(size) - 1) == region) }
                    cistern_test_fill(start, size, UInt64(objects.count))
                    objects.append((start, size, UInt64(objects.count)))
                }
            }
            for object in objects {
                #expect(cistern_test_holds(object.start, object.size, object.seed))
                if object.size > 0 {
                    #expect(region.contains(object.start) && region.contains(object.start + UInt(object.size) - 1))
                }
            }
            // None lies in another.
            let sorted = objects.filter { $0.size > 0 }.sorted { $0.start < $1.start }
            #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $0.start + UInt($0.size) <= $1.start })
            #expect(heap.verify() == nil)
            #expect(region.core.close() == .done)
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            heap.destroy()
        }

        @Test func chunksBeginWithOnePageAndGrow() throws {
            let heap = try TestHeap(64 << 20)
            let region = try #require(heap.open())
            #expect(region.core.statistics.runBytes == 0)
            #expect(region.allocate(313) != nil)
            #expect(region.core.statistics.runBytes == 4096)
            var most: UInt64 = 0
            for _ in 0..<100_000 { #expect(region.allocate(64) != nil) }
            for chunk in region.chunks { most = max(most, UInt64(chunk.range.count)) }
            #expect(most > 200_000 && most <= 256 << 10)
            let statistics = region.core.statistics
            #expect(statistics.usedBytes == 6_400_320)
            #expect(Double(statistics.runBytes) / 6_400_320 < 1.06)
            #expect(region.chunksStepwise == region.chunks.map(\.range))
            #expect(region.core.close() == .done)
            #expect(heap.core.statistics().regionBytes <= 64 << 10)
            heap.core.trim()
            #expect(heap.core.statistics().regionBytes == 0)
            #expect(heap.verify() == nil)
            heap.destroy()
        }
    }
}
