import HeapCore
import Testing

@testable import Ticks

// Safety: blocks that fill a heap are handed back to it and never looked at.

extension TickSuites {
    /// No room, wrong tokens, last ticks, races.
    @Suite struct FaultTests {
        /// Fills the heap up to its last byte, by blocks of falling size; returns them.
        private func exhaust(_ heap: BoundedHeap) -> [(UInt, Int)] {
            var blocks: [(UInt, Int)] = []
            for size in [65536, 8192, 2048, 512, 256, 128, 64, 40, 32, 24, 16, 8] {
                while let block = unsafe heap.allocate(byteCount: size) { blocks.append((UInt(bitPattern: block), size)) }
            }
            return blocks
        }

        private func release(_ blocks: [(UInt, Int)], in heap: BoundedHeap) {
            for (block, size) in blocks { unsafe heap.deallocate(UnsafeMutableRawPointer(bitPattern: block)!, byteCount: size) }
        }

        /// At every state that a run passes through, the heap is full: creating, subscribing, polling are refused and change
        /// nothing; removing and sealing do their work.
        @Test func aFullHeapRefusesAndLosesNothing() throws {
            for rounds in 0..<scaled(60) {
                let test = try TestDirectory(1 << 20)
                var ids: [RegionID] = []
                let reader = try test.core.attach()
                for number in 0..<rounds {
                    ids.append(try test.core.make("region \(number)", parent: number % 3 == 2 ? ids[number - 1] : .none))
                    if number % 4 == 3 { try test.core.seal() }
                }
                let before = test.statistics
                let blocks = exhaust(test.heap)
                var refused = 0
                for number in 0..<20 {
                    let name = String(repeating: "x", count: number * 16)
                    switch attempt({ () throws(DirectoryError) in try test.core.make(name) }) {
                    case .success(let id): ids.append(id)
                    case .failure(let error):
                        #expect(error == .outOfCapacity && test.core.find(name) == nil)
                        refused += 1
                    }
                }
                #expect(refused > 0)
                #expect(test.core.verify() == nil)
                let poll = attempt { () throws(DirectoryError) in try test.core.poll(reader) }
                if case .failure(let error) = poll { #expect(error == .outOfCapacity) }
                if case .failure(let error) = attempt({ () throws(DirectoryError) in try test.core.attach() }) {
                    #expect(error == .outOfCapacity)
                }
                for id in ids where test.core.status(of: id) != .unknown {
                    if case .alive = test.core.status(of: id) { try test.core.remove(id) }
                }
                try test.core.seal(budget: .max)
                #expect(test.core.verify() == nil && test.statistics.liveCount == 0)
                release(blocks, in: test.heap)
                #expect(before.liveCount == UInt64(rounds))
                #expect(try test.core.make("after") != .none)
                #expect(test.close())
            }
        }

        @Test func tokensOfOthersAreRefused() throws {
            let one = try TestDirectory(4 << 20)
            let two = try TestDirectory(4 << 20)
            let reader = try one.core.attach()
            let other = try one.core.attach()
            let stranger = try two.core.attach()
            _ = try one.core.make("a")
            _ = try two.core.make("a")
            try one.core.seal()
            try two.core.seal()
            let token = try one.core.changes(reader).token
            let foreign = try two.core.changes(stranger).token
            #expect(one.core.acknowledge(other, token) == .foreign)
            #expect(one.core.acknowledge(reader, foreign) == .foreign)
            let newer = try one.core.changes(reader).token
            #expect(one.core.acknowledge(reader, token) == .superseded)
            #expect(one.core.acknowledge(reader, newer) == .accepted)
            #expect(one.core.acknowledge(reader, newer) == .repeated)
            #expect(one.core.acknowledge(reader, token) == .superseded)
            #expect(one.core.statistics(of: reader).acknowledged == Tick(2))
            #expect(one.close() && two.close())
        }

        @Test func theLastTickDoesNotEnd() throws {
            var options = DirectoryOptions()
            options.firstTick = Tick(UInt64.max - 2)
            let test = try TestDirectory(4 << 20, options)
            let id = try test.core.make("a")
            try test.core.seal()
            let reader = try test.core.attach()
            try test.core.remove(id)
            #expect(throws: DirectoryError.tickExhausted) { try test.core.seal() }
            #expect(test.core.openTick == Tick.last && test.core.verify() == nil)
            #expect(try test.core.baseline(reader) == [id])
            #expect(test.close())
        }

        @Test func pushBackRefusesARemovalAndChangesNothing() throws {
            var options = DirectoryOptions()
            options.policy = .pushBack
            options.heldCountLimit = 2
            let test = try TestDirectory(4 << 20, options)
            let parent = try test.core.make("parent")
            for number in 0..<3 { _ = try test.core.make("child \(number)", parent: parent) }
            try test.core.seal()
            let reader = try test.core.attach()
            #expect(throws: DirectoryError.retentionExhausted) { try test.core.remove(parent) }
            #expect(test.statistics.stagedCount == 0 && test.core.verify() == nil)
            test.core.cancel(reader)
            // Nobody is left to hold it.
            #expect(try test.core.remove(parent) == 4)
            #expect(test.close())
        }

        @Test func names() throws {
            let test = try TestDirectory(4 << 20)
            let long = [UInt8](repeating: 7, count: 4096)
            let id = try test.core.make(long)
            #expect(throws: DirectoryError.nameTooLong(byteCount: 4097)) { try test.core.make(long + [1]) }
            #expect(throws: DirectoryError.nameTaken(id)) { try test.core.make(long) }
            let empty = try test.core.make("")
            #expect(test.core.name(of: empty) == "" && test.core.find("") == empty)
            try test.core.remove(empty)
            #expect(throws: DirectoryError.removedRegion(at: Tick(1))) { try test.core.make("b", parent: empty) }
            #expect(test.core.find("") == nil)
            #expect(test.close())
        }

        /// Many more pins than groups: nothing is lost, and what is held too much goes with the pins.
        @Test func moreReadersThanGroups() throws {
            let test = try TestDirectory(32 << 20)
            var readers: [(handle: ReaderHandle, known: Set<UInt32>)] = []
            var alive: [RegionID] = []
            var random = Random(seed: 5)
            for round in 0..<scaled(400) {
                let handle = try test.core.attach()
                readers.append((handle, Set(alive.map(\.slot))))
                for number in 0..<3 { alive.append(try test.core.make("\(round) \(number)")) }
                for _ in 0..<2 where alive.count > 20 { try test.core.remove(alive.remove(at: random.below(alive.count))) }
                // Readers know what was alive when the tick before was over.
                try test.core.seal()
                if round % 50 == 0 { #expect(test.core.verify() == nil) }
            }
            #expect(test.statistics.pinCount <= 64)
            for reader in readers {
                var mirror = Set(try test.core.baseline(reader.handle).map(\.slot))
                #expect(mirror == reader.known)
                for event in try test.core.changes(reader.handle).events {
                    if event.kind == .removed { mirror.remove(event.id.slot) }
                }
                for event in try test.core.changes(reader.handle).events where event.kind == .added { mirror.insert(event.id.slot) }
                #expect(mirror == Set(alive.map(\.slot)))
                test.core.cancel(reader.handle)
            }
            try test.core.seal(budget: .max)
            #expect(test.statistics.tombstoneCount == 0 && test.core.verify() == nil)
            #expect(test.close())
        }

        @Test func snapshotsKeepContentAndSubscriptionsDoNot() throws {
            let test = try TestDirectory(4 << 20)
            let first = try test.core.make("first", payload: 11)
            let second = try test.core.make("second", payload: 12)
            try test.core.seal()
            let reader = try test.core.attach()
            try test.core.remove(first)
            try test.core.seal()
            #expect(test.core.payload(of: first) == nil)
            let snapshot = try test.core.attach(ReaderOptions(.snapshot))
            try test.core.remove(second)
            try test.core.seal()
            #expect(test.core.payload(of: second) == 12 && test.statistics.keptContentCount == 1)
            test.core.cancel(snapshot)
            try test.core.seal()
            #expect(test.core.payload(of: second) == nil && test.statistics.keptContentCount == 0)
            #expect(test.core.name(of: second) == "second" && test.core.verify() == nil)
            test.core.cancel(reader)
            try test.core.seal()
            #expect(test.close())
        }
    }
}
