/// What a text of the wider grammar asks for.
public enum CapacityRequest: Equatable, Sendable {
    /// This many bytes.
    case bytes(UInt64)
    /// This many hundredths of the tightest limit, 1 to 100.
    case percentOfLimit(UInt64)
    /// What fits: the smaller of 16 GiB and `Capacity.fit` of the tightest limit.
    case fit
    /// What fits, less this many bytes, which are left for something else.
    case fitLess(UInt64)
}

extension Capacity {
    /// Reads a text of the wider grammar, which only this call takes: all of the strict one, the units KiB, MiB, GiB and TiB,
    /// `75%` (whole numbers from 1 to 100), `auto`, and `auto-` followed by a size. kB, MB, GB, TB, fractions, `off` and
    /// `unlimited` are refused, each with an error of its own.
    /// - Complexity: linear in the text.
    public static func parseExtended(_ text: Span<UInt8>) throws(CapacityError) -> CapacityRequest {
        let whole = 0..<text.count
        guard !text.isEmpty else { throw CapacityError(.empty, source: .api, given: text) }
        if ByteText.equals(text, whole, "auto") { return .fit }
        if ByteText.starts(text, whole, "auto-") { return .fitLess(try size(text, 5..<text.count)) }
        if isUnit(text, whole, "off", "unlimited", "max") { throw CapacityError(.unlimited, source: .api, given: text) }
        if text[text.count - 1] == UInt8(ascii: "%") { return .percentOfLimit(try percentage(text)) }
        return .bytes(try size(text, whole))
    }

    /// The number before the last byte, which is the percent sign.
    private static func percentage(_ text: Span<UInt8>) throws(CapacityError) -> UInt64 {
        let digits = 0..<(text.count - 1)
        guard !digits.isEmpty else { throw CapacityError(.malformed, source: .api, given: text) }
        guard case .value(let value) = ByteText.number(text, digits), value >= 1, value <= 100 else {
            throw CapacityError(.percentage, source: .api, given: text)
        }
        return value
    }

    /// A number and a unit that are the whole of the range.
    private static func size(_ text: Span<UInt8>, _ range: Range<Int>) throws(CapacityError) -> UInt64 {
        var end = range.lowerBound
        while end < range.upperBound, ByteText.isDigit(text[end]) { end += 1 }
        let digits = range.lowerBound..<end
        let unit = end..<range.upperBound
        let shift: UInt64
        if unit.isEmpty {
            shift = 0
        } else if isUnit(text, unit, "K", "k", "KiB") {
            shift = 10
        } else if isUnit(text, unit, "M", "m", "MiB") {
            shift = 20
        } else if isUnit(text, unit, "G", "g", "GiB") {
            shift = 30
        } else if ByteText.equals(text, unit, "TiB") {
            shift = 40
        } else {
            throw CapacityError(digits.isEmpty ? .malformed : unitProblem(text, unit), source: .api, given: text)
        }
        return try bytes(text, digits: digits, shift: shift, source: .api)
    }

    /// What is wrong with what follows the digits: a unit in 1000 or 1024, a fraction, or anything else.
    private static func unitProblem(_ text: Span<UInt8>, _ unit: Range<Int>) -> CapacityError.Kind {
        let first = text[unit.lowerBound]
        if first == UInt8(ascii: ".") || first == UInt8(ascii: ",") { return .fraction }
        guard unit.count == 2, text[unit.lowerBound + 1] | 0x20 == UInt8(ascii: "b") else { return .malformed }
        switch first | 0x20 {
        case UInt8(ascii: "k"), UInt8(ascii: "m"), UInt8(ascii: "g"), UInt8(ascii: "t"): return .ambiguousUnit
        default: return .malformed
        }
    }

    private static func isUnit(
        _ text: Span<UInt8>, _ unit: Range<Int>, _ first: StaticString, _ second: StaticString, _ third: StaticString
    ) -> Bool {
        ByteText.equals(text, unit, first) || ByteText.equals(text, unit, second) || ByteText.equals(text, unit, third)
    }
}
