import CTestSupport
import Testing

import HeapCore

extension HeapSuites {
    @Suite(.enabled(if: !Sanitizer.isPresent)) struct ForkTests {
        enum Kind: CaseIterable { case usual, checked }

        /// Threads allocate all the while; each child finds a heap that it can use.
        @Test(arguments: Kind.allCases) func forkBesideAllocatingThreads(kind: Kind) throws {
            let heap = try TestHeap(64 << 20) { $0.isChecked = kind == .checked }
            let stop = SharedWord()
            let started = SharedWord()
            let threads = (0..<2).map { number in
                TestThread {
                    var random = Random(seed: UInt64(number))
                    var held: [(UInt, Int)] = []
                    while stop.value == 0 {
                        started.add(1)
                        if held.count > 300 {
                            while held.count > 150 {
                                let (block, size) = held.removeLast()
                                heap.free(block, size)
                            }
                        }
                        let size = random.size(most: 50_000)
                        let block = random.below(4) == 0 ? heap.allocateZeroed(size) : heap.allocate(size)
                        if let block { held.append((block, size)) }
                    }
                    for (block, size) in held { heap.free(block, size) }
                }
            }
            started.wait(until: 100)
            let mine = try #require(heap.allocate(1000))
            cistern_test_fill(mine, 1000, 1)
            var outcomes: [Int32: Int] = [:]
            for number in 0..<scaled(200) {
                let status = inChild(seconds: 10) { childsWork(on: heap, mine: mine, number: number) }
                outcomes[status, default: 0] += 1
                if status != 0 { break }
            }
            #expect(outcomes == [0: scaled(200)])
            stop.value = 1
            for thread in threads { thread.join() }
            heap.free(mine, 1000)
            #expect(heap.verify() == nil)
            #expect(heap.liveBlocks().isEmpty)
            heap.destroy()
        }

        private func childsWork(on heap: TestHeap, mine: UInt, number: Int) -> Int32 {
            guard cistern_test_holds(mine, 1000, 1) else { return 1 }
            for size in [8, 100, 600, 5000, 100_000] {
                guard let block = heap.allocate(size) else { return 2 }
                cistern_test_fill(block, size, 2)
                guard heap.verify() == nil else { return 3 }
                guard cistern_test_holds(block, size, 2) else { return 4 }
                if number % 2 == 0 { heap.free(block, size) } else { heap.free(block) }
            }
            heap.free(mine, 1000)
            heap.core.trim()
            return heap.verify() == nil ? 0 : 5
        }

        /// What vanished threads had in their caches is the child's again.
        @Test func cachesOfVanishedThreadsAreRecovered() throws {
            let heap = try TestHeap(64 << 20)
            let phase = SharedWord()
            let thread = TestThread {
                let blocks = (0..<1000).compactMap { heap.allocate(1 + $0) }
                for (number, block) in blocks.enumerated() { heap.free(block, 1 + number) }
                phase.value = 1
                phase.wait(until: 2)
            }
            phase.wait(until: 1)
            #expect(heap.core.statistics().cachedBlockCount > 0)
            let status = inChild {
                let now = heap.core.statistics()
                guard now.cachedBlockCount == 0, now.liveBlockCount == 0 else { return 1 }
                guard heap.verify() == nil else { return 2 }
                // Children have children.
                return inChild { heap.verify() == nil && heap.allocate(100) != nil ? 0 : 3 }
            }
            #expect(status == 0)
            phase.value = 2
            thread.join()
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func aHeapForOneThreadIsInherited() throws {
            let heap = try TestHeap(16 << 20) { $0.isForOneThread = true }
            let block = try #require(heap.allocate(100))
            cistern_test_fill(block, 100, 4)
            let status = inChild {
                guard cistern_test_holds(block, 100, 4), let other = heap.allocate(100), other != block else { return 1 }
                heap.free(block, 100)
                heap.free(other, 100)
                return heap.verify() == nil && heap.destroy() ? 0 : 2
            }
            #expect(status == 0)
            heap.free(block, 100)
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
        }

        @Test func aHeapThatIsNotInheritedAnswersNo() throws {
            let heap = try TestHeap(16 << 20) { $0.isInheritedByFork = false }
            let other = try TestHeap(16 << 20) { $0.isInheritedByFork = true }
            let block = try #require(heap.allocate(100))
            let large = try #require(heap.allocate(100_000))
            cistern_test_fill(large, 100_000, 1)
            let kept = try #require(other.allocate(100))
            cistern_test_fill(kept, 100, 2)
            let status = inChild {
                guard heap.allocate(100) == nil, heap.allocate(100_000) == nil, heap.allocate(0) == nil else { return 1 }
                guard heap.allocateZeroed(100) == nil, heap.allocateZeroed(100_000) == nil else { return 2 }
                guard heap.allocate(100, alignment: 64) == nil, heap.allocate(100, alignment: 4096) == nil else { return 3 }
                guard heap.resize(block, from: 100, to: 200) == nil, heap.resize(large, to: 10) == nil else { return 4 }
                heap.free(block, 100)
                heap.free(block)
                heap.free(large, 100_000)
                heap.free(large)
                guard heap.core.trim() == 0, heap.core.maintain() == 0, heap.verify() == nil else { return 5 }
                guard heap.core.statistics() == HeapStatistics(), heap.liveBlocks().isEmpty else { return 6 }
                guard heap.block(holding: block) == nil, !heap.core.isAboveSoftLimit, heap.core.lastRefusalCode == 0 else { return 7 }
                guard !heap.destroy() else { return 8 }
                // The one that is inherited works.
                guard cistern_test_holds(kept, 100, 2), other.allocate(100) != nil, other.verify() == nil else { return 9 }
                // And so does a new one.
                guard let new = try? TestHeap(1 << 20), new.allocate(10) != nil, new.destroy() else { return 10 }
                return 0
            }
            #expect(status == 0)
            let details = inChild {
                guard heap.core.sizeClassStatistics(3).usedBlockCount == 0 else { return 1 }
                return heap.usableSize(block) == 0 && heap.usableSize(large) == 0 ? 0 : 2
            }
            #expect(details == 0)
            #expect(cistern_test_holds(large, 100_000, 1))
            heap.free(block, 100)
            heap.free(large, 100_000)
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
            #expect(other.destroy())
        }
    }
}
