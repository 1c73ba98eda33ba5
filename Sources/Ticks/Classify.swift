import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; the places kept in a walk are those of staged records and of the first buckets of their
// names. Neither goes before the walk is over: it makes no region, and the table of names shrinks afterwards.

// What a boundary decides about the removals of its tick. Each of them touches its record, its live part, which only the record
// knows, and the bucket of its name, which only the live part knows. So the walk asks for live parts far ahead, for buckets half
// as far, and keeps where they are. It takes blocks of a few records, each step in a loop of its own: with larger ones what is
// asked for comes in bursts that memory does not keep up with. What nearly all removals of a tick have in common is worked out
// once, and those one after another that go to one list stay linked as they were staged.
extension RegionDirectory {
    /// Retained removals of one list, one after another in the order of staging.
    private struct Run {
        /// Address of the list; 0: the run is empty.
        var list: UInt = 0
        var records = cistern_cell()
    }

    /// Which list takes what lived long, that is, was born before the first pins: nearly everything.
    private struct CommonList {
        /// Address of the list.
        let list: UInt
        /// What was born before belongs there.
        let birthLimit: UInt64
    }

    private struct Walk {
        /// Records of a block.
        static var blockSize: Int { 8 }
        /// How far ahead buckets are asked for: blocks that are less than `buckets` holds.
        static var nearDistance: Int { 16 }
        /// How far ahead live parts are asked for: blocks that are less than `records` holds.
        static var farDistance: Int { 32 }

        let tick: UInt64
        let count: Int
        let common: CommonList
        let bucketMask: UInt32
        let mayKeepContent: Bool
        /// The next record to be looked up.
        var slot: UInt32
        /// No chunk has the number that this begins with.
        var last: (chunk: UInt32, records: UInt64) = (.max, 0)
        /// Where the records are that the walk has come to, and the first buckets of their names, by position.
        var records = InlineArray<64, UInt>(repeating: 0)
        var buckets = InlineArray<32, UInt>(repeating: 0)
        var run = Run()

        /// The block that begins at a position; empty before the first and after the last.
        func block(_ start: Int) -> Range<Int> {
            max(0, min(start, count))..<max(0, min(start &+ Self.blockSize, count))
        }
    }

    /// Decides for each removal of the tick that ends whether a pin needs it.
    func classifyStaged(_ tick: UInt64, _ report: inout SealReport) {
        let count = Int(header.it.staged_count)
        let slot = header.it.staged_head
        forgetStaged()
        header.it.touched_total &+= UInt64(count)
        var walk = Walk(
            tick: tick, count: count, common: commonList(tick), bucketMask: bucketMask,
            mayKeepContent: has(CISTERN_DIRECTORY_KEEPS_LAST_VALUE) || contents.it.count > 0, slot: slot)
        for start in stride(from: -Walk.farDistance, to: count, by: Walk.blockSize) {
            askForParts(&walk, walk.block(start &+ Walk.farDistance))
            askForBuckets(&walk, walk.block(start &+ Walk.nearDistance))
            decide(&walk, walk.block(start), &report)
        }
        finish(&walk.run, tick, &report)
        for _ in 0..<report.annihilatedCount { guard shrinkNames() else { break } }
    }

    @inline(never)
    private func askForParts(_ walk: inout Walk, _ block: Range<Int>) {
        var slot = walk.slot
        var last = walk.last
        for position in block {
            let record = record(slot, &last)
            unsafe cistern_prefetch(livePart(record).pointer)
            walk.records[position & 63] = UInt(bitPattern: unsafe record.pointer)
            slot = record.it.next
        }
        walk.slot = slot
        walk.last = last
    }

    @inline(never)
    private func askForBuckets(_ walk: inout Walk, _ block: Range<Int>) {
        for position in block {
            let record = Ref<cistern_region_record>(place: walk.records[position & 63])
            let bucket = bucket(ofHash: livePart(record).it.hash, walk.bucketMask)
            unsafe cistern_prefetch(bucket.pointer)
            walk.buckets[position & 31] = UInt(bitPattern: unsafe bucket.pointer)
        }
    }

    private func forgetStaged() {
        header.it.staged_head = 0
        header.it.staged_tail = 0
        header.it.staged_count = 0
        header.it.staged_held_count = 0
        header.it.staged_held_byte_count = 0
    }

    private func commonList(_ tick: UInt64) -> CommonList {
        let column = groups(markers, beginningBy: tick)
        guard column > 0 else { return CommonList(list: 0, birthLimit: 0) }
        let limit = markers.it.ignores_birth != 0 ? tick : min(tick, group(markers, 0).it.high)
        let list = cell(markers, afterGroups: 0, onGroup: column &- 1)
        return CommonList(list: UInt(bitPattern: unsafe list.pointer), birthLimit: limit)
    }

    @inline(never)
    private func decide(_ walk: inout Walk, _ block: Range<Int>, _ report: inout SealReport) {
        let common = walk.common
        let tick = walk.tick
        for position in block {
            let record = Ref<cistern_region_record>(place: walk.records[position & 63])
            let part = livePart(record)
            let slot = part.it.slot
            removeFromChanges(part)
            removeName(of: slot, in: Ref(place: walk.buckets[position & 31]))
            record.it.state |= UInt8(CISTERN_RECORD_TOMBSTONE.rawValue)
            let list =
                _fastPath(record.it.birth < common.birthLimit)
                ? common.list : list(markers, birth: record.it.birth, death: tick)
            if _slowPath(walk.mayKeepContent), list != 0, keepsContent(slot, record, part, tick) {
                part.it.changed = tick
                record.it.state |= UInt8(CISTERN_RECORD_HAS_CONTENT.rawValue)
            } else {
                release(record, part)
                freeLivePart(record.it.death)
                record.it.death = tick
            }
            if _slowPath(list != walk.run.list || list == 0) {
                finish(&walk.run, tick, &report)
                if list == 0 {
                    annihilate(slot, record, tick, &report)
                    continue
                }
                walk.run.list = list
                walk.run.records.head = slot
            }
            walk.run.records.tail = slot
            walk.run.records.count &+= 1
            walk.run.records.byte_count &+= weight(record)
        }
    }

    private func keepsContent(
        _ slot: UInt32, _ record: Ref<cistern_region_record>, _ part: Ref<cistern_live_part>, _ tick: UInt64
    ) -> Bool {
        if has(CISTERN_DIRECTORY_KEEPS_LAST_VALUE) { return true }
        return has(CISTERN_RECORD_OWNS_REGION, record)
            ? retireContent(part, tick) : hang(contents, slot, record, death: tick)
    }

    /// Nobody needs it.
    private func annihilate(_ slot: UInt32, _ record: Ref<cistern_region_record>, _ tick: UInt64, _ report: inout SealReport) {
        // Born and removed in one tick: no position could need it.
        if record.it.birth < tick { raiseFloor(past: tick) }
        freeNameAndSlot(slot, record)
        header.it.annihilated_total &+= 1
        report.annihilatedCount &+= 1
    }

    private func finish(_ run: inout Run, _ tick: UInt64, _ report: inout SealReport) {
        guard run.list != 0 else { return }
        record(run.records.tail).it.next = 0
        run.records.last_death = tick
        hang(markers, run.records, in: Ref(place: run.list))
        report.retainedCount &+= run.records.count
        run = Run()
    }
}
