/// Reading text that is bytes: every function takes any bytes and any range inside them. What is called from many places is compiled
/// once: this is small, not fast.
enum ByteText {
    /// What a run of decimal digits says.
    enum Number: Equatable {
        /// There is no digit, or something other than a digit.
        case malformed
        /// More than 2^64 - 1.
        case tooLarge
        case value(UInt64)
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    /// The decimal number that is the whole of the range.
    static func number(_ text: Span<UInt8>, _ range: Range<Int>) -> Number {
        if range.isEmpty { return .malformed }
        var value: UInt64 = 0
        var tooLarge = false
        for index in range {
            guard isDigit(text[index]) else { return .malformed }
            let (tens, carried) = value.multipliedReportingOverflow(by: 10)
            let (sum, carriedAgain) = tens.addingReportingOverflow(UInt64(text[index] - 0x30))
            // Once too large, the rest is still looked at: it may not be digits.
            tooLarge = tooLarge || carried || carriedAgain
            value = sum
        }
        return tooLarge ? .tooLarge : .value(value)
    }

    /// The part of the range from its start to the first byte that is equal to `separator`, or to its end.
    @inline(never)
    static func upTo(_ separator: UInt8, _ text: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var end = range.lowerBound
        while end < range.upperBound, text[end] != separator { end += 1 }
        return range.lowerBound..<end
    }

    /// What follows `part`, which `upTo` gave for `range`, and its separator.
    static func after(_ part: Range<Int>, _ range: Range<Int>) -> Range<Int> {
        part.upperBound < range.upperBound ? (part.upperBound + 1)..<range.upperBound : range.upperBound..<range.upperBound
    }

    @inline(never)
    static func equals(_ text: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
        range.count == word.utf8CodeUnitCount && starts(text, range, word)
    }

    static func starts(_ text: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
        guard range.count >= word.utf8CodeUnitCount else { return false }
        return word.withUTF8Buffer { letters in
            var index = 0
            // Safety: the index stays below the literal's own count.
            while index < letters.count, unsafe letters[index] == text[range.lowerBound + index] { index += 1 }
            return index == letters.count
        }
    }

    /// True: one of the words of the list, which commas separate, is `word`.
    static func listContains(_ text: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
        var rest = range
        while !rest.isEmpty {
            let part = upTo(0x2C, text, rest)
            if equals(text, part, word) { return true }
            rest = after(part, rest)
        }
        return false
    }
}
