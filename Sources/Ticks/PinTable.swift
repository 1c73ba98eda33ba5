import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; rows are below capacity + 1 and columns below capacity.

// Which dead records which pins need, without a look at any record but the one that is moved.
//
// The distinct pin values p1 < p2 < ... cut time into segments. A record born at b that died at d is needed by every pin in
// (b, d]. It stands in the list cell[row][column]: row = how many pins are at or before b, column = the last pin at or before
// d; those between row and column need it. When a pin goes, the list that only it needed is joined to the free queue, and its
// row and column to those of the pin before: some 2 k splices for k pins, whatever the lists hold.
//
// In horizon mode every record stands in row 0: it is kept as long as any pin is at or before d.
//
// A pin here is a *group*: a range [low, high] with a count of members, nearly always one value. When there are more than fits
// the table, two neighbours become one group, which needs what has b < high and low <= d: too much perhaps, never too little.
// Invariant: for each listed record and each live pin p in (b, d], p's group lies after the record's row and not after its
// column.
extension RegionDirectory {
    static var mostGroups: UInt32 { 64 }

    typealias PinTable = Ref<cistern_pin_table>

    @inline(__always)
    func group(_ table: PinTable, _ index: UInt32) -> Ref<cistern_pin_group> {
        at(table.it.groups &+ UInt64(index) &* UInt64(MemoryLayout<cistern_pin_group>.size))
    }

    @inline(__always)
    private func cell(_ table: PinTable, row: UInt32, column: UInt32) -> Ref<cistern_cell> {
        let index = UInt64(row) &* UInt64(table.it.capacity) &+ UInt64(column)
        let cells = table.it.groups &+ UInt64(table.it.capacity) &* UInt64(MemoryLayout<cistern_pin_group>.size)
        return at(cells &+ index &* UInt64(MemoryLayout<cistern_cell>.size))
    }

    /// The cell of a row and a column by their place in time: row r is after the first r groups, column c that of group c.
    @inline(__always)
    func cell(_ table: PinTable, afterGroups row: UInt32, onGroup column: UInt32) -> Ref<cistern_cell> {
        cell(table, row: physicalRow(table, row), column: UInt32(group(table, column).it.column))
    }

    @inline(__always)
    private func physicalRow(_ table: PinTable, _ row: UInt32) -> UInt32 {
        row == 0 ? 0 : UInt32(group(table, row &- 1).it.column) &+ 1
    }

    // MARK: Size

    private func tableBytes(_ capacity: UInt32) -> UInt {
        let groups = UInt(capacity) * UInt(MemoryLayout<cistern_pin_group>.size)
        return groups + UInt(capacity + 1) * UInt(capacity) * UInt(MemoryLayout<cistern_cell>.size)
    }

    /// Gives a table room for more groups; false when the heap is full.
    func growTable(_ table: PinTable, to capacity: UInt32) -> Bool {
        let block = allocate(tableBytes(capacity))
        guard block != 0 else { return false }
        Bytes.zero(address(block), byteCount: tableBytes(capacity))
        let oldCapacity = table.it.capacity
        let old = table.it.groups
        let newCells = block &+ UInt64(capacity) &* UInt64(MemoryLayout<cistern_pin_group>.size)
        let cellBytes = UInt64(MemoryLayout<cistern_cell>.size)
        if oldCapacity > 0 {
            Bytes.move(
                from: address(old), to: address(block), byteCount: UInt(oldCapacity) * UInt(MemoryLayout<cistern_pin_group>.size))
            for row in 0...oldCapacity {
                Bytes.move(
                    from: UInt(bitPattern: unsafe cell(table, row: row, column: 0).pointer),
                    to: address(newCells &+ UInt64(row) &* UInt64(capacity) &* cellBytes), byteCount: UInt(oldCapacity) * UInt(cellBytes))
            }
            free(old, tableBytes(oldCapacity))
        }
        table.it.groups = block
        table.it.capacity = capacity
        return true
    }

    func releaseTable(_ table: PinTable) {
        free(table.it.groups, table.it.capacity == 0 ? 0 : tableBytes(table.it.capacity))
        table.it.groups = 0
        table.it.capacity = 0
    }

    /// Forgets what every list and the queue hold. The pins stay.
    func clearLists(_ table: PinTable) {
        let capacity = UInt(table.it.capacity)
        let groupBytes = capacity &* UInt(MemoryLayout<cistern_pin_group>.size)
        let cellCount = (capacity &+ 1) &* capacity
        Bytes.zero(address(table.it.groups) &+ groupBytes, byteCount: cellCount &* UInt(MemoryLayout<cistern_cell>.size))
        table.it.held_count = 0
        table.it.held_byte_count = 0
        table.it.queue_head = 0
        table.it.queue_tail = 0
        table.it.queue_count = 0
    }

    // MARK: Search

    /// How many groups lie wholly at or before a tick.
    @inline(__always)
    func groups(_ table: PinTable, endingBy tick: UInt64) -> UInt32 {
        var low: UInt32 = 0
        var high = table.it.count
        while low < high {
            let middle = (low &+ high) / 2
            if group(table, middle).it.high <= tick { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// How many groups begin at or before a tick.
    @inline(__always)
    func groups(_ table: PinTable, beginningBy tick: UInt64) -> UInt32 {
        var low: UInt32 = 0
        var high = table.it.count
        while low < high {
            let middle = (low &+ high) / 2
            if group(table, middle).it.low <= tick { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// The group that holds a pin; nil when none does.
    func groupIndex(_ table: PinTable, of pin: UInt64) -> UInt32? {
        let index = groups(table, beginningBy: pin)
        guard index > 0, group(table, index &- 1).it.high >= pin else { return nil }
        return index &- 1
    }

    // MARK: Lists

    @inline(__always)
    private func next(_ table: PinTable, _ slot: UInt32) -> UInt32 {
        if table.it.is_of_contents == 0 { return record(slot).it.next }
        return UInt32(truncatingIfNeeded: livePart(record(slot)).it.next)
    }

    @inline(__always)
    private func setNext(_ table: PinTable, _ slot: UInt32, _ next: UInt32) {
        if table.it.is_of_contents == 0 { record(slot).it.next = next } else { livePart(record(slot)).it.next = UInt64(next) }
    }

    /// Calls `body` with each record of a list.
    func forEach(_ table: PinTable, _ cell: Ref<cistern_cell>, _ body: (UInt32, Ref<cistern_region_record>) -> Void) {
        var slot = cell.it.head
        while slot != 0 {
            header.it.touched_total &+= 1
            let next = next(table, slot)
            body(slot, record(slot))
            slot = next
        }
    }

    /// Address of the list for what was born and died at these ticks; 0 when no pin needs it.
    func list(_ table: PinTable, birth: UInt64, death: UInt64) -> UInt {
        // What was born and removed in one tick nobody can have seen.
        guard birth < death else { return 0 }
        let column = groups(table, beginningBy: death)
        let row = table.it.ignores_birth != 0 ? 0 : groups(table, endingBy: birth)
        return row < column ? UInt(bitPattern: unsafe cell(table, afterGroups: row, onGroup: column &- 1).pointer) : 0
    }

    /// Hangs a dead record where its pins want it; false when none does.
    func hang(_ table: PinTable, _ slot: UInt32, _ record: Ref<cistern_region_record>, death: UInt64) -> Bool {
        let list = list(table, birth: record.it.birth, death: death)
        guard list != 0 else { return false }
        setNext(table, slot, 0)
        hang(table, cistern_cell(head: slot, tail: slot, count: 1, byte_count: weight(record), last_death: death), in: Ref(place: list))
        return true
    }

    /// Hangs dead records that are linked already.
    func hang(_ table: PinTable, _ records: cistern_cell, in list: Ref<cistern_cell>) {
        append(table, records, to: list)
        table.it.held_count &+= records.count
        table.it.held_byte_count &+= records.byte_count
    }

    private func append(_ table: PinTable, _ records: cistern_cell, to list: Ref<cistern_cell>) {
        if list.it.tail != 0 { setNext(table, list.it.tail, records.head) } else { list.it.head = records.head }
        list.it.tail = records.tail
        list.it.count &+= records.count
        list.it.byte_count &+= records.byte_count
        if records.last_death > list.it.last_death { list.it.last_death = records.last_death }
    }

    private func splice(_ table: PinTable, from source: Ref<cistern_cell>, to destination: Ref<cistern_cell>) {
        guard source.it.head != 0 else { return }
        append(table, source.it, to: destination)
        source.it = cistern_cell()
    }

    /// Joins a list to the free queue. No record is looked at.
    private func discard(_ table: PinTable, _ cell: Ref<cistern_cell>) {
        guard cell.it.head != 0 else { return }
        if table.it.queue_tail != 0 {
            setNext(table, table.it.queue_tail, cell.it.head)
        } else {
            table.it.queue_head = cell.it.head
        }
        table.it.queue_tail = cell.it.tail
        table.it.queue_count &+= cell.it.count
        table.it.held_count &-= cell.it.count
        table.it.held_byte_count &-= cell.it.byte_count
        if table.it.is_of_contents == 0 { raiseFloor(past: cell.it.last_death) }
        cell.it = cistern_cell()
    }

    /// From now on no position at or before `death` is answered but by a live pin.
    func raiseFloor(past death: UInt64) {
        if death >= header.it.floor { header.it.floor = death &+ 1 }
    }

    func takeFromQueue(_ table: PinTable) -> UInt32 {
        let slot = table.it.queue_head
        guard slot != 0 else { return 0 }
        header.it.touched_total &+= 1
        table.it.queue_head = next(table, slot)
        if table.it.queue_head == 0 { table.it.queue_tail = 0 }
        table.it.queue_count &-= 1
        return slot
    }

    // MARK: Pins

    /// Adds a pin. A new value that is not the greatest moves the records whose place it changes.
    ///
    /// - Returns: false only when the table may not merge groups and has no room.
    func addPin(_ table: PinTable, _ pin: UInt64) -> Bool {
        if let index = groupIndex(table, of: pin) {
            group(table, index).it.member_count &+= 1
            return true
        }
        if table.it.count == table.it.capacity, !makeRoom(table) { return false }
        if let index = groupIndex(table, of: pin) {
            group(table, index).it.member_count &+= 1
            return true
        }
        let index = groups(table, beginningBy: pin)
        let column = UInt16(truncatingIfNeeded: (~table.it.used_columns).trailingZeroBitCount)
        table.it.used_columns |= 1 << UInt64(column)
        var position = table.it.count
        while position > index {
            group(table, position).it = group(table, position &- 1).it
            position &-= 1
        }
        table.it.count &+= 1
        let group = group(table, index)
        group.it = cistern_pin_group()
        group.it.low = pin
        group.it.high = pin
        group.it.member_count = 1
        group.it.column = column
        clearDeadlines(group)
        if table.it.is_of_contents == 0 { header.it.total_is_stuck = 0 }
        if index &+ 1 < table.it.count { redistribute(table, around: index) }
        return true
    }

    private func makeRoom(_ table: PinTable) -> Bool {
        if table.it.capacity < Self.mostGroups, growTable(table, to: max(4, table.it.capacity * 2)) { return true }
        guard table.it.is_of_contents == 0, table.it.count > 1 else { return false }
        var best: UInt32 = 0
        var bestSpan = UInt64.max
        for index in 0..<(table.it.count &- 1) {
            let span = group(table, index &+ 1).it.high &- group(table, index).it.low
            if span < bestSpan {
                bestSpan = span
                best = index
            }
        }
        mergeGroup(table, withOneBefore: best &+ 1)
        return true
    }

    /// After a group appeared at `index`: records of the row and the column before it may belong to its own.
    private func redistribute(_ table: PinTable, around index: UInt32) {
        var column = index &+ 1
        while column < table.it.count {
            rehang(table, cell(table, afterGroups: index, onGroup: column))
            column &+= 1
        }
        guard index > 0 else { return }
        for row in 0..<index { rehang(table, cell(table, afterGroups: row, onGroup: index &- 1)) }
    }

    private func rehang(_ table: PinTable, _ cell: Ref<cistern_cell>) {
        var slot = cell.it.head
        table.it.held_count &-= cell.it.count
        table.it.held_byte_count &-= cell.it.byte_count
        cell.it = cistern_cell()
        while slot != 0 {
            header.it.touched_total &+= 1
            let next = next(table, slot)
            let record = record(slot)
            // A pin was added, none taken away: somebody needs it still, or the group that had it keeps it.
            if !hang(table, slot, record, death: death(record)) { queueLoose(table, slot, record) }
            slot = next
        }
    }

    /// Puts a dead record that no pin needs into the free queue.
    func queueLoose(_ table: PinTable, _ slot: UInt32, _ record: Ref<cistern_region_record>) {
        setNext(table, slot, 0)
        if table.it.queue_tail != 0 { setNext(table, table.it.queue_tail, slot) } else { table.it.queue_head = slot }
        table.it.queue_tail = slot
        table.it.queue_count &+= 1
        if table.it.is_of_contents == 0 { raiseFloor(past: death(record)) }
    }

    /// Takes a pin away; with the last of its group what only that needed goes to the free queue.
    func dropPin(_ table: PinTable, _ pin: UInt64) {
        guard let index = groupIndex(table, of: pin) else { return assertionFailure("a pin is dropped that is not there") }
        if table.it.is_of_contents == 0 { header.it.total_is_stuck = 0 }
        let group = group(table, index)
        group.it.member_count &-= 1
        guard group.it.member_count == 0 else { return }
        discard(table, cell(table, afterGroups: index, onGroup: index))
        if index > 0 { joinColumn(table, index) }
        joinRow(table, index &+ 1, with: index)
        removeGroup(table, index)
    }

    /// Makes one group of two neighbours, the second at `index`.
    private func mergeGroup(_ table: PinTable, withOneBefore index: UInt32) {
        let group = group(table, index)
        let before = self.group(table, index &- 1)
        // Births between the two count from now on as before both.
        joinRow(table, index, with: index &- 1)
        joinColumn(table, index)
        joinRow(table, index &+ 1, with: index)
        before.it.high = group.it.high
        before.it.member_count &+= group.it.member_count
        before.it.member_marks |= group.it.member_marks
        // Of different values the later: nobody is held to be behind for longer than it is.
        before.it.behind_since = max(before.it.behind_since, group.it.behind_since)
        before.it.lag_deadline = min(before.it.lag_deadline, group.it.lag_deadline)
        before.it.age_deadline = min(before.it.age_deadline, group.it.age_deadline)
        before.it.held_count_limit = min(before.it.held_count_limit, group.it.held_count_limit)
        before.it.held_byte_limit = min(before.it.held_byte_limit, group.it.held_byte_limit)
        removeGroup(table, index)
    }

    /// Joins the lists on a group to those on the one before.
    private func joinColumn(_ table: PinTable, _ column: UInt32) {
        for row in 0..<column {
            splice(
                table, from: cell(table, afterGroups: row, onGroup: column), to: cell(table, afterGroups: row, onGroup: column &- 1))
        }
    }

    /// Joins the lists of a row to those of the row before it.
    private func joinRow(_ table: PinTable, _ row: UInt32, with before: UInt32) {
        var column = row
        while column < table.it.count {
            splice(
                table, from: cell(table, afterGroups: row, onGroup: column), to: cell(table, afterGroups: before, onGroup: column))
            column &+= 1
        }
    }

    private func removeGroup(_ table: PinTable, _ index: UInt32) {
        table.it.used_columns &= ~(1 << UInt64(group(table, index).it.column))
        table.it.count &-= 1
        var position = index
        while position < table.it.count {
            group(table, position).it = group(table, position &+ 1).it
            position &+= 1
        }
    }

    func clearDeadlines(_ group: Ref<cistern_pin_group>) {
        group.it.lag_deadline = .max
        group.it.age_deadline = .max
        group.it.held_count_limit = .max
        group.it.held_byte_limit = .max
        group.it.member_marks = 0
    }

    // MARK: What is held

    /// What a group needs, and what nobody else does: what its going would free.
    func held(_ table: PinTable, byGroup index: UInt32) -> (count: UInt64, byteCount: UInt64, aloneCount: UInt64) {
        var count: UInt64 = 0
        var byteCount: UInt64 = 0
        var row: UInt32 = 0
        while row <= index {
            var column = index
            while column < table.it.count {
                let cell = cell(table, afterGroups: row, onGroup: column)
                count &+= cell.it.count
                byteCount &+= cell.it.byte_count
                column &+= 1
            }
            row &+= 1
        }
        return (count, byteCount, cell(table, afterGroups: index, onGroup: index).it.count)
    }
}
