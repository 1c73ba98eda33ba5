import CHeap
import CTestSupport
import Testing

@testable import HeapCore

extension TestHeap {
    /// All stretches of a snapshot.
    func stretches(room: Int = 100_000) -> [HeapStretch] {
        var count = 0
        let found = unsafe [HeapStretch](unsafeUninitializedCapacity: room) { buffer, initialized in
            unsafe buffer.initialize(repeating: HeapStretch())
            count = unsafe core.snapshot(into: buffer)
            initialized = min(count, room)
        }
        #expect(count <= room)
        return found
    }
}

extension HeapSuites {
    @Suite struct SnapshotTests {
        /// Whatever a heap has been through, the stretches are the whole of it and agree with its own figures.
        private func check(_ heap: TestHeap) -> String? {
            let stretches = heap.stretches()
            let now = heap.core.statistics()
            var end: UInt64 = 0
            for stretch in stretches {
                guard stretch.offsetBytes == end, stretch.byteCount > 0 else { return "a gap or overlap at \(end)" }
                guard stretch.touchedBytes <= stretch.byteCount else { return "more touched than there is at \(end)" }
                guard stretch.handedOutBytes <= stretch.byteCount else { return "more handed out than there is at \(end)" }
                end += stretch.byteCount
            }
            func sum(_ kinds: HeapStretchKind...) -> UInt64 {
                stretches.reduce(0) { $0 + (kinds.contains($1.kind) ? $1.byteCount : 0) }
            }
            guard end == now.capacityBytes else { return "ends at \(end)" }
            guard sum(.span) == now.spanBytes else { return "spans" }
            guard sum(.fixed, .ownRun) == now.metadataBytes else { return "metadata" }
            guard sum(.span, .block, .ownRun, .region) == now.usedBytes else { return "used" }
            guard end - sum(.reserved) == now.committedBytes else { return "committed" }
            guard sum(.fixed, .ownRun, .span, .block, .free, .region) == now.extentBytes else { return "extent" }
            guard stretches.count(where: { $0.kind == .free }) == Int(now.freeRunCount) else { return "free runs" }
            let touched = stretches.reduce(0) { $0 + $1.touchedBytes }
            // The page in which the fixed part ends is shared, and counted whole by the heap.
            guard touched <= now.touchedBytes, touched + 4096 > now.touchedBytes else { return "touched" }
            let handedOut = stretches.reduce(0) { $0 + $1.handedOutBytes }
            guard heap.core.has(CISTERN_HEAP_CHECKED) || handedOut == now.liveBlockBytes + now.cachedBytes else { return "handed out" }
            return nil
        }

        @Test func aHeapThatIsNewAndOneThatIsKnown() throws {
            let heap = try TestHeap(16 << 20) { $0.isForOneThread = true }
            #expect(heap.stretches().map(\.kind) == [.fixed, .unused, .reserved])
            let first = try #require(heap.allocate(100_000))
            let second = try #require(heap.allocate(50_000))
            let third = try #require(heap.allocate(100_000))
            heap.free(second, 50_000)
            let blocks = try (0..<300).map { _ in try #require(heap.allocate(24)) }
            let base = heap.base
            let found = heap.stretches()
            let large = found.filter { $0.kind == .block && $0.byteCount > 4096 }
            #expect(large.map { base + UInt($0.offsetBytes) } == [first, third])
            #expect(large.allSatisfy { $0.blockCount == 1 && $0.byteCount == 100_032 })
            let holes = found.filter { $0.kind == .free && $0.offsetBytes >= first - base + 100_032 && $0.offsetBytes < third - base }
            // What was allocated since then stands there, too.
            #expect(holes.reduce(0) { $0 + $1.byteCount } > 20_000)
            let spans = found.filter { $0.kind == .span }
            #expect(spans.allSatisfy { $0.blockBytes == 24 })
            #expect(spans.reduce(0) { $0 + Int($1.blockCount - $1.freeBlockCount) } >= 300)
            for block in blocks {
                let offset = UInt64(block - base)
                #expect(spans.contains { $0.offsetBytes <= offset && offset < $0.offsetBytes + $0.byteCount })
            }
            #expect(check(heap) == nil)
            heap.destroy()
        }

        @Test(arguments: [0, 1, 2, 3]) func modelPrograms(kind: Int) throws {
            let seed = cistern_test_seed(4_711)
            print("SnapshotTests seed \(seed)")
            let heap = try TestHeap(8 << 20) {
                $0.isForOneThread = kind == 1
                $0.isChecked = kind == 2
                $0.blockAlignment = kind == 3 ? .sixteen : .eight
            }
            var kinds: Set<UInt8> = []
            for round in 0..<UInt64(scaled(30)) {
                var program = ModelProgram(heap, heap: heap, seed: seed + round, mostBytes: 100_000, leastAlignment: kind == 3 ? 16 : 8)
                _ = program.run(steps: 200 + Int(round) * 20, checkEvery: 10_000)
                var random = Random(seed: seed + round)
                var held: [(UInt, Int)] = []
                for _ in 0..<400 {
                    let size = random.size(most: 50_000)
                    if let block = heap.allocate(size) { held.append((block, size)) }
                    if random.below(3) == 0, !held.isEmpty {
                        let (block, size) = held.remove(at: random.below(held.count))
                        heap.free(block, size)
                    }
                    if random.below(100) == 0 { heap.core.trim() }
                }
                #expect(check(heap) == nil, "seed \(seed + round)")
                for stretch in heap.stretches() { kinds.insert(stretch.kind.rawValue) }
                for (block, size) in held { heap.free(block, size) }
                #expect(check(heap) == nil, "seed \(seed + round)")
            }
            #expect(kinds.count == 7)
            heap.destroy()
        }

        @Test func lessRoomThanThereIs() throws {
            let heap = try TestHeap(16 << 20)
            for size in 1..<100 { _ = heap.allocate(size * 100) }
            let all = heap.stretches()
            for room in [1, 5, all.count - 1] {
                var count = 0
                let some = unsafe [HeapStretch](unsafeUninitializedCapacity: room) { buffer, initialized in
                    unsafe buffer.initialize(repeating: HeapStretch())
                    let exact = unsafe UnsafeMutableBufferPointer(rebasing: buffer[..<room])
                    count = unsafe heap.core.snapshot(into: exact)
                    initialized = room
                }
                #expect(count == all.count && some == Array(all[..<room]))
            }
            #expect(unsafe heap.core.snapshot(into: UnsafeMutableBufferPointer(start: nil, count: 0)) == all.count)
            heap.destroy()
        }

        /// Beside threads that allocate all the while, each picture is whole.
        @Test func besideThreads() throws {
            let heap = try TestHeap(32 << 20)
            let stop = SharedWord()
            let started = SharedWord()
            let threads = (0..<2).map { number in
                TestThread {
                    var random = Random(seed: UInt64(number))
                    var held: [(UInt, Int)] = []
                    while stop.value == 0 {
                        started.add(1)
                        let size = random.size(most: 20_000)
                        if let block = heap.allocate(size) { held.append((block, size)) }
                        if held.count > 400 {
                            let (block, size) = held.remove(at: random.below(held.count))
                            heap.free(block, size)
                        }
                    }
                    for (block, size) in held { heap.free(block, size) }
                }
            }
            started.wait(until: 100)
            for _ in 0..<scaled(200) {
                var end: UInt64 = 0
                for stretch in heap.stretches() {
                    #expect(stretch.offsetBytes == end && stretch.freeBlockCount <= stretch.blockCount)
                    end += stretch.byteCount
                }
                #expect(end == heap.core.capacityBytes)
            }
            stop.value = 1
            for thread in threads { thread.join() }
            #expect(check(heap) == nil)
            heap.destroy()
        }
    }
}
