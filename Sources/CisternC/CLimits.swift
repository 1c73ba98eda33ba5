import CCistern
import Limits

// Safety: the arrays of cistern_memory_limits are written by their first element's address and their capacity, which the core's own
// limits are not above.

extension MemoryLimit {
    /// nil for CISTERN_MEMORY_LIMIT_NONE and for kinds that are not known.
    init?(_ given: cistern_memory_limit) {
        guard given.kind > 0, let kind = Kind(rawValue: given.kind - 1) else { return nil }
        self.init(kind: kind, valueBytes: given.value_bytes, availableBytes: given.available_bytes, level: given.level)
    }
}

extension cistern_memory_limit {
    init(_ limit: MemoryLimit?) {
        self.init()
        guard let limit else { return }
        kind = limit.kind.rawValue + 1
        level = limit.level
        value_bytes = limit.valueBytes
        available_bytes = limit.availableBytes
    }
}

extension CapacityChoice {
    init?(_ given: cistern_capacity_choice) {
        guard let source = Capacity.Source(rawValue: given.source) else { return nil }
        let reason: Reason
        switch given.reason {
        case UInt32(CISTERN_REASON_GIVEN): reason = .given
        case UInt32(CISTERN_REASON_DEFAULT): reason = .byDefault
        default:
            guard given.reason == UInt32(CISTERN_REASON_LIMIT), let limit = MemoryLimit(given.limit) else { return nil }
            reason = .limit(limit)
        }
        self.init(bytes: given.bytes, source: source, reason: reason, exceeds: MemoryLimit(given.exceeded))
    }
}

extension cistern_capacity_choice {
    init(_ choice: CapacityChoice, mayShrink: Bool) {
        self.init()
        bytes = choice.bytes
        source = choice.source.rawValue
        switch choice.reason {
        case .given: reason = UInt32(CISTERN_REASON_GIVEN)
        case .byDefault: reason = UInt32(CISTERN_REASON_DEFAULT)
        case .limit(let limit):
            reason = UInt32(CISTERN_REASON_LIMIT)
            self.limit = cistern_memory_limit(limit)
        }
        may_shrink = mayShrink
        exceeded = cistern_memory_limit(choice.exceeds)
    }
}

/// `cistern_memory_limits_read`; cistern.h says what it does and what can fail.
@c(cistern_memory_limits_read)
public func cisternMemoryLimitsRead(_ limits: UnsafeMutablePointer<cistern_memory_limits>?) -> UInt32 {
    guard unsafe isSized(limits) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let read = MemoryLimits.current()
    var result = cistern_memory_limits()
    result.count = UInt32(read.count)
    result.omitted_count = UInt32(read.omittedCount)
    result.unreadable_count = UInt32(read.unreadableCount)
    result.tightest = cistern_memory_limit(read.tightest)
    unsafe withUnsafeMutableBytes(of: &result.limits) { array in
        for index in 0..<read.count { unsafe array.bindMemory(to: cistern_memory_limit.self)[index] = cistern_memory_limit(read[index]) }
    }
    unsafe withUnsafeMutableBytes(of: &result.unreadable) { array in
        for index in 0..<read.unreadableCount {
            let unreadable = read.unreadable(at: index)
            var entry = cistern_unreadable_limit()
            entry.subject = unreadable.subject.rawValue
            entry.level = unreadable.level
            entry.code = unreadable.code
            unsafe array.bindMemory(to: cistern_unreadable_limit.self)[index] = entry
        }
    }
    unsafe give(&result, to: limits)
    return CISTERN_OK.rawValue
}
