/// Writing a line as bytes. `count` counts all of the line; what does not fit the buffer is not written.
enum LineText {
    static func put(_ byte: UInt8, _ buffer: inout MutableSpan<UInt8>, _ count: inout Int) {
        if count < buffer.count { buffer[count] = byte }
        count += 1
    }

    /// Every literal that is written is ASCII.
    static func put(_ text: StaticString, _ buffer: inout MutableSpan<UInt8>, _ count: inout Int) {
        for index in 0..<text.utf8CodeUnitCount {
            // Safety: the index stays below the literal's own count.
            put(unsafe text.utf8Start[index], &buffer, &count)
        }
    }

    static func put(_ number: UInt64, _ buffer: inout MutableSpan<UInt8>, _ count: inout Int) {
        var unit: UInt64 = 1
        while number / unit >= 10 { unit *= 10 }
        while unit > 0 {
            put(UInt8(truncatingIfNeeded: 0x30 + number / unit % 10), &buffer, &count)
            unit /= 10
        }
    }
}

extension MemoryLimit {
    /// Writes the limit and its value, as a person would look for it, in ASCII without a line end.
    /// - Returns: the bytes of the whole line, of which at most `buffer.count` were written; never more than 128.
    public func write(into buffer: inout MutableSpan<UInt8>) -> Int {
        var count = 0
        put(&buffer, &count)
        return count
    }

    @inline(never)
    func put(_ buffer: inout MutableSpan<UInt8>, _ count: inout Int) {
        switch kind {
        case .addressSpace: LineText.put("RLIMIT_AS ", &buffer, &count)
        case .data: LineText.put("RLIMIT_DATA ", &buffer, &count)
        case .groupV1: LineText.put("cgroup memory.limit_in_bytes ", &buffer, &count)
        case .groupV2Max: LineText.put("cgroup memory.max ", &buffer, &count)
        case .groupV2High: LineText.put("cgroup memory.high ", &buffer, &count)
        case .physicalMemory: LineText.put("machine memory ", &buffer, &count)
        }
        LineText.put(valueBytes, &buffer, &count)
        if kind == .addressSpace {
            LineText.put(", ", &buffer, &count)
            LineText.put(availableBytes, &buffer, &count)
            LineText.put(" left (ulimit -v)", &buffer, &count)
        } else if kind == .data {
            LineText.put(" (ulimit -d)", &buffer, &count)
        } else if level > 0 {
            LineText.put(", ", &buffer, &count)
            LineText.put(UInt64(level), &buffer, &count)
            LineText.put(" above the own group", &buffer, &count)
        }
    }
}

extension CapacityChoice {
    /// Writes the capacity, where it came from, why it is this number, and what it exceeds, in ASCII without a line end.
    /// - Returns: the bytes of the whole line, of which at most `buffer.count` were written; never more than 512.
    public func write(into buffer: inout MutableSpan<UInt8>) -> Int {
        var count = 0
        LineText.put(bytes, &buffer, &count)
        switch source {
        case .default: LineText.put(" bytes (default", &buffer, &count)
        case .argument: LineText.put(" bytes (--capacity", &buffer, &count)
        case .environment: LineText.put(" bytes (SKIP_CAPACITY", &buffer, &count)
        case .api: LineText.put(" bytes (given in code", &buffer, &count)
        }
        if case .limit(let limit) = reason {
            LineText.put(", fits ", &buffer, &count)
            limit.put(&buffer, &count)
        }
        if let exceeds {
            LineText.put(", exceeds ", &buffer, &count)
            exceeds.put(&buffer, &count)
        }
        LineText.put(")", &buffer, &count)
        return count
    }
}
