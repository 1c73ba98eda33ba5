import HeapCore
import Regions
import Testing

extension RegionSuites {
    /// Opening, closing, nesting, cleanup actions, and who may do what from inside them.
    @Suite struct LifeTests {
        @Test func aParentClosesWhatIsLeftInIt() throws {
            let heap = try TestHeap(16 << 20)
            let root = try #require(heap.open())
            let child = try #require(root.child())
            let grandchild = try #require(child.child())
            let sibling = try #require(root.child())
            let log = CleanupLog(count: 8)
            for region in [root, child, grandchild, sibling, root] {
                let (_, context) = log.nextContext()
                #expect(region.core.addCleanup(CleanupLog.action, context: context) == .done)
                log.noteRegistered()
                #expect(region.allocate(100) != nil)
            }
            #expect(root.core.statistics.childCount == 2 && root.core.statistics.cleanupCount == 2)
            #expect(heap.verify() == nil)
            #expect(root.core.close() == .done)
            // Children first, the youngest first; each region's own actions youngest first.
            #expect(log.ran == [3, 2, 1, 4, 0])
            for region in [root, child, grandchild, sibling] {
                #expect(!region.core.isOpen)
                #expect(region.core.close() == .closed)
                #expect(region.allocate(1) == nil && region.core.lastRefusal == .closed)
                #expect(region.mark().status == .closed && region.core.reset() == .closed)
                #expect(region.core.setLimit(bytes: 1) == .closed && region.child() == nil)
                #expect(region.core.statistics == RegionStatistics() && region.chunks.isEmpty && region.core.parent == nil)
            }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func siblingsCloseInAnyOrder() throws {
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                for isEmpty in [false, true] {
                    let heap = try TestHeap(16 << 20)
                    let root = try #require(heap.open())
                    let children = try (0..<3).map { _ in try #require(root.child()) }
                    if !isEmpty { for child in children { #expect(child.allocate(10) != nil) } }
                    for (closed, index) in order.enumerated() {
                        #expect(children[index].core.close() == .done)
                        #expect(root.core.statistics.childCount == 2 - closed)
                        #expect(heap.verify() == nil)
                    }
                    // The records are used again, and tell their openings apart.
                    let again = try (0..<3).map { _ in try #require(root.child()) }
                    #expect(Set(again.map(\.address)).isSubset(of: Set(children.map(\.address))))
                    #expect(again.allSatisfy { $0.core.incarnation & 0xFFFF == 2 })
                    #expect(root.core.close() == .done)
                    #expect(heap.verify() == nil)
                    heap.destroy()
                }
            }
        }

        @Test func aHundredThousandDeep() throws {
            let heap = try TestHeap(64 << 20)
            let root = try #require(heap.open())
            var deepest = root
            for _ in 0..<scaled(100_000) { deepest = try #require(deepest.child()) }
            #expect(deepest.allocate(8) != nil)
            #expect(root.core.close() == .done)
            #expect(!deepest.core.isOpen)
            #expect(heap.verify() == nil)
            // Records that keep records for their children go back in one chain.
            let again = try #require(heap.open())
            var chain = [again]
            for _ in 0..<100 { chain.append(try #require(chain[chain.count - 1].child())) }
            for region in chain.reversed().dropLast() { #expect(region.core.close() == .done) }
            #expect(heap.verify() == nil)
            #expect(again.core.close() == .done)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func anOwnedHandleNeverNamesAnotherRegion() throws {
            let heap = try TestHeap(16 << 20)
            let root = try #require(heap.open())
            let owned = try #require(root.child(isOwned: true))
            #expect(owned.allocate(10) != nil)
            #expect(root.core.close() == .done)
            #expect(owned.core.close() == .closed)
            let others = try (0..<100).map { _ in try #require(heap.open()) }
            #expect(!others.contains(owned) && owned.allocate(8) == nil)
            owned.core.dispose()
            #expect(try #require(heap.open()) == owned)
            for other in others { #expect(other.core.close() == .done) }
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        /// What an action tries: the statuses it got are written behind its two words.
        @Test func cleanupActionsCannotUndoWhatIsGoingOn() throws {
            let heap = try TestHeap(16 << 20)
            let root = try #require(heap.open())
            let child = try #require(root.child())
            let other = try #require(root.child())
            let words = Words(12)
            words[0] = child.address
            words[1] = root.address
            words[2] = other.address
            let mark = root.mark().mark
            words[10] = UInt(mark.words.1)
            words[11] = UInt(mark.words.2)
            #expect(child.allocate(10) != nil && other.allocate(10) != nil)
            let status = child.core.addCleanup(
                { context in
                    func region(_ index: UInt) -> TestRegion { TestRegion(address: Words.load(context + index * 8)) }
                    func note(_ index: UInt, _ status: RegionStatus) { Words.store(context + index * 8, UInt(status.rawValue)) }
                    note(3, region(0).core.close())
                    note(4, region(1).core.close())
                    note(5, region(1).core.reset())
                    note(6, region(0).allocate(8) == nil ? region(0).core.lastRefusal : .done)
                    // The parent may be allocated from, and another child of it closed.
                    note(7, region(1).allocate(8) == nil ? region(1).core.lastRefusal : .done)
                    note(8, region(2).core.close())
                    let words = (UInt64(region(1).address), UInt64(Words.load(context + 80)), UInt64(Words.load(context + 88)))
                    note(9, region(1).core.release(to: RegionMark(words: words)))
                }, context: words.address)
            #expect(status == .done)
            #expect(child.core.close() == .done)
            let expected: [RegionStatus] = [.busy, .busy, .busy, .busy, .done, .done, .busy]
            #expect((3...9).map { RegionStatus(rawValue: UInt32(words[$0])) } == expected)
            #expect(!other.core.isOpen && root.core.isOpen)
            #expect(root.core.release(to: mark) == .done)
            #expect(root.core.close() == .done)
            #expect(heap.verify() == nil)
            heap.destroy()
        }

        @Test func emptyRegionsTakeNothing() throws {
            let heap = try TestHeap(16 << 20)
            let root = try #require(heap.open())
            let child = try #require(root.child())
            #expect(child.core.close() == .done)
            let before = heap.core.statistics()
            for _ in 0..<30_000 {
                let region = try #require(root.child())
                #expect(region.core.close() == .done)
                let alone = try #require(heap.open())
                #expect(alone.core.close() == .done)
            }
            #expect(heap.core.statistics() == before)
            #expect(root.core.close() == .done)
            heap.destroy()
        }

        @Test func chunksAreUsedAgainAndTrimGivesThemBack() throws {
            let heap = try TestHeap(16 << 20)
            for _ in 0..<1000 {
                let region = try #require(heap.open())
                for _ in 0..<100 { #expect(region.allocate(500) != nil) }
                #expect(region.core.close() == .done)
            }
            let used = heap.core.statistics()
            #expect(used.extentHighWaterBytes < 1 << 20)
            #expect(used.regionBytes > 0 && used.regionBytes <= 64 << 10)
            #expect(heap.verify() == nil)
            heap.core.trim()
            #expect(heap.core.statistics().regionBytes == 0 && heap.core.statistics().liveBlockCount == 0)
            heap.destroy()
        }
    }
}
