import HeapCore
import Ticks

// Safety: buffers that the core fills are local and live as long as the call.

/// A subscriber: polls for what changed, acknowledges what it has dealt with. Dropping it unsubscribes.
///
/// One thread at a time uses it. It keeps its directory alive.
public struct Subscription: ~Copyable, Sendable {
    /// What it subscribes to.
    public let directory: Directory
    /// For one that was resumed where it could not be: start from a listing, `forEachAlive`.
    public let resync: Resync?
    private let reader: ReaderHandle
    private var isDetached = false

    init(_ directory: Directory, _ reader: ReaderHandle, _ resync: Resync? = nil) {
        self.directory = directory
        self.reader = reader
        self.resync = resync
    }

    deinit { if !isDetached && directory.isInThisProcess { directory.core.cancel(reader) } }

    /// What changed in the ticks that are over and that are not acknowledged. An empty answer acknowledges itself.
    ///
    /// - Throws: `outOfCapacity` when the heap does not hold the list; as if never asked.
    /// - Complexity: proportional to the changes, and n log n where they have to be sorted.
    public func poll() throws(DirectoryError) -> PollAnswer { try directory.core.poll(reader) }

    /// Calls `body` with each change of a batch, in order of ticks; regions that went with a parent come last.
    ///
    /// - Throws: `notPinned` when the batch is acknowledged, replaced, or another's, or the subscription has expired.
    public func forEachChange(in batch: ReaderBatch, _ body: (RegionChange) -> Void) throws(DirectoryError) {
        for index in 0..<(batch.count + batch.descendantCount) {
            guard directory.core.isPinned(reader, batch.token) else { throw .notPinned }
            body(directory.core.event(batch, index))
        }
    }

    /// Says that a batch has been dealt with. No lock. Tokens of others, and older ones, are refused with a status.
    @discardableResult
    public func acknowledge(_ batch: ReaderBatch) -> AcknowledgeStatus { acknowledge(batch.token) }

    /// The same by the batch's token alone.
    @discardableResult
    public func acknowledge(_ token: BatchToken) -> AcknowledgeStatus { directory.core.acknowledge(reader, token) }

    /// Calls `body` with every region that was alive where the subscription stands: what a new one, or one that was told to
    /// resync, starts from. In no order.
    ///
    /// - Throws: `notPinned` when it has expired.
    public func forEachAlive(_ body: (RegionID) -> Void) throws(DirectoryError) {
        try directory.core.forEachAlive(reader, body)
    }

    /// A second subscription at the same place. Always exact.
    ///
    /// - Throws: `outOfCapacity`; `notPinned` when this one has expired.
    public func clone() throws(DirectoryError) -> Subscription { Subscription(directory, try directory.core.clone(reader)) }

    /// What it holds.
    public var statistics: ReaderStatistics { directory.core.statistics(of: reader) }

    // MARK: Durable

    /// Where it is, as plain data to store.
    public var durableState: DurableState { directory.core.durableState(of: reader) }

    /// Says that a state is stored: a durable subscription holds what it takes to resume there.
    ///
    /// - Returns: false for any state but the one where the subscription is and the one stored; take and store a newer one then.
    @discardableResult
    public func noteStored(_ state: DurableState) -> Bool { directory.core.noteStored(reader, state) }

    /// Ends this handle and leaves a durable subscription's pins where they are, for `Directory.resume(_:)`.
    public consuming func detach() -> DurableState {
        isDetached = true
        return directory.core.detach(reader)
    }
}

/// A reader that stays where it began: what it needs is not dropped as long as it lives. Dropping it lets go.
public struct Pin: ~Copyable, Sendable {
    /// Whose ticks it pins.
    public let directory: Directory
    let reader: ReaderHandle

    init(_ directory: Directory, _ reader: ReaderHandle) {
        self.directory = directory
        self.reader = reader
    }

    deinit { if directory.isInThisProcess { directory.core.cancel(reader) } }

    /// The tick that was open when it began: everything before it is known.
    public var tick: Tick { directory.core.statistics(of: reader).acknowledged }

    /// Calls `body` with everything that changed from the pin's tick to the last one that is over.
    ///
    /// - Throws: `outOfCapacity`; `notPinned` when the pin has expired.
    public func forEachChange(_ body: (RegionChange) -> Void) throws(DirectoryError) {
        guard directory.core.statistics(of: reader).state != .expired, case .changes(let batch) = try directory.core.poll(reader) else {
            throw .notPinned
        }
        for index in 0..<(batch.count + batch.descendantCount) { body(directory.core.event(batch, index)) }
    }

    /// Calls `body` with every region that was alive at the pin's tick, in no order. A snapshot finds their payloads with
    /// `Directory.payload(of:)`.
    ///
    /// - Throws: `notPinned` when the pin has expired.
    public func forEachAlive(_ body: (RegionID) -> Void) throws(DirectoryError) {
        try directory.core.forEachAlive(reader, body)
    }

    /// What it holds.
    public var statistics: ReaderStatistics { directory.core.statistics(of: reader) }
}

extension RegionDirectory {
    fileprivate func forEachAlive(_ reader: ReaderHandle, _ body: (RegionID) -> Void) throws(DirectoryError) {
        var cursor: UInt32 = 0
        while true {
            let placeholder = RegionChange.placeholder
            var page: InlineArray<16, RegionChange> = InlineArray(repeating: placeholder)
            var span = page.mutableSpan
            let result: Result<Int, DirectoryError> = unsafe span.withUnsafeMutableBufferPointer { buffer in
                do throws(DirectoryError) { return .success(unsafe try baseline(reader, cursor: &cursor, into: buffer)) } catch {
                    return .failure(error)
                }
            }
            let count = try result.get()
            guard count > 0 else { return }
            for index in 0..<count { body(page[index].id) }
        }
    }
}
