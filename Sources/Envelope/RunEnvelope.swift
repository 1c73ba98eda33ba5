/// What was asked of a run, besides the command.
public struct RunBounds: Sendable {
    /// SKIP_CAPACITY of the command, and why it is that; nil: as it was.
    public var capacity: (bytes: UInt64, why: String)?
    /// RLIMIT_AS of the command.
    public var addressSpaceBytes: UInt64?
    /// The bound of its control group.
    public var memoryBytes: UInt64?
    /// The directory of that group, or why there is none.
    public var group: Result<String, GroupProblem>?

    /// Why there is no group.
    public struct GroupProblem: Error, Equatable, Sendable {
        /// What was tried, and what the system said.
        public var text: String
        /// Why there is no group.
        public init(_ text: String) { self.text = text }
    }

    /// Nothing is bounded.
    public init() {}
}

/// What a command used, so far or in all. What is not known is nil.
public struct RunUse: Equatable, Sendable {
    /// From the start on.
    public var elapsedMilliseconds: UInt64 = 0
    /// The largest process among the command and those that it waited for (wait4), or so far the largest seen (VmHWM).
    public var peakResidentBytes: UInt64?
    /// The largest VmPeak that was seen of one process.
    public var peakMappedBytes: UInt64?
    /// How often processes were looked at.
    public var sampleCount: UInt64 = 0
    /// The most that the command's control group held at once.
    public var groupPeakBytes: UInt64?
    /// Processor time.
    public var userMicroseconds: UInt64?
    /// Processor time in the kernel.
    public var systemMicroseconds: UInt64?

    /// Nothing is known.
    public init() {}

    /// Takes in one look at the processes of the run: what /proc/PID/status says of each.
    public mutating func add(statuses: [String]) {
        let peaks = statuses.compactMap { TextFields.bytes(afterKibibytes: "VmPeak:", in: $0) }
        guard let mapped = peaks.max() else { return }
        sampleCount += 1
        peakMappedBytes = max(mapped, peakMappedBytes ?? 0)
        if let resident = statuses.compactMap({ TextFields.bytes(afterKibibytes: "VmHWM:", in: $0) }).max() {
            peakResidentBytes = max(resident, peakResidentBytes ?? 0)
        }
    }
}

/// The report of a run: what surrounded it before, and what came of it.
public struct RunEnvelope: Sendable {
    /// The words of the command.
    public var command: [String]
    /// What was asked.
    public var bounds: RunBounds
    /// The moment before the start.
    public var before: Surroundings
    /// Seconds since 1970 of that moment.
    public var startSeconds: UInt64

    /// The report of a run that is about to start.
    public init(command: [String], bounds: RunBounds, before: Surroundings, startSeconds: UInt64) {
        self.command = command
        self.bounds = bounds
        self.before = before
        self.startSeconds = startSeconds
    }

    /// The first block.
    public var firstBlock: String {
        var lines = ["--- cistern run: before, \(UTCTime.text(startSeconds))"]
        lines.append(label("command", command.map(printable).joined(separator: " ")))
        lines += before.envelopeLines
        if let capacity = bounds.capacity { lines.append(label("SKIP_CAPACITY", "\(ByteCountText.both(capacity.bytes)), \(capacity.why)")) }
        if let bytes = bounds.addressSpaceBytes { lines.append(label("RLIMIT_AS", "\(ByteCountText.both(bytes)) for the command")) }
        if let bytes = bounds.memoryBytes {
            switch bounds.group {
            case .success(let path): lines.append(label("memory bound", "\(ByteCountText.both(bytes)) in \(path)"))
            case .failure(let problem): lines.append(label("memory bound", "none: \(problem.text)"))
            case nil: lines.append(label("memory bound", ByteCountText.both(bytes)))
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The block of a run that goes on.
    public func runningBlock(_ use: RunUse, _ evidence: KillEvidence) -> String {
        let lines = ["--- cistern run: running, \(UTCTime.text(startSeconds + use.elapsedMilliseconds / 1000))"]
        return (lines + useLines(use) + killLines(evidence)).joined(separator: "\n") + "\n"
    }

    /// The last block.
    public func lastBlock(_ end: CommandEnd, _ use: RunUse, _ evidence: KillEvidence) -> String {
        var lines = ["--- cistern run: after, \(UTCTime.text(startSeconds + use.elapsedMilliseconds / 1000))"]
        let verdict = Verdict.of(end, evidence)
        switch end {
        case .exited(let code): lines.append(label("exit code", "\(code)"))
        case .signalled(let signal): lines.append(label("ended by", SignalName.text(signal)))
        }
        if let sentence = verdict.sentence(end, evidence) { lines.append(label("verdict", sentence)) }
        return (lines + useLines(use) + killLines(evidence)).joined(separator: "\n") + "\n"
    }

    private func useLines(_ use: RunUse) -> [String] {
        var lines = [label("elapsed", "\(ByteCountText.thousandths(use.elapsedMilliseconds)) s")]
        let isDone = use.userMicroseconds != nil
        if let user = use.userMicroseconds, let system = use.systemMicroseconds {
            let times = [user, system].map { ByteCountText.thousandths($0 / 1000) }
            lines.append(label("cpu time", "\(times[0]) s user, \(times[1]) s system"))
        }
        let resident = use.peakResidentBytes.map { ByteCountText.both($0) } ?? "unknown"
        lines.append(label("peak resident", resident + (isDone ? ", the largest process (wait4)" : ", so far (VmHWM)")))
        let mapped = use.peakMappedBytes.map {
            "at least \(ByteCountText.both($0)), the largest process seen (VmPeak, looked at \(use.sampleCount) times)"
        }
        lines.append(label("peak mapped", mapped ?? "unknown: it ended before VmPeak could be looked at"))
        if let bytes = use.groupPeakBytes {
            lines.append(label("peak of group", "\(ByteCountText.both(bytes)), all processes and their files' pages"))
        }
        return lines
    }

    private func killLines(_ evidence: KillEvidence) -> [String] {
        if let proof = evidence.proof { return [label("memory kill", "yes: \(proof)")] }
        return [label("memory kill", "none proven: \(evidence.remarks.joined(separator: "; "))")]
    }
}

extension ByteCountText {
    /// Thousandths with a point: `1.250`.
    static func thousandths(_ value: UInt64) -> String {
        let rest = "\(value % 1000)"
        return "\(value / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
    }
}

/// Points in time as text.
public enum UTCTime {
    /// Seconds since 1970 as `2026-01-31T23:59:59Z`, by the proleptic Gregorian calendar.
    public static func text(_ seconds: UInt64) -> String {
        let (days, rest) = (seconds / 86400, seconds % 86400)
        // Years that begin in March, so that a leap day is the last one; 719468 days before 1970 such a 400-year era began.
        let shifted = days + 719_468
        let (era, dayOfEra) = (shifted / 146_097, shifted % 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        let parts = [month, day, rest / 3600, rest / 60 % 60, rest % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return "\(year)-\(parts[0])-\(parts[1])T\(parts[2]):\(parts[3]):\(parts[4])Z"
    }
}
