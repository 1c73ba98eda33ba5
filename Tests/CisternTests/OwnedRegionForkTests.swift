import Cistern
import TestSupport
import Testing

extension FaceSuites {
    /// Named regions in the child of a fork, which goes on with a copy of the heap.
    @Suite(.enabled(if: Sanitizer.isAbsent, "forks"))
    struct OwnedRegionForkTests {
        /// What a child does with regions that it has from its parent, to the last byte; which step was wrong, or 0.
        private func useUp(_ directory: Directory, _ id: RegionID, _ snapshot: consuming Pin?) throws -> Int32 {
            guard try directory.numbers(id) == [4], try snapshot?.numbers(id) == [1, 2, 3] else { return 1 }
            try directory.append(5, to: id)
            _ = try directory.create("made in the child", elements: [6] as [UInt64])
            try directory.seal()
            guard try directory.numbers(id) == [4, 5], try snapshot?.numbers(id) == [1, 2, 3] else { return 2 }
            guard directory.verify() == nil, directory.statistics.ownedRegionCount == 3 else { return 3 }
            snapshot = nil
            try directory.remove(id)
            if let made = directory["made in the child"] { try directory.remove(made) }
            try directory.seal()
            guard directory.statistics.ownedRegionCount == 0, directory.statistics.keptContentCount == 0 else { return 4 }
            return directory.heap.statistics.regionBytes == 0 && directory.verify() == nil && directory.heap.verify() == nil ? 0 : 5
        }

        @Test func theChildChangesItsCopyOnly() throws {
            let directory = try Directory(in: try Heap(capacityBytes: 4 << 20))
            let id = try directory.create("numbers", elements: [1, 2, 3] as [UInt64])
            try directory.seal()
            var snapshot: Pin? = try directory.pin(.snapshot)
            try directory.replace(id, elements: [4] as [UInt64])
            let status = inChild {
                let own = snapshot
                snapshot = nil
                return (try? useUp(directory, id, own)) ?? 100
            }
            #expect(status == 0)
            #expect(try directory.numbers(id) == [4] && snapshot?.numbers(id) == [1, 2, 3])
            #expect(directory["made in the child"] == nil && directory.verify() == nil && directory.heap.verify() == nil)
            snapshot = nil
            #expect(try useUpRest(directory, id))
        }

        /// The parent's regions were not touched: they go as in a process that did not fork.
        private func useUpRest(_ directory: Directory, _ id: RegionID) throws -> Bool {
            try directory.remove(id)
            try directory.seal()
            return directory.statistics.ownedRegionCount == 0 && directory.heap.statistics.regionBytes == 0
        }
    }
}
