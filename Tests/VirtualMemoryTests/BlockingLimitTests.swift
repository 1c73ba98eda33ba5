import CTestSupport
import CVirtualMemory
import Testing
import VirtualMemory

/// Which limit an ENOMEM is blamed on, with the system's answers made up.
@Suite struct BlockingLimitTests {
    let table = FaultTable()

    init() {
        table.setAddressSpaceLimit(UInt64.max)
        table.setDataLimit(UInt64.max)
        table.set("/proc/self/statm", "1000 20 5 1 0 300 0\n")
        table.set("/proc/self/status", "Name:\tx\nVmSize:\t4000 kB\nVmData:\t 800 kB\n")
        table.set("/proc/sys/vm/overcommit_memory", "0\n")
        table.set("/proc/meminfo", "MemTotal: 1000 kB\nCommitLimit:  2048 kB\nCommitted_AS: 1024 kB\n")
        table.set("/proc/sys/vm/admin_reserve_kbytes", "0\n")
        table.set("/proc/sys/vm/user_reserve_kbytes", "0\n")
    }

    private func reserveRefused(_ byteCount: UInt64) -> ReservationError? {
        table.refuse(0)
        return refusal { () throws(ReservationError) in _ = try table.reserve(byteCount) }
    }

    private func commitRefused(_ byteCount: UInt64) throws -> ReservationError? {
        table.refuseNothing()
        var reservation = try table.reserve(byteCount)
        defer {
            table.refuseNothing()
            try? reservation.release()
        }
        table.refuse(0)
        return refusal { () throws(ReservationError) in try reservation.commit(upTo: byteCount) }
    }

    @Test func addressSpaceIsNamedOnlyWhenExceeded() {
        let mapped = 1000 * page
        table.setAddressSpaceLimit(mapped + (1 << 20))
        #expect(reserveRefused(1 << 20)?.limit.kind == .unknown)
        let error = reserveRefused((1 << 20) + page)
        #expect(error?.limit == limit(.addressSpace, mapped + (1 << 20), mapped))
        #expect(error?.code == 12 && error?.byteCount == (1 << 20) + page)
        #expect(
            error?.description == "could not reserve \((1 << 20) + page) bytes: Cannot allocate memory "
                + "(RLIMIT_AS is \(mapped + (1 << 20)) bytes, \(mapped) in use; see ulimit -v)")
    }

    @Test func theAddressRangeIsNamed() {
        table.setAddressSpaceLimit(1)
        let error = reserveRefused(1 << 60)
        #expect(error?.limit.kind == .addressRange && error?.limit.usedBytes == 1000 * page)
        #expect(error?.description.contains("the address range is ") == true)
        #expect(reserveRefused(UInt64(Int64.max) & ~(page - 1))?.limit.kind == .addressRange)
    }

    @Test func nothingIsGuessed() {
        let error = reserveRefused(1 << 20)
        #expect(error?.limit == limit(.unknown, 0, 0))
        #expect(
            error?.description
                == "could not reserve 1048576 bytes: Cannot allocate memory (no limit that can be read is in the way)")
    }

    @Test func dataIsNamedOnlyWhenExceeded() throws {
        table.setDataLimit((800 << 10) + (1 << 20))
        // The address space is not what a commit takes.
        table.setAddressSpaceLimit(1)
        #expect(try commitRefused(1 << 20)?.limit.kind == .unknown)
        let error = try commitRefused((1 << 20) + page)
        #expect(error?.limit == limit(.data, (800 << 10) + (1 << 20), 800 << 10))
        #expect(error?.description.contains("(RLIMIT_DATA is 1867776 bytes, 819200 in use; see ulimit -d)") == true)
    }

    @Test func aHiddenStatusLeavesTheOtherFile() throws {
        table.set("/proc/self/status", "Groups: 1 2 3")
        table.setDataLimit(300 * page)
        #expect(try commitRefused(page)?.limit == limit(.data, 300 * page, 300 * page))
    }

    @Test func strictAccountingIsNamedOnlyWhenExceeded() throws {
        #expect(try commitRefused(1 << 30)?.limit.kind == .unknown, "mode 0 does not account for what was reserved without")
        table.set("/proc/sys/vm/overcommit_memory", "2\n")
        #expect(try commitRefused(1 << 20)?.limit.kind == .unknown)
        let error = try commitRefused((1 << 20) + page)
        #expect(error?.limit == limit(.overcommit, 2 << 20, 1 << 20))
        #expect(error?.description.contains("(the commit limit is 2097152 bytes, 1048576 in use; see vm.overcommit_memory)") == true)
    }

    @Test func whatTheKernelKeepsIsLeftOut() throws {
        table.set("/proc/sys/vm/overcommit_memory", "2\n")
        table.set("/proc/sys/vm/admin_reserve_kbytes", "512\n")
        #expect(try commitRefused(1 << 20)?.limit == limit(.overcommit, (2 << 20) - (512 << 10), 1 << 20))
        table.set("/proc/sys/vm/user_reserve_kbytes", "99999999\n")
        let ofUser = 1000 * page / 32
        #expect(try commitRefused(1 << 20)?.limit == limit(.overcommit, (2 << 20) - (512 << 10) - ofUser, 1 << 20))
        table.set("/proc/sys/vm/admin_reserve_kbytes", "18014398509481983\n")
        #expect(try commitRefused(page)?.limit == limit(.overcommit, 0, 1 << 20))
    }

    @Test(arguments: [
        "", "\n", "garbage", "CommitLimit:\n", "\nCommitLimit: x\nCommitted_AS: 1 kB\n", "99999999999999999999999",
        "\nCommitLimit: 18446744073709551615 kB\nCommitted_AS: 0 kB\n", "\nCommitLimit: 1 kB\n", "\u{1}\u{7F}é", "2",
    ])
    func hostileTextBlamesNothing(text: String) throws {
        for path in ["/proc/self/statm", "/proc/self/status", "/proc/meminfo", "/proc/sys/vm/admin_reserve_kbytes"] {
            table.set(path, text)
        }
        table.setAddressSpaceLimit(1 << 50)
        #expect(reserveRefused(1 << 20)?.limit.kind == .unknown)
        #expect(try commitRefused(1 << 20)?.limit.kind == .unknown)
        table.set("/proc/sys/vm/overcommit_memory", "2")
        #expect(try commitRefused(1 << 20)?.limit.kind == .unknown)
    }

    @Test func unreadableFilesBlameNothing() throws {
        table.refuseFiles()
        table.setAddressSpaceLimit(1 << 30)
        #expect(reserveRefused(1 << 20)?.limit.kind == .unknown)
        #expect(reserveRefused(2 << 30)?.limit == limit(.addressSpace, 1 << 30, 0), "larger than the limit by itself")
        #expect(try commitRefused(1 << 20)?.limit.kind == .unknown)
    }

    @Test func anotherCodeReadsNoLimits() {
        table.setAddressSpaceLimit(1)
        table.refuse(0, code: 22)
        let error = refusal { () throws(ReservationError) in _ = try table.reserve(page) }
        #expect(error?.limit.kind == .unknown && error?.description == "could not reserve \(page) bytes: errno 22")
    }

    @Test func aShortBufferGetsTheBeginning() {
        let error = reserveRefused(1 << 20)
        var bytes = [UInt8](repeating: 0x2A, count: 12)
        var span = bytes.mutableSpan
        #expect(error?.write(into: &span) == 12)
        #expect(bytes == Array("could not re".utf8))
        var none: [UInt8] = []
        var empty = none.mutableSpan
        #expect(error?.write(into: &empty) == 0)
    }

    @Test func theLongestLineFitsItsBound() {
        for operation in 0...4 as ClosedRange<UInt32> {
            for kind in 0...4 as ClosedRange<UInt32> {
                guard var error = reserveRefused(page) else { return #expect(Bool(false), "was not refused") }
                error.operation = ReservationError.Operation(rawValue: operation)!
                error.byteCount = UInt64.max
                error.limit = BlockingLimit.Kind(rawValue: kind).map { limit($0, UInt64.max, UInt64.max) }!
                #expect(error.description.utf8.count <= 192)
                #expect(error.description.hasPrefix("could not \(error.operation) 18446744073709551615 bytes: "))
            }
        }
    }

    private func limit(_ kind: BlockingLimit.Kind, _ valueBytes: UInt64, _ usedBytes: UInt64) -> BlockingLimit {
        var limit = table.anyLimit
        (limit.kind, limit.valueBytes, limit.usedBytes) = (kind, valueBytes, usedBytes)
        return limit
    }
}

extension FaultTable {
    /// A limit to change: the type has no public initialiser.
    fileprivate var anyLimit: BlockingLimit {
        refusal { () throws(ReservationError) in _ = try reserve(0) }!.limit
    }
}

/// The same, where the limits are real.
///
/// Safety: the function in the child is given no context.
@Suite(.enabled(if: cistern_test_sanitizer() != UInt32(CISTERN_TEST_THREAD_SANITIZER), "forks beside the threads of a sanitizer"))
struct RealLimitTests {
    private static let limitBytes: UInt64 = 32 << 30

    @Test func theAddressSpaceLimitIsNamed() {
        let status = inChild(addressSpaceBytes: Self.limitBytes) {
            let error = refusal { () throws(ReservationError) in
                _ = unsafe try Reservation.reserve(capacityBytes: 64 << 30, calls: cistern_os_system())
            }
            guard let error else { return 1 }
            guard error.code == 12, error.operation == .reserve, error.limit.kind == .addressSpace else { return 2 }
            return error.limit.valueBytes == 32 << 30 && error.limit.usedBytes > 0 ? 0 : 3
        }
        #expect(status == 0)
    }

    @Test func theDataLimitIsNamedAndWhatWasCommittedStays() {
        // On top of what is there: a sanitizer's own tables count too.
        let dataBytes = unsafe cistern_test_status_bytes("VmData:")
        let status = inChild(dataBytes: dataBytes + Self.limitBytes) {
            var limitBytes: UInt64 = 0
            let calls = unsafe cistern_os_system()
            guard unsafe calls.pointee.read_limit(nil, UInt32(CISTERN_LIMIT_DATA), &limitBytes) == 0 else { return 7 }
            guard var reservation = unsafe try? Reservation.reserve(capacityBytes: 64 << 30, calls: calls) else { return 1 }
            var extent: UInt64 = 0
            var error: ReservationError?
            while error == nil, extent < 64 << 30 {
                extent += 1 << 30
                error = refusal { () throws(ReservationError) in try reservation.commit(upTo: extent) }
            }
            guard let error else { return 2 }
            guard error.code == 12, error.operation == .commit, error.limit.kind == .data else { return 3 }
            guard error.limit.valueBytes == limitBytes, reservation.committedBytes == extent - (1 << 30) else { return 4 }
            // What was granted before can be given back, and then there is room again.
            guard (try? reservation.uncommit(downTo: 0)) != nil else { return 5 }
            return (try? reservation.release()) == nil ? 6 : 0
        }
        #expect(status == 0)
    }
}
