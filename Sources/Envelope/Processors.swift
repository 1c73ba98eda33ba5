public import Limits

/// How many processors this process may use, and why.
public struct Processors: Equatable, Sendable {
    /// A share of processor time that a control group has.
    public struct Quota: Equatable, Sendable {
        /// Microseconds of processor time in each period.
        public var quotaMicroseconds: UInt64
        /// Microseconds of a period, above 0.
        public var periodMicroseconds: UInt64
        /// The file that says so.
        public var source: String

        /// Whole processors, the last one begun counting.
        public var processorCount: UInt64 {
            quotaMicroseconds / periodMicroseconds + (quotaMicroseconds % periodMicroseconds == 0 ? 0 : 1)
        }

        /// Hundredths of a processor.
        public var hundredths: UInt64 {
            let (product, overflow) = quotaMicroseconds.multipliedReportingOverflow(by: 100)
            return overflow ? UInt64.max : product / periodMicroseconds
        }
    }

    /// Processors that run; nil when that cannot be read.
    public var onlineCount: UInt64?
    /// Processors that the affinity of this process permits; nil when that cannot be read.
    public var affinityCount: UInt64?
    /// The smallest share that a control group grants, of the own group and those above it.
    public var quota: Quota?
    /// What could not be read.
    public var unreadables: [Unreadable] = []

    /// The fewest of all: at least 1, also when nothing can be read.
    public var count: UInt64 {
        let permitted = affinityCount ?? onlineCount ?? 1
        return max(1, min(permitted, quota?.processorCount ?? permitted))
    }

    /// Reads them now.
    public static func read(_ files: SystemFiles) -> Processors {
        var processors = Processors()
        processors.onlineCount = processors.list("/sys/devices/system/cpu/online", files) { $0 }
        processors.affinityCount = processors.list("/proc/self/status", files) { text in
            TextFields.lines(text).first { $0.hasPrefix("Cpus_allowed_list:") }
                .flatMap { TextFields.words($0).dropFirst().first }.map(String.init)
        }
        for directory in files.groups(of: .processors) { processors.addQuota(directory, files) }
        return processors
    }

    private mutating func list(_ path: String, _ files: SystemFiles, _ part: (String) -> String?) -> UInt64? {
        switch files.read(path) {
        case .missing: unreadables.append(Unreadable(path, code: SystemCode.noEntry))
        case .failed(let code): unreadables.append(Unreadable(path, code: code))
        case .text(let text):
            let line = part(text).flatMap { TextFields.lines($0).first }
            if let count = line.flatMap({ TextFields.countOfList($0) }), count > 0 { return count }
            unreadables.append(Unreadable(path, code: SystemCode.invalid))
        }
        return nil
    }

    private mutating func addQuota(_ directory: ControlGroupDirectory, _ files: SystemFiles) {
        let path: String
        let words: [String]
        switch directory.version {
        case .v2:
            path = directory.path + "/cpu.max"
            guard let text = read(path, files) else { return }
            words = TextFields.lines(text).first.map { TextFields.words($0).map(String.init) } ?? []
            if words.first == "max" { return }
        case .v1:
            path = directory.path + "/cpu.cfs_quota_us"
            guard let quota = read(path, files), let period = read(directory.path + "/cpu.cfs_period_us", files) else { return }
            words = [quota, period].map { String(TextFields.lines($0).first ?? "") }
            if words[0] == "-1" { return }
        }
        guard words.count == 2, let quota = TextFields.number(words[0]), let period = TextFields.number(words[1]), period > 0 else {
            return unreadables.append(Unreadable(path, code: SystemCode.invalid))
        }
        let found = Quota(quotaMicroseconds: quota, periodMicroseconds: period, source: path)
        if let known = self.quota, known.hundredths <= found.hundredths { return }
        self.quota = found
    }

    /// A file that need not be there: a group without the controller has none.
    private mutating func read(_ path: String, _ files: SystemFiles) -> String? {
        switch files.readWhole(path) {
        case .missing: return nil
        case .failed(let code):
            unreadables.append(Unreadable(path, code: code))
            return nil
        case .text(let text): return text
        }
    }
}

/// Safety: the table of calls is handed on for the length of a call, and outlives the value.
extension SystemFiles {
    /// What a control group bounds.
    public enum Controller: Sendable {
        /// Memory.
        case memory
        /// Processor time.
        case processors
    }

    /// The directories of this process's control groups, own first, paths with the root in them.
    public func groups(of controller: Controller) -> [ControlGroupDirectory] {
        switch controller {
        case .memory: unsafe ControlGroupDirectory.ofMemory(root: root.utf8.span, calls: calls)
        case .processors: unsafe ControlGroupDirectory.ofProcessors(root: root.utf8.span, calls: calls)
        }
    }
}
