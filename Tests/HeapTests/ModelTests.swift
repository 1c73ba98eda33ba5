import CTestSupport
import Testing

@testable import HeapCore

extension HeapSuites {
    /// Random programs against an oracle. CISTERN_TEST_SEED replays one; CISTERN_TEST_SCALE=small shortens them.
    @Suite struct ModelTests {
        enum Kind: String, CaseIterable {
            case tiny, usual, alignsTo16, onLines, oneThread, checked, checkedOnLines, noHugePages

            var isChecked: Bool { self == .checked || self == .checkedOnLines }

            var blockAlignment: BlockAlignment {
                self == .alignsTo16 ? .sixteen : self == .onLines || self == .checkedOnLines ? .cacheLine : .eight
            }
        }

        private func makeHeap(_ kind: Kind) throws -> TestHeap {
            try TestHeap(kind == .tiny ? 1 << 20 : kind == .noHugePages ? 64 << 20 : 16 << 20) {
                $0.blockAlignment = kind.blockAlignment
                $0.isForOneThread = kind == .oneThread
                $0.isChecked = kind.isChecked
                $0.usesHugePages = kind != .noHugePages
            }
        }

        @Test(arguments: Kind.allCases) func randomPrograms(kind: Kind) throws {
            let seed = cistern_test_seed(0x5EED_0001)
            print("model test \(kind.rawValue): seed \(seed) (CISTERN_TEST_SEED)")
            let steps = scaled(kind.isChecked ? 5000 : 20_000)
            for round in 0..<UInt64(2) {
                let heap = try makeHeap(kind)
                var program = ModelProgram(
                    heap, heap: heap, seed: seed &+ round, mostBytes: kind == .tiny ? 60_000 : 100_000,
                    leastAlignment: max(kind.isChecked ? 16 : 8, UInt(kind.blockAlignment.rawValue)))
                let failure = program.run(steps: steps, checkEvery: 500)
                #expect(failure == nil, "seed \(seed &+ round)")
                #expect(program.moves > 0)
                if kind == .tiny, steps >= 5000 { #expect(program.refusals > 0) }
                #expect(heap.core.statistics().liveBlockCount == 0 || kind.isChecked)
                #expect(heap.destroy())
            }
        }

        /// A source of blocks that is wrong in one way, to see that the harness would notice.
        struct Broken: BlockSource {
            enum Fault: CaseIterable { case overlap, lostContent, notZero, misaligned, leak }
            let heap: TestHeap
            let fault: Fault
            let calls = SharedWord()
            let given = Mailboxes(1)

            private var isDue: Bool { calls.add(1) == 300 }

            func allocate(_ byteCount: Int) -> UInt? {
                guard let block = heap.allocate(byteCount) else { return nil }
                if fault == .overlap { return calls.add(1) < 300 ? block : given.exchange(0, block).nonZero ?? block }
                if fault == .misaligned, isDue { return block + 4 }
                return block
            }

            func allocateZeroed(_ byteCount: Int) -> UInt? {
                let block = heap.allocateZeroed(byteCount)
                if let block, fault == .notZero, byteCount > 0 { cistern_test_write_byte(block, 1) }
                return block
            }

            func allocate(_ byteCount: Int, alignment: Int) -> UInt? { heap.allocate(byteCount, alignment: alignment) }
            func free(_ block: UInt, _ byteCount: Int) { free(block) }

            func free(_ block: UInt) {
                if fault == .leak, isDue { return }
                heap.free(block)
            }

            func resize(_ block: UInt, from old: Int?, to byteCount: Int) -> UInt? {
                let moved = heap.resize(block, from: old, to: byteCount)
                if let moved, fault == .lostContent, byteCount > 0, let old, old > 0 { cistern_test_write_byte(moved, 0xEE) }
                return moved
            }

            func usableSize(_ block: UInt) -> Int { heap.usableSize(block & ~7) }
        }

        @Test(arguments: Broken.Fault.allCases) func aBrokenAllocatorIsNoticed(fault: Broken.Fault) throws {
            let heap = try TestHeap(64 << 20)
            let source = Broken(heap: heap, fault: fault)
            var program = ModelProgram(source, heap: heap, seed: 1, mostBytes: 10_000, leastAlignment: 8)
            // The first comparisons of counters come late: they would notice a wrong request size before the fault.
            let failure = program.run(steps: 3000, checkEvery: 3000)
            let said = try #require(failure)
            switch fault {
            case .overlap: #expect(said.contains("overlaps"))
            case .lostContent: #expect(said.contains("lost"))
            case .notZero: #expect(said.contains("not zero"))
            case .misaligned: #expect(said.contains("aligned"))
            case .leak: #expect(said.contains("visitor"))
            }
            heap.destroy()
        }
    }
}
