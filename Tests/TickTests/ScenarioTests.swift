import CTicks
import HeapCore
import Testing

@testable import Ticks

extension TickSuites {
    /// The failures that earlier designs had, one by one.
    @Suite struct ScenarioTests {
        private func kinds(_ events: [RegionChange]) -> [RegionChange.Kind] { events.map(\.kind) }

        /// A pin of a class, at the open tick.
        private func pin(_ core: RegionDirectory, _ readerClass: ReaderClass) throws -> ReaderHandle {
            try core.attach(ReaderOptions(readerClass))
        }

        @Test func s1ExportAfterTheUpdateReturnedSeesTheRemoval() throws {
            let test = try TestDirectory()
            let id = try test.core.make("input")
            try test.core.seal()
            let exporter = try pin(test.core, .exporter)
            try test.core.remove(id)
            try test.core.seal()
            for _ in 0..<5 { try test.core.seal() }
            #expect(kinds(try test.core.changes(exporter).events) == [.removed])
            #expect(test.core.name(of: id) == "input")
            test.core.cancel(exporter)
            try test.core.seal()
            #expect(test.statistics.tombstoneCount == 0)
            #expect(test.close())
        }

        @Test func s2ReadersOutsideTheCycleAndExportersWithOtherStarts() throws {
            let test = try TestDirectory()
            let first = try test.core.make("first")
            let second = try test.core.make("second")
            try test.core.seal()
            let early = try pin(test.core, .exporter)
            try test.core.remove(first)
            try test.core.seal()
            let late = try pin(test.core, .exporter)
            try test.core.seal()
            try test.core.remove(second)
            try test.core.seal()
            #expect(try test.core.changes(early).events.map(\.id) == [first, second])
            #expect(try test.core.changes(late).events.map(\.id) == [second])
            #expect(test.close())
        }

        @Test(arguments: [RetentionMode.horizon, .interval])
        func s3AReaderFarBehindIsToldExactly(mode: RetentionMode) throws {
            var options = DirectoryOptions()
            options.mode = mode
            let test = try TestDirectory(64 << 20, options)
            let seen = try test.core.make("seen")
            try test.core.seal()
            let reader = try test.core.attach()
            for number in 0..<1001 {
                let id = try test.core.make("\(number)")
                if number == 500 { try test.core.remove(seen) }
                try test.core.seal()
                try test.core.remove(id)
            }
            let events = try test.core.changes(reader).events
            #expect(events.filter { $0.kind == .removed }.map(\.id) == [seen])
            // The last one is removed in the open tick, which is not over.
            #expect(events.filter { $0.kind == .added }.count == 1 && events.count == 2)
            test.core.cancel(reader)
            try test.core.seal(budget: .max)
            let count = scaled(100_000)
            for _ in 0..<(count / 1000) {
                let ids = try (0..<1000).map { try test.core.make("n\($0)") }
                try test.core.seal()
                for id in ids { try test.core.remove(id) }
                try test.core.seal()
            }
            #expect(test.statistics.tombstoneCount == 0 && test.statistics.backlogCount == 0)
            #expect(test.close())
        }

        @Test func s4WhatIsMadeAfterTheForkSurvivesTheMerge() throws {
            let test = try TestDirectory()
            let common = try test.core.make("common")
            try test.core.seal()
            let fork = try pin(test.core, .fork)
            var copy: Set<String> = ["common", "local"]
            let other = try test.core.make("other")
            try test.core.remove(common)
            try test.core.seal()
            for event in try test.core.changes(fork).events {
                let name = try #require(test.core.name(of: event.id))
                if event.kind == .removed { copy.remove(name) } else { copy.insert(name) }
            }
            #expect(copy == ["local", "other"] && test.core.find("other") == other)
            #expect(test.close())
        }

        /// The control, classification at removal, fails in ModelTests.
        @Test func s5AttachingAfterARemovalInTheSameTick() throws {
            let test = try TestDirectory()
            let id = try test.core.make("a")
            try test.core.seal()
            try test.core.remove(id)
            let reader = try test.core.attach()
            #expect(try test.core.baseline(reader) == [id])
            try test.core.seal()
            #expect(kinds(try test.core.changes(reader).events) == [.removed])
            #expect(test.close())
        }

        /// The control, an unpinned batch, fails in ModelTests.
        @Test func s6ARemovalBetweenPollAndAcknowledgement() throws {
            let test = try TestDirectory()
            let reader = try test.core.attach()
            try test.core.seal()
            let id = try test.core.make("a")
            try test.core.seal()
            let (added, token) = try test.core.changes(reader)
            #expect(kinds(added) == [.added])
            try test.core.remove(id)
            try test.core.seal()
            #expect(test.core.acknowledge(reader, token) == .accepted)
            #expect(kinds(try test.core.changes(reader).events) == [.removed])
            #expect(test.close())
        }

        @Test func s7RemovedAndMadeAgainIsAnotherRegion() throws {
            let test = try TestDirectory()
            let old = try test.core.make("a")
            try test.core.seal()
            let reader = try test.core.attach()
            try test.core.remove(old)
            let new = try test.core.make("a")
            #expect(new != old && test.core.find("a") == new)
            try test.core.seal()
            let events = try test.core.changes(reader).events
            #expect(kinds(events) == [.removed, .added] && events.map(\.id) == [old, new])
            #expect(test.core.status(of: old) == .removed(at: Tick(2)))
            #expect(test.close())
        }

        @Test func s8AReaderOutsideTheRegistryIsRefused() throws {
            for isChecked in [false, true] {
                var options = DirectoryOptions()
                options.isChecked = isChecked
                let test = try TestDirectory(4 << 20, options)
                _ = try test.core.make("a")
                try test.core.seal()
                // Nothing was dropped, so the answer would be right: luck, which a checked directory does not take.
                let lucky = attempt { () throws(DirectoryError) in try test.core.changes(since: Tick(1)).count }
                #expect(lucky == (isChecked ? .failure(.notPinned) : .success(1)))
                let reader = try pin(test.core, .transaction)
                #expect(attempt { () throws(DirectoryError) in try test.core.changes(since: Tick(2)).count } == .success(0))
                try test.core.remove(try #require(test.core.find("a")))
                try test.core.seal()
                #expect(attempt { () throws(DirectoryError) in try test.core.changes(since: Tick(2)).count } == .success(1))
                test.core.cancel(reader)
                try test.core.seal()
                // Now something is gone: refused in both.
                #expect(attempt { () throws(DirectoryError) in try test.core.changes(since: Tick(2)).count } == .failure(.notPinned))
                #expect(test.close())
            }
        }

        @Test func s9AStateBelowTheFloorOrFromElsewhere() throws {
            let test = try TestDirectory()
            let durable = try test.core.attach(.init(isDurable: true))
            let state = test.core.durableState(of: durable)
            test.core.cancel(durable)
            let id = try test.core.make("a")
            try test.core.seal()
            try test.core.remove(id)
            try test.core.seal()
            #expect(try test.core.resume(state).resync?.reason == .purged)
            #expect(try test.core.resume(at: Tick(50)).resync?.reason == .future)
            var foreign = state
            foreign.directoryIdentity ^= 2
            #expect(try test.core.resume(foreign).resync?.reason == .foreignDirectory)
            #expect(try test.core.resume(at: test.statistics.floor).resync == nil)
            #expect(test.close())
        }

        /// The same after a crash: the directory is reopened as it was when its image was written, and what its readers have reached
        /// since is lost, also once ticks of the same numbers are over again.
        @Test func s9APositionThatTheReopenedDirectoryHasNot() throws {
            let test = try TestDirectory()
            var core = test.core
            let kept = try core.make("kept")
            let gone = try core.make("gone")
            try core.seal()
            let durable = try core.attach(.init(isDurable: true))
            let other = try core.attach(.init(isDurable: true))
            let early = core.durableState(of: durable)
            // Somebody at tick 2 who is not durable is all that another tombstone is kept for.
            let passing = try core.attach()
            let short = try core.make("short")
            try core.seal()
            try core.remove(short)
            try core.remove(gone)
            try core.seal()
            let middle = try core.attach()
            #expect(try core.resume(at: Tick(3)).resync?.reason == .purged)
            let image = try core.image()
            // What is told from here on never was.
            try core.remove(kept)
            for _ in 0..<3 { try core.seal() }
            #expect(core.acknowledge(durable, try core.changes(durable).token) == .accepted)
            let lost = core.durableState(of: durable)
            _ = (passing, middle)
            core.destroy()
            core = try RegionDirectory.reopened(image, in: test.heap)
            #expect(core.openTick == Tick(4) && core.statistics().readerCount == 2 && core.statistics().floor == Tick(4))
            #expect(try core.resume(at: Tick(2)).resync == nil, "the durable readers hold it")
            #expect(try core.resume(at: Tick(3)).resync?.reason == .purged)
            #expect(try core.resume(at: Tick(9)).resync?.reason == .future)
            for _ in 0..<6 { try core.seal() }
            #expect(lost.tick < core.openTick && core.statistics().floor <= lost.tick)
            #expect(try core.resume(lost).resync?.reason == .future)
            try core.seal()
            // It was let go when its owner was somewhere else; the other one is where it was.
            #expect(!core.forget(early) && core.detachedState(after: 0)?.readerSerial == other.serial)
            let (reader, resync) = try core.resume(try #require(core.detachedState(after: 0)))
            #expect(resync == nil)
            let events = try core.changes(reader).events
            #expect(events.map(\.id) == [gone] && kinds(events) == [.removed])
            core.destroy()
            #expect(test.heap.statistics().liveBlockCount == 0 && test.heap.destroy())
        }

        @Test func s10ManyExpiredReadersAreEachToldOnce() throws {
            var options = DirectoryOptions()
            options.readerLimits.lagTicks = 3
            let test = try TestDirectory(16 << 20, options)
            let kept = try test.core.make("kept")
            var readers: [ReaderHandle] = []
            for _ in 0..<600 {
                readers.append(try test.core.attach())
                if readers.count % 3 == 0 { try test.core.seal() }
            }
            for _ in 0..<8 { try test.core.seal() }
            #expect(test.statistics.expiredTotal == 600 && test.statistics.pinCount == 0)
            for reader in readers {
                guard case .resync(let resync) = try test.core.poll(reader) else { throw Unexpected(text: "not told") }
                #expect(resync.reason == .lag)
                #expect(try test.core.baseline(reader) == [kept])
                #expect(try test.core.changes(reader).events.isEmpty)
                test.core.cancel(reader)
            }
            try test.core.seal()
            #expect(test.statistics.readerCount == 0 && test.statistics.resyncTotal == 600)
            #expect(test.close())
        }

        @Test func s11BurstThenSilence() throws {
            let test = try TestDirectory()
            let ids = try (0..<5000).map { try test.core.make("\($0)") }
            try test.core.seal()
            let reader = try test.core.attach()
            for id in ids { try test.core.remove(id) }
            try test.core.seal()
            test.core.cancel(reader)
            var left = test.core.maintain(budget: 100)
            #expect(left == 4900)
            while left > 0 {
                let now = test.core.maintain(budget: 100)
                #expect(left - now == min(100, left))
                left = now
            }
            _ = test.core.maintain(budget: .max)
            #expect(test.statistics.totalBytes == test.emptyBytes)
            #expect(test.close())
        }

        @Test func s12OneThatNeverCatchesUpExpires() throws {
            var options = DirectoryOptions()
            options.readerLimits.age = 10
            let test = try TestDirectory(4 << 20, options)
            let slow = try test.core.attach()
            let good = try test.core.attach()
            var time: UInt64 = 0
            var token: BatchToken?
            for _ in 0..<30 {
                _ = try test.core.make("\(time)")
                time += 1
                try test.core.seal(time: time)
                if case .changes(let batch) = try test.core.poll(good) { _ = test.core.acknowledge(good, batch.token) }
                // Answers now and then, always for what is long over.
                if let token { _ = test.core.acknowledge(slow, token) }
                token = nil
                if time % 3 == 0, test.core.statistics(of: slow).state != .expired, case .changes(let batch) = try test.core.poll(slow) {
                    token = batch.token
                    _ = try test.core.make("late \(time)")
                    time += 1
                    try test.core.seal(time: time)
                }
            }
            #expect(test.core.statistics(of: good).state == .active)
            #expect(test.core.statistics(of: slow).state == .expired)
            guard case .resync(let resync) = try test.core.poll(slow) else { throw Unexpected(text: "not told") }
            #expect(resync.reason == .age)
            #expect(test.close())
        }

        @Test func s13ThirtyThousandCyclesLeaveNothing() throws {
            let test = try TestDirectory(4 << 20)
            let reader = try test.core.attach()
            var bytes: [Int64] = []
            for cycle in 0..<30_000 {
                let id = try test.core.make("region")
                try test.core.seal()
                try test.core.remove(id)
                try test.core.seal()
                _ = test.core.acknowledge(reader, try test.core.changes(reader).token)
                if cycle % 1000 == 999 {
                    try test.core.seal()
                    bytes.append(test.heap.statistics().requestedBytes)
                }
            }
            #expect(Set(bytes).count == 1, "\(bytes)")
            test.core.cancel(reader)
            try test.core.seal()
            _ = test.core.maintain(budget: .max)
            #expect(test.statistics.totalBytes == test.emptyBytes)
            #expect(test.heap.statistics().requestedBytes == Int64(test.emptyBytes))
            #expect(test.close())
        }
    }
}

extension ReaderOptions {
    init(isDurable: Bool) {
        self.init()
        self.isDurable = isDurable
    }
}
