/// One self-contained page: charts, the machine, the command and the raw figures.
struct HTMLPage {
    let report: Report
    let allocators: [Allocator]

    var text: String {
        let figures: [(String, (Row) -> Double?)] = [
            ("First pass, ns per event (less is better)", \.coldNanosecondsPerOperation),
            ("Warm, ns per event", \.warmNanosecondsPerOperation),
            ("Peak resident / peak live", \.residentPerLive),
            ("Smallest address space / peak live", \.addressSpacePerLive),
            ("The same, less what loading the allocator needs", \.addressSpaceLessLoadPerLive),
        ]
        let charts = figures.map { chart($0.0, $0.1) }.joined()
        let tables = Tables.means(report.means) + Tables.rows(report.result.rows, allocators, report.result.floors)
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>cistern-bench</title><style>\(HTMLPage.style)</style></head><body>
            <h1>cistern-bench</h1>
            \(machine)
            \(charts)
            <h2>Tables</h2><pre>\(HTMLPage.escaped(tables + Tables.threads(report.result.threads)))</pre>
            <h2>Raw figures</h2><pre>\(HTMLPage.escaped(report.json.page))</pre>
            </body></html>

            """
    }

    private static let style = """
        body{font:15px/1.4 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
        .bar{display:flex;align-items:center;margin:1px 0}.name{width:9em;text-align:right;padding-right:.6em}
        .fill{height:1em;background:#9aa7b4}.cistern{background:#1f77b4}.value{padding-left:.5em;color:#555}
        pre{overflow-x:auto;background:#f6f6f6;padding:1em;font-size:12px}h3{margin:.8em 0 .2em}
        """

    private var machine: String {
        let items = report.machine.members.map { name, value -> String in
            let text: String
            if case .text(let plain) = value { text = plain } else { text = value.line }
            return "<li>\(HTMLPage.escaped(name)): \(HTMLPage.escaped(text))</li>"
        }
        return "<ul>\(items.joined(separator: "\n"))</ul>"
    }

    private func chart(_ title: String, _ figure: (Row) -> Double?) -> String {
        var text = "<h2>\(HTMLPage.escaped(title))</h2>\n"
        for floor in report.result.floors {
            let rows = report.result.rows.filter { $0.trace == floor.trace }
            guard let highest = rows.compactMap(figure).max(), highest > 0 else { continue }
            text += "<h3>\(HTMLPage.escaped(floor.trace))</h3>\n"
            for row in rows {
                let value = figure(row)
                let width = Decimals.text((value ?? 0) / highest * 70, places: 1)
                let kind = row.allocator == Allocator.cistern.name ? "fill cistern" : "fill"
                text += "<div class=\"bar\"><span class=\"name\">\(HTMLPage.escaped(row.allocator))</span>"
                text += "<span class=\"\(kind)\" style=\"width:\(width)%\"></span>"
                text += "<span class=\"value\">\(value.map { Decimals.text($0, places: 2) } ?? "not completed")</span></div>\n"
            }
        }
        return text
    }

    static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
