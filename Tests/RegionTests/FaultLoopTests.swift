import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// Every OS call of a program of regions is refused in turn, once and for ever.
    @Suite struct FaultLoopTests {
        /// Returns whether the refusal was reached.
        private func refuse(_ number: UInt64, forEver: Bool, isChecked: Bool) -> Bool {
            let table = FaultTable()
            defer { table.isNeeded() }
            var made: TestHeap?
            made = try? TestHeap(64 << 20) {
                table.install(in: &$0)
                $0.isChecked = isChecked
                // The program uses closed regions, and asks the heap for the size of what is no block, on purpose.
                $0.report = { _, _, _ in }
            }
            guard let heap = made else {
                Issue.record("no heap")
                return false
            }
            table.refuse(number, forEver: forEver)
            var program = ModelProgram(heap, seed: 0xFA17, steps: 400, mostBytes: 2_000_000)
            let failure = program.run(steps: 400, checkEvery: 50)
            #expect(failure == nil, "call \(number) refused, for ever: \(forEver)")
            let hasRefused = table.hasRefused
            table.refuseNothing()
            let region = heap.open()
            #expect(region?.allocate(1 << 20) != nil)
            #expect(region?.core.close() == .done)
            #expect(heap.destroy())
            #expect(table.liveReservations == 0)
            return hasRefused
        }

        @Test(arguments: [false, true]) func everyCallRefused(isChecked: Bool) {
            for forEver in [false, true] {
                var number: UInt64 = 0
                while refuse(number, forEver: forEver, isChecked: isChecked), number < 500 { number += 1 }
                // Several commits at least, and the loop came to its end.
                #expect(number >= 3 && number < 500)
            }
        }

        /// The same program in capacities from hardly any to enough: it runs out at every place there is.
        @Test func everyCapacity() throws {
            var refusals = 0
            for pages in stride(from: 0, to: scaled(600), by: 3) {
                let heap = try TestHeap((1 << 20) + UInt64(pages) << 12)
                var program = ModelProgram(heap, seed: UInt64(pages), steps: 300, mostBytes: 300_000)
                let failure = program.run(steps: 300, checkEvery: 50)
                #expect(failure == nil, "seed \(pages), \(pages) pages above 1 MiB")
                refusals += program.refusals
                #expect(heap.destroy())
            }
            #expect(refusals > 0)
        }
    }
}
