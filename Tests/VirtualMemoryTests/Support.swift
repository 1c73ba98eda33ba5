import CTestSupport
import CVirtualMemory
import VirtualMemory

/// A table of OS calls that counts and refuses, at an address of its own.
@safe final class FaultTable {
    // Safety: allocated for the life of this object; its calls are handed out only inside tests that keep the object.
    private let table: UnsafeMutablePointer<cistern_fault_table>

    init() {
        unsafe table = .allocate(capacity: 1)
        unsafe cistern_fault_table_init(table)
    }

    deinit { unsafe table.deallocate() }

    var callCount: UInt64 { unsafe table.pointee.call_count }
    var reserveCount: UInt64 { unsafe table.pointee.reserve_count }
    var reservedByteCount: UInt64 { unsafe table.pointee.reserved_byte_count }
    var commitCount: UInt64 { unsafe table.pointee.commit_count }
    var decommitCount: UInt64 { unsafe table.pointee.decommit_count }
    var uncommitCount: UInt64 { unsafe table.pointee.uncommit_count }
    var adviseCount: UInt64 { unsafe table.pointee.advise_count }
    var liveReservations: UInt64 { unsafe table.pointee.live_reservations }

    func decommitLeavesStaleBytes() { unsafe table.pointee.reads_as = UInt32(CISTERN_READS_AS_STALE) }
    func refuseFiles() { unsafe table.pointee.refuses_files = true }
    func setAddressSpaceLimit(_ bytes: UInt64) { unsafe table.pointee.address_space_limit = bytes }
    func setDataLimit(_ bytes: UInt64) { unsafe table.pointee.data_limit = bytes }

    /// Refuses the call with this number, counted from now, and those after it if `forEver`.
    func refuse(_ number: UInt64, forEver: Bool = false, code: Int32 = 12) {
        unsafe table.pointee.fail_at = table.pointee.call_count + number
        unsafe table.pointee.fails_for_ever = forEver
        unsafe table.pointee.fail_code = code
    }

    func refuseNothing() { unsafe table.pointee.fail_at = UInt64.max }

    /// Lets a file read as a text.
    func set(_ path: String, _ text: String) {
        unsafe path.withCString { path in unsafe text.withCString { text in unsafe cistern_fault_table_set_file(table, path, text) } }
    }

    /// Reserves through this table.
    func reserve(_ capacityBytes: UInt64) throws(ReservationError) -> Reservation {
        unsafe try Reservation.reserve(capacityBytes: capacityBytes, calls: calls)
    }

    private var calls: UnsafePointer<cistern_os_calls> {
        unsafe UnsafeRawPointer(table).advanced(by: MemoryLayout<cistern_fault_table>.offset(of: \.calls)!)
            .assumingMemoryBound(to: cistern_os_calls.self)
    }
}

let page = UInt64(cistern_os_page_byte_count())

/// The error that a closure throws; nil when it throws none.
func refusal(_ body: () throws(ReservationError) -> Void) -> ReservationError? {
    do throws(ReservationError) {
        try body()
        return nil
    } catch {
        return error
    }
}

/// Runs a function in a forked child under limits. Returns its exit code, or 256 + the signal that ended it.
func inChild(addressSpaceBytes: UInt64 = 0, dataBytes: UInt64 = 0, _ body: @convention(c) (UnsafeMutableRawPointer?) -> Int32) -> Int32 {
    unsafe cistern_test_in_child(body, nil, addressSpaceBytes, dataBytes, 60)
}
