/// The size of a heap's reservation: how it is written, where it comes from, and what fits this process.
/// All functions are pure unless they say otherwise, and any thread may call them.
public enum Capacity {
    /// Where a capacity came from.
    public enum Source: UInt32, Sendable {
        /// Neither of the others: 16 GiB, or what fits.
        case `default` = 0
        /// `--capacity` on the command line.
        case argument
        /// `SKIP_CAPACITY` in the environment.
        case environment
        /// A call of this library.
        case api
    }

    /// 16 GiB: the capacity when nobody asks for one.
    public static var defaultBytes: UInt64 { 16 << 30 }

    /// 2^63 - 1: the largest number that a text may say, in bytes.
    public static var largestBytes: UInt64 { UInt64(Int64.max) }

    /// 1 MiB: the least that fitting gives, because it is the least that a heap takes. Explicit values are not held to it here.
    public static var smallestFittedBytes: UInt64 { 1 << 20 }

    /// 2 MiB: fitted capacities are multiples of this, a huge page, unless they are below it.
    public static var fittedStepBytes: UInt64 { 2 << 20 }

    /// Reads a text of the strict grammar, which is that of `--capacity` and of `SKIP_CAPACITY`: decimal digits, then nothing or
    /// one of K, k, M, m, G, g, which stand for 1024, 1024^2 and 1024^3. Nothing else: no sign, space, point, other unit or base.
    /// - Returns: bytes, from 1 to `largestBytes`.
    /// - Complexity: linear in the text.
    public static func parse(_ text: Span<UInt8>, source: Source) throws(CapacityError) -> UInt64 {
        guard !text.isEmpty else { throw CapacityError(.empty, source: source, given: text) }
        let last = text.count - 1
        let shift: UInt64
        switch text[last] {
        case UInt8(ascii: "K"), UInt8(ascii: "k"): shift = 10
        case UInt8(ascii: "M"), UInt8(ascii: "m"): shift = 20
        case UInt8(ascii: "G"), UInt8(ascii: "g"): shift = 30
        default: shift = 0
        }
        return try bytes(text, digits: 0..<(shift == 0 ? text.count : last), shift: shift, source: source)
    }

    /// digits * 2^shift.
    static func bytes(
        _ text: Span<UInt8>, digits: Range<Int>, shift: UInt64, source: Source
    ) throws(CapacityError) -> UInt64 {
        let number: UInt64
        switch ByteText.number(text, digits) {
        case .malformed: throw CapacityError(.malformed, source: source, given: text)
        case .tooLarge: throw CapacityError(.overflow, source: source, given: text)
        case .value(let value): number = value
        }
        guard number > 0 else { throw CapacityError(.zero, source: source, given: text) }
        guard number <= largestBytes >> shift else { throw CapacityError(.overflow, source: source, given: text) }
        return number << shift
    }
}
