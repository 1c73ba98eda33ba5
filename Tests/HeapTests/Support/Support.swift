@_exported import TestSupport

extension Random {
    /// Mostly small, sometimes up to `most`.
    mutating func size(most: Int) -> Int {
        switch below(100) {
        case 0..<3: return 0
        case 3..<55: return 1 + below(128)
        case 55..<80: return 1 + below(1024)
        case 80..<93: return 1 + below(8192)
        default: return 1 + below(most)
        }
    }
}

extension UInt {
    /// nil for 0.
    var nonZero: UInt? { self == 0 ? nil : self }
}

/// What the address of a block is a multiple of, in a heap whose blocks are all multiples of `least`.
func promisedAlignment(ofSize size: Int, least: UInt) -> UInt { max(size > 0 && size % 16 == 0 ? 16 : 8, least) }
