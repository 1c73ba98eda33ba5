import Cistern
import Testing

extension FaceSuites {
    @Suite struct ReactiveStoreTests {
        @Test func theStoreKeepsItsReadersRight() throws {
            let report = try runReactiveStore()
            #expect(report.count == 7)
            for line in report { print(line) }
            #expect(
                report[0] == "export: removed height, changed total, added depth, added depth/squares, removedWithParent height/squares")
            #expect(report[1] == "squares of the removed width: 1, 4, 9")
            #expect(report[2] == "regions in memory: 8 with the snapshot, 5 without")
            #expect(report[3] == "the slow one holds 4 tombstones")
            #expect(report[4] == "same mirrors: true")
            #expect(report[5] == "names: depth, depth/squares, made in the fork, made in the fork/squares, total")
        }

        @Test func thePageShowsTheExampleThatCompiles() throws {
            let own = try #require(text(ofFile: "\(packageFolder)/Tests/CisternTests/ReactiveStoreExample.swift"))
            let page = try #require(text(ofFile: "\(packageFolder)/docs/reactive-store.md"))
            let example = try #require(part(of: own, from: "// EXAMPLE\n", to: "// END EXAMPLE\n"))
            let shown = try #require(part(of: page, from: "```swift\n", to: "```\n"))
            #expect(Array(shown.utf8) == Array(example.utf8))
        }

        private func part(of text: String, from: String, to: String) -> String? {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) + "\n" }
            guard let start = lines.firstIndex(of: from), let end = lines[(start + 1)...].firstIndex(of: to) else { return nil }
            return lines[(start + 1)..<end].joined()
        }

        /// A dropped subscription, a refused token, a detached one: through the public face.
        @Test func handlesMoveAndLetGo() throws {
            let heap = try Heap(capacityBytes: 4 << 20)
            do {
                let directory = try Directory(in: heap)
                let id = try directory.create("a")
                try directory.seal()
                do {
                    let dropped = try directory.subscribe()
                    try directory.remove(id)
                    try directory.seal()
                    guard case .changes(let batch) = try dropped.poll() else { throw Unexpected() }
                    #expect(batch.count == 1 && directory.name(of: id) == "a")
                }
                // In the middle of its batch it went: nothing is held for it.
                try directory.seal()
                #expect(directory.statistics.tombstoneCount == 0 && directory.status(of: id) == .unknown)
                let durable = try directory.subscribe(isDurable: true)
                let isStored = durable.noteStored(durable.durableState)
                #expect(isStored)
                let state = durable.detach()
                let other = try directory.create("b")
                try directory.seal()
                let again = try directory.resume(state)
                let why = again.resync
                #expect(why == nil)
                guard case .changes(let batch) = try again.poll() else { throw Unexpected() }
                var told: [RegionID] = []
                try again.forEachChange(in: batch) { told.append($0.id) }
                #expect(told == [other])
                let statuses = [again.acknowledge(batch), again.acknowledge(batch)]
                #expect(statuses == [.accepted, .repeated])
                var refusal: DirectoryError?
                do throws(DirectoryError) { try again.forEachChange(in: batch) { _ in } } catch { refusal = error }
                #expect(refusal == .notPinned)
                let reason = try directory.resume(at: Tick(99)).resync?.reason
                #expect(reason == .future)
            }
            #expect(heap.statistics.liveBlockCount == 0)
        }

        /// What the face hands on to the core unchanged.
        @Test func whatADirectoryTells() throws {
            let heap = try Heap(capacityBytes: 4 << 20)
            do {
                let directory = try Directory(in: heap)
                let parent = try directory.create("a")
                let child = try directory.create("b", under: parent, payload: 7)
                #expect(directory.parent(of: child) == parent && directory.parent(of: parent) == .none)
                let before = try directory.setPayload(8, of: child)
                #expect(before == 7 && directory.payload(of: child) == 8)
                let late = try directory.create("late")
                #expect(throws: DirectoryError.ownerTooYoung(owner: late, child: child)) { try directory.addOwner(late, of: child) }
                try directory.addOwner(parent, of: late)
                try directory.addOwner(child, of: late)
                #expect(directory.owners(of: late) == [parent, child] && directory.statistics.ownerBytes == 40)
                let isOwned = [try directory.removeOwner(parent, of: late), try directory.removeOwner(child, of: late)]
                #expect(isOwned == [true, false] && directory.owners(of: late).isEmpty)
                try directory.remove(late)
                #expect(directory.openTick == Tick(1) && directory.maintain() == 0 && directory.verify() == nil)
                try directory.seal()
                let first = try directory.subscribe()
                let copy = try first.clone()
                let pin = try directory.pin(.exporter)
                let pinned = pin.tick
                #expect(pinned == Tick(2))
                try directory.remove(child)
                try directory.seal()
                var seen: [RegionID] = []
                try pin.forEachChange { seen.append($0.id) }
                var alive: [RegionID] = []
                try pin.forEachAlive { alive.append($0) }
                #expect(seen == [child] && alive.count == 2 && alive.contains(parent) && alive.contains(child))
                let held = (pin.statistics.acknowledged, copy.statistics.acknowledged)
                #expect(held == (Tick(2), Tick(2)))
                let durable = try directory.subscribe(isDurable: true)
                let state = durable.detach()
                let answers = [directory.forget(state), directory.forget(state)]
                #expect(answers == [true, false])
            }
            #expect(heap.statistics.liveBlockCount == 0)
        }

        /// A pin that held too long says so, and lists nothing.
        @Test func anExpiredPinIsRefused() throws {
            let heap = try Heap(capacityBytes: 4 << 20)
            var options = DirectoryOptions()
            options.readerLimits.lagTicks = 1
            let directory = try Directory(in: heap, options)
            let pin = try directory.pin(.transaction)
            for name in ["a", "b", "c", "d"] {
                _ = try directory.create(name)
                try directory.seal()
            }
            var calls = 0
            var refusals: [DirectoryError] = []
            do throws(DirectoryError) { try pin.forEachChange { _ in calls += 1 } } catch { refusals.append(error) }
            do throws(DirectoryError) { try pin.forEachAlive { _ in calls += 1 } } catch { refusals.append(error) }
            #expect(calls == 0 && refusals == [.notPinned, .notPinned])
        }

        private struct Unexpected: Error {}
    }
}
