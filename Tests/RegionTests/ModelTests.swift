import CTestSupport
import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// Random programs against an oracle. CISTERN_TEST_SEED replays one; CISTERN_TEST_SCALE=small shortens them.
    @Suite struct ModelTests {
        enum Kind: String, CaseIterable {
            case tiny, usual, oneThread, checked
        }

        @Test(arguments: Kind.allCases) func randomPrograms(kind: Kind) throws {
            let seed = cistern_test_seed(0x5EED_0003)
            print("region model test \(kind.rawValue): seed \(seed) (CISTERN_TEST_SEED)")
            for round in 0..<UInt64(scaled(20)) {
                let heap = try TestHeap(kind == .tiny ? 1 << 20 : 64 << 20) {
                    $0.isForOneThread = kind == .oneThread
                    $0.isChecked = kind == .checked
                    // A closed region is used on purpose.
                    $0.report = { _, _, _ in }
                }
                let steps = 2000
                var program = ModelProgram(heap, seed: seed &+ round, steps: steps, mostBytes: 60_000)
                let failure = program.run(steps: steps, checkEvery: 100)
                #expect(failure == nil, "seed \(seed &+ round)")
                #expect(program.promotions > 0 && program.exchanges > 0 && program.releases > 0)
                if kind == .tiny { #expect(program.refusals > 0) }
                heap.core.trim()
                #expect(heap.core.statistics().regionBytes == 0)
                #expect(heap.liveBlockCount == 0)
                #expect(heap.verify() == nil)
                #expect(heap.destroy())
            }
        }

        /// What goes wrong behind the oracle's back must be noticed.
        enum Sabotage: CaseIterable { case content, closing, cleanup, bytes, heapBlock }

        @Test(arguments: Sabotage.allCases) func aFaultIsNoticed(sabotage: Sabotage) throws {
            let heap = try TestHeap(64 << 20)
            var program = ModelProgram(heap, seed: 7, steps: 4000, mostBytes: 60_000)
            #expect(program.run(steps: 300, checkEvery: 50, isLast: false) == nil)
            let victim = try #require(program.all.first { !$0.objects.isEmpty && $0.children.isEmpty })
            switch sabotage {
            case .content:
                let object = try #require(victim.objects.first { $0.size > 0 })
                cistern_test_write_byte(object.start, 0xEE)
                cistern_test_write_byte(object.start, cistern_test_holds(object.start, object.size, object.seed) ? 0xEF : 0xEE)
            case .closing: #expect(victim.region.core.close() == .done)
            case .cleanup: program.expectedRuns.append(0)
            case .bytes: #expect(victim.region.allocate(60_000) != nil && victim.region.child() != nil)
            case .heapBlock: #expect(heap.allocate(100) != nil)
            }
            #expect(program.run(steps: 50, checkEvery: 1) != nil)
            heap.destroy()
        }
    }
}
