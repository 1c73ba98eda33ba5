import CTestSupport
import Testing

@testable import HeapCore

/// Dropping everything, and giving back what threads hold.
extension HeapSuites {
    @Suite struct DiscardTests {
        enum Kind: CaseIterable { case usual, oneThread, checked, aligned }

        private func heap(_ kind: Kind, _ capacityBytes: UInt64 = 64 << 20, _ table: FaultTable? = nil) throws -> TestHeap {
            try TestHeap(capacityBytes) {
                $0.isForOneThread = kind == .oneThread
                $0.isChecked = kind == .checked
                $0.blockAlignment = kind == .aligned ? .sixteen : .eight
                $0.softLimitBytes = 20 << 20
                $0.usesHugePages = false
                table?.install(in: &$0)
            }
        }

        private func fill(_ heap: TestHeap) throws {
            for number in 0..<3000 { cistern_test_fill(try #require(heap.allocate(1 + number % 700)), 1 + number % 700, 1) }
            for size in [5000, 1 << 20, 24 << 20] { cistern_test_fill(try #require(heap.allocate(size)), size, 2) }
            for number in 0..<100 {
                let block = try #require(heap.allocate(number * 10))
                heap.free(block, number * 10)
            }
        }

        /// What a heap says about itself, apart from what goes on through its life.
        private func state(_ heap: TestHeap) -> HeapStatistics {
            var now = heap.core.statistics()
            now.committedHighWaterBytes = 0
            now.extentHighWaterBytes = 0
            now.usedHighWaterBytes = 0
            now.touchedHighWaterBytes = 0
            now.givenBackBytes = 0
            return now
        }

        @Test(arguments: Kind.allCases) func theHeapIsAsNewAndMayBeUsedAgain(kind: Kind) throws {
            let heap = try heap(kind)
            let new = state(heap)
            let capacity = heap.core.capacityBytes
            let residentNew = cistern_test_resident_page_count(heap.base, Int(capacity))
            for _ in 0..<3 {
                try fill(heap)
                let full = heap.core.statistics()
                #expect(heap.core.isAboveSoftLimit)
                #expect(heap.discard() == full.touchedBytes)
                var empty = state(heap)
                // Commitment ends with the page in which the maps end; creation may have committed the same.
                #expect(empty.committedBytes <= new.committedBytes)
                empty.committedBytes = new.committedBytes
                #expect(empty == new)
                #expect(heap.core.statistics().touchedHighWaterBytes >= full.touchedBytes)
                #expect(heap.core.statistics().givenBackBytes >= full.touchedBytes)
                #expect(!heap.core.isAboveSoftLimit)
                #expect(heap.verify() == nil)
                #expect(heap.liveBlocks().isEmpty)
                if !Sanitizer.isPresent {
                    #expect(cistern_test_resident_page_count(heap.base, Int(capacity)) <= residentNew + 1)
                }
                #expect(heap.discard() == 0)
            }
            // The options are those that it was made with.
            let block = try #require(heap.allocate(24))
            #expect(heap.usableSize(block) == (kind == .aligned ? 32 : 24))
            #expect(heap.core.options.capacityBytes == capacity && heap.core.options.softLimitBytes == 20 << 20)
            #expect(heap.destroy())
        }

        /// What the kernel counts for the process falls before the call returns.
        @Test(.enabled(if: !Sanitizer.isPresent)) func residentMemoryOfTheProcessFalls() throws {
            let size: UInt64 = 100 << 20
            // In a child, where no other test takes memory meanwhile.
            for isWhole in [true, false] {
                let status = inChild {
                    guard let heap = try? TestHeap(256 << 20) else { return 1 }
                    let before = unsafe cistern_test_status_bytes("VmRSS:")
                    guard let block = heap.allocate(Int(size)), let fence = heap.allocate(5000) else { return 2 }
                    cistern_test_fill(block, Int(size), 1)
                    let full = unsafe cistern_test_status_bytes("VmRSS:")
                    guard full >= before + size else { return 3 }
                    if isWhole {
                        heap.discard()
                    } else {
                        heap.free(block, Int(size))
                        // Freed is not given back.
                        guard unsafe cistern_test_status_bytes("VmRSS:") + (2 << 20) >= full else { return 4 }
                        heap.core.trim()
                        heap.free(fence, 5000)
                    }
                    return unsafe cistern_test_status_bytes("VmRSS:") + size <= full + (1 << 20) ? 0 : 5
                }
                #expect(status == 0)
            }
        }

        /// Threads that hold blocks ready start afresh, without preparation, and may end at any time.
        @Test func threadsGoOnAfterwards() throws {
            let heap = try TestHeap(64 << 20)
            let phase = SharedWord()
            let arrived = SharedWord()
            let faults = SharedWord()
            let threads = (0..<4).map { number in
                TestThread {
                    for size in 1..<500 { if let block = heap.allocate(size) { heap.free(block, size) } }
                    arrived.add(1)
                    // Two of them end while the heap is being emptied, or soon after it.
                    phase.wait(until: number < 2 ? 1 : 2)
                    guard number >= 2 else { return }
                    var held: [UInt] = []
                    for round in 0..<2000 {
                        guard let block = heap.allocate(1 + round % 600) else { break }
                        cistern_test_fill(block, 1 + round % 600, UInt64(number))
                        held.append(block)
                    }
                    if held.count < 2000 { faults.add(1) }
                    for (round, block) in held.enumerated() {
                        if !cistern_test_holds(block, 1 + round % 600, UInt64(number)) { faults.add(1) }
                        heap.free(block, 1 + round % 600)
                    }
                }
            }
            arrived.wait(until: 4)
            phase.value = 1
            heap.discard()
            #expect(heap.core.statistics().cachedBlockCount == 0)
            phase.value = 2
            for thread in threads { thread.join() }
            #expect(faults.value == 0)
            #expect(heap.verify() == nil)
            #expect(heap.liveBlocks().isEmpty)
            #expect(heap.destroy())
        }

        /// Every call to the system refused in turn, once and for ever: the heap is empty and sound all the same.
        @Test(arguments: [false, true]) func refusals(forEver: Bool) throws {
            for kind in [Kind.usual, .checked] {
                for number in UInt64(0)..<5 {
                    let table = FaultTable()
                    let heap = try heap(kind, 64 << 20, table)
                    try fill(heap)
                    let full = heap.core.statistics()
                    table.refuse(number, forEver: forEver)
                    let given = heap.discard()
                    table.refuseNothing()
                    let now = heap.core.statistics()
                    #expect(now.liveBlockCount == 0 && now.requestedBytes == 0 && now.freeRunCount == 0)
                    #expect(given + now.touchedBytes == full.touchedBytes)
                    #expect(forEver && number == 0 ? given == 0 : given == full.touchedBytes)
                    #expect(heap.verify() == nil)
                    // What stayed is not taken for zero.
                    let zeroed = try #require(heap.allocateZeroed(24 << 20))
                    #expect(cistern_test_is_zero(zeroed, 24 << 20))
                    for size in [8, 100, 3000] {
                        let block = try #require(heap.allocateZeroed(size))
                        #expect(cistern_test_is_zero(block, size))
                    }
                    #expect(heap.discard() > 0)
                    #expect(heap.core.statistics().touchedBytes == 0)
                    #expect(heap.destroy())
                    table.isNeeded()
                }
            }
        }

        /// A system that leaves the bytes as they are.
        @Test func staleBytesAreNotTakenForZero() throws {
            let table = FaultTable()
            let heap = try heap(.usual, 64 << 20, table)
            try fill(heap)
            table.decommitLeavesStaleBytes()
            table.refuse(0, forEver: false)
            let touched = heap.core.statistics().touchedBytes
            #expect(heap.discard() == 0)
            #expect(heap.core.statistics().touchedBytes == touched)
            #expect(heap.verify() == nil)
            let zeroed = try #require(heap.allocateZeroed(24 << 20))
            #expect(cistern_test_is_zero(zeroed, 24 << 20))
            #expect(heap.destroy())
            table.isNeeded()
        }

        /// A random program, everything dropped now and then.
        @Test func modelPrograms() throws {
            let seed = cistern_test_seed(20_26)
            print("DiscardTests seed \(seed)")
            let heap = try TestHeap(8 << 20)
            for round in 0..<UInt64(scaled(20)) {
                var program = ModelProgram(heap, heap: heap, seed: seed + round, mostBytes: 200_000, leastAlignment: 8)
                #expect(program.run(steps: 1500, checkEvery: 500) == nil, "seed \(seed + round)")
                for size in 1..<200 { _ = heap.allocate(size * 37) }
                heap.discard()
                #expect(heap.verify() == nil)
            }
            #expect(heap.destroy())
        }

        /// Forks beside it find the heap before or after, never between.
        @Test(.enabled(if: !Sanitizer.isPresent)) func forksBesideIt() throws {
            let heap = try TestHeap(64 << 20)
            let stop = SharedWord()
            let started = SharedWord()
            let thread = TestThread {
                while stop.value == 0 {
                    for size in 1..<300 { if let block = heap.allocate(size * 50) { cistern_test_write_byte(block, 1) } }
                    heap.discard()
                    started.add(1)
                }
            }
            started.wait(until: 1)
            var outcomes: [Int32: Int] = [:]
            for _ in 0..<scaled(100) {
                let status = inChild(seconds: 10) {
                    heap.discard()
                    guard heap.verify() == nil, let block = heap.allocate(100) else { return 1 }
                    heap.free(block, 100)
                    return 0
                }
                outcomes[status, default: 0] += 1
            }
            #expect(outcomes == [0: scaled(100)])
            stop.value = 1
            thread.join()
            #expect(heap.destroy())
        }

        /// trim() leaves what other threads hold ready; at a safe point it goes too.
        @Test func whatOtherThreadsHoldReady() throws {
            let heap = try TestHeap(64 << 20)
            let phase = SharedWord()
            let thread = TestThread {
                let blocks = (0..<4000).compactMap { heap.allocate(200 + $0 % 8) }
                for (number, block) in blocks.enumerated() { heap.free(block, 200 + number % 8) }
                phase.value = 1
                phase.wait(until: 2)
                // Its cache is empty, and works.
                for size in 1..<300 { if let block = heap.allocate(size) { heap.free(block, size) } }
            }
            phase.wait(until: 1)
            heap.core.trim()
            let held = heap.core.statistics().cachedBlockCount
            #expect(held > 0)
            #expect(heap.core.statistics().cachedBytes <= heap.core.capacityBytes / 64)
            let spans = heap.core.statistics().spanBytes
            heap.core.trimAtSafePoint()
            #expect(heap.core.statistics().cachedBlockCount == 0)
            #expect(spans > 0 && heap.core.statistics().spanBytes == 0)
            #expect(heap.verify() == nil)
            phase.value = 2
            thread.join()
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
        }

        /// Pages that were given back and committed again are no more inherited than they were before.
        @Test(.enabled(if: !Sanitizer.isPresent), arguments: [0, 1, 2])
        func noCopyOfTheHeapReachesAChild(way: Int) throws {
            let heap = try TestHeap(64 << 20) { $0.isInheritedByFork = false }
            let inherited = try TestHeap(64 << 20)
            let first = try #require(heap.allocate(32 << 20))
            cistern_test_fill(first, 32 << 20, 1)
            switch way {
            case 0: break
            case 1:
                heap.free(first, 32 << 20)
                #expect(heap.core.trim() > 0)
            default: #expect(heap.discard() > 0)
            }
            let block = way == 0 ? first : try #require(heap.allocate(32 << 20))
            cistern_test_fill(block, 32 << 20, 1)
            let other = try #require(inherited.allocate(1 << 20))
            cistern_test_fill(other, 1 << 20, 1)
            let status = inChild {
                // Nothing is mapped there: not one page is resident, and the mapping does not exist.
                guard cistern_test_mapped_page_count(block, 32 << 20) == 0 else { return 1 }
                guard heap.allocate(100) == nil, heap.discard() == 0, heap.core.trimAtSafePoint() == 0 else { return 2 }
                return cistern_test_mapped_page_count(other, 1 << 20) == 256 ? 0 : 3
            }
            #expect(status == 0)
            #expect(heap.destroy())
            #expect(inherited.destroy())
        }

        /// However often the top goes up and down, the heap stays at a few mappings, all of its name.
        @Test func mappingsDoNotGrowInNumber() throws {
            let heap = try TestHeap(64 << 20) { $0.usesHugePages = false }
            var named: UInt64 = 0
            // Where the kernel has no names, none of them has one.
            let isNamed = unsafe cistern_test_mapping_count_in(heap.base, 64 << 20, &named) == named
            for round in 1...50 {
                let block = try #require(heap.allocate(round << 19))
                heap.free(block)
                if round % 2 == 0 { heap.core.trim() } else { heap.discard() }
            }
            let count = unsafe cistern_test_mapping_count_in(heap.base, 64 << 20, &named)
            #expect(count == 2)
            #expect(!isNamed || named == count)
            #expect(heap.destroy())
        }
    }
}
