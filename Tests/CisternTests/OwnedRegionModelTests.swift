import CTestSupport
import Cistern
import Testing

/// A pin that can stand in an array.
final class HeldPin {
    let pin: Pin
    init(_ pin: consuming Pin) { self.pin = pin }
}

/// A random schedule of names with memory: made, replaced, appended to, removed, read, seen by snapshots; a plain list says what each
/// has to find. Numbers are different everywhere, so that one region's cannot pass for another's.
private struct OwnedRegionModel {
    /// One content of a name, from tick `from` until another came or the name went.
    struct Content {
        let name: String
        let id: RegionID
        var numbers: [UInt64]
        let from: UInt64
        var until: UInt64?
    }

    let directory: Directory
    var random: UInt64
    let mostCount: Int
    var contents: [Content] = []
    var snapshots: [HeldPin] = []
    var refusals = 0
    var reads = 0
    /// The first thing that was not as it should be.
    var failure: String?

    init(_ directory: Directory, seed: UInt64, mostCount: Int) {
        self.directory = directory
        random = seed
        self.mostCount = mostCount
    }

    mutating func below(_ bound: Int) -> Int { Int(unsafe cistern_test_next_random(&random) % UInt64(bound)) }

    mutating func freshNumbers() -> [UInt64] {
        let first = unsafe cistern_test_next_random(&random)
        return (0..<UInt64(1 + below(mostCount))).map { first &+ $0 }
    }

    var open: UInt64 { directory.openTick.number }

    func living(_ name: String) -> Int? { contents.lastIndex { $0.name == name && $0.until == nil } }

    mutating func note(_ isRight: Bool, _ what: String) { if !isRight, failure == nil { failure = what } }

    /// Runs one step; an error but the one that a full heap gives is a fault.
    mutating func step() throws {
        do throws(DirectoryError) { try act() } catch {
            guard error == .outOfCapacity else { throw error }
            refusals += 1
            // The call that was refused has changed nothing: what it would have is looked at here, the rest by check().
            if let fault = directory.verify() { throw fault }
            note(directory.statistics.totalBytes == directory.heap.statistics.requestedBytes, "bytes after a refusal")
        }
    }

    private mutating func act() throws(DirectoryError) {
        let name = "region \(below(12))"
        switch (below(12), living(name)) {
        case (0..<5, nil):
            let numbers = freshNumbers()
            let id = try directory.create(name, elements: numbers)
            contents.append(Content(name: name, id: id, numbers: numbers, from: open))
        case (0..<4, .some(let index)):
            let numbers = freshNumbers()
            try directory.replace(contents[index].id, elements: numbers)
            contents.append(Content(name: name, id: contents[index].id, numbers: numbers, from: open))
            contents[index].until = open
        case (4, .some(let index)): try append(to: index)
        case (5...6, .some(let index)):
            try directory.remove(contents[index].id)
            contents[index].until = open
        case (7, _) where snapshots.count < 6: snapshots.append(HeldPin(try directory.pin(.snapshot)))
        case (8, _) where !snapshots.isEmpty: snapshots.remove(at: below(snapshots.count))
        case (9, .some(let index)):
            // Replaced and removed by the one who reads it.
            let (directory, content) = (directory, contents[index])
            let isRight = try directory.read(content.id, elements: UInt64.self) { numbers throws(DirectoryError) in
                try directory.remove(content.id)
                try directory.seal()
                return Array(numbers) == content.numbers
            }
            contents[index].until = open - 1
            note(isRight, "what is read while it goes")
        default: try directory.seal(budget: below(3) == 0 ? 1 : nil)
        }
    }

    private mutating func append(to index: Int) throws(DirectoryError) {
        let content = contents[index]
        let isSeen = snapshots.contains { $0.pin.tick.number > content.from }
        do throws(DirectoryError) {
            try directory.append(7, to: content.id)
            contents[index].numbers.append(7)
            note(!isSeen, "a snapshot's content is changed")
        } catch {
            guard error == .regionPinned else { throw error }
            note(isSeen, "refused without a snapshot")
        }
    }

    /// An image of this moment has the living names and no memory, and does not change what it is of.
    func checkImage() throws {
        let image = try directory.image()
        let heap = try Heap(capacityBytes: 64 << 20)
        let reopened = try Directory(in: heap, reopening: image.span)
        #expect(directory.verify() == nil && reopened.verify() == nil)
        #expect(try reopened.image() == image)
        let (now, before) = (reopened.statistics, directory.statistics)
        #expect(now.ownedRegionCount == 0 && now.liveCount == before.liveCount && now.stagedCount == before.stagedCount)
        for content in contents where content.until == nil { #expect(reopened[content.name] == content.id) }
        try reopened.seal(budget: .max)
        #expect(reopened.verify() == nil && reopened.statistics.tombstoneCount == 0)
    }

    /// What is alive and what each snapshot sees, and after an unlimited drain exactly the memory that somebody needs: which the
    /// list does not know where tombstones keep theirs for as long as any reader needs them.
    mutating func check(keepsLastValue: Bool = false) throws {
        try directory.seal(budget: .max)
        if let fault = directory.verify() { throw fault }
        note(directory.heap.verify() == nil, "heap")
        note(directory.statistics.totalBytes == directory.heap.statistics.requestedBytes, "bytes")
        let pins = snapshots.map { $0.pin.tick.number }
        contents.removeAll { content in
            guard let until = content.until else { return false }
            return !pins.contains { content.from < $0 && $0 <= until }
        }
        let regionCount = directory.statistics.ownedRegionCount
        note(keepsLastValue || regionCount == UInt64(contents.count), "regions that somebody needs")
        for content in contents where content.until == nil {
            note(try directory.numbers(content.id) == content.numbers && directory[content.name] == content.id, "content")
            reads += 1
        }
        for held in snapshots {
            let tick = held.pin.tick.number
            for content in contents {
                let sees = content.from < tick && tick <= content.until ?? .max
                let isOtherSeen = contents.contains { $0.id == content.id && $0.from < tick && tick <= $0.until ?? .max }
                if sees { note(try held.pin.numbers(content.id) == content.numbers, "content in a snapshot") }
                if !isOtherSeen {
                    let error = refusal { () throws(DirectoryError) in _ = try held.pin.numbers(content.id) }
                    note(error == .unknownRegion, "seen, and should not be")
                }
                reads += 1
            }
        }
    }
}

extension FaceSuites {
    /// CISTERN_TEST_SEED replays one; CISTERN_TEST_SCALE=small runs fewer.
    @Suite struct OwnedRegionModelTests {
        enum Kind: String, CaseIterable { case usual, tiny, horizon, keepsLastValue, checked }

        /// Even: as many rounds with the one end as with the other.
        private var roundCount: UInt64 { isOptimised ? 60 : UInt64(max(2, scaled(12))) }

        private func finish(_ heap: Heap) -> Bool {
            heap.trim()
            let left = heap.statistics
            // In checked mode freed blocks stay in quarantine.
            return left.requestedBytes == 0 && left.regionBytes == 0 && heap.verify() == nil
        }

        @Test(arguments: Kind.allCases) func randomSchedules(kind: Kind) throws {
            let seed = cistern_test_seed(0x5EED_0007)
            print("owned region model test \(kind.rawValue): seed \(seed) (CISTERN_TEST_SEED)")
            var refusals = 0
            for round in 0..<roundCount {
                var heapOptions = HeapOptions(capacityBytes: kind == .tiny ? 1 << 20 : 64 << 20)
                heapOptions.isChecked = kind == .checked
                let heap = try Heap(heapOptions)
                do {
                    var options = DirectoryOptions()
                    options.mode = kind == .horizon ? .horizon : .interval
                    options.keepsLastValue = kind == .keepsLastValue
                    let directory = try Directory(in: heap, options)
                    var model = OwnedRegionModel(directory, seed: seed &+ round, mostCount: kind == .tiny ? 8000 : 3000)
                    for _ in 0..<20 {
                        for _ in 0..<20 { try model.step() }
                        try model.check(keepsLastValue: kind == .keepsLastValue)
                    }
                    for _ in 0..<5 { try model.step() }
                    try model.checkImage()
                    #expect(model.failure == nil, "seed \(seed &+ round)")
                    refusals += model.refusals
                    #expect(model.reads > 0, "seed \(seed &+ round)")
                    #expect(directory.verify() == nil)
                    // Some rounds let the directory take everything with it; in others every name goes first.
                    if round % 2 == 0 {
                        model.snapshots = []
                        for content in model.contents where content.until == nil { try directory.remove(content.id) }
                        try directory.seal(budget: .max)
                        #expect(directory.statistics.ownedRegionCount == 0, "seed \(seed &+ round)")
                        heap.trim()
                        #expect(heap.statistics.regionBytes == 0)
                    }
                }
                #expect(finish(heap), "seed \(seed &+ round)")
            }
            if kind == .tiny { #expect(refusals > 0) }
        }

        /// What goes wrong behind the oracle's back is noticed.
        @Test func aFaultIsNoticed() throws {
            let directory = try Directory(in: Heap(capacityBytes: 16 << 20))
            var model = OwnedRegionModel(directory, seed: 5, mostCount: 100)
            for _ in 0..<100 { try model.step() }
            model.snapshots = []
            try model.check()
            #expect(model.failure == nil)
            let index = try #require(model.contents.firstIndex { $0.until == nil })
            try directory.append(1, to: model.contents[index].id)
            try model.check()
            #expect(model.failure == "content")
        }

        /// Every OS call of a schedule is refused in turn, once and for ever.
        @Test func everyCallRefused() throws {
            for forEver in [false, true] {
                var number: UInt64 = 0
                var mostRefusals = 0
                while number < 20 {
                    let table = FaultTable()
                    defer { table.isNeeded() }
                    var options = HeapOptions(capacityBytes: 64 << 20)
                    table.install(in: &options)
                    let heap = try Heap(options)
                    table.refuse(number, forEver: forEver)
                    do {
                        let directory = try Directory(in: heap)
                        var model = OwnedRegionModel(directory, seed: 11, mostCount: 30_000)
                        for _ in 0..<4 {
                            for _ in 0..<10 { try model.step() }
                            try model.check()
                        }
                        #expect(model.failure == nil, "call \(number) refused, for ever: \(forEver)")
                        mostRefusals = max(mostRefusals, model.refusals)
                    }
                    table.refuseNothing()
                    #expect(finish(heap), "call \(number) refused, for ever: \(forEver)")
                    number += 1
                }
                #expect(!forEver || mostRefusals > 0)
            }
        }
    }
}
