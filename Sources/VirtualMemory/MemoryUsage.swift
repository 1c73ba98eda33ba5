import CVirtualMemory

/// What this process and the machine have in use, as /proc says. What cannot be read is 0, so it blames nothing.
struct MemoryUsage {
    /// VmSize: what RLIMIT_AS counts.
    var mappedBytes: UInt64 = 0
    /// VmData: what RLIMIT_DATA counts.
    var dataBytes: UInt64 = 0
    /// /proc/sys/vm/overcommit_memory.
    var overcommitMode: UInt64 = 0
    /// CommitLimit and Committed_AS of /proc/meminfo.
    var commitLimitBytes: UInt64 = 0
    var committedBytes: UInt64 = 0

    init(calls: UnsafePointer<cistern_os_calls>) {
        var text = FileText()
        if unsafe text.read("/proc/self/status", calls) {
            mappedBytes = Self.kibibytes(text.number(after: "VmSize:"))
            dataBytes = Self.kibibytes(text.number(after: "VmData:"))
        }
        if unsafe text.read("/proc/sys/vm/overcommit_memory", calls) { overcommitMode = text.number(after: "") ?? 0 }
        if unsafe text.read("/proc/meminfo", calls) {
            commitLimitBytes = Self.kibibytes(text.number(after: "CommitLimit:"))
            committedBytes = Self.kibibytes(text.number(after: "Committed_AS:"))
        }
    }

    private static func kibibytes(_ value: UInt64?) -> UInt64 {
        guard let value else { return 0 }
        let (product, overflow) = value.multipliedReportingOverflow(by: 1024)
        return overflow ? UInt64.max : product
    }
}

/// The beginning of a small text file.
struct FileText {
    private var bytes = InlineArray<4096, UInt8>(repeating: 0)
    private var count = 0

    /// Reads a file. False: it could not be read.
    mutating func read(_ path: StaticString, _ calls: UnsafePointer<cistern_os_calls>) -> Bool {
        count = 0
        var got = 0
        var span = bytes.mutableSpan
        let code = unsafe span.withUnsafeMutableBufferPointer { buffer in
            // Safety: a StaticString with a UTF-8 start is null-terminated; the buffer is ours for the call.
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

    /// The decimal number that follows a label, blanks between them; nil when it is not there or does not fit.
    func number(after label: StaticString) -> UInt64? {
        guard var index = end(of: label) else { return nil }
        while index < count, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
        var value: UInt64 = 0
        let first = index
        while index < count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
            let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = tens.addingReportingOverflow(UInt64(bytes[index] - 0x30))
            if tooLarge || overflow { return nil }
            value = sum
            index += 1
        }
        return index > first ? value : nil
    }

    private func end(of label: StaticString) -> Int? {
        let length = label.utf8CodeUnitCount
        guard length <= count else { return nil }
        return label.withUTF8Buffer { text in
            var start = 0
            while start + length <= count {
                var matched = 0
                while matched < length, unsafe bytes[start + matched] == text[matched] { matched += 1 }
                if matched == length { return start + length }
                start += 1
            }
            return nil
        }
    }
}
