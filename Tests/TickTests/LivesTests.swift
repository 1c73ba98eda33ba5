import HeapCore
import Testing

@testable import Ticks

// Safety: names are read where they are given.

extension TickSuites {
    /// What a host relies on when a directory begins another life: who is still there, what is released when, whose position is whose.
    @Suite struct LivesTests {
        private func reopen(_ core: inout RegionDirectory, _ log: ReleaseLog? = nil) throws {
            let image = try core.image()
            let heap = core.heap
            core.keepPayloads()
            core.destroy()
            core = try RegionDirectory.reopened(image, in: heap, log)
            #expect(core.verify() == nil)
        }

        private func close(_ core: RegionDirectory, _ heap: BoundedHeap) {
            core.destroy()
            #expect(heap.statistics().liveBlockCount == 0 && heap.verify() == nil && heap.destroy())
        }

        /// What only readers held that are not in the image goes at the first boundary, in its budget; no earlier and no later.
        @Test(arguments: [RetentionMode.horizon, .interval])
        func whatOnlyOthersNeededGoesAtTheBoundary(mode: RetentionMode) throws {
            var options = DirectoryOptions()
            options.mode = mode
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20))
            var core = try RegionDirectory.create(in: heap, options)
            let ids = try (0..<100).map { try core.make("\($0)") }
            try core.seal()
            _ = try core.attach()
            for id in ids { try core.remove(id) }
            try core.seal()
            #expect(core.statistics().tombstoneCount == 100 && core.statistics().floor == Tick(1))
            try reopen(&core)
            #expect(core.statistics().tombstoneCount == 0 && core.statistics().backlogCount == 100)
            #expect(core.statistics().floor == Tick(3) && core.status(of: ids[99]) == .removed(at: Tick(2)))
            #expect(try core.seal(budget: 40).purgedCount == 40)
            #expect(core.maintain(budget: 40) == 20)
            #expect(core.maintain(budget: .max) == 0 && core.verify() == nil)
            #expect(core.statistics().purgedTotal == 100 && core.statistics().nameBytes == 0)
            close(core, heap)
        }

        /// A reader can go on where it had stored, where it had acknowledged, and at the end of what it had been told: it may have
        /// dealt with that, and stored so, after the image was written.
        @Test func aReaderGoesOnAtAnyOfItsPins() throws {
            for choice in 0..<3 {
                let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20))
                var core = try RegionDirectory.create(in: heap, DirectoryOptions())
                let reader = try core.attach(ReaderOptions(isDurable: true))
                var states = [core.durableState(of: reader)]
                #expect(core.noteStored(reader, states[0]))
                for round in 0..<2 {
                    let id = try core.make("\(round)")
                    try core.seal()
                    let token = try core.changes(reader).token
                    if round == 0 { #expect(core.acknowledge(reader, token) == .accepted) }
                    states.append(core.durableState(of: reader))
                    states[states.count - 1].tick = token.tick
                    try core.remove(id)
                    try core.seal()
                }
                #expect(states.map(\.tick.number) == [1, 2, 4])
                try reopen(&core)
                let (again, resync) = try core.resume(states[choice])
                #expect(resync == nil && core.statistics().readerCount == 1)
                #expect(try core.changes(again).events.map(\.kind) == [[], [.removed], [.removed]][choice])
                close(core, heap)
            }
        }

        /// Two lives from one image are strangers to each other, however alike their ticks and serials are.
        @Test func twoLivesFromOneImageAreStrangers() throws {
            let one = try TestDirectory(4 << 20)
            let first = one.core.durableState(of: try one.core.attach(ReaderOptions(isDurable: true)))
            try one.core.seal()
            let image = try one.core.image()
            var lives: [(core: RegionDirectory, state: DurableState, token: BatchToken)] = []
            for _ in 0..<2 {
                let core = try RegionDirectory.reopened(image, in: one.heap)
                let reader = try core.attach(ReaderOptions(isDurable: true))
                _ = try core.make("a")
                try core.seal()
                let token = try core.changes(reader).token
                #expect(core.acknowledge(reader, token) == .accepted)
                lives.append((core, core.detach(reader), token))
            }
            #expect(lives[0].state.tick == lives[1].state.tick && lives[0].state.readerSerial == lives[1].state.readerSerial)
            #expect(lives[0].token != lives[1].token)
            #expect(try lives[1].core.resume(lives[0].state).resync?.reason == .foreignDirectory)
            #expect(try one.core.resume(lives[0].state).resync?.reason == .foreignDirectory)
            // What was reached before the image is theirs together.
            for life in lives {
                #expect(try life.core.resume(life.state).resync == nil && life.core.resume(first).resync == nil)
                life.core.destroy()
            }
            #expect(one.close())
        }

        /// Lives are forgotten once no position can name them that could be answered by changes.
        @Test func livesAreForgottenWithTheirPositions() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20))
            var core = try RegionDirectory.create(in: heap, DirectoryOptions())
            var reader = try core.attach(ReaderOptions(isDurable: true))
            var state = core.durableState(of: reader)
            for round in 0..<20 {
                let id = try core.make("\(round)")
                try core.seal()
                try core.remove(id)
                try core.seal()
                try reopen(&core)
                reader = try core.resume(state).reader
                _ = core.acknowledge(reader, try core.changes(reader).token)
                if round % 5 == 4 {
                    state = core.durableState(of: reader)
                    #expect(core.noteStored(reader, state))
                }
                // A reader of the first life is still answered in the fifth.
                #expect(core.header.it.life_count <= 6)
            }
            #expect(core.header.it.life_count >= 1)
            close(core, heap)
        }

        /// Each payload is released once in all lives together, when the directory that was never closed would.
        @Test func payloadsAndTheirRelease() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20))
            let log = ReleaseLog()
            var options = DirectoryOptions()
            options.release = ReleaseLog.release
            options.releaseContext = log.context
            var core = try RegionDirectory.create(in: heap, options)
            let ids = try (1...4).map { try core.make("\($0)", payload: UInt64($0)) }
            try core.seal()
            let lasting = try core.attach(ReaderOptions(.snapshot, isDurable: true))
            let lastingState = core.durableState(of: lasting)
            try core.remove(ids[0])
            try core.seal()
            core.cancel(try core.attach(ReaderOptions(isDurable: true)))
            let passing = try core.attach(ReaderOptions(.snapshot))
            try core.remove(ids[1])
            try core.seal()
            // The durable snapshot holds both, the other one only the second.
            #expect(core.statistics().keptContentCount == 2)
            _ = try core.make("5", payload: 5)
            try core.seal()
            let only = try core.attach(ReaderOptions(.snapshot))
            try core.remove(try #require(core.find("5")))
            try core.seal()
            _ = (passing, only)
            try core.remove(ids[2])
            try reopen(&core, log)
            #expect(log.counts.isEmpty && core.payload(of: ids[2]) == 3)
            var words: [String: UInt64] = [:]
            unsafe core.replacePayloads { id, name, payload in
                words[unsafe String(decoding: name, as: UTF8.self)] = payload
                return payload + 10
            }
            #expect(words == ["1": 1, "2": 2, "3": 3, "4": 4, "5": 5])
            try core.seal()
            // What the passing snapshot alone held went; what was removed in the open tick the durable one still sees.
            #expect(log.counts == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
            let (again, resync) = try core.resume(lastingState)
            #expect(resync == nil && core.payload(of: ids[0]) == 11 && core.payload(of: ids[2]) == 13)
            #expect(try core.baseline(again) == Array(ids))
            core.cancel(again)
            try core.seal()
            #expect(log.counts == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1])
            close(core, heap)
            #expect(log.counts == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
        }

        /// Limits of its own, a warning, and how long it has been behind go with a reader.
        @Test func aWarnedReaderExpiresInTheNextLife() throws {
            for isAge in [false, true] {
                let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20))
                var core = try RegionDirectory.create(in: heap, DirectoryOptions())
                var options = ReaderOptions(isDurable: true)
                options.limits = ReaderLimits()
                if isAge { options.limits?.age = 10 } else { options.limits?.lagTicks = 2 }
                let reader = try core.attach(options)
                for time in [100, 105, 111] { try core.seal(time: UInt64(time)) }
                #expect(core.statistics(of: reader).state == .lagging)
                let state = core.durableState(of: reader)
                try reopen(&core)
                #expect(try core.seal(time: 112).expiredCount == 1)
                #expect(core.detachedState(after: 0) == nil && core.statistics().expiredTotal == 1)
                // Nothing was dropped meanwhile, so it needs no baseline all the same.
                #expect(try core.resume(state).resync == nil)
                close(core, heap)
            }
        }

        /// More readers than groups of pins, names in many buckets, chunks without memory: all of it is as it was.
        @Test func aLargeDirectory() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 32 << 20))
            var core = try RegionDirectory.create(in: heap, DirectoryOptions())
            let count = max(600, scaled(4000))
            var ids = try (0..<count).map { try core.make("region \($0)") }
            var states: [(DurableState, alive: Set<UInt32>)] = []
            var random = Random(seed: 3)
            for round in 0..<100 {
                try core.seal()
                let reader = try core.attach(ReaderOptions(isDurable: true))
                states.append((core.detach(reader), Set(ids.map(\.slot))))
                for _ in 0..<3 { try core.remove(ids.remove(at: random.below(ids.count))) }
                ids.append(try core.make("later \(round)"))
                try core.markChanged(ids[random.below(ids.count)])
            }
            // The middle chunk has nothing left in it.
            for id in ids where (257...512).contains(id.slot) { try core.remove(id) }
            ids.removeAll { (257...512).contains($0.slot) }
            try core.seal()
            try reopen(&core)
            for id in ids { #expect(core.name(of: id).flatMap(core.find) == id) }
            for (state, alive) in states {
                let (reader, resync) = try core.resume(state)
                #expect(resync == nil)
                var mirror = Set(try core.baseline(reader).map(\.slot))
                #expect(mirror == alive)
                for event in try core.changes(reader).events {
                    if event.kind == .removed { mirror.remove(event.id.slot) }
                    if event.kind == .added { mirror.insert(event.id.slot) }
                }
                #expect(mirror == Set(ids.map(\.slot)))
                core.cancel(reader)
            }
            for id in ids { try core.remove(id) }
            try core.seal(budget: .max)
            _ = core.maintain(budget: .max)
            #expect(core.statistics().totalBytes - core.statistics().readerBytes < 300_000 && core.verify() == nil)
            close(core, heap)
        }

        /// Images written while others create, remove, seal, attach and acknowledge: each is of one moment.
        @Test func imagesBesideAWriterAndReaders() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 32 << 20))
            let core = try RegionDirectory.create(in: heap, DirectoryOptions())
            let rounds = scaled(400)
            inThreads(3) { number in
                for round in 0..<rounds {
                    switch number {
                    case 0:
                        guard let id = try? core.make("\(round)") else { continue }
                        if round % 3 == 0 { _ = try? core.remove(id) }
                        if round % 4 == 0 { _ = try? core.seal() }
                    case 1:
                        guard let reader = try? core.attach(ReaderOptions(isDurable: true)) else { continue }
                        if case .changes(let batch)? = try? core.poll(reader) { _ = core.acknowledge(reader, batch.token) }
                        _ = core.noteStored(reader, core.durableState(of: reader))
                        if round % 8 != 0 { core.cancel(reader) }
                    default:
                        guard round % 4 == 0, let image = try? core.imageWithRoom() else { continue }
                        let other = try? RegionDirectory.reopened(image, in: heap)
                        #expect(other?.verify() == nil && other != nil)
                        other?.destroy()
                    }
                }
            }
            #expect(core.verify() == nil)
            close(core, heap)
        }
    }
}

extension RegionDirectory {
    /// For one that others change meanwhile.
    fileprivate func imageWithRoom() throws(ImageError) -> [UInt8] {
        while true {
            do throws(ImageError) { return try image() } catch {
                guard case .bufferTooSmall = error else { throw error }
            }
        }
    }
}

extension ReaderOptions {
    fileprivate init(_ readerClass: ReaderClass, isDurable: Bool) {
        self.init(readerClass)
        self.isDurable = isDurable
    }
}
