import CTicks
import HeapCore

// Safety: see RegionDirectory.swift.

// Limits are looked at per group of pins, never per reader: each group keeps the earliest moment at which a member of its can
// be over a limit. Only when that has come are the readers looked at, and the moments computed anew.
extension RegionDirectory {
    /// The bounds that hold for a reader. A durable one has none but its own.
    private func limits(of reader: Ref<cistern_reader>) -> ReaderLimits {
        if reader.it.limits != 0 { return ReaderLimits(at(reader.it.limits, cistern_reader_limits.self).it) }
        return hasFlag(CISTERN_READER_IS_DURABLE, reader) ? .none : ReaderLimits(header.it.reader_limits)
    }

    private func oldestPin(_ reader: Ref<cistern_reader>) -> UInt64 {
        let stored = reader.it.registered_stored
        let acknowledged = reader.it.registered_acknowledged
        return stored != 0 && stored < acknowledged ? stored : acknowledged
    }

    /// Tells the group of a reader's oldest pin when it has to look at it.
    func setDeadlines(_ reader: Ref<cistern_reader>) {
        guard header.it.policy == RetentionPolicy.expireOffender.rawValue else { return }
        let oldest = oldestPin(reader)
        guard oldest != 0, let index = groupIndex(markers, of: oldest) else { return }
        let limits = limits(of: reader)
        let group = group(markers, index)
        if mayExpire(reader) { group.it.member_marks |= UInt16(CISTERN_GROUP_MAY_EXPIRE.rawValue) } else { markMustStay(reader) }
        group.it.lag_deadline = min(group.it.lag_deadline, Self.sum(oldest, limits.lagTicks))
        group.it.age_deadline = min(group.it.age_deadline, Self.sum(behindSince(reader), limits.age))
        group.it.held_count_limit = min(group.it.held_count_limit, limits.heldCount)
        group.it.held_byte_limit = min(group.it.held_byte_limit, limits.heldBytes)
    }

    /// A durable reader does only over limits of its own.
    private func mayExpire(_ reader: Ref<cistern_reader>) -> Bool {
        !hasFlag(CISTERN_READER_IS_DURABLE, reader) || reader.it.limits != 0
    }

    private func markMustStay(_ reader: Ref<cistern_reader>) {
        markMustStay(reader.it.registered_acknowledged)
        markMustStay(reader.it.registered_delivered)
        markMustStay(reader.it.registered_stored)
    }

    @inline(never)
    private func markMustStay(_ pin: UInt64) {
        guard pin != 0, let index = groupIndex(markers, of: pin) else { return }
        group(markers, index).it.member_marks |= UInt16(CISTERN_GROUP_MUST_STAY.rawValue)
    }

    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, isOver) = left.addingReportingOverflow(right)
        return isOver ? .max : sum
    }

    /// Warns readers that are over a limit, and expires those that were over one at the boundary before.
    func enforceLimits(_ report: inout SealReport) {
        guard header.it.policy == RetentionPolicy.expireOffender.rawValue else { return }
        if report.retainedCount > 0 { header.it.total_is_stuck = 0 }
        let isOverTotal = isOverTotalLimit && header.it.total_is_stuck == 0
        guard header.it.has_over_limit != 0 || isOverTotal || isAnyGroupDue() else { return }
        header.it.has_over_limit = 0
        for index in 0..<markers.it.count { clearDeadlines(group(markers, index)) }
        var expired: UInt64 = 0
        var lagging: UInt64 = 0
        forEachReader { reader, _ in
            guard reader.it.registered_acknowledged != 0 else { return }
            setDeadlines(reader)
            guard let reason = violation(reader) else {
                if !isOverTotal { changeState(reader, to: CISTERN_READER_ACTIVE) }
                return
            }
            if warnOrExpire(reader, reason) { expired &+= 1 } else { lagging &+= 1 }
        }
        report.expiredCount &+= expired
        report.laggingCount &+= lagging
        if isOverTotal { enforceTotal(&report) }
    }

    private var isOverTotalLimit: Bool {
        markers.it.held_count > header.it.total_held_count_limit || markers.it.held_byte_count > header.it.total_held_byte_limit
    }

    private func isAnyGroupDue() -> Bool {
        let open = openNumber
        var heldIsBounded = false
        for index in 0..<markers.it.count {
            let group = group(markers, index)
            if open > group.it.lag_deadline || header.it.time > group.it.age_deadline { return true }
            if group.it.held_count_limit != .max || group.it.held_byte_limit != .max { heldIsBounded = true }
        }
        guard heldIsBounded else { return false }
        // Group by group: what the next one needs is what this one does, less its column, plus the next row.
        var count: UInt64 = 0
        var byteCount: UInt64 = 0
        for index in 0..<markers.it.count {
            for column in index..<markers.it.count {
                let cell = cell(markers, afterGroups: index, onGroup: column)
                count &+= cell.it.count
                byteCount &+= cell.it.byte_count
            }
            let group = group(markers, index)
            if count > group.it.held_count_limit || byteCount > group.it.held_byte_limit { return true }
            for row in 0...index {
                let cell = cell(markers, afterGroups: row, onGroup: index)
                count &-= cell.it.count
                byteCount &-= cell.it.byte_count
            }
        }
        return false
    }

    @inline(never)
    private func violation(_ reader: Ref<cistern_reader>) -> ResyncReason? {
        let limits = limits(of: reader)
        let oldest = oldestPin(reader)
        if openNumber > Self.sum(oldest, limits.lagTicks) { return .lag }
        if header.it.time > Self.sum(behindSince(reader), limits.age) { return .age }
        guard limits.heldCount != .max || limits.heldBytes != .max, let index = groupIndex(markers, of: oldest) else { return nil }
        let held = held(markers, byGroup: index)
        if held.count > limits.heldCount { return .heldCount }
        return held.byteCount > limits.heldBytes ? .heldBytes : nil
    }

    private func changeState(_ reader: Ref<cistern_reader>, to state: cistern_reader_state) {
        if readerState(reader) != state.rawValue { _ = unsafe cistern_reader_state_change(reader.pointer, state.rawValue) }
    }

    /// True when the reader expired; false when it was warned.
    @inline(never)
    private func warnOrExpire(_ reader: Ref<cistern_reader>, _ reason: ResyncReason) -> Bool {
        guard readerState(reader) == CISTERN_READER_LAGGING.rawValue else {
            changeState(reader, to: CISTERN_READER_LAGGING)
            header.it.has_over_limit = 1
            return false
        }
        // One that was cancelled meanwhile goes at the next look at the notes.
        guard unsafe cistern_reader_state_change(reader.pointer, CISTERN_READER_EXPIRED.rawValue) else { return false }
        reader.it.resync_reason = reason.rawValue
        unregisterPins(reader)
        header.it.expired_total &+= 1
        return true
    }

    /// Of the readers that may expire, those of the pin whose going frees most at once; where none frees anything at once, of
    /// the oldest that holds something together with no other but such. Nil when nothing can be let go.
    @inline(never)
    private func groupToExpire(passed: UInt64) -> UInt32? {
        var best: UInt32?
        var most: UInt64 = 0
        for index in 0..<markers.it.count where isCandidate(index, passed) {
            let alone = cell(markers, afterGroups: index, onGroup: index).it.count
            if alone > most {
                best = index
                most = alone
            }
        }
        if best != nil { return best }
        for index in 0..<markers.it.count where isCandidate(index, passed) && holdsWithCandidatesOnly(index) { return index }
        return nil
    }

    private func isCandidate(_ index: UInt32, _ passed: UInt64) -> Bool {
        let group = group(markers, index)
        return group.it.member_marks == UInt16(CISTERN_GROUP_MAY_EXPIRE.rawValue) && passed & (1 << UInt64(group.it.column)) == 0
    }

    /// Is there a tombstone that this group needs, and none that has to stay?
    private func holdsWithCandidatesOnly(_ index: UInt32) -> Bool {
        let mustStay = UInt16(CISTERN_GROUP_MUST_STAY.rawValue)
        var first = index
        while first > 0, group(markers, first &- 1).it.member_marks & mustStay == 0 { first &-= 1 }
        for row in first...index {
            var column = index
            while column < markers.it.count, group(markers, column).it.member_marks & mustStay == 0 {
                if cell(markers, afterGroups: row, onGroup: column).it.count != 0 { return true }
                column &+= 1
            }
        }
        return false
    }

    /// As long as all together hold too much and something can be let go. A reader that stands with what has to stay is not
    /// made to pay for that.
    @inline(never)
    private func enforceTotal(_ report: inout SealReport) {
        var passed: UInt64 = 0
        while isOverTotalLimit {
            guard let best = groupToExpire(passed: passed) else {
                header.it.total_is_stuck = passed == 0 ? 1 : 0
                return
            }
            passed |= 1 << UInt64(group(markers, best).it.column)
            let (low, high) = (group(markers, best).it.low, group(markers, best).it.high)
            var expired: UInt64 = 0
            var lagging: UInt64 = 0
            forEachReader { reader, _ in
                let oldest = oldestPin(reader)
                guard oldest >= low, oldest <= high, oldest != 0, mayExpire(reader) else { return }
                if warnOrExpire(reader, .retention) { expired &+= 1 } else { lagging &+= 1 }
            }
            report.expiredCount &+= expired
            report.laggingCount &+= lagging
            if lagging > 0 { return }
        }
    }
}
