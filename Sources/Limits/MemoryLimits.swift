/// The limits on the memory of this process, as they were when they were read. Owns no memory; copies are independent.
public struct MemoryLimits: Sendable {
    /// The most limits that are kept. Of more, the tightest still counts.
    public static var countLimit: Int { 32 }
    /// The most unreadable things that are kept.
    public static var unreadableCountLimit: Int { 8 }

    private var limits = InlineArray<32, MemoryLimit>(repeating: MemoryLimit(kind: .physicalMemory, valueBytes: 0))
    private var unreadables = InlineArray<8, UnreadableLimit>(repeating: UnreadableLimit(subject: .groups, code: 0))

    /// Limits that were found: at most `countLimit`.
    public private(set) var count = 0
    /// Limits that were found and are not among them, because there were too many.
    public private(set) var omittedCount = 0
    /// The limit with the fewest available bytes, the first one of equals; nil when none was found.
    public private(set) var tightest: MemoryLimit?
    /// Things that could not be read: at most `unreadableCountLimit`, later ones are not kept.
    public private(set) var unreadableCount = 0

    /// No limits.
    public init() {}

    /// A limit that was found, by its number from 0 to `count` - 1. Any other number ends the process.
    public subscript(index: Int) -> MemoryLimit {
        precondition(index >= 0 && index < count, "there is no such limit")
        return limits[index]
    }

    /// A thing that could not be read, by its number from 0 to `unreadableCount` - 1. Any other number ends the process.
    public func unreadable(at index: Int) -> UnreadableLimit {
        precondition(index >= 0 && index < unreadableCount, "there is no such thing")
        return unreadables[index]
    }

    /// Adds a limit.
    public mutating func add(_ limit: MemoryLimit) {
        if count < Self.countLimit {
            limits[count] = limit
            count += 1
        } else {
            omittedCount += 1
        }
        if let known = tightest, known.availableBytes <= limit.availableBytes { return }
        tightest = limit
    }

    /// Adds something that could not be read.
    public mutating func addUnreadable(_ unreadable: UnreadableLimit) {
        guard unreadableCount < Self.unreadableCountLimit else { return }
        unreadables[unreadableCount] = unreadable
        unreadableCount += 1
    }
}
