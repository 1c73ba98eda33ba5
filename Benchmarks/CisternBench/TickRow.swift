/// One figure beside what it must be.
struct TickRow {
    enum Bound {
        /// At most this.
        case most(Double)
        /// For comparison only.
        case none
    }

    var name: String
    var value: Double
    var unit: String
    var bound = Bound.none

    var isMet: Bool? {
        guard case .most(let target) = bound else { return nil }
        return value <= target
    }

    var json: JSON {
        var target: JSON = .null
        if case .most(let most) = bound { target = .number(most) }
        var met: JSON = .null
        if let isMet { met = .bool(isMet) }
        let members: [(String, JSON)] = [
            ("name", .text(name)), ("value", .number(value)), ("unit", .text(unit)), ("target", target), ("met", met),
        ]
        return .object(members)
    }

    var line: String {
        var text = "\(name): \(Decimals.text(value, places: value < 100 ? 2 : 0)) \(unit)"
        if case .most(let most) = bound { text += ", at most \(Decimals.text(most, places: most < 100 ? 1 : 0))" }
        if isMet == false { text += "  NOT MET" }
        return text
    }
}
