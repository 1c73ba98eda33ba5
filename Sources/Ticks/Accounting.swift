import CTicks
import HeapCore

// Safety: see RegionDirectory.swift.

/// What a directory holds and has done. Counts are of regions, unless the name says otherwise.
public struct DirectoryStatistics: Equatable, Sendable {
    /// Alive.
    public var liveCount: UInt64 = 0
    /// Tombstones that some reader needs.
    public var tombstoneCount: UInt64 = 0
    /// Bytes of those, with their names.
    public var tombstoneBytes: UInt64 = 0
    /// Removed in the open tick.
    public var stagedCount: UInt64 = 0
    /// Tombstones that nobody needs and that are not freed yet.
    public var backlogCount: UInt64 = 0
    /// Contents kept for snapshots, those in the backlog among them.
    public var keptContentCount: UInt64 = 0
    /// Regions of the heap that named regions own, or did and that are kept or still in use.
    public var ownedRegionCount: UInt64 = 0

    /// Ever made.
    public var bornTotal: UInt64 = 0
    /// Removed, and needed by nobody when their tick ended.
    public var annihilatedTotal: UInt64 = 0
    /// Tombstones freed.
    public var purgedTotal: UInt64 = 0
    /// Readers that lost their pins.
    public var expiredTotal: UInt64 = 0
    /// Answers that said "start anew".
    public var resyncTotal: UInt64 = 0

    /// The open tick.
    public var openTick = Tick.first
    /// Positions from here on are answered exactly without a pin.
    public var floor = Tick.first
    /// The oldest pin; the open tick when there is none.
    public var horizon = Tick.first
    /// Different pin values, or groups of them when there are more than 64.
    public var pinCount: Int = 0
    /// Readers, those expired or cancelled and not yet gone among them.
    public var readerCount: UInt64 = 0
    /// Records that the last boundary looked at.
    public var touchedByLastSeal: UInt64 = 0
    /// The most that one ever looked at.
    public var touchedMost: UInt64 = 0

    /// Bytes that the directory holds of the heap, as it asked for them: all of the following and its tables.
    public var totalBytes: UInt64 = 0
    /// Names, of tombstones too.
    public var nameBytes: UInt64 = 0
    /// What only living regions need.
    public var livePartBytes: UInt64 = 0
    /// Owners beyond the first of each region.
    public var ownerBytes: UInt64 = 0
    /// Events of batches not yet acknowledged.
    public var batchBytes: UInt64 = 0
    /// Readers.
    public var readerBytes: UInt64 = 0

    /// All zero.
    public init() {}
}

/// What one reader holds.
public struct ReaderStatistics: Equatable, Sendable {
    /// How it stands with the limits.
    public enum State: UInt32, Sendable {
        /// Within them.
        case active = 0
        /// Over one at the last boundary.
        case lagging = 1
        /// Its pins are gone; the next poll says why.
        case expired = 2
        /// To be taken away.
        case cancelled = 3
    }
    /// How it stands with the limits.
    public var state = State.active
    /// What kind of reader it is.
    public var readerClass = ReaderClass.subscription
    /// Everything before is acknowledged.
    public var acknowledged = Tick.first
    /// Everything before is delivered.
    public var delivered = Tick.first
    /// Ticks behind the open one.
    public var lagTicks: UInt64 = 0
    /// Tombstones that it needs; others may need them too.
    public var heldCount: UInt64 = 0
    /// Bytes of those.
    public var heldBytes: UInt64 = 0
    /// Of those, how many nobody else needs.
    public var heldAloneCount: UInt64 = 0

    /// Nothing.
    public init() {}
}

extension RegionDirectory {
    /// Counts. Constant.
    public func statistics() -> DirectoryStatistics {
        lock()
        defer { unlock() }
        var result = DirectoryStatistics()
        let it = header.it
        result.liveCount = it.live_count
        result.tombstoneCount = it.markers.held_count
        result.tombstoneBytes = it.markers.held_byte_count
        result.stagedCount = it.staged_count
        result.backlogCount = it.markers.queue_count
        result.keptContentCount = it.contents.held_count &+ it.contents.queue_count
        result.ownedRegionCount = it.content_count
        result.bornTotal = it.born_total
        result.annihilatedTotal = it.annihilated_total
        result.purgedTotal = it.purged_total
        result.expiredTotal = it.expired_total
        result.resyncTotal = it.resync_total
        result.openTick = openTick
        result.floor = Tick(it.floor)
        result.horizon = it.markers.count == 0 ? openTick : Tick(group(markers, 0).it.low)
        result.pinCount = Int(it.markers.count)
        result.touchedByLastSeal = it.touched_last_seal
        result.touchedMost = it.touched_most
        result.nameBytes = it.name_byte_count
        result.livePartBytes = it.live_part_count &* UInt64(MemoryLayout<cistern_live_part>.size)
        result.ownerBytes = it.owner_link_count &* UInt64(MemoryLayout<cistern_owner_link>.size)
        result.batchBytes = it.batch_byte_count
        lockReaders()
        result.readerCount = header.it.reader_count
        result.readerBytes = header.it.reader_byte_count
        unlockReaders()
        result.totalBytes = it.block_byte_count &+ result.readerBytes &+ UInt64(MemoryLayout<cistern_directory>.size)
        return result
    }

    /// The oldest pin, the open tick when there is none: constant, however many readers there are.
    public var horizon: Tick {
        lock()
        defer { unlock() }
        return markers.it.count == 0 ? openTick : Tick(group(markers, 0).it.low)
    }

    /// What a reader holds, as of the last boundary; of a cancelled one only that it is. Complexity: the square of the groups of pins.
    public func statistics(of handle: ReaderHandle) -> ReaderStatistics {
        lock()
        defer { unlock() }
        let reader = reader(handle)
        var result = ReaderStatistics()
        guard isCurrent(handle) else {
            result.state = .cancelled
            return result
        }
        result.state = ReaderStatistics.State(rawValue: readerState(reader)) ?? .active
        result.readerClass = ReaderClass(rawValue: reader.it.reader_class) ?? .subscription
        result.acknowledged = Tick(acknowledged(reader))
        result.delivered = Tick(max(delivered(reader), acknowledged(reader)))
        guard result.state != .expired else { return result }
        result.lagTicks = openTick.ticks(since: result.acknowledged)
        let registered = reader.it.registered_stored != 0 ? reader.it.registered_stored : reader.it.registered_acknowledged
        guard registered != 0, let index = groupIndex(markers, of: registered) else { return result }
        let held = held(markers, byGroup: index)
        result.heldCount = held.count
        result.heldBytes = held.byteCount
        result.heldAloneCount = held.aloneCount
        return result
    }

    /// Pins ("sum over distinct pins of the regions alive at each" bounds the tombstones): calls `body` with each value.
    func forEachPinValue(_ body: (UInt64) -> Void) {
        for index in 0..<markers.it.count {
            body(group(markers, index).it.low)
            if group(markers, index).it.high != group(markers, index).it.low { body(group(markers, index).it.high) }
        }
    }
}
