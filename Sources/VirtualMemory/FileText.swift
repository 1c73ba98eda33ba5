import CVirtualMemory

/// The beginning of a small text file, and the numbers in it.
///
/// Safety: the buffer is a stored property, exclusively ours while the file is read into it; names are null-terminated.
struct FileText {
    private var bytes = InlineArray<4096, UInt8>(repeating: 0)
    private(set) var count = 0

    /// Reads a file. False: it could not be read, and the text is empty.
    mutating func read(_ path: StaticString, _ calls: UnsafePointer<cistern_os_calls>) -> Bool {
        count = 0
        var got = 0
        var span = bytes.mutableSpan
        let code = unsafe span.withUnsafeMutableBufferPointer { buffer in
            // A StaticString of more than one scalar is a pointer to null-terminated text.
            path.withUTF8Buffer { name in
                unsafe calls.pointee.read_file(
                    calls.pointee.context, UnsafeRawPointer(name.baseAddress.unsafelyUnwrapped).assumingMemoryBound(to: CChar.self),
                    buffer.baseAddress.unsafelyUnwrapped, buffer.count, &got)
            }
        }
        guard code == 0, got >= 0, got <= 4096 else { return false }
        count = got
        return true
    }

    /// The decimal number in a field, fields being separated by blanks; nil when there is none or it does not fit.
    func number(atField field: Int) -> UInt64? {
        var index = 0
        for _ in 0..<field {
            index = skip(from: index) { Self.isBlank($0) }
            index = skip(from: index) { !Self.isBlank($0) }
        }
        return number(from: index)
    }

    /// The decimal number that follows a label, blanks between them; nil when it is not there or does not fit.
    func number(after label: StaticString) -> UInt64? {
        guard let index = end(of: label) else { return nil }
        return number(from: index)
    }

    private func number(from start: Int) -> UInt64? {
        var index = skip(from: start) { Self.isBlank($0) }
        let first = index
        var value: UInt64 = 0
        while index < count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
            let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = tens.addingReportingOverflow(UInt64(bytes[index] - 0x30))
            if tooLarge || overflow { return nil }
            value = sum
            index += 1
        }
        return index > first ? value : nil
    }

    private func skip(from start: Int, while condition: (UInt8) -> Bool) -> Int {
        var index = start
        while index < count, condition(bytes[index]) { index += 1 }
        return index
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private func end(of label: StaticString) -> Int? {
        let length = label.utf8CodeUnitCount
        var start = 0
        while start + length <= count {
            var matched = 0
            while matched < length, bytes[start + matched] == label.byte(at: matched) { matched += 1 }
            if matched == length { return start + length }
            start += 1
        }
        return nil
    }
}

extension StaticString {
    /// A byte of the text; the index is below `utf8CodeUnitCount`.
    func byte(at index: Int) -> UInt8 {
        withUTF8Buffer { bytes in
            // Safety: within the literal, as the caller vouches.
            unsafe bytes[index]
        }
    }
}
