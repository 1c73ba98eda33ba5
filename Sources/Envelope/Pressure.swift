/// How long tasks waited for a resource, as the kernel's pressure files say.
public struct Pressure: Equatable, Sendable {
    /// Shares of time, in hundredths of a percent, and their sum.
    public struct Line: Equatable, Sendable {
        /// Over 10 seconds.
        public var average10: UInt64
        /// Over 60 seconds.
        public var average60: UInt64
        /// Over 300 seconds.
        public var average300: UInt64
        /// Microseconds since the start.
        public var totalMicroseconds: UInt64
    }

    /// `memory`, `cpu` or `io`.
    public var resource: String
    /// The file.
    public var source: String
    /// At least one task waited.
    public var some: Line?
    /// All tasks waited at once.
    public var full: Line?

    /// Reads the text of a pressure file; nil when it has neither line.
    public static func parse(_ text: String, resource: String, source: String) -> Pressure? {
        var pressure = Pressure(resource: resource, source: source)
        for line in TextFields.lines(text) {
            let words = TextFields.words(line)
            guard let first = words.first, let parsed = parse(words.dropFirst()) else { continue }
            if first == "some" { pressure.some = parsed }
            if first == "full" { pressure.full = parsed }
        }
        return pressure.some == nil && pressure.full == nil ? nil : pressure
    }

    private static func parse(_ words: ArraySlice<Substring>) -> Line? {
        var values: [Substring: Substring] = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        guard let ten = values["avg10"].flatMap({ TextFields.hundredths($0) }),
            let sixty = values["avg60"].flatMap({ TextFields.hundredths($0) }),
            let threeHundred = values["avg300"].flatMap({ TextFields.hundredths($0) }),
            let total = values["total"].flatMap({ TextFields.number($0) })
        else { return nil }
        return Line(average10: ten, average60: sixty, average300: threeHundred, totalMicroseconds: total)
    }

    /// Reads the machine's pressure and that of the own control group, where there is one. A kernel without pressure figures
    /// has no such files, and none is then unreadable.
    public static func read(_ files: SystemFiles) -> (pressures: [Pressure], unreadables: [Unreadable]) {
        var sources = ["memory", "cpu", "io"].map { ($0, files.root + "/proc/pressure/\($0)") }
        if let own = files.groups(of: .memory).first(where: { $0.version == .v2 && $0.level == 0 }) {
            sources.append(("memory", own.path + "/memory.pressure"))
        }
        var pressures: [Pressure] = []
        var unreadables: [Unreadable] = []
        for (resource, source) in sources {
            switch files.readWhole(source) {
            case .missing: break
            case .failed(let code): unreadables.append(Unreadable(source, code: code))
            case .text(let text):
                if let pressure = parse(text, resource: resource, source: source) {
                    pressures.append(pressure)
                } else {
                    unreadables.append(Unreadable(source, code: SystemCode.invalid))
                }
            }
        }
        return (pressures, unreadables)
    }
}
