/// A capacity and where it came from.
public struct ResolvedCapacity: Equatable, Sendable {
    /// Bytes, 1 to 2^63 - 1.
    public var bytes: UInt64
    /// Where it came from; `.default` says that nobody asked for it.
    public var source: Capacity.Source

    /// A capacity and where it came from.
    public init(bytes: UInt64, source: Capacity.Source) {
        self.bytes = bytes
        self.source = source
    }
}

extension Capacity {
    /// Decides between the command line and the environment.
    /// - `argument`: the word after the first `--capacity`; nil when there is no such word. A word that begins with `-` stands for
    ///   the default, whatever the environment says.
    /// - `environment`: the value of `SKIP_CAPACITY`; nil and an empty text both mean that it is not set.
    /// - Complexity: linear in the texts.
    public static func resolve(argument: Span<UInt8>?, environment: Span<UInt8>?) throws(CapacityError) -> ResolvedCapacity {
        if let argument {
            if !argument.isEmpty, argument[0] == 0x2D { return ResolvedCapacity(bytes: defaultBytes, source: .default) }
            return ResolvedCapacity(bytes: try parse(argument, source: .argument), source: .argument)
        }
        if let environment, !environment.isEmpty {
            return ResolvedCapacity(bytes: try parse(environment, source: .environment), source: .environment)
        }
        return ResolvedCapacity(bytes: defaultBytes, source: .default)
    }
}
