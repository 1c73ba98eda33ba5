import CHeap
@_spi(Regions) import HeapCore

// Safety: the handle's record stands in a page of records, which stays until the heap is destroyed; see RegionMemory.swift.

/// What an operation on a region can answer.
public enum RegionStatus: UInt32, Sendable {
    /// Done.
    case done = 0
    /// The heap's capacity does not hold it. Nothing has changed.
    case exhausted = 1
    /// The region's own limit does not hold it. Nothing has changed.
    case limitReached = 2
    /// The region has been closed.
    case closed = 3
    /// The region's cleanup actions are running, or those of a region above it that is being closed.
    case busy = 4
    /// A free-standing region has nobody to promote to.
    case noParent = 5
    /// The address is not in this region.
    case notInRegion = 6
    /// The mark is not one of this region, or what it marked has been given back.
    case staleMark = 7
    /// The two regions are of different heaps, or one and the same.
    case notExchangeable = 8
    /// A size or an alignment is out of its range.
    case invalidArgument = 9
}

/// A region: memory of one heap that dies all at once. The handle of the core, one pointer wide.
///
/// Allocation takes the next bytes of the current *chunk*, a run of whole pages. Chunks begin with one page and grow with
/// the region, to 256 KiB; large objects have runs of their own. Closing a region gives all of it back, and closes the
/// regions inside it first.
///
/// Copies of the handle name the same region. A region is one thread's at a time, its parent and its children with it: whoever
/// hands one on hands on the whole tree. Other regions of the heap may be in other threads meanwhile. A handle that outlives
/// its region finds it closed: allocation answers `nil`, everything else `.closed`, until the record serves another region of
/// the same heap. In checked mode that happens a thousand closings later, and such a use is reported before.
///
/// Nothing here prints, exits or calls malloc. Sizes are bytes.
@frozen
public struct BoundedRegion: Equatable {
    /// The region's record.
    @usableFromInline
    let record: Ref<cistern_region>

    @inlinable @inline(__always)
    init(record: Ref<cistern_region>) {
        self.record = record
    }

    /// Names a region by its record, as the C face holds it.
    ///
    /// - Parameter pointer: what `recordPointer` of a region gave, whose heap lives.
    @inlinable @inline(__always)
    public init(recordPointer pointer: UnsafeMutablePointer<cistern_region>) {
        record = unsafe Ref(pointer)
    }

    /// The record's address: the handle that C code holds.
    @inlinable @inline(__always)
    public var recordPointer: UnsafeMutablePointer<cistern_region> { unsafe record.pointer }

    /// Do two handles name the same region?
    @inlinable
    public static func == (left: BoundedRegion, right: BoundedRegion) -> Bool {
        unsafe left.recordPointer == right.recordPointer
    }

    /// The heap that the region is of. Also for a closed one.
    @inlinable
    public var heap: BoundedHeap {
        unsafe BoundedHeap(headerPointer: Ref<cistern_heap>(regionAddress: UInt(record.it.heap)).pointer)
    }

    /// Is it open? Any handle may ask.
    @inlinable
    public var isOpen: Bool { has(CISTERN_REGION_OPEN) }

    /// Counts how often this record was opened, on from a number of the heap's own: with its address it tells regions apart, also
    /// those of heaps that are gone.
    public var incarnation: UInt64 { record.it.incarnation }

    /// The region that it was opened in; nil for a free-standing one and for a closed one.
    public var parent: BoundedRegion? {
        guard isOpen, let parent = Ref<cistern_region>.optional(record.it.parent) else { return nil }
        return BoundedRegion(record: parent)
    }

    /// Why the last allocation that was refused was: `.exhausted`, `.limitReached`, `.busy`, `.closed` or `.invalidArgument`.
    public var lastRefusal: RegionStatus { RegionStatus(rawValue: record.it.last_refusal) ?? .done }

    // MARK: For the other files of this layer

    @inlinable @inline(__always)
    func has(_ flag: Int) -> Bool { record.it.flags & UInt64(truncatingIfNeeded: flag) != 0 }

    func set(_ flag: Int) { record.it.flags |= UInt64(truncatingIfNeeded: flag) }
    func clear(_ flag: Int) { record.it.flags &= ~UInt64(truncatingIfNeeded: flag) }

    var isChecked: Bool { has(CISTERN_REGION_CHECKED) }

    /// The current chunk.
    var chunk: Ref<cistern_region_chunk>? { .optional(record.it.chunk) }

    /// May an operation begin? `.done`, `.closed` or `.busy`; in checked mode a closed region is reported.
    func usability() -> RegionStatus {
        guard isOpen else {
            if isChecked { heap.reportClosedRegion(record.number) }
            return .closed
        }
        return has(CISTERN_REGION_BUSY) ? .busy : .done
    }
}

extension BoundedRegion {
    /// May what is in it be given back? Not while a cleanup action of a region inside it runs.
    func closability() -> RegionStatus {
        let status = usability()
        return status == .done && record.it.pin_count > 0 ? .busy : status
    }
}

/// What a region is like; fixed when it is opened, but for the limit.
public struct RegionOptions: Sendable {
    /// Bytes that may be allocated in it, alignment included, those of its children not; 0: as many as the heap holds.
    public var limitBytes: UInt64 = 0
    /// Whoever opens it gives the record back by `dispose()`, also after a parent has closed the region: such a handle never
    /// comes to name another region.
    public var isOwned = false

    /// Options with every default.
    @inlinable
    public init(limitBytes: UInt64 = 0, isOwned: Bool = false) {
        self.limitBytes = limitBytes
        self.isOwned = isOwned
    }
}
