import CHeap

// Safety: the header is the first page of a live reservation; see RawMemory.swift.

/// A heap inside one reservation of a known capacity: the handle of the core, one pointer wide.
///
/// It may be copied; all copies name the same heap, which lives until `destroy()`. Unless the heap was made for one
/// thread, every operation may be called from any thread at any time; where that is not so, the operation says so.
/// Sizes and capacities are bytes. No operation exits, prints or calls malloc.
@frozen
public struct BoundedHeap {
    /// The header, first page of the reservation.
    @usableFromInline
    let header: Ref<cistern_heap>

    @inlinable @inline(__always)
    init(header: Ref<cistern_heap>) {
        self.header = header
    }

    /// Names a heap by its header, as the C face holds it.
    ///
    /// - Parameter pointer: what `headerPointer` of a live heap gave.
    @inlinable @inline(__always)
    public init(headerPointer pointer: UnsafeMutablePointer<cistern_heap>) {
        header = unsafe Ref(pointer)
    }

    /// The header's address: the handle that C code holds.
    @inlinable @inline(__always)
    public var headerPointer: UnsafeMutablePointer<cistern_heap> { unsafe header.pointer }
}

/// Sizes of the layout. `cistern_heap_layout.h` has the picture.
@usableFromInline
enum Layout {
    @inlinable static var pageShift: UInt { 12 }
    @inlinable static var pageByteCount: UInt { 4096 }
    @inlinable static var granuleShift: UInt { 6 }
    @inlinable static var granuleByteCount: UInt { 64 }
    @inlinable static var granulesPerPage: UInt32 { 64 }
    @inlinable static var spanRecordShift: UInt { 5 }
    @inlinable static var classesOffset: UInt { 4096 }
    @inlinable static var pageMapOffset: UInt { 8192 }
    /// A page-map entry below this is no span record: 0 is run heap, 1 is memory of the heap itself. From here on, even ones
    /// are span records, and odd ones say 2 * (first page) + 1 of a region's chunk.
    @inlinable static var firstSpanEntry: UInt32 { 2 }
    @inlinable static var metadataEntry: UInt32 { 1 }

    /// Is this a span record's entry?
    @inlinable @inline(__always)
    static func isSpan(_ entry: UInt32) -> Bool { entry >= firstSpanEntry && entry & 1 == 0 }

    /// Is this the entry of a region's chunk?
    @inlinable @inline(__always)
    static func isRegion(_ entry: UInt32) -> Bool { entry >= firstSpanEntry && entry & 1 != 0 }
}

extension BoundedHeap {
    @inlinable @inline(__always)
    var base: UInt { UInt(header.it.base) }

    @inlinable @inline(__always)
    func address(ofGranule granule: UInt32) -> UInt { base &+ UInt(granule) << Layout.granuleShift }

    @inlinable @inline(__always)
    func granule(at address: UInt) -> UInt32 { UInt32(truncatingIfNeeded: (address &- base) >> Layout.granuleShift) }

    @inlinable @inline(__always)
    func pageMapEntry(ofPage page: UInt) -> UInt32 {
        Memory.load32(base &+ UInt(header.it.page_map_offset) &+ page << 2)
    }

    func setPageMapEntry(ofPage page: UInt32, _ entry: UInt32) {
        Memory.store32(base &+ UInt(header.it.page_map_offset) &+ UInt(page) << 2, entry)
    }

    @inlinable @inline(__always)
    func span(_ entry: UInt32) -> Ref<cistern_span> { Ref(at: base &+ UInt(entry) << Layout.spanRecordShift) }

    @inlinable @inline(__always)
    func sizeClass(_ index: UInt) -> Ref<cistern_class> { Ref(at: base &+ Layout.classesOffset &+ index << 6) }

    func spanAddress(_ span: Ref<cistern_span>) -> UInt { base &+ UInt(span.it.first_page) << Layout.pageShift }

    @inlinable @inline(__always)
    func has(_ flag: Int) -> Bool { header.it.flags & UInt32(truncatingIfNeeded: flag) != 0 }

    /// Checked mode's queue of freed blocks.
    var quarantine: Ref<cistern_quarantine> { Ref(at: header.address &+ UInt(CISTERN_QUARANTINE_OFFSET)) }

    func lockQuarantine() { unsafe cistern_quarantine_acquire(quarantine.pointer) }
    func unlockQuarantine() { unsafe cistern_quarantine_release(quarantine.pointer) }
    func lockRuns() { unsafe cistern_run_lock_acquire(header.pointer) }
    func unlockRuns() { unsafe cistern_run_lock_release(header.pointer) }
    func lock(_ sizeClass: Ref<cistern_class>) { unsafe cistern_class_acquire(sizeClass.pointer) }
    func unlock(_ sizeClass: Ref<cistern_class>) { unsafe cistern_class_release(sizeClass.pointer) }
}
