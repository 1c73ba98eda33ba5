import CHeap
import Testing

@testable import HeapCore

extension HeapSuites {
    @Suite struct SizeClassTests {
        @Test func everySmallSizeFitsItsClass() throws {
            for least in [BlockAlignment.eight, .sixteen, .cacheLine] {
                let heap = try TestHeap(1 << 20) { $0.blockAlignment = least }
                for size in UInt(1)...SizeClass.mediumByteLimit {
                    let bin = try #require(heap.core.binIndex(size))
                    let block = SizeClass.binBlockByteCount(bin)
                    #expect(bin < SizeClass.binCount)
                    #expect(block >= size, "size \(size)")
                    #expect((bin < SizeClass.smallCount) == (size <= SizeClass.smallByteLimit))
                    let waste = Double(block - size) / Double(block)
                    if size > 64, least == .eight { #expect(waste <= 0.125, "size \(size)") }
                    if size % 16 == 0 { #expect(block % 16 == 0, "size \(size)") }
                    #expect(block % UInt(least.rawValue) == 0, "size \(size)")
                }
                #expect(heap.core.binIndex(0) == nil && heap.core.binIndex(4097) == nil)
                heap.destroy()
            }
        }

        @Test func classesAscend() {
            #expect(SizeClass.blockByteCount(0) == 8)
            #expect(SizeClass.blockByteCount(63) == 512)
            for bin in 1..<SizeClass.binCount {
                #expect(SizeClass.binBlockByteCount(bin) > SizeClass.binBlockByteCount(bin - 1))
            }
            #expect(SizeClass.binBlockByteCount(SizeClass.binCount - 1) == SizeClass.mediumByteLimit)
            #expect(BoundedHeap.sizeClassCount == 64)
        }

        @Test func granulesHoldTheSize() {
            for size in UInt(0)...20000 {
                let granules = UInt(SizeClass.granules(size))
                #expect(granules * 64 >= size && granules >= 2)
                #expect(granules == 2 || (granules - 1) * 64 < size)
            }
            #expect(SizeClass.granules(128 << 30) == 1 << 31)
        }

        @Test func spansAreWellFilled() {
            for index in 0..<SizeClass.smallCount {
                let block = SizeClass.blockByteCount(index)
                for spanBytes in [0, 4096, 1 << 18, 1 << 20, 1 << 24, 1 << 32] as [UInt64] {
                    let bytes = UInt(SizeClass.spanPages(index, spanBytes: spanBytes)) * 4096
                    #expect(bytes <= SizeClass.spanByteLimit * 2 && bytes >= 4096)
                    #expect((bytes % block) * 10 <= bytes, "class \(index)")
                    #expect(bytes == SizeClass.minimumSpanBytes(index) || UInt64(bytes) <= max(spanBytes / 64, 4096))
                }
            }
        }

        @Test func reciprocalsDivideExactly() {
            for index in 0..<SizeClass.smallCount {
                let block = SizeClass.blockByteCount(index)
                let reciprocal = ((UInt(1) << 32) + block - 1) / block
                for offset in 0..<UInt(65536) {
                    if (offset * reciprocal) >> 32 != offset / block {
                        Issue.record("class \(index), offset \(offset)")
                        break
                    }
                }
            }
        }

        @Test func cacheDepthsAreBounded() {
            for bin in 0..<SizeClass.binCount {
                let depth = SizeClass.depthLimit(bin)
                #expect(depth >= 4 && depth <= 256)
                #expect(depth * SizeClass.binBlockByteCount(bin) <= 131_072)
            }
        }

        @Test func everySizeIsAllocatedAlignedAndUsable() throws {
            for least in [BlockAlignment.eight, .sixteen, .cacheLine] {
                let heap = try TestHeap(32 << 20) { $0.blockAlignment = least }
                for size in 0...5000 {
                    let block = try #require(heap.allocate(size))
                    let step = promisedAlignment(ofSize: size, least: UInt(least.rawValue))
                    #expect(block % step == 0, "size \(size)")
                    #expect(heap.usableSize(block) >= size)
                    #expect(heap.contains(block))
                    if size % 3 == 0 { heap.free(block) } else { heap.free(block, size % 3 == 1 ? size : heap.usableSize(block)) }
                }
                #expect(heap.verify() == nil)
                #expect(heap.core.statistics().liveBlockCount == 0)
                heap.destroy()
            }
        }
    }
}
