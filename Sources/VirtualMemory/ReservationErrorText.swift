extension ReservationError {
    /// Writes one line without a line end: what was asked, what the system said, which limit is in the way.
    ///
    /// - Parameter bytes: takes as much of the line as fits; 192 bytes always suffice.
    /// - Returns: how many bytes were written.
    /// - Complexity: linear in the line; allocates nothing.
    public func write(into bytes: inout MutableSpan<UInt8>) -> Int {
        var position = 0
        @inline(never)
        func write(_ text: StaticString) {
            for index in 0..<text.utf8CodeUnitCount { put(text.byte(at: index), &bytes, &position) }
        }
        func write(_ number: UInt64) {
            var unit: UInt64 = 1
            while number / unit >= 10 { unit *= 10 }
            while unit > 0 {
                put(UInt8(truncatingIfNeeded: 0x30 + number / unit % 10), &bytes, &position)
                unit /= 10
            }
        }
        write("could not ")
        write(operation.name)
        write(" ")
        write(byteCount)
        write(" bytes: ")
        guard code == Self.outOfMemory else {
            write("errno ")
            write(UInt64(code.magnitude))
            return position
        }
        let words = limit.words
        write("Cannot allocate memory (")
        write(words.name)
        if limit.kind != .unknown {
            write(limit.valueBytes)
            write(" bytes, ")
            write(limit.usedBytes)
            write(" in use")
        }
        write(words.hint)
        write(")")
        return position
    }
}

private func put(_ byte: UInt8, _ bytes: inout MutableSpan<UInt8>, _ position: inout Int) {
    guard position < bytes.count else { return }
    bytes[position] = byte
    position += 1
}

extension ReservationError.Operation {
    fileprivate var name: StaticString {
        switch self {
        case .reserve: "reserve"
        case .commit: "commit"
        case .uncommit: "uncommit"
        case .decommit: "decommit"
        case .release: "release"
        }
    }
}

extension BlockingLimit {
    /// What stands before and after the value.
    fileprivate var words: (name: StaticString, hint: StaticString) {
        switch kind {
        case .unknown: ("no limit that can be read is in the way", "")
        case .addressSpace: ("RLIMIT_AS is ", "; see ulimit -v")
        case .data: ("RLIMIT_DATA is ", "; see ulimit -d")
        case .overcommit: ("the commit limit is ", "; see vm.overcommit_memory")
        case .addressRange: ("the address range is ", "")
        }
    }
}

#if !hasFeature(Embedded)
    extension ReservationError: CustomStringConvertible {
        /// The line of `write(into:)`.
        public var description: String {
            var line = InlineArray<256, UInt8>(repeating: 0)
            var span = line.mutableSpan
            let count = write(into: &span)
            return String(decoding: (0..<count).map { line[$0] }, as: UTF8.self)
        }
    }
#endif
