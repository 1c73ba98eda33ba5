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
        let body = """
            <h1>cistern-bench</h1>
            <p class="lead">Real programs' allocations, replayed by each allocator. A shorter bar is better everywhere; a missing one
            means that the allocator did not complete.</p>
            \(means)
            \(Self.figures.map(section).joined())
            \(PageParts.details(report.machine, tables: tables + Tables.threads(report.result.threads), json: report.json))
            """
        return PageParts.page(title: "cistern-bench", style: PageStyle.charts, body: body)
    }

    private var means: String {
        PageParts.section(
            "All traces together", "Geometric means; times relative to glibc.",
            Self.figures.map { figure in PageParts.chart(figure.title, report.means.map { ($0.allocator, figure.ofMeans($0)) }) })
    }

    private func section(_ figure: Figure) -> String {
        PageParts.section(
            figure.title, figure.meaning,
            report.result.floors.map { floor in
                let rows = report.result.rows.filter { $0.trace == floor.trace }
                return PageParts.chart(floor.trace, rows.map { ($0.allocator, figure.ofRow($0)) })
            })
    }
}
