import CTicks
import HeapCore

// Safety: see RegionDirectory.swift.

/// Why a reader must start from a listing of what is alive.
public enum ResyncReason: UInt8, Sendable {
    /// It was too many ticks behind.
    case lag = 1
    /// It held too many tombstones.
    case heldCount = 2
    /// It held too many bytes.
    case heldBytes = 3
    /// It has not known everything for too long.
    case age = 4
    /// All readers together held too much, and its pin freed most.
    case retention = 5
    /// No pin covers the tick asked for, and something since then was dropped.
    case purged = 6
    /// The tick asked for is not over; or it was in a life of the directory that went on after the image this one was reopened
    /// from, and is lost.
    case future = 7
    /// The state is another directory's.
    case foreignDirectory = 8
}

/// A reader that has to start anew, and is pinned where it does.
public struct Resync: Equatable, Sendable {
    /// Why.
    public let reason: ResyncReason
    /// The listing is of what was alive at the end of the tick before this one; changes follow from here.
    public let tick: Tick
}

extension RegionDirectory {
    /// Is everything still there that a reader at a tick would have to be told?
    ///
    /// So it is at a live pin, and where nothing was dropped since. The answer may be no where a yes were right, never the
    /// other way.
    func isExact(at tick: UInt64) -> Bool { tick >= header.it.floor || hasLivePin(at: tick) }

    /// Is there a registered pin of just this value?
    func hasLivePin(at tick: UInt64) -> Bool {
        guard let index = groupIndex(markers, of: tick) else { return false }
        let group = group(markers, index)
        if group.it.low == group.it.high { return true }
        var isFound = false
        forEachReader { reader, _ in
            if reader.it.registered_acknowledged == tick || reader.it.registered_delivered == tick
                || reader.it.registered_stored == tick
            {
                isFound = true
            }
        }
        return isFound
    }

    /// Enters a reader that knows everything of the ticks before `tick`.
    ///
    /// - Returns: the reader, and, where the changes since are not all there any more, a resync; then it is pinned at the open
    ///   tick.
    /// - Throws: `outOfCapacity`.
    /// - Complexity: constant at a live pin or the open tick; otherwise a look at the tombstones around `tick`.
    public func resume(
        at tick: Tick, _ options: ReaderOptions = ReaderOptions()
    ) throws(DirectoryError) -> (reader: ReaderHandle, resync: Resync?) {
        try resume(at: tick, reason: nil, options)
    }

    private func resume(
        at tick: Tick, reason given: ResyncReason?, _ options: ReaderOptions
    ) throws(DirectoryError) -> (reader: ReaderHandle, resync: Resync?) {
        if options.holdsContent { return try resumeHoldingContent(at: tick, reason: given, options) }
        let handle = try attach(options)
        lock()
        defer { unlock() }
        collectNotes()
        let open = openNumber
        var reason = given
        if reason == nil, tick.number > open { reason = .future }
        if reason == nil, tick.number < open, !isExact(at: tick.number) { reason = .purged }
        let reader = reader(handle)
        if let reason {
            header.it.resync_total &+= 1
            return (handle, Resync(reason: reason, tick: Tick(acknowledged(reader))))
        }
        unsafe cistern_reader_acknowledged_store(reader.pointer, tick.number)
        registerPins(reader)
        return (handle, nil)
    }

    /// Content is kept for the open tick only. Decided and pinned under one lock: the two pins are of one tick.
    private func resumeHoldingContent(
        at tick: Tick, reason given: ResyncReason?, _ options: ReaderOptions
    ) throws(DirectoryError) -> (reader: ReaderHandle, resync: Resync?) {
        lock()
        defer { unlock() }
        collectNotes()
        let open = openNumber
        let handle = try enterHoldingContent(options)
        guard let reason = given ?? (tick.number == open ? nil : tick.number > open ? .future : .purged) else { return (handle, nil) }
        header.it.resync_total &+= 1
        return (handle, Resync(reason: reason, tick: Tick(open)))
    }

    /// Takes up a durable reader where its stored state says.
    ///
    /// - Parameter limits: bounds of its own from now on; `nil`: as they were.
    ///
    /// - Returns: as `resume(at:)`. A detached reader is taken up itself; otherwise a new one is entered.
    /// - Throws: `outOfCapacity`.
    /// - Complexity: proportional to the readers, or as `resume(at:)`.
    public func resume(
        _ state: DurableState, limits: ReaderLimits? = nil
    ) throws(DirectoryError) -> (reader: ReaderHandle, resync: Resync?) {
        var options = ReaderOptions()
        options.isDurable = true
        options.limits = limits
        guard isOfThisHistory(state) else {
            return try resume(at: state.tick, reason: releaseLost(state) ? .future : .foreignDirectory, options)
        }
        if let handle = takeUp(state, limits) { return (handle, nil) }
        return try resume(at: state.tick, reason: nil, options)
    }

    /// What was delivered counts too: a reader may have dealt with it and stored so after the image was written that it came out of.
    private func isPin(_ tick: UInt64, of reader: Ref<cistern_reader>) -> Bool {
        tick == reader.it.registered_acknowledged || tick == reader.it.registered_stored
            || (tick == reader.it.registered_delivered && hasFlag(CISTERN_READER_IS_REOPENED, reader))
    }

    private func takeUp(_ state: DurableState, _ limits: ReaderLimits?) -> ReaderHandle? {
        lock()
        defer { unlock() }
        collectNotes()
        guard let handle = detachedReader(state.readerSerial) else { return nil }
        let reader = reader(handle)
        let tick = state.tick.number
        guard !isExpired(reader), isPin(tick, of: reader) else {
            // Whatever it held, the stored state is not it: a new reader is entered instead.
            cancelDetached(handle)
            return nil
        }
        reader.it.flags &= ~UInt8(CISTERN_READER_IS_DETACHED.rawValue | CISTERN_READER_IS_REOPENED.rawValue)
        unsafe cistern_reader_acknowledged_store(reader.pointer, tick)
        unsafe cistern_reader_stored_store(reader.pointer, tick)
        unsafe cistern_reader_delivered_store(reader.pointer, 0)
        // What its owner before was told, and may not have dealt with, is told anew.
        supersedeBatch(reader)
        if let limits { setLimits(limits, of: reader, handle.offset) }
        header.it.total_is_stuck = 0
        registerPins(reader)
        return handle
    }
}
