extension Surroundings {
    /// What `cistern limits` prints: a table of limits, then one line for each of the rest.
    public var page: String {
        var lines = LimitTable.lines(limits)
        lines += machineLines(labelled: ["overcommit", "memory", "swap", "cpus", "pressure"])
        lines += unreadables.map { label("not read", $0.line) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What an envelope begins with.
    public var envelopeLines: [String] {
        machineLines(labelled: ["kernel", "cpus", "memory", "swap", "disk free", "overcommit", "pressure"])
            + limits.readings.map { reading in
                let use = reading.inUseBytes.map { ", \(ByteCountText.both($0)) in use" } ?? ""
                let mark = reading.isTightest ? ", the tightest" : ""
                return label("limit", "\(reading.name) \(ByteCountText.both(reading.limit.valueBytes))\(use)\(mark); \(reading.source)")
            }
            + (limits.absent.isEmpty ? [] : [label("no limit", limits.absent.joined(separator: ", "))])
            + unreadables.map { label("not read", $0.line) }
    }

    private func machineLines(labelled labels: [String]) -> [String] {
        labels.flatMap { name in values(of: name).map { label(name, $0) } }
    }

    private func values(of name: String) -> [String] {
        switch name {
        case "kernel": [kernel]
        case "cpus": [processorText]
        case "memory":
            ["\(amount(memory.totalBytes)) in all, \(amount(memory.availableBytes)) available"]
        case "swap": ["\(amount(memory.swapTotalBytes)) in all, \(amount(memory.swapFreeBytes)) free"]
        case "disk free":
            disks.map { "\(ByteCountText.both($0.freeBytes)) of \(ByteCountText.both($0.totalBytes)) at \(printable($0.path))" }
        case "overcommit":
            [memory.overcommitMode.map { "mode \($0), \(memory.overcommitName)" } ?? memory.overcommitName]
        case "pressure": pressures.map(pressureText)
        default: []
        }
    }

    private var processorText: String {
        var text = "\(processors.count)"
        let parts = [
            processors.affinityCount.map { "affinity \($0)" }, processors.onlineCount.map { "online \($0)" },
            processors.quota.map { "quota \(ByteCountText.hundredths($0.hundredths)) in \($0.source)" },
        ].compactMap { $0 }
        if !parts.isEmpty { text += " (\(parts.joined(separator: ", ")))" }
        return text
    }

    private func pressureText(_ pressure: Pressure) -> String {
        let lines = [("some", pressure.some), ("full", pressure.full)].compactMap { name, line in
            line.map { line in
                let averages = [line.average10, line.average60, line.average300].map(ByteCountText.hundredths)
                return "\(name) \(averages.joined(separator: "/")) %"
            }
        }
        return "\(pressure.resource): \(lines.joined(separator: ", ")) of 10/60/300 s; \(pressure.source)"
    }

    private func amount(_ byteCount: UInt64?) -> String { byteCount.map { ByteCountText.both($0) } ?? "unknown" }
}

/// A line of an envelope: a label in a column, then its value.
func label(_ label: String, _ value: String) -> String {
    label + String(repeating: " ", count: max(1, 15 - label.utf8.count)) + value
}

/// The limits in columns.
enum LimitTable {
    static func lines(_ report: LimitReport) -> [String] {
        let heads = ["limit", "bytes", "in use", "left", "read from"]
        let rows = report.readings.map { reading in
            [
                (reading.isTightest ? "* " : "  ") + reading.name, "\(reading.limit.valueBytes)", number(reading.inUseBytes),
                number(reading.leftBytes), reading.source,
            ]
        }
        let all = [["  " + heads[0]] + heads.dropFirst()] + rows
        let widths = (0..<4).map { column in all.map { $0[column].count }.max() ?? 0 }
        var lines = all.map { row in
            let first = padded(row[0], widths[0], toTheRight: false)
            return ([first] + (1..<4).map { padded(row[$0], widths[$0], toTheRight: true) } + [row[4]]).joined(separator: "  ")
        }
        if let tightest = report.tightest, let reading = report.readings.first(where: \.isTightest) {
            let rest = tightest.availableBytes == tightest.valueBytes ? "" : ", counts as \(tightest.availableBytes)"
            lines.append(label("tightest", "\(reading.name) \(tightest.valueBytes)\(rest)"))
        } else if let tightest = report.tightest {
            lines.append(label("tightest", "\(tightest.description), not listed"))
        } else {
            lines.append(label("tightest", "none is known"))
        }
        if report.omittedCount > 0 { lines.append(label("not listed", "\(report.omittedCount) more limits")) }
        if !report.absent.isEmpty { lines.append(label("no limit", report.absent.joined(separator: ", "))) }
        return lines
    }

    private static func number(_ value: UInt64?) -> String { value.map { "\($0)" } ?? "?" }

    private static func padded(_ text: String, _ width: Int, toTheRight: Bool) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.count))
        return toTheRight ? blanks + text : text + blanks
    }
}
