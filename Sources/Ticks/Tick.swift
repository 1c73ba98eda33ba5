/// A point between two boundaries: tick t ends with the t-th seal.
///
/// The first is 1; 0 is no tick. As a reader's position, t means "everything of the ticks before t is known".
@frozen
public struct Tick: Comparable, Sendable {
    /// The number.
    public let number: UInt64

    /// Tick of a number.
    @inlinable
    public init(_ number: UInt64) { self.number = number }

    /// The first tick of a directory.
    @inlinable
    public static var first: Tick { Tick(1) }

    /// The last tick that is ever open. At ten million seals a second it is reached after 58,000 years; `seal` then refuses.
    @inlinable
    public static var last: Tick { Tick(UInt64.max - 1) }

    /// Order in time.
    @inlinable
    public static func < (left: Tick, right: Tick) -> Bool { left.number < right.number }

    /// Ticks from `earlier` to this one; 0 when it is not earlier.
    @inlinable
    public func ticks(since earlier: Tick) -> UInt64 { number > earlier.number ? number - earlier.number : 0 }
}

/// Which region: a slot of the directory, and the number of the operation that filled it.
///
/// Never given to another region while a tombstone names it, nor until 4 billion operations later.
@frozen
public struct RegionID: Equatable, Sendable {
    /// Place in the directory; 0 is no region.
    public let slot: UInt32
    /// Tells the regions apart that had this slot.
    public let generation: UInt32

    /// An id from its two parts, as they were stored.
    @inlinable
    public init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }

    /// No region: the parent of those that have none.
    @inlinable
    public static var none: RegionID { RegionID(slot: 0, generation: 0) }
}

/// What an operation on a directory refuses. Nothing has changed then.
public enum DirectoryError: Error, Equatable {
    /// The heap's capacity does not hold it.
    case outOfCapacity
    /// A name has 0 to 4096 bytes.
    case nameTooLong(byteCount: Int)
    /// A region of this name is alive.
    case nameTaken(RegionID)
    /// There is no such region, and nothing known of one.
    case unknownRegion
    /// The region, or the parent given, is removed; its tombstone says when.
    case removedRegion(at: Tick)
    /// Under the policy of pushing back: readers hold as much as they may, and a removal would add to it.
    case retentionExhausted
    /// The last tick is open.
    case tickExhausted
    /// 64 snapshots at different ticks hold content; there can be no more.
    case tooManySnapshots
    /// Changes are read without a live pin at that tick: the reader is not in the registry, or has expired.
    case notPinned
    /// An owner has to be made before what it owns, so that nothing comes to own itself.
    case ownerTooYoung(owner: RegionID, child: RegionID)
    /// The one owns the other already.
    case alreadyOwner(owner: RegionID, child: RegionID)
    /// The one does not own the other.
    case notOwner(owner: RegionID, child: RegionID)
    /// The named region has no memory of its own.
    case noRegion
    /// Somebody is in the region's memory: whoever changes it has to be alone.
    case regionInUse
    /// A snapshot sees the region's memory: replace it instead of changing it.
    case regionPinned
    /// The region to be owned is closed, inside another one, or of another heap.
    case invalidRegion
    /// What the region's memory begins with is not of the type asked for.
    case otherRoot
}
