import HeapCore

// Safety: the buffer handed to the core is the array's own, for the time of the call.

/// What stands where in a heap, at one moment. Sizes are bytes.
public struct HeapSnapshot: Equatable, Sendable {
    /// The heap's first address: where the offsets count from.
    public var baseAddress: UInt
    /// In the order of their addresses, from the base to the capacity, without gap or overlap.
    public var stretches: [HeapStretch]

    /// The bytes in stretches of some kind.
    public func byteCount(of kind: HeapStretchKind) -> UInt64 {
        stretches.reduce(0) { $0 + ($1.kind == kind ? $1.byteCount : 0) }
    }

    /// The whole reservation.
    public var capacityBytes: UInt64 { stretches.reduce(0) { $0 + $1.byteCount } }
    /// What the system lets the heap use.
    public var committedBytes: UInt64 { capacityBytes - byteCount(of: .reserved) }
    /// What of it may be resident, the fixed part not among it.
    public var touchedBytes: UInt64 { stretches.reduce(0) { $0 + $1.touchedBytes } }
    /// What blocks take that are handed out: live, or held ready by a thread.
    public var handedOutBytes: UInt64 { stretches.reduce(0) { $0 + $1.handedOutBytes } }
    /// Holes between what is in use, and free blocks in spans.
    public var holeBytes: UInt64 {
        stretches.reduce(0) { $0 + ($1.kind == .free ? $1.byteCount : UInt64($1.freeBlockCount) * UInt64($1.blockBytes)) }
    }
}

extension Heap {
    /// Looks at the whole heap: what is usable, what stands in it, where the holes are.
    ///
    /// Any thread may call it. It is all of one moment; threads that need one of the heap's locks wait meanwhile. A block that a
    /// thread holds ready counts as handed out. The array is the Swift runtime's, not the heap's.
    ///
    /// - Complexity: proportional to the number of runs, and to a 4096th of the bytes in use; once more where the heap grew
    ///   between the look at how many there are and the look at what they are.
    public func snapshot() -> HeapSnapshot {
        var stretches: [HeapStretch] = []
        var room = 64
        while true {
            var count = 0
            stretches = unsafe [HeapStretch](unsafeUninitializedCapacity: room) { buffer, initialized in
                unsafe buffer.initialize(repeating: HeapStretch())
                count = unsafe core.snapshot(into: buffer)
                initialized = min(count, room)
            }
            if count <= room { return HeapSnapshot(baseAddress: core.baseAddress, stretches: stretches) }
            room = count + count / 8
        }
    }
}
