public import Limits

/// How many jobs of one size fit at once, and what decides that.
public struct JobCount: Equatable, Sendable {
    /// What kept the number from being larger.
    public enum Reason: Equatable, Sendable {
        /// There are no more processors.
        case processors
        /// A further job would not fit the limit.
        case limit(MemoryLimit)
        /// Not even one fits; one is still the answer, because something has to run.
        case tooLarge(MemoryLimit)
    }

    /// At least 1.
    public var count: UInt64
    /// What decided.
    public var reason: Reason

    /// max(1, min(processors, 0.95 x limit / size)). The limit counts as what is there: the rest of RLIMIT_AS, and the machine's
    /// memory without rounding it up. RLIMIT_AS and RLIMIT_DATA bound each process by itself; here they count for all jobs
    /// together, which errs to the safe side.
    /// - Parameters:
    ///   - eachBytes: of one job, above 0; 0 counts as 1.
    ///   - processorCount: 0 counts as 1.
    ///   - tightest: nil when no limit is known: the processors decide.
    public static func of(eachBytes: UInt64, processorCount: UInt64, tightest: MemoryLimit?) -> JobCount {
        let processors = max(1, processorCount)
        guard let tightest else { return JobCount(count: processors, reason: .processors) }
        let limitBytes = min(tightest.availableBytes, tightest.valueBytes)
        // 0.95 of it, without a product that could be too large.
        let budget = limitBytes - limitBytes / 20
        let fitting = budget / max(1, eachBytes)
        if fitting == 0 { return JobCount(count: 1, reason: .tooLarge(tightest)) }
        if fitting < processors { return JobCount(count: fitting, reason: .limit(tightest)) }
        return JobCount(count: processors, reason: .processors)
    }
}
