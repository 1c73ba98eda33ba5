import CTestSupport
import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// Regions of one heap in several threads, and the ends of threads and processes.
    @Suite struct ThreadTests {
        @Test func eachThreadHasItsOwn() throws {
            let heap = try TestHeap(64 << 20)
            let failures = Words(4)
            inThreads(4) { number in
                for round in 0..<scaled(300) {
                    guard let root = heap.open(), let child = root.child() else {
                        failures[number] += 1
                        return
                    }
                    var objects: [(start: UInt, size: Int)] = []
                    for index in 0..<100 {
                        let size = 1 + (index * 37 + round * 11 + number) % (index % 20 == 0 ? 30_000 : 700)
                        guard let object = (index % 2 == 0 ? root : child).allocate(size) else {
                            failures[number] += 1
                            continue
                        }
                        cistern_test_fill(object, size, UInt64(number))
                        objects.append((object, size))
                    }
                    for object in objects where !cistern_test_holds(object.start, object.size, UInt64(number)) { failures[number] += 1 }
                    if round % 2 == 0, child.core.close() != .done { failures[number] += 1 }
                    if root.core.close() != .done { failures[number] += 1 }
                }
            }
            for number in 0..<4 { #expect(failures[number] == 0) }
            // The threads are gone, and so is what they kept for their next regions; this one keeps nothing.
            #expect(heap.core.statistics().regionBytes == 0)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func aRegionIsHandedOn() throws {
            let heap = try TestHeap(64 << 20)
            let region = try #require(heap.open())
            let object = try #require(region.allocate(5000))
            cistern_test_fill(object, 5000, 1)
            let results = Words(2)
            inThreads(1) { _ in
                results[0] = region.allocate(5000) == nil ? 0 : 1
                results[1] = region.core.close() == .done && cistern_test_holds(object, 0, 1) ? 1 : 0
            }
            #expect(results[0] == 1 && results[1] == 1)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test(.enabled(if: !Sanitizer.isPresent)) func aForkedChildGoesOn() throws {
            let heap = try TestHeap(64 << 20)
            let region = try #require(heap.open())
            let object = try #require(region.allocate(5000))
            cistern_test_fill(object, 5000, 1)
            let (status, text) = inChildCapturing {
                guard cistern_test_holds(object, 5000, 1), let child = region.child(), child.allocate(100_000) != nil else { return 1 }
                guard region.core.close() == .done, let other = heap.open(), other.allocate(64) != nil else { return 2 }
                return heap.verify() == nil ? 0 : 3
            }
            #expect(status == 0, "\(text)")
            #expect(cistern_test_holds(object, 5000, 1) && region.core.close() == .done)
            heap.destroy()
        }
    }
}
