import HeapCore
import Ticks

// Safety: names are handed to the core as bytes that live as long as the call; it copies them.

/// A directory of named regions in a heap: they come and go, and subscribers are told what changed since they last looked.
///
/// A removal leaves a tombstone only as long as some reader needs it. Time passes in ticks; `seal()` ends one, and what
/// happened in it is told from then on. All memory is the heap's, and every byte of it comes back.
///
/// Every method may be called from any thread. `String` results use Swift's own memory. A heap that a fork's child did not inherit
/// has no directories there either: handles may go in it, and nothing else may be done with them.
public final class Directory: @unchecked Sendable {
    /// The heap that everything is in.
    public let heap: Heap
    let core: RegionDirectory

    /// Makes a directory.
    ///
    /// - Throws: `outOfCapacity`.
    /// - Complexity: constant.
    public init(in heap: Heap, _ options: DirectoryOptions = DirectoryOptions()) throws(DirectoryError) {
        core = try RegionDirectory.create(in: heap.core, options)
        self.heap = heap
    }

    init(_ core: RegionDirectory, in heap: Heap) {
        self.core = core
        self.heap = heap
    }

    deinit { if isInThisProcess { core.destroy() } }

    /// False where the heap is not, in a fork's child that did not inherit it.
    var isInThisProcess: Bool { heap.core.isInThisProcess }

    // MARK: Regions

    /// Makes a region of a name that no living one has.
    ///
    /// - Parameters:
    ///   - name: up to 4096 bytes of UTF-8, compared bytewise.
    ///   - parent: a living region, the first owner of this one, which goes with its last.
    ///   - payload: the caller's word; 0 for none.
    /// - Throws: `nameTooLong`, `nameTaken`, `unknownRegion`, `removedRegion`, `outOfCapacity`; nothing has changed then.
    /// - Complexity: linear in the name.
    public func create(_ name: String, under parent: RegionID = .none, payload: UInt64 = 0) throws(DirectoryError) -> RegionID {
        var name = name
        let result: Result<RegionID, DirectoryError> = name.withUTF8 { bytes in
            do throws(DirectoryError) {
                return .success(unsafe try core.create(UnsafeRawBufferPointer(bytes), parent: parent, payload: payload))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// The living region of a name.
    public subscript(name: String) -> RegionID? {
        var name = name
        return name.withUTF8 { unsafe core.lookUp(UnsafeRawBufferPointer($0)) }
    }

    /// The name of a region, alive or as long as its tombstone is there.
    public func name(of id: RegionID) -> String? {
        guard let count = unsafe core.copyName(of: id, into: UnsafeMutableRawBufferPointer(start: nil, count: 0)) else { return nil }
        var isKnown = true
        let name = unsafe String(unsafeUninitializedCapacity: max(count, 1)) { buffer in
            // It may have gone between the two calls.
            guard let again = unsafe core.copyName(of: id, into: UnsafeMutableRawBufferPointer(buffer)) else {
                isKnown = false
                return 0
            }
            return min(again, count)
        }
        return isKnown ? name : nil
    }

    /// What is known of an id. Never traps.
    public func status(of id: RegionID) -> NamedRegionStatus { core.status(of: id) }

    /// The region that this one was made under; when that went before it, another of its owners. `.none` where there is none or it
    /// is not known.
    public func parent(of id: RegionID) -> RegionID { core.parent(of: id) }

    /// The payload of a living region, or of one removed whose content is kept for a snapshot or by `keepsLastValue`: of the newest
    /// content that is left.
    public func payload(of id: RegionID) -> UInt64? { core.payload(of: id) }

    /// Gives a living region another payload; returns the old one.
    ///
    /// - Throws: `unknownRegion`, `removedRegion`.
    @discardableResult
    public func setPayload(_ payload: UInt64, of id: RegionID) throws(DirectoryError) -> UInt64 {
        try core.setPayload(payload, of: id)
    }

    /// Says that a region's content changed in the open tick.
    ///
    /// - Throws: `unknownRegion`, `removedRegion`.
    public func markChanged(_ id: RegionID) throws(DirectoryError) { try core.markChanged(id) }

    // MARK: Owners

    /// Makes a region an owner of another, beside those that it has, or the first of one that has none: from then on the child
    /// goes when the last of them does. Readers are not told of it: it changes no name and no content.
    ///
    /// - Parameters:
    ///   - owner: a living region that was made before the child: in an earlier tick, or earlier in the same.
    ///   - child: a living region.
    /// - Throws: `unknownRegion`, `removedRegion`, `ownerTooYoung`, `alreadyOwner`; `outOfCapacity`, not for the first owner. Nothing
    ///   has changed then.
    /// - Complexity: proportional to the owners of the child or to what the owner shares with others, whichever is less.
    public func addOwner(_ owner: RegionID, of child: RegionID) throws(DirectoryError) { try core.addOwner(owner, of: child) }

    /// Takes an owner away from a region that lives on: under its other owners, or, when this was the last, without one, until it is
    /// removed itself or owned anew. Never fails for want of memory.
    ///
    /// - Returns: false when the child has no owner now, true as long as it has.
    /// - Throws: `unknownRegion`, `removedRegion`, `notOwner`; nothing has changed then.
    /// - Complexity: as `addOwner`.
    public func removeOwner(_ owner: RegionID, of child: RegionID) throws(DirectoryError) -> Bool {
        try core.removeOwner(owner, of: child)
    }

    /// The owners of a living region, its parent first, then the others as they came; none for one that is not alive.
    ///
    /// - Complexity: linear in the owners.
    public func owners(of id: RegionID) -> [RegionID] {
        var owners: [RegionID] = []
        core.forEachOwner(of: id) { owners.append($0) }
        return owners
    }

    /// Removes a region and all whose last owner goes with it, as one event. Never fails for want of memory.
    ///
    /// - Returns: how many regions went.
    /// - Throws: `unknownRegion`, `removedRegion`; under the policy `pushBack`, `retentionExhausted`.
    @discardableResult
    public func remove(_ id: RegionID) throws(DirectoryError) -> UInt64 { try core.remove(id) }

    // MARK: Ticks

    /// The tick that is being written.
    public var openTick: Tick { core.openTick }

    /// Ends the open tick; see `RegionDirectory.seal(budget:time:)`.
    ///
    /// - Throws: `tickExhausted`.
    @discardableResult
    public func seal(budget: UInt64? = nil, time: UInt64 = 0) throws(DirectoryError) -> SealReport {
        try core.seal(budget: budget, time: time)
    }

    /// For idle hosts: frees up to `budget` of what no reader needs. Returns how much is left.
    @discardableResult
    public func maintain(budget: UInt64 = .max) -> UInt64 { core.maintain(budget: budget) }

    /// What the directory holds and has done.
    public var statistics: DirectoryStatistics { core.statistics() }

    /// Compares all structures with each other; `nil` when they agree.
    public func verify() -> DirectoryInconsistency? { core.verify() }

    // MARK: Readers

    /// Subscribes from the open tick on. What is alive before it, the subscription lists.
    ///
    /// - Throws: `outOfCapacity`.
    public func subscribe(isDurable: Bool = false, limits: ReaderLimits? = nil) throws(DirectoryError) -> Subscription {
        var options = ReaderOptions()
        options.isDurable = isDurable
        options.limits = limits
        return Subscription(self, try core.attach(options))
    }

    /// Subscribes from a tick that is over, as one who knows everything before it.
    ///
    /// - Returns: the subscription, whose `resync` says so where what happened since is not all there any more.
    /// - Throws: `outOfCapacity`.
    public func resume(at tick: Tick) throws(DirectoryError) -> Subscription {
        let (reader, resync) = try core.resume(at: tick)
        return Subscription(self, reader, resync)
    }

    /// Takes up a durable subscription where its stored state says.
    ///
    /// - Returns: as `resume(at:)`.
    /// - Throws: `outOfCapacity`.
    public func resume(_ state: DurableState) throws(DirectoryError) -> Subscription {
        let (reader, resync) = try core.resume(state)
        return Subscription(self, reader, resync)
    }

    /// Lets go of a detached durable subscription. False when there is none of this state.
    @discardableResult
    public func forget(_ state: DurableState) -> Bool { core.forget(state) }

    /// Pins the open tick: for a transaction, fork, snapshot, exporter or checkpoint.
    ///
    /// - Throws: `outOfCapacity`; for a snapshot `tooManySnapshots`.
    public func pin(_ readerClass: ReaderClass) throws(DirectoryError) -> Pin {
        Pin(self, try core.attach(ReaderOptions(readerClass)))
    }
}
