/// What pages are put together from.
enum PageParts {
    /// A whole page: nothing in it comes from elsewhere.
    static func page(title: String, style: String, body: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
        <title>\(HTMLText.escaped(title))</title><style>\(PageStyle.common)\(style)</style></head><body>
        \(body)
        </body></html>

        """
    }

    /// Bars from zero, the longest as wide as the card allows; Cistern's stand out.
    static func chart(_ title: String, places: Int = 2, _ values: [(name: String, value: Double?)]) -> String {
        guard let highest = values.compactMap(\.value).max(), highest > 0 else { return "" }
        let bars = values.map { name, value in
            let width = Decimals.text((value ?? 0) / highest * 44, places: 1)
            let kind = name.hasPrefix(Allocator.cistern.name) ? "bar cistern" : "bar"
            return """
                <div class="\(kind)"><span class="name">\(HTMLText.escaped(name))</span>\
                <span class="fill" style="width:\(width)%"></span>\
                <span class="value">\(value.map { Decimals.text($0, places: places) } ?? "not completed")</span></div>
                """
        }
        return "<div class=\"chart\"><h3>\(HTMLText.escaped(title))</h3>\(bars.joined())</div>"
    }

    /// A heading, a sentence, and cards below it; nothing without cards. `kind`: one of the style's for `.charts`.
    static func section(_ title: String, _ meaning: String, kind: String = "", _ charts: [String]) -> String {
        guard charts.contains(where: { !$0.isEmpty }) else { return "" }
        return """
            <h2>\(HTMLText.escaped(title))</h2><p class="lead">\(HTMLText.escaped(meaning))</p>
            <div class="charts \(kind)">\(charts.joined())</div>

            """
    }

    /// Every figure beside its target.
    static func figures(_ rows: [TargetRow]) -> String {
        let lines = rows.map { row in
            let verdict = row.isMet.map { $0 ? "<td>met</td>" : "<td class=\"missed\">not met</td>" } ?? "<td></td>"
            return
                "<tr><td>\(HTMLText.escaped(row.name))</td><td>\(row.text(row.value))</td><td class=\"unit\">\(HTMLText.escaped(row.unit))"
                + "</td><td>\(row.target.map(row.text) ?? "")</td>\(verdict)</tr>"
        }
        return """
            <h2>Figures</h2><div class="wide"><table>
            <tr><th>what</th><th>measured</th><th class="unit">unit</th><th>at most</th><th></th></tr>
            \(lines.joined(separator: "\n"))
            </table></div>

            """
    }

    /// How it was measured, on what, by which command, and what came out.
    static func details(_ machine: Machine, notes: [String] = [], tables: String? = nil, json: JSON) -> String {
        let how = notes.isEmpty ? "" : folded("How it was measured", list(notes))
        let facts = machine.members.map { name, value -> String in
            if case .text(let plain) = value { return "\(name): \(plain)" }
            return "\(name): \(value.line)"
        }
        return "<h2>Details</h2>\n" + how + folded("Machine and command", list(facts))
            + (tables.map { folded("Tables", preformatted($0)) } ?? "")
            + folded("Raw figures", preformatted(json.page))
    }

    private static func folded(_ summary: String, _ content: String) -> String {
        "<details><summary>\(summary)</summary>\(content)</details>\n"
    }

    private static func list(_ texts: [String]) -> String {
        "<ul>\(texts.map { "<li>\(HTMLText.escaped($0))</li>" }.joined(separator: "\n"))</ul>"
    }

    private static func preformatted(_ text: String) -> String { "<pre>\(HTMLText.escaped(text))</pre>" }
}
