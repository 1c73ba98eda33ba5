/// Sizes on the command line and in tables.
enum ByteCount {
    /// A decimal number with an optional K, M or G (powers of 1024); nil for anything else, zero and overflow included.
    static func parse(_ text: String) -> UInt64? {
        var digits = Substring(text)
        var unit: UInt64 = 1
        switch digits.last {
        case "K", "k": unit = 1 << 10
        case "M", "m": unit = 1 << 20
        case "G", "g": unit = 1 << 30
        default: break
        }
        if unit > 1 { digits.removeLast() }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let number = UInt64(digits) else { return nil }
        let (byteCount, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow || byteCount == 0 ? nil : byteCount
    }

    /// Millions of bytes with one decimal.
    static func megabytes(_ byteCount: UInt64) -> String { Decimals.text(Double(byteCount) / 1e6, places: 1) }
}

/// Numbers as text, without Foundation.
enum Decimals {
    static func text(_ value: Double, places: Int) -> String {
        guard value.isFinite else { return "-" }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded()
        guard scaled < 1e15 else { return "\(value)" }
        let whole = UInt64(scaled)
        let sign = value < 0 && whole > 0 ? "-" : ""
        if places == 0 { return "\(sign)\(whole)" }
        let unit = UInt64(scale)
        let fraction = String(whole % unit)
        return "\(sign)\(whole / unit).\(String(repeating: "0", count: places - fraction.count))\(fraction)"
    }

    /// With a comma every three digits.
    static func grouped(_ number: UInt64) -> String {
        var text = ""
        for (position, digit) in String(number).reversed().enumerated() {
            if position > 0, position % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    /// The value with at most three decimals, for JSON.
    static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}
