import CTicks
import HeapCore
import Testing

@testable import Ticks

// Safety: records of readers are looked at only while the readers are in the registry.

extension TickSuites {
    /// What a reader may rely on where its calls come in an unusual order.
    @Suite struct ReaderRuleTests {
        private func acknowledgeAll(_ core: RegionDirectory, _ reader: ReaderHandle) throws {
            let (events, token) = try core.changes(reader)
            // An empty answer acknowledges itself.
            #expect(core.acknowledge(reader, token) == (events.isEmpty ? .repeated : .accepted))
        }

        /// A state that the reader has moved past is not pinned any more: to store it would promise what is gone.
        @Test func aStateThatTheReaderHasLeftIsNotStored() throws {
            let test = try TestDirectory()
            let id = try test.core.make("a")
            try test.core.seal()
            let reader = try test.core.attach(ReaderOptions(isDurable: true))
            let state = test.core.durableState(of: reader)
            try test.core.seal()
            _ = try test.core.make("b")
            try test.core.seal()
            try acknowledgeAll(test.core, reader)
            try test.core.seal()
            try test.core.remove(id)
            try test.core.seal()
            try acknowledgeAll(test.core, reader)
            try test.core.seal()
            #expect(!test.core.noteStored(reader, state))
            let newest = test.core.durableState(of: reader)
            #expect(test.core.noteStored(reader, newest) && test.core.noteStored(reader, newest))
            _ = test.core.detach(reader)
            #expect(try test.core.resume(state).resync?.reason == .purged)
            #expect(test.close())
        }

        @Test func aTokenFromBeforeDetachingIsSuperseded() throws {
            let test = try TestDirectory()
            let reader = try test.core.attach(ReaderOptions(isDurable: true))
            try test.core.seal()
            let id = try test.core.make("b")
            try test.core.seal()
            let token = try test.core.changes(reader).token
            try test.core.seal()
            let (again, resync) = try test.core.resume(test.core.detach(reader))
            #expect(resync == nil && test.statistics.batchBytes == 0)
            try test.core.remove(id)
            try test.core.seal()
            #expect(test.core.acknowledge(again, token) == .superseded && !test.core.isPinned(again, token))
            try test.core.seal()
            // It never acknowledged the region, so that nothing is told of it.
            #expect(try test.core.changes(again).events.isEmpty)
            #expect(test.close())
        }

        /// A reader on its way in has published a tick that ended meanwhile, and is about to look again.
        @Test func aPinThatCameTooLateIsNotOneToResumeAt() throws {
            let test = try TestDirectory()
            let id = try test.core.make("a")
            try test.core.seal()
            let tick = test.core.openTick
            try test.core.remove(id)
            try test.core.seal()
            let late = try test.core.attach()
            unsafe cistern_reader_acknowledged_publish(test.core.reader(late).pointer, tick.number)
            test.core.note(test.core.reader(late), late.offset)
            #expect(try test.core.resume(at: tick).resync?.reason == .purged)
            // It looks again, and comes in where the open tick is.
            unsafe cistern_reader_acknowledged_publish(test.core.reader(late).pointer, test.core.openTick.number)
            test.core.note(test.core.reader(late), late.offset)
            try test.core.seal()
            #expect(test.core.verify() == nil && test.statistics.pinCount == 1)
            #expect(test.close())
        }

        /// Snapshots that come in at the tick after the open one, while ticks end: what they hold goes with them.
        @Test func aResumedSnapshotLeavesNoContentPin() throws {
            let test = try TestDirectory()
            let core = test.core
            let isDone = Flag()
            inThreads(2) { number in
                if number == 0 {
                    for _ in 0..<scaled(200_000) { _ = try? core.seal() }
                    isDone.set()
                } else {
                    while !isDone.isSet {
                        let next = Tick(core.openTick.number + 1)
                        if let (reader, _) = try? core.resume(at: next, ReaderOptions(.snapshot)) { core.cancel(reader) }
                    }
                }
            }
            try core.seal(budget: .max)
            #expect(core.contents.it.count == 0 && test.statistics.readerCount == 0 && core.verify() == nil)
            #expect(test.close())
        }

        /// What a durable reader holds cannot be let go; nobody else pays for it.
        @Test func aStuckDurableReaderCostsOthersNothing() throws {
            var options = DirectoryOptions()
            options.heldCountLimit = 10
            let test = try TestDirectory(4 << 20, options)
            let ids = try (0..<40).map { try test.core.make("\($0)") }
            try test.core.seal()
            let stuck = try test.core.attach(ReaderOptions(isDurable: true))
            try test.core.seal()
            let fast = try test.core.attach()
            try test.core.seal()
            for id in ids.prefix(20) { try test.core.remove(id) }
            for _ in 0..<6 {
                let report = try test.core.seal()
                #expect(report.expiredCount == 0 && report.laggingCount == 0)
            }
            #expect(test.core.statistics(of: fast).state == .active && test.core.statistics(of: stuck).state == .active)
            #expect(try test.core.changes(fast).events.count == 20)
            #expect(test.close())
        }

        /// Two readers hold the same, so that neither's going alone frees anything: both go.
        @Test func readersThatHoldTogetherExpireTogether() throws {
            var options = DirectoryOptions()
            options.heldCountLimit = 10
            let test = try TestDirectory(4 << 20, options)
            let ids = try (0..<40).map { try test.core.make("\($0)") }
            try test.core.seal()
            _ = try test.core.attach()
            try test.core.seal()
            _ = try test.core.attach()
            try test.core.seal()
            for id in ids.prefix(20) { try test.core.remove(id) }
            for _ in 0..<6 { try test.core.seal() }
            #expect(test.statistics.expiredTotal == 2 && test.statistics.tombstoneCount == 0)
            #expect(test.close())
        }

        @Test func limitsHoldForADetachedReaderAndForgettingIsOnce() throws {
            let test = try TestDirectory()
            let first = test.core.detach(try test.core.attach(ReaderOptions(isDurable: true)))
            try test.core.seal()
            #expect(test.core.forget(first) && !test.core.forget(first))
            try test.core.seal()
            #expect(!test.core.forget(first) && test.statistics.readerCount == 0)
            var limits = ReaderLimits()
            limits.lagTicks = 3
            let second = test.core.detach(try test.core.attach(ReaderOptions(isDurable: true)))
            try test.core.seal()
            let (reader, resync) = try test.core.resume(second, limits: limits)
            #expect(resync == nil)
            for _ in 0..<10 { try test.core.seal() }
            #expect(test.core.statistics(of: reader).state == .expired)
            test.core.cancel(reader)
            try test.core.seal()
            #expect(test.statistics.readerBytes == 0)
            #expect(test.close())
        }

        @Test func aCancelledHandleNamesNobodyElse() throws {
            let test = try TestDirectory()
            let old = try test.core.attach(ReaderOptions(isDurable: true))
            _ = try test.core.make("a")
            try test.core.seal()
            let token = try test.core.changes(old).token
            let state = test.core.durableState(of: old)
            test.core.cancel(old)
            #expect(throws: DirectoryError.notPinned) { try test.core.poll(old) }
            try test.core.seal()
            let new = try test.core.attach(ReaderOptions(isDurable: true))
            try #require(new.offset == old.offset)
            #expect(throws: DirectoryError.notPinned) { try test.core.poll(old) }
            #expect(throws: DirectoryError.notPinned) { try test.core.baseline(old) }
            #expect(throws: DirectoryError.notPinned) { try test.core.clone(old) }
            #expect(test.core.acknowledge(old, token) == .foreign && !test.core.isPinned(old, token))
            #expect(!test.core.noteStored(old, state))
            #expect(test.core.statistics(of: old).state == .cancelled)
            _ = test.core.detach(old)
            test.core.cancel(old)
            try test.core.seal()
            #expect(test.statistics.readerCount == 1)
            #expect(try test.core.changes(new).events.isEmpty)
            #expect(test.close())
        }

        /// A snapshot lists what was removed earlier in the tick in which it begins: then the payload is there too.
        @Test func aSnapshotAfterARemovalInTheSameTickHasThePayload() throws {
            let test = try TestDirectory()
            let id = try test.core.make("a", payload: 42)
            try test.core.seal()
            try test.core.remove(id)
            let snapshot = try test.core.attach(ReaderOptions(.snapshot))
            #expect(try test.core.baseline(snapshot) == [id])
            #expect(test.core.payload(of: id) == 42)
            try test.core.seal()
            #expect(test.core.payload(of: id) == 42)
            test.core.cancel(snapshot)
            try test.core.seal()
            #expect(test.core.payload(of: id) == nil)
            #expect(test.close())
        }

        /// Age counts from the boundary that leaves a reader behind, and not before the clock was ever told.
        @Test func timeInWhichNothingHappenedIsNotAge() throws {
            var options = DirectoryOptions()
            options.readerLimits.age = 600_000
            let test = try TestDirectory(4 << 20, options)
            let start: UInt64 = 1_700_000_000_000
            let reader = try test.core.attach()
            try test.core.seal(time: start)
            _ = try test.core.changes(reader)
            try test.core.seal(time: start + 1)
            _ = try test.core.changes(reader)
            _ = test.core.maintain(budget: 10)
            let snapshot = try test.core.attach(ReaderOptions(.snapshot))
            let later = start + 3_600_000
            for time in [later, later + 1, later + 600_000] {
                #expect(try test.core.seal(time: time).laggingCount == 0)
            }
            #expect(test.core.statistics(of: reader).state == .active && test.core.statistics(of: snapshot).state == .active)
            for time in [later + 600_001, later + 600_002] { try test.core.seal(time: time) }
            #expect(test.core.statistics(of: reader).state == .expired && test.core.statistics(of: snapshot).state == .expired)
            #expect(test.close())
        }

        @Test func theClocksFirstTimeIsNotAge() throws {
            var options = DirectoryOptions()
            options.readerLimits.age = 600_000
            let test = try TestDirectory(4 << 20, options)
            let snapshot = try test.core.attach(ReaderOptions(.snapshot))
            try test.core.seal()
            for time in [1_700_000_000_000, 1_700_000_000_001] { try test.core.seal(time: UInt64(time)) }
            #expect(test.core.statistics(of: snapshot).state == .active)
            for time in [1_700_000_600_001, 1_700_000_600_002] { try test.core.seal(time: UInt64(time)) }
            #expect(test.core.statistics(of: snapshot).state == .expired)
            #expect(test.close())
        }

        /// The count is of looks at records, not of what ought to have been looked at: moving records counts too.
        @Test func aBoundaryLooksOnlyAtWhatItDecidesOrFrees() throws {
            let test = try TestDirectory()
            let ids = try (0..<1000).map { try test.core.make("\($0)") }
            try test.core.seal()
            let stuck = try test.core.attach()
            try test.core.seal()
            for id in ids.prefix(500) { try test.core.remove(id) }
            #expect(try test.core.seal().touchedCount == 500)
            for id in ids.suffix(500) { try test.core.remove(id) }
            #expect(try test.core.seal().touchedCount == 500)
            for _ in 0..<10 { #expect(try test.core.seal().touchedCount == 0) }
            let before = test.core.header.it.touched_total
            let (between, resync) = try test.core.resume(at: Tick(4))
            #expect(resync == nil)
            #expect(test.core.header.it.touched_total - before == 1000)
            test.core.cancel(between)
            test.core.cancel(stuck)
            #expect(try test.core.seal(budget: 10).touchedCount == 10)
            #expect(test.statistics.touchedMost == 500)
            #expect(test.close())
        }
    }
}
