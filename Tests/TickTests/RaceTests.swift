import HeapCore
import Synchronization
import Testing

@testable import Ticks

extension TickSuites {
    /// Threads, not tasks: those that wait for a flag would keep the one that sets it from ever starting.
    @Suite struct RaceTests {
        /// Readers attach, poll, acknowledge and go while another thread makes, removes and seals: each one's mirror of a
        /// listing and the changes since is, at its end, what is alive.
        @Test func attachAcknowledgeAndSealRace() throws {
            let test = try TestDirectory(64 << 20)
            let core = test.core
            let failures = Mutex<[String]>([])
            inThreads(3) { number in
                do {
                    if number < 2 {
                        for life in 0..<scaled(400) { try Self.follow(core, seed: UInt64(life * 2 + number)) }
                    } else {
                        try Self.write(core, rounds: scaled(1000))
                    }
                } catch { failures.withLock { $0.append("thread \(number): \(error)") } }
            }
            let said = failures.withLock { $0 }
            #expect(said.isEmpty, "\(said)")
            #expect(core.verify() == nil)
            try core.seal(budget: .max)
            #expect(test.statistics.readerCount == 0 && test.statistics.tombstoneCount == 0)
            #expect(test.close())
        }

        /// Readers come and go at once beside a thread that seals: a record that is taken away is not written to any more.
        @Test func attachAndCancelBesideSeals() throws {
            let test = try TestDirectory(64 << 20)
            let core = test.core
            inThreads(3) { number in
                let rounds = scaled(200_000)
                if number == 0 {
                    for _ in 0..<rounds { _ = try? core.seal() }
                } else {
                    for _ in 0..<rounds {
                        guard let reader = try? core.attach() else { continue }
                        if number == 2 { _ = try? core.poll(reader) }
                        core.cancel(reader)
                    }
                }
            }
            #expect(core.verify() == nil)
            try core.seal(budget: .max)
            #expect(test.statistics.readerCount == 0 && test.statistics.readerBytes == 0 && test.statistics.pinCount == 0)
            #expect(test.close())
        }

        private static func write(_ core: RegionDirectory, rounds: Int) throws {
            var random = Random(seed: 9)
            var alive: [RegionID] = []
            for round in 0..<rounds {
                for number in 0..<3 { alive.append(try core.make("\(round) \(number)")) }
                while alive.count > 12 { try core.remove(alive.remove(at: random.below(alive.count))) }
                try core.seal()
            }
        }

        /// One reader's life. Any loss shows as a region that is removed without being known, or added twice.
        private static func follow(_ core: RegionDirectory, seed: UInt64) throws {
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
