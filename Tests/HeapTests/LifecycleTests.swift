import CHeap
import CTestSupport
import Testing

@testable import HeapCore

extension HeapSuites {
    @Suite struct LifecycleTests {
        @Test func aHeapIsReadyAfterThreeCalls() throws {
            for isInherited in [true, false] {
                let table = FaultTable()
                let heap = try TestHeap(16 << 30) {
                    table.install(in: &$0)
                    $0.isInheritedByFork = isInherited
                }
                #expect(table.counts.all == (isInherited ? 3 : 5))
                #expect(table.counts.reserve == 1)
                #expect(table.counts.reservedBytes == 16 << 30)
                #expect(table.counts.commit == 1)
                #expect(table.counts.advise == (isInherited ? 0 : 2))
                #expect(heap.allocate(100) != nil)
                #expect(heap.destroy())
                #expect(table.counts.liveReservations == 0)
                table.isNeeded()
            }
        }

        /// Heaps come and go at the same address; this thread's cache of the one before must not be taken for its own.
        @Test func heapsComeAndGo() throws {
            let before = cistern_test_mapping_count()
            var sameAddress = 0
            var previous: UInt = 0
            let count = scaled(20_000)
            for number in 0..<count {
                let heap = try TestHeap(1 << 20)
                if heap.base == previous { sameAddress += 1 }
                previous = heap.base
                let block = try #require(heap.allocate(64))
                cistern_test_fill(block, 64, UInt64(number))
                if number % 2 == 0 { heap.free(block, 64) }
                let other = try #require(heap.allocate(64))
                #expect(number % 2 == 0 || other != block)
                #expect(heap.destroy())
            }
            #expect(sameAddress > count / 2)
            // Other suites run meanwhile; a leak would be thousands.
            #expect(cistern_test_mapping_count() <= before + 400)
        }

        @Test func nineHeapsInOneThread() throws {
            let heaps = try (0..<9).map { _ in try TestHeap(4 << 20) }
            var random = Random(seed: 9)
            var held: [[(block: UInt, size: Int, seed: UInt64)]] = Array(repeating: [], count: 9)
            for step in 0..<scaled(30_000) {
                let index = random.below(9)
                if held[index].count > 50 || (random.below(2) == 0 && !held[index].isEmpty) {
                    let one = held[index].remove(at: random.below(held[index].count))
                    #expect(cistern_test_holds(one.block, one.size, one.seed))
                    heaps[index].free(one.block, one.size)
                } else {
                    let size = random.size(most: 5000)
                    let block = try #require(heaps[index].allocate(size))
                    #expect(heaps[index].contains(block))
                    cistern_test_fill(block, size, UInt64(step))
                    held[index].append((block, size, UInt64(step)))
                }
            }
            for (heap, blocks) in zip(heaps, held) {
                #expect(heap.core.statistics().liveBlockCount == UInt64(blocks.count))
                for one in blocks {
                    #expect(cistern_test_holds(one.block, one.size, one.seed))
                    heap.free(one.block, one.size)
                }
                #expect(heap.verify() == nil)
                #expect(heap.destroy())
            }
        }

        /// In a child, so that the heaps of other tests do not count.
        @Test(.enabled(if: !Sanitizer.isPresent)) func thereIsAMostOfHeaps() {
            let status = inChild {
                var heaps: [TestHeap] = []
                do throws(HeapCreationError) {
                    while heaps.count <= 4096 { heaps.append(try TestHeap(1 << 20)) }
                } catch {
                    guard error == .tooManyHeaps, heaps.count > 4000 else { return 1 }
                }
                guard heaps.count <= 4096, let last = heaps.popLast() else { return 2 }
                guard last.destroy() else { return 3 }
                // Room for one again, and only one.
                guard let one = try? TestHeap(1 << 20), (try? TestHeap(1 << 20)) == nil else { return 4 }
                guard let block = one.allocate(100) else { return 5 }
                one.free(block, 100)
                return 0
            }
            #expect(status == 0)
        }

        @Test func aHeapForOneThread() throws {
            let heap = try TestHeap(16 << 20) { $0.isForOneThread = true }
            var blocks: [(UInt, Int)] = []
            var random = Random(seed: 2)
            // Whichever thread it is at the moment: the cache is the same.
            for _ in 0..<3 {
                let thread = TestThread {
                    for _ in 0..<500 {
                        let size = random.size(most: 3000)
                        guard let block = heap.allocate(size) else { continue }
                        blocks.append((block, size))
                    }
                    for _ in 0..<200 {
                        let (block, size) = blocks.remove(at: random.below(blocks.count))
                        heap.free(block, size)
                    }
                }
                thread.join()
            }
            #expect(heap.core.statistics().liveBlockCount == UInt64(blocks.count))
            #expect(heap.verify() == nil)
            for (block, size) in blocks { heap.free(block, size) }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            #expect(heap.destroy())
        }

        @Test func handlesNameTheSameHeap() throws {
            let heap = try TestHeap(1 << 20)
            let other = unsafe BoundedHeap(headerPointer: heap.core.headerPointer)
            #expect(UInt(bitPattern: unsafe other.headerPointer) == heap.base)
            #expect(other.capacityBytes == heap.core.capacityBytes)
            #expect(other.destroy())
        }
    }
}
