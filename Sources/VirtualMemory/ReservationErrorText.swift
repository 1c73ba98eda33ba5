#if !hasFeature(Embedded)
extension ReservationError: CustomStringConvertible {
    /// One line: what was asked, what the system said, and which limit is in the way.
    public var description: String {
        let what = "could not \(operation) \(byteCount) bytes: "
        guard code == Self.outOfMemory else { return what + "errno \(code)" }
        return what + "Cannot allocate memory (\(limit))"
    }
}

extension BlockingLimit: CustomStringConvertible {
    /// The limit and its value, as a person would look for it.
    public var description: String {
        switch kind {
        case .unknown: return "no limit that can be read is in the way"
        case .addressSpace: return "RLIMIT_AS is \(valueBytes) bytes, \(usedBytes) in use; see ulimit -v"
        case .data: return "RLIMIT_DATA is \(valueBytes) bytes, \(usedBytes) in use; see ulimit -d"
        case .overcommit: return "the commit limit is \(valueBytes) bytes, \(usedBytes) committed; see vm.overcommit_memory"
        case .addressRange: return "the address range ends at \(valueBytes) bytes"
        }
    }
}
#endif
