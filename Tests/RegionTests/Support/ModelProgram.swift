import CTestSupport
import HeapCore
import Regions

/// An object as the oracle knows it.
struct ModelObject {
    var start: UInt
    var size: Int
    var seed: UInt64
    var time: Int
    var isIntact: Bool { cistern_test_holds(start, size, seed) }
}

/// A region as the oracle knows it.
final class ModelRegion {
    let region: TestRegion
    weak var parent: ModelRegion?
    let birth: Int
    var children: [ModelRegion] = []
    var objects: [ModelObject] = []
    var marks: [(mark: RegionMark, time: Int)] = []
    var cleanups: [(number: Int, time: Int)] = []
    var limit: UInt64 = 0

    init(_ region: TestRegion, parent: ModelRegion?, birth: Int, limit: UInt64) {
        self.region = region
        self.parent = parent
        self.birth = birth
        self.limit = limit
    }
}

/// What cleanup actions write to: cell k is their context, and leads to a log of the contexts in the order in which they ran.
final class CleanupLog {
    private let log: Words
    private let cells: Words
    private(set) var registered = 0

    init(count: Int) {
        log = Words(count + 1)
        cells = Words(count)
        for index in 0..<count { cells[index] = log.address }
    }

    static let action: RegionCleanup = { context in
        let log = Words.load(context)
        let count = Words.load(log)
        Words.store(log + 8 + count * 8, context)
        Words.store(log, count + 1)
    }

    var hasRoom: Bool { registered < cells.count }

    func nextContext() -> (number: Int, context: UInt) { (registered, cells.address + UInt(registered) * 8) }
    func noteRegistered() { registered += 1 }

    /// The numbers of the actions that have run, in order.
    var ran: [Int] { (0..<Int(log[0])).map { Int(log[$0 + 1] - cells.address) / 8 } }
}

/// A random program over a tree of regions, compared with plain lists after every step.
struct ModelProgram {
    let heap: TestHeap
    let mostBytes: Int
    var random: Random
    var roots: [ModelRegion] = []
    var all: [ModelRegion] = []
    var time = 0
    let log: CleanupLog
    var expectedRuns: [Int] = []
    var refusals = 0
    var staleMarks = 0
    var promotions = 0
    var exchanges = 0
    var releases = 0
    var blocks: [(block: UInt, size: Int)] = []

    init(_ heap: TestHeap, seed: UInt64, steps: Int, mostBytes: Int) {
        self.heap = heap
        self.mostBytes = mostBytes
        random = Random(seed: seed)
        log = CleanupLog(count: steps)
    }

    /// Returns what was wrong first, or nil.
    mutating func run(steps: Int, checkEvery: Int, isLast: Bool = true) -> String? {
        for step in 0..<steps {
            time += 1
            if let fault = self.step() { return "step \(step): \(fault)" }
            if log.ran.count != expectedRuns.count { return "step \(step): \(log.ran.count) cleanup actions, not \(expectedRuns.count)" }
            if step % checkEvery == 0, let fault = check() { return "step \(step): \(fault)" }
        }
        guard isLast else { return check() }
        while let root = roots.last { if let fault = close(root) { return "at the end: \(fault)" } }
        while let one = blocks.popLast() { heap.free(one.block, one.size) }
        if log.ran != expectedRuns { return "cleanup actions ran in another order" }
        return check()
    }

    private mutating func step() -> String? {
        guard let region = all.isEmpty ? nil : all[random.below(all.count)] else { return openRoot() }
        switch random.below(100) {
        case 0..<2: return all.count < 24 ? openRoot() : close(region)
        case 2..<8: return all.count < 24 ? openChild(of: region) : close(region)
        case 8..<68: return allocate(in: region)
        case 68..<74: return mark(region)
        case 74..<79: return release(region)
        case 79..<86: return addCleanup(to: region)
        case 86..<91: return promote(from: region)
        case 91..<93: return exchange(region, all[random.below(all.count)])
        case 93: return reset(region)
        case 94: return setLimit(of: region)
        case 95: return closeTwice(region)
        case 96: heap.core.trim()
        case 97..<99: useBlocks()
        default: return close(region)
        }
        return nil
    }

    // MARK: Opening and closing

    private mutating func openRoot() -> String? {
        guard let region = heap.open() else { return refused(.exhausted) }
        let model = ModelRegion(region, parent: nil, birth: time, limit: 0)
        roots.append(model)
        all.append(model)
        return nil
    }

    private mutating func openChild(of parent: ModelRegion) -> String? {
        let limit = random.below(4) == 0 ? UInt64(random.below(100_000)) : 0
        guard let region = parent.region.child(limit: limit) else { return refused(parent.region.core.lastRefusal) }
        if region.core.parent != parent.region.core { return "a child has another parent" }
        let model = ModelRegion(region, parent: parent, birth: time, limit: limit)
        parent.children.append(model)
        all.append(model)
        return nil
    }

    private mutating func close(_ region: ModelRegion) -> String? {
        if let fault = contents(of: region) { return fault }
        let status = region.region.core.close()
        forget(region)
        return status == .done ? nil : "closing answered \(status)"
    }

    private mutating func closeTwice(_ region: ModelRegion) -> String? {
        guard region.children.isEmpty else { return nil }
        let handle = region.region
        // A child with nothing in it, which keeps the record of one of its own.
        if let child = handle.child(), let grandchild = child.child() {
            grandchild.core.close()
            child.core.close()
            if child.child() != nil { return "a closed region opens a child" }
        }
        if let fault = close(region) { return fault }
        if handle.child() != nil { return "a closed region opens a child" }
        if handle.core.isOpen { return "a closed region says that it is open" }
        if handle.core.close() != .closed { return "a second closing was not refused" }
        if handle.allocate(8) != nil { return "a closed region allocates" }
        return handle.core.lastRefusal == .closed ? nil : "a closed region does not say so"
    }

    /// Children first, youngest first; then the own actions, youngest first.
    private mutating func forget(_ region: ModelRegion) {
        while let child = region.children.last { forget(child) }
        for cleanup in region.cleanups.reversed() { expectedRuns.append(cleanup.number) }
        region.parent?.children.removeAll { $0 === region }
        roots.removeAll { $0 === region }
        all.removeAll { $0 === region }
    }

    // MARK: Allocating

    private mutating func allocate(in region: ModelRegion) -> String? {
        let size = randomSize()
        let alignment = random.below(4) == 0 ? 1 << random.below(random.below(20) == 0 ? 15 : 8) : 8
        let isZeroed = random.below(5) == 0
        let used = region.region.core.usedBytes
        let start =
            isZeroed
            ? region.region.allocateZeroed(size, alignment: alignment)
            : random.below(2) == 0 && alignment == 8
                ? region.region.allocate(size) : region.region.allocate(size, alignment: alignment)
        guard let start else {
            if region.region.core.usedBytes != used { return "a refused allocation counts" }
            let status = region.region.core.lastRefusal
            if status == .limitReached {
                let most = UInt64(size) + 7 + UInt64(alignment)
                return region.limit > 0 && used + most > region.limit ? refused(status) : "the limit refused without a reason"
            }
            return status == .exhausted ? refused(status) : "allocation answered \(status)"
        }
        if start % UInt(max(alignment, 8)) != 0 { return "misaligned" }
        if isZeroed, !cistern_test_is_zero(start, size) { return "not zero" }
        if region.limit > 0, region.region.core.usedBytes > max(region.limit, used) { return "above the limit" }
        add(ModelObject(start: start, size: size, seed: random.next(), time: time), to: region)
        return owner(of: region.objects.last, is: region)
    }

    private func owner(of object: ModelObject?, is region: ModelRegion) -> String? {
        guard let object, object.size > 0 else { return nil }
        let last = object.start + UInt(object.size) - 1
        let isOwned = heap.owner(of: object.start) == region.region && heap.owner(of: last) == region.region
        if !isOwned || !region.region.contains(last) { return "an object is not said to be its region's" }
        return heap.block(holding: object.start) || heap.usableSize(object.start) != 0 ? "an object is said to be a block" : nil
    }

    private func add(_ object: ModelObject, to region: ModelRegion) {
        cistern_test_fill(object.start, object.size, object.seed)
        region.objects.append(object)
    }

    private mutating func randomSize() -> Int {
        switch random.below(100) {
        case 0..<3: 0
        case 3..<60: 1 + random.below(100)
        case 60..<85: 1 + random.below(1500)
        case 85..<95: 1 + random.below(20_000)
        default: 1 + random.below(mostBytes)
        }
    }

    private mutating func useBlocks() {
        if blocks.count > 20, let one = blocks.popLast() { heap.free(one.block, one.size) }
        let size = 1 + random.below(20_000)
        if let block = heap.allocate(size) { blocks.append((block, size)) }
    }

    private mutating func refused(_ status: RegionStatus) -> String? {
        refusals += 1
        return status == .exhausted || status == .limitReached ? nil : "refused with \(status)"
    }

    // MARK: Marks, cleanup actions, limit

    private mutating func mark(_ region: ModelRegion) -> String? {
        let (status, mark) = region.region.mark()
        guard status == .done else { return refused(status) }
        region.marks.append((mark, time))
        return nil
    }

    private mutating func release(_ region: ModelRegion) -> String? {
        guard !region.marks.isEmpty else { return nil }
        let (mark, taken) = region.marks[random.below(region.marks.count)]
        if let fault = contents(of: region) { return fault }
        releases += 1
        if region.region.core.release(to: mark) != .done { return "a live mark was refused" }
        while let child = region.children.last, child.birth > taken { forget(child) }
        runCleanups(of: region, after: taken)
        region.objects.removeAll { $0.time > taken }
        let gone = region.marks.filter { $0.time > taken }
        region.marks.removeAll { $0.time > taken }
        for one in gone {
            staleMarks += 1
            if region.region.core.release(to: one.mark) != .staleMark { return "a stale mark was taken" }
        }
        return nil
    }

    private mutating func runCleanups(of region: ModelRegion, after taken: Int) {
        while let last = region.cleanups.last, last.time > taken {
            expectedRuns.append(last.number)
            region.cleanups.removeLast()
        }
    }

    private mutating func reset(_ region: ModelRegion) -> String? {
        if region.region.core.reset() != .done { return "reset was refused" }
        while let child = region.children.last { forget(child) }
        runCleanups(of: region, after: -1)
        region.objects = []
        for one in region.marks where region.region.core.release(to: one.mark) != .staleMark { return "a mark outlived a reset" }
        region.marks = []
        return region.region.core.usedBytes == 0 ? nil : "a reset region has bytes in use"
    }

    private mutating func addCleanup(to region: ModelRegion) -> String? {
        guard log.hasRoom else { return nil }
        let (number, context) = log.nextContext()
        let status = region.region.core.addCleanup(CleanupLog.action, context: context)
        guard status == .done else { return refused(status) }
        log.noteRegistered()
        region.cleanups.append((number, time))
        return nil
    }

    private mutating func setLimit(of region: ModelRegion) -> String? {
        let used = region.region.core.usedBytes
        let limits: [UInt64] = [0, used, used + 1, used + 8, used + UInt64(random.below(50_000)), used / 2]
        region.limit = limits[random.below(limits.count)]
        return region.region.core.setLimit(bytes: region.limit) == .done ? nil : "a limit was refused"
    }

    // MARK: Promotion and exchange

    private mutating func promote(from region: ModelRegion) -> String? {
        guard let parent = region.parent, !region.objects.isEmpty else { return nil }
        let index = random.below(region.objects.count)
        let object = region.objects[index]
        guard object.size > 0 else { return nil }
        let isLarge = region.region.chunks.contains { $0.isLarge && $0.range.lowerBound == object.start }
        let used = parent.region.core.usedBytes
        let (status, moved) = unsafe region.region.promote(object.start, object.size)
        guard status == .done else {
            return parent.region.core.usedBytes == used ? refused(status) : "a refused promotion counts"
        }
        promotions += 1
        if isLarge != (moved == object.start) { return "a large object was copied, or a small one not" }
        if !cistern_test_holds(moved, object.size, object.seed) { return "a promoted object lost its content" }
        parent.objects.append(ModelObject(start: moved, size: object.size, seed: object.seed, time: time))
        if isLarge { region.objects.remove(at: index) }
        return owner(of: parent.objects.last, is: parent)
    }

    private mutating func exchange(_ one: ModelRegion, _ other: ModelRegion) -> String? {
        let status = one.region.core.exchangeContents(with: other.region.core)
        if one === other { return status == .notExchangeable ? nil : "a region was exchanged with itself" }
        if status == .limitReached {
            let isOver =
                (one.limit > 0 && other.region.core.usedBytes > one.limit) || (other.limit > 0 && one.region.core.usedBytes > other.limit)
            return isOver ? nil : "an exchange was refused"
        }
        guard status == .done else { return "exchange answered \(status)" }
        exchanges += 1
        swap(&one.objects, &other.objects)
        swap(&one.cleanups, &other.cleanups)
        for region in [one, other] {
            for old in region.marks where region.region.core.release(to: old.mark) != .staleMark { return "a mark outlived an exchange" }
            region.marks = []
            // What is there now is older than all that comes.
            for index in region.cleanups.indices { region.cleanups[index].time = min(region.cleanups[index].time, time) }
        }
        return owner(of: one.objects.last, is: one) ?? owner(of: other.objects.last, is: other)
    }

    // MARK: Checking

    private func contents(of region: ModelRegion) -> String? {
        for object in region.objects where !object.isIntact { return "an object lost its content" }
        return nil
    }

    private func check() -> String? {
        if let fault = heap.verify() { return "verify: \(fault)" }
        var ranges: [Range<UInt>] = []
        for region in all {
            if let fault = contents(of: region) { return fault }
            let chunks = region.region.chunks
            if region.region.chunksStepwise != chunks.map(\.range) { return "the two walks over the chunks differ" }
            for object in region.objects where object.size > 0 {
                let range = object.start..<object.start + UInt(object.size)
                if !chunks.contains(where: { $0.range.lowerBound <= range.lowerBound && range.upperBound <= $0.range.upperBound }) {
                    return "an object is in no chunk of its region"
                }
                ranges.append(range)
            }
            let statistics = region.region.core.statistics
            if statistics.usedBytes != chunks.reduce(0, { $0 + UInt64($1.range.count) }) { return "used bytes do not agree" }
            if statistics.childCount != region.children.count || statistics.cleanupCount != region.cleanups.count {
                return "children or cleanup actions do not agree"
            }
        }
        ranges.sort { $0.lowerBound < $1.lowerBound }
        for index in ranges.indices.dropFirst() where ranges[index - 1].upperBound > ranges[index].lowerBound { return "objects overlap" }
        return heap.liveBlockCount == blocks.count ? nil : "the heap counts other blocks"
    }
}
