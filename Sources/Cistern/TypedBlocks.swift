import HeapCore

// Safety: a block is as large and as aligned as its type asks for, which is why memory can be bound to it here; life and
// content are the caller's.

extension Heap {
    /// Allocates room for `count` values of a type, aligned as the type asks; none of them is initialised.
    ///
    /// - Parameters:
    ///   - type: the type of the values.
    ///   - count: 0 or more.
    /// - Returns: exactly `count` values' room; `nil` when the capacity does not hold it, when the size in bytes is more than
    ///   an `Int` says, and for a negative count.
    /// - Complexity: as `allocate(byteCount:)`; any thread may call it.
    @inlinable
    public func allocate<T: ~Copyable>(of type: T.Type, count: Int) -> UnsafeMutableBufferPointer<T>? {
        let (byteCount, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
        guard count >= 0, !overflow else { return nil }
        // Every block is 8-aligned, and 16-aligned where its size is a multiple of 16, as a stride of that alignment is.
        let block =
            MemoryLayout<T>.alignment <= (byteCount == 0 ? 8 : 16)
            ? unsafe allocate(byteCount: byteCount)
            : unsafe allocate(byteCount: byteCount, alignment: MemoryLayout<T>.alignment)
        guard let block = unsafe block else { return nil }
        return unsafe UnsafeMutableBufferPointer(start: block.bindMemory(to: T.self, capacity: count), count: count)
    }

    /// Frees what `allocate(of:count:)` returned: the whole buffer, not a part of it. Its values are not deinitialised.
    ///
    /// - Parameter buffer: a live buffer of this heap; one without a base address is nothing to free.
    /// - Complexity: as `deallocate(_:byteCount:)`; any thread may call it.
    @inlinable
    public func deallocate<T: ~Copyable>(_ buffer: UnsafeMutableBufferPointer<T>) {
        guard let start = buffer.baseAddress else { return }
        // No overflow: the product was formed when the buffer was allocated.
        unsafe deallocate(UnsafeMutableRawPointer(start), byteCount: buffer.count * MemoryLayout<T>.stride)
    }
}
