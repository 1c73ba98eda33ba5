import CHeap

// Safety: see RawMemory.swift.

// Giving back on demand, as far as what is free goes. GiveBack.swift decides by itself, Discard.swift takes everything.
extension BoundedHeap {
    /// Gives everything that is free back to the system at once: this thread's cache, empty spans, free pages, and what is
    /// committed above the last byte in use. What the kernel counts for this process falls by it before the call returns.
    ///
    /// Free blocks in other threads' caches stay there: those stacks change without locks, so only their owner may empty
    /// them. They are at most a 64th of the capacity; `trimAtSafePoint()` takes them too.
    ///
    /// - Returns: bytes that the system got back.
    @discardableResult
    public func trim() -> UInt64 {
        guard isUsable else { return 0 }
        _ = scavenge()
        lockRuns()
        let pages = giveBack(pageLimit: UInt64.max)
        lowerCommitment()
        unlockRuns()
        return pages << UInt64(Layout.pageShift)
    }

    /// The same, and the caches of all other threads: for a host that has stopped them, or knows that none of them is in the
    /// heap. No other call on this heap may be in progress. Threads may end meanwhile.
    ///
    /// - Returns: bytes that the system got back.
    @discardableResult
    public func trimAtSafePoint() -> UInt64 {
        guard isUsable else { return 0 }
        // A thread that ends empties its own cache.
        cistern_registry_hold()
        flushAllCaches()
        cistern_registry_let_go()
        return trim()
    }

    /// For idle hosts: ends the current give-back window now. Pages that were free since the last call are given back.
    ///
    /// - Returns: bytes that the system got back.
    @discardableResult
    public func maintain() -> UInt64 {
        guard isUsable else { return 0 }
        lockRuns()
        let pages = endWindow()
        unlockRuns()
        return pages << UInt64(Layout.pageShift)
    }
}
