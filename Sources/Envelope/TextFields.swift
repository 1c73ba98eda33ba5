/// A text on one line of printable characters: what else is in it is written as \xNN, and it is cut after 200 bytes.
public func printable(_ text: String) -> String {
    var line = ""
    for byte in text.utf8.prefix(200) {
        if byte < 0x20 || byte > 0x7E || byte == 0x5C {
            let digits = String(byte, radix: 16)
            line += "\\x" + (digits.count < 2 ? "0" : "") + digits
        } else {
            line.unicodeScalars.append(Unicode.Scalar(byte))
        }
    }
    return text.utf8.count > 200 ? line + "..." : line
}

/// Reading the small texts of /proc and of control groups. Every function takes any text and gives nil for what it cannot read.
enum TextFields {
    /// The lines of a text.
    static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n", omittingEmptySubsequences: true)
    }

    /// The words of a line, blanks between them.
    static func words(_ line: Substring) -> [Substring] {
        line.split(whereSeparator: { $0 == " " || $0 == "\t" })
    }

    /// A decimal number that is the whole of a text; a sign or anything else makes it none.
    static func number<Text: StringProtocol>(_ text: Text) -> UInt64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return UInt64(text)
    }

    /// The number that is the first line of a text.
    static func firstNumber(_ text: String) -> UInt64? {
        lines(text).first.flatMap { words($0).first }.flatMap { number($0) }
    }

    /// The number behind a label, such as 12 in "oom_kill 12" or "VmPeak:  12 kB".
    static func number(after label: String, in text: String) -> UInt64? {
        for line in lines(text) {
            let words = words(line)
            if words.count > 1, words[0] == label { return number(words[1]) }
        }
        return nil
    }

    /// The same, where the number counts KiB, in bytes; nil also when that is more than 2^64 - 1.
    static func bytes(afterKibibytes label: String, in text: String) -> UInt64? {
        guard let kibibytes = number(after: label, in: text), kibibytes <= UInt64.max >> 10 else { return nil }
        return kibibytes << 10
    }

    /// A number with two decimals, such as 1.25, in hundredths.
    static func hundredths<Text: StringProtocol>(_ text: Text) -> UInt64? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].utf8.count == 2, let whole = number(parts[0]), let rest = number(parts[1]) else { return nil }
        let (product, tooLarge) = whole.multipliedReportingOverflow(by: 100)
        let (sum, overflow) = product.addingReportingOverflow(rest)
        return tooLarge || overflow ? nil : sum
    }

    /// How many numbers a list such as "0-3,8" names. Ranges that overlap count twice.
    static func countOfList<Text: StringProtocol>(_ text: Text) -> UInt64? {
        var count: UInt64 = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = number(ends[0]), let last = ends.count == 1 ? first : number(ends[1]), last >= first else { return nil }
            let (own, tooLarge) = (last - first).addingReportingOverflow(1)
            let (sum, overflow) = count.addingReportingOverflow(own)
            if tooLarge || overflow { return nil }
            count = sum
        }
        return count
    }
}

/// Bytes as a person reads them.
public enum ByteCountText {
    /// Bytes, and the same in the unit that gives one to four digits before the point: `6442450944 (6.0 GiB)`.
    public static func both(_ byteCount: UInt64) -> String {
        byteCount < 1024 ? "\(byteCount)" : "\(byteCount) (\(short(byteCount)))"
    }

    /// Bytes in the largest unit of 1024 that is not above them, with one decimal, rounded down: `5.9 GiB`.
    public static func short(_ byteCount: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var unit = 0
        while unit + 1 < units.count, byteCount >> UInt64(10 * (unit + 1)) > 0 { unit += 1 }
        if unit == 0 { return "\(byteCount) B" }
        let whole = byteCount >> UInt64(10 * unit)
        let rest = (byteCount >> UInt64(10 * (unit - 1))) & 1023
        return "\(whole).\(rest * 10 / 1024) \(units[unit])"
    }

    /// Hundredths with a point: `1.25`.
    public static func hundredths(_ value: UInt64) -> String {
        let rest = value % 100
        return "\(value / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
