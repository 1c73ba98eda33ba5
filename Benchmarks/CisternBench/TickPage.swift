import Cistern

/// One page: tombstones retained over time by a stuck and a fast reader, under both modes; the figures; the machine.
struct TickPage {
    let suite: TickSuite
    let machine: Machine
    let rows: [TickRow]

    private static let width = 900.0
    private static let height = 320.0

    func text() throws(BenchError) -> String {
        let live = max(100, suite.batchSize / 100)
        let horizon = try TickSuite.churn(mode: .horizon, live: live, removals: suite.batchSize, samples: 100)
        let interval = try TickSuite.churn(mode: .interval, live: live, removals: suite.batchSize, samples: 100)
        let list = machine.members.map { "<li>\(HTMLText.escaped($0.0)): \(HTMLText.escaped($0.1.line))</li>" }.joined(separator: "\n")
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
            <title>cistern-bench ticks</title><style>\(PageStyle.common)\(PageStyle.charts)\(Self.style)</style></head><body>
            <h1>Tombstones retained</h1>
            <p class="lead">\(live) regions are alive; each one that is removed is replaced at once. One reader stands still from the
            beginning, one keeps up. A heap that keeps all tombstones since the slowest reader (<b class="horizon">horizon</b>) keeps one
            for every removal; one that keeps what some reader can still ask for (<b class="interval">interval</b>) stays below its
            bound of \(interval.bound).</p>
            <svg viewBox="-70 -22 \(Self.width + 240) \(Self.height + 70)" role="img" aria-label="tombstones over removals">
            \(axes(most: horizon.held))
            <path class="bound" d="M0 \(place(height(UInt64(interval.bound), of: horizon.held)))H\(Self.width)"/>
            \(line(horizon, of: horizon.held, "horizon"))
            \(line(interval, of: horizon.held, "interval"))
            \(label("horizon: \(MapPage.grouped(horizon.held))", horizon.held, of: horizon.held, "horizon"))
            \(label("interval: \(MapPage.grouped(interval.held))", interval.held, of: horizon.held, "interval"))
            </svg>
            <h2>Figures</h2><table><tr><th>what</th><th>measured</th><th>at most</th><th></th></tr>\(rows.map(tableRow).joined())</table>
            <h2>Details</h2><details><summary>Machine and command</summary><ul>\(list)</ul></details>
            </body></html>

            """
    }

    private static let style = """
        svg { width: 100%; max-height: 30em; }
        svg path { fill: none; stroke: var(--line); }
        svg .bound { stroke: var(--soft); stroke-dasharray: 5 4; }
        svg text { font-size: 13px; fill: var(--soft); }
        svg polyline { fill: none; stroke-width: 2.5; }
        polyline.horizon { stroke: var(--resident); }
        polyline.interval { stroke: var(--live); }
        svg text.horizon, b.horizon { fill: var(--resident); color: var(--resident); font-weight: 600; }
        svg text.interval, b.interval { fill: var(--live); color: var(--live); font-weight: 600; }
        table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
        th, td { text-align: right; padding: .15em 1em; border-bottom: 1px solid var(--line); }
        th:first-child, td:first-child { text-align: left; padding-left: 0; }
        th { color: var(--soft); font-weight: 400; }
        td.missed { color: var(--warn); font-weight: 600; }

        """

    private func place(_ value: Double) -> String { Decimals.text(value, places: 1) }

    private func height(_ count: UInt64, of most: UInt64) -> Double { Self.height * (1 - Double(count) / Double(max(1, most))) }

    /// Five steps of each axis, with their numbers.
    private func axes(most: UInt64) -> String {
        var text = ""
        for step in UInt64(0)...5 {
            let count = most * step / 5
            let up = height(count, of: most)
            let across = Self.width * Double(step) / 5
            let removals = MapPage.grouped(UInt64(suite.batchSize) * step / 5)
            text += "<path d=\"M0 \(place(up))H\(Self.width)\"/>"
            text += "<text x=\"-8\" y=\"\(place(up + 4))\" text-anchor=\"end\">\(MapPage.grouped(count))</text>"
            text += "<text x=\"\(place(across))\" y=\"\(place(Self.height + 20))\" text-anchor=\"middle\">\(removals)</text>"
        }
        return text + "<text x=\"\(Self.width)\" y=\"\(place(Self.height + 38))\" text-anchor=\"end\">removals</text>"
            + "<text x=\"-60\" y=\"-10\">tombstones</text>"
    }

    private func line(_ churn: TickSuite.Churn, of most: UInt64, _ kind: String) -> String {
        var points = "0,\(Self.height)"
        for (removals, count) in churn.samples {
            points += " \(place(Self.width * Double(removals) / Double(suite.batchSize))),\(place(height(count, of: most)))"
        }
        return "<polyline class=\"\(kind)\" points=\"\(points)\"/>"
    }

    private func label(_ text: String, _ count: UInt64, of most: UInt64, _ kind: String) -> String {
        "<text class=\"\(kind)\" x=\"\(Self.width + 8)\" y=\"\(place(height(count, of: most) + 4))\">\(HTMLText.escaped(text))</text>"
    }

    private func tableRow(_ row: TickRow) -> String {
        func number(_ value: Double) -> String { Decimals.text(value, places: value < 100 ? 2 : 0) + " " + row.unit }
        var bound = ""
        if case .most(let most) = row.bound { bound = number(most) }
        let verdict = row.isMet.map { $0 ? "<td>met</td>" : "<td class=\"missed\">not met</td>" } ?? "<td></td>"
        return "<tr><td>\(HTMLText.escaped(row.name))</td><td>\(number(row.value))</td><td>\(bound)</td>\(verdict)</tr>"
    }
}
