/// A JSON value, written on one line in the order in which it was built.
public indirect enum JSON: Equatable, Sendable {
    /// Nothing is known.
    case null
    /// Yes or no.
    case bool(Bool)
    /// A whole number. Above 2^53 a reader that knows only floating point loses its last digits.
    case integer(UInt64)
    /// A number with two decimals, in hundredths.
    case hundredths(UInt64)
    /// A text.
    case text(String)
    /// Values in order.
    case list([JSON])
    /// Named values in order.
    case object([Member])

    /// A named value.
    public struct Member: Equatable, Sendable {
        var name: String
        var value: JSON
    }

    /// Named values in order.
    public static func members(_ members: [(String, JSON)]) -> JSON {
        .object(members.map { Member(name: $0.0, value: $0.1) })
    }

    /// A number, or null where there is none.
    public static func optional(_ value: UInt64?) -> JSON { value.map { .integer($0) } ?? .null }

    /// A text, or null where there is none.
    public static func optional(_ value: String?) -> JSON { value.map { .text($0) } ?? .null }

    /// The value on one line.
    public var line: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): "\(value)"
        case .hundredths(let value): ByteCountText.hundredths(value)
        case .text(let value): JSON.quoted(value)
        case .list(let values): "[" + values.map(\.line).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { JSON.quoted($0.name) + ":" + $0.value.line }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    quoted.unicodeScalars.append(scalar)
                }
            }
        }
        return quoted + "\""
    }
}
