public import CVirtualMemory

// Safety: unsafe in this file is only the pointer to the table of system calls, which outlives the call, and its functions, which
// write one number that is ours. The system's own table is constant.

extension MemoryLimits {
    /// Reads all limits of this process now. Uses about 64 KiB of stack and some ten system calls; any thread may call it.
    public static func current() -> MemoryLimits {
        let nowhere = InlineArray<1, UInt8>(repeating: 0)
        return unsafe read(root: nowhere.span.extracting(0..<0), calls: cistern_os_system())
    }

    /// Reads all limits through a table of system calls, which must outlive the call.
    /// - `root`: the directory that /proc and the mount points of control groups are looked up in; empty for the real ones.
    public static func read(root: Span<UInt8>, calls: UnsafePointer<cistern_os_calls>) -> MemoryLimits {
        var limits = MemoryLimits()
        unsafe LimitReader.addAddressSpace(root, calls, &limits)
        unsafe LimitReader.addData(calls, &limits)
        unsafe ControlGroups.add(root, calls, &limits)
        unsafe LimitReader.addPhysicalMemory(root, calls, &limits)
        return limits
    }
}

/// The limits that are not those of control groups.
enum LimitReader {
    static func addAddressSpace(
        _ root: Span<UInt8>, _ calls: UnsafePointer<cistern_os_calls>, _ limits: inout MemoryLimits
    ) {
        var value = UInt64.max
        let code = unsafe calls.pointee.read_limit(calls.pointee.context, UInt32(CISTERN_LIMIT_ADDRESS_SPACE), &value)
        if code != 0 { limits.addUnreadable(UnreadableLimit(subject: .addressSpace, code: code)) }
        guard code == 0, value != UInt64.max else { return }
        var mapped: UInt64 = 0
        let mappedCode = unsafe readMapped(root, calls, &mapped)
        if mappedCode != 0 { limits.addUnreadable(UnreadableLimit(subject: .mappedBytes, code: mappedCode)) }
        let rest = value > mapped ? value - mapped : 0
        limits.add(MemoryLimit(kind: .addressSpace, valueBytes: value, availableBytes: rest))
    }

    static func addData(_ calls: UnsafePointer<cistern_os_calls>, _ limits: inout MemoryLimits) {
        var value = UInt64.max
        let code = unsafe calls.pointee.read_limit(calls.pointee.context, UInt32(CISTERN_LIMIT_DATA), &value)
        if code != 0 { limits.addUnreadable(UnreadableLimit(subject: .data, code: code)) }
        if code == 0, value != UInt64.max { limits.add(MemoryLimit(kind: .data, valueBytes: value)) }
    }

    /// VmSize: the first number of statm, in pages.
    private static func readMapped(
        _ root: Span<UInt8>, _ calls: UnsafePointer<cistern_os_calls>, _ bytes: inout UInt64
    ) -> Int32 {
        var text = FileText()
        let code = unsafe text.read(path(root, "/proc/self/statm"), calls)
        guard code == 0 else { return code }
        let span = text.bytes.span
        guard case .value(let pages) = ByteText.number(span, ByteText.upTo(0x20, span, 0..<text.count)) else {
            return SystemCode.invalid
        }
        let (product, overflow) = pages.multipliedReportingOverflow(by: UInt64(cistern_os_page_byte_count()))
        bytes = overflow ? UInt64.max : product
        return 0
    }

    static func addPhysicalMemory(
        _ root: Span<UInt8>, _ calls: UnsafePointer<cistern_os_calls>, _ limits: inout MemoryLimits
    ) {
        var text = FileText()
        var code = unsafe text.read(path(root, "/proc/meminfo"), calls)
        if code == 0 {
            let span = text.bytes.span
            var rest = 0..<text.count
            var line = ByteText.upTo(0x0A, span, rest)
            while !ByteText.starts(span, line, "MemTotal:"), !rest.isEmpty {
                rest = ByteText.after(line, rest)
                line = ByteText.upTo(0x0A, span, rest)
            }
            if let value = kibibytes(span, line) {
                limits.add(MemoryLimit(kind: .physicalMemory, valueBytes: value, availableBytes: roundedToGibibyte(value)))
            } else {
                code = SystemCode.invalid
            }
        }
        if code != 0 { limits.addUnreadable(UnreadableLimit(subject: .physicalMemory, code: code)) }
    }

    /// The number in a line such as "MemTotal:  123 kB", in bytes.
    private static func kibibytes(_ text: Span<UInt8>, _ line: Range<Int>) -> UInt64? {
        var start = ByteText.upTo(0x3A, text, line).upperBound
        if start < line.upperBound { start += 1 }
        while start < line.upperBound, text[start] == 0x20 || text[start] == 0x09 { start += 1 }
        let digits = ByteText.upTo(0x20, text, start..<line.upperBound)
        guard case .value(let value) = ByteText.number(text, digits), value > 0, value <= UInt64.max >> 10 else { return nil }
        return value << 10
    }

    private static func roundedToGibibyte(_ bytes: UInt64) -> UInt64 {
        let mask: UInt64 = (1 << 30) - 1
        let (sum, overflow) = bytes.addingReportingOverflow(mask)
        return overflow ? bytes : sum & ~mask
    }

    static func path(_ root: Span<UInt8>, _ rest: StaticString) -> PathText {
        var path = PathText()
        path.append(root, 0..<root.count)
        path.append(rest)
        return path
    }
}
