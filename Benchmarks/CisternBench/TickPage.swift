import Cistern

/// One page: tombstones retained over time by a stuck and a fast reader, under both modes; the figures; the machine.
struct TickPage {
    let suite: TickSuite
    let machine: Machine
    let rows: [TargetRow]
    let json: JSON

    /// How the figures were taken.
    static let notes = [
        "ns: medians over batches of a million operations; --operations N makes a batch of N, and then names with 1e6 mean N, with "
            + "1e7 ten times N, with 1e4 a hundredth of N. Counts and bytes are exact.",
        "seal.idle: a boundary with nothing to do, beside a million tombstones or ten million living regions; touched: records it "
            + "looked at",
        "stage: one removal in the open tick. classify: the boundary after a million removals, nothing freed. free.inOrder: one record "
            + "freed after the reader that held all of them has gone",
        "step4096.max: the longest step of 4,096 frees, each step's time its median over the batches, of records that 64 readers held in "
            + "turn and that were removed in random order; free.scattered: one such free; drop.pins64: taking notice that those readers "
            + "have gone",
        "seal.removals1000: boundaries in the run of the chart, with a thousand removals at a tick",
        "held.stuckAndFast: tombstones at the end of the run in the chart; at most the sum, over the ticks that some reader stands at, "
            + "of the regions alive then",
        "tombstone.bytes: beside the name; tombstone.bytesWithTables: with the tables of names and chunks",
        "acknowledge: by readers in turn, each with something to acknowledge. min: one of 10, or 10,000, cursors moves, a boundary "
            + "takes notice, and the oldest cursor is asked for",
        "slope: 30,000 regions come and go under a reader that keeps up; what the heap's own total grew by, for each",
        "dictionary: the standard library's, as a million tombstones that a boundary looks through, and as a table of names",
    ]

    private static let width = 900.0
    private static let height = 320.0

    func text() throws(BenchError) -> String {
        let live = max(100, suite.batchSize / 100)
        let horizon = try TickSuite.churn(mode: .horizon, live: live, removals: suite.batchSize, samples: 100)
        let interval = try TickSuite.churn(mode: .interval, live: live, removals: suite.batchSize, samples: 100)
        let step = Self.roundStep(horizon.held)
        let top = (horizon.held + step - 1) / step * step
        let bound = height(interval.bound, of: top)
        let body = """
            <h1>Tombstones retained</h1>
            <p class="lead">\(Decimals.grouped(UInt64(live))) regions are alive; each one that is removed is replaced at once. One reader
            stands still from the beginning, one keeps up. A heap that keeps all tombstones since the slowest reader
            (<b class="horizon">horizon</b>) keeps one for every removal; one that keeps what some reader can still ask for
            (<b class="interval">interval</b>) stays below its bound of \(Decimals.grouped(interval.bound)).</p>
            <svg viewBox="-95 -34 \(Self.width + 265) \(Self.height + 82)" role="img" aria-label="tombstones over removals">
            \(axes(step: step, top: top))
            <path class="bound" d="M0 \(place(bound))H\(Self.width)"/>
            <text x="\(Self.width - 8)" y="\(place(bound - 7))" text-anchor="end">bound: \(Decimals.grouped(interval.bound))</text>
            \(line(horizon, of: top, "horizon"))
            \(line(interval, of: top, "interval"))
            \(label("horizon: \(Decimals.grouped(horizon.held))", horizon.held, of: top, "horizon"))
            \(label("interval: \(Decimals.grouped(interval.held))", interval.held, of: top, "interval"))
            </svg>
            \(PageParts.figures(rows))\(PageParts.details(machine, notes: Self.notes, json: json))
            """
        return PageParts.page(title: "cistern-bench ticks", style: PageStyle.charts + PageStyle.figures + Self.style, body: body)
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

        """

    private func place(_ value: Double) -> String { Decimals.text(value, places: 1) }

    private func height(_ count: UInt64, of most: UInt64) -> Double { Self.height * (1 - Double(count) / Double(max(1, most))) }

    /// A step of 1, 2 or 5 times a power of ten, of which five or fewer reach past a number.
    private static func roundStep(_ most: UInt64) -> UInt64 {
        var power: UInt64 = 1
        while power * 50 < most { power *= 10 }
        return [1, 2, 5].map { $0 * power }.first { $0 * 5 >= most } ?? power * 10
    }

    /// Lines across with their numbers, and numbers of removals below.
    private func axes(step: UInt64, top: UInt64) -> String {
        var text = ""
        for count in stride(from: 0, through: top, by: Int(step)) {
            let up = height(count, of: top)
            text += "<path d=\"M0 \(place(up))H\(Self.width)\"/>"
            text += "<text x=\"-8\" y=\"\(place(up + 4))\" text-anchor=\"end\">\(Decimals.grouped(count))</text>"
        }
        for part in UInt64(0)...5 {
            let across = Self.width * Double(part) / 5
            let removals = Decimals.grouped(UInt64(suite.batchSize) * part / 5)
            text += "<text x=\"\(place(across))\" y=\"\(place(Self.height + 20))\" text-anchor=\"middle\">\(removals)</text>"
        }
        return text + "<text x=\"\(Self.width)\" y=\"\(place(Self.height + 40))\" text-anchor=\"end\">removals</text>"
            + "<text x=\"-8\" y=\"-16\" text-anchor=\"end\">tombstones</text>"
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
}
