import CTestSupport
import Testing

import HeapCore

extension HeapSuites {
    /// Every OS call of a program of operations is refused in turn, once and for ever.
    @Suite struct FaultLoopTests {
        enum Program: String, CaseIterable {
            case fill, large, resize, zeroed, aligned, trim, maintain, checked
        }

        private struct Held {
            var blocks: [(block: UInt, size: Int, seed: UInt64)] = []

            mutating func keep(_ block: UInt?, _ size: Int) {
                guard let block else { return }
                let seed = UInt64(blocks.count) &* 7 &+ UInt64(size)
                cistern_test_fill(block, size, seed)
                blocks.append((block, size, seed))
            }

            var areIntact: Bool { blocks.allSatisfy { cistern_test_holds($0.block, $0.size, $0.seed) } }
        }

        /// One program; everything it keeps holds a pattern.
        private func run(_ program: Program, on heap: TestHeap, _ held: inout Held) {
            switch program {
            case .fill, .checked:
                for round in 0..<(scaled(10) < 10 ? 800 : 3000) { held.keep(heap.allocate(1 + round % 700), 1 + round % 700) }
            case .large:
                for round in 1...30 { held.keep(heap.allocate(round * 100_000), round * 100_000) }
            case .resize:
                for size in [100, 5000, 100_000, 3_000_000] {
                    guard let block = heap.allocate(size) else { continue }
                    cistern_test_fill(block, size, 1)
                    let moved = heap.resize(block, from: size, to: size * 4)
                    #expect(cistern_test_holds(moved ?? block, size, 1))
                    held.keep(moved ?? block, moved == nil ? size : size * 4)
                }
            case .zeroed:
                for size in [100, 5000, 1_000_000, 9_000_000] {
                    let block = heap.allocateZeroed(size)
                    if let block { #expect(cistern_test_is_zero(block, size)) }
                    held.keep(block, size)
                }
            case .aligned:
                for shift in 4...23 { held.keep(heap.allocate(3000, alignment: 1 << shift), 3000) }
            case .trim, .maintain:
                for _ in 0..<2 {
                    let blocks = (0..<20).compactMap { _ in heap.allocate(500_000) }
                    held.keep(heap.allocate(40_000), 40_000)
                    for (number, block) in blocks.enumerated() where number % 3 != 0 { heap.free(block, 500_000) }
                    for _ in 0..<2 { if program == .trim { heap.core.trim() } else { heap.core.maintain() } }
                    for (number, block) in blocks.enumerated() where number % 3 == 0 { heap.free(block, 500_000) }
                }
            }
        }

        /// Returns whether the refusal was reached.
        private func refuse(_ number: UInt64, forEver: Bool, in program: Program) -> Bool {
            let table = FaultTable()
            defer { table.isNeeded() }
            table.refuse(number, forEver: forEver)
            var made: TestHeap?
            do throws(HeapCreationError) {
                made = try TestHeap(64 << 20) {
                    table.install(in: &$0)
                    $0.isInheritedByFork = program != .large
                    $0.isChecked = program == .checked
                }
            } catch {
                switch error {
                case .reservation(let why):
                    #expect(why.code == 12 && why.operation == .reserve && why.byteCount == 64 << 20)
                case .commitment(let why): #expect(why.code == 12 && why.operation == .commit)
                default: Issue.record("\(error)")
                }
                // With releases refused too, the address space cannot go; in every other case nothing is left.
                if !forEver { #expect(table.counts.liveReservations == 0) }
                return table.hasRefused
            }
            guard let heap = made else { return true }
            var held = Held()
            run(program, on: heap, &held)
            #expect(held.areIntact)
            #expect(heap.verify() == nil)
            let live = heap.core.statistics()
            #expect(live.committedBytes <= live.capacityBytes && live.extentBytes <= live.committedBytes)
            let hasRefused = table.hasRefused
            if program != .checked { #expect(live.liveBlockCount == UInt64(held.blocks.count)) }
            for (number, one) in held.blocks.enumerated() {
                if number % 2 == 0 { heap.free(one.block, one.size) } else { heap.free(one.block) }
            }
            #expect(heap.verify() == nil)
            #expect(heap.liveBlocks().isEmpty)
            table.refuseNothing()
            #expect(heap.allocate(1 << 20) != nil)
            #expect(heap.destroy())
            #expect(table.counts.liveReservations == 0)
            return hasRefused
        }

        @Test(arguments: Program.allCases) func everyCallRefused(in program: Program) {
            for forEver in [false, true] {
                var number: UInt64 = 0
                while refuse(number, forEver: forEver, in: program) { number += 1 }
                // Reserve, name, commit at least.
                #expect(number >= 3)
                #expect(number < 500)
            }
        }

        @Test func aRefusedReleaseIsReported() throws {
            let table = FaultTable()
            let heap = try TestHeap(4 << 20) { table.install(in: &$0) }
            #expect(heap.allocate(100) != nil)
            table.refuse(0, forEver: false)
            #expect(!heap.destroy())
            #expect(table.counts.liveReservations == 1)
            // The range is still there, and nobody's heap: give it back by hand.
            #expect(table.release(heap.base, 4 << 20))
            #expect(table.counts.liveReservations == 0)
            table.isNeeded()
        }

        @Test func theSecondAttemptTakesOnlyWhatIsNeeded() throws {
            let table = FaultTable()
            let heap = try TestHeap(64 << 20) { table.install(in: &$0) }
            table.refuse(0, forEver: false)
            // The step is refused, the bare need is granted.
            #expect(heap.allocate(300_000) != nil)
            #expect(heap.core.lastRefusalCode == 0)
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
            table.isNeeded()
        }
    }
}
