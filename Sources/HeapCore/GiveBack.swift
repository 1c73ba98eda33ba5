import CHeap
import VirtualMemory

// Safety: see RawMemory.swift; the header handed to C is this heap's own.

// Giving memory back to the system. No thread of ours and no clock: a window is so much traffic through the run heap;
// what was free at every moment of a whole window is not needed, and is given back at its end. Giving back at once
// would be paid again, page fault by page fault, by every program that allocates in waves. Under the run lock.
extension BoundedHeap {
    private static var minimumWindowGranules: UInt64 { (1 << 30) >> UInt64(Layout.granuleShift) }
    private static var minimumPages: UInt64 { 256 }

    /// Pages that may be resident although nothing in them is in use; an estimate from below.
    private var freeTouchedPages: UInt64 {
        let used = header.it.used_granules >> 6
        return header.it.touched_pages > used ? header.it.touched_pages - used : 0
    }

    /// After every run that was taken: the soft limit and the window's low-water mark.
    func noteUse() {
        header.it.window_low_water_pages = min(header.it.window_low_water_pages, freeTouchedPages)
        noteSoftLimit()
    }

    private func noteSoftLimit() {
        let limit = header.it.soft_limit_bytes
        guard limit > 0 else { return }
        let isAbove = usedByteCount > limit
        unsafe cistern_soft_limit_store(header.pointer, isAbove ? 1 : 0)
    }

    /// After every run that was given back: ends the window when enough has gone through.
    func noteFreed(granules: UInt32) {
        noteSoftLimit()
        header.it.window_traffic_granules &+= UInt64(granules)
        let window = max(Self.minimumWindowGranules, header.it.touched_pages << 11)
        if header.it.window_traffic_granules > window { endWindow() }
    }

    /// Gives back what the window did not need, and starts the next one. Returns pages.
    @discardableResult
    func endWindow() -> UInt64 {
        let unneeded = header.it.window_low_water_pages
        var given: UInt64 = 0
        if unneeded > Self.minimumPages, unneeded * 8 > header.it.touched_pages { given = giveBack(pageLimit: unneeded) }
        header.it.window_traffic_granules = 0
        header.it.window_low_water_pages = freeTouchedPages
        return given
    }

    /// Gives back free pages, above the top first, then of the longest free runs. Returns how many.
    func giveBack(pageLimit: UInt64) -> UInt64 {
        let topPage = (header.it.top_granule &+ 63) >> 6
        let endPage = UInt32(truncatingIfNeeded: header.it.committed_bytes >> UInt64(Layout.pageShift))
        var given = giveBack(pagesFrom: topPage, to: endPage, limit: pageLimit)
        var bin = UInt32(CISTERN_RUN_BIN_COUNT)
        while bin > Self.runBin(Layout.granulesPerPage), given < pageLimit {
            bin &-= 1
            var run = binHead(bin)
            while run != 0, given < pageLimit {
                let pages = interiorPages(of: run)
                given += giveBack(pagesFrom: pages.first, to: pages.end, limit: pageLimit - given)
                run = freeRunNext(run)
            }
        }
        header.it.given_back_bytes &+= given << UInt64(Layout.pageShift)
        return given
    }

    /// The pages of a free run that hold neither its first nor its last granule, nor anybody else's.
    private func interiorPages(of run: UInt32) -> (first: UInt32, end: UInt32) {
        let last = run &+ freeRunLength(run) &- 1
        return ((run >> 6) &+ 1, last >> 6)
    }

    private func giveBack(pagesFrom first: UInt32, to end: UInt32, limit: UInt64) -> UInt64 {
        let reservation = reservation
        var given: UInt64 = 0
        var page = first
        while given < limit, page < end, let stretch = nextTouchedStretch(from: page, to: end) {
            page = stretch.first &+ stretch.count
            let offset = UInt64(stretch.first) << UInt64(Layout.pageShift)
            let byteCount = UInt64(stretch.count) << UInt64(Layout.pageShift)
            do throws(ReservationError) {
                // Where the system leaves the bytes as they are, they stay marked as touched.
                guard try reservation.decommit(offsetBytes: offset, byteCount: byteCount) == .zero else { continue }
            } catch {
                // Refused: the pages stay ours and resident, which is what their bits say.
                return given
            }
            clearTouched(page: stretch.first, count: stretch.count)
            given += UInt64(stretch.count)
        }
        return given
    }

    /// Gives everything above the top back to the system, address range and all: what is committed ends there.
    func lowerCommitment() {
        let topPage = (header.it.top_granule &+ 63) >> 6
        var reservation = reservation
        let endPage = UInt32(truncatingIfNeeded: reservation.committedBytes >> UInt64(Layout.pageShift))
        guard topPage < endPage else { return }
        do throws(ReservationError) {
            try reservation.uncommit(downTo: UInt64(topPage) << UInt64(Layout.pageShift))
        } catch {
            // Still committed; their pages have been given back one by one before.
            return
        }
        note(reservation)
        clearTouched(page: topPage, count: endPage &- topPage)
        if has(CISTERN_HEAP_NOT_INHERITED) { keepFromChildren(reservation, offsetBytes: reservation.committedBytes) }
    }
}
