extension CapacityError {
    /// Writes one line without its end, in ASCII: where the text came from, the text, what is wrong, and what is expected.
    /// - Returns: the bytes of the whole line, of which at most `buffer.count` were written; never more than 512.
    public func write(into buffer: inout MutableSpan<UInt8>) -> Int {
        var count = 0
        switch source {
        case .argument: LineText.put("--capacity: ", &buffer, &count)
        case .environment: LineText.put("SKIP_CAPACITY: ", &buffer, &count)
        case .api, .default: LineText.put("capacity: ", &buffer, &count)
        }
        putGiven(&buffer, &count)
        LineText.put(problem, &buffer, &count)
        LineText.put("; expected ", &buffer, &count)
        LineText.put(isExtended ? Self.extendedForm : Self.strictForm, &buffer, &count)
        return count
    }

    private static var strictForm: StaticString {
        "digits, then nothing or one of K, M, G, such as 512M"
    }

    private static var extendedForm: StaticString {
        "digits, then nothing or one of K, M, G, KiB, MiB, GiB, TiB; or 1% to 100%, auto, or auto-SIZE"
    }

    private var problem: StaticString {
        switch kind {
        case .empty: " is empty"
        case .malformed: " is not a capacity"
        case .overflow: " is more than 9223372036854775807 bytes"
        case .zero: " is zero bytes"
        case .ambiguousUnit: " may count in 1000 or in 1024: write KiB, MiB, GiB or TiB"
        case .fraction: " is a fraction: write it in the next smaller unit"
        case .unlimited: " is no bound, and a bounded heap needs one"
        case .percentage: " is not a percentage from 1 to 100"
        }
    }

    /// The text in quotes. What is not printable ASCII, a quote or a backslash is written as \xNN, so the line stays one line.
    private func putGiven(_ buffer: inout MutableSpan<UInt8>, _ count: inout Int) {
        LineText.put("'", &buffer, &count)
        for index in 0..<given.keptByteCount {
            let byte = given[index]
            if byte < 0x20 || byte > 0x7E || byte == 0x27 || byte == 0x5C {
                LineText.put("\\x", &buffer, &count)
                LineText.put(Self.hexDigit(byte >> 4), &buffer, &count)
                LineText.put(Self.hexDigit(byte & 15), &buffer, &count)
            } else {
                LineText.put(byte, &buffer, &count)
            }
        }
        if given.byteCount > given.keptByteCount { LineText.put("...", &buffer, &count) }
        LineText.put("'", &buffer, &count)
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x61 + value - 10 }
}
