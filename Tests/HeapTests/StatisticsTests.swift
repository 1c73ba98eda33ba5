import Testing

@testable import HeapCore

extension HeapSuites {
    @Suite struct StatisticsTests {
        @Test func aFreshHeapHoldsNothing() throws {
            let heap = try TestHeap(64 << 20)
            let fresh = heap.core.statistics()
            #expect(fresh.capacityBytes == 64 << 20)
            #expect(fresh.liveBlockCount == 0 && fresh.liveBlockBytes == 0 && fresh.requestedBytes == 0)
            #expect(fresh.usedBytes == 0 && fresh.spanBytes == 0 && fresh.cachedBlockCount == 0 && fresh.freeRunCount == 0)
            #expect(fresh.metadataBytes == UInt64(heap.core.header.it.first_granule) * 64)
            #expect(fresh.extentBytes == fresh.metadataBytes && fresh.committedBytes >= fresh.extentBytes)
            #expect(HeapStatistics() != fresh && HeapStatistics().capacityBytes == 0)
            heap.destroy()
        }

        @Test func countsAreExactAtRest() throws {
            let heap = try TestHeap(64 << 20)
            var random = Random(seed: 5)
            var held: [(UInt, Int)] = []
            var requested = 0
            for step in 0..<scaled(8000) {
                if random.below(3) == 0, !held.isEmpty {
                    let (block, size) = held.remove(at: random.below(held.count))
                    heap.free(block, size)
                    requested -= size
                } else {
                    let size = random.size(most: 30_000)
                    held.append((try #require(heap.allocate(size)), size))
                    requested += size
                }
                if step % 500 == 0 {
                    let now = heap.core.statistics()
                    #expect(now.liveBlockCount == UInt64(held.count))
                    #expect(now.liveBlockBytes == UInt64(held.reduce(0) { $0 + heap.usableSize($1.0) }))
                    #expect(now.requestedBytes == Int64(requested))
                    #expect(now.cachedBytes <= now.capacityBytes / 64)
                    #expect(now.usedBytes >= now.liveBlockBytes && now.usedHighWaterBytes >= now.usedBytes)
                    #expect(now.extentHighWaterBytes >= now.extentBytes && now.committedBytes >= now.extentBytes)
                    #expect(now.touchedHighWaterBytes >= now.touchedBytes && now.committedHighWaterBytes >= now.committedBytes)
                }
            }
            for (block, size) in held { heap.free(block, size) }
            let end = heap.core.statistics()
            #expect(end.liveBlockCount == 0 && end.liveBlockBytes == 0 && end.requestedBytes == 0)
            #expect(end.slowAllocationCount > 0 && end.slowDeallocationCount > 0)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func eachClassCountsItsBlocks() throws {
            let heap = try TestHeap(64 << 20)
            for index in 0..<BoundedHeap.sizeClassCount {
                let size = (index + 1) * 8
                let count = 2048 / size + 70
                let blocks = try (0..<count).map { _ in try #require(heap.allocate(size)) }
                let counted = heap.core.sizeClassStatistics(index)
                #expect(counted.blockBytes == size)
                #expect(counted.spanCount > 0 && counted.spanBytes >= UInt64(counted.spanCount) * 4096)
                #expect(counted.usedBlockCount >= UInt64(64))
                for block in blocks { heap.free(block, size) }
                #expect(heap.verify() == nil)
                #expect(heap.core.sizeClassStatistics(index).usedBlockCount == 0, "class \(index)")
            }
            heap.destroy()
        }

        @Test func theSoftLimitIsSetAndCleared() throws {
            let heap = try TestHeap(64 << 20) { $0.softLimitBytes = 1 << 20 }
            #expect(!heap.core.isAboveSoftLimit)
            let block = try #require(heap.allocate(1 << 20))
            #expect(heap.core.isAboveSoftLimit)
            heap.free(block, 1 << 20)
            #expect(!heap.core.isAboveSoftLimit)
            let other = try #require(heap.allocate(500_000))
            #expect(!heap.core.isAboveSoftLimit)
            heap.core.setSoftLimit(bytes: 400_000)
            #expect(heap.core.isAboveSoftLimit)
            heap.core.setSoftLimit(bytes: 0)
            #expect(!heap.core.isAboveSoftLimit)
            let more = try #require(heap.allocate(8 << 20))
            #expect(!heap.core.isAboveSoftLimit)
            heap.core.setSoftLimit(bytes: 1 << 20)
            #expect(heap.resize(more, from: 8 << 20, to: 100_000) == more)
            #expect(!heap.core.isAboveSoftLimit)
            heap.free(more, 100_000)
            heap.free(other, 500_000)
            heap.destroy()
        }

        /// What thread caches park is bounded by a 64th of the capacity, whatever the mix of sizes.
        @Test(arguments: [UInt64(1 << 20), 4 << 20, 16 << 20, 256 << 20]) func cachesStayInTheirBudget(capacity: UInt64) throws {
            let heap = try TestHeap(capacity)
            var random = Random(seed: capacity)
            for _ in 0..<scaled(30) {
                var held: [(UInt, Int)] = []
                var total = 0
                while total < Int(capacity) / 4, held.count < 3000 {
                    let size = 1 + random.below(4096)
                    guard let block = heap.allocate(size) else { break }
                    held.append((block, size))
                    total += size
                }
                for (block, size) in held { heap.free(block, size) }
                let now = heap.core.statistics()
                // The budget counts what a bin's blocks need; the first few of a class stand in runs that are a little larger.
                #expect(now.cachedBytes <= capacity / 64 + 4096)
                #expect(now.liveBlockCount == 0)
            }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().cachedBytes == 0)
            heap.destroy()
        }
    }
}
