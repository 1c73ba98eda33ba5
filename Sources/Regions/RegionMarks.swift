import CHeap
@_spi(Regions) import HeapCore

// Safety: a mark's record stands in its region's own bytes, and is found by walking the region's list only.

/// A place in a region to which it can be released.
public struct RegionMark: Equatable, Sendable {
    var region: UInt = 0
    var incarnation: UInt64 = 0
    var serial: UInt64 = 0

    /// A mark of no region.
    public init() {}

    /// From what `words` gave: for C.
    public init(words: (UInt64, UInt64, UInt64)) {
        region = UInt(words.0)
        incarnation = words.1
        serial = words.2
    }

    /// The mark as plain data: for C.
    public var words: (UInt64, UInt64, UInt64) { (UInt64(region), incarnation, serial) }
}

extension BoundedRegion {
    /// Remembers this moment of the region.
    ///
    /// - Parameter mark: set when the answer is `.done`.
    /// - Returns: `.done`, or why not: `.exhausted`, `.limitReached`, `.closed`, `.busy`.
    /// - Complexity: constant; takes 24 bytes of the region.
    public func mark(_ mark: inout RegionMark) -> RegionStatus {
        guard let node = unsafe allocate(byteCount: MemoryLayout<cistern_region_mark_record>.size) else { return lastRefusal }
        let made = Ref<cistern_region_mark_record>(regionAddress: UInt(bitPattern: node))
        made.it.older = record.it.marks
        made.it.serial = nextSerial()
        made.it.cleanups = record.it.cleanups
        record.it.marks = uintptr_t(made.number)
        mark.region = record.number
        mark.incarnation = record.it.incarnation
        mark.serial = made.it.serial
        return .done
    }

    /// Gives back what was allocated since a mark was taken: closes the regions opened inside this one since, runs the cleanup
    /// actions registered since, and frees chunks and large objects, also promoted ones. The mark itself stays and can be
    /// released to again; younger ones are gone.
    ///
    /// - Returns: `.done`; `.staleMark` for a mark of another region, or one that an older mark's release, a reset or an exchange
    ///   has taken away, and then nothing has changed; `.closed`; `.busy`.
    /// - Complexity: linear in what is given back, and in the younger marks.
    public func release(to mark: RegionMark) -> RegionStatus {
        let status = closability()
        guard status == .done else { return status }
        guard let node = node(of: mark) else { return .staleMark }
        becomeBusy()
        let haveChildrenRunActions = closeChildren(bornAfter: node.it.serial)
        let hasRunActions = runCleanups(downTo: node.it.cleanups) || haveChildrenRunActions
        freeLargeObjects(youngerThan: node.it.serial)
        freeChunks(downTo: node.number)
        record.it.marks = uintptr_t(node.number)
        clear(CISTERN_REGION_BUSY)
        if let chunk { setHead(node.number &+ UInt(MemoryLayout<cistern_region_mark_record>.size), in: chunk) }
        if hasRunActions { closeAbandoned() }
        return .done
    }

    /// Is everything still there that was allocated before a mark of this region? Not after a reset, an exchange, or a release to
    /// an older mark.
    ///
    /// - Complexity: linear in the younger marks.
    public func holds(_ mark: RegionMark) -> Bool { node(of: mark) != nil }

    private func node(of mark: RegionMark) -> Ref<cistern_region_mark_record>? {
        guard mark.region == record.number, mark.incarnation == record.it.incarnation else { return nil }
        var next = Ref<cistern_region_mark_record>.optional(record.it.marks)
        while let node = next, node.it.serial > mark.serial { next = .optional(node.it.older) }
        guard let node = next, node.it.serial == mark.serial else { return nil }
        return node
    }

    /// The list of large objects is sorted by serial, youngest first.
    func freeLargeObjects(youngerThan serial: UInt64) {
        while let chunk = Ref<cistern_region_chunk>.optional(record.it.large), chunk.it.serial > serial {
            unlinkLarge(chunk)
            chunk.it.older = 0
            giveBack(chunk)
        }
    }

    /// Frees the chunks younger than the one that holds an address, which becomes the current one.
    private func freeChunks(downTo address: UInt) {
        while let chunk, address &- chunk.number >= UInt(chunk.it.end) &- chunk.number { freeCurrentChunk() }
        guard isChecked, let chunk else { return }
        let kept = address &+ UInt(MemoryLayout<cistern_region_mark_record>.size)
        RegionMemory.fill(kept, byteCount: UInt(chunk.it.used_end) &- kept, with: Self.freedByte)
    }

    /// The fast path is off; the one before the current chunk becomes current.
    func freeCurrentChunk() {
        guard let chunk else { return }
        let older = Ref<cistern_region_chunk>.optional(chunk.it.older)
        record.it.chunk = chunk.it.older
        record.it.chunk_count &-= 1
        record.it.run_bytes &-= runBytes(of: chunk)
        if let older {
            older.it.newer = 0
            record.it.settled_bytes &-= UInt64(older.it.used_end &- older.it.first)
        }
        chunk.it.older = 0
        giveBack(chunk)
    }

    /// Empties the region and keeps it open: closes the regions inside it, runs its cleanup actions, frees large objects and all
    /// chunks but the oldest. All its marks are stale from then on.
    ///
    /// - Returns: `.done`, `.closed` or `.busy`.
    /// - Complexity: as `close()`.
    public func reset() -> RegionStatus {
        let status = closability()
        guard status == .done else { return status }
        becomeBusy()
        let haveChildrenRunActions = closeChildren(bornAfter: 0)
        let hasRunActions = runCleanups(downTo: 0) || haveChildrenRunActions
        freeLargeObjects(youngerThan: 0)
        while let chunk, chunk.it.older != 0 { freeCurrentChunk() }
        record.it.marks = 0
        clear(CISTERN_REGION_BUSY)
        if let chunk {
            let first = UInt(chunk.it.first)
            if isChecked { RegionMemory.fill(first, byteCount: UInt(chunk.it.used_end) &- first, with: Self.freedByte) }
            setHead(first, in: chunk)
        }
        if hasRunActions { closeAbandoned() }
        return .done
    }

    /// Sets the limit; 0 takes it away. What is in the region already stays, also above the limit.
    ///
    /// - Returns: `.done`, `.closed` or `.busy`.
    public func setLimit(bytes: UInt64) -> RegionStatus {
        let status = usability()
        guard status == .done else { return status }
        record.it.limit_bytes = bytes
        refreshEnd()
        return .done
    }
}
