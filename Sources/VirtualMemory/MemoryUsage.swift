import CVirtualMemory

/// What this process and the machine have in use, as /proc says. What cannot be read blames nothing.
///
/// Safety: the table of calls is valid for the call, as the caller vouches.
struct MemoryUsage {
    /// What RLIMIT_AS counts.
    var mappedBytes: UInt64 = 0
    /// What RLIMIT_DATA counts.
    var dataBytes: UInt64 = 0
    /// What the strict accounting of overcommit mode 2 counts.
    var committedBytes: UInt64 = 0
    /// What mode 2 lets this process reach; `UInt64.max` in the other modes.
    var overcommitLimitBytes: UInt64 = .max

    init(calls: UnsafePointer<cistern_os_calls>) {
        let pageBytes = UInt64(cistern_os_page_byte_count())
        var text = FileText()
        if unsafe text.read("/proc/self/statm", calls) {
            mappedBytes = Self.scaled(text.number(atField: 0), by: pageBytes) ?? 0
            // Stacks are in this field too; the one in `status` is exact, but a long list of groups may hide it.
            dataBytes = Self.scaled(text.number(atField: 5), by: pageBytes) ?? 0
        }
        if unsafe text.read("/proc/self/status", calls), let exact = Self.scaled(text.number(after: "\nVmData:"), by: 1024) {
            dataBytes = exact
        }
        if unsafe text.read("/proc/sys/vm/overcommit_memory", calls), text.number(atField: 0) == 2 {
            unsafe readOvercommit(&text, calls)
        }
    }

    /// Mode 2: the commit limit less what the kernel keeps for root and for the user's own recovery.
    private mutating func readOvercommit(_ text: inout FileText, _ calls: UnsafePointer<cistern_os_calls>) {
        guard unsafe text.read("/proc/meminfo", calls),
            let limit = Self.scaled(text.number(after: "\nCommitLimit:"), by: 1024),
            let committed = Self.scaled(text.number(after: "\nCommitted_AS:"), by: 1024)
        else { return }
        var kept: UInt64 = 0
        if unsafe text.read("/proc/sys/vm/admin_reserve_kbytes", calls) {
            kept = Self.scaled(text.number(atField: 0), by: 1024) ?? 0
        }
        if unsafe text.read("/proc/sys/vm/user_reserve_kbytes", calls) {
            let ofUser = min(Self.scaled(text.number(atField: 0), by: 1024) ?? 0, mappedBytes / 32)
            let (sum, overflow) = kept.addingReportingOverflow(ofUser)
            kept = overflow ? UInt64.max : sum
        }
        committedBytes = committed
        overcommitLimitBytes = limit > kept ? limit - kept : 0
    }

    private static func scaled(_ value: UInt64?, by unit: UInt64) -> UInt64? {
        guard let value else { return nil }
        let (product, overflow) = value.multipliedReportingOverflow(by: unit)
        return overflow ? nil : product
    }
}
