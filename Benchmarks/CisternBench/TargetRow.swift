/// One figure and what it has to reach: a line of output, a row of `--json` and of a page.
struct TargetRow {
    var name: String
    var value: Double
    var unit: String
    /// At most this; nil: the figure only stands beside others.
    var target: Double?
    /// Times are shown and judged, but decide nothing: they are the machine's as much as ours.
    var isTime: Bool
    /// How it was measured, where that differs from row to row.
    var method: String?

    init(name: String, value: Double, unit: String, target: Double? = nil, isTime: Bool? = nil, method: String? = nil) {
        self.name = name
        self.value = value
        self.unit = unit
        self.target = target
        self.isTime = isTime ?? ["ns", "ns/object", "ms"].contains(unit)
        self.method = method
    }

    /// nil without a target.
    var isMet: Bool? { target.map { value <= $0 } }

    /// A count or a size above its target: the command fails.
    var isBroken: Bool { isMet == false && !isTime }

    /// Writes the rows that are broken to standard error. Returns the exit code.
    static func verdict(_ rows: [TargetRow]) -> Int32 {
        let broken = rows.filter(\.isBroken)
        for row in broken { System.writeToStandardError("cistern-bench: \(row.line)\n") }
        return broken.isEmpty ? 0 : BenchError.failureCode
    }

    // MARK: As text

    var line: String {
        let verdict = target.map { "  (at most \(text($0)): \(isMet == true ? "met" : "NOT MET"))" } ?? ""
        return "\(name): \(text(value)) \(unit)\(verdict)\(method.map { "  [\($0)]" } ?? "")"
    }

    /// A number of this row, with as many decimals as its unit wants.
    func text(_ number: Double) -> String {
        if unit == "ratio" { return Decimals.text(number, places: 3) }
        if number >= 1000 && number < 1e15 { return Decimals.grouped(UInt64(number.rounded())) }
        return Decimals.text(number, places: number == number.rounded() ? 0 : number < 100 ? 2 : 1)
    }

    /// On one line.
    var json: JSON {
        let members: [(String, JSON)] = [
            ("name", .text(name)), ("value", .number(value)), ("unit", .text(unit)), ("target", .optional(target)),
            ("met", isMet.map { .bool($0) } ?? .null),
        ]
        return .object(members + (method.map { [("method", JSON.text($0))] } ?? []))
    }

    /// The file of a command that measures against targets.
    static func document(_ machine: Machine, _ rows: [TargetRow], _ more: [(String, JSON)] = []) -> JSON {
        .object([("machine", machine.json), ("rows", .list(rows.map(\.json)))] + more)
    }
}
