import CVirtualMemory
@_exported import TestSupport
import VirtualMemory

// Safety: a table of calls outlives the reservations made through it, as its object says.

extension FaultTable {
    /// Reserves through this table.
    func reserve(_ capacityBytes: UInt64) throws(ReservationError) -> Reservation {
        unsafe try Reservation.reserve(capacityBytes: capacityBytes, calls: calls)
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
