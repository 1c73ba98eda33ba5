import CHeap
import Testing

@testable import HeapCore

extension HeapSuites {
    /// The run heap under its own hands: every short sequence of takes and returns of short runs.
    @Suite struct RunHeapTests {
        private struct Run {
            var start: UInt32
            var granules: UInt32
        }

        /// Wraps a run-heap test: runs taken here are counted as blocks, so that verify() knows them.
        private func take(_ heap: TestHeap, _ granules: UInt32, alignment: UInt32 = 1) -> Run? {
            let start =
                alignment == 1
                ? heap.core.allocateRun(granules) : heap.core.allocateAlignedRun(granules, alignment: alignment)
            guard start != 0 else { return nil }
            heap.core.header.it.run_block_count += 1
            return Run(start: start, granules: granules)
        }

        private func give(_ heap: TestHeap, _ run: Run) {
            heap.core.header.it.run_block_count -= 1
            heap.core.freeRun(run.start, granules: run.granules)
        }

        /// All sequences of `depth` steps; a step takes 2...4 granules or returns one of the runs held. Depth first, by
        /// doing and undoing nothing: each sequence starts from an empty heap.
        @Test func everyShortSequenceVerifies() throws {
            let heap = try TestHeap(1 << 20)
            let empty = heap.core.header.it.used_granules
            var sequences = 0
            func replay(_ steps: [Int]) -> Int? {
                var held: [Run] = []
                for step in steps {
                    if step < 3 {
                        guard let run = take(heap, UInt32(step) + 2) else { return nil }
                        held.append(run)
                    } else {
                        guard step - 3 < held.count else { return nil }
                        give(heap, held.remove(at: step - 3))
                    }
                }
                let fault = heap.verify()
                if fault != nil { Issue.record("\(steps): \(String(describing: fault))") }
                for run in held {
                    if heap.core.allocatedLength(run.start) != run.granules { Issue.record("\(steps): length of \(run)") }
                }
                let count = held.count
                for run in held { give(heap, run) }
                sequences += 1
                return count
            }
            func extend(_ steps: [Int], held: Int, depth: Int) {
                guard depth > 0 else { return }
                for step in 0..<(3 + held) {
                    guard let count = replay(steps + [step]) else { continue }
                    extend(steps + [step], held: count, depth: depth - 1)
                }
            }
            extend([], held: 0, depth: scaled(50) > 5 ? 6 : 4)
            #expect(sequences > 300)
            #expect(heap.core.header.it.used_granules == empty)
            #expect(heap.core.header.it.free_run_count == 0)
            heap.destroy()
        }

        /// A free run of each length between two taken ones, cut at both ends in every way.
        @Test func everyGapIsCutInEveryWay() throws {
            let heap = try TestHeap(1 << 20)
            for gap in UInt32(2)...70 {
                for wanted in UInt32(2)...gap {
                    let first = try #require(take(heap, 2))
                    let hole = try #require(take(heap, gap))
                    let last = try #require(take(heap, 2))
                    give(heap, hole)
                    let part = try #require(take(heap, wanted))
                    #expect(heap.core.allocatedLength(part.start) == wanted)
                    for run in [last, part, first] { give(heap, run) }
                    #expect(heap.core.header.it.free_run_count == 0)
                }
                if let fault = heap.verify() { Issue.record("gap \(gap): \(fault)") }
            }
            heap.destroy()
        }

        @Test func singleGranulesLeftOverAreFoundAgain() throws {
            let heap = try TestHeap(1 << 20)
            var runs: [Run] = []
            for _ in 0..<50 { runs.append(try #require(take(heap, 3))) }
            // Every second run shrinks by one granule, which stays free between two taken ones.
            for index in stride(from: 0, to: 50, by: 2) {
                heap.core.shrinkRun(runs[index].start, from: 3, to: 2)
                runs[index].granules = 2
            }
            #expect(heap.verify() == nil)
            #expect(heap.core.header.it.free_run_count == 25)
            for index in stride(from: 0, to: 50, by: 2) {
                #expect(heap.core.growRun(runs[index].start, from: 2, to: 3))
                runs[index].granules = 3
            }
            #expect(heap.verify() == nil)
            #expect(heap.core.header.it.free_run_count == 0)
            #expect(!heap.core.growRun(runs[10].start, from: 3, to: 4))
            for run in runs { give(heap, run) }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func theTopGrowsToTheCapacityAndNoFurther() throws {
            let heap = try TestHeap(1 << 20)
            let capacity = heap.core.header.it.capacity_granules
            let run = try #require(take(heap, 4))
            #expect(heap.core.growRun(run.start, from: 4, to: capacity - run.start))
            #expect(heap.core.header.it.top_granule == capacity)
            #expect(heap.verify() == nil)
            #expect(!heap.core.growRun(run.start, from: capacity - run.start, to: capacity - run.start + 1))
            #expect(take(heap, 2) == nil)
            heap.core.shrinkRun(run.start, from: capacity - run.start, to: 4)
            #expect(heap.core.header.it.top_granule == run.start + 4)
            give(heap, run)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func alignedRunsStandWhereTheyShould() throws {
            let heap = try TestHeap(4 << 20)
            var random = Random(seed: 7)
            var held: [Run] = []
            for step in 0..<scaled(2000) {
                if held.count > 20 || (random.below(3) == 0 && !held.isEmpty) {
                    give(heap, held.remove(at: random.below(held.count)))
                } else {
                    let alignment = UInt32(1) << UInt32(random.below(10))
                    guard let run = take(heap, UInt32(2 + random.below(200)), alignment: alignment) else { continue }
                    #expect(heap.core.address(ofGranule: run.start) % (UInt(alignment) * 64) == 0)
                    held.append(run)
                }
                if step % 16 == 0, let fault = heap.verify() { Issue.record("step \(step): \(fault)") }
            }
            for run in held { give(heap, run) }
            #expect(heap.verify() == nil)
            heap.destroy()
        }
    }
}
