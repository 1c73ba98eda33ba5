import CVirtualMemory

/// A path, built piece by piece, that ends in a zero byte.
struct PathText {
    private var bytes = InlineArray<4096, UInt8>(repeating: 0)
    private(set) var count = 0

    /// errno of a piece that did not fit or cannot be in a path; 0 as long as the path is good.
    private(set) var code: Int32 = 0

    mutating func append(_ byte: UInt8) {
        if byte == 0 { code = SystemCode.invalid }
        // The last byte stays zero.
        if count >= 4095 { code = SystemCode.nameTooLong }
        guard code == 0 else { return }
        bytes[count] = byte
        count += 1
    }

    @inline(never)
    mutating func append(_ text: Span<UInt8>, _ range: Range<Int>) {
        for index in range { append(text[index]) }
    }

    @inline(never)
    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { letters in
            // Safety: the index stays below the literal's own count.
            for index in 0..<letters.count { unsafe append(letters[index]) }
        }
    }

    /// Forgets that a piece did not fit; for after a cut.
    mutating func forgetCode() { code = 0 }

    /// Takes everything after the first `length` bytes away again.
    mutating func cut(to length: Int) {
        while count > length {
            count -= 1
            bytes[count] = 0
        }
    }

    subscript(index: Int) -> UInt8 { bytes[index] }

    func withCString(_ body: (UnsafePointer<CChar>) -> Int32) -> Int32 {
        // Safety: all bytes from `count` to the last are zero.
        unsafe bytes.span.withUnsafeBytes { buffer in
            unsafe body(buffer.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self))
        }
    }
}

/// The beginning of a file. Large: it is meant to be a local variable that is filled, not to be handed around.
struct FileText: ~Copyable {
    static var capacity: Int { 16384 }
    var bytes = InlineArray<16384, UInt8>(repeating: 0)
    private(set) var count = 0

    /// Reads the first bytes of a file.
    /// - Returns: 0, or errno; the text is empty then.
    mutating func read(_ path: PathText, _ calls: UnsafePointer<cistern_os_calls>) -> Int32 {
        count = 0
        guard path.code == 0 else { return path.code }
        var byteCount = 0
        var span = bytes.mutableSpan
        // Safety: the buffer is ours for the call, and the table's function writes at most its count.
        let code = unsafe span.withUnsafeMutableBufferPointer { buffer in
            unsafe path.withCString { name in
                unsafe calls.pointee.read_file(
                    calls.pointee.context, name, buffer.baseAddress.unsafelyUnwrapped, buffer.count, &byteCount)
            }
        }
        if code == 0, byteCount >= 0 { count = min(byteCount, Self.capacity) }
        return code
    }

    /// True: the file may be longer than what is here.
    var isCut: Bool { count == Self.capacity }
}

/// errno values that this layer compares with or gives. Linux only.
enum SystemCode {
    static var noEntry: Int32 { 2 }
    static var notADirectory: Int32 { 20 }
    static var invalid: Int32 { 22 }
    static var fileTooBig: Int32 { 27 }
    static var nameTooLong: Int32 { 36 }
}
