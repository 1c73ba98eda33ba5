import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; a handle is that of a reader which is not yet cancelled, as its owner's face sees to.

/// A reader in the registry: a place, and a number that no later reader there has.
public struct ReaderHandle: Equatable, Sendable {
    let offset: UInt64
    /// Tells readers apart.
    public let serial: UInt32
}

/// What a reader is like.
public struct ReaderOptions: Sendable {
    /// For statistics; all classes register alike.
    public var readerClass = ReaderClass.subscription
    /// Holds also what the caller last stored, so that it can resume there.
    public var isDurable = false
    /// Payloads of what is removed stay as long as this reader is where it is.
    public var holdsContent = false
    /// Stays where it began: transactions and forks. Its answers do not move it.
    public var isFixed = false
    /// Bounds of its own; `nil`: the directory's, or none if it is durable.
    public var limits: ReaderLimits?

    /// A subscription with every default.
    public init() {}
    /// A reader of a class: all but subscriptions and checkpoints stay where they began; snapshots hold content.
    public init(_ readerClass: ReaderClass) {
        self.readerClass = readerClass
        holdsContent = readerClass == .snapshot
        isFixed = readerClass != .subscription
    }
}

/// Where a durable reader is, as plain data that the caller stores.
public struct DurableState: Equatable, Sendable {
    /// Of the directory, and of the life in which it reached this tick; a directory made anew has another.
    public var directoryIdentity: UInt64
    /// Of the reader.
    public var readerSerial: UInt32
    /// Everything of the ticks before this one is known.
    public var tick: Tick

    /// A state from its parts, as they were stored.
    public init(directoryIdentity: UInt64, readerSerial: UInt32, tick: Tick) {
        self.directoryIdentity = directoryIdentity
        self.readerSerial = readerSerial
        self.tick = tick
    }
}

/// Proof of having read a batch. Plain data; any other reader's or batch's is refused.
public struct BatchToken: Equatable, Sendable {
    let directoryIdentity: UInt64
    let readerSerial: UInt32
    let batchSerial: UInt32
    /// Everything of the ticks before this one is in the batch, or was known.
    public let tick: Tick
}

/// What became of an acknowledgement.
public enum AcknowledgeStatus: UInt32, Sendable {
    /// The reader has moved to the token's tick.
    case accepted = 0
    /// It was there already.
    case repeated = 1
    /// A later poll replaced the batch; acknowledge that one.
    case superseded = 2
    /// Another reader's, or another directory's, or the reader is cancelled.
    case foreign = 3
    /// The reader has expired; the next poll tells.
    case expired = 4
    /// The reader stays where it began.
    case fixed = 5
}

extension RegionDirectory {
    private static var readerBytes: Int { MemoryLayout<cistern_reader>.size }

    @inline(__always)
    func reader(_ handle: ReaderHandle) -> Ref<cistern_reader> { at(handle.offset) }

    /// Is a handle that of a reader which is not cancelled? Looks at the place that it names, whoever has that now: a later
    /// reader there has another serial, and a reader's is cleared when its memory goes. Two limits: where the place
    /// holds something else by now its bytes could be the serial by chance, one in 2^32; and where the heap has given the end of
    /// its memory back to the system since, the place cannot be read. So a handle is void once cancelled, and this is a check
    /// against mistakes, not a promise; the Swift face's subscriptions and pins cannot be used after they end.
    @inline(__always)
    func isCurrent(_ handle: ReaderHandle) -> Bool {
        let reader = reader(handle)
        return reader.it.serial == handle.serial && readerState(reader) != CISTERN_READER_CANCELLED.rawValue
    }

    @inline(__always)
    func hasFlag(_ flag: cistern_reader_flags, _ reader: Ref<cistern_reader>) -> Bool {
        UInt32(reader.it.flags) & flag.rawValue != 0
    }

    /// Which directory this is, and which life of it, in tokens and in states of positions that this life has reached.
    public var identity: UInt64 { header.it.identity }

    // MARK: Attach

    /// Enters a reader that knows everything of the ticks before the open one. Does not wait for whoever seals: the pin is
    /// published, and the open tick looked at again.
    ///
    /// - Throws: `outOfCapacity`; for one that holds content, `tooManySnapshots`.
    /// - Complexity: constant.
    public func attach(_ options: ReaderOptions = ReaderOptions()) throws(DirectoryError) -> ReaderHandle {
        if options.holdsContent { return try attachHoldingContent(options) }
        let handle = try addReaderOrMakeRoom(options)
        let reader = reader(handle)
        var open = openNumber
        while true {
            unsafe cistern_reader_acknowledged_publish(reader.pointer, open)
            note(reader, handle.offset)
            let again = openNumber
            if again == open { return handle }
            open = again
        }
    }

    /// Readers that went since the last boundary still have their memory: a full heap takes it from them first.
    private func addReaderOrMakeRoom(_ options: ReaderOptions) throws(DirectoryError) -> ReaderHandle {
        do throws(DirectoryError) { return try addReader(options) } catch {
            lock()
            collectNotes()
            unlock()
            return try addReader(options)
        }
    }

    private func attachHoldingContent(_ options: ReaderOptions) throws(DirectoryError) -> ReaderHandle {
        lock()
        defer { unlock() }
        return try enterHoldingContent(options)
    }

    /// Enters a reader that holds content, at the open tick. Under the lock.
    func enterHoldingContent(_ options: ReaderOptions) throws(DirectoryError) -> ReaderHandle {
        guard header.it.content_reader_count < Self.mostGroups else { throw .tooManySnapshots }
        let handle = try addReader(options)
        let reader = reader(handle)
        let open = openNumber
        if !addPin(contents, open) {
            removeReader(reader, handle.offset)
            throw .outOfCapacity
        }
        header.it.content_reader_count &+= 1
        unsafe cistern_reader_acknowledged_publish(reader.pointer, open)
        registerPins(reader)
        return handle
    }

    private func addReader(_ options: ReaderOptions) throws(DirectoryError) -> ReaderHandle {
        let byteCount = Self.readerBytes(mayHaveLimits: options.isDurable || options.limits != nil)
        guard let block = unsafe heap.allocateZeroed(byteCount: byteCount) else { throw .outOfCapacity }
        let offset = UInt64(UInt(bitPattern: block)) &- header.it.base
        let reader: Ref<cistern_reader> = at(offset)
        var flags: UInt32 = 0
        if options.isDurable { flags |= CISTERN_READER_IS_DURABLE.rawValue }
        if options.holdsContent { flags |= CISTERN_READER_HOLDS_CONTENT.rawValue }
        if options.isFixed || options.holdsContent { flags |= CISTERN_READER_IS_FIXED.rawValue }
        reader.it.flags = UInt8(truncatingIfNeeded: flags)
        reader.it.reader_class = options.readerClass.rawValue
        if let limits = options.limits { setLimits(limits, of: reader, offset) }
        unsafe cistern_reader_enter(header.pointer, offset, UInt64(byteCount))
        return ReaderHandle(offset: offset, serial: reader.it.serial)
    }

    /// Room for limits follows the record of one that has some, or may get them when it is taken up again.
    static func readerBytes(mayHaveLimits: Bool) -> Int {
        readerBytes + (mayHaveLimits ? MemoryLayout<cistern_reader_limits>.size : 0)
    }

    func byteCount(_ reader: Ref<cistern_reader>) -> Int {
        Self.readerBytes(mayHaveLimits: hasFlag(CISTERN_READER_IS_DURABLE, reader) || reader.it.limits != 0)
    }

    /// Of a reader that has the room.
    func setLimits(_ limits: ReaderLimits, of reader: Ref<cistern_reader>, _ offset: UInt64) {
        reader.it.limits = offset &+ UInt64(Self.readerBytes)
        let own: Ref<cistern_reader_limits> = at(reader.it.limits)
        own.it = limits.record
    }

    private func removeReader(_ reader: Ref<cistern_reader>, _ offset: UInt64) {
        let byteCount = byteCount(reader)
        freeBatch(reader)
        unsafe cistern_reader_leave(header.pointer, offset, UInt64(byteCount))
        reader.it.serial = 0
        unsafe heap.deallocate(Bytes.pointer(address(offset)), byteCount: byteCount)
    }

    func freeBatch(_ reader: Ref<cistern_reader>) {
        guard reader.it.batch != 0 else { return }
        let byteCount = UInt(reader.it.batch_count) * UInt(MemoryLayout<cistern_change>.size)
        header.it.batch_byte_count &-= UInt64(byteCount)
        free(reader.it.batch, byteCount)
        reader.it.batch = 0
        reader.it.batch_count = 0
    }

    /// From now on the reader's batch is not its newest any more.
    func supersedeBatch(_ reader: Ref<cistern_reader>) {
        freeBatch(reader)
        let serial = unsafe cistern_reader_batch_serial_load(reader.pointer)
        unsafe cistern_reader_batch_serial_store(reader.pointer, serial &+ 1)
    }

    func note(_ reader: Ref<cistern_reader>, _ offset: UInt64) {
        unsafe cistern_reader_note(header.pointer, reader.pointer, offset)
    }

    func acknowledged(_ reader: Ref<cistern_reader>) -> UInt64 { unsafe cistern_reader_acknowledged_load(reader.pointer) }
    func delivered(_ reader: Ref<cistern_reader>) -> UInt64 { unsafe cistern_reader_delivered_load(reader.pointer) }
    func stored(_ reader: Ref<cistern_reader>) -> UInt64 { unsafe cistern_reader_stored_load(reader.pointer) }
    func readerState(_ reader: Ref<cistern_reader>) -> UInt32 { unsafe cistern_reader_state_load(reader.pointer) }
    func isExpired(_ reader: Ref<cistern_reader>) -> Bool { readerState(reader) == CISTERN_READER_EXPIRED.rawValue }

    // MARK: Move

    /// Says that a batch has been dealt with: the reader moves to its tick. One release store and a note for the next boundary;
    /// no lock. By the reader's own thread.
    ///
    /// - Complexity: constant.
    @inline(__always)
    public func acknowledge(_ handle: ReaderHandle, _ token: BatchToken) -> AcknowledgeStatus {
        guard token.directoryIdentity == header.it.identity, token.readerSerial == handle.serial, isCurrent(handle) else {
            return .foreign
        }
        let reader = reader(handle)
        guard readerState(reader) != CISTERN_READER_EXPIRED.rawValue else { return .expired }
        let known = acknowledged(reader)
        let newest = unsafe cistern_reader_batch_serial_load(reader.pointer)
        guard token.batchSerial == newest else { return .superseded }
        guard token.tick.number > known else { return .repeated }
        guard !hasFlag(CISTERN_READER_IS_FIXED, reader) else { return .fixed }
        unsafe cistern_reader_acknowledged_store(reader.pointer, token.tick.number)
        note(reader, handle.offset)
        return .accepted
    }

    /// Takes a reader out of the registry. No lock: its memory goes at the next boundary. The handle is void: to cancel it again
    /// does nothing. By the reader's own thread.
    public func cancel(_ handle: ReaderHandle) {
        guard isCurrent(handle) else { return }
        unsafe cistern_reader_cancel(header.pointer, reader(handle).pointer, handle.offset)
    }

    /// Enters a second reader where the first is. Always exact.
    ///
    /// - Throws: `outOfCapacity`; `notPinned` when the first has expired or is cancelled; `tooManySnapshots`.
    public func clone(_ handle: ReaderHandle) throws(DirectoryError) -> ReaderHandle {
        lock()
        defer { unlock() }
        let original = reader(handle)
        guard isCurrent(handle), !isExpired(original) else { throw .notPinned }
        var options = ReaderOptions()
        options.readerClass = ReaderClass(rawValue: original.it.reader_class) ?? .subscription
        options.isDurable = hasFlag(CISTERN_READER_IS_DURABLE, original)
        options.isFixed = hasFlag(CISTERN_READER_IS_FIXED, original)
        options.holdsContent = hasFlag(CISTERN_READER_HOLDS_CONTENT, original)
        if original.it.limits != 0 { options.limits = ReaderLimits(at(original.it.limits).it) }
        guard !options.holdsContent || header.it.content_reader_count < Self.mostGroups else { throw .tooManySnapshots }
        let copy = try addReader(options)
        let reader = reader(copy)
        let tick = acknowledged(original)
        if options.holdsContent {
            // The value is pinned already, so that this needs no memory.
            _ = addPin(contents, tick)
            header.it.content_reader_count &+= 1
        }
        unsafe cistern_reader_acknowledged_publish(reader.pointer, tick)
        registerPins(reader)
        reader.it.caught_up_time = original.it.caught_up_time
        setDeadlines(reader)
        return copy
    }

    // MARK: Durable

    /// Where a reader is. To be stored by the caller, who then says so with `noteStored` before the reader moves on. That of a
    /// cancelled one has tick 0, at which nothing can be resumed.
    public func durableState(of handle: ReaderHandle) -> DurableState {
        let tick = isCurrent(handle) ? acknowledged(reader(handle)) : 0
        return DurableState(directoryIdentity: identity(at: tick), readerSerial: handle.serial, tick: Tick(tick))
    }

    /// Says that a state of a durable reader is stored; the one stored before is let go at the next boundary. By the reader's
    /// own thread.
    ///
    /// - Returns: false for any state but the one where the reader is and the one that is stored: nothing holds what another
    ///   needs, so store a newer one. False also for an expired or cancelled reader.
    public func noteStored(_ handle: ReaderHandle, _ state: DurableState) -> Bool {
        let reader = reader(handle)
        guard isOfThisHistory(state), state.readerSerial == handle.serial, isCurrent(handle), hasFlag(CISTERN_READER_IS_DURABLE, reader),
            !isExpired(reader), state.tick.number == acknowledged(reader) || state.tick.number == stored(reader)
        else { return false }
        unsafe cistern_reader_stored_store(reader.pointer, state.tick.number)
        note(reader, handle.offset)
        return true
    }

    /// Leaves a durable reader's pins in the registry without an owner, until `resume` or `forget`.
    public func detach(_ handle: ReaderHandle) -> DurableState {
        lock()
        defer { unlock() }
        if isCurrent(handle) { reader(handle).it.flags |= UInt8(CISTERN_READER_IS_DETACHED.rawValue) }
        return durableState(of: handle)
    }

    /// The detached reader that a state is of.
    func detachedReader(_ serial: UInt32) -> ReaderHandle? {
        lockReaders()
        defer { unlockReaders() }
        var offset = header.it.first_reader
        while offset != 0 {
            let reader: Ref<cistern_reader> = at(offset)
            if reader.it.serial == serial, hasFlag(CISTERN_READER_IS_DETACHED, reader) {
                return ReaderHandle(offset: offset, serial: serial)
            }
            offset = reader.it.next
        }
        return nil
    }

    /// Cancels a detached reader. False when there is none.
    public func forget(_ state: DurableState) -> Bool {
        guard isOfThisHistory(state) else { return false }
        lock()
        defer { unlock() }
        guard let handle = detachedReader(state.readerSerial) else { return false }
        cancelDetached(handle)
        return true
    }

    func cancelDetached(_ handle: ReaderHandle) {
        reader(handle).it.flags &= ~UInt8(CISTERN_READER_IS_DETACHED.rawValue)
        cancel(handle)
    }

    // MARK: The boundary's side

    /// Looks at every reader that published something since the last look.
    func collectNotes() {
        var offset = unsafe cistern_notes_take(header.pointer)
        while offset != 0 {
            let reader: Ref<cistern_reader> = at(offset)
            let next = unsafe cistern_note_next(reader.pointer)
            collect(reader, offset, state: unsafe cistern_note_forget(reader.pointer))
            offset = next
        }
    }

    private func collect(_ reader: Ref<cistern_reader>, _ offset: UInt64, state: UInt32) {
        if state == CISTERN_READER_CANCELLED.rawValue {
            unregisterPins(reader)
            if hasFlag(CISTERN_READER_HOLDS_CONTENT, reader) { header.it.content_reader_count &-= 1 }
            removeReader(reader, offset)
        } else if state != CISTERN_READER_EXPIRED.rawValue, !isStillAttaching(reader) {
            registerPins(reader)
        }
    }

    /// A reader on its way in may have published a tick that is over, of which something is gone. It will find that the open
    /// tick is another and publish that; until then it is no pin, and nobody may resume there.
    private func isStillAttaching(_ reader: Ref<cistern_reader>) -> Bool {
        reader.it.is_registered == 0 && acknowledged(reader) < header.it.floor
    }

    /// Makes the tables agree with what a reader has published: new pins first, so that nothing falls between.
    func registerPins(_ reader: Ref<cistern_reader>) {
        let acknowledged = acknowledged(reader)
        let published = delivered(reader)
        let delivered = published > acknowledged ? published : 0
        var stored = hasFlag(CISTERN_READER_IS_DURABLE, reader) ? self.stored(reader) : 0
        let old = (reader.it.registered_acknowledged, reader.it.registered_delivered, reader.it.registered_stored)
        // A stored state is pinned only where nothing is missing.
        if stored != 0, stored != acknowledged, stored != old.0, stored != old.1, stored != old.2, !isExact(at: stored) { stored = 0 }
        updateCaughtUpTime(reader, acknowledged)
        if acknowledged != old.0 { _ = addPin(markers, acknowledged) }
        if delivered != 0, delivered != old.1 { _ = addPin(markers, delivered) }
        if stored != 0, stored != old.2 { _ = addPin(markers, stored) }
        if old.0 != 0, acknowledged != old.0 { dropPin(markers, old.0) }
        if old.1 != 0, delivered != old.1 { dropPin(markers, old.1) }
        if old.2 != 0, stored != old.2 { dropPin(markers, old.2) }
        reader.it.registered_acknowledged = acknowledged
        reader.it.registered_delivered = delivered
        reader.it.registered_stored = stored
        if published == acknowledged { freeBatch(reader) }
        reader.it.is_registered = 1
        setDeadlines(reader)
    }

    /// Age counts from the boundary that leaves a reader behind: of one at the open tick, the one to come.
    private func updateCaughtUpTime(_ reader: Ref<cistern_reader>, _ acknowledged: UInt64) {
        let open = openNumber
        if acknowledged >= open {
            reader.it.caught_up_time = .max
        } else if acknowledged &+ 1 >= open || reader.it.is_registered == 0 {
            reader.it.caught_up_time = header.it.time
        } else {
            // It moves, and still is behind: since when does not change.
            reader.it.caught_up_time = behindSince(reader)
        }
    }

    /// Since when a reader is behind; now, when it is not.
    func behindSince(_ reader: Ref<cistern_reader>) -> UInt64 {
        var since = reader.it.caught_up_time
        if since == .max {
            let registered = reader.it.registered_acknowledged
            guard registered < openNumber, let index = groupIndex(markers, of: registered) else { return header.it.time }
            since = group(markers, index).it.behind_since
        }
        // Before the host first told the time nothing aged.
        return max(since, header.it.first_time)
    }

    /// Drops all pins of a reader, contents first: a marker outlives the content that hangs on it.
    func unregisterPins(_ reader: Ref<cistern_reader>) {
        if hasFlag(CISTERN_READER_HOLDS_CONTENT, reader), reader.it.registered_acknowledged != 0 {
            dropPin(contents, reader.it.registered_acknowledged)
        }
        if reader.it.registered_acknowledged != 0 { dropPin(markers, reader.it.registered_acknowledged) }
        if reader.it.registered_delivered != 0 { dropPin(markers, reader.it.registered_delivered) }
        if reader.it.registered_stored != 0 { dropPin(markers, reader.it.registered_stored) }
        reader.it.registered_acknowledged = 0
        reader.it.registered_delivered = 0
        reader.it.registered_stored = 0
    }

    /// Calls `body` with every reader. Under the directory's lock.
    func forEachReader(_ body: (Ref<cistern_reader>, UInt64) -> Void) {
        lockReaders()
        defer { unlockReaders() }
        var offset = header.it.first_reader
        while offset != 0 {
            let reader: Ref<cistern_reader> = at(offset)
            let next = reader.it.next
            body(reader, offset)
            offset = next
        }
    }
}

extension ReaderLimits {
    init(_ record: cistern_reader_limits) {
        lagTicks = record.lag_ticks
        heldCount = record.held_count
        heldBytes = record.held_bytes
        age = record.age
    }
}
