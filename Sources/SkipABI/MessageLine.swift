import CSkip

// Safety: bytes are written at indices below the buffer's own count; texts of C end at their first zero byte.

/// One line for standard error, put together without allocation. What does not fit is cut.
struct MessageLine {
    private var bytes = InlineArray<512, UInt8>(repeating: 0)
    private var count = 0

    mutating func put(_ byte: UInt8) {
        // The last byte is the line's end.
        guard count < 511 else { return }
        bytes[count] = byte
        count += 1
    }

    mutating func put(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { unsafe put(text.utf8Start[index]) }
    }

    mutating func put(_ number: UInt64) {
        var unit: UInt64 = 1
        while number / unit >= 10 { unit *= 10 }
        while unit > 0 {
            put(UInt8(truncatingIfNeeded: 0x30 + number / unit % 10))
            unit /= 10
        }
    }

    /// Writes the line and ends the process.
    mutating func end(code: Int32, withoutLineEnd: Bool = false) -> Never {
        if !withoutLineEnd {
            bytes[count] = 0x0A
            count += 1
        }
        let length = count
        let span = bytes.span
        unsafe span.withUnsafeBufferPointer { unsafe cistern_skip_write_last_line(code, $0.baseAddress!, length) }
        cistern_skip_end(code)
    }
}
