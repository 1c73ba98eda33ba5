import CHeap
import Testing

@testable import HeapCore

extension HeapSuites {
    /// verify() must see damage: each structure is spoilt in one place, and put right again.
    @Suite struct VerifyTests {
        /// A heap with full and half-full spans, runs, and free runs between them. `hole` is a free run of 100 granules
        /// between two taken ones; `run` is one of those; `span` has room and `full` has none.
        private struct Subject {
            let heap: TestHeap
            var hole: UInt32 = 0
            var run: UInt32 = 0
            var span: UInt32 = 0
            var full: UInt32 = 0

            var core: BoundedHeap { heap.core }

            init() throws {
                heap = try TestHeap(16 << 20)
                for _ in 0..<3000 { _ = heap.allocate(48) }
                var before: UInt = 0
                let blocks = try (0..<3).map { _ in try #require(heap.allocate(6400)) }
                before = blocks[1]
                heap.free(before, 6400)
                let found = heap.verify()
                #expect(found == nil)
                hole = core.granule(at: before)
                run = core.granule(at: blocks[2])
                core.visitRuns { kind, _, _ in
                    if case .span(let entry) = kind {
                        if core.span(entry).it.used == core.span(entry).it.block_count { full = entry } else { span = entry }
                    }
                    return true
                }
                #expect(core.isFreeRun(hole) && core.freeRunLength(hole) == 100 && span != 0 && full != 0)
            }

            /// Spoils, verifies, repairs.
            func expect(_ rule: HeapInconsistency.Rule, _ spoil: () -> Void, _ repair: () -> Void) {
                spoil()
                let found = heap.verify()?.rule
                repair()
                #expect(found == rule)
                #expect(heap.verify() == nil)
            }
        }

        @Test func runsAndFreeRuns() throws {
            let subject = try Subject()
            let (core, hole, run) = (subject.core, subject.hole, subject.run)
            let top = core.header.it.top_granule
            subject.expect(.runsDoNotTile) {
                core.clearBit(top)
            } _: {
                core.setBit(top)
            }
            subject.expect(.runBlocks) {
                core.setBit(run + 10)
            } _: {
                core.clearBit(run + 10)
            }
            let start = core.address(ofGranule: hole)
            let end = core.address(ofGranule: hole + 100)
            subject.expect(.freeRunMisdescribed) {
                Memory.store32(end - 4, 99)
            } _: {
                Memory.store32(end - 4, 100)
            }
            subject.expect(.freeRunMisdescribed) {
                core.clearBit(hole + 99)
            } _: {
                core.setBit(hole + 99)
            }
            subject.expect(.runsDoNotTile) {
                Memory.store32(start, 0)
            } _: {
                Memory.store32(start, 100)
            }
            subject.expect(.runsDoNotTile) {
                Memory.store32(start, 1 << 30)
            } _: {
                Memory.store32(start, 100)
            }
            // Two free runs side by side where there was one.
            subject.expect(.freeRunsAdjoin) {
                core.removeFreeRun(hole)
                core.clearBit(hole + 99)
                core.insertFreeRun(hole, granules: 40)
                core.insertFreeRun(hole + 40, granules: 60)
            } _: {
                core.removeFreeRun(hole)
                core.removeFreeRun(hole + 40)
                for granule in [0, 1, 39, 40, 41, 99] as [UInt32] { core.clearBit(hole + granule) }
                core.insertFreeRun(hole, granules: 100)
            }
            subject.heap.destroy()
        }

        @Test func binsAndTotals() throws {
            let subject = try Subject()
            let (core, hole) = (subject.core, subject.hole)
            let header = core.header
            subject.expect(.freeRunCount) {
                header.it.free_run_count += 1
            } _: {
                header.it.free_run_count -= 1
            }
            subject.expect(.usedGranules) {
                header.it.used_granules += 1
            } _: {
                header.it.used_granules -= 1
            }
            subject.expect(.usedGranules) {
                header.it.span_granules += 1
            } _: {
                header.it.span_granules -= 1
            }
            subject.expect(.usedGranules) {
                header.it.metadata_granules -= 1
            } _: {
                header.it.metadata_granules += 1
            }
            subject.expect(.runBlocks) {
                header.it.run_block_count += 1
            } _: {
                header.it.run_block_count -= 1
            }
            subject.expect(.cacheClaim) {
                header.it.cache_claim_bytes += 8
            } _: {
                header.it.cache_claim_bytes -= 8
            }
            let cache = core.cache(atPage: header.it.cache_list_page)
            subject.expect(.cacheClaim) {
                cache.it.claimed_small_bytes += 8
            } _: {
                cache.it.claimed_small_bytes -= 8
            }
            // The free run leaves its bin, or stands in one for another length.
            let bin = BoundedHeap.runBin(100)
            let bins = header.address + UInt(CISTERN_RUN_BINS_OFFSET)
            let word = header.address + UInt(CISTERN_BIN_WORDS_OFFSET) + UInt(bin / 64) * 8
            let bit = UInt64(1) << UInt64(bin % 64)
            #expect(core.binHead(bin) == hole)
            subject.expect(.binMisfiled) {
                Memory.store64(word, Memory.load64(word) & ~bit)
            } _: {
                Memory.store64(word, Memory.load64(word) | bit)
            }
            subject.expect(.binMisfiled) {
                Memory.store32(bins + UInt(bin) * 4, subject.run)
            } _: {
                Memory.store32(bins + UInt(bin) * 4, hole)
            }
            subject.expect(.freeRunCount) {
                Memory.store32(bins + UInt(bin) * 4, 0)
                Memory.store64(word, Memory.load64(word) & ~bit)
            } _: {
                Memory.store32(bins + UInt(bin) * 4, hole)
                Memory.store64(word, Memory.load64(word) | bit)
            }
            subject.heap.destroy()
        }

        @Test func spansAndClasses() throws {
            let subject = try Subject()
            let core = subject.core
            let span = core.span(subject.span)
            let full = core.span(subject.full)
            subject.expect(.spanMisdescribed) {
                span.it.first_page += 1
            } _: {
                span.it.first_page -= 1
            }
            subject.expect(.spanMisdescribed) {
                span.it.size_class = 64
            } _: {
                span.it.size_class = full.it.size_class
            }
            let page = span.it.first_page
            let last = page + UInt32(span.it.page_count) - 1
            if last != page {
                subject.expect(.spanMisdescribed) {
                    core.setPageMapEntry(ofPage: last, subject.full)
                } _: {
                    core.setPageMapEntry(ofPage: last, subject.span)
                }
            }
            subject.expect(.spanMisdescribed) {
                full.it.used += 1
            } _: {
                full.it.used -= 1
            }
            subject.expect(.spanBits) {
                span.it.used += 1
            } _: {
                span.it.used -= 1
            }
            subject.expect(.spanListing) {
                span.it.is_listed = 0
            } _: {
                span.it.is_listed = 1
            }
            subject.expect(.spanListing) {
                full.it.is_listed = 1
            } _: {
                full.it.is_listed = 0
            }
            let previous = span.it.previous
            subject.expect(.spanListing) {
                span.it.previous = subject.full
            } _: {
                span.it.previous = previous
            }
            subject.heap.destroy()
        }

        @Test func classes() throws {
            let subject = try Subject()
            let core = subject.core
            let sizeClass = core.sizeClass(UInt(core.span(subject.span).it.size_class))
            subject.expect(.classCounts) {
                sizeClass.it.used_block_count += 1
            } _: {
                sizeClass.it.used_block_count -= 1
            }
            subject.expect(.classCounts) {
                sizeClass.it.span_count += 1
            } _: {
                sizeClass.it.span_count -= 1
            }
            subject.expect(.classCounts) {
                sizeClass.it.span_byte_count += 1
            } _: {
                sizeClass.it.span_byte_count -= 1
            }
            let head = sizeClass.it.list_head
            subject.expect(.classCounts) {
                sizeClass.it.list_head = 0
            } _: {
                sizeClass.it.list_head = head
            }
            subject.heap.destroy()
        }
    }
}
