import Cistern
import Testing

// Safety: objects are read and written where the region that gave them out is open.

extension FaceSuites {
    /// Regions as a Swift program has them: values, arrays, survivors, scopes and handles.
    @Suite struct RegionUseTests {
        /// Counts how many of it there are.
        private final class Counted {
            final class Counter { var live = 0 }
            let counter: Counter
            let number: Int

            init(_ counter: Counter, _ number: Int = 0) {
                self.counter = counter
                self.number = number
                counter.live += 1
            }

            deinit { counter.live -= 1 }
        }

        private struct Point: Equatable { var x: Double, y: Double, name: UInt16 }

        @Test func plainValuesAndArrays() throws {
            let heap = try Heap(capacityBytes: 16 << 20)
            let region = try heap.openRegion()
            let point = try unsafe #require(unsafe region.make(Point(x: 1, y: 2, name: 3)))
            #expect(unsafe point.pointee == Point(x: 1, y: 2, name: 3))
            let sevens = try unsafe #require(unsafe region.makeArray(repeating: 7, count: 5000))
            #expect(unsafe sevens.count == 5000 && sevens.allSatisfy { $0 == 7 })
            let squares = try unsafe #require(unsafe region.makeArray((0..<100).lazy.map { $0 * $0 }))
            #expect(unsafe squares.count == 100 && squares[99] == 9801)
            #expect(unsafe region.makeArray([Int]())?.count == 0)
            #expect(region.statistics.cleanupCount == 0)
            #expect(unsafe region.contains(UnsafeRawPointer(point)) && heap.region(owning: UnsafeRawPointer(point)) == region.identity)
            try region.close()
            #expect(heap.verify() == nil)
        }

        @Test func valuesWithADeinitEndWithTheirRegion() throws {
            let heap = try Heap(capacityBytes: 16 << 20)
            let counter = Counted.Counter()
            for way in 0..<4 {
                let region = try heap.openRegion()
                let kept = try unsafe #require(unsafe region.make(Counted(counter, 1)))
                let mark = try region.mark()
                let many = try unsafe #require(unsafe region.makeArray((0..<10).map { Counted(counter, $0) }))
                #expect(unsafe many.map(\.number) == Array(0..<10) && kept.pointee.number == 1 && counter.live == 11)
                #expect(unsafe region.makeArray([Counted]())?.count == 0)
                #expect(region.statistics.cleanupCount == 2)
                switch way {
                case 0: try region.release(to: mark)
                case 1: try region.reset()
                case 2: break
                default: #expect(unsafe region.make(Counted(counter)) != nil)
                }
                #expect(counter.live == [1, 0, 11, 12][way])
                try region.close()
                #expect(counter.live == 0)
            }
            #expect(heap.verify() == nil)
        }

        /// What does not fit takes nothing, at any limit.
        @Test func makingThatFailsLeavesNothing() throws {
            let heap = try Heap(capacityBytes: 16 << 20)
            let counter = Counted.Counter()
            var made = 0
            for limit in stride(from: 8, through: 160, by: 8) {
                let region = try heap.openRegion(limitBytes: UInt64(limit))
                if unsafe region.make(Counted(counter)) != nil {
                    made += 1
                    #expect(counter.live == 1)
                } else {
                    #expect(region.statistics.usedBytes == 0 && region.lastRefusal == .limitReached && counter.live == 0)
                }
                try region.reset()
                if unsafe region.makeArray([Counted(counter), Counted(counter)]) == nil {
                    #expect(region.statistics.usedBytes == 0 && counter.live == 0)
                }
                try region.close()
                #expect(counter.live == 0)
            }
            #expect(made == 13)
        }

        @Test func countsThatCannotBe() throws {
            let heap = try Heap(capacityBytes: 16 << 20)
            let region = try heap.openRegion()
            #expect(region.lastRefusal == nil)
            #expect(unsafe region.allocate(of: Int.self, count: -1) == nil && region.lastRefusal == .invalidArgument)
            try region.reset()
            #expect(unsafe region.allocate(of: Int.self, count: 1 << 30) == nil && region.lastRefusal == .exhausted)
            #expect(unsafe region.allocate(of: Int.self, count: .max / 2) == nil && region.lastRefusal == .invalidArgument)
            #expect(region.statistics.usedBytes == 0)
            let next = try heap.openRegion()
            #expect(next.lastRefusal == nil)
        }

        @Test func promotionThroughACopyOfOnesOwn() throws {
            let heap = try Heap(capacityBytes: 16 << 20)
            let parent = try heap.openRegion()
            let child = try parent.openChild()
            let object = try unsafe #require(unsafe child.makeArray(0..<10))
            var copies = 0
            let moved = try unsafe child.promote(UnsafeMutableRawPointer(object.baseAddress!), byteCount: 80) { source, target, byteCount in
                unsafe target.copyMemory(from: source, byteCount: byteCount)
                unsafe target.storeBytes(of: 99, as: Int.self)
                copies += 1
            }
            #expect(unsafe copies == 1 && parent.contains(moved) && !child.contains(moved))
            #expect(unsafe moved.load(as: Int.self) == 99 && moved.load(fromByteOffset: 72, as: Int.self) == 9 && object[0] == 0)
            let large = try unsafe #require(unsafe child.makeArray(repeating: 5, count: 10_000))
            let stayed = try unsafe child.promote(UnsafeMutableRawPointer(large.baseAddress!), byteCount: 80_000) { _, _, _ in copies += 1 }
            #expect(unsafe copies == 1 && stayed == UnsafeMutableRawPointer(large.baseAddress!) && parent.contains(stayed))
            #expect(throws: RegionError.noParent) { _ = try unsafe parent.promote(stayed, byteCount: 8) }
            try child.close()
            #expect(unsafe moved.load(as: Int.self) == 99)
            #expect(heap.verify() == nil)
        }

        @Test func cleanupClosuresRunOnceAndInOrder() throws {
            final class Log { var ran: [Int] = [] }
            let log = Log()
            let heap = try Heap(capacityBytes: 16 << 20)
            let region = try heap.openRegion(limitBytes: 64)
            try region.addCleanup { log.ran.append(1) }
            try region.addCleanup { log.ran.append(2) }
            // Refused: it does not run.
            #expect(throws: RegionError.limitReached) { try region.addCleanup { log.ran.append(3) } }
            #expect(log.ran == [])
            try region.reset()
            #expect(log.ran == [2, 1])
            try region.addCleanup { log.ran.append(4) }
            try region.close()
            #expect(log.ran == [2, 1, 4])
        }

        @Test func scopes() throws {
            struct Failure: Error {}
            let heap = try Heap(capacityBytes: 16 << 20)
            var ended = 0
            let sum = heap.withRegion { outer -> Int in
                let inner = outer.withChild { inner -> Int in
                    try? inner.addCleanup { ended += 1 }
                    #expect(outer.statistics.childCount == 1)
                    return unsafe inner.makeArray(repeating: 2, count: 100).map { unsafe $0.reduce(0, +) } ?? 0
                }
                #expect(ended == 1 && outer.statistics.childCount == 0)
                #expect(throws: Failure.self) { try outer.withChild { _ in throw Failure() } }
                #expect(outer.statistics.childCount == 0)
                let limited = outer.withChild(limitBytes: 8) { unsafe $0.allocate(byteCount: 9) == nil && $0.lastRefusal == .limitReached }
                #expect(limited == true)
                return inner ?? 0
            }
            #expect(sum == 200 && heap.verify() == nil)
        }

        /// A handle opened inside a scope may outlive it, and everything else that knew the heap.
        @Test func aHandleOutlivesItsScopeAndItsHeap() throws {
            final class Box {
                var region: Region?
                init() {}
            }
            for depth in 0..<3 {
                let box = Box()
                weak var gone: Heap?
                do {
                    let heap = try Heap(capacityBytes: 16 << 20)
                    gone = heap
                    _ = heap.withRegion { outer in
                        if depth == 0 { box.region = try? outer.openChild() }
                        _ = outer.withChild { inner in
                            if depth == 1 { box.region = try? inner.openChild() }
                            _ = inner.withChild { deep in if depth == 2 { box.region = try? deep.openChild() } }
                        }
                    }
                }
                #expect(gone != nil)
                if let region = box.region.take() {
                    #expect(unsafe region.allocate(byteCount: 8) == nil && region.lastRefusal == .closed)
                    #expect(throws: RegionError.closed) { _ = try region.openChild() }
                } else {
                    Issue.record("no region at depth \(depth)")
                }
                #expect(gone == nil)
            }
        }

        @Test func identitiesTellHeapsApart() throws {
            var seen: Set<RegionIdentity> = []
            for _ in 0..<4 {
                let heap = try Heap(capacityBytes: 16 << 20)
                let region = try heap.openRegion()
                #expect(seen.insert(region.identity).inserted)
            }
        }
    }
}
