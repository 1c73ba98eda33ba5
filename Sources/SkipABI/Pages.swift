import CHeap
import CSkip
@_spi(Regions) import HeapCore

// Safety: runs come from the heap and go back to it with the length they were taken with; a run begins with the header of a chunk,
// of which the heap reads `older` and `end` when it is given back.

/// Whole pages of the heap: what regions and scratch are made of. The heap's page map knows them as chunks of regions, which is
/// what tells them from persistent blocks, and says from any address where its chunk begins.
///
/// The layer of regions is not between: Skip's runtime walks, relinks and keeps the lists of a region's pages itself, after
/// the region is gone, so the lists have to be of this face's making.
enum Pages {
    static var byteCount: UInt { UInt(bitPattern: BoundedHeap.pageByteCount) }

    /// Pages that hold so many bytes, at least one; nil for more than the heap's capacity.
    static func count(holding byteCount: UInt) -> UInt? {
        // Nothing wraps below: the capacity is far from the end of the address space.
        guard byteCount <= UInt(Process.requireHeap().capacityBytes) else { return nil }
        return max(1, (byteCount &+ Pages.byteCount &- 1) / Pages.byteCount)
    }

    /// The address of a run of pages of undefined content, but for `end` in its header; nil when there is no room.
    static func take(_ count: UInt, in heap: BoundedHeap) -> UInt? {
        let pages = UInt32(truncatingIfNeeded: count)
        if let chunk = heap.takeRegionRun(pages: pages).chunk { return UInt(bitPattern: unsafe chunk.pointer) }
        guard heap.scavengeForRegions(), let chunk = heap.takeRegionRun(pages: pages).chunk else { return nil }
        return UInt(bitPattern: unsafe chunk.pointer)
    }

    /// Gives back runs that are linked by `older`, their headers as `take` left them.
    static func giveBack(_ first: UInt, in heap: BoundedHeap) {
        heap.returnRegionRuns(chunk(first))
    }

    /// The run that holds an address; nil for all other addresses. Two loads.
    @inline(__always)
    static func run(holding address: UInt, in heap: BoundedHeap) -> UInt? {
        heap.regionChunk(holding: address).map { UInt(bitPattern: unsafe $0.pointer) }
    }

    static func chunk(_ address: UInt) -> Ref<cistern_region_chunk> {
        unsafe Ref(UnsafeMutablePointer<cistern_region_chunk>(bitPattern: address).unsafelyUnwrapped)
    }
}
