import CHeap
import CVirtualMemory
import VirtualMemory

// Safety: the first commit makes the header, the classes and all maps usable before they are written.

extension BoundedHeap {
    /// The smallest heap: 1 MiB.
    public static var leastCapacityBytes: UInt64 { 1 << 20 }
    /// The largest heap: 128 GiB, the reach of 32-bit indices in units of 32 bytes.
    public static var mostCapacityBytes: UInt64 { 128 << 30 }

    /// Reserves a heap's address space and lays it out.
    ///
    /// Three system calls: one reservation of exactly the capacity, its name, one commit; two advices more when the heap is
    /// not inherited. Nothing but the first pages is touched.
    ///
    /// - Throws: `HeapCreationError`; nothing is left behind.
    /// - Complexity: constant.
    public static func create(_ options: HeapOptions) throws(HeapCreationError) -> BoundedHeap {
        guard options.capacityBytes >= leastCapacityBytes else {
            throw .capacityTooSmall(givenBytes: options.capacityBytes, leastBytes: leastCapacityBytes)
        }
        guard options.capacityBytes <= mostCapacityBytes else {
            throw .capacityTooLarge(givenBytes: options.capacityBytes, mostBytes: mostCapacityBytes)
        }
        let pageBytes = UInt64(cistern_os_page_byte_count())
        let capacity = (options.capacityBytes + pageBytes - 1) / pageBytes * pageBytes
        let geometry = Geometry(capacityBytes: capacity)
        var reservation: Reservation
        do throws(ReservationError) {
            reservation = unsafe try Reservation.reserve(capacityBytes: capacity, calls: options.systemCalls)
        } catch {
            throw .reservation(error)
        }
        do throws(ReservationError) {
            try reservation.commit(upTo: UInt64(geometry.firstGranule) << UInt64(Layout.granuleShift))
        } catch {
            abandon(reservation)
            throw .commitment(error)
        }
        let heap = BoundedHeap(header: Ref(at: reservation.baseAddress))
        heap.layOut(geometry, options, reservation)
        guard heap.enterRegistry(isInherited: options.isInheritedByFork) else {
            abandon(reservation)
            throw .tooManyHeaps
        }
        return heap
    }

    /// The address space of a heap that could not be finished. A refusal leaves it mapped; the error that is on its way
    /// is the one that matters.
    private static func abandon(_ reservation: Reservation) {
        do throws(ReservationError) { try reservation.release() } catch { return }
    }

    func layOut(_ geometry: Geometry, _ options: HeapOptions, _ reservation: Reservation) {
        let incarnation = cistern_next_incarnation()
        header.it.base = uintptr_t(reservation.baseAddress)
        header.it.capacity_bytes = reservation.capacityBytes
        header.it.page_map_offset = UInt32(truncatingIfNeeded: Layout.pageMapOffset)
        header.it.bits_offset = geometry.bitsOffset
        header.it.touched_offset = geometry.touchedOffset
        header.it.first_granule = geometry.firstGranule
        header.it.capacity_granules = UInt32(truncatingIfNeeded: reservation.capacityBytes >> UInt64(Layout.granuleShift))
        header.it.size_mask = options.blockAlignment.rawValue &- 1
        header.it.slot_place = cistern_slot_place(incarnation & UInt64(CISTERN_SLOT_COUNT - 1))
        header.it.flags = Self.flags(options)
        header.it.soft_limit_bytes = options.softLimitBytes
        header.it.depth_shift = reservation.capacityBytes < 4 << 20 ? 2 : reservation.capacityBytes < 16 << 20 ? 1 : 0
        quarantine.it.limit_bytes = min(reservation.capacityBytes / 64, 1 << 20)
        note(options.report, options.reportContext)
        header.it.system_calls = uintptr_t(UInt(bitPattern: unsafe options.systemCalls))
        note(reservation)
        header.it.top_granule = geometry.firstGranule
        header.it.top_granule_high_water = UInt64(geometry.firstGranule)
        setBit(geometry.firstGranule)
        if options.isForOneThread {
            header.it.run_lock.disabled = 1
            quarantine.it.lock.disabled = 1
            for index in 0..<SizeClass.smallCount { sizeClass(index).it.lock.disabled = 1 }
        }
        if !options.isInheritedByFork {
            let headerBytes = UInt64(Layout.pageByteCount)
            keepFromChildren(reservation, offsetBytes: headerBytes)
            _ = reservation.advise(.wipeOnFork, offsetBytes: 0, byteCount: headerBytes)
        }
        header.it.incarnation = incarnation
    }

    /// Says that a fork's child gets no pages from an offset on. Where the system cannot do it, the child inherits, which costs
    /// memory and harms nothing.
    func keepFromChildren(_ reservation: Reservation, offsetBytes: UInt64) {
        guard offsetBytes < reservation.capacityBytes else { return }
        _ = reservation.advise(.notInherited, offsetBytes: offsetBytes, byteCount: reservation.capacityBytes - offsetBytes)
    }

    /// What the heap was made with, and the soft limit as it is now.
    var options: HeapOptions {
        var options = HeapOptions(capacityBytes: header.it.capacity_bytes)
        options.softLimitBytes = header.it.soft_limit_bytes
        options.blockAlignment = BlockAlignment(rawValue: header.it.size_mask &+ 1) ?? .eight
        options.isForOneThread = has(CISTERN_HEAP_SINGLE_THREAD)
        options.isChecked = has(CISTERN_HEAP_CHECKED)
        options.usesHugePages = has(CISTERN_HEAP_HUGE_PAGES)
        options.isInheritedByFork = !has(CISTERN_HEAP_NOT_INHERITED)
        // The word that `layOut` made of the function, turned back.
        options.report = unsafe unsafeBitCast(UnsafeRawPointer(bitPattern: UInt(header.it.report_function)), to: HeapReport?.self)
        options.reportContext = UInt(header.it.report_context)
        unsafe options.systemCalls = systemCalls
        return options
    }

    private static func flags(_ options: HeapOptions) -> UInt32 {
        var flags = 0
        if options.isForOneThread { flags |= CISTERN_HEAP_SINGLE_THREAD }
        if options.isChecked { flags |= CISTERN_HEAP_CHECKED }
        if options.usesHugePages { flags |= CISTERN_HEAP_HUGE_PAGES }
        if !options.isInheritedByFork { flags |= CISTERN_HEAP_NOT_INHERITED }
        return UInt32(flags)
    }

    /// Gives the whole reservation back.
    ///
    /// No other call on this heap may be in progress or follow. Threads may still have caches of it: they went with the
    /// reservation, and their slots name an incarnation that never comes back.
    ///
    /// - Returns: whether the system took it back; false leaves the address space mapped.
    @discardableResult
    public func destroy() -> Bool {
        guard header.it.incarnation != 0 else { return false }
        unsafe cistern_registry_remove(header.pointer)
        if has(CISTERN_HEAP_CHECKED) { return retire(reservation) }
        do throws(ReservationError) { try reservation.release() } catch { return false }
        return true
    }
}

/// Where the parts of a heap of some capacity stand, as offsets from its base.
struct Geometry {
    let bitsOffset: UInt32
    let touchedOffset: UInt32
    let firstGranule: UInt32

    /// The capacity is a whole number of pages, at most 128 GiB: every offset fits 32 bits.
    init(capacityBytes: UInt64) {
        let pages = capacityBytes >> UInt64(Layout.pageShift)
        let bits = (UInt64(Layout.pageMapOffset) + pages * 4 + 7) & ~7
        // One bit more than there are granules: the one that ends the last run.
        let touched = bits + pages * 8 + 8
        let end = touched + (pages + 63) / 64 * 8
        bitsOffset = UInt32(truncatingIfNeeded: bits)
        touchedOffset = UInt32(truncatingIfNeeded: touched)
        firstGranule = UInt32(truncatingIfNeeded: (end + 63) >> UInt64(Layout.granuleShift))
    }
}
