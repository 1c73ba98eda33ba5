/// One page: bars of `cistern-bench regions`, every figure beside its target, the machine.
struct RegionPage {
    let machine: Machine
    let rows: [TargetRow]
    let notes: [String]
    let json: JSON

    var text: String {
        let body = """
            <h1>Regions</h1>
            <p class="lead">Objects that die all at once, from Cistern and from what a program would use in its place. A shorter bar is
            better everywhere.</p>
            \(steps)\(traces)\(PageParts.figures(rows))\(PageParts.details(machine, notes: notes, json: json))
            """
        return PageParts.page(title: "cistern-bench regions", style: PageStyle.charts + PageStyle.figures, body: body)
    }

    private func value(_ name: String) -> Double? { rows.first { $0.name == name }?.value }

    /// Bars of the rows that are there.
    private func chart(_ title: String, places: Int = 2, _ bars: [(String, String)]) -> String {
        PageParts.chart(
            title, places: places, bars.compactMap { label, name in value(name).map { (name: label, value: .some($0)) } })
    }

    private var steps: String {
        PageParts.section(
            "One step",
            "Instructions by callgrind, the loop taken away where the title says net. Nested: 4 regions of 500 objects, medians.",
            kind: "named",
            [
                chart(
                    "Instructions of one small object, net",
                    [
                        ("cistern, Swift", "region.small.instructions.net"), ("cistern, C", "region.small.fromC.instructions.net"),
                        ("bump pointer", "bump.small.instructions.net"), ("obstack", "obstack.small.instructions.net"),
                        ("malloc, free", "malloc.pair.instructions.net"),
                    ]),
                chart(
                    "Instructions to open and close, empty",
                    [
                        ("cistern, Swift", "region.empty.instructions"), ("cistern, C", "region.empty.fromC.instructions"),
                        ("cistern, alone", "region.emptyAlone.instructions"), ("obstack", "obstack.empty.instructions"),
                    ]),
                chart(
                    "Nanoseconds per object, nested",
                    [
                        ("cistern", "nested4x500.cistern"), ("bump pointer", "nested4x500.bump"), ("obstack", "nested4x500.obstack"),
                        ("malloc, free", "nested4x500.malloc"),
                    ]),
            ])
    }

    private var traces: String {
        let names = RegionTrace.names.filter { value("\(RegionTrace.rowPrefix($0)).timeRatio") != nil }
        let engines: [RegionRequest.Engine] = [.cistern, .pages, .obstack, .malloc, .null]
        return PageParts.section(
            "Time of a real program's regions",
            "Milliseconds of the whole first pass, in a fresh process. pages: 8 MiB from malloc each, as the program had them; "
                + "loop: the replay alone.",
            kind: "four",
            names.map { name in
                chart(name, places: 1, engines.map { ($0.name, "\(RegionTrace.rowPrefix(name)).time.\($0.name)") })
            })
            + PageParts.section(
                "Space of a real program's regions",
                "Smallest capacity under which it completes, less 256 KiB, over the most bytes that were asked for and live at once.",
                kind: "four",
                names.map { name in
                    let space = "\(RegionTrace.rowPrefix(name)).spaceRatio"
                    return chart(name, places: 3, engines.map { ($0.name, $0 == .cistern ? space : "\(space).\($0.name)") })
                })
    }
}
