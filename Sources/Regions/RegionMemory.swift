import CHeap
import HeapCore

// Safety: this file is the one place of the layer that turns numbers into memory. Its invariant: every address handed in is
// that of a record, of a chunk's header, or of bytes of a chunk or large object that belongs to the caller's region;
// which thread may touch them follows from whose region it is.

extension Ref where Record: BitwiseCopyable {
    /// Names the record at an address that is not 0. The caller vouches for the file's invariant.
    @inlinable @inline(__always)
    init(regionAddress address: UInt) {
        unsafe self.init(UnsafeMutablePointer(bitPattern: address).unsafelyUnwrapped)
    }

    /// The same; nil for 0.
    @inlinable @inline(__always)
    static func optional(_ address: uintptr_t) -> Ref? { address == 0 ? nil : Ref(regionAddress: UInt(address)) }

    /// The address as a number.
    @inlinable @inline(__always)
    var number: UInt { UInt(bitPattern: unsafe pointer) }
}

/// Bytes of regions.
enum RegionMemory {
    static func fill(_ address: UInt, byteCount: UInt, with byte: UInt8) {
        guard byteCount > 0 else { return }
        unsafe UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
            .initializeMemory(as: UInt8.self, repeating: byte, count: Int(bitPattern: byteCount))
    }

    static func copy(from source: UInt, to destination: UInt, byteCount: UInt) {
        guard byteCount > 0 else { return }
        unsafe UnsafeMutableRawPointer(bitPattern: destination).unsafelyUnwrapped
            .copyMemory(from: UnsafeRawPointer(bitPattern: source).unsafelyUnwrapped, byteCount: Int(bitPattern: byteCount))
    }
}
