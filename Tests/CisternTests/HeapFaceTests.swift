import CTestSupport
import Cistern
import Testing

// Safety: every block belongs to a heap that lives to the end of its test, and is used within its size.

extension FaceSuites {
    @Suite struct HeapFaceTests {
        @Test func blocksOfEveryKind() throws {
            let heap = try Heap(capacityBytes: 16 << 20)
            #expect(heap.capacityBytes == 16 << 20)
            let small = try #require(heap.take(100))
            let aligned = try #require(heap.take(100, alignment: 4096))
            #expect(aligned % 4096 == 0)
            let zeroed = try #require(heap.takeZeroed(70_000))
            #expect(cistern_test_is_zero(zeroed, 70_000))
            #expect(heap.usableSize(small) >= 100)
            #expect(heap.holds(small))
            #expect(!heap.holds(4096))
            #expect(heap.extent(holding: small + 50) == small..<small + UInt(heap.usableSize(small)))
            #expect(heap.extent(holding: 4096) == nil)
            #expect(Set(heap.liveBlocks().keys) == [small, aligned, zeroed])
            #expect(heap.liveBlocks()[small] == heap.usableSize(small))
            #expect(heap.statistics.liveBlockCount == 3)
            cistern_test_fill(small, 96, 7)
            let larger = try #require(heap.resized(small, from: 100, to: 100_000))
            #expect(cistern_test_holds(larger, 96, 7))
            let smaller = try #require(heap.resized(larger, to: 96))
            #expect(cistern_test_holds(smaller, 96, 7))
            heap.give(smaller, 96)
            heap.give(aligned)
            heap.give(zeroed, 70_000)
            #expect(heap.statistics.liveBlockCount == 0)
            #expect(heap.verify() == nil)
        }

        @Test func exhaustionIsAnAnswer() throws {
            let heap = try Heap(capacityBytes: 1 << 20)
            #expect(heap.take(1 << 20) == nil)
            #expect(heap.take(.max) == nil)
            #expect(heap.take(-1) == nil)
            #expect(heap.take(8, alignment: 3) == nil)
            #expect(heap.take(8, alignment: 0) == nil)
            #expect(heap.takeZeroed(2 << 20) == nil)
            let block = try #require(heap.take(600_000))
            #expect(heap.resized(block, from: 600_000, to: 2 << 20) == nil)
            #expect(heap.usableSize(block) >= 600_000)
            #expect(heap.take(600_000) == nil)
            heap.give(block, 600_000)
            #expect(heap.take(600_000) != nil)
            #expect(heap.verify() == nil)
        }

        @Test func memoryGoesBackAndTheSoftLimitShows() throws {
            let heap = try Heap(capacityBytes: 64 << 20)
            heap.setSoftLimit(bytes: 1 << 20)
            #expect(!heap.isAboveSoftLimit)
            let block = try #require(heap.take(8 << 20))
            #expect(heap.isAboveSoftLimit)
            heap.setSoftLimit(bytes: 0)
            #expect(!heap.isAboveSoftLimit)
            cistern_test_fill(block, 8 << 20, 1)
            heap.give(block, 8 << 20)
            #expect(heap.trim() >= (8 << 20) - 4096)
            let next = try #require(heap.take(8 << 20))
            let last = try #require(heap.take(64))
            cistern_test_fill(next, 8 << 20, 2)
            heap.give(next, 8 << 20)
            // The first call ends a window in which the pages were in use, the second one in which they were free.
            let givenBack = heap.maintain() + heap.maintain()
            // But for the pages at its ends.
            #expect(givenBack >= (8 << 20) - 8192)
            #expect(heap.lastRefusalCode == 0)
            heap.give(last, 64)
            #expect(heap.verify() == nil)
        }

        @Test func aPictureOfTheHeap() throws {
            let heap = try Heap(capacityBytes: 64 << 20)
            let large = try #require(heap.take(1 << 20))
            // More stretches than the first guess has room for.
            let blocks = try (0..<300).map { try #require(heap.take(1000 + $0 % 2)) }
            for (number, block) in blocks.enumerated() where number % 2 == 0 { heap.give(block, 1000) }
            heap.trim()
            let picture = heap.snapshot()
            let now = heap.statistics
            #expect(picture.stretches.count > 100)
            #expect(picture.capacityBytes == now.capacityBytes)
            #expect(picture.committedBytes == now.committedBytes)
            #expect(picture.handedOutBytes == now.liveBlockBytes + now.cachedBytes)
            #expect(picture.byteCount(of: .span) == now.spanBytes)
            #expect(picture.holeBytes >= 100_000)
            #expect(picture.touchedBytes <= now.touchedBytes && picture.touchedBytes + 4096 > now.touchedBytes)
            #expect(picture.stretches.contains { $0.kind == .block && $0.byteCount == 1 << 20 })
            heap.give(large)
            #expect(try heap.discard() > 0)
            #expect(heap.snapshot().stretches.map(\.kind) == [.fixed, .unused, .reserved])
            #expect(heap.snapshot().handedOutBytes == 0)
        }

        @Test func aRefusedCommitIsNamed() throws {
            let table = FaultTable()
            do {
                let heap = try Heap(capacity: .bytes(64 << 20)) { table.install(in: &$0) }
                table.refuse(0, forEver: true)
                #expect(heap.take(32 << 20) == nil)
                #expect(heap.lastRefusalCode == 12)
                table.refuseNothing()
                #expect(heap.take(32 << 20) != nil)
                #expect(heap.lastRefusalCode == 0)
            }
            #expect(table.liveReservations == 0)
        }

        @Test func typedBlocks() throws {
            let heap = try Heap(capacityBytes: 16 << 20)
            guard let numbers = unsafe heap.allocate(of: UInt32.self, count: 1000),
                let vectors = unsafe heap.allocate(of: SIMD16<Double>.self, count: 3),
                let pairs = unsafe heap.allocate(of: SIMD2<Double>.self, count: 1),
                let none = unsafe heap.allocate(of: Int.self, count: 0)
            else { throw NoRoom() }
            #expect(numbers.count == 1000)
            unsafe numbers.initialize(repeating: 7)
            let sum = unsafe numbers.reduce(0, &+)
            #expect(sum == 7000)
            #expect(heap.statistics.liveBlockCount == 4)
            #expect(heap.statistics.requestedBytes == Int64(4000 + 3 * MemoryLayout<SIMD16<Double>>.stride + 16))
            #expect(UInt(bitPattern: vectors.baseAddress) % UInt(MemoryLayout<SIMD16<Double>>.alignment) == 0)
            #expect(UInt(bitPattern: pairs.baseAddress) % 16 == 0)
            #expect(none.count == 0)
            // The third is 8 bytes modulo 2^64.
            let refusals = [-1, .min, .max / 4 + 2, .max, 4 << 20].map { unsafe heap.allocate(of: Int.self, count: $0) == nil }
            #expect(refusals == [true, true, true, true, true])
            unsafe heap.deallocate(numbers)
            unsafe heap.deallocate(vectors)
            unsafe heap.deallocate(pairs)
            unsafe heap.deallocate(none)
            unsafe heap.deallocate(UnsafeMutableBufferPointer<Int>(start: nil, count: 0))
            #expect(heap.statistics.liveBlockCount == 0)
            #expect(heap.statistics.requestedBytes == 0)
            #expect(heap.verify() == nil)
        }

        @Test func typedBlocksOfValuesThatCannotBeCopied() throws {
            final class Ended { var sum = 0 }
            struct Token: ~Copyable {
                let number: Int
                let ended: Ended
                deinit { ended.sum += number }
            }
            let heap = try Heap(capacityBytes: 1 << 20)
            let ended = Ended()
            guard let tokens = unsafe heap.allocate(of: Token.self, count: 2) else { throw NoRoom() }
            unsafe tokens.initializeElement(at: 0, to: Token(number: 3, ended: ended))
            unsafe tokens.initializeElement(at: 1, to: Token(number: 4, ended: ended))
            #expect(ended.sum == 0)
            unsafe tokens.deinitialize()
            unsafe heap.deallocate(tokens)
            #expect(ended.sum == 7)
        }

        /// In a child, where no other test maps memory meanwhile.
        @Test(.enabled(if: Sanitizer.isAbsent)) func theReservationEndsWithTheObject() {
            let status = inChild {
                do {
                    var heap: Heap? = try Heap(capacityBytes: 32 << 20)
                    guard let address = heap?.take(1000) else { return 1 }
                    guard try isMapped(address) else { return 2 }
                    let named = try namedMappingCount()
                    heap = nil
                    guard try !isMapped(address) else { return 3 }
                    // One committed and one not; a kernel without named mappings shows none of either.
                    let left = try namedMappingCount()
                    return named == 0 || left == named - 2 ? 0 : 4
                } catch { return 5 }
            }
            #expect(status == 0)
        }

        @Test func severalThreadsShareOneHeap() async throws {
            let heap = try Heap(capacityBytes: 64 << 20)
            let rounds = Int(cistern_test_scaled(4000))
            let kept = await withTaskGroup(of: [UInt].self) { group in
                for task in 0..<4 {
                    group.addTask { work(on: heap, seed: UInt64(task), rounds: rounds) }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(kept.count == 4 * 50)
            #expect(heap.statistics.liveBlockCount == 200)
            // Freed by a thread that did not allocate most of them.
            for block in kept {
                #expect(cistern_test_holds(block, 200, UInt64(block)))
                heap.give(block, 200)
            }
            #expect(heap.statistics.liveBlockCount == 0)
            #expect(heap.verify() == nil)
        }

        /// Allocates, checks and frees; returns 50 blocks of 200 bytes.
        private func work(on heap: Heap, seed: UInt64, rounds: Int) -> [UInt] {
            var kept: [UInt] = []
            for round in 0..<rounds {
                let byteCount = 16 + (round &* 37) % 3000
                guard let block = heap.take(byteCount) else { return [] }
                cistern_test_fill(block, byteCount, seed &+ UInt64(round))
                guard cistern_test_holds(block, byteCount, seed &+ UInt64(round)) else { return [] }
                heap.give(block, byteCount)
            }
            for _ in 0..<50 {
                guard let block = heap.take(200) else { return [] }
                cistern_test_fill(block, 200, UInt64(block))
                kept.append(block)
            }
            return kept
        }

        @Test func theReadmeShowsTheExampleThatCompiles() throws {
            #expect(try useHeap() == "1 GiB: nil; 0 live blocks, capacity 67108864 bytes")
            let own = try #require(text(ofFile: "\(packageFolder)/Tests/CisternTests/ReadmeExample.swift"))
            let example = try #require(part(of: own, from: "// README\n", to: "// END README\n"))
            let readme = try #require(text(ofFile: "\(packageFolder)/README.md"), "README.md cannot be read")
            let shown = try #require(part(of: readme, from: "```swift\n", to: "```\n"), "README.md has no Swift block")
            #expect(Array(shown.utf8) == Array(example.utf8))
        }

        /// What stands between the first line `from` and the next line `to`.
        private func part(of text: String, from: String, to: String) -> String? {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) + "\n" }
            guard let start = lines.firstIndex(of: from), let end = lines[(start + 1)...].firstIndex(of: to) else { return nil }
            return lines[(start + 1)..<end].joined()
        }
    }
}

private struct NoRoom: Error {}

/// Mappings that carry the name of a heap.
private func namedMappingCount() throws -> Int {
    try #require(text(ofFile: "/proc/self/maps")).split(separator: "\n").count { $0.hasSuffix("[anon:cistern heap]") }
}
