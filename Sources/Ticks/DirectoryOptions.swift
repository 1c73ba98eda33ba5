/// Which tombstones are kept.
public enum RetentionMode: UInt32, Sendable {
    /// Every removal at or after the oldest pin: simple, and one stuck reader holds all that follows.
    case horizon = 0
    /// A removal d of a region born at b, only while some pin p has b < p <= d: a stuck reader holds at most what was alive
    /// when it stopped.
    case interval = 1
}

/// What happens when readers hold more than the limits say.
public enum RetentionPolicy: UInt32, Sendable {
    /// A reader over a limit is warned at one boundary and expires at the next; it hears `resync`. Over the directory's limit
    /// the reader whose pin frees most goes.
    case expireOffender = 0
    /// Removals throw `retentionExhausted`.
    case pushBack = 1
    /// Nothing: tombstones are bounded by the heap's capacity only, and removals never need memory.
    case unbounded = 2
}

/// Bounds on what one reader may hold. `UInt64.max` is no bound.
public struct ReaderLimits: Equatable, Sendable {
    /// Ticks behind the open one.
    public var lagTicks: UInt64 = .max
    /// Tombstones.
    public var heldCount: UInt64 = .max
    /// Bytes of tombstones with their names.
    public var heldBytes: UInt64 = .max
    /// Time since the reader last knew everything, in the unit of the times that `seal` is given.
    public var age: UInt64 = .max

    /// No bounds.
    public init() {}
    /// No bounds.
    public static var none: ReaderLimits { ReaderLimits() }
}

/// Called with `context` for the payload of each region whose content is not needed any more. It runs with the directory
/// locked: it must not call the directory.
public typealias PayloadRelease = @convention(c) (_ context: UInt, _ payload: UInt64) -> Void

/// What a directory is like; fixed at its creation.
public struct DirectoryOptions {
    /// Which tombstones are kept.
    public var mode = RetentionMode.interval
    /// What happens at the limits.
    public var policy = RetentionPolicy.expireOffender
    /// Bounds for each reader that has none of its own. Durable readers have none unless they are given some.
    public var readerLimits = ReaderLimits()
    /// Most tombstones that all readers together may hold; under `pushBack` removals of the open tick count too.
    public var heldCountLimit: UInt64 = .max
    /// Most bytes of tombstones with their names; 64 MiB by default.
    public var heldBytesLimit: UInt64 = 64 << 20
    /// A removed region's payload is released with its tombstone, not when the tick ends, so that readers can look at it.
    public var keepsLastValue = false
    /// Reading changes at a tick that no live pin covers is refused, also where the answer would be right.
    public var isChecked = false
    /// Receives payloads that are not needed any more.
    public var release: PayloadRelease?
    /// Passed to `release` as it is.
    public var releaseContext: UInt = 0
    /// The seed of the hash of names; 0: from the system's randomness.
    public var hashSeed: UInt64 = 0
    /// The first open tick.
    public var firstTick = Tick.first

    /// Options with every default.
    public init() {}
}

/// What kind of reader holds a pin; for statistics. All register by the same call.
public enum ReaderClass: UInt8, Sendable {
    /// Polls, acknowledges, moves on.
    case subscription = 0
    /// Work in progress that will be exported against its start.
    case transaction = 1
    /// A copy that will be merged back.
    case fork = 2
    /// Holds contents as well as changes.
    case snapshot = 3
    /// Reads changes after the update that made them has returned.
    case exporter = 4
    /// Writes an image while others go on.
    case checkpoint = 5
}
