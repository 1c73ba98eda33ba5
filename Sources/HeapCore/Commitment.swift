import CHeap
import CVirtualMemory
import VirtualMemory

// What of the reservation is usable. Committed memory is one stretch from the base; it grows in steps, because a step is
// the place where the system may say no (RLIMIT_DATA, overcommit), and that no is an ordinary answer. Under the run lock.
extension BoundedHeap {
    private static var smallStepBytes: UInt64 { 2 << 20 }
    private static var largeStepBytes: UInt64 { 8 << 20 }
    /// A huge page that is not filled costs up to 2 MiB of resident memory: only above this much heap is that little.
    private static var hugePagesFromBytes: UInt64 { 4 << 20 }

    /// Makes everything below a granule usable. False when the system refuses; nothing has changed then.
    func commit(throughGranule granule: UInt32) -> Bool {
        let needed = UInt64(granule) << UInt64(Layout.granuleShift)
        let committed = header.it.committed_bytes
        if needed <= committed { return true }
        var reservation = reservation
        let step = committed >= 64 << 20 ? Self.largeStepBytes : Self.smallStepBytes
        // Steps end at multiples of the address, so that a huge page is inside one of them.
        let start = UInt64(base)
        let target = min((start &+ needed &+ step &- 1) / step &* step &- start, header.it.capacity_bytes)
        do throws(ReservationError) {
            try reservation.commit(upTo: target)
        } catch {
            do throws(ReservationError) {
                try reservation.commit(upTo: needed)
            } catch {
                header.it.last_refusal = UInt32(bitPattern: error.code)
                return false
            }
        }
        note(reservation)
        header.it.last_refusal = 0
        askForHugePages(from: committed, to: reservation.committedBytes, in: reservation)
        return true
    }

    /// The calls to the system that the heap was made with.
    ///
    /// Safety: the table outlives the heap, as `HeapOptions` asks.
    var systemCalls: UnsafePointer<cistern_os_calls> {
        unsafe UnsafePointer<cistern_os_calls>(bitPattern: UInt(header.it.system_calls)).unsafelyUnwrapped
    }

    /// The reservation, as the layer below knows it.
    var reservation: Reservation {
        unsafe Reservation(
            state: cistern_reservation(
                base: header.it.base, capacity_bytes: header.it.capacity_bytes, committed_bytes: header.it.committed_bytes,
                committed_high_water_bytes: header.it.committed_high_water_bytes, calls: systemCalls))
    }

    /// Writes down what of the reservation is committed now.
    func note(_ reservation: Reservation) {
        header.it.committed_bytes = reservation.committedBytes
        header.it.committed_high_water_bytes = reservation.committedHighWaterBytes
    }

    private func askForHugePages(from start: UInt64, to end: UInt64, in reservation: Reservation) {
        let least = (UInt64(header.it.first_granule) << UInt64(Layout.granuleShift)) &+ Self.hugePagesFromBytes
        guard has(CISTERN_HEAP_HUGE_PAGES), end > least else { return }
        let first = max(start, least)
        // A refusal (a kernel without huge pages) costs speed only.
        _ = reservation.advise(.hugePages, offsetBytes: first, byteCount: end - first)
    }
}
