import HeapCore
import Synchronization
import Testing

@testable import Ticks

extension TickSuites {
    @Suite struct RaceTests {
        /// Readers attach, poll, acknowledge and go while another thread makes, removes and seals: each one's mirror of a
        /// listing and the changes since is, at its end, what is alive.
        @Test func attachAcknowledgeAndSealRace() async throws {
            let test = try TestDirectory(64 << 20)
            let core = test.core
            let isDone = Flag()
            let rounds = scaled(1000)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<2 {
                    group.addTask {
                        repeat { try Self.follow(core, until: isDone, seed: UInt64(number)) } while !isDone.isSet
                    }
                }
                group.addTask {
                    defer { isDone.set() }
                    var random = Random(seed: 9)
                    var alive: [RegionID] = []
                    for round in 0..<rounds {
                        for number in 0..<3 { alive.append(try core.make("\(round) \(number)")) }
                        while alive.count > 12 { try core.remove(alive.remove(at: random.below(alive.count))) }
                        try core.seal()
                    }
                }
                try await group.waitForAll()
            }
            #expect(core.verify() == nil)
            try core.seal(budget: .max)
            #expect(test.statistics.readerCount == 0 && test.statistics.tombstoneCount == 0)
            #expect(test.close())
        }

        /// One reader's life. Any loss shows as a region that is removed without being known, or added twice.
        private static func follow(_ core: RegionDirectory, until isDone: Flag, seed: UInt64) throws {
            var random = Random(seed: seed)
            let reader = try core.attach()
            defer { core.cancel(reader) }
            var known = Set(try core.baseline(reader).map(\.slot))
            for _ in 0..<(5 + random.below(20)) {
                let (events, token) = try core.changes(reader)
                guard !events.isEmpty else { continue }
                for event in events {
                    switch event.kind {
                    case .removed, .removedWithParent:
                        if known.remove(event.id.slot) == nil { throw Unexpected(text: "removed, but not known") }
                    case .added: if !known.insert(event.id.slot).inserted { throw Unexpected(text: "added, but known") }
                    case .changed: break
                    }
                }
                if core.acknowledge(reader, token) != .accepted { throw Unexpected(text: "not accepted") }
            }
        }
    }
}

final class Flag: Sendable {
    private let word = Atomic<Bool>(false)
    var isSet: Bool { word.load(ordering: .acquiring) }
    func set() { word.store(true, ordering: .releasing) }
}
