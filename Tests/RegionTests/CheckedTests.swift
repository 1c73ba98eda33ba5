import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// What checked mode finds, and what regions leave behind there.
    @Suite struct CheckedTests {
        @Test func useAfterClosingIsReported() throws {
            let log = MisuseLog()
            let heap = try TestHeap(16 << 20) { log.install(in: &$0) }
            let root = try #require(heap.open())
            let child = try #require(root.child())
            #expect(child.core.close() == .done && log.count == 0)
            var count = 0
            func expectReport(_ result: Bool) {
                count += 1
                #expect(result && log.count == count && log.last == .closedRegion && log.address == child.address)
            }
            expectReport(child.core.close() == .closed)
            expectReport(child.allocate(8) == nil)
            expectReport(child.allocate(8, alignment: 16) == nil)
            expectReport(child.allocateZeroed(100_000) == nil)
            expectReport(child.mark().status == .closed)
            expectReport(child.core.reset() == .closed)
            expectReport(child.core.addCleanup(CleanupLog.action, context: 0) == .closed)
            expectReport(child.child() == nil)
            expectReport(child.core.exchangeContents(with: root.core) == .closed)
            expectReport(root.core.exchangeContents(with: child.core) == .closed)
            expectReport(child.core.setLimit(bytes: 1) == .closed)
            // The record is not used again for a thousand openings.
            for _ in 0..<1000 {
                let other = try #require(root.child())
                #expect(other != child)
                #expect(other.core.close() == .done)
            }
            expectReport(child.core.close() == .closed)
            #expect(root.core.close() == .done)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func freedBytesAreOverwritten() throws {
            let heap = try TestHeap(16 << 20) { $0.isChecked = true }
            let region = try #require(heap.open())
            let first = try #require(region.allocate(64))
            #expect(Words.load(first) == 0xA5A5_A5A5_A5A5_A5A5)
            let mark = region.mark().mark
            let second = try #require(region.allocate(64))
            let large = try #require(region.allocate(40_000))
            Words.store(first, 1)
            Words.store(second, 2)
            Words.store(large, 3)
            #expect(region.core.release(to: mark) == .done)
            #expect(Words.load(first) == 1 && Words.load(second) == 0xDDDD_DDDD_DDDD_DDDD)
            #expect(Words.load(large) == 0xDDDD_DDDD_DDDD_DDDD)
            #expect(region.core.reset() == .done)
            #expect(Words.load(first) == 0xDDDD_DDDD_DDDD_DDDD)
            #expect(region.core.close() == .done)
            heap.destroy()
        }

        @Test func blocksAndRegionsAreToldApart() throws {
            let log = MisuseLog()
            let heap = try TestHeap(16 << 20) { log.install(in: &$0) }
            let region = try #require(heap.open())
            let object = try #require(region.allocate(64))
            #expect(!heap.block(holding: object))
            heap.free(object, 64)
            #expect(log.count == 1 && log.last == .foreignPointer && log.address == object)
            let block = try #require(heap.allocate(64))
            #expect(heap.owner(of: block) == nil && heap.block(holding: block))
            #expect(region.core.close() == .done)
            heap.destroy()
        }

        @Test(.enabled(if: !Sanitizer.isPresent), arguments: ["close", "allocate", "reset"])
        func withoutAReportItTraps(what: String) {
            let (status, text) = inChildCapturing {
                guard let heap = try? TestHeap(16 << 20, { $0.isChecked = true }), let region = heap.open() else { return 1 }
                guard region.core.close() == .done else { return 2 }
                switch what {
                case "close": _ = region.core.close()
                case "allocate": _ = region.allocate(8)
                default: _ = region.core.reset()
                }
                return 0
            }
            #expect(status > 256, "\(status): \(text)")
            #expect(text.contains("Cistern: a region was used after it had been closed"), "\(text)")
        }

        @Test func releaseModeIsDefined() throws {
            let heap = try TestHeap(16 << 20)
            let region = try #require(heap.open())
            #expect(region.allocate(8) != nil)
            #expect(region.core.close() == .done)
            for _ in 0..<3 { #expect(region.core.close() == .closed && region.allocate(8) == nil) }
            // The record serves the next region; the old handle names that one from then on.
            let next = try #require(heap.open())
            #expect(next == region && region.core.isOpen)
            #expect(next.core.close() == .done)
            heap.destroy()
        }
    }
}
