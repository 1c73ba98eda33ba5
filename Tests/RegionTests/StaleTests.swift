import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// What is left of regions, heaps and marks that are gone, and of handles that go at the wrong moment.
    @Suite struct StaleTests {
        @Test func aClosedRegionOpensNoChild() throws {
            for isOwned in [false, true] {
                let heap = try TestHeap(16 << 20)
                let root = try #require(heap.open())
                let parent = try #require(root.child(isOwned: isOwned))
                let child = try #require(parent.child())
                #expect(child.core.close() == .done)
                #expect(parent.core.close() == .done)
                #expect(parent.child() == nil && parent.core.lastRefusal == .closed)
                #expect(heap.verify() == nil)
                #expect(root.core.statistics.childCount == 0)
                if isOwned { parent.core.dispose() }
                #expect(root.core.close() == .done)
                #expect(heap.verify() == nil)
                heap.destroy()
            }
        }

        @Test func aNewRegionHasRefusedNothing() throws {
            let heap = try TestHeap(16 << 20)
            let root = try #require(heap.open())
            for _ in 0..<3 {
                let child = try #require(root.child(limit: 8))
                #expect(child.core.lastRefusal == .done)
                #expect(child.allocate(9) == nil && child.core.lastRefusal == .limitReached)
                #expect(child.core.close() == .done)
                let alone = try #require(heap.open(limit: 8))
                #expect(alone.core.lastRefusal == .done)
                #expect(alone.allocate(8) != nil && alone.allocate(8) == nil && alone.core.lastRefusal == .limitReached)
                #expect(alone.core.close() == .done)
            }
            heap.destroy()
        }

        /// The high-water mark of an empty region is that of this opening.
        @Test func aNewRegionHasNoHistory() throws {
            let heap = try TestHeap(16 << 20)
            let root = try #require(heap.open())
            let child = try #require(root.child())
            let object = try #require(child.allocate(20_000))
            let promoted = unsafe child.promote(object, 20_000)
            #expect(promoted.status == .done)
            #expect(child.core.statistics.runBytes == 0 && child.core.statistics.runHighWaterBytes > 0)
            #expect(child.core.close() == .done)
            let next = try #require(root.child())
            #expect(next.core.statistics == RegionStatistics())
            #expect(root.core.close() == .done)
            heap.destroy()
        }

        @Test func aMarkOfAHeapThatIsGoneIsStale() throws {
            var old: (address: UInt, mark: RegionMark)?
            var incarnations: Set<UInt64> = []
            for _ in 0..<4 {
                let heap = try TestHeap(16 << 20)
                let region = try #require(heap.open())
                #expect(incarnations.insert(region.core.incarnation).inserted)
                let mark = region.mark().mark
                #expect(region.allocate(100) != nil)
                if let old, old.address == region.address { #expect(region.core.release(to: old.mark) == .staleMark) }
                old = (region.address, mark)
                #expect(region.core.close() == .done)
                heap.destroy()
            }
        }

        /// The cleanup action of a child ends the last handle of its parent, or of the root.
        @Test func aHandleThatGoesInsideACleanupAction() throws {
            for (depth, isRootOwned) in [(1, true), (3, true), (3, false)] {
                let heap = try TestHeap(16 << 20)
                let root = try #require(heap.open(isOwned: isRootOwned))
                var chain = [root]
                for _ in 0..<depth { chain.append(try #require(chain[chain.count - 1].child(isOwned: chain.count == 1))) }
                let disposed = isRootOwned ? root : chain[1]
                #expect(disposed.allocate(20_000) != nil && disposed.allocate(10) != nil)
                let deepest = chain[depth]
                let status = deepest.core.addCleanup({ TestRegion(address: $0).core.dispose() }, context: disposed.address)
                #expect(status == .done)
                #expect(isRootOwned || depth > 1)
                if depth == 1 { deepest.core.dispose() } else { #expect(deepest.core.close() == .done) }
                #expect(!disposed.core.isOpen)
                #expect(heap.verify() == nil)
                if depth > 1 && isRootOwned { chain[1].core.dispose() }
                if !isRootOwned { #expect(root.core.close() == .done) }
                heap.core.trim()
                #expect(heap.core.statistics().regionBytes == 0)
                #expect(heap.verify() == nil)
                heap.destroy()
            }
        }

        /// A release and a reset of a child end the handle, too, and of the region itself.
        @Test(arguments: [0, 1, 2]) func aHandleThatGoesInsideAReset(which: Int) throws {
            let heap = try TestHeap(16 << 20)
            let root = try #require(heap.open(isOwned: true))
            let child = try #require(root.child())
            let target = which == 2 ? root : child
            let mark = target.mark().mark
            #expect(target.core.addCleanup({ TestRegion(address: $0).core.dispose() }, context: root.address) == .done)
            #expect((which == 0 ? target.core.release(to: mark) : target.core.reset()) == .done)
            #expect(!root.core.isOpen && !child.core.isOpen)
            #expect(heap.verify() == nil)
            heap.core.trim()
            #expect(heap.core.statistics().regionBytes == 0)
            heap.destroy()
        }

        /// Contents do not go away under a region whose child is running its cleanup actions.
        @Test func aPinnedRegionIsNotExchanged() throws {
            let heap = try TestHeap(16 << 20)
            let words = Words(5)
            let root = try #require(heap.open())
            let other = try #require(heap.open())
            let child = try #require(root.child())
            words[0] = root.address
            words[1] = other.address
            let status = child.core.addCleanup(
                { context in
                    let root = TestRegion(address: Words.load(context))
                    let other = TestRegion(address: Words.load(context + 8))
                    Words.store(context + 16, UInt(root.core.exchangeContents(with: other.core).rawValue))
                    Words.store(context + 24, UInt(other.core.exchangeContents(with: root.core).rawValue))
                }, context: words.address)
            #expect(status == .done && root.allocate(10) != nil)
            #expect(child.core.close() == .done)
            #expect(words[2] == UInt(RegionStatus.busy.rawValue) && words[3] == UInt(RegionStatus.busy.rawValue))
            #expect(root.core.exchangeContents(with: other.core) == .done)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test(.enabled(if: !Sanitizer.isPresent, "forks beside the threads of a sanitizer"))
        func aForksChildWithoutTheHeapOpensNothing() throws {
            let heap = try TestHeap(16 << 20) { $0.isInheritedByFork = false }
            let root = try #require(heap.open())
            let result = inChildCapturing {
                if heap.open() != nil { return 1 }
                // Without a look at any page of it, too: the header says that there is nothing.
                return heap.core.statistics().regionBytes == 0 ? 0 : 2
            }
            #expect(result.status == 0)
            #expect(root.core.close() == .done)
            heap.destroy()
        }

        /// Asked about any address while others open and close, the heap answers with a region or none, and reads only its own.
        @Test(.enabled(if: !Sanitizer.isPresent, "asks on purpose while others write"))
        func ownersAreAskedForWhileOthersClose() throws {
            let heap = try TestHeap(64 << 20)
            let addresses = Words(64)
            inThreads(4) { number in
                for round in 0..<scaled(4000) {
                    if number < 2 {
                        guard let region = heap.open() else { continue }
                        for index in 0..<16 { addresses[number * 32 + index] = region.allocate(100 + index * 400) ?? 0 }
                        for index in 16..<20 { addresses[number * 32 + index] = region.allocate(20_000) ?? 0 }
                        region.core.close()
                        if round % 100 == 0 { heap.core.trim() }
                    } else {
                        for index in 0..<64 where addresses[index] != 0 { _ = heap.owner(of: addresses[index]) }
                    }
                }
            }
            #expect(heap.verify() == nil)
            heap.destroy()
        }
    }
}
