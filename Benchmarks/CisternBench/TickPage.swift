import Cistern

/// One page: tombstones retained over time by a stuck and a fast reader, under both modes; the figures; the machine.
struct TickPage {
    let suite: TickSuite
    let machine: Machine
    let rows: [TickRow]

    private static let width = 720.0
    private static let height = 320.0

    func text() throws(BenchError) -> String {
        let live = max(100, suite.batchSize / 100)
        let horizon = try TickSuite.churn(mode: .horizon, live: live, removals: suite.batchSize, samples: 100)
        let interval = try TickSuite.churn(mode: .interval, live: live, removals: suite.batchSize, samples: 100)
        let list = machine.members.map { "<li>\(HTMLPage.escaped($0.0)): \(HTMLPage.escaped($0.1.line))</li>" }.joined(separator: "\n")
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>cistern-bench ticks</title>
            <style>body{font:15px/1.4 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
            pre{overflow-x:auto;background:#f6f6f6;padding:1em;font-size:12px}</style></head><body>
            <h1>Tombstones retained</h1>
            <p>\(live) regions alive, each removed one replaced at once; one reader stands still from the beginning, one keeps up.
            Across: removals, 0 to \(suite.batchSize). Up: tombstones, both scales from 0 to \(horizon.held).</p>
            <svg viewBox="-10 -10 \(Self.width + 160) \(Self.height + 20)" role="img" aria-label="tombstones over removals">
            <path d="M0 0V\(Self.height)H\(Self.width)" fill="none" stroke="#888"/>
            \(line(horizon, of: horizon.held, "#c33"))
            \(line(interval, of: horizon.held, "#1f77b4"))
            \(label("horizon: \(horizon.held)", horizon.held, of: horizon.held, "#c33"))
            \(label("interval: \(interval.held), bound \(interval.bound)", interval.held, of: horizon.held, "#1f77b4"))
            </svg>
            <h2>Figures</h2><pre>\(HTMLPage.escaped(rows.map(\.line).joined(separator: "\n")))</pre>
            <ul>\(list)</ul>
            </body></html>

            """
    }

    private func height(_ count: UInt64, of most: UInt64) -> Double { Self.height * (1 - Double(count) / Double(max(1, most))) }

    private func line(_ churn: TickSuite.Churn, of most: UInt64, _ color: String) -> String {
        var points = "0,\(Self.height)"
        for (removals, count) in churn.samples {
            let across = Self.width * Double(removals) / Double(suite.batchSize)
            points += " \(Decimals.text(across, places: 1)),\(Decimals.text(height(count, of: most), places: 1))"
        }
        return "<polyline points=\"\(points)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\"/>"
    }

    private func label(_ text: String, _ count: UInt64, of most: UInt64, _ color: String) -> String {
        let up = Decimals.text(height(count, of: most) + 4, places: 1)
        return "<text x=\"\(Self.width - 210)\" y=\"\(up)\" dy=\"-8\" fill=\"\(color)\" font-size=\"13\">\(text)</text>"
    }
}
