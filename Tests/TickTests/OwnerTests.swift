import HeapCore
import Testing

@testable import Ticks

// Safety: blocks that fill a heap are handed back to it and never looked at.

extension TickSuites {
    /// Regions with more than one owner.
    @Suite struct OwnerTests {
        /// Two owners in an earlier tick, and a child of the first with a child of its own, all known to a reader.
        private struct Shared {
            let test: TestDirectory
            let one: RegionID
            let two: RegionID
            let child: RegionID
            let below: RegionID
            let reader: ReaderHandle

            init(_ mode: RetentionMode = .interval) throws {
                var options = DirectoryOptions()
                options.mode = mode
                test = try TestDirectory(8 << 20, options)
                one = try test.core.make("one")
                two = try test.core.make("two")
                child = try test.core.make("child", parent: one)
                below = try test.core.make("below", parent: child)
                try test.core.addOwner(two, of: child)
                try test.core.seal()
                reader = try test.core.attach()
            }

            /// The batch of what happened since: its events, and those below each.
            func told() throws -> (events: [RegionChange], below: [[RegionID]]) {
                try test.core.seal()
                guard case .changes(let batch) = try test.core.poll(reader) else { throw Unexpected(text: "resync") }
                let events = test.core.events(batch)
                let below = (0..<batch.count).map { index in test.core.descendants(batch, of: index).map { events[$0].id } }
                #expect(test.core.acknowledge(reader, batch.token) == .accepted)
                return (Array(events.prefix(batch.count)), below)
            }
        }

        @Test(arguments: [RetentionMode.horizon, .interval])
        func aSharedChildGoesWithItsLastOwner(mode: RetentionMode) throws {
            let shared = try Shared(mode)
            let core = shared.test.core
            #expect(core.owners(of: shared.child) == [shared.one, shared.two] && shared.test.statistics.ownerBytes == 40)
            #expect(try core.remove(shared.one) == 1)
            // It survives the first, and its parent is the other now.
            #expect(core.parent(of: shared.child) == shared.two && core.owners(of: shared.child) == [shared.two])
            #expect(core.verify() == nil && shared.test.statistics.ownerBytes == 0)
            let first = try shared.told()
            #expect(first.events.map(\.id) == [shared.one] && first.below == [[]])
            #expect(try core.remove(shared.two) == 3)
            let second = try shared.told()
            #expect(second.events.map(\.id) == [shared.two] && second.below == [[shared.child, shared.below]])
            #expect(shared.test.close())
        }

        /// The second owner first: the link goes, the parent stays.
        @Test func theOwnerThatCameLaterGoesFirst() throws {
            let shared = try Shared()
            let core = shared.test.core
            #expect(try core.remove(shared.two) == 1)
            #expect(core.parent(of: shared.child) == shared.one && core.verify() == nil)
            #expect(try core.remove(shared.one) == 3)
            // While their tick is open, and after it, the parent is the one that it went with.
            #expect(core.parent(of: shared.child) == shared.one)
            #expect(try shared.told().below == [[], [shared.child, shared.below]])
            #expect(shared.test.close())
        }

        /// Removed by itself it takes what it owns, and its owners own it no more.
        @Test func aSharedChildIsRemovedItself() throws {
            let shared = try Shared()
            let core = shared.test.core
            #expect(try core.remove(shared.child) == 2)
            #expect(core.verify() == nil && shared.test.statistics.ownerBytes == 0 && core.owners(of: shared.child).isEmpty)
            #expect(try core.remove(shared.one) == 1 && core.remove(shared.two) == 1)
            #expect(try shared.told().below == [[shared.below], [], []])
            #expect(shared.test.close())
        }

        /// All ways from the root to the tip of a diamond have a middle that is removed first: the tip comes once, and last.
        @Test func aDiamondGoesAtOnce() throws {
            let test = try TestDirectory()
            let root = try test.core.make("root")
            let middles = try (0..<5).map { try test.core.make("\($0)", parent: root) }
            let tip = try test.core.make("tip", parent: middles[2])
            for middle in [0, 4, 1, 3] { try test.core.addOwner(middles[middle], of: tip) }
            // The root, too, and a way round the middles.
            try test.core.addOwner(root, of: tip)
            let under = try test.core.make("under", parent: tip)
            try test.core.addOwner(middles[1], of: under)
            try test.core.seal()
            let reader = try test.core.attach()
            #expect(test.core.verify() == nil && test.statistics.ownerBytes == 6 * 40)
            #expect(try test.core.remove(root) == 8)
            #expect(test.core.verify() == nil && test.statistics.ownerBytes == 0)
            try test.core.seal()
            let events = try test.core.changes(reader).events
            #expect(events.map(\.kind) == [.removed] + Array(repeating: .removedWithParent, count: 7))
            #expect(events.map(\.id).suffix(2) == [tip, under] && Set(events.map(\.id.slot)).count == 8)
            #expect(middles.contains(test.core.parent(of: tip)) && test.core.parent(of: under) == tip)
            #expect(test.close())
        }

        @Test func anOwnerMadeLaterIsRefused() throws {
            let test = try TestDirectory()
            let old = try test.core.make("old")
            let child = try test.core.make("child")
            let later = try test.core.make("later")
            let refused = DirectoryError.ownerTooYoung(owner: later, child: child)
            #expect(throws: refused) { try test.core.addOwner(later, of: child) }
            #expect(throws: DirectoryError.ownerTooYoung(owner: child, child: child)) { try test.core.addOwner(child, of: child) }
            try test.core.seal()
            let nextTick = try test.core.make("next tick")
            #expect(throws: DirectoryError.ownerTooYoung(owner: nextTick, child: later)) { try test.core.addOwner(nextTick, of: later) }
            #expect(throws: refused) { try test.core.addOwner(later, of: child) }
            try test.core.addOwner(old, of: nextTick)
            #expect(throws: DirectoryError.unknownRegion) { try test.core.addOwner(.none, of: child) }
            #expect(throws: DirectoryError.unknownRegion) { try test.core.addOwner(old, of: .none) }
            #expect(test.core.owners(of: child).isEmpty && test.core.verify() == nil)
            #expect(test.close())
        }

        /// The numbers of operations wrap: within a tick they are compared by how far they are apart, across ticks the tick tells.
        @Test func olderAcrossTheEndOfTheNumbers() throws {
            let test = try TestDirectory()
            let early = try test.core.make("early")
            try test.core.seal()
            test.core.header.it.operation_count = .max - 1
            let last = try test.core.make("last")
            let first = try test.core.make("first")
            #expect(last.generation == .max && first.generation == 1)
            try test.core.addOwner(last, of: first)
            try test.core.addOwner(early, of: first)
            #expect(throws: DirectoryError.ownerTooYoung(owner: first, child: last)) { try test.core.addOwner(first, of: last) }
            #expect(throws: DirectoryError.ownerTooYoung(owner: last, child: early)) { try test.core.addOwner(last, of: early) }
            #expect(test.core.verify() == nil && test.close())
        }

        @Test func ownersAreTakenAwayOneByOne() throws {
            let shared = try Shared()
            let core = shared.test.core
            let (one, two, child) = (shared.one, shared.two, shared.child)
            #expect(throws: DirectoryError.alreadyOwner(owner: one, child: child)) { try core.addOwner(one, of: child) }
            #expect(throws: DirectoryError.alreadyOwner(owner: two, child: child)) { try core.addOwner(two, of: child) }
            #expect(throws: DirectoryError.notOwner(owner: one, child: shared.below)) { _ = try core.removeOwner(one, of: shared.below) }
            #expect(throws: DirectoryError.notOwner(owner: child, child: one)) { _ = try core.removeOwner(child, of: one) }
            // The parent goes, the other becomes it; then that one goes.
            #expect(try core.removeOwner(one, of: child) && core.parent(of: child) == two && core.verify() == nil)
            #expect(throws: DirectoryError.notOwner(owner: one, child: child)) { _ = try core.removeOwner(one, of: child) }
            #expect(try !core.removeOwner(two, of: child) && core.parent(of: child) == .none && core.verify() == nil)
            // Without an owner it stays when those that it had go.
            #expect(try core.remove(two) == 1)
            #expect(throws: DirectoryError.removedRegion(at: Tick(2))) { try core.addOwner(two, of: child) }
            #expect(throws: DirectoryError.removedRegion(at: Tick(2))) { _ = try core.removeOwner(two, of: child) }
            // And goes with whoever owns it anew.
            try core.addOwner(one, of: child)
            #expect(shared.test.statistics.ownerBytes == 0)
            #expect(try core.remove(one) == 3)
            #expect(shared.test.close())
        }

        /// Made, shared, unshared and removed before anyone could see it: nobody is told, nothing is left.
        @Test func allInTheTickOfItsBirth() throws {
            let test = try TestDirectory()
            let reader = try test.core.attach()
            let one = try test.core.make("one")
            let two = try test.core.make("two")
            let child = try test.core.make("child", parent: one)
            try test.core.addOwner(two, of: child)
            #expect(try test.core.removeOwner(one, of: child))
            try test.core.addOwner(one, of: child)
            #expect(try test.core.remove(two) == 1 && test.core.remove(one) == 2)
            #expect(test.core.verify() == nil)
            let report = try test.core.seal(budget: .max)
            #expect(report.annihilatedCount == 3)
            #expect(try test.core.changes(reader).events.isEmpty)
            test.core.cancel(reader)
            _ = test.core.maintain(budget: .max)
            #expect(test.statistics.totalBytes == test.emptyBytes)
            #expect(test.close())
        }

        /// Owners of ten thousand, which both go; a boundary later every byte is back.
        @Test(arguments: [true, false])
        func tenThousandChildrenWithTwoOwners(isParentFirst: Bool) throws {
            let test = try TestDirectory(16 << 20)
            let one = try test.core.make("one")
            let two = try test.core.make("two")
            let children = try (0..<10_000).map { try test.core.make("\($0)", parent: one) }
            for child in children { try test.core.addOwner(two, of: child) }
            #expect(test.statistics.ownerBytes == 400_000 && test.core.verify() == nil)
            try test.core.seal()
            let reader = try test.core.attach()
            #expect(try test.core.remove(isParentFirst ? one : two) == 1)
            #expect(test.statistics.ownerBytes == 0 && test.core.verify() == nil)
            #expect(test.core.parent(of: children[77]) == (isParentFirst ? two : one))
            #expect(try test.core.remove(isParentFirst ? two : one) == 10_001)
            try test.core.seal()
            #expect(try test.core.changes(reader).events.count == 10_002)
            test.core.cancel(reader)
            try test.core.seal(budget: .max)
            _ = test.core.maintain(budget: .max)
            #expect(test.statistics.totalBytes == test.emptyBytes && test.core.verify() == nil)
            #expect(test.close())
        }

        /// A child of ten thousand owners, which go one after another.
        @Test func oneChildOfTenThousandOwners() throws {
            let test = try TestDirectory(16 << 20)
            let owners = try (0..<10_000).map { try test.core.make("\($0)") }
            let child = try test.core.make("child")
            for owner in owners { try test.core.addOwner(owner, of: child) }
            #expect(test.core.verify() == nil && test.core.owners(of: child).count == 10_000)
            for owner in owners.dropLast() { #expect(try test.core.remove(owner) == 1) }
            #expect(test.core.parent(of: child) == owners.last && test.core.verify() == nil)
            #expect(try test.core.remove(owners[9999]) == 2)
            #expect(test.close())
        }

        /// Just what would go counts: a child that another owner keeps does not, and one whose owners all would go does, once.
        @Test func pushBackCountsExactly() throws {
            for limit in 0...8 as ClosedRange<UInt64> {
                var options = DirectoryOptions()
                options.policy = .pushBack
                options.heldCountLimit = limit
                let test = try TestDirectory(4 << 20, options)
                let other = try test.core.make("other")
                let root = try test.core.make("root")
                let left = try test.core.make("left", parent: root)
                let right = try test.core.make("right", parent: root)
                let tip = try test.core.make("tip", parent: left)
                try test.core.addOwner(right, of: tip)
                try test.core.addOwner(root, of: tip)
                let kept = try test.core.make("kept", parent: right)
                try test.core.addOwner(other, of: kept)
                _ = try test.core.make("below kept", parent: kept)
                try test.core.seal()
                let reader = try test.core.attach()
                // Not seen by anyone: it costs nothing.
                _ = try test.core.make("new", parent: tip)
                let removed = attempt { () throws(DirectoryError) in try test.core.remove(root) }
                // The root, left, right and the tip.
                #expect(removed == (limit < 4 ? .failure(.retentionExhausted) : .success(5)))
                #expect(test.core.verify() == nil)
                #expect(test.statistics.stagedCount == (limit < 4 ? 0 : 5) && test.statistics.ownerBytes == (limit < 4 ? 120 : 0))
                #expect(test.core.parent(of: kept) == (limit < 4 ? right : other))
                // And two more for what was kept, with the other.
                let second = attempt { () throws(DirectoryError) in try test.core.remove(other) }
                let goes = limit < 4 ? limit >= 1 : limit >= 7
                #expect(second == (goes ? .success(limit < 4 ? 1 : 3) : .failure(.retentionExhausted)))
                test.core.cancel(reader)
                #expect(test.core.verify() == nil && test.close())
            }
        }

        /// A full heap refuses another owner, and everything is as before; taking owners away goes on.
        @Test func aFullHeapRefusesAnOwner() throws {
            let shared = try Shared()
            let core = shared.test.core
            let third = try core.make("third")
            let lone = try core.make("lone")
            let young = try core.make("young", parent: third)
            var blocks: [(UInt, Int)] = []
            for size in [65536, 4096, 512, 128, 64, 48, 40, 32, 24, 16, 8] {
                while let block = unsafe shared.test.heap.allocate(byteCount: size) { blocks.append((UInt(bitPattern: block), size)) }
            }
            let before = shared.test.statistics
            #expect(throws: DirectoryError.outOfCapacity) { try core.addOwner(shared.one, of: young) }
            #expect(core.owners(of: young) == [third] && shared.test.statistics == before && core.verify() == nil)
            // The first owner needs no room.
            try core.addOwner(third, of: lone)
            #expect(try core.removeOwner(shared.one, of: shared.child))
            // What that gave back is enough for one.
            try core.addOwner(shared.one, of: young)
            #expect(try core.remove(shared.two) == 3 && core.verify() == nil)
            for (block, size) in blocks { unsafe shared.test.heap.deallocate(UnsafeMutableRawPointer(bitPattern: block)!, byteCount: size) }
            #expect(shared.test.close())
        }

        /// Links that are there when the directory ends go with it.
        @Test func aDirectoryEndsWithSharedChildren() throws {
            let shared = try Shared()
            let more = try (0..<20).map { try shared.test.core.make("\($0)", parent: shared.below) }
            for (number, child) in more.enumerated() where number > 0 { try shared.test.core.addOwner(more[number - 1], of: child) }
            #expect(shared.test.statistics.ownerBytes == 20 * 40)
            #expect(shared.test.close())
        }
    }
}
