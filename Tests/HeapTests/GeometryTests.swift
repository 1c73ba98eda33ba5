import CHeap
import Testing

@testable import HeapCore

extension HeapSuites {
    @Suite struct GeometryTests {
        @Test func partsFollowEachOther() {
            var capacity: UInt64 = 1 << 20
            while capacity <= 128 << 30 {
                for extra in [0, 4096, 1 << 16, 4096 * 63] as [UInt64] where capacity + extra <= 128 << 30 {
                    let bytes = capacity + extra
                    let geometry = Geometry(capacityBytes: bytes)
                    let pages = bytes / 4096
                    let bits = UInt64(geometry.bitsOffset)
                    let touched = UInt64(geometry.touchedOffset)
                    let end = UInt64(geometry.firstGranule) * 64
                    #expect(bits >= UInt64(Layout.pageMapOffset) + pages * 4 && bits % 8 == 0)
                    #expect((touched - bits) * 8 > bytes / 64)
                    #expect((end - touched) * 8 >= pages)
                    #expect(end < bytes / 50 || bytes == 1 << 20)
                }
                capacity *= 2
            }
        }

        @Test func runBinsAscendAndHoldEveryLength() {
            var previous: UInt32 = 0
            for length in UInt32(1)...5000 {
                let bin = BoundedHeap.runBin(length)
                #expect(bin >= previous && bin <= previous + 1, "length \(length)")
                if length < 16 { #expect(bin == length) }
                previous = bin
            }
            for shift in UInt32(4)...31 {
                let bin = BoundedHeap.runBin(1 << shift)
                #expect(bin < UInt32(CISTERN_RUN_BIN_COUNT))
                #expect(BoundedHeap.runBin((1 << shift) - 1) < bin)
            }
        }

        @Test func capacityOutsideTheRangeIsRefusedWithNumbers() {
            for given in [0, 1, 4096, (1 << 20) - 1] as [UInt64] {
                #expect(throws: HeapCreationError.capacityTooSmall(givenBytes: given, leastBytes: 1 << 20)) {
                    _ = try TestHeap(given)
                }
            }
            for given in [(128 << 30) + 1, 1 << 47, 1 << 63, .max] as [UInt64] {
                #expect(throws: HeapCreationError.capacityTooLarge(givenBytes: given, mostBytes: 128 << 30)) {
                    _ = try TestHeap(given)
                }
            }
        }

        @Test func capacityIsRoundedUpToAPage() throws {
            let heap = try TestHeap((1 << 20) + 1)
            #expect(heap.core.capacityBytes == (1 << 20) + 4096)
            #expect(heap.contains(heap.base) && heap.contains(heap.base + (1 << 20) + 4095))
            #expect(!heap.contains(heap.base - 1) && !heap.contains(heap.base + (1 << 20) + 4096))
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
        }

        @Test(.enabled(if: !Sanitizer.isPresent)) func theLargestHeapWorks() throws {
            let heap = try TestHeap(128 << 30)
            let block = try #require(heap.allocate(1 << 20))
            let far = try #require(heap.allocate(4096, alignment: 1 << 36))
            #expect(far % (1 << 36) == 0)
            #expect(heap.core.lastRefusalCode == 0)
            heap.free(block, 1 << 20)
            heap.free(far, 4096)
            #expect(heap.destroy())
        }
    }
}
