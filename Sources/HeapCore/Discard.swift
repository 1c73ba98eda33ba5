import CHeap
import VirtualMemory

// Safety: see RawMemory.swift; the caller vouches that nobody else is in the heap, so every page of it is ours to drop.

// Dropping the whole contents: what a program does with a heap it needs no more before it starts a child that needs the
// memory. One call to the system for everything above the heap's fixed part and one for that part, whatever was in it, so
// it costs what the kernel takes for the pages (about 70 ms per GiB) and no walk over blocks.

/// What still has its records in the heap, and would be left with nothing. Nothing was discarded.
public enum DiscardError: Error, Equatable, Sendable {
    /// So many regions of the heap are open, or closed with their handles still there.
    case regionsOpen(count: Int)
    /// No region is; so many directories have not been destroyed.
    case directoriesOpen(count: Int)
}

extension BoundedHeap {
    /// Frees every block at once and gives all memory behind the heap back to the system. The heap is then as it was when it
    /// was made, of the same capacity and options, and may be used again.
    ///
    /// All blocks are gone, in whatever thread they are; touching one reads zeros, something new, or ends the process by a
    /// signal. No other call on this heap may be in progress. Other threads may hold free blocks of the heap ready: that is
    /// void, and they begin afresh with their next call. Threads may end and the process may fork meanwhile: both wait.
    ///
    /// Where the system refuses to take pages back (a process whose memory is locked, for example), the heap is emptied all
    /// the same, and `HeapStatistics.touchedBytes` tells what stayed.
    ///
    /// High-water marks and `givenBackBytes` go on; counts of calls begin again.
    ///
    /// - Throws: `DiscardError` while a region or a directory is in the heap; nothing has changed then.
    /// - Returns: bytes of blocks and caches that the system got back; the heap's maps come on top. 0 in a fork's child that did
    ///   not inherit the heap.
    /// - Complexity: the pages that the kernel has to free; no look at any block, one at each region record.
    @discardableResult
    public func discard() throws(DiscardError) -> UInt64 {
        guard isUsable else { return 0 }
        let openCount = openRegionCount
        guard openCount == 0 else { throw .regionsOpen(count: openCount) }
        let directoryCount = unsafe Int(cistern_directory_count_load(headerPointer))
        guard directoryCount == 0 else { throw .directoriesOpen(count: directoryCount) }
        cistern_registry_hold()
        defer { cistern_registry_let_go() }
        let touchedBefore = header.it.touched_pages
        if has(CISTERN_HEAP_CHECKED) {
            cistern_sanitizer_unpoison(uintptr_t(base &+ Layout.classesOffset), Int(header.it.committed_bytes) - Int(Layout.classesOffset))
        }
        let geometry = Geometry(capacityBytes: header.it.capacity_bytes)
        var reservation = reservation
        let isGone = dropRuns(of: &reservation, above: geometry)
        emptyMaps(of: reservation, geometry, keepingTouched: !isGone)
        layOutAgain(geometry, reservation, touchedPages: isGone ? 0 : touchedBefore)
        let given = (touchedBefore - header.it.touched_pages) << UInt64(Layout.pageShift)
        header.it.given_back_bytes &+= given
        return given
    }

    private var openRegionCount: Int {
        var count = 0
        visitRegionRecords { record in
            if record.it.flags & UInt64(CISTERN_REGION_OPEN | CISTERN_REGION_BUSY | CISTERN_REGION_OWNED) != 0 { count += 1 }
            return true
        }
        return count
    }

    /// Takes the memory of all runs away. False when the system keeps some of it.
    private func dropRuns(of reservation: inout Reservation, above geometry: Geometry) -> Bool {
        let fixedBytes = UInt64(geometry.firstGranule) << UInt64(Layout.granuleShift)
        do throws(ReservationError) {
            try reservation.uncommit(downTo: fixedBytes)
            return true
        } catch {
            // It may still take the pages and leave the range as it is.
            let start = Self.fixedPageEnd(geometry)
            do throws(ReservationError) {
                return try reservation.decommit(offsetBytes: start, byteCount: reservation.committedBytes - start) == .zero
            } catch {
                return false
            }
        }
    }

    /// Where the page ends that the maps end in.
    private static func fixedPageEnd(_ geometry: Geometry) -> UInt64 {
        let fixedBytes = UInt64(geometry.firstGranule) << UInt64(Layout.granuleShift)
        return (fixedBytes + UInt64(Layout.pageByteCount) - 1) / UInt64(Layout.pageByteCount) * UInt64(Layout.pageByteCount)
    }

    /// Makes classes, page map and bits zero, and what shares their last page.
    private func emptyMaps(of reservation: Reservation, _ geometry: Geometry, keepingTouched: Bool) {
        let end = Self.fixedPageEnd(geometry)
        let start = UInt64(Layout.classesOffset)
        if !keepingTouched {
            do throws(ReservationError) {
                if try reservation.decommit(offsetBytes: start, byteCount: end - start) == .zero { return }
            } catch {
                // By hand, then.
            }
        }
        // Nothing above what was ever committed has been written.
        let pages = UInt(reservation.committedHighWaterBytes) >> Layout.pageShift
        Memory.zero(base &+ Layout.classesOffset, byteCount: Layout.pageByteCount)
        Memory.zero(base &+ Layout.pageMapOffset, byteCount: pages << 2)
        Memory.zero(base &+ UInt(geometry.bitsOffset), byteCount: pages << 3 &+ 8)
        if !keepingTouched { Memory.zero(base &+ UInt(geometry.touchedOffset), byteCount: (pages &+ 63) / 64 << 3) }
        let runs = base &+ UInt(geometry.firstGranule) << Layout.granuleShift
        Memory.zero(runs, byteCount: base &+ UInt(end) &- runs)
    }

    /// Writes the header as creation does, but for what goes on through a heap's whole life.
    private func layOutAgain(_ geometry: Geometry, _ reservation: Reservation, touchedPages: UInt64) {
        let options = options
        let place = header.it.registry_index
        let usedHighWater = header.it.used_granules_high_water
        let topHighWater = header.it.top_granule_high_water
        let touchedHighWater = header.it.touched_pages_high_water
        let givenBack = header.it.given_back_bytes
        // The incarnation is zero from here on until everything is in place, and then a new one: no thread's slot names it.
        Memory.zero(header.address, byteCount: Layout.pageByteCount)
        header.it.registry_index = place
        header.it.used_granules_high_water = usedHighWater
        header.it.touched_pages_high_water = touchedHighWater
        header.it.touched_pages = touchedPages
        header.it.given_back_bytes = givenBack
        layOut(geometry, options, reservation)
        header.it.top_granule_high_water = topHighWater
    }
}
