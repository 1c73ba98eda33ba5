import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; an index is below what `reserve` was last asked for.

// An array that grows and shrinks by a segment, so that no growth copies elements: eight segments of `unit` elements, then
// eight for each doubling. The table of the segments is copied when it grows; it has at most some 230 entries.
extension RegionDirectory {
    /// Number of the segment that holds an index, and where in it.
    @inline(__always)
    private func place(_ segments: Ref<cistern_segments>, _ index: UInt32) -> (segment: UInt32, within: UInt32) {
        let shift = UInt32(truncatingIfNeeded: segments.it.unit.trailingZeroBitCount)
        let units = index >> shift
        guard units >= 8 else { return (units, index & (segments.it.unit &- 1)) }
        let octave = 28 &- UInt32(truncatingIfNeeded: units.leadingZeroBitCount)
        return (8 &+ octave &* 8 &+ (units >> octave & 7), index & ((segments.it.unit << octave) &- 1))
    }

    private func elementCount(_ segments: Ref<cistern_segments>, _ segment: UInt32) -> UInt32 {
        segment < 8 ? segments.it.unit : segments.it.unit << (segment / 8 - 1)
    }

    private func segmentBytes(_ segments: Ref<cistern_segments>, _ segment: UInt32) -> UInt {
        UInt(elementCount(segments, segment)) * UInt(segments.it.element_byte_count)
    }

    /// Address of an element.
    @inline(__always)
    func element(_ segments: Ref<cistern_segments>, _ index: UInt32) -> UInt {
        let place = place(segments, index)
        let segment: Ref<UInt64> = at(segments.it.table &+ UInt64(place.segment) &* 8)
        return address(segment.it) &+ UInt(place.within) &* UInt(segments.it.element_byte_count)
    }

    /// Makes room for the element at `index`; false when the heap is full. A new segment's bytes are undefined.
    func reserve(_ segments: Ref<cistern_segments>, through index: UInt32) -> Bool {
        let segment = place(segments, index).segment
        guard segment >= segments.it.segment_count else { return true }
        if segment >= segments.it.table_capacity, !growTable(segments) { return false }
        let block = allocate(segmentBytes(segments, segment))
        guard block != 0 else { return false }
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
    func release(_ segments: Ref<cistern_segments>, keeping count: UInt32) {
        let kept = count == 0 ? 0 : place(segments, count &- 1).segment &+ 1
        while segments.it.segment_count > kept {
            segments.it.segment_count &-= 1
            let entry: Ref<UInt64> = at(segments.it.table &+ UInt64(segments.it.segment_count) &* 8)
            free(entry.it, segmentBytes(segments, segments.it.segment_count))
        }
        if kept == 0 {
            free(segments.it.table, UInt(segments.it.table_capacity) * 8)
            segments.it.table = 0
            segments.it.table_capacity = 0
        }
    }
}
