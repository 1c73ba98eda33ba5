import CReplay
import Glibc

// Safety: the watch gets a list of texts that lives for the call and ends in nil.

/// `cistern-bench handover`: how much a parent with a dead heap and its child take together, at the worst moment.
struct HandOverCommand {
    let options: Options

    static let deadBytes: UInt64 = 400 << 20
    static let childBytes: UInt64 = 100 << 20
    private static let target = 1.05
    private static let sampleMilliseconds: UInt32 = 10

    /// What one run came to.
    private struct Peak {
        var bytes: UInt64
        var sampledBytes: UInt64
        var milliseconds: Double
    }

    /// Returns the exit code: 1 when a ratio is above its target.
    func run(_ machine: Machine) throws(BenchError) -> Int32 {
        let repetitions = options.repetitions ?? (options.isQuick ? 1 : 5)
        var usesGroup = false
        if !options.usesSamplesOnly, let probe = MemoryGroup.make("cistern-handover-\(getpid())") {
            probe.remove()
            usesGroup = true
        }
        var peaks: [String: [Peak]] = [:]
        var method = "sum of PSS sampled every \(Self.sampleMilliseconds) ms"
        for number in 0..<repetitions {
            for (name, arguments) in Self.runs {
                let (peak, how) = try measure("cistern-handover-\(getpid())-\(number)-\(name)", arguments, usesGroup: usesGroup)
                peaks[name, default: []].append(peak)
                method = how ?? method
            }
        }
        let (rows, context) = figures(peaks, method, repetitions)
        for row in context + rows { print(row.line) }
        let report = TargetRow.document(machine, rows, [("context", .list(context.map(\.json)))])
        if let path = options.jsonPath { try System.writeFile(path, report.page) }
        return TargetRow.verdict(rows)
    }

    /// Name and arguments of each run: the two alone, and every way of starting one from the other.
    private static var runs: [(String, [String])] {
        [("child", [HandOverChild.childName, "\(childBytes)"])]
            + HandOverChild.Way.allCases.map {
                ($0 == .alone ? "parent" : $0.rawValue, [HandOverChild.parentName, $0.rawValue, "\(deadBytes)", "\(childBytes)"])
            }
    }

    private func figures(_ peaks: [String: [Peak]], _ method: String, _ repetitions: Int) -> (rows: [TargetRow], context: [TargetRow]) {
        func median(_ name: String, _ figure: (Peak) -> Double) -> Double {
            Statistics.median((peaks[name] ?? []).map(figure)) ?? .nan
        }
        let how = "\(method), median of \(repetitions)"
        let sampled = "sum of PSS sampled every \(Self.sampleMilliseconds) ms, median of \(repetitions)"
        let larger = max(median("parent") { Double($0.bytes) }, median("child") { Double($0.bytes) })
        func ratio(_ name: String, target: Double?) -> TargetRow {
            TargetRow(
                name: "handover.\(name).ratio", value: median(name) { Double($0.bytes) } / larger, unit: "ratio", target: target,
                method: "peak of both together over the larger of the two alone; \(how)")
        }
        var context: [TargetRow] = []
        for (name, _) in Self.runs {
            context.append(
                TargetRow(name: "handover.\(name).peak", value: median(name) { Double($0.bytes) } / 1e6, unit: "MB", method: how))
        }
        for (name, _) in Self.runs where !method.hasPrefix("sum") {
            context.append(
                TargetRow(
                    name: "handover.\(name).sampled", value: median(name) { Double($0.sampledBytes) } / 1e6, unit: "MB", method: sampled))
        }
        for (name, _) in Self.runs {
            context.append(
                TargetRow(name: "handover.\(name).time", value: median(name, \.milliseconds), unit: "ms", method: "start to end"))
        }
        context.append(ratio("plain", target: nil))
        return ([ratio("release", target: Self.target), ratio("exec", target: Self.target)], context)
    }

    /// One run, in a group of its own where there can be one. Returns also how it was measured, when by a group.
    private func measure(_ name: String, _ arguments: [String], usesGroup: Bool) throws(BenchError) -> (Peak, method: String?) {
        guard let program = System.executablePath() else { throw BenchError("/proc/self/exe does not tell this program's path") }
        let group = usesGroup ? MemoryGroup.make(name) : nil
        defer { group?.remove() }
        if usesGroup && group == nil { throw BenchError("a control group could be made once and not again") }
        let outcome = watch([program] + arguments, groupFile: group?.processesFile)
        guard outcome.error == 0, outcome.exit_code == 0 else {
            throw BenchError(
                "handover: \(arguments.joined(separator: " ")): errno \(outcome.error), exit code \(outcome.exit_code), "
                    + "signal \(outcome.signal)")
        }
        let bytes = group?.peakBytes ?? outcome.peak_proportional_bytes
        let peak = Peak(
            bytes: bytes, sampledBytes: outcome.peak_proportional_bytes, milliseconds: Double(outcome.nanoseconds) / 1e6)
        return (peak, group?.method)
    }

    private func watch(_ arguments: [String], groupFile: String?) -> creplay_watch_outcome {
        var list: [UnsafePointer<CChar>?] = unsafe arguments.map { unsafe UnsafePointer(strdup($0)) }
        unsafe list.append(nil)
        let group = unsafe groupFile.map { unsafe strdup($0) } ?? nil
        defer {
            for index in unsafe list.indices { unsafe free(UnsafeMutablePointer(mutating: list[index])) }
            unsafe free(group)
        }
        return unsafe list.withUnsafeBufferPointer { list in
            var watch = unsafe creplay_watch(
                arguments: list.baseAddress!, group_file: group, interval_milliseconds: Self.sampleMilliseconds)
            return unsafe creplay_watch_program(&watch)
        }
    }
}
