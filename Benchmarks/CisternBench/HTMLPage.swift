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
            <title>cistern-bench</title><style>\(PageStyle.common)\(PageStyle.charts)</style></head><body>
            <h1>cistern-bench</h1>
            <p class="lead">Real programs' allocations, replayed by each allocator. A shorter bar is better everywhere; a missing one
            means that the allocator did not complete.</p>
            \(means)
            \(Self.figures.map(section).joined())
            <h2>Details</h2>
            <details><summary>Machine and command</summary>\(machine)</details>
            <details><summary>Tables</summary><pre>\(HTMLText.escaped(tables + Tables.threads(report.result.threads)))</pre></details>
            <details><summary>Raw figures</summary><pre>\(HTMLText.escaped(report.json.page))</pre></details>
            </body></html>

            """
    }

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
        return """
            <h2>All traces together</h2><p class="lead">Geometric means; times relative to glibc.</p>
            <div class="charts">\(charts.joined())</div>

            """
    }

    private func section(_ figure: Figure) -> String {
        let charts = report.result.floors.map { floor in
            chart(floor.trace, report.result.rows.filter { $0.trace == floor.trace }.map { ($0.allocator, figure.ofRow($0)) })
        }
        return """
            <h2>\(HTMLText.escaped(figure.title))</h2><p class="lead">\(HTMLText.escaped(figure.meaning))</p>
            <div class="charts">\(charts.joined())</div>

            """
    }

    /// Bars from zero, the longest as wide as the card allows.
    private func chart(_ title: String, _ values: [(allocator: String, value: Double?)]) -> String {
        guard let highest = values.compactMap(\.value).max(), highest > 0 else { return "" }
        let bars = values.map { allocator, value in
            let width = Decimals.text((value ?? 0) / highest * 52, places: 1)
            let kind = allocator == Allocator.cistern.name ? "bar cistern" : "bar"
            return """
                <div class="\(kind)"><span class="name">\(HTMLText.escaped(allocator))</span>\
                <span class="fill" style="width:\(width)%"></span>\
                <span class="value">\(value.map { Decimals.text($0, places: 2) } ?? "not completed")</span></div>
                """
        }
        return "<div class=\"chart\"><h3>\(HTMLText.escaped(title))</h3>\(bars.joined())</div>"
    }
}
