import Regions

/// Why an operation on a region was not done. Nothing has changed then.
public enum RegionError: Error, Equatable, Sendable {
    /// The heap's capacity does not hold it.
    case exhausted
    /// The region's limit does not hold it.
    case limitReached
    /// A region above it has closed the region.
    case closed
    /// Cleanup actions of the region, or of one inside it, are running.
    case busy
    /// A free-standing region has nobody to promote to.
    case noParent
    /// The address is not in this region.
    case notInRegion
    /// The mark is another region's, or what it marked has been given back.
    case staleMark
    /// The two regions are of different heaps.
    case notExchangeable
    /// A size or an alignment is out of its range.
    case invalidArgument

    /// The error that a status of the core is; `nil` for `.done`.
    @usableFromInline
    init?(_ status: RegionStatus) {
        switch status {
        case .done: return nil
        case .exhausted: self = .exhausted
        case .limitReached: self = .limitReached
        case .closed: self = .closed
        case .busy: self = .busy
        case .noParent: self = .noParent
        case .notInRegion: self = .notInRegion
        case .staleMark: self = .staleMark
        case .notExchangeable: self = .notExchangeable
        case .invalidArgument: self = .invalidArgument
        }
    }

    @usableFromInline
    static func check(_ status: RegionStatus) throws(RegionError) {
        if let error = RegionError(status) { throw error }
    }
}

extension RegionError: CustomStringConvertible {
    /// One line without its end.
    public var description: String {
        switch self {
        case .exhausted: "the heap's capacity does not hold it"
        case .limitReached: "the region's limit does not hold it"
        case .closed: "the region has been closed"
        case .busy: "cleanup actions of the region are running"
        case .noParent: "a free-standing region has nobody to promote to"
        case .notInRegion: "the address is not in this region"
        case .staleMark: "the mark is another region's, or has been released"
        case .notExchangeable: "the two regions are of different heaps"
        case .invalidArgument: "a size or an alignment is out of its range"
        }
    }
}
