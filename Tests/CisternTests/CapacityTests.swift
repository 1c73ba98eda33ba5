import Glibc
import Testing

@testable import Cistern

extension FaceSuites {
    @Suite struct CapacityTests {
        private let expected = "expected 1048576 to 137438953472 bytes"

        /// The line of the error, "" when there is none.
        private func line(_ capacity: HeapCapacity, _ change: (inout HeapOptions) -> Void = { _ in }) -> String {
            do throws(HeapError) {
                return try withExtendedLifetime(Heap(capacity: capacity, change)) { "" }
            } catch { return error.description }
        }

        private func limits(_ limits: MemoryLimit...) -> MemoryLimits {
            limits.reduce(into: MemoryLimits()) { $0.add($1) }
        }

        @Test func aNumber() throws {
            let heap = try Heap(capacity: .bytes(5_000_001)) { $0.isChecked = true }
            #expect(heap.capacityBytes == 5_001_216)
            #expect(heap.capacityChoice.bytes == 5_000_001)
            #expect(heap.capacityChoice.source == .api)
            #expect(heap.capacityChoice.reason == .given)
            #expect(heap.capacityRefusal == nil)
            let block = try #require(heap.take(13))
            #expect(heap.usableSize(block) == 13)
        }

        @Test func optionsAndAPlainNumber() throws {
            var options = HeapOptions(capacityBytes: 1 << 20)
            options.blockAlignment = .sixteen
            let heap = try Heap(options)
            #expect(heap.capacityChoice == CapacityChoice(bytes: 1 << 20, source: .api, reason: .given))
            #expect(try #require(heap.take(24)) % 16 == 0)
            #expect(try Heap(capacityBytes: 2 << 20).capacityChoice.bytes == 2 << 20)
            #expect(throws: HeapError.self) { try Heap(capacityBytes: 1000) }
        }

        @Test func texts() throws {
            #expect(try Heap(capacity: .parsed("3MiB")).capacityBytes == 3 << 20)
            #expect(try Heap(capacity: .parsed("auto-64M")).capacityChoice.source == .api)
            let group = MemoryLimit(kind: .groupV2Max, valueBytes: 1 << 30)
            #expect(
                try HeapCapacity.parsed("75%").choose(limits: limits(group))
                    == CapacityChoice(bytes: 768 << 20, source: .api, reason: .limit(group)))
            #expect(
                try HeapCapacity.parsed("auto").choose(limits: limits(group))
                    == CapacityChoice(bytes: 512 << 20, source: .api, reason: .limit(group)))
            #expect(
                try HeapCapacity.parsed("2G").choose(limits: limits(group))
                    == CapacityChoice(bytes: 2 << 30, source: .api, reason: .given, exceeds: group))
            // A share of more memory than a heap can have.
            let large = MemoryLimit(kind: .physicalMemory, valueBytes: 1 << 40)
            #expect(try HeapCapacity.parsed("50%").choose(limits: limits(large)).bytes == 128 << 30)
        }

        @Test func fitted() throws {
            let heap = try Heap(capacity: .fitted)
            #expect(heap.capacityBytes <= 16 << 30)
            #expect(heap.take(1000) != nil)
            #expect(try HeapCapacity.fitted.choose(limits: MemoryLimits()).bytes == 16 << 30)
            let small = MemoryLimit(kind: .groupV1, valueBytes: 64 << 20)
            #expect(try HeapCapacity.fitted.choose(limits: limits(small)).bytes == 32 << 20)
        }

        @Test func resolvedElsewhere() throws {
            let given = try Capacity.resolve(arguments: ["program", "--capacity", "8M"], environment: "9M")
            let heap = try Heap(capacity: .resolved(given))
            #expect(heap.capacityBytes == 8 << 20)
            #expect(heap.capacityChoice.source == .argument)
            let small = MemoryLimit(kind: .groupV1, valueBytes: 64 << 20)
            let unset = try Capacity.resolve(arguments: [], environment: nil)
            #expect(
                try HeapCapacity.resolved(unset).choose(limits: limits(small))
                    == CapacityChoice(bytes: 32 << 20, source: .default, reason: .limit(small)))
        }

        /// In a child, which may change its environment.
        @Test(.enabled(if: Sanitizer.isAbsent)) func theEnvironment() {
            let status = inChild {
                guard unsafe setenv("SKIP_CAPACITY", "12M", 1) == 0, let set = try? Heap(capacity: .environment()) else { return 1 }
                guard set.capacityBytes == 12 << 20, set.capacityChoice.source == .environment else { return 2 }
                for value in ["", nil] {
                    let code = if let value { unsafe setenv("SKIP_CAPACITY", value, 1) } else { unsafe unsetenv("SKIP_CAPACITY") }
                    guard code == 0, let heap = try? Heap(capacity: .environment()) else { return 3 }
                    guard heap.capacityChoice.source == .default, heap.capacityBytes <= 16 << 30 else { return 4 }
                    guard heap.take(100_000) != nil else { return 5 }
                }
                guard unsafe setenv("SKIP_CAPACITY", "12Q", 1) == 0 else { return 6 }
                let form = "expected digits, then nothing or one of K, M, G, such as 512M"
                guard line(.environment()) == "SKIP_CAPACITY: '12Q' is not a capacity; \(form)" else { return 7 }
                guard unsafe setenv("SKIP_CAPACITY", "75%", 1) == 0 else { return 8 }
                guard line(.environment()) == "SKIP_CAPACITY: '75%' is not a capacity; \(form)" else { return 9 }
                guard unsafe setenv("SKIP_CAPACITY", "100", 1) == 0 else { return 10 }
                guard line(.environment()) == "SKIP_CAPACITY: 100 bytes is too small for a heap; \(expected)" else { return 11 }
                return 0
            }
            #expect(status == 0)
        }

        @Test func linesOfErrors() throws {
            #expect(
                line(.parsed("1.5G"))
                    == "capacity: '1.5G' is a fraction: write it in the next smaller unit; expected digits, then nothing or one of"
                    + " K, M, G, KiB, MiB, GiB, TiB; or 1% to 100%, auto, or auto-SIZE")
            #expect(line(.bytes(0)) == "capacity: 0 bytes is too small for a heap; \(expected)")
            #expect(line(.bytes(1 << 40)) == "capacity: 1099511627776 bytes is too large for a heap; \(expected)")
            let argument = ResolvedCapacity(bytes: 7, source: .argument)
            #expect(line(.resolved(argument)) == "--capacity: 7 bytes is too small for a heap; \(expected)")
            let choice = CapacityChoice(bytes: 1 << 20, source: .default, reason: .byDefault)
            #expect(
                HeapError.creation(.tooManyHeaps, choice).description
                    == "default capacity of 1048576 bytes: 4096 heaps are alive, and there can be no more; destroy one first")
        }

        @Test func linesOfRefusals() {
            let table = FaultTable()
            table.setAddressSpace(limitBytes: 100_000_000, mappedPages: 20_000)
            table.refuse(0)
            #expect(
                line(.bytes(64 << 20)) { table.install(in: &$0) }
                    == "capacity of 67108864 bytes: could not reserve 67108864 bytes: Cannot allocate memory"
                    + " (RLIMIT_AS is 100000000 bytes, 81920000 in use; see ulimit -v)")
            let second = FaultTable()
            // Reserve, name, commit.
            second.refuse(2, code: EPERM)
            let refusal = line(.bytes(1 << 20)) { second.install(in: &$0) }
            #expect(refusal.hasPrefix("capacity of 1048576 bytes: could not commit "))
            #expect(refusal.hasSuffix(" bytes: errno 1"))
            #expect(second.liveReservations == 0)
        }

        @Test func whatWasAskedForDoesNotShrink() {
            for capacity in [HeapCapacity.bytes(64 << 20), .parsed("64M"), .parsed("50%")] {
                let table = FaultTable()
                table.refuse(0, forEver: true)
                #expect(line(capacity) { table.install(in: &$0) } != "")
                #expect(table.reserveCount == 1)
            }
        }

        @Test func whatWasFittedShrinks() throws {
            let fitted = try HeapCapacity.fitted.choose()
            try #require(fitted.bytes > 32 << 20)
            for capacity in [HeapCapacity.fitted, .parsed("auto")] {
                let table = FaultTable()
                table.refuse(0)
                let heap = try Heap(capacity: capacity) { table.install(in: &$0) }
                #expect(table.reserveCount == 2)
                #expect(heap.capacityBytes < fitted.bytes)
                #expect(heap.capacityChoice.bytes == heap.capacityBytes)
                guard case .reservation(let refusal) = heap.capacityRefusal else {
                    Issue.record("no refusal")
                    continue
                }
                // The limits may have moved a little between the two looks at them.
                #expect(refusal.byteCount > heap.capacityBytes)
                #expect(heap.capacityBytes == Capacity.shrunk(refusal.byteCount))
            }
        }

        @Test func shrinkingEndsAt16MiB() throws {
            let table = FaultTable()
            table.refuse(0, forEver: true)
            do throws(HeapError) {
                _ = try Heap(capacity: .resolved(ResolvedCapacity(bytes: Capacity.defaultBytes, source: .default))) {
                    table.install(in: &$0)
                }
                Issue.record("made")
            } catch {
                guard case .creation(.reservation(let refusal), let choice) = error else {
                    Issue.record("not a refusal: \(error)")
                    return
                }
                #expect(refusal.byteCount == 16 << 20)
                #expect(choice.bytes == 16 << 20)
                #expect(choice.source == .default)
                #expect(error.description.hasPrefix("default capacity of 16777216 bytes: could not reserve 16777216 bytes: "))
            }
            #expect(table.reserveCount > 10)
        }

        @Test func stepsOfShrinking() {
            #expect(Capacity.shrunk(16 << 30) == 14 << 30)
            #expect(Capacity.shrunk(100 << 20) == 86 << 20)
            #expect(Capacity.shrunk(18 << 20) == 16 << 20)
            #expect(Capacity.shrunk(16 << 20) == nil)
            #expect(Capacity.shrunk(4 << 20) == nil)
        }

        @Test(.enabled(if: Sanitizer.isAbsent)) func underAnAddressSpaceLimit() {
            let status = inChild {
                guard let limitBytes = limitAddressSpace(aboveUseBytes: 8 << 30) else { return 5 }
                guard unsafe unsetenv("SKIP_CAPACITY") == 0, let heap = try? Heap(capacity: .environment()) else { return 1 }
                guard heap.capacityBytes <= 6 << 30, heap.take(100_000) != nil else { return 2 }
                let refused = line(.bytes(16 << 30))
                guard refused.hasPrefix("capacity of 17179869184 bytes: could not reserve 17179869184 bytes: ") else { return 3 }
                guard refused.contains("(RLIMIT_AS is \(limitBytes) bytes, ") else { return 4 }
                return 0
            }
            #expect(status == 0)
        }
    }
}
