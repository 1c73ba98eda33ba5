import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; an index is below what `reserve` was last asked for.

// An array in segments of one size, so that growing copies no element, and none ever moves. Only the table of the segments is
// copied when it doubles: 8 bytes for each 64 buckets of names or 32 chunks of records, half a megabyte at ten million regions.
extension RegionDirectory {
    /// The two kinds of elements; the numbers are constants where they are used.
    /// Not without a raw type: the compiler would bring hashing along, and its random seed.
    enum Elements: UInt8 {
        case chunks
        case buckets

        @inline(__always) var byteCount: UInt {
            UInt(self == .chunks ? MemoryLayout<cistern_record_chunk>.stride : MemoryLayout<cistern_name_bucket>.stride)
        }
        /// Elements in a segment, as a power of two.
        @inline(__always) var shift: UInt32 { self == .chunks ? 5 : 6 }
        @inline(__always) var segmentBytes: UInt { byteCount << UInt(shift) }
    }

    @inline(__always)
    private func segments(_ kind: Elements) -> Ref<cistern_segments> { kind == .chunks ? chunkSegments : nameSegments }

    /// Address of an element.
    @inline(__always)
    func element(_ kind: Elements, _ index: UInt32) -> UInt {
        let segment: Ref<UInt64> = at(segments(kind).it.table &+ UInt64(index &>> kind.shift) &* 8)
        return address(segment.it) &+ UInt(index & ((1 &<< kind.shift) &- 1)) &* kind.byteCount
    }

    /// Makes room for the element at `index`; false when the heap is full. A new segment's bytes are undefined.
    func reserve(_ kind: Elements, through index: UInt32) -> Bool {
        let segments = segments(kind)
        let segment = index >> kind.shift
        guard segment >= segments.it.segment_count else { return true }
        if segment >= segments.it.table_capacity, !growTable(segments) { return false }
        let block = allocate(kind.segmentBytes)
        guard block != 0 else {
            // Without a segment there is nobody to give the table back later.
            if segments.it.segment_count == 0 { releaseSegments(kind, keeping: 0) }
            return false
        }
        let entry: Ref<UInt64> = at(segments.it.table &+ UInt64(segment) &* 8)
        entry.it = block
        segments.it.segment_count = segment &+ 1
        return true
    }

    private func growTable(_ segments: Ref<cistern_segments>) -> Bool {
        let old = UInt(segments.it.table_capacity)
        let new = max(8, old * 2)
        let table = allocate(new * 8)
        guard table != 0 else { return false }
        if old > 0 { Bytes.move(from: address(segments.it.table), to: address(table), byteCount: old * 8) }
        free(segments.it.table, old * 8)
        segments.it.table = table
        segments.it.table_capacity = UInt32(new)
        return true
    }

    /// Gives back the segments that hold none of the first `count` elements; with a count of 0 the table too.
    @inline(__always)
    func release(_ kind: Elements, keeping count: UInt32) {
        let kept = (count &+ ((1 &<< kind.shift) &- 1)) >> kind.shift
        if segments(kind).it.segment_count > kept { releaseSegments(kind, keeping: kept) }
    }

    private func releaseSegments(_ kind: Elements, keeping kept: UInt32) {
        let segments = segments(kind)
        while segments.it.segment_count > kept {
            segments.it.segment_count &-= 1
            let entry: Ref<UInt64> = at(segments.it.table &+ UInt64(segments.it.segment_count) &* 8)
            free(entry.it, kind.segmentBytes)
        }
        if kept == 0 {
            free(segments.it.table, UInt(segments.it.table_capacity) * 8)
            segments.it.table = 0
            segments.it.table_capacity = 0
        }
    }
}
