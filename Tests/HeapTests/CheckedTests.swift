import CTestSupport
import Testing

@testable import HeapCore

extension HeapSuites {
    @Suite struct CheckedTests {
        /// One way to misuse a heap: returns the address that the report should name.
        struct Misuse: CustomTestStringConvertible, Sendable {
            var testDescription: String
            var kind: HeapMisuse
            var message: String
            var commit: @Sendable (TestHeap) -> UInt?
        }

        static let misuses: [Misuse] = [
            Misuse(testDescription: "double free", kind: .doubleFree, message: "freed twice") { heap in
                let block = heap.allocate(100)
                if let block { for _ in 0..<2 { heap.free(block, 100) } }
                return block
            },
            Misuse(testDescription: "double free after resize", kind: .doubleFree, message: "freed twice") { heap in
                guard let block = heap.allocate(100), let moved = heap.resize(block, from: 100, to: 5000) else { return nil }
                heap.free(block, 100)
                heap.free(moved, 5000)
                return block
            },
            Misuse(testDescription: "interior pointer", kind: .foreignPointer, message: "no block of this heap") { heap in
                guard let block = heap.allocate(1000) else { return nil }
                heap.free(block + 64)
                heap.free(block)
                return block + 64
            },
            Misuse(testDescription: "odd pointer", kind: .foreignPointer, message: "no block of this heap") { heap in
                guard let block = heap.allocate(1000) else { return nil }
                heap.free(block + 1)
                heap.free(block)
                return block + 1
            },
            Misuse(testDescription: "pointer outside", kind: .foreignPointer, message: "no block of this heap") { heap in
                heap.free(heap.base - 4096)
                return heap.base - 4096
            },
            Misuse(testDescription: "the heap's own memory", kind: .foreignPointer, message: "no block of this heap") { heap in
                heap.free(heap.base + 4096)
                return heap.base + 4096
            },
            Misuse(testDescription: "never handed out", kind: .foreignPointer, message: "no block of this heap") { heap in
                heap.free(heap.base + UInt(heap.core.capacityBytes) - 4096)
                return heap.base + UInt(heap.core.capacityBytes) - 4096
            },
            Misuse(testDescription: "underflow", kind: .underflow, message: "before a block") { heap in
                let block = heap.allocate(100)
                if let block {
                    cistern_test_write_byte(block - 1, 0)
                    heap.free(block, 100)
                }
                return block
            },
            Misuse(testDescription: "underflow over the frame", kind: .underflow, message: "before a block") { heap in
                let block = heap.allocate(100)
                if let block {
                    for distance in UInt(9)...16 { cistern_test_write_byte(block - distance, 0) }
                    heap.free(block, 100)
                }
                return block
            },
            Misuse(testDescription: "underflow before an aligned block", kind: .underflow, message: "before a block") { heap in
                let block = heap.allocate(100, alignment: 256)
                if let block {
                    cistern_test_write_byte(block - 100, 0)
                    heap.free(block, 100)
                }
                return block
            },
            Misuse(testDescription: "overflow", kind: .overflow, message: "after a block") { heap in
                let block = heap.allocate(100)
                if let block {
                    cistern_test_write_byte(block + 100, 0)
                    heap.free(block, 100)
                }
                return block
            },
            Misuse(testDescription: "wrong size", kind: .wrongSize, message: "another size") { heap in
                let block = heap.allocate(100)
                if let block { heap.free(block, 99) }
                return block
            },
            Misuse(testDescription: "use after free", kind: .useAfterFree, message: "after it was freed") { heap in
                let block = heap.allocate(100)
                if let block {
                    heap.free(block, 100)
                    cistern_test_write_byte(block + 50, 0)
                    // The quarantine is a queue: push the block out of it.
                    for _ in 0..<2000 { if let other = heap.allocate(1000) { heap.free(other, 1000) } }
                }
                return block
            },
        ]

        @Test(arguments: misuses) func misuseIsReported(misuse: Misuse) throws {
            let log = MisuseLog()
            let heap = try TestHeap(16 << 20) { log.install(in: &$0) }
            let before = try #require(heap.allocate(64))
            #expect(log.count == 0)
            let address = misuse.commit(heap)
            #expect(log.count == 1)
            #expect(log.last == misuse.kind)
            #expect(log.address == address)
            // The heap goes on.
            let blocks = try (0..<200).map { try #require(heap.allocate($0 * 10)) }
            for (number, block) in blocks.enumerated() { heap.free(block, number * 10) }
            heap.free(before, 64)
            #expect(log.count == 1)
            #expect(heap.destroy())
            withExtendedLifetime(log) {}
        }

        @Test(.enabled(if: !Sanitizer.isThread, "forks beside the threads of a sanitizer"), arguments: misuses)
        func misuseTrapsWithoutAReport(misuse: Misuse) {
            let (status, text) = inChildCapturing(seconds: 30) {
                guard let heap = try? TestHeap(16 << 20, { $0.isChecked = true }) else { return 99 }
                _ = misuse.commit(heap)
                return 0
            }
            #expect(status > 256, "ended with \(status)")
            #expect(text.contains("Cistern: ") && text.contains(misuse.message), "said: \(text)")
        }

        @Test func verifySeesDamageBeforeTheFree() throws {
            let log = MisuseLog()
            let heap = try TestHeap(16 << 20) { log.install(in: &$0) }
            let block = try #require(heap.allocate(100))
            #expect(heap.verify() == nil)
            cistern_test_write_byte(block + 100, 1)
            #expect(heap.verify() == HeapInconsistency(rule: .redzone, offsetBytes: UInt64(block - heap.base)))
            cistern_test_write_byte(block + 100, 0xFE)
            #expect(heap.verify() == nil)
            heap.free(block, 100)
            #expect(heap.verify() == nil)
            cistern_test_write_byte(block + 10, 1)
            #expect(heap.verify() == HeapInconsistency(rule: .quarantine, offsetBytes: UInt64(block - heap.base)))
            cistern_test_write_byte(block + 10, 0xDD)
            #expect(heap.verify() == nil)
            #expect(log.count == 0)
            heap.destroy()
            withExtendedLifetime(log) {}
        }

        @Test func resizeAndUsableSizeLookAtTheBlockToo() throws {
            let log = MisuseLog()
            let heap = try TestHeap(16 << 20) { log.install(in: &$0) }
            let block = try #require(heap.allocate(100))
            #expect(heap.usableSize(block) == 100)
            heap.free(block, 100)
            #expect(heap.usableSize(block) == 0)
            #expect(log.count == 1 && log.last == .doubleFree)
            #expect(heap.resize(block, to: 50) == nil)
            #expect(log.count == 2)
            #expect(heap.resize(heap.base, to: 50) == nil)
            #expect(log.count == 3 && log.last == .foreignPointer)
            #expect(heap.verify() == nil)
            heap.destroy()
            withExtendedLifetime(log) {}
        }

        /// What waits in the quarantine is used before a no.
        @Test func theQuarantineGivesWay() throws {
            let log = MisuseLog()
            let heap = try TestHeap(1 << 20) { log.install(in: &$0) }
            var blocks: [UInt] = []
            while let block = heap.allocate(4000) { blocks.append(block) }
            #expect(blocks.count > 200)
            #expect(heap.core.statistics().requestedBytes == Int64(blocks.count * 4000))
            for block in blocks { heap.free(block, 4000) }
            var again = 0
            while heap.allocate(4000) != nil { again += 1 }
            #expect(again == blocks.count)
            #expect(heap.allocate(Int.max - 100) == nil)
            #expect(heap.allocate(1 << 20) == nil)
            #expect(log.count == 0)
            #expect(heap.verify() == nil)
            heap.destroy()
            withExtendedLifetime(log) {}
        }

        @Test func newAndFreedBytesAreMarked() throws {
            let log = MisuseLog()
            let heap = try TestHeap(1 << 20) { log.install(in: &$0) }
            let block = try #require(heap.allocate(100))
            let copy = try #require(heap.allocate(100))
            #expect(TestHeap.bytes(block, 100).allSatisfy { $0 == 0xA5 })
            heap.free(block, 100)
            if !Sanitizer.isAddress { #expect(TestHeap.bytes(block, 100).allSatisfy { $0 == 0xDD }) }
            let zeroed = try #require(heap.allocateZeroed(100))
            #expect(cistern_test_is_zero(zeroed, 100))
            heap.free(copy, 100)
            heap.free(zeroed, 100)
            #expect(heap.verify() == nil)
            #expect(log.count == 0)
            heap.destroy()
            withExtendedLifetime(log) {}
        }
    }
}
