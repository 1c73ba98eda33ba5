import CTestSupport
import Testing

@testable import HeapCore

extension HeapSuites {
    @Suite struct GiveBackTests {
        private func residentPages(_ heap: TestHeap) -> UInt64 {
            cistern_test_resident_page_count(heap.base, Int(heap.core.capacityBytes))
        }

        @Test func trimGivesEverythingFreeBack() throws {
            let heap = try TestHeap(64 << 20) { $0.usesHugePages = false }
            let small = try (0..<2000).map { _ in try #require(heap.allocate(200)) }
            let low = try #require(heap.allocate(8 << 20))
            let fence = try #require(heap.allocate(5000))
            let high = try #require(heap.allocate(16 << 20))
            for block in [low, high] { cistern_test_fill(block, 8 << 20, 1) }
            cistern_test_fill(fence, 5000, 2)
            let full = heap.core.statistics()
            let fullResident = residentPages(heap)
            #expect(fullResident > (16 << 20) / 4096)
            heap.free(low, 8 << 20)
            heap.free(high, 16 << 20)
            for block in small { heap.free(block, 200) }
            let given = heap.core.trim()
            let now = heap.core.statistics()
            #expect(given >= 15 << 20)
            #expect(now.givenBackBytes == given)
            #expect(now.committedBytes + (8 << 20) <= full.committedBytes)
            #expect(now.committedHighWaterBytes == full.committedHighWaterBytes)
            #expect(now.touchedBytes < 1 << 20 && now.touchedHighWaterBytes >= 24 << 20)
            #expect(now.cachedBlockCount == 0 && now.spanBytes == 0)
            // The fence and the heap's own pages remain.
            if !Sanitizer.isPresent { #expect(residentPages(heap) < fullResident / 20) }
            #expect(cistern_test_holds(fence, 5000, 2))
            #expect(heap.core.trim() == 0)
            #expect(heap.verify() == nil)
            // And everything can be had again.
            let again = try #require(heap.allocate(30 << 20))
            cistern_test_fill(again, 30 << 20, 4)
            #expect(cistern_test_holds(fence, 5000, 2))
            heap.free(again)
            heap.free(fence)
            heap.core.trim()
            let empty = heap.core.statistics()
            #expect(empty.usedBytes == empty.metadataBytes - UInt64(heap.core.header.it.first_granule) * 64)
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
        }

        /// maintain() gives back what was free since the call before, and keeps what is in use now and then.
        @Test func maintainGivesBackWhatAWindowDidNotNeed() throws {
            let heap = try TestHeap(64 << 20)
            let block = try #require(heap.allocate(16 << 20))
            let fence = try #require(heap.allocate(5000))
            cistern_test_fill(block, 16 << 20, 1)
            heap.free(block, 16 << 20)
            #expect(heap.core.maintain() == 0)
            let given = heap.core.maintain()
            #expect(given >= 15 << 20 && given <= 17 << 20)
            #expect(heap.core.statistics().givenBackBytes == given)
            // In use at some moment of the window: kept.
            let again = try #require(heap.allocate(16 << 20))
            cistern_test_fill(again, 16 << 20, 1)
            heap.free(again, 16 << 20)
            #expect(heap.core.maintain() < 1 << 20)
            #expect(heap.core.maintain() >= 15 << 20)
            #expect(heap.verify() == nil)
            heap.free(fence, 5000)
            heap.destroy()
        }

        @Test func littleIsNotWorthGivingBack() throws {
            let heap = try TestHeap(64 << 20)
            let block = try #require(heap.allocate(500_000))
            heap.free(block, 500_000)
            for _ in 0..<4 { #expect(heap.core.maintain() == 0) }
            heap.destroy()
        }

        /// A window ends by itself when enough has gone through the run heap.
        @Test func windowsEndWithTraffic() throws {
            let table = FaultTable()
            let heap = try TestHeap(64 << 20) { table.install(in: &$0) }
            let unneeded = try #require(heap.allocate(24 << 20))
            let fence = try #require(heap.allocate(5000))
            heap.free(unneeded, 24 << 20)
            // 64 KiB runs up and down, 1 GiB and more of them per window.
            for _ in 0..<(3 << 30) / (4 << 20) {
                let block = try #require(heap.allocate(4 << 20))
                heap.free(block, 4 << 20)
            }
            let now = heap.core.statistics()
            #expect(now.givenBackBytes >= 16 << 20)
            #expect(table.counts.decommit > 0 && table.counts.decommit < 50)
            heap.free(fence, 5000)
            #expect(heap.verify() == nil)
            #expect(heap.destroy())
            table.isNeeded()
        }

        @Test(arguments: [false, true]) func hugePagesAreAskedForAboveTheFirstMebibytes(usesHugePages: Bool) throws {
            let table = FaultTable()
            let heap = try TestHeap(128 << 20) {
                table.install(in: &$0)
                $0.usesHugePages = usesHugePages
            }
            let block = try #require(heap.allocate(1 << 20))
            #expect(table.counts.advise == 0)
            let more = try #require(heap.allocate(64 << 20))
            #expect((table.counts.advise > 0) == usesHugePages)
            heap.free(block)
            heap.free(more)
            #expect(heap.destroy())
            table.isNeeded()
        }

        @Test func aRefusedGiveBackChangesNothing() throws {
            let table = FaultTable()
            let heap = try TestHeap(64 << 20) { table.install(in: &$0) }
            let block = try #require(heap.allocate(16 << 20))
            let fence = try #require(heap.allocate(5000))
            cistern_test_fill(block, 16 << 20, 1)
            heap.free(block, 16 << 20)
            let before = heap.core.statistics()
            table.refuse(0, forEver: true)
            #expect(heap.core.trim() == 0)
            let after = heap.core.statistics()
            #expect(after.committedBytes == before.committedBytes && after.givenBackBytes == 0)
            #expect(heap.verify() == nil)
            let zeroed = try #require(heap.allocateZeroed(16 << 20))
            #expect(cistern_test_is_zero(zeroed, 16 << 20))
            table.refuseNothing()
            heap.free(zeroed, 16 << 20)
            #expect(heap.core.trim() >= 15 << 20)
            heap.free(fence, 5000)
            #expect(heap.destroy())
            table.isNeeded()
        }
    }
}
