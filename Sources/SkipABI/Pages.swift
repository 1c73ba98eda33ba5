import CSkip
import HeapCore

// Safety: runs come from the heap and go back to it with the length they were taken with.

/// Whole pages of the heap: what regions and scratch are made of. That they are page runs is what tells them from persistent
/// blocks.
enum Pages {
    static var byteCount: UInt { UInt(bitPattern: BoundedHeap.pageByteCount) }

    /// Pages that hold so many bytes, at least one; nil for more than the heap's capacity.
    static func count(holding byteCount: UInt) -> Int? {
        // Nothing wraps below: the capacity is far from the end of the address space.
        guard byteCount <= UInt(Process.requireHeap().capacityBytes) else { return nil }
        return max(1, Int(bitPattern: (byteCount &+ Pages.byteCount &- 1) / Pages.byteCount))
    }

    /// The address of a run of pages of undefined content; nil when there is no room.
    static func take(_ count: Int) -> UInt? {
        guard let run = unsafe Process.requireHeap().allocatePages(count) else { return nil }
        return UInt(bitPattern: run)
    }

    static func giveBack(_ address: UInt, _ count: Int) {
        unsafe Process.requireHeap().deallocatePages(UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped, count)
    }
}
