import CTestSupport
import CVirtualMemory
import Glibc
import HeapCore

// Safety: a table stays where it is for the life of its object; a test keeps that at least as long as the heaps and reservations
// that use the table.

/// A table of OS calls that counts, and refuses when told to.
@safe package final class FaultTable: @unchecked Sendable {
    private let table: UnsafeMutablePointer<cistern_fault_table>

    package init() {
        unsafe table = .allocate(capacity: 1)
        unsafe cistern_fault_table_init(table)
    }

    deinit { unsafe table.deallocate() }

    /// Keeps the table up to here, where only heaps use it.
    package func isNeeded() { withExtendedLifetime(self) {} }

    /// What is handed to a heap or a reservation.
    package var calls: UnsafePointer<cistern_os_calls> {
        unsafe UnsafeRawPointer(table).advanced(by: MemoryLayout<cistern_fault_table>.offset(of: \.calls)!)
            .assumingMemoryBound(to: cistern_os_calls.self)
    }

    /// Lets a heap use this table.
    package func install(in options: inout HeapOptions) { unsafe options.systemCalls = calls }

    // MARK: What was asked of the system so far

    package struct Counts {
        package var all: UInt64
        package var reserve: UInt64
        package var reservedBytes: UInt64
        package var commit: UInt64
        package var decommit: UInt64
        package var uncommit: UInt64
        package var advise: UInt64
        package var liveReservations: UInt64
    }

    package var counts: Counts {
        unsafe Counts(
            all: table.pointee.call_count, reserve: table.pointee.reserve_count, reservedBytes: table.pointee.reserved_byte_count,
            commit: table.pointee.commit_count, decommit: table.pointee.decommit_count, uncommit: table.pointee.uncommit_count,
            advise: table.pointee.advise_count, liveReservations: table.pointee.live_reservations)
    }

    package var reserveCount: UInt64 { counts.reserve }
    package var liveReservations: UInt64 { counts.liveReservations }

    // MARK: Refusals

    /// Refuses the call with this number, counted from now; once, or with all after it.
    package func refuse(_ number: UInt64, forEver: Bool = false, code: Int32 = ENOMEM) {
        unsafe table.pointee.fail_at = table.pointee.call_count + number
        unsafe table.pointee.fails_for_ever = forEver
        unsafe table.pointee.fail_code = code
    }

    package func refuseNothing() {
        unsafe table.pointee.fail_at = UInt64.max
        unsafe table.pointee.fails_for_ever = false
    }

    /// Has the call that was to be refused been made?
    package var hasRefused: Bool { unsafe table.pointee.call_count > table.pointee.fail_at }

    /// What the calls about programs are refused with; 0: not at all.
    package func setProgramCodes(find: Int32 = 0, start: Int32 = 0, wait: Int32 = 0) {
        unsafe table.pointee.find_code = find
        unsafe table.pointee.start_code = start
        unsafe table.pointee.wait_code = wait
    }

    // MARK: Other answers

    /// Decommit leaves the bytes as they are from now on, and says so.
    package func decommitLeavesStaleBytes() { unsafe table.pointee.reads_as = UInt32(CISTERN_READS_AS_STALE) }

    package func refuseFiles() { unsafe table.pointee.refuses_files = true }
    package func setAddressSpaceLimit(_ bytes: UInt64) { unsafe table.pointee.address_space_limit = bytes }
    package func setDataLimit(_ bytes: UInt64) { unsafe table.pointee.data_limit = bytes }

    /// What RLIMIT_AS and the process's use of it read as.
    package func setAddressSpace(limitBytes: UInt64, mappedPages: UInt64) {
        setAddressSpaceLimit(limitBytes)
        set("/proc/self/statm", "\(mappedPages) 1 1 1 0 1 0\n")
    }

    /// Lets a file read as a text.
    package func set(_ path: String, _ text: String) { unsafe cistern_fault_table_set_file(table, path, text) }

    /// Gives a reservation back that a heap could not.
    package func release(_ base: UInt, _ byteCount: Int) -> Bool {
        let calls = unsafe table.pointee.calls
        return unsafe calls.release(calls.context, UnsafeMutableRawPointer(bitPattern: base)!, byteCount) == 0
    }
}
