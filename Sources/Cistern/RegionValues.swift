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
        guard count >= 0, !overflow,
            let start = unsafe allocate(byteCount: byteCount, alignment: MemoryLayout<T>.alignment)
        else { return nil }
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
    /// - Complexity: as `allocate(byteCount:)`; 48 bytes beside the value.
    public func make<T>(_ value: consuming T) -> UnsafeMutablePointer<T>? {
        guard let place = unsafe allocate(of: T.self, count: 1)?.baseAddress,
            unsafe deinitialize(T.self, at: place, count: 1)
        else { return nil }
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
    /// - Complexity: linear in the elements.
    public func makeArray<C: Collection>(_ elements: C) -> UnsafeMutableBufferPointer<C.Element>? {
        let count = elements.count
        guard let room = unsafe allocate(of: C.Element.self, count: count) else { return nil }
        if count == 0 { return unsafe room }
        guard unsafe deinitialize(C.Element.self, at: room.baseAddress.unsafelyUnwrapped, count: count) else { return nil }
        let (_, end) = unsafe room.initialize(from: elements)
        precondition(end == count, "a collection with another number of elements than its count")
        return unsafe room
    }

    /// Registers the end of values that are about to be initialised. False: there is no room for it.
    private func deinitialize<T>(_ type: T.Type, at place: UnsafeMutablePointer<T>, count: Int) -> Bool {
        guard let record = unsafe allocate(of: ValuesToEnd.self, count: 1)?.baseAddress else { return false }
        unsafe record.initialize(to: ValuesToEnd(type: ValuesOf<T>.self, place: UnsafeMutableRawPointer(place), count: count))
        let status = core.addCleanup(
            { context in
                guard let record = unsafe UnsafePointer<ValuesToEnd>(bitPattern: context) else { return }
                unsafe record.pointee.end()
            }, context: UInt(bitPattern: record))
        return status == .done
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
