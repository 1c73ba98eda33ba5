import CTestSupport
import CVirtualMemory
import Glibc
import Testing

/// The real table: what it answers, and that it leaves errno alone.
@Suite struct SystemCallTests {
    // Safety: the table is constant and there for ever; addresses are those it gave, or not mapped at all.

    /// Runs a call with errno set before; the call must leave it so.
    private func keepingErrno(_ call: () -> Int32) -> Int32 {
        errno = 77
        let code = call()
        let after = errno
        #expect(after == 77)
        return code
    }

    @Test func aReservationGoesThroughItsLife() {
        let calls = unsafe cistern_os_system()
        var base: UnsafeMutableRawPointer?
        var readsAs: UInt32 = 9
        #expect(keepingErrno { unsafe calls.pointee.reserve(nil, 1 << 20, &base) } == 0)
        guard let base = unsafe base else { return #expect(Bool(false), "no base") }
        #expect(keepingErrno { unsafe calls.pointee.commit(nil, base, 1 << 20) } == 0)
        #expect(keepingErrno { unsafe calls.pointee.decommit(nil, base, 1 << 20, &readsAs) } == 0)
        #expect(readsAs == UInt32(CISTERN_READS_AS_ZERO))
        #expect(keepingErrno { unsafe calls.pointee.uncommit(nil, base, 1 << 20) } == 0)
        #expect(keepingErrno { unsafe calls.pointee.advise(nil, base, 1 << 20, UInt32(CISTERN_ADVICE_NOT_INHERITED)) } == 0)
        #expect(keepingErrno { unsafe calls.pointee.advise(nil, base, 1 << 20, 4) } == EINVAL)
        let named = keepingErrno { unsafe calls.pointee.set_name(nil, base, 1 << 20, cistern_os_mapping_name()) }
        #expect(named == 0 || named == EINVAL, "EINVAL: a kernel without names")
        #expect(keepingErrno { unsafe calls.pointee.release(nil, base, 1 << 20) } == 0)
    }

    @Test func refusalsAreErrnoValues() {
        let calls = unsafe cistern_os_system()
        var base: UnsafeMutableRawPointer?
        #expect(keepingErrno { unsafe calls.pointee.reserve(nil, 0, &base) } == EINVAL)
        #expect(keepingErrno { unsafe calls.pointee.reserve(nil, Int(bitPattern: UInt(1) << 62), &base) } == ENOMEM)
        #expect(unsafe base == nil)
        let nowhere = unsafe UnsafeMutableRawPointer(bitPattern: 4096)!
        var readsAs: UInt32 = 0
        #expect(keepingErrno { unsafe calls.pointee.commit(nil, nowhere, 4096) } == ENOMEM)
        #expect(keepingErrno { unsafe calls.pointee.decommit(nil, nowhere, 4096, &readsAs) } == ENOMEM)
        #expect(keepingErrno { unsafe calls.pointee.release(nil, nowhere + 1, 4096) } == EINVAL)
        #expect(keepingErrno { unsafe calls.pointee.uncommit(nil, nowhere + 1, 4096) } == EINVAL)
    }

    @Test func limitsAreRead() {
        let calls = unsafe cistern_os_system()
        var value: UInt64 = 0
        for which in [CISTERN_LIMIT_ADDRESS_SPACE, CISTERN_LIMIT_DATA] {
            value = 0
            #expect(keepingErrno { unsafe calls.pointee.read_limit(nil, UInt32(which), &value) } == 0)
            #expect(value > 0)
        }
        value = 5
        #expect(keepingErrno { unsafe calls.pointee.read_limit(nil, 2, &value) } == EINVAL)
        #expect(value == 5)
    }

    @Test func filesAreReadFromTheStart() {
        let calls = unsafe cistern_os_system()
        var bytes = [UInt8](repeating: 0, count: 4096)
        var count = 0
        func read(_ path: String, _ capacity: Int) -> Int32 {
            keepingErrno { unsafe calls.pointee.read_file(nil, path, &bytes, capacity, &count) }
        }
        #expect(read("/proc/self/statm", 4096) == 0 && count > 10 && count < 4096)
        let whole = Array(bytes[..<count])
        #expect(read("/proc/self/status", 6) == 0 && count == 6)
        #expect(Array(bytes[..<6]) == Array("Name:\t".utf8) && whole.last == 10)
        #expect(read("/proc/self/no-such-file", 100) == ENOENT)
        #expect(read("/proc/self", 100) == EISDIR)
    }

    @Test func theEnvironmentIsRead() {
        #expect(unsafe cistern_os_environment_value("CISTERN_NO_SUCH_VARIABLE") == nil)
        #expect(unsafe cistern_os_environment_value("PATH") != nil)
    }

    @Test func pagesAreAPowerOfTwo() {
        let byteCount = cistern_os_page_byte_count()
        #expect(byteCount >= 4096 && byteCount & (byteCount - 1) == 0)
    }
}
