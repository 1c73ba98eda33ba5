import Cistern
import Testing

// Safety: objects are used while their region is open, within their sizes.

@Suite struct RegionFaceTests {
    /// Counts its ends.
    final class Counted {
        let count: Counter
        init(_ count: Counter) { self.count = count }
        deinit { count.value += 1 }
    }

    final class Counter {
        var value = 0
    }

    private static func number(_ address: UnsafeMutableRawPointer?) -> UInt { UInt(bitPattern: address) }

    @Test func scopesNestAndGiveEverythingBack() throws {
        let heap = try Heap(capacityBytes: 16 << 20)
        let sum = heap.withRegion { region in
            let outer = unsafe region.makeArray(repeating: 1, count: 1000).map { unsafe $0.reduce(0, +) } ?? 0
            let inner = region.withChild { child in unsafe child.makeArray([1, 2, 3]).map { unsafe $0.reduce(0, +) } ?? 0 } ?? 0
            return outer + inner
        }
        #expect(sum == 1006)
        let both = heap.withRegion { region in
            (region.withChild { child in child.statistics.usedBytes }, region.statistics.childCount)
        }
        #expect(both?.0 == 0 && both?.1 == 0)
        heap.trim()
        #expect(heap.statistics.regionBytes == 0 && heap.statistics.liveBlockCount == 0)
        #expect(heap.verify() == nil)
    }

    @Test func aThrowingBodyClosesItsRegion() throws {
        struct Stop: Error {}
        let heap = try Heap(capacityBytes: 16 << 20)
        let counter = Counter()
        #expect(throws: Stop.self) {
            try heap.withRegion { region throws(Stop) in
                _ = unsafe region.make(Counted(counter))
                throw Stop()
            }
        }
        #expect(counter.value == 1)
        #expect(heap.verify() == nil)
    }

    @Test func valuesEndWithTheirRegion() throws {
        let heap = try Heap(capacityBytes: 16 << 20)
        let counter = Counter()
        let region = try heap.openRegion()
        let mark = try region.mark()
        let one = unsafe region.make(Counted(counter))
        #expect(unsafe one?.pointee.count === counter)
        let several = unsafe region.makeArray([Counted(counter), Counted(counter)])
        #expect(unsafe several?.count == 2 && counter.value == 0)
        try region.release(to: mark)
        #expect(counter.value == 3)
        _ = unsafe region.make(Counted(counter))
        try region.reset()
        #expect(counter.value == 4)
        #expect(throws: RegionError.staleMark) { try region.release(to: mark) }
        let number = unsafe region.make(UInt64(7))
        #expect(unsafe number?.pointee == 7)
        let empty = unsafe region.makeArray([Counted]())
        #expect(unsafe empty?.count == 0)
        #expect(unsafe region.allocate(of: UInt64.self, count: -1) == nil)
        #expect(unsafe region.allocate(of: UInt64.self, count: Int.max / 4) == nil)
        try region.close()
        #expect(counter.value == 4)
        #expect(heap.verify() == nil)
    }

    @Test func survivorsGoToTheParent() throws {
        let heap = try Heap(capacityBytes: 16 << 20)
        let parent = try heap.openRegion()
        let child = try parent.openChild()
        let small = try unsafe #require(unsafe child.make(UInt64(42)))
        let large = try unsafe #require(unsafe child.allocateZeroed(byteCount: 20_000))
        let moved = try unsafe child.promote(UnsafeMutableRawPointer(small), byteCount: 8)
        let kept = try unsafe child.promote(large, byteCount: 20_000)
        unsafe #expect(Self.number(kept) == Self.number(large) && Self.number(moved) != Self.number(UnsafeMutableRawPointer(small)))
        #expect(unsafe heap.region(owning: moved) == parent.identity && parent.contains(kept) && !child.contains(kept))
        let copied = try unsafe child.promote(UnsafeMutableRawPointer(small), byteCount: 8) { source, destination, byteCount in
            unsafe destination.copyMemory(from: source, byteCount: byteCount)
            unsafe destination.storeBytes(of: 43, as: UInt64.self)
        }
        try child.close()
        #expect(unsafe moved.load(as: UInt64.self) == 42 && copied.load(as: UInt64.self) == 43)
        unsafe #expect(throws: RegionError.noParent) { try unsafe parent.promote(moved, byteCount: 8) }
        let other = try heap.openRegion()
        #expect(throws: RegionError.notInRegion) {
            let inner = try other.openChild()
            _ = try unsafe inner.promote(moved, byteCount: 8)
        }
        try parent.close()
        #expect(heap.verify() == nil)
    }

    @Test func anAbandonedChildIsFoundClosed() throws {
        let heap = try Heap(capacityBytes: 16 << 20)
        let parent = try heap.openRegion()
        let child = try parent.openChild(limitBytes: 100)
        #expect(unsafe child.allocate(byteCount: 101) == nil && child.lastRefusal == .limitReached)
        try parent.close()
        #expect(unsafe child.allocate(byteCount: 8) == nil && child.lastRefusal == .closed)
        #expect(throws: RegionError.closed) { try child.mark() }
        #expect(throws: RegionError.closed) { _ = try child.openChild() }
        let another = try heap.openRegion()
        #expect(another.identity != child.identity)
        do throws(RegionError) {
            try child.close()
            Issue.record("a closed region was closed")
        } catch {
            #expect(error == .closed)
        }
        #expect(heap.verify() == nil)
    }

    @Test func aRegionKeepsItsHeapAlive() throws {
        let region = try Heap(capacityBytes: 16 << 20).openRegion()
        let number = unsafe region.make(UInt64(5))
        #expect(unsafe number?.pointee == 5)
    }

    @Test func cleanupClosuresRunYoungestFirst() throws {
        let heap = try Heap(capacityBytes: 16 << 20)
        var order: [Int] = []
        try withoutActuallyEscaping({ order.append($0) }) { (note: @escaping (Int) -> Void) throws in
            let region = try heap.openRegion(limitBytes: 48)
            try region.addCleanup { note(1) }
            try region.addCleanup { note(2) }
            #expect(throws: RegionError.limitReached) { try region.addCleanup { note(3) } }
            try region.setLimit(bytes: 0)
            try region.addCleanup({ _ in }, context: 0)
            try region.close()
        }
        #expect(order == [2, 1])
    }

    @Test func aCollectorSwapsInWhatLives() throws {
        let heap = try Heap(capacityBytes: 16 << 20)
        let region = try heap.openRegion()
        for value in 0..<10_000 { _ = unsafe region.make(UInt64(value)) }
        let identity = region.identity
        let compacted = try heap.openRegion()
        let alive = try unsafe #require(unsafe compacted.make(UInt64(9999)))
        try region.exchangeContents(with: compacted)
        try compacted.close()
        #expect(unsafe alive.pointee == 9999 && region.contains(alive) && region.identity == identity)
        #expect(region.statistics.usedBytes == 8 && region.statistics.chunkCount == 1)
        var ranges = 0
        region.visitChunks { chunk in ranges += unsafe chunk.bytes.count }
        #expect(ranges == 8)
        let stranger = try Heap(capacityBytes: 1 << 20).openRegion()
        #expect(throws: RegionError.notExchangeable) { try region.exchangeContents(with: stranger) }
        #expect(heap.verify() == nil)
    }

    @Test func everyErrorSaysWhatIsWrong() {
        let errors: [RegionError] = [
            .exhausted, .limitReached, .closed, .busy, .noParent, .notInRegion, .staleMark, .notExchangeable, .invalidArgument,
        ]
        #expect(Set(errors.map(\.description)).count == errors.count)
    }
}
