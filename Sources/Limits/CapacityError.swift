/// Why a text is not a capacity. A value of numbers only: it owns no memory and any thread may use it.
public struct CapacityError: Error, Equatable, Sendable {
    /// What is wrong with the text.
    public enum Kind: UInt32, Sendable {
        /// No text at all.
        case empty = 0
        /// Not digits followed by nothing or by a unit.
        case malformed
        /// More than 2^63 - 1 bytes.
        case overflow
        /// Zero bytes.
        case zero
        /// kB, MB, GB, TB: 1000 or 1024, nobody knows.
        case ambiguousUnit
        /// A fraction such as 1.5G.
        case fraction
        /// `off`, `unlimited` and their like: a bounded heap has a bound.
        case unlimited
        /// A percentage that is not a whole number from 1 to 100.
        case percentage
    }

    /// What is wrong.
    public var kind: Kind
    /// Where the text came from; never `.default`.
    public var source: Capacity.Source
    /// The text, or its beginning.
    public var given: GivenText

    /// The error for a text.
    public init(_ kind: Kind, source: Capacity.Source, given text: Span<UInt8>) {
        self.kind = kind
        self.source = source
        given = GivenText(text)
    }

    /// True: the text was read by the grammar of the API, which takes more forms.
    var isExtended: Bool { source == .api }
}

/// The beginning of a text, and how long all of it was.
public struct GivenText: Equatable, Sendable {
    /// The most bytes that are kept.
    public static var keptByteCountLimit: Int { 32 }

    /// Bytes of the whole text.
    public let byteCount: Int
    /// Eight bytes in each word, the first in the lowest bits.
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// Keeps the first bytes of a text.
    public init(_ text: Span<UInt8>) {
        byteCount = text.count
        for index in 0..<min(text.count, Self.keptByteCountLimit) {
            let bits = UInt64(text[index]) << UInt64(index % 8 * 8)
            switch index / 8 {
            case 0: words.0 |= bits
            case 1: words.1 |= bits
            case 2: words.2 |= bits
            default: words.3 |= bits
            }
        }
    }

    /// Bytes that are kept.
    public var keptByteCount: Int { min(byteCount, Self.keptByteCountLimit) }

    /// A kept byte; 0 for every other index.
    public subscript(index: Int) -> UInt8 {
        guard index >= 0, index < keptByteCount else { return 0 }
        let word = index < 8 ? words.0 : index < 16 ? words.1 : index < 24 ? words.2 : words.3
        return UInt8(truncatingIfNeeded: word >> UInt64(index % 8 * 8))
    }

    /// True: the same beginning of a text of the same length.
    public static func == (left: GivenText, right: GivenText) -> Bool {
        left.byteCount == right.byteCount && left.words == right.words
    }
}
