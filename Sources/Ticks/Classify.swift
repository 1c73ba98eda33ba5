import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; the places kept in a walk are those of staged records and of the first buckets of their
// names. Neither goes before the walk is over: it makes no region, and the table of names shrinks afterwards.

// What a boundary decides about the removals of its tick. Each of them touches its record, its live part, which only the record
// knows, and the bucket of its name, which only the live part knows. So the walk asks for live parts far ahead and for buckets
// half as far, and keeps where they are. What nearly all removals of a tick have in common is worked out once, and those one
// after another that go to one list stay linked as they were staged.
extension RegionDirectory {
    /// How far ahead buckets are asked for; live parts twice as far, which is less than a walk keeps.
    private static var nearDistance: Int { 12 }

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

    /// Decides for each removal of the tick that ends whether a pin needs it.
    func classifyStaged(_ tick: UInt64, _ report: inout SealReport) {
        let count = Int(header.it.staged_count)
        var slot = header.it.staged_head
        forgetStaged()
        header.it.touched_total &+= UInt64(count)
        let common = commonList(tick)
        let mask = bucketMask
        var records = InlineArray<32, UInt>(repeating: 0)
        var buckets = InlineArray<32, UInt>(repeating: 0)
        // No chunk has the number that the last one begins with.
        var last: (chunk: UInt32, records: UInt64) = (.max, 0)
        var run = Run()
        var asked = 0
        var named = 0
        for position in 0..<count {
            while asked < count, asked < position &+ 2 &* Self.nearDistance {
                let record = record(slot, &last)
                unsafe cistern_prefetch(livePart(record).pointer)
                records[asked & 31] = UInt(bitPattern: unsafe record.pointer)
                slot = record.it.next
                asked &+= 1
            }
            while named < count, named < position &+ Self.nearDistance {
                let record = Ref<cistern_region_record>(place: records[named & 31])
                let bucket = bucket(ofHash: livePart(record).it.hash, mask)
                unsafe cistern_prefetch(bucket.pointer)
                buckets[named & 31] = UInt(bitPattern: unsafe bucket.pointer)
                named &+= 1
            }
            classify(Ref(place: records[position & 31]), Ref(place: buckets[position & 31]), tick, common, &run, &report)
        }
        finish(&run, tick, &report)
        for _ in 0..<report.annihilatedCount { guard shrinkNames() else { break } }
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

    @inline(__always)
    private func classify(
        _ record: Ref<cistern_region_record>, _ bucket: Ref<cistern_name_bucket>, _ tick: UInt64, _ common: CommonList,
        _ run: inout Run, _ report: inout SealReport
    ) {
        let partOffset = record.it.death
        let part = livePart(record)
        let slot = part.it.slot
        removeFromChanges(part)
        removeName(of: slot, in: bucket)
        let marks = UInt32(record.it.state) & ~CISTERN_RECORD_STATE_MASK.rawValue
        record.it.state = UInt8(truncatingIfNeeded: marks | CISTERN_RECORD_TOMBSTONE.rawValue)
        let list = _fastPath(record.it.birth < common.birthLimit) ? common.list : list(markers, birth: record.it.birth, death: tick)
        let isContentKept = list != 0 && (has(CISTERN_DIRECTORY_KEEPS_LAST_VALUE) || isContentNeeded(slot, record, part, tick))
        if isContentKept {
            part.it.changed = tick
            record.it.state |= UInt8(CISTERN_RECORD_HAS_CONTENT.rawValue)
        } else {
            release(record, part)
            freeLivePart(partOffset)
            record.it.death = tick
        }
        if _slowPath(list != run.list || list == 0) {
            finish(&run, tick, &report)
            guard list != 0 else { return annihilate(slot, record, tick, &report) }
            run.list = list
            run.records.head = slot
        }
        run.records.tail = slot
        run.records.count &+= 1
        run.records.byte_count &+= weight(record)
    }

    /// Does a snapshot need the content of a region that goes?
    @inline(__always)
    private func isContentNeeded(
        _ slot: UInt32, _ record: Ref<cistern_region_record>, _ part: Ref<cistern_live_part>, _ tick: UInt64
    ) -> Bool {
        if has(CISTERN_RECORD_OWNS_REGION, record) { return retireContent(part, tick) }
        return contents.it.count > 0 && hang(contents, slot, record, death: tick)
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
