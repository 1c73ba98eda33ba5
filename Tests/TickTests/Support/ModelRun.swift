import CTicks
import HeapCore

@testable import Ticks

/// Runs a schedule on a directory and on the oracle, and compares every answer.
struct ModelRun {
    struct Failure: Error, CustomStringConvertible {
        var step: Int
        var text: String
        var description: String { "step \(step): \(text)" }
    }

    struct Reader {
        var handle: ReaderHandle
        var known: UInt64
        var acknowledged: UInt64
        var stored: UInt64 = 0
        var delivered: (token: BatchToken, tick: UInt64, known: UInt64)?
        var old: BatchToken?
        /// Taken, and not yet said to be stored.
        var taken: DurableState?
        var isFixed = false
        var isDurable = false
    }

    let schedule: Schedule
    let heap: BoundedHeap
    let core: RegionDirectory
    let emptyBytes: UInt64
    var oracle = Oracle()
    var readers: [Reader] = []
    var step = 0
    var lastFloor = Tick.first
    /// Everything that was answered, as a number.
    var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    var resyncCount = 0
    var refusalCount = 0

    private var options: ModelOptions { schedule.options }

    init(_ schedule: Schedule, in heap: BoundedHeap) throws {
        self.schedule = schedule
        self.heap = heap
        var options = DirectoryOptions()
        options.mode = schedule.options.mode == .horizon ? .horizon : .interval
        options.policy = schedule.options.pushesBack ? .pushBack : .expireOffender
        options.readerLimits.lagTicks = schedule.options.lagTicks
        options.readerLimits.heldCount = schedule.options.heldCount
        options.heldCountLimit = schedule.options.totalHeldCount
        options.keepsLastValue = schedule.options.keepsLastValue
        core = try RegionDirectory.create(in: heap, options)
        emptyBytes = core.statistics().totalBytes
    }

    /// nil when everything was as it must be.
    static func failure(_ schedule: Schedule, in heap: BoundedHeap, trace: inout UInt64) -> Failure? {
        do {
            var run = try ModelRun(schedule, in: heap)
            defer { run.core.destroy() }
            do {
                try run.perform()
            } catch let failure as Failure {
                return failure
            } catch { return Failure(step: run.step, text: "\(error)") }
            trace = run.trace
            return nil
        } catch { return Failure(step: -1, text: "\(error)") }
    }

    private mutating func perform() throws {
        for (number, next) in schedule.steps.enumerated() {
            step = number
            try perform(next)
        }
        step = schedule.steps.count
        try end()
    }

    private func fail(_ text: @autoclosure () -> String) -> Failure { Failure(step: step, text: text()) }

    private func check(_ isRight: Bool, _ text: @autoclosure () -> String) throws { if !isRight { throw fail(text()) } }

    private mutating func note(_ value: UInt64) { trace = (trace ^ value) &* 0x100_0000_01b3 }

    private mutating func perform(_ next: Step) throws {
        switch next.kind {
        case .create: try create(next, parent: nil)
        case .createBelow: try create(next, parent: Oracle.member(oracle.living, next.second))
        case .remove: try remove(next)
        case .change:
            guard let index = Oracle.member(oracle.living, next.first) else { return }
            try core.markChanged(oracle.regions[index].id)
            // A change in the tick of birth is part of the birth.
            if oracle.regions[index].birth < oracle.open { oracle.regions[index].changes |= 1 << oracle.open }
        case .seal: try seal(next)
        case .attach: try attach(next)
        case .poll: try poll(next)
        case .acknowledge: try acknowledge(next)
        case .cancel:
            guard let index = pick(next) else { return }
            core.cancel(readers.remove(at: index).handle)
        case .clone: try clone(next)
        case .resume: try resume(next)
        case .maintain: _ = core.maintain(budget: UInt64(next.first % 4))
        case .acknowledgeOld:
            guard let index = pick(next), let old = readers[index].old else { return }
            let status = core.acknowledge(readers[index].handle, old)
            try check(status != .accepted && status != .foreign, "an old token was \(status)")
        case .detach: try detach(next)
        case .takeState:
            guard let index = pick(next), readers[index].isDurable else { return }
            readers[index].taken = core.durableState(of: readers[index].handle)
        case .noteStored: try noteStored(next)
        case .addOwner: try addOwner(next)
        case .removeOwner: try removeOwner(next)
        }
    }

    private func pick(_ next: Step) -> Int? { readers.isEmpty ? nil : Int(next.first) % readers.count }

    // MARK: The writer's steps

    private mutating func create(_ next: Step, parent: Int?) throws {
        guard oracle.regions.count < 60 else { return }
        let name = Int(next.first % 9)
        let taken = oracle.regions.first { $0.death == .max && $0.name == name }
        let parentID = parent.map { oracle.regions[$0].id } ?? .none
        let payload = UInt64(oracle.regions.count + 1)
        switch attempt({ () throws(DirectoryError) in try core.make([UInt8(name), 7], parent: parentID, payload: payload) }) {
        case .success(let id):
            try check(taken == nil, "a name was given twice")
            try check(oracle.index(of: id) == nil, "an id was given twice")
            oracle.regions.append(Oracle.Region(id: id, name: name, birth: oracle.open, owners: parent.map { 1 << UInt64($0) } ?? 0))
            note(UInt64(id.slot) << 32 | UInt64(id.generation))
        case .failure(let error):
            try check(taken.map { error == .nameTaken($0.id) } ?? false, "create: \(error)")
        }
    }

    private mutating func remove(_ next: Step) throws {
        guard let index = Oracle.member(oracle.living, next.first) else { return }
        let id = oracle.regions[index].id
        let going = oracle.going(with: index)
        if options.control == .goesWithFirstOwner { try leaveNoOtherOwner(index) }
        switch attempt({ () throws(DirectoryError) in try core.remove(id) }) {
        case .success(let count):
            oracle.remove(index)
            if options.control != .goesWithFirstOwner { try check(Int(count) == going.nonzeroBitCount, "removed \(count)") }
            try check(!options.pushesBack || isWithinLimit(adding: 0), "removed beyond the limit")
            try checkOwners()
            if options.control == .classifiesAtRemoval {
                var report = SealReport()
                core.classifyStaged(core.openNumber, &report)
            }
        case .failure(let error):
            refusalCount += 1
            try check(error == .retentionExhausted && options.pushesBack, "remove: \(error)")
            try check(core.status(of: oracle.regions[index].id) != .unknown && oracle.regions[index].death == .max, "refused, yet gone")
            try check(!isWithinLimit(adding: going), "refused within the limit")
            try checkOwners()
        }
    }

    /// Is there room for what is held, what was removed in the open tick, and these?
    private func isWithinLimit(adding going: UInt64) -> Bool {
        let mayBeHeld = oracle.regions.indices.count {
            let region = oracle.regions[$0]
            return region.birth < oracle.open && (region.death == oracle.open || going & (1 << UInt64($0)) != 0)
        }
        return readers.isEmpty || core.statistics().tombstoneCount + UInt64(mayBeHeld) <= options.totalHeldCount
    }

    // MARK: Owners

    /// The wrong rule: what a region owns goes with it, whoever else owns it.
    private func leaveNoOtherOwner(_ index: Int) throws {
        var below: UInt64 = 1 << UInt64(index)
        for (child, region) in oracle.regions.enumerated() where region.death == .max && region.owners & below != 0 {
            below |= 1 << UInt64(child)
            for owner in oracle.regions.indices where region.owners & ~below & (1 << UInt64(owner)) != 0 {
                _ = try core.removeOwner(oracle.regions[owner].id, of: region.id)
            }
        }
    }

    private mutating func addOwner(_ next: Step) throws {
        guard let owner = Oracle.member(oracle.living, next.first), let child = Oracle.member(oracle.living, next.second) else { return }
        let (ownerID, childID) = (oracle.regions[owner].id, oracle.regions[child].id)
        let isOwned = oracle.regions[child].owners & (1 << UInt64(owner)) != 0
        let expected: DirectoryError? =
            owner >= child
            ? .ownerTooYoung(owner: ownerID, child: childID) : isOwned ? .alreadyOwner(owner: ownerID, child: childID) : nil
        switch attempt({ () throws(DirectoryError) in try core.addOwner(ownerID, of: childID) }) {
        case .success:
            try check(expected == nil, "\(owner) became an owner of \(child)")
            oracle.regions[child].owners |= 1 << UInt64(owner)
        case .failure(let error): try check(error == expected, "add owner: \(error)")
        }
        try checkOwners()
    }

    private mutating func removeOwner(_ next: Step) throws {
        guard let child = Oracle.member(oracle.living, next.second) else { return }
        // Now and then one that it does not have.
        let some = next.first % 8 == 0 ? oracle.living : oracle.regions[child].owners
        guard let owner = Oracle.member(some, next.first) else { return }
        let (ownerID, childID) = (oracle.regions[owner].id, oracle.regions[child].id)
        let isOwned = oracle.regions[child].owners & (1 << UInt64(owner)) != 0
        switch attempt({ () throws(DirectoryError) in try core.removeOwner(ownerID, of: childID) }) {
        case .success(let isLeft):
            try check(isOwned, "one that was no owner was taken away")
            oracle.regions[child].owners &= ~(1 << UInt64(owner))
            try check(isLeft == (oracle.regions[child].owners != 0), "owners left: \(isLeft)")
        case .failure(let error):
            try check(!isOwned && error == .notOwner(owner: ownerID, child: childID), "remove owner: \(error)")
        }
        try checkOwners()
    }

    /// Each living region has its owners, of which its parent is one; one that went with others, a parent among those.
    private func checkOwners() throws {
        guard options.control != .goesWithFirstOwner else { return }
        for (index, region) in oracle.regions.enumerated() {
            let parent = oracle.index(of: core.parent(of: region.id))
            if region.death == .max {
                var owners: UInt64 = 0
                for owner in core.owners(of: region.id) { owners |= 1 << UInt64(try owned(owner)) }
                try check(owners == region.owners, "owners of \(index)")
                try check(parent == nil ? owners == 0 : owners & (1 << UInt64(parent!)) != 0, "the parent of \(index)")
            } else if let parent {
                try check(region.owners & (1 << UInt64(parent)) != 0 && region.wentWithParent, "the parent of \(index), which is gone")
            }
        }
    }

    private func owned(_ id: RegionID) throws -> Int {
        guard let index = oracle.index(of: id) else { throw fail("an unknown owner") }
        return index
    }

    private mutating func seal(_ next: Step) throws {
        guard oracle.open < 60 else { return }
        let budget: UInt64? = options.hasStarvedBudget ? UInt64(next.first % 3) : .max
        let staged = oracle.regions.count { $0.death == oracle.open }
        let report = try core.seal(budget: budget)
        try check(report.tick.number == oracle.open, "sealed \(report.tick)")
        oracle.open += 1
        if options.control != .classifiesAtRemoval {
            try check(Int(report.stagedCount) == staged, "staged \(report.stagedCount), not \(staged)")
        }
        if let budget, options.control == .none { try check(report.touchedCount - report.stagedCount <= budget, "touched \(report.touchedCount)") }
        note(report.retainedCount << 32 | report.annihilatedCount)
        note(report.expiredCount << 32 | report.laggingCount)
        try checkHeld()
    }

    /// After a boundary just what the pins need is held.
    private mutating func checkHeld() throws {
        var pins: [UInt64] = []
        for reader in readers {
            let now = core.statistics(of: reader.handle)
            if now.state == .expired {
                try check(options.hasLimits, "expired without limits")
                continue
            }
            try check(now.acknowledged.number == reader.acknowledged, "acknowledged \(now.acknowledged)")
            pins.append(reader.acknowledged)
            if let delivered = reader.delivered, delivered.tick > reader.acknowledged { pins.append(delivered.tick) }
            if reader.stored != 0 { pins.append(reader.stored) }
            if reader.stored == 0, options.control == .none {
                let held = oracle.regions.count {
                    $0.death < oracle.open && $0.birth < $0.death && $0.death >= reader.acknowledged
                        && (options.mode == .horizon || $0.birth < reader.acknowledged)
                }
                try check(Int(now.heldCount) == held, "a reader holds \(now.heldCount), not \(held)")
            }
        }
        let now = core.statistics()
        try check(now.floor >= lastFloor, "the floor fell")
        lastFloor = now.floor
        note(now.tombstoneCount)
        guard options.control == .none else { return }
        let needed = oracle.needed(options.mode, pins: pins)
        try check(Int(now.tombstoneCount) == needed, "\(now.tombstoneCount) tombstones, \(needed) needed")
        if options.mode == .interval { try check(needed <= oracle.bound(pins: pins), "above the bound") }
        if !options.hasStarvedBudget { try check(now.backlogCount == 0, "something was left") }
        try check(now.horizon.number == pins.min() ?? oracle.open, "horizon \(now.horizon)")
    }

    // MARK: The readers' steps

    private mutating func attach(_ next: Step) throws {
        guard readers.count < 8 else { return }
        var readerOptions = ReaderOptions()
        readerOptions.isFixed = next.first % 5 == 0
        readerOptions.isDurable = next.first % 5 == 1
        let handle = try core.attach(readerOptions)
        var reader = Reader(handle: handle, known: 0, acknowledged: oracle.open)
        reader.isFixed = readerOptions.isFixed
        reader.isDurable = readerOptions.isDurable
        reader.known = try listed(handle, at: oracle.open)
        readers.append(reader)
    }

    /// The listing at a reader's position, compared with what was alive there.
    private mutating func listed(_ handle: ReaderHandle, at tick: UInt64) throws -> UInt64 {
        var set: UInt64 = 0
        for id in try core.baseline(handle, page: 5) {
            guard let index = oracle.index(of: id) else { throw fail("an unknown region is listed") }
            try check(set & (1 << UInt64(index)) == 0, "listed twice")
            set |= 1 << UInt64(index)
        }
        try check(set == oracle.alive(at: tick), "listing at \(tick)")
        note(set)
        return set
    }

    private mutating func poll(_ next: Step) throws {
        guard let index = pick(next) else { return }
        var reader = readers[index]
        if let token = reader.delivered?.token { reader.old = token }
        switch try core.poll(reader.handle) {
        case .resync(let resync):
            try check(options.hasLimits, "resync without limits: \(resync)")
            resyncCount += 1
            reader.acknowledged = resync.tick.number
            reader.stored = 0
            reader.delivered = nil
            reader.known = try listed(reader.handle, at: resync.tick.number)
        case .changes(let batch):
            try compare(core.events(batch), batch, reader)
            let isEmpty = batch.count == 0 && batch.descendantCount == 0
            if isEmpty, !reader.isFixed {
                reader.acknowledged = oracle.open
                reader.delivered = nil
            } else {
                reader.delivered = (batch.token, oracle.open, oracle.alive(at: oracle.open))
            }
            if options.control == .leavesBatchUnpinned {
                // Safety: the reader is live; the word is the one that poll has just stored.
                unsafe cistern_reader_delivered_store(core.reader(reader.handle).pointer, 0)
            }
        }
        readers[index] = reader
    }

    private mutating func compare(_ events: [RegionChange], _ batch: ReaderBatch, _ reader: Reader) throws {
        var told: UInt64 = 0
        var last = Tick(0)
        for (position, event) in events.enumerated() {
            guard let index = oracle.index(of: event.id) else { throw fail("an unknown region is told of") }
            try check(told & (1 << UInt64(index)) == 0, "told twice")
            told |= 1 << UInt64(index)
            let expected = oracle.change(index, from: reader.acknowledged, until: oracle.open)
            try check(event.kind == expected, "region \(index) \(event.kind), not \(String(describing: expected))")
            if position == batch.count { last = Tick(0) }
            try check(event.tick >= last, "out of order")
            last = event.tick
            try compareOrder(event, index, told: told, from: reader.acknowledged)
            if event.kind == .removed { try compareDescendants(batch, position, root: index, from: reader.acknowledged) }
            note(UInt64(event.kind.rawValue) << 32 | UInt64(index))
        }
        for index in oracle.regions.indices where told & (1 << UInt64(index)) == 0 {
            let missed = oracle.change(index, from: reader.acknowledged, until: oracle.open)
            try check(missed == nil, "region \(index) \(missed!) and not told, since \(reader.acknowledged)")
        }
    }

    /// Owners come before what they own: where they are told of, and always where they are removed together.
    private func compareOrder(_ event: RegionChange, _ index: Int, told: UInt64, from: UInt64) throws {
        let region = oracle.regions[index]
        for (owner, other) in oracle.regions.enumerated() where region.owners & (1 << UInt64(owner)) != 0 {
            let isNew = event.kind == .added && other.birth >= from && other.death >= oracle.open
            let isGone = event.kind == .removedWithParent && other.birth < from && other.death == region.death
            if isNew || isGone { try check(told & (1 << UInt64(owner)) != 0, "a child before its owner") }
        }
    }

    private func compareDescendants(_ batch: ReaderBatch, _ position: Int, root: Int, from: UInt64) throws {
        var told: UInt64 = 0
        for below in core.descendants(batch, of: position) {
            guard let index = oracle.index(of: core.event(batch, below).id) else { throw fail("an unknown descendant") }
            told |= 1 << UInt64(index)
        }
        var expected: UInt64 = 0
        for index in oracle.regions.indices where oracle.regions[index].wentWith == root && oracle.regions[index].birth < from {
            expected |= 1 << UInt64(index)
        }
        try check(told == expected, "descendants of \(root)")
    }

    private mutating func acknowledge(_ next: Step) throws {
        guard let index = pick(next), let delivered = readers[index].delivered else { return }
        let status = core.acknowledge(readers[index].handle, delivered.token)
        if readers[index].isFixed {
            // A second poll in the same tick has no later tick to move to.
            return try check(status == .fixed || status == .repeated || status == .expired, "a fixed reader moved: \(status)")
        }
        if status == .expired { return try check(options.hasLimits, "expired without limits") }
        try check(status == .accepted, "acknowledge: \(status)")
        try check(core.acknowledge(readers[index].handle, delivered.token) == .repeated, "accepted twice")
        readers[index].acknowledged = delivered.tick
        readers[index].known = delivered.known
        readers[index].old = delivered.token
        readers[index].delivered = nil
        if readers[index].isDurable, next.second % 2 == 0 {
            let state = core.durableState(of: readers[index].handle)
            try check(core.noteStored(readers[index].handle, state), "cannot be stored")
            readers[index].stored = state.tick.number
        }
    }

    /// A state that was taken some time ago is stored only where the reader still is, or what is stored already.
    private mutating func noteStored(_ next: Step) throws {
        guard let index = pick(next), let state = readers[index].taken else { return }
        let reader = readers[index]
        readers[index].taken = nil
        let isExpired = core.statistics(of: reader.handle).state == .expired
        let isHeld = state.tick.number == reader.acknowledged || state.tick.number == reader.stored
        try check(core.noteStored(reader.handle, state) == (isHeld && !isExpired), "a state of \(state.tick) was not treated as such")
        if isHeld, !isExpired { readers[index].stored = state.tick.number }
    }

    private mutating func clone(_ next: Step) throws {
        guard let index = pick(next), readers.count < 8 else { return }
        let original = readers[index].handle
        switch attempt({ () throws(DirectoryError) in try core.clone(original) }) {
        case .success(let handle):
            var copy = readers[index]
            copy.handle = handle
            copy.delivered = nil
            copy.old = nil
            copy.taken = nil
            copy.stored = 0
            readers.append(copy)
        case .failure(let error): try check(error == .notPinned && options.hasLimits, "clone: \(error)")
        }
    }

    private mutating func resume(_ next: Step) throws {
        guard readers.count < 8 else { return }
        let tick = UInt64(next.first) % (oracle.open + 2)
        let floor = core.statistics().floor
        let (handle, resync) = try core.resume(at: Tick(tick))
        var reader = Reader(handle: handle, known: 0, acknowledged: tick)
        if let resync {
            resyncCount += 1
            // Only the future and what is below the floor; a registered pin is never refused.
            try check(tick > oracle.open || Tick(tick) < core.statistics().floor || tick == 0, "resync at \(tick), floor \(floor)")
            reader.acknowledged = resync.tick.number
            note(UInt64(resync.reason.rawValue))
        }
        reader.known = try listed(handle, at: reader.acknowledged)
        readers.append(reader)
    }

    private mutating func detach(_ next: Step) throws {
        guard let index = pick(next), readers[index].isDurable else { return }
        var reader = readers[index]
        let position = core.durableState(of: reader.handle)
        let state = core.detach(reader.handle)
        try check(state == position, "detached elsewhere")
        let (handle, resync) = try core.resume(state)
        reader.handle = handle
        reader.delivered = nil
        reader.old = nil
        reader.taken = nil
        reader.stored = resync == nil ? state.tick.number : 0
        if let resync {
            // Two in one tick: the first may have expired, never been lost.
            try check(options.hasLimits, "a detached reader was lost: \(resync)")
            reader.acknowledged = resync.tick.number
        }
        reader.known = try listed(handle, at: reader.acknowledged)
        readers[index] = reader
    }

    // MARK: The end

    private mutating func end() throws {
        // With a fault put in, the oracle is what has to notice.
        if options.control == .none, let found = core.verify() { throw fail("\(found)") }
        for reader in readers { core.cancel(reader.handle) }
        readers = []
        for index in oracle.regions.indices where oracle.regions[index].death == .max && oracle.regions[index].owners == 0 {
            _ = try core.remove(oracle.regions[index].id)
            oracle.remove(index)
        }
        for index in oracle.regions.indices where oracle.regions[index].death == .max { _ = try core.remove(oracle.regions[index].id) }
        try core.seal(budget: .max)
        try check(core.maintain(budget: .max) == 0, "something was left at the end")
        let now = core.statistics()
        try check(now.liveCount == 0 && now.tombstoneCount == 0 && now.readerCount == 0, "something is alive at the end")
        try check(now.bornTotal == now.purgedTotal + now.annihilatedTotal, "totals at the end")
        // The pin table may have grown; all else is as at the beginning.
        try check(now.nameBytes + now.livePartBytes + now.ownerBytes + now.batchBytes + now.readerBytes == 0, "bytes at the end")
        if options.control == .none, let found = core.verify() { throw fail("\(found) at the end") }
        if schedule.steps.count % 16 == 0 {
            try check(heap.statistics().requestedBytes == Int64(now.totalBytes), "the heap counts other bytes")
        }
    }
}
