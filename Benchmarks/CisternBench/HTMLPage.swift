/// One self-contained page: charts, the machine, the command and the raw figures.
struct HTMLPage {
    let report: Report
    let allocators: [Allocator]

    /// One kind of figure: what it is called, what it means, and where it stands in a row and in the means.
    private struct Figure {
        var title: String
        var meaning: String
        var ofRow: (Row) -> Double?
        var ofMeans: (Means) -> Double?
    }

    private static var figures: [Figure] {
        [
            Figure(
                title: "First pass", meaning: "Time of each event in a fresh process, in nanoseconds.",
                ofRow: \.coldNanosecondsPerOperation, ofMeans: \.coldRelativeToGlibc),
            Figure(
                title: "Warm", meaning: "The same in the best of the later passes.",
                ofRow: \.warmNanosecondsPerOperation, ofMeans: \.warmRelativeToGlibc),
            Figure(
                title: "Resident / live", meaning: "Peak of the memory in the machine, over the peak of what the program asked for.",
                ofRow: \.residentPerLive, ofMeans: \.residentPerLive),
            Figure(
                title: "Address space / live",
                meaning: "The smallest address space (ulimit -v) in which the program completes, over the same.",
                ofRow: \.addressSpacePerLive, ofMeans: \.addressSpacePerLive),
            Figure(
                title: "The same, less loading", meaning: "Address space without what loading the allocator's library takes.",
                ofRow: \.addressSpaceLessLoadPerLive, ofMeans: \.addressSpaceLessLoadPerLive),
        ]
    }

    var text: String {
        let tables = Tables.means(report.means) + Tables.rows(report.result.rows, allocators, report.result.floors)
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
            <title>cistern-bench</title><style>\(Self.style)</style></head><body>
            <h1>cistern-bench</h1><p>Real programs' allocations, replayed by each allocator. A shorter bar is better everywhere; a missing one means
            that the allocator did not complete.</p>
            \(means)
            \(Self.figures.map(section).joined())
            <h2>Details</h2>
            <details><summary>Machine and command</summary>\(machine)</details>
            <details><summary>Tables</summary><pre>\(HTMLText.escaped(tables + Tables.threads(report.result.threads)))</pre></details>
            <details><summary>Raw figures</summary><pre>\(HTMLText.escaped(report.json.page))</pre></details>
            </body></html>

            """
    }

    private static let style = """
        :root{--back:#fff;--text:#1c2128;--soft:#59636e;--line:#d5dae0;--card:#f5f7f9;--peer:#9aa7b4;--own:#2f7fd0}
        @media(prefers-color-scheme:dark){:root{--back:#14181d;--text:#e6eaef;--soft:#9aa5b1;--line:#363e47;--card:#1d232a;--peer:#66727f;
        --own:#5aa9f2}}body{font:15px/1.45 system-ui,sans-serif;max-width:1240px;margin:0 auto;padding:1.2em 1.5em;background:var(--back);
        color:var(--text)}h1{font-size:1.6em;margin:0}h2{font-size:1.15em;margin:1.5em 0 0}p,.note{color:var(--soft);margin:.2em 0 .7em}
        .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:.8em}.chart{background:var(--card);
        border:1px solid var(--line);border-radius:8px;padding:.6em .9em}h3{font-size:1em;margin:0 0 .4em}.bar{display:flex;align-items:center;
        margin:3px 0;font-size:13px}.name{flex:0 0 6.5em}.fill{height:1em;background:var(--peer);border-radius:2px}.cistern .fill{
        background:var(--own)}.cistern .name,.cistern .value{font-weight:600}.value{padding-left:.5em;white-space:nowrap;
        font-variant-numeric:tabular-nums}details{margin:.5em 0}summary{cursor:pointer}pre{overflow-x:auto;background:var(--card);padding:1em;
        font-size:12px;border-radius:8px}li{overflow-wrap:anywhere}
        """

    private var machine: String {
        let items = report.machine.members.map { name, value -> String in
            let text: String
            if case .text(let plain) = value { text = plain } else { text = value.line }
            return "<li>\(HTMLText.escaped(name)): \(HTMLText.escaped(text))</li>"
        }
        return "<ul>\(items.joined(separator: "\n"))</ul>"
    }

    private var means: String {
        guard !report.means.isEmpty else { return "" }
        let charts = Self.figures.map { figure in
            chart(figure.title, report.means.map { ($0.allocator, figure.ofMeans($0)) })
        }
        return
            "<h2>All traces together</h2><p>Geometric means; times relative to glibc.</p><div class=\"charts\">\(charts.joined())</div>\n"
    }

    private func section(_ figure: Figure) -> String {
        let charts = report.result.floors.map { floor in
            chart(floor.trace, report.result.rows.filter { $0.trace == floor.trace }.map { ($0.allocator, figure.ofRow($0)) })
        }
        return """
            <h2>\(HTMLText.escaped(figure.title))</h2><p>\(HTMLText.escaped(figure.meaning))</p><div class="charts">\(charts.joined())</div>

            """
    }

    /// Bars from zero, the longest as wide as the card allows.
    private func chart(_ title: String, _ values: [(allocator: String, value: Double?)]) -> String {
        guard let highest = values.compactMap(\.value).max(), highest > 0 else { return "" }
        let bars = values.map { allocator, value in
            let width = Decimals.text((value ?? 0) / highest * 52, places: 1)
            let kind = allocator == Allocator.cistern.name ? "bar cistern" : "bar"
            return """
                <div class="\(kind)"><span class="name">\(HTMLText.escaped(allocator))</span><span class="fill" style="width:\(width)%"></span>\
                <span class="value">\(value.map { Decimals.text($0, places: 2) } ?? "not completed")</span></div>
                """
        }
        return "<div class=\"chart\"><h3>\(HTMLText.escaped(title))</h3>\(bars.joined())</div>"
    }
}
