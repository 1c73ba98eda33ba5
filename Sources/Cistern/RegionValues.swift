import HeapCore
import Regions

// Safety: a place is as large and as aligned as its type asks for, which is why memory can be bound to it here; its life is
// the region's. A cleanup record of a value names the value's own type.

extension Region {
    /// Allocates room for `count` values of a type, aligned as the type asks; none of them is initialised, and none is
    /// deinitialised when the region goes.
    ///
    /// - Returns: exactly `count` values' room; `nil` as `allocate(byteCount:)`, when the size in bytes is more than an `Int`
    ///   says, and for a negative count.
    /// - Complexity: as `allocate(byteCount:)`.
    @inlinable
    public func allocate<T: ~Copyable>(of type: T.Type, count: Int) -> UnsafeMutableBufferPointer<T>? {
        let (byteCount, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
        guard count >= 0, !overflow else {
            core.refuseInvalidArgument()
            return nil
        }
        guard let start = unsafe allocate(byteCount: byteCount, alignment: MemoryLayout<T>.alignment) else { return nil }
        return unsafe UnsafeMutableBufferPointer(start: start.bindMemory(to: T.self, capacity: count), count: count)
    }

    /// Puts a value into the region. It needs no deinitialising.
    ///
    /// - Returns: where it is; `nil` as `allocate(byteCount:)`.
    /// - Complexity: as `allocate(byteCount:)`.
    @inlinable @inline(__always)
    public func make<T: BitwiseCopyable>(_ value: T) -> UnsafeMutablePointer<T>? {
        guard let place = unsafe allocate(byteCount: MemoryLayout<T>.size, alignment: MemoryLayout<T>.alignment) else { return nil }
        return unsafe place.initializeMemory(as: T.self, to: value)
    }

    /// Puts a value into the region, which deinitialises it when it goes, is reset, or is released to an older mark.
    ///
    /// - Returns: where it is; `nil` as `allocate(byteCount:)`, the value is gone then.
    /// - Complexity: as `allocate(byteCount:)`; 56 bytes beside the value.
    public func make<T>(_ value: consuming T) -> UnsafeMutablePointer<T>? {
        guard let place = unsafe allocateEnding(T.self, count: 1)?.baseAddress else { return nil }
        unsafe place.initialize(to: value)
        return unsafe place
    }

    /// Makes an array of `count` copies of a value that needs no deinitialising.
    ///
    /// - Returns: `nil` as `allocate(of:count:)`.
    /// - Complexity: linear in `count`.
    @inlinable
    public func makeArray<T: BitwiseCopyable>(repeating value: T, count: Int) -> UnsafeMutableBufferPointer<T>? {
        guard let room = unsafe allocate(of: T.self, count: count) else { return nil }
        unsafe room.initialize(repeating: value)
        return unsafe room
    }

    /// Makes an array of the elements of a collection that need no deinitialising.
    ///
    /// - Returns: `nil` as `allocate(of:count:)`.
    /// - Complexity: linear in the elements.
    @inlinable
    public func makeArray<C: Collection>(_ elements: C) -> UnsafeMutableBufferPointer<C.Element>? where C.Element: BitwiseCopyable {
        guard let room = unsafe allocate(of: C.Element.self, count: elements.count) else { return nil }
        // A collection whose elements are not as many as its count said leaves the rest, or is left.
        _ = unsafe room.initialize(from: elements)
        return unsafe room
    }

    /// Makes an array of the elements of a collection, which the region deinitialises when it goes.
    ///
    /// - Returns: `nil` as `allocate(of:count:)`.
    /// - Complexity: linear in the elements; 56 bytes beside them.
    public func makeArray<C: Collection>(_ elements: C) -> UnsafeMutableBufferPointer<C.Element>? {
        let count = elements.count
        if count == 0 { return unsafe allocate(of: C.Element.self, count: 0) }
        guard let room = unsafe allocateEnding(C.Element.self, count: count) else { return nil }
        let (_, end) = unsafe room.initialize(from: elements)
        precondition(end == count, "a collection with another number of elements than its count")
        return unsafe room
    }

    /// Allocates room for values that are about to be initialised, and registers their end: all of it or nothing. In one piece, the
    /// cleanup record first, then what it is called with, then the values.
    private func allocateEnding<T>(_ type: T.Type, count: Int) -> UnsafeMutableBufferPointer<T>? {
        let alignment = max(MemoryLayout<T>.alignment, MemoryLayout<ValuesToEnd>.alignment)
        let head = (BoundedRegion.cleanupByteCount + MemoryLayout<ValuesToEnd>.size + alignment - 1) & ~(alignment - 1)
        let (valueBytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
        let (byteCount, sumOverflow) = valueBytes.addingReportingOverflow(head)
        guard count >= 0, !overflow, !sumOverflow else {
            core.refuseInvalidArgument()
            return nil
        }
        guard let piece = unsafe allocate(byteCount: byteCount, alignment: alignment) else { return nil }
        let values = unsafe (piece + head).bindMemory(to: T.self, capacity: count)
        let record = unsafe (piece + BoundedRegion.cleanupByteCount).bindMemory(to: ValuesToEnd.self, capacity: 1)
        unsafe record.initialize(to: ValuesToEnd(type: ValuesOf<T>.self, place: UnsafeMutableRawPointer(values), count: count))
        unsafe core.addCleanup(
            { context in
                guard let record = unsafe UnsafePointer<ValuesToEnd>(bitPattern: context) else { return }
                unsafe record.pointee.end()
            }, context: UInt(bitPattern: record), at: piece)
        return unsafe UnsafeMutableBufferPointer(start: values, count: count)
    }

    /// Objects that are deinitialised with their region.
    @safe
    private struct ValuesToEnd {
        let type: any Deinitializing.Type
        let place: UnsafeMutableRawPointer
        let count: Int

        func end() { unsafe type.deinitialize(place, count: count) }
    }
}

/// Knows how to end values of one type whose memory says nothing about it.
private protocol Deinitializing {
    static func deinitialize(_ place: UnsafeMutableRawPointer, count: Int)
}

private enum ValuesOf<T>: Deinitializing {
    static func deinitialize(_ place: UnsafeMutableRawPointer, count: Int) {
        unsafe place.assumingMemoryBound(to: T.self).deinitialize(count: count)
    }
}
