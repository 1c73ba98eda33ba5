import Testing

import HeapCore

extension HeapSuites {
    @Suite struct LookupTests {
        /// Every byte of a small heap is inside exactly the block that the visitor shows there, or in none.
        @Test(arguments: [false, true]) func everyAddressFindsItsBlock(isChecked: Bool) throws {
            let heap = try TestHeap(1 << 20) { $0.isChecked = isChecked }
            var random = Random(seed: 11)
            var held: [(UInt, Int)] = []
            for _ in 0..<400 {
                let size = random.size(most: 12_000)
                let alignment = random.below(8) == 0 ? 1 << random.below(13) : 1
                if let block = heap.allocate(size, alignment: alignment) { held.append((block, size)) }
            }
            // Holes of every kind: in spans, single granules, whole runs.
            for index in stride(from: held.count - 1, through: 0, by: -2) {
                heap.free(held[index].0, held[index].1)
                held.remove(at: index)
            }
            let live = heap.liveBlocks()
            #expect(Set(live.map(\.start)) == Set(held.map(\.0)))
            for (block, size) in held {
                #expect(live.contains { $0.start == block && $0.byteCount >= size })
            }
            var next = 0
            var wrong = 0
            for address in heap.base..<heap.base + (1 << 20) {
                while next < live.count, address >= live[next].start + UInt(max(live[next].byteCount, 1)) { next += 1 }
                let expected: Extent? = next < live.count && address >= live[next].start ? live[next] : nil
                if heap.block(holding: address) != expected { wrong += 1 }
            }
            #expect(wrong == 0)
            #expect(heap.block(holding: heap.base - 1) == nil)
            #expect(heap.block(holding: heap.base + (1 << 20)) == nil)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func theVisitorShowsEveryBlockOnceInOrder() throws {
            let heap = try TestHeap(16 << 20)
            var expected: Set<UInt> = []
            for size in stride(from: 0, to: 20_000, by: 37) { expected.insert(try #require(heap.allocate(size))) }
            let live = heap.liveBlocks()
            #expect(live.map(\.start) == expected.sorted())
            for (one, other) in zip(live, live.dropFirst()) { #expect(one.end <= other.start) }
            for block in expected { heap.free(block) }
            #expect(heap.liveBlocks().isEmpty)
            heap.destroy()
        }
    }
}
