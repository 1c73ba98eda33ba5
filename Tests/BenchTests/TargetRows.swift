import Testing

/// A page of `--json` with rows that have targets, read strictly: a row in another form is a finding.
struct TargetRows {
    struct Row {
        var name: String
        var value: Double
        var unit: String
        var target: Double?
        var isMet: Bool?

        /// Times depend on the machine: nothing is said about them but that they are there.
        var isTime: Bool { ["ns", "ns/object", "ms"].contains(unit) || name.hasSuffix(".timeRatio") }
    }

    var rows: [Row] = []
    /// What is wrong with the page itself.
    var findings: [String] = []

    init(page: String) {
        let form =
            /\s{4}\{"name":"([^"]+)","value":([^,]+),"unit":"([^"]+)","target":([^,]+),"met":(null|true|false)\}(,?)/
        var lines = page.split(separator: "\n", omittingEmptySubsequences: false)[...]
        if lines.first != "{" { findings.append("no object") }
        if !lines.contains(where: { $0.hasPrefix("  \"machine\": {\"cpu\":") }) { findings.append("no machine") }
        guard let start = lines.firstIndex(of: "  \"rows\": [") else {
            findings.append("no rows")
            return
        }
        lines = lines[(start + 1)...]
        while let line = lines.popFirst(), line != "  ]," && line != "  ]" {
            guard let match = line.wholeMatch(of: form)?.output, let value = Double(match.2), match.4 == "null" || Double(match.4) != nil
            else {
                findings.append("not a row: \(line)")
                continue
            }
            rows.append(
                Row(
                    name: String(match.1), value: value, unit: String(match.3), target: Double(match.4),
                    isMet: match.5 == "null" ? nil : match.5 == "true"))
            if match.6.isEmpty != (lines.first?.hasPrefix("  ]") ?? true) { findings.append("a comma is wrong after \(match.1)") }
        }
    }

    subscript(name: String) -> Row? { rows.first { $0.name == name } }

    /// Everything that is not as it must be. `expected`: each name once, with its target, nil for rows without one, and .nan for
    /// rows with a target that the run itself tells. `unjudged`: rows that need not meet theirs.
    func allFindings(expected: [(String, Double?)], unjudged: Set<String> = []) -> [String] {
        var found = findings
        for (name, target) in expected {
            let count = rows.filter { $0.name == name }.count
            if count != 1 { found.append("\(name): \(count) rows") }
            guard let row = self[name] else { continue }
            if row.target != target && !(row.target != nil && target?.isNaN == true) {
                found.append("\(name): target \(row.target as Any)")
            }
        }
        for row in rows {
            if rows.filter({ $0.name == row.name }).count > 1 { found.append("\(row.name): more than once") }
            if row.isMet != row.target.map({ row.value <= $0 }) { found.append("\(row.name): met is wrong") }
            if row.isTime {
                if !row.value.isFinite || row.value <= 0 { found.append("\(row.name): \(row.value) is no time") }
            } else if row.isMet == false && !unjudged.contains(row.name) {
                found.append("\(row.name): \(row.value), at most \(row.target ?? .nan)")
            }
        }
        return found
    }
}

@Suite struct TargetRowsTests {
    private static let good = """
        {
          "machine": {"cpu":"x"},
          "rows": [
            {"name":"a","value":3.5,"unit":"ns","target":2.0,"met":false},
            {"name":"b","value":0.0,"unit":"bytes","target":0.0,"met":true},
            {"name":"c","value":7.0,"unit":"bytes","target":null,"met":null}
          ]
        }

        """

    /// The canary: a page with one thing wrong is refused, whatever it is.
    @Test func aWrongRowIsFound() {
        let expected: [(String, Double?)] = [("a", 2), ("b", .nan), ("c", nil)]
        #expect(TargetRows(page: Self.good).allFindings(expected: expected).isEmpty)
        let changes = [
            ("\"value\":0.0", "\"value\":1.0"), ("\"value\":3.5", "\"value\":0.0"), ("\"value\":3.5", "\"value\":null"),
            ("\"value\":3.5", "\"value\":-1"), ("\"value\":3.5", "\"value\":inf"), ("\"met\":false", "\"met\":true"),
            ("\"met\":true", "\"met\":null"), ("\"target\":2.0", "\"target\":2.5"), ("\"target\":0.0", "\"target\":null"),
            ("\"target\":null", "\"target\":9.0"), ("\"name\":\"c\"", "\"name\":\"b\""), ("\"name\":\"c\"", "\"name\":\"d\""),
            (",\"unit\":\"ns\"", ""), ("\"unit\":\"ns\"", "\"unit\":\"\""), ("\"met\":true}", "\"met\":true,\"more\":1}"),
            ("\"met\":true},", "\"met\":true}"), ("\"met\":null}", "\"met\":null},"), ("\"machine\"", "\"engine\""),
            ("\"rows\"", "\"lines\""),
        ]
        for (old, new) in changes {
            let page = Self.good.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false).joined(separator: new)
            #expect(page != Self.good, "\(old)")
            #expect(!TargetRows(page: page).allFindings(expected: expected).isEmpty, "\(old) to \(new)")
        }
        #expect(!TargetRows(page: "").allFindings(expected: []).isEmpty)
        // What need not be met may be wrong, and nothing else.
        let unmet = Self.good.split(separator: "\"value\":0.0", maxSplits: 1).joined(separator: "\"value\":1.0")
            .split(separator: "\"met\":true", maxSplits: 1).joined(separator: "\"met\":false")
        #expect(TargetRows(page: unmet).allFindings(expected: expected, unjudged: ["b"]).isEmpty)
        #expect(!TargetRows(page: unmet).allFindings(expected: expected, unjudged: ["a"]).isEmpty)
    }
}
