/// SipHash-1-3 (Aumasson and Bernstein 2012, with the rounds that hash tables use): an outsider who does not know the key
/// cannot choose names that collide.
struct SipHash {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    private init(_ key0: UInt64, _ key1: UInt64) {
        v0 = key0 ^ 0x736f_6d65_7073_6575
        v1 = key1 ^ 0x646f_7261_6e64_6f6d
        v2 = key0 ^ 0x6c79_6765_6e65_7261
        v3 = key1 ^ 0x7465_6462_7974_6573
    }

    @inline(__always)
    private static func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 { (word &<< count) | (word &>> (64 &- count)) }

    @inline(__always)
    private mutating func mix() {
        v0 = v0 &+ v1
        v1 = Self.rotated(v1, 13) ^ v0
        v0 = Self.rotated(v0, 32)
        v2 = v2 &+ v3
        v3 = Self.rotated(v3, 16) ^ v2
        v0 = v0 &+ v3
        v3 = Self.rotated(v3, 21) ^ v0
        v2 = v2 &+ v1
        v1 = Self.rotated(v1, 17) ^ v2
        v2 = Self.rotated(v2, 32)
    }

    @inline(__always)
    private mutating func take(_ word: UInt64) {
        v3 ^= word
        mix()
        v0 ^= word
    }

    /// The hash of bytes under a key of two words. Complexity: linear.
    static func hash(_ bytes: UnsafeRawBufferPointer, key0: UInt64, key1: UInt64) -> UInt64 {
        var state = SipHash(key0, key1)
        var position = 0
        while position &+ 8 <= bytes.count {
            // Safety: eight bytes are left.
            state.take(UInt64(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
            position &+= 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        var shift: UInt64 = 0
        while position < bytes.count {
            last |= unsafe UInt64(bytes[position]) << shift
            shift &+= 8
            position &+= 1
        }
        state.take(last)
        state.v2 ^= 0xff
        state.mix()
        state.mix()
        state.mix()
        return state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    }
}
