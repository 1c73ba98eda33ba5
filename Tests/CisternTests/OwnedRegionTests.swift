import Cistern
import Synchronization
import Testing

// Safety: what a root points to is in the region that it is the root of, and is used while that is entered.

typealias Numbers = UnsafeMutableBufferPointer<UInt64>

extension Directory {
    func numbers(_ id: RegionID) throws(DirectoryError) -> [UInt64] { try read(id, elements: UInt64.self) { Array($0) } }

    /// One more number, in place.
    func append(_ number: UInt64, to id: RegionID) throws(DirectoryError) {
        try unsafe modify(id, as: Numbers.self) { region, root throws(DirectoryError) in
            guard let more = unsafe region.makeArray(Array(root) + [number]) else { throw .outOfCapacity }
            unsafe root = unsafe more
        }
    }
}

extension Pin {
    func numbers(_ id: RegionID) throws(DirectoryError) -> [UInt64] { try read(id, elements: UInt64.self) { Array($0) } }
}

extension Array {
    init(_ span: borrowing Span<Element>) { self = unsafe span.withUnsafeBufferPointer { unsafe Array($0) } }
}

/// The error of a call, `nil` when there was none.
func refusal(_ call: () throws(DirectoryError) -> Void) -> DirectoryError? {
    do throws(DirectoryError) {
        try call()
        return nil
    } catch { return error }
}

private func expect(_ error: DirectoryError, _ call: () throws(DirectoryError) -> Void) {
    let found = refusal(call)
    #expect(found == error)
}

extension FaceSuites {
    /// Named regions with memory: made, read, modified, replaced, removed, seen by snapshots; every byte comes back.
    @Suite struct OwnedRegionTests {
        /// Runs `body` with a directory, and finds the heap as it was before.
        private func withDirectory(
            _ capacityBytes: UInt64 = 4 << 20, _ options: DirectoryOptions = DirectoryOptions(), _ body: (Directory) throws -> Void
        ) throws {
            let heap = try Heap(capacityBytes: capacityBytes)
            do { try body(try Directory(in: heap, options)) }
            heap.trim()
            let left = heap.statistics
            #expect(left.liveBlockCount == 0 && left.requestedBytes == 0 && left.regionBytes == 0 && heap.verify() == nil)
        }

        @Test func aRegionLivesWithItsName() throws {
            try withDirectory { directory in
                let id = try directory.create("numbers", elements: [1, 2, 3] as [UInt64])
                #expect(directory["numbers"] == id && directory.statistics.ownedRegionCount == 1)
                let sum = try unsafe directory.read("numbers", as: Numbers.self) { unsafe $0.reduce(0, +) }
                #expect(try sum == 6 && directory.numbers(id) == [1, 2, 3])
                try directory.append(4, to: id)
                #expect(try directory.numbers(id) == [1, 2, 3, 4])
                try directory.remove(id)
                expect(.removedRegion(at: Tick(1))) { () throws(DirectoryError) in _ = try directory.numbers(id) }
                // A snapshot of this tick could still come.
                #expect(directory.heap.statistics.regionBytes > 0)
                try directory.seal()
                #expect(directory.statistics.ownedRegionCount == 0 && directory.verify() == nil)
                expect(.unknownRegion) { () throws(DirectoryError) in _ = try directory.numbers(id) }
            }
        }

        /// What is removed goes with its parent; the marker stays for a subscriber, the memory does not.
        @Test func aSubscriberHoldsNoMemory() throws {
            try withDirectory { directory in
                let parent = try directory.create("parent")
                let child = try directory.create("child", under: parent, elements: [1] as [UInt64])
                try directory.seal()
                let subscription = try directory.subscribe()
                try directory.remove(parent)
                try directory.seal()
                #expect(directory.statistics.tombstoneCount == 2 && directory.statistics.ownedRegionCount == 0)
                #expect(directory.name(of: child) == "child")
                guard case .changes(let batch) = try subscription.poll() else { throw Unexpected() }
                #expect(batch.count == 1 && batch.descendantCount == 1)
            }
        }

        @Test func aSnapshotReadsWhatWasThere() throws {
            try withDirectory { directory in
                let kept = try directory.create("kept", elements: [1] as [UInt64])
                let gone = try directory.create("gone", elements: [2] as [UInt64])
                try directory.seal()
                let first = try directory.pin(.snapshot)
                try directory.replace(kept, elements: [10] as [UInt64])
                try directory.remove(gone)
                let late = try directory.create("late", elements: [3] as [UInt64])
                // What came in this tick and is replaced in it nobody can see.
                try directory.replace(late, elements: [30] as [UInt64])
                #expect(directory.statistics.ownedRegionCount == 4)
                try directory.seal()
                let second = try directory.pin(.snapshot)
                try directory.replace(kept, elements: [100] as [UInt64])
                try directory.seal()
                #expect(try directory.numbers(kept) == [100] && directory.statistics.ownedRegionCount == 5)
                #expect(try first.numbers(kept) == [1] && first.numbers(gone) == [2] && second.numbers(kept) == [10])
                expect(.unknownRegion) { () throws(DirectoryError) in _ = try first.numbers(late) }
                expect(.unknownRegion) { () throws(DirectoryError) in _ = try second.numbers(gone) }
                expect(.regionPinned) { () throws(DirectoryError) in try directory.append(1, to: late) }
                #expect(directory.verify() == nil)
                _ = consume first
                try directory.seal()
                #expect(directory.statistics.ownedRegionCount == 3 && directory.verify() == nil)
                _ = consume second
                // A snapshot that went makes way at once, its contents at the boundary.
                try directory.append(1, to: late)
                #expect(try directory.numbers(late) == [30, 1])
                try directory.seal()
                #expect(directory.statistics.ownedRegionCount == 2 && directory.statistics.keptContentCount == 0)
            }
        }

        /// Who reads is not disturbed by what becomes of the name meanwhile, also in cleanup actions.
        @Test func aReaderKeepsWhatItReads() throws {
            try withDirectory { directory in
                let id = try directory.create("numbers", elements: [1, 2] as [UInt64])
                try directory.seal()
                var closed = 0
                try unsafe directory.modify(id, as: Numbers.self) { region, _ throws(DirectoryError) in
                    do {
                        try region.addCleanup {
                            closed += 1
                            // The directory may be used here.
                            _ = directory.statistics
                        }
                    } catch { throw .outOfCapacity }
                }
                try unsafe directory.read(id, as: Numbers.self) { numbers throws(DirectoryError) in
                    expect(.regionInUse) { () throws(DirectoryError) in try directory.append(3, to: id) }
                    try directory.replace(id, elements: [5] as [UInt64])
                    try directory.seal()
                    try directory.remove(id)
                    try directory.seal()
                    #expect(unsafe Array(numbers) == [1, 2] && closed == 0 && directory.statistics.ownedRegionCount == 1)
                    #expect(directory.verify() == nil)
                }
                #expect(closed == 1 && directory.statistics.ownedRegionCount == 0)
                let other = try directory.create("other", elements: [7] as [UInt64])
                try unsafe directory.modify(other, as: Numbers.self) { _, _ throws(DirectoryError) in
                    expect(.regionInUse) { () throws(DirectoryError) in _ = try directory.numbers(other) }
                }
                #expect(try directory.numbers(other) == [7])
            }
        }

        /// A cleanup action that itself ends in the closing of what is not needed leaves that to whoever is closing.
        @Test func cleanupActionsDoNotNest() throws {
            try withDirectory(64 << 20) { directory in
                let other = try directory.create("other", elements: [7] as [UInt64])
                let parent = try directory.create("parent")
                let count = 2000
                var (depth, mostDepth, closed) = (0, 0, 0)
                for number in 0..<count {
                    _ = try directory.create("name \(number)", under: parent) { region throws(DirectoryError) -> Int? in
                        try? region.addCleanup {
                            depth += 1
                            mostDepth = max(mostDepth, depth)
                            closed += (try? directory.numbers(other)) == [7] ? 1 : 0
                            if number % 100 == 0 { _ = try? directory.replace(other, elements: [7] as [UInt64]) }
                            if number % 500 == 0 { _ = try? directory.seal() }
                            directory.maintain(budget: 1)
                            depth -= 1
                        }
                        return 1
                    }
                }
                try directory.remove(parent)
                try directory.seal()
                #expect(closed == count && mostDepth == 1)
                try directory.seal()
                #expect(directory.statistics.ownedRegionCount == 1 && directory.verify() == nil)
            }
        }

        /// What is changed across boundaries is told of in the tick in which that ends, too, and a snapshot that begins meanwhile
        /// never sees a part of it.
        @Test(arguments: [false, true]) func aChangeMaySpanBoundaries(isReplaced: Bool) throws {
            try withDirectory { directory in
                let id = try directory.create("numbers", elements: [1] as [UInt64])
                try directory.seal()
                let subscription = try directory.subscribe()
                var snapshots: [HeldPin] = []
                try unsafe directory.modify(id, as: Numbers.self) { _, root throws(DirectoryError) in
                    snapshots.append(HeldPin(try directory.pin(.snapshot)))
                    try directory.seal()
                    if case .changes(let batch) = try subscription.poll() { subscription.acknowledge(batch) }
                    snapshots.append(HeldPin(try directory.pin(.snapshot)))
                    expect(.regionInUse) { () throws(DirectoryError) in _ = try snapshots[1].pin.numbers(id) }
                    try directory.seal()
                    if isReplaced {
                        try directory.replace(id, elements: [5] as [UInt64])
                        try directory.seal()
                    }
                    unsafe root[0] = 2
                }
                for held in snapshots { expect(.regionInUse) { () throws(DirectoryError) in _ = try held.pin.numbers(id) } }
                #expect(try directory.numbers(id) == [isReplaced ? 5 : 2] && directory.verify() == nil)
                try directory.seal()
                guard case .changes(let batch) = try subscription.poll() else { throw Unexpected() }
                var changes: [RegionChange] = []
                try subscription.forEachChange(in: batch) { changes.append($0) }
                #expect(changes.count == 1 && changes.first?.id == id && changes.first?.kind == .changed)
                let after = try directory.pin(.snapshot)
                try directory.replace(id, elements: [6] as [UInt64])
                try directory.seal()
                #expect(try after.numbers(id) == [isReplaced ? 5 : 2] && directory.numbers(id) == [6])
                for held in snapshots { expect(.regionInUse) { () throws(DirectoryError) in _ = try held.pin.numbers(id) } }
                #expect(directory.verify() == nil && directory.statistics.ownedRegionCount == (isReplaced ? 3 : 2))
                snapshots = []
                _ = consume after
                try directory.seal()
                #expect(directory.statistics.ownedRegionCount == 1 && directory.verify() == nil)
            }
        }

        /// Threads read, also where snapshots stand, while others replace, change, remove and seal: who reads finds one whole content.
        @Test func threadsReadBesideReplacementsAndSeals() throws {
            try withDirectory(64 << 20) { directory in
                let ids = try (0..<4).map { try directory.create("name \($0)", elements: [UInt64](repeating: 0, count: 50)) }
                try directory.seal()
                let (torn, reads, isOver) = (SharedWord(), SharedWord(), SharedWord())
                let failures = Mutex<[DirectoryError]>([])
                inThreads(4) { number in
                    var round = 0
                    repeat {
                        round += 1
                        let id = ids[round % 4]
                        let error = refusal { () throws(DirectoryError) in
                            switch number {
                            case 0: try Self.replaceAndSeal(directory, id, round)
                            case 1: try Self.change(directory, id)
                            default: torn.add(try Self.readsWhole(directory, id) ? 0 : 1)
                            }
                            if number > 1 { reads.add(1) }
                        }
                        // Who meets one who changes it, or snapshots that nobody has collected yet, is told so.
                        let isUsual = error == nil || error == .regionInUse || error == .regionPinned || error == .tooManySnapshots
                        if let error, !isUsual || number == 0 { failures.withLock { $0.append(error) } }
                        if number == 0, round == scaled(4000) { isOver.value = 1 }
                    } while isOver.value == 0
                }
                let said = failures.withLock { $0 }
                #expect(torn.value == 0 && reads.value > 0 && said.isEmpty, "\(said)")
                try directory.seal(budget: .max)
                #expect(directory.verify() == nil && directory.statistics.ownedRegionCount == 4)
            }
        }

        private static func replaceAndSeal(_ directory: Directory, _ id: RegionID, _ round: Int) throws(DirectoryError) {
            try directory.replace(id, elements: [UInt64](repeating: UInt64(round), count: 1 + round % 50))
            let extra = try directory.create("extra", elements: [round])
            if round % 3 == 0 { try directory.seal() }
            try directory.remove(extra)
            if round % 2 == 0 { try directory.seal(budget: UInt64(round % 5)) }
        }

        private static func change(_ directory: Directory, _ id: RegionID) throws(DirectoryError) {
            directory.maintain(budget: 3)
            try unsafe directory.modify(id, as: Numbers.self) { _, root in
                for index in root.indices { unsafe root[index] += 1 << 32 }
            }
        }

        /// Are the numbers of one content, now and in a snapshot, where they stay the same?
        private static func readsWhole(_ directory: Directory, _ id: RegionID) throws(DirectoryError) -> Bool {
            let now = try directory.numbers(id)
            let snapshot = try directory.pin(.snapshot)
            let before = try snapshot.numbers(id)
            let again = try snapshot.numbers(id)
            return Set(now).count == 1 && Set(before).count == 1 && again == before
        }

        /// A region that is emptied in place has its root anew.
        @Test func aRegionMayBeReset() throws {
            try withDirectory { directory in
                let id = try directory.create("numbers", elements: [1, 2] as [UInt64])
                try unsafe directory.modify(id, as: Numbers.self) { region, root throws(DirectoryError) in
                    do { try region.reset() } catch { throw .outOfCapacity }
                    guard let fresh = unsafe region.makeArray([9] as [UInt64]) else { throw .outOfCapacity }
                    unsafe root = unsafe fresh
                }
                #expect(try directory.numbers(id) == [9])
                // One that fails after that has none any more, and says so.
                let error = refusal { () throws(DirectoryError) in
                    try unsafe directory.modify(id, as: Numbers.self) { region, _ throws(DirectoryError) in
                        try? region.reset()
                        throw .tickExhausted
                    }
                }
                #expect(error == .tickExhausted)
                expect(.otherRoot) { () throws(DirectoryError) in _ = try directory.numbers(id) }
                try directory.replace(id, elements: [4] as [UInt64])
                #expect(try directory.numbers(id) == [4])
            }
        }

        @Test func whatIsRefused() throws {
            try withDirectory { directory in
                let plain = try directory.create("plain", payload: 7)
                let id = try directory.create("numbers", elements: [1] as [UInt64])
                expect(.noRegion) { () throws(DirectoryError) in _ = try directory.numbers(plain) }
                expect(.noRegion) { () throws(DirectoryError) in try directory.replace(plain, elements: [1]) }
                expect(.nameTaken(id)) { () throws(DirectoryError) in _ = try directory.create("numbers", elements: [2]) }
                let nobody = RegionID(slot: 99, generation: 9)
                expect(.unknownRegion) { () throws(DirectoryError) in _ = try directory.create("below", under: nobody, elements: [2]) }
                expect(.outOfCapacity) { () throws(DirectoryError) in _ = try directory.create("none") { _ in nil as Int? } }
                expect(.noRegion) { () throws(DirectoryError) in
                    _ = try directory.create("thrown") { _ throws(DirectoryError) -> Int? in throw .noRegion }
                }
                expect(.otherRoot) { () throws(DirectoryError) in try directory.read(id, as: Int.self) { _ in } }
                expect(.unknownRegion) { () throws(DirectoryError) in try directory.read("none", as: Int.self) { _ in } }
                expect(.outOfCapacity) { () throws(DirectoryError) in
                    _ = try directory.create("limited", limitBytes: 100) { region in
                        unsafe region.makeArray(repeating: 0, count: 100) == nil ? nil : 1
                    }
                }
                #expect(directory.statistics.liveCount == 2 && directory.statistics.ownedRegionCount == 1 && directory.verify() == nil)
                try directory.seal()
                let exporter = try directory.pin(.exporter)
                expect(.notPinned) { () throws(DirectoryError) in _ = try exporter.numbers(id) }
                // A word of the caller's that is no root is found.
                try directory.setPayload(12345, of: id)
                expect(.otherRoot) { () throws(DirectoryError) in _ = try directory.numbers(id) }
            }
        }

        /// With the last value kept, a removed region is read until its tombstone goes.
        @Test func theLastValueIsKept() throws {
            var options = DirectoryOptions()
            options.keepsLastValue = true
            try withDirectory(4 << 20, options) { directory in
                let id = try directory.create("numbers", elements: [1] as [UInt64])
                try directory.seal()
                let subscription = try directory.subscribe()
                let snapshot = try directory.pin(.snapshot)
                try directory.replace(id, elements: [2] as [UInt64])
                try directory.seal()
                try directory.remove(id)
                #expect(try directory.numbers(id) == [2])
                try directory.seal()
                #expect(try directory.numbers(id) == [2] && snapshot.numbers(id) == [1] && directory.verify() == nil)
                expect(.removedRegion(at: Tick(3))) { () throws(DirectoryError) in try directory.append(1, to: id) }
                _ = consume snapshot
                try directory.seal()
                #expect(try directory.numbers(id) == [2] && directory.statistics.ownedRegionCount == 1)
                guard case .changes(let batch) = try subscription.poll() else { throw Unexpected() }
                subscription.acknowledge(batch)
                try directory.seal()
                #expect(directory.statistics.ownedRegionCount == 0 && directory.status(of: id) == .unknown)
            }
        }

        /// An image has the names, in the middle of a tick and whatever became of their memory, and none of that; what is counted
        /// and numbered is right without it.
        @Test(arguments: [false, true]) func anImageHasTheNamesOnly(keepsLastValue: Bool) throws {
            var options = DirectoryOptions()
            options.keepsLastValue = keepsLastValue
            var image: [UInt8] = []
            var (living, gone) = (RegionID.none, RegionID.none)
            try withDirectory(4 << 20, options) { directory in
                let parent = try directory.create("parent", payload: 7)
                living = try directory.create("living", under: parent, elements: [1] as [UInt64])
                let second = try directory.create("second owner", elements: [2] as [UInt64])
                let shared = try directory.create("shared", under: living, elements: [3] as [UInt64])
                try directory.addOwner(second, of: shared)
                gone = try directory.create("gone", elements: [4] as [UInt64])
                let staged = try directory.create("staged", elements: [5] as [UInt64])
                try directory.seal()
                let subscription = try directory.subscribe(isDurable: true)
                let snapshot = try directory.pin(.snapshot)
                // A content that only the snapshot sees, one of the open tick, a tombstone with its content, a removal of the open tick.
                try directory.replace(living, elements: [6] as [UInt64])
                try directory.remove(gone)
                try directory.seal()
                try directory.replace(living, elements: [7] as [UInt64])
                try directory.remove(staged)
                var told: [String] = []
                directory.replacePayloads { _, name, payload in
                    told.append(name)
                    return payload
                }
                #expect(Set(told).isSuperset(of: ["parent", "living", "second owner", "shared", "staged", "gone"]))
                image = try directory.image()
                // Nothing has changed for the directory that is saved.
                #expect(directory.verify() == nil && directory.statistics.ownedRegionCount == 7)
                #expect(try directory.numbers(living) == [7] && snapshot.numbers(living) == [1] && snapshot.numbers(gone) == [4])
                _ = consume subscription
            }
            let heap = try Heap(capacityBytes: 4 << 20)
            let released = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
            unsafe released.initialize(to: 0)
            defer { unsafe released.deallocate() }
            do {
                let directory = try Directory(
                    in: heap, reopening: image.span,
                    release: { context, payload in unsafe UnsafeMutablePointer<UInt64>(bitPattern: context)!.pointee += payload },
                    releaseContext: UInt(bitPattern: released))
                #expect(try directory.image() == image && directory.verify() == nil)
                let now = directory.statistics
                #expect(now.ownedRegionCount == 0 && now.liveCount == 4 && now.stagedCount == 1 && now.keptContentCount == 0)
                #expect(directory["living"] == living && directory.payload(of: living) == nil && directory.name(of: gone) == "gone")
                #expect(directory["shared"].map { directory.owners(of: $0).count } == 2)
                expect(.noRegion) { () throws(DirectoryError) in _ = try directory.numbers(living) }
                expect(.noRegion) { () throws(DirectoryError) in try directory.replace(living, elements: [1]) }
                // It goes on as any other, and its names can have memory again.
                try directory.remove(living)
                let again = try directory.create("living", elements: [8] as [UInt64])
                try directory.seal()
                #expect(try directory.numbers(again) == [8] && directory.statistics.ownedRegionCount == 1 && directory.verify() == nil)
                #expect(directory["shared"] != nil)
            }
            // Of all payloads only the one that was not about memory.
            #expect(unsafe released.pointee == 7)
            heap.trim()
            #expect(heap.statistics.requestedBytes == 0 && heap.statistics.regionBytes == 0 && heap.verify() == nil)
        }

        private struct Unexpected: Error {}
    }
}
