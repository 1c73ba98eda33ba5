/// One figure with what it has to reach: what scripts read from `--json`.
struct GatedRow {
    var name: String
    var value: Double
    var unit: String
    /// The largest value that will do; nil for a figure that only stands beside others.
    var target: Double?
    /// How it was measured.
    var method: String

    var isMet: Bool { target.map { value <= $0 } ?? true }

    var json: JSON {
        var members: [(String, JSON)] = [("name", .text(name)), ("value", .number(value)), ("unit", .text(unit))]
        if let target { members += [("target", .number(target)), ("met", .bool(isMet))] }
        return .object(members + [("method", .text(method))])
    }

    var line: String {
        let verdict = target.map { "  (at most \(Decimals.text($0, places: 2)): \(isMet ? "met" : "not met"))" } ?? ""
        return "\(name): \(Decimals.text(value, places: unit == "ratio" ? 3 : 1)) \(unit)\(verdict)  [\(method)]"
    }
}
