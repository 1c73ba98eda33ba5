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
        /// The state that is stored, from whichever life of the directory.
        var storedState: DurableState?
        var delivered: (token: BatchToken, tick: UInt64, known: UInt64)?
        var old: BatchToken?
        /// Taken, and not yet said to be stored.
        var taken: DurableState?
        var isFixed = false
        var isDurable = false
    }

    let schedule: Schedule
    let heaps: [BoundedHeap]
    var heap: BoundedHeap
    var core: RegionDirectory
    let released = ReleaseLog()
    var oracle = Oracle()
    var readers: [Reader] = []
    var step = 0
    var lastFloor = Tick.first
    /// Everything that was answered, as a number.
    var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    var resyncCount = 0
    var refusalCount = 0

    var options: ModelOptions { schedule.options }

    init(_ schedule: Schedule, in heaps: [BoundedHeap]) throws {
        self.schedule = schedule
        self.heaps = heaps
        heap = heaps[0]
        var options = DirectoryOptions()
        options.mode = schedule.options.mode == .horizon ? .horizon : .interval
        options.policy = schedule.options.pushesBack ? .pushBack : .expireOffender
        options.readerLimits.lagTicks = schedule.options.lagTicks
        options.readerLimits.heldCount = schedule.options.heldCount
        options.heldCountLimit = schedule.options.totalHeldCount
        options.keepsLastValue = schedule.options.keepsLastValue
        options.release = ReleaseLog.release
        options.releaseContext = released.context
        core = try RegionDirectory.create(in: heap, options)
    }

    /// nil when everything was as it must be.
    static func failure(_ schedule: Schedule, in heaps: [BoundedHeap], trace: inout UInt64) -> Failure? {
        do {
            var run = try ModelRun(schedule, in: heaps)
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

    func fail(_ text: @autoclosure () -> String) -> Failure { Failure(step: step, text: text()) }

    func check(_ isRight: Bool, _ text: @autoclosure () -> String) throws { if !isRight { throw fail(text()) } }

    mutating func note(_ value: UInt64) { trace = (trace ^ value) &* 0x100_0000_01b3 }

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
        case .reopen: try reopen(next)
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
            // Which slot is free differs between a directory that was reopened and one that was not.
            note(UInt64(id.generation))
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

    private mutating func seal(_ next: Step) throws {
        guard oracle.open < 60 else { return }
        let budget: UInt64? = options.hasStarvedBudget ? UInt64(next.first % 3) : .max
        let staged = oracle.regions.count { $0.death == oracle.open }
        let report = try core.seal(budget: budget)
        try check(report.tick.number == oracle.open, "sealed \(report.tick)")
        oracle.open += 1
        if options.control == .none {
            try check(Int(report.stagedCount) == staged, "staged \(report.stagedCount), not \(staged)")
        }
        if let budget, options.control == .none {
            try check(report.touchedCount - report.stagedCount <= budget, "touched \(report.touchedCount)")
        }
        note(report.retainedCount << 32 | report.annihilatedCount)
        note(report.expiredCount << 32 | report.laggingCount)
        note(report.purgedCount << 32 | report.backlogCount)
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
        note(now.tombstoneCount)
        note(now.floor.number)
        guard options.control == .none else { return }
        try check(now.floor >= lastFloor, "the floor fell")
        lastFloor = now.floor
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
        readerOptions.holdsContent = next.first % 5 < 2 && next.second % 3 == 0
        let handle = try core.attach(readerOptions)
        var reader = Reader(handle: handle, known: 0, acknowledged: oracle.open)
        reader.isFixed = readerOptions.isFixed || readerOptions.holdsContent
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
            readers[index].storedState = state
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
        if isHeld, !isExpired {
            readers[index].stored = state.tick.number
            readers[index].storedState = state
        }
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
        reader.storedState = state
        if let resync {
            // Two in one tick: the first may have expired, never been lost.
            try check(options.hasLimits, "a detached reader was lost: \(resync)")
            reader.acknowledged = resync.tick.number
        }
        reader.known = try listed(handle, at: reader.acknowledged)
        readers[index] = reader
    }

    // MARK: Another life

    /// Saves, destroys and reopens the directory; readers that are not durable are gone. In a directory that is never closed they
    /// are only cancelled, and the durable ones lose their owner: everything after must be the same.
    private mutating func reopen(_ next: Step) throws {
        let kept = readers.filter { $0.isDurable }
        var states = kept.map { core.durableState(of: $0.handle) }
        for (index, reader) in kept.enumerated() where reader.stored != 0 && next.first >> index % 2 == 1 {
            states[index] = reader.storedState!
        }
        if options.reopening == .throughImage {
            try goThroughImage(in: heaps[Int(next.second) % heaps.count])
        } else {
            for reader in readers where !reader.isDurable { core.cancel(reader.handle) }
            for reader in kept { _ = core.detach(reader.handle) }
        }
        readers = try zip(kept, states).map { reader, state in
            let (handle, resync) = try core.resume(state)
            try check(resync == nil, "a durable reader was lost: \(resync!)")
            var reader = reader
            (reader.handle, reader.delivered, reader.old) = (handle, nil, nil)
            (reader.acknowledged, reader.stored, reader.storedState) = (state.tick.number, state.tick.number, state)
            return reader
        }
        for index in readers.indices { readers[index].known = try listed(readers[index].handle, at: readers[index].acknowledged) }
    }

    private mutating func goThroughImage(in heap: BoundedHeap) throws {
        let image = try core.image()
        let before = core.statistics()
        core.keepPayloads()
        core.destroy()
        self.heap = heap
        do { core = try RegionDirectory.reopened(image, in: heap, released) } catch {
            // One that the end can destroy.
            core = try RegionDirectory.create(in: heap, DirectoryOptions())
            throw error
        }
        guard options.control == .none else { return forgetOnPurpose() }
        if let found = core.verify() { throw fail("\(found) after reopening") }
        let now = core.statistics()
        try check(now.floor >= before.floor && now.openTick == before.openTick, "floor or tick after reopening")
        try check(now.liveCount == before.liveCount && now.stagedCount == before.stagedCount, "regions after reopening")
        try check(try core.image() == image, "another image after reopening")
    }

    /// What an image without them would give.
    private func forgetOnPurpose() {
        if options.control == .reopensWithoutStaged {
            (core.header.it.staged_head, core.header.it.staged_tail, core.header.it.staged_count) = (0, 0, 0)
            (core.header.it.staged_held_count, core.header.it.staged_held_byte_count) = (0, 0)
        }
        if options.control == .reopensWithoutFloor { core.header.it.floor = 1 }
    }

    // MARK: The end

    private mutating func end() throws {
        guard options.control == .none else { return }
        if let found = core.verify() { throw fail("\(found)") }
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
        try check(released.counts == oracle.regions.map { _ in 1 }, "payloads released: \(released.counts)")
        // The pin table may have grown; all else is as at the beginning.
        try check(now.nameBytes + now.livePartBytes + now.ownerBytes + now.batchBytes + now.readerBytes == 0, "bytes at the end")
        if let found = core.verify() { throw fail("\(found) at the end") }
        if schedule.steps.count % 16 == 0 {
            try check(heap.statistics().requestedBytes == Int64(now.totalBytes), "the heap counts other bytes")
        }
    }
}
