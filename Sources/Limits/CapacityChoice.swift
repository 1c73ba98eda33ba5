/// The capacity that a heap is created with, and why.
public struct CapacityChoice: Equatable, Sendable {
    /// Why the capacity is what it is.
    public enum Reason: Equatable, Sendable {
        /// Somebody gave the number; it is never made smaller.
        case given
        /// Nobody asked, and 16 GiB fit, or nothing is known about limits.
        case byDefault
        /// It was computed from this limit.
        case limit(MemoryLimit)
    }

    /// Bytes.
    public var bytes: UInt64
    /// Where it came from.
    public var source: Capacity.Source
    /// Why it is this number.
    public var reason: Reason
    /// The tightest limit that lies below a given capacity. Such a heap may still start, because a reservation is not use.
    public var exceeds: MemoryLimit?

    /// A capacity and why.
    public init(bytes: UInt64, source: Capacity.Source, reason: Reason, exceeds: MemoryLimit? = nil) {
        self.bytes = bytes
        self.source = source
        self.reason = reason
        self.exceeds = exceeds
    }
}

extension Capacity {
    /// How much of a limit a heap may take and leave room for the rest of the process: three quarters from 2 GiB on, all but
    /// 512 MiB from 1 GiB on, half below. Continuous and never decreasing.
    /// - `limitBytes`: any number of bytes.
    public static func fit(_ limitBytes: UInt64) -> UInt64 {
        if limitBytes >= 2 << 30 { return limitBytes - limitBytes / 4 }
        if limitBytes >= 1 << 30 { return limitBytes - 512 << 20 }
        return limitBytes / 2
    }

    /// The capacity for a limit: the smaller of 16 GiB and `fit`, less `reservedBytes`, a multiple of 2 MiB; at least 1 MiB.
    public static func fitted(_ limitBytes: UInt64, less reservedBytes: UInt64 = 0) -> UInt64 {
        let whole = min(defaultBytes, fit(limitBytes))
        return stepped(whole > reservedBytes ? whole - reservedBytes : 0)
    }

    /// Rounded down to 2 MiB, but not below the least.
    private static func stepped(_ bytes: UInt64) -> UInt64 {
        max(bytes - bytes % fittedStepBytes, smallestFittedBytes)
    }

    /// 16 MiB: nothing is made smaller than this because of a refusal.
    static var smallestShrunkBytes: UInt64 { 16 << 20 }

    /// What to try after the system refused a fitted capacity: less by an eighth, a multiple of 2 MiB, and at least 16 MiB; nil when
    /// it cannot be less.
    public static func shrunk(_ bytes: UInt64) -> UInt64? {
        guard bytes > smallestShrunkBytes else { return nil }
        let less = bytes - bytes / 8
        return max(less - less % fittedStepBytes, smallestShrunkBytes)
    }

    /// Chooses the capacity: a given one stays as it is, a default becomes what fits.
    /// - `tightest`: the tightest limit, as `MemoryLimits.tightest` says it; nil when none is known.
    /// - `fitsDefault`: false leaves a default at 16 GiB even where that does not fit.
    public static func choose(
        _ resolved: ResolvedCapacity, tightest: MemoryLimit?, fitsDefault: Bool = true
    ) -> CapacityChoice {
        if resolved.source == .default, fitsDefault {
            return choose(.fit, source: .default, tightest: tightest)
        }
        let reason: CapacityChoice.Reason = resolved.source == .default ? .byDefault : .given
        return chosen(resolved.bytes, resolved.source, reason, tightest)
    }

    /// Chooses the capacity that a text of the wider grammar asks for. Where no limit is known, 16 GiB stand for it.
    public static func choose(
        _ request: CapacityRequest, source: Source = .api, tightest: MemoryLimit?
    ) -> CapacityChoice {
        let bytes: UInt64
        switch request {
        case .bytes(let given): return chosen(given, source, .given, tightest)
        case .percentOfLimit(let percent):
            let whole = tightest?.availableBytes ?? defaultBytes
            // Hundreds and rest apart: neither product can be more than the whole.
            let part = min(percent, 100)
            bytes = stepped(whole / 100 * part + whole % 100 * part / 100)
        case .fit: bytes = fit(under: tightest, less: 0)
        case .fitLess(let reserved): bytes = fit(under: tightest, less: reserved)
        }
        guard let tightest, request != .fit || bytes < defaultBytes else {
            return CapacityChoice(bytes: bytes, source: source, reason: .byDefault)
        }
        return CapacityChoice(bytes: bytes, source: source, reason: .limit(tightest))
    }

    private static func fit(under tightest: MemoryLimit?, less reserved: UInt64) -> UInt64 {
        guard let tightest else { return stepped(defaultBytes > reserved ? defaultBytes - reserved : 0) }
        return fitted(tightest.availableBytes, less: reserved)
    }

    private static func chosen(
        _ bytes: UInt64, _ source: Source, _ reason: CapacityChoice.Reason, _ tightest: MemoryLimit?
    ) -> CapacityChoice {
        var choice = CapacityChoice(bytes: bytes, source: source, reason: reason)
        if let tightest, bytes > tightest.availableBytes { choice.exceeds = tightest }
        return choice
    }
}
