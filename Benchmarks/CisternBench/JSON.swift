/// A JSON value, written out in the order in which it was built.
///
/// `Sendable` in words: Swift 6.3.1, left to find that out, says "circular reference" in some files and not in others.
indirect enum JSON: Sendable {
    case null
    case bool(Bool)
    case integer(UInt64)
    case number(Double)
    case text(String)
    case list([JSON])
    case object([(String, JSON)])

    static func optional(_ value: UInt64?) -> JSON { value.map { .integer($0) } ?? .null }
    static func optional(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }

    /// On one line.
    var line: String {
        var text = ""
        write(to: &text, indent: nil)
        return text
    }

    /// Indented, with the elements of a list on lines of their own; ends in a newline.
    var page: String {
        var text = ""
        write(to: &text, indent: 0)
        return text + "\n"
    }

    private func write(to text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += "\(value)"
        case .number(let value): text += value.isFinite ? "\(Decimals.rounded(value))" : "null"
        case .text(let value): JSON.writeQuoted(value, to: &text)
        case .list(let values):
            JSON.writeElements("[", "]", values.count, to: &text, indent: indent) { position, text, deeper in
                // What is inside a list of objects stays on one line each: one row, one line.
                values[position].write(to: &text, indent: deeper == nil ? nil : deeper! > 1 ? nil : deeper)
            }
        case .object(let members):
            JSON.writeElements("{", "}", members.count, to: &text, indent: indent == 0 ? 0 : nil) { position, text, deeper in
                JSON.writeQuoted(members[position].0, to: &text)
                text += deeper == nil ? ":" : ": "
                members[position].1.write(to: &text, indent: deeper)
            }
        }
    }

    private static func writeElements(
        _ open: String, _ close: String, _ count: Int, to text: inout String, indent: Int?,
        _ element: (Int, inout String, Int?) -> Void
    ) {
        text += open
        for position in 0..<count {
            if position > 0 { text += "," }
            if let indent { text += "\n" + String(repeating: "  ", count: indent + 1) }
            element(position, &text, indent.map { $0 + 1 })
        }
        if let indent, count > 0 { text += "\n" + String(repeating: "  ", count: indent) }
        text += close
    }

    private static func writeQuoted(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\t": text += "\\t"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        text += "\""
    }
}
