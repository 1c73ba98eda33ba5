import Testing

import HeapCore

extension HeapSuites {
    @Suite struct AlignmentTests {
        @Test func everyPowerOfTwoAndManySizes() throws {
            for isChecked in [false, true] {
                let heap = try TestHeap(512 << 20) { $0.isChecked = isChecked }
                var alignment = 1
                // Checked mode writes the whole front of a block: large alignments take long there.
                while alignment <= (isChecked ? 1 << 20 : 64 << 20) {
                    for size in [0, 1, 7, 8, 16, 24, 33, 64, 100, 128, 500, 512, 513, 4096, 4097, 70000] {
                        let block = try #require(heap.allocate(size, alignment: alignment), "\(size) at \(alignment)")
                        #expect(block % UInt(alignment) == 0)
                        #expect(heap.usableSize(block) >= size)
                        heap.free(block, size)
                        let again = try #require(heap.allocate(size, alignment: alignment))
                        #expect(again % UInt(alignment) == 0)
                        heap.free(again)
                    }
                    alignment *= 2
                }
                #expect(heap.verify() == nil)
                #expect(heap.core.statistics().liveBlockCount == 0)
                #expect(heap.destroy())
            }
        }

        @Test func whatIsNoAlignmentIsRefused() throws {
            for isChecked in [false, true] {
                let heap = try TestHeap(4 << 20) { $0.isChecked = isChecked }
                for alignment in [0, 3, 5, 6, 12, 100, -1, -8, Int.min, Int.max, 8 << 20, 1 << 40] {
                    #expect(heap.allocate(64, alignment: alignment) == nil, "alignment \(alignment)")
                }
                #expect(heap.verify() == nil)
                heap.destroy()
            }
        }

        /// A checked block says in 32 bits how far its frame reaches before it.
        @Test(.enabled(if: !Sanitizer.isPresent)) func aCheckedHeapHasAMostOfAlignment() throws {
            let heap = try TestHeap(16 << 30) { $0.isChecked = true }
            #expect(heap.allocate(10, alignment: 1 << 32) == nil)
            #expect(heap.allocate(10, alignment: 1 << 33) == nil)
            let block = try #require(heap.allocate(10, alignment: 1 << 20))
            heap.free(block, 10)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func sizesThatCannotBeAreRefused() throws {
            for isChecked in [false, true] {
                let heap = try TestHeap(4 << 20) { $0.isChecked = isChecked }
                let block = try #require(heap.allocate(100))
                for size in [-1, Int.min, Int.max, Int.max - 15, Int.max - 63, -64, (4 << 20) + 1, 4 << 20, 1 << 47] {
                    #expect(heap.allocate(size) == nil, "size \(size)")
                    #expect(heap.allocateZeroed(size) == nil, "size \(size)")
                    for alignment in [1, 16, 64, 4096, 1 << 20] {
                        #expect(heap.allocate(size, alignment: alignment) == nil, "size \(size) at \(alignment)")
                    }
                    #expect(heap.resize(block, from: 100, to: size) == nil, "size \(size)")
                    #expect(heap.resize(block, to: size) == nil, "size \(size)")
                }
                #expect(heap.core.statistics().liveBlockCount == 1)
                #expect(heap.core.statistics().requestedBytes == 100)
                heap.free(block, 100)
                #expect(heap.verify() == nil)
                heap.destroy()
            }
        }

        /// Blocks with an alignment come back under the size that was asked for, and go out again to others: nobody
        /// may get less than was promised.
        @Test(arguments: [BlockAlignment.eight, .sixteen, .cacheLine]) func reusedBlocksKeepTheirPromises(least: BlockAlignment) throws {
            let heap = try TestHeap(8 << 20) { $0.blockAlignment = least }
            var random = Random(seed: 21)
            var held: [(block: UInt, size: Int)] = []
            for _ in 0..<scaled(20000) {
                if held.count > 200 || (random.below(2) == 0 && !held.isEmpty) {
                    let (block, size) = held.remove(at: random.below(held.count))
                    let usable = heap.usableSize(block)
                    #expect(usable >= size)
                    heap.free(block, random.below(2) == 0 ? size : usable)
                } else if random.below(2) == 0 {
                    let size = random.below(700)
                    let block = try #require(heap.allocate(size))
                    #expect(block % promisedAlignment(ofSize: size, least: UInt(least.rawValue)) == 0, "size \(size)")
                    held.append((block, size))
                } else {
                    let size = random.below(700)
                    let alignment = 1 << random.below(9)
                    let block = try #require(heap.allocate(size, alignment: alignment))
                    #expect(block % UInt(alignment) == 0, "\(size) at \(alignment)")
                    held.append((block, size))
                }
            }
            for (block, size) in held { heap.free(block, size) }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            heap.destroy()
        }
    }
}
