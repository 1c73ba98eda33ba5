import CTestSupport
import CVirtualMemory
import Testing

import HeapCore

extension HeapSuites {
    /// Real limits, in processes of their own.
    @Suite(.enabled(if: !Sanitizer.isPresent)) struct ChildTests {
        @Test func aDataLimitFillsTheHeapCleanly() {
            let status = inChild {
                _ = cistern_test_limit_above_use(UInt32(CISTERN_LIMIT_DATA), 64 << 20)
                guard let heap = try? TestHeap(1 << 30) else { return 1 }
                // The table of blocks stands in the heap as well: Swift's arrays need memory that the limit refuses.
                guard let table = heap.allocate(8 << 10) else { return 2 }
                var count: UInt = 0
                while let block = heap.allocate(100_000) {
                    guard count < 1024 else { return 3 }
                    cistern_test_fill(block, 1000, UInt64(count))
                    TestHeap.store(table + count * 8, block)
                    count += 1
                }
                guard heap.core.lastRefusalCode == 12, count > 300, count < 700 else { return 4 }
                guard heap.verify() == nil else { return 5 }
                guard heap.core.statistics().committedBytes <= 64 << 20 else { return 6 }
                for number in 0..<count {
                    let block = TestHeap.load(table + number * 8)
                    guard cistern_test_holds(block, 1000, UInt64(number)) else { return 7 }
                    heap.free(block, 100_000)
                }
                guard heap.verify() == nil else { return 8 }
                guard let large = heap.allocate(30 << 20) else { return 9 }
                heap.free(large, 30 << 20)
                guard heap.allocate(100 << 20) == nil, heap.core.lastRefusalCode == 12 else { return 10 }
                return heap.destroy() ? 0 : 11
            }
            #expect(status == 0)
        }

        @Test func anAddressSpaceLimitIsNamed() {
            let status = inChild {
                let limit = cistern_test_limit_above_use(UInt32(CISTERN_LIMIT_ADDRESS_SPACE), 8 << 20)
                do throws(HeapCreationError) {
                    _ = try TestHeap(64 << 20)
                    return 1
                } catch {
                    guard case .reservation(let why) = error else { return 2 }
                    guard why.code == 12, why.operation == .reserve, why.byteCount == 64 << 20 else { return 3 }
                    guard why.limit.kind == .addressSpace, why.limit.valueBytes == limit else { return 4 }
                    guard why.limit.usedBytes + (64 << 20) > limit else { return 5 }
                    guard let heap = try? TestHeap(1 << 20), heap.allocate(100) != nil else { return 6 }
                    return 0
                }
            }
            #expect(status == 0)
        }
    }
}
