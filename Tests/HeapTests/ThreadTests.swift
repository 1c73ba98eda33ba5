import CTestSupport
import Testing

@_spi(Regions) import HeapCore

extension HeapSuites {
    @Suite struct ThreadTests {
        /// Two threads hand every block to the other one, which frees it.
        @Test func blocksAreFreedByTheOtherThread() throws {
            let heap = try TestHeap(64 << 20)
            let steps = scaled(30_000)
            let boxes = Mailboxes(256)
            let wrong = SharedWord()
            inThreads(2) { number in
                var random = Random(seed: UInt64(number + 1))
                for step in 0..<steps {
                    let size = 16 + random.size(most: 6000)
                    guard let block = heap.allocate(size) else {
                        wrong.add(1)
                        continue
                    }
                    // The size stands in the first word, a pattern in the rest.
                    TestHeap.store(block, UInt(size))
                    cistern_test_fill(block + 8, size - 8, UInt64(size))
                    let other = boxes.exchange((step * 7 + number) % 256, block)
                    if other != 0 { release(other, to: heap, sized: step % 2 == 0, wrong: wrong) }
                }
            }
            for index in 0..<256 {
                let block = boxes.exchange(index, 0)
                if block != 0 { release(block, to: heap, sized: true, wrong: wrong) }
            }
            #expect(wrong.value == 0)
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            #expect(heap.liveBlocks().isEmpty)
            #expect(heap.destroy())
        }

        private func release(_ block: UInt, to heap: TestHeap, sized: Bool, wrong: SharedWord) {
            let size = Int(TestHeap.load(block))
            if size < 16 || !cistern_test_holds(block + 8, size - 8, UInt64(size)) { wrong.add(1) }
            if sized { heap.free(block, size) } else { heap.free(block) }
        }

        /// A flush gives back every block of the other thread's spans, also those that came last.
        @Test func aFlushKeepsNoBlocksOfAnotherThread() throws {
            let heap = try TestHeap(64 << 20)
            let size = 256
            let boxes = Mailboxes(12)
            let stage = SharedWord()
            let foreignCount = SharedWord(1_000_000)
            inThreads(2) { number in
                if number == 0 {
                    let runs = (0..<8).compactMap { _ in heap.allocate(size) }  // a class's first 2 KiB are not in spans
                    for index in 0..<12 { _ = boxes.exchange(index, heap.allocate(size) ?? 0) }
                    stage.value = 1
                    stage.wait(until: 2)  // its cache stays alive: the spans are its own
                    for block in runs { heap.free(block, size) }
                    return
                }
                stage.wait(until: 1)
                // Refills of 1, 2, 4, 8, 16 and 32 blocks: the stack has grown to 64, and is empty.
                let own = (0..<63).compactMap { _ in heap.allocate(size) }
                let foreign = Set((0..<12).map { boxes.exchange($0, 0) })
                for block in own[..<40] { heap.free(block, size) }
                for block in foreign { heap.free(block, size) }
                for block in own[40..<53] { heap.free(block, size) }  // the last one finds the stack full: a flush
                let next = (0..<33).compactMap { _ in heap.allocate(size) }
                foreignCount.value = UInt64(next.count { foreign.contains($0) })
                for block in own[53...] + next { heap.free(block, size) }
                stage.value = 2
            }
            #expect(foreignCount.value == 0)
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            heap.destroy()
        }

        /// Each thread of a server may hold as much as the first one: none goes to its classes' locks more often.
        @Test func everyThreadHasRoomForItsOwn() throws {
            let slow = try slowFrees(capacity: 1 << 30, threads: 4, rounds: 1, of: 50_000)
            let first = slow[0]
            #expect(first > 0)
            for count in slow { #expect(count <= first + 64, "the first thread made \(first) slow calls") }
        }

        /// Where the capacity does not allow that, the first ones leave the later ones their share.
        @Test func threadsShareTheRoomOfASmallHeap() throws {
            let freeCount: UInt64 = isSmall ? 20_000 : 50_000
            let slow = try slowFrees(capacity: 64 << 20, threads: 6, rounds: 3, of: freeCount)
            for count in slow { #expect(count < freeCount / 10, "of \(freeCount) frees; each: \(slow)") }
        }

        /// Threads take turns to replace blocks at random, as a server does; all of them live until the end. Returns how many of the
        /// frees of each one's last turn took a lock.
        private func slowFrees(capacity: UInt64, threads: Int, rounds: Int, of freeCount: UInt64) throws -> [UInt64] {
            let heap = try TestHeap(capacity)
            let stage = SharedWord()
            let counts = (0..<threads).map { _ in SharedWord() }
            inThreads(threads) { number in
                var random = Random(seed: 7)
                var held = [(UInt, Int)](repeating: (0, 0), count: 1024)
                for round in 0..<rounds {
                    stage.wait(until: UInt64(round * threads + number))
                    let before = heap.core.statistics().slowDeallocationCount
                    replaceBlocks(in: heap, held: &held, random: &random, sizes: 8...512, count: Int(freeCount))
                    counts[number].value = heap.core.statistics().slowDeallocationCount - before
                    stage.add(1)
                }
                stage.wait(until: UInt64(rounds * threads))  // a thread that ends gives back what it may hold
                for (block, size) in held where block != 0 { heap.free(block, size) }
            }
            #expect(heap.core.statistics().liveBlockCount == 0)
            #expect(heap.verify() == nil)
            heap.destroy()
            return counts.map(\.value)
        }

        /// Larger blocks and pages of regions that a thread keeps leave its small blocks their room, also when others come later.
        @Test(arguments: [(16, 16), (64, 1), (64, 8), (256, 24)])
        func mediumBlocksLeaveSmallOnesTheirRoom(mebibytes: UInt64, threads: Int) throws {
            let heap = try TestHeap(mebibytes << 20)
            let stage = SharedWord()
            let slow = SharedWord()
            inThreads(threads) { number in
                if number > 0 {
                    stage.wait(until: UInt64(number))
                    heap.free(heap.allocate(16) ?? 0, 16)  // now it has a cache
                    stage.add(1)
                    stage.wait(until: UInt64(threads) + 1)
                    return
                }
                replaceBlocks(in: heap, slots: 200, sizes: 513...4096, count: 20_000)
                keepRegionPages(of: heap)
                stage.add(1)
                stage.wait(until: UInt64(threads))
                replaceBlocks(in: heap, slots: 200, sizes: 513...4096, count: 20_000)
                let before = heap.core.statistics().slowDeallocationCount
                replaceBlocks(in: heap, slots: 64, sizes: 8...64, count: 20_000)
                slow.value = heap.core.statistics().slowDeallocationCount - before
                stage.add(1)
            }
            #expect(slow.value < 200, "of 20,000 frees")
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        private func replaceBlocks(in heap: TestHeap, slots: Int, sizes: ClosedRange<Int>, count: Int) {
            var random = Random(seed: 9)
            var held = [(UInt, Int)](repeating: (0, 0), count: slots)
            replaceBlocks(in: heap, held: &held, random: &random, sizes: sizes, count: count)
            for (block, size) in held where block != 0 { heap.free(block, size) }
        }

        private func replaceBlocks(
            in heap: TestHeap, held: inout [(UInt, Int)], random: inout Random, sizes: ClosedRange<Int>, count: Int
        ) {
            for _ in 0..<count {
                let slot = random.below(held.count)
                let (block, size) = held[slot]
                if block != 0 { heap.free(block, size) }
                let next = sizes.lowerBound + random.below(sizes.count)
                held[slot] = (heap.allocate(next) ?? 0, next)
            }
        }

        /// As many as a thread keeps at most.
        private func keepRegionPages(of heap: TestHeap) {
            let chunks = (0..<16).compactMap { _ in heap.core.takeRegionRun(pages: 1).chunk }
            for (chunk, older) in zip(chunks, chunks.dropFirst()) { chunk.it.older = uintptr_t(UInt(bitPattern: unsafe older.pointer)) }
            if let first = chunks.first { heap.core.returnRegionRuns(first) }
        }

        @Test func aThreadThatEndsLeavesNothingInItsCache() throws {
            let heap = try TestHeap(64 << 20)
            let parked = SharedWord()
            for _ in 0..<scaled(20) {
                inThreads(3) { number in
                    var blocks: [(UInt, Int)] = []
                    for step in 0..<3000 {
                        let size = 1 + (step * 37 + number) % 4000
                        if let block = heap.allocate(size) { blocks.append((block, size)) }
                    }
                    for (block, size) in blocks { heap.free(block, size) }
                    if number == 0, !Sanitizer.isThread { parked.value = heap.core.statistics().cachedBytes }
                }
                let now = heap.core.statistics()
                #expect(now.cachedBytes == 0 && now.cachedBlockCount == 0)
                #expect(now.liveBlockCount == 0 && now.requestedBytes == 0)
            }
            if !Sanitizer.isThread { #expect(parked.value > 0) }
            // Threads come and go, and share the caches of those before them.
            #expect(heap.core.statistics().metadataBytes < 4 << 20)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func blocksOutliveTheirThread() throws {
            let heap = try TestHeap(64 << 20)
            let boxes = Mailboxes(2000)
            inThreads(2) { number in
                for step in 0..<1000 {
                    let size = 16 + step * 3
                    guard let block = heap.allocate(size) else { continue }
                    TestHeap.store(block, UInt(size))
                    cistern_test_fill(block + 8, size - 8, UInt64(size))
                    _ = boxes.exchange(number * 1000 + step, block)
                }
            }
            #expect(heap.core.statistics().liveBlockCount == 2000)
            let wrong = SharedWord()
            inThreads(2) { number in
                for step in 0..<1000 {
                    let block = boxes.exchange((1 - number) * 1000 + step, 0)
                    if block != 0 { release(block, to: heap, sized: number == 0, wrong: wrong) }
                }
            }
            #expect(wrong.value == 0)
            #expect(heap.core.statistics().liveBlockCount == 0)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        /// Threads that hold caches of a heap use the next heap at the same address.
        @Test func aNewHeapAtTheAddressOfTheLast() throws {
            let rounds = UInt64(max(scaled(200), 20))
            let phase = SharedWord()
            let done = SharedWord()
            let failures = SharedWord()
            let current = Mailboxes(1)
            let threads = (0..<2).map { number in
                TestThread {
                    for round in 1...rounds {
                        phase.wait(until: round)
                        guard let heap = TestHeap(headerAddress: current.peek(0)) else { return }
                        var blocks: [UInt] = []
                        for step in 0..<50 {
                            guard let block = heap.allocate(64) else { continue }
                            cistern_test_fill(block, 64, UInt64(step * 2 + number))
                            blocks.append(block)
                        }
                        for (step, block) in blocks.enumerated() {
                            if !cistern_test_holds(block, 64, UInt64(step * 2 + number)) { failures.add(1) }
                            // Every second block stays; the caches are full of the others when the heap goes.
                            if step % 2 == 0 { heap.free(block, 64) }
                        }
                        if blocks.count != 50 { failures.add(1) }
                        done.add(1)
                    }
                    // A thread that ends calls every live heap: not beside the last verify().
                    phase.wait(until: rounds + 1)
                }
            }
            var sameAddress = 0
            var previous: UInt = 0
            for round in 1...rounds {
                let heap = try TestHeap(4 << 20)
                if heap.base == previous { sameAddress += 1 }
                previous = heap.base
                _ = current.exchange(0, heap.base)
                phase.value = round
                done.wait(until: round * 2)
                #expect(heap.core.statistics().liveBlockCount == 50)
                #expect(heap.verify() == nil)
                #expect(heap.destroy())
            }
            phase.value = rounds + 1
            for thread in threads { thread.join() }
            #expect(failures.value == 0)
            #expect(sameAddress > 0)
        }

        @Test(arguments: [false, true]) func manyThreadsKeepTheirPatterns(isChecked: Bool) throws {
            let heap = try TestHeap(64 << 20) { $0.isChecked = isChecked }
            let seed = cistern_test_seed(0x7EAD)
            print("thread stress: seed \(seed) (CISTERN_TEST_SEED)")
            let wrong = SharedWord()
            let steps = scaled(isChecked ? 3000 : 15_000)
            inThreads(6) { number in
                var random = Random(seed: seed &+ UInt64(number))
                var held: [(block: UInt, size: Int, seed: UInt64)] = []
                for _ in 0..<steps {
                    if held.count > 100 || (random.below(2) == 0 && !held.isEmpty) {
                        let one = held.remove(at: random.below(held.count))
                        if !cistern_test_holds(one.block, one.size, one.seed) { wrong.add(1) }
                        if random.below(8) == 0 { heap.free(one.block) } else { heap.free(one.block, one.size) }
                        continue
                    }
                    let size = random.size(most: 20_000)
                    let kind = random.below(10)
                    let block =
                        kind == 0
                        ? heap.allocate(size, alignment: 256)
                        : kind == 1 ? heap.allocateZeroed(size) : heap.allocate(size)
                    guard let block else { continue }
                    if kind == 1, !cistern_test_is_zero(block, size) { wrong.add(1) }
                    let seed = random.next()
                    cistern_test_fill(block, size, seed)
                    held.append((block, size, seed))
                    if random.below(2000) == 0 { heap.core.trim() }
                }
                for one in held {
                    if !cistern_test_holds(one.block, one.size, one.seed) { wrong.add(1) }
                    heap.free(one.block, one.size)
                }
            }
            #expect(wrong.value == 0)
            #expect(heap.verify() == nil)
            #expect(heap.liveBlocks().isEmpty)
            heap.destroy()
        }

        @Test func aThreadAllocatesInItsLastExitHandler() throws {
            let heap = try TestHeap(16 << 20)
            for size in [40, 400, 4000, 40_000] {
                let early = SharedWord()
                let late = SharedWord()
                inThreadWithLateWork {
                    for _ in 0..<200 { if let block = heap.allocate(size) { early.value = UInt64(block) } }
                } late: {
                    // The cache is gone: these calls go to the heap itself.
                    heap.free(UInt(early.value), size)
                    if let block = heap.allocate(size) {
                        cistern_test_fill(block, size, 1)
                        heap.free(block)
                    }
                    if let block = heap.allocateZeroed(size) { late.value = UInt64(block) }
                }
                let now = heap.core.statistics()
                #expect(now.cachedBlockCount == 0)
                #expect(now.liveBlockCount == 200)
                #expect(late.value != 0)
                for block in heap.liveBlocks() { heap.free(block.start) }
                #expect(heap.verify() == nil)
            }
            heap.destroy()
        }

        /// Counting beside other threads is a guess, but never a trap. (It reads their caches, which no lock guards.)
        @Test(.enabled(if: !Sanitizer.isThread)) func statisticsBesideRunningThreads() throws {
            let heap = try TestHeap(16 << 20)
            let stop = SharedWord()
            inThreads(3) { number in
                if number == 0 {
                    for _ in 0..<scaled(4000) { #expect(heap.core.statistics().cachedBytes <= 16 << 20) }
                    stop.value = 1
                    return
                }
                var blocks: [UInt] = []
                while stop.value == 0 {
                    for step in 0..<300 { if let block = heap.allocate(1 + step % 300) { blocks.append(block) } }
                    for (step, block) in blocks.enumerated() { heap.free(block, 1 + step % 300) }
                    blocks.removeAll(keepingCapacity: true)
                }
            }
            #expect(heap.verify() == nil)
            #expect(heap.core.statistics().liveBlockCount == 0)
            heap.destroy()
        }

        /// Threads end while heaps that they know nothing of come and go.
        @Test func threadsEndWhileHeapsComeAndGo() throws {
            let stays = try TestHeap(16 << 20)
            let failures = SharedWord()
            let rounds = scaled(100)
            inThreads(2) { number in
                for round in 0..<rounds {
                    if number == 0 {
                        guard let heap = try? TestHeap(1 << 20), heap.allocate(100) != nil, heap.destroy() else {
                            failures.add(1)
                            continue
                        }
                    } else {
                        TestThread {
                            guard let block = stays.allocate(100 + round) else { return }
                            stays.free(block, 100 + round)
                        }.join()
                    }
                }
            }
            #expect(failures.value == 0)
            #expect(stays.core.statistics().cachedBlockCount == 0)
            #expect(stays.verify() == nil)
            stays.destroy()
        }
    }
}
