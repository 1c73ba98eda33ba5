import CHeap

// Safety: this file is the one place of the heap that turns numbers into memory. Its invariant: every address and record
// handed in lies inside the committed part of a live heap's reservation (or is this thread's slot), is aligned for what
// is read there, and holds a value of that trivial type. Records hold integers only, so no access can leave a dangling
// reference behind; which thread may touch which record is said by the locks named in cistern_heap_layout.h.

/// A record inside a heap's reservation, used in place.
///
/// The same size as a pointer and no reference counting: reading a field through `it` compiles to one load.
@safe
@frozen
public struct Ref<Record> {
    /// Where the record stands.
    public let pointer: UnsafeMutablePointer<Record>

    /// Wraps a pointer. The caller vouches for the file's invariant.
    @inlinable @inline(__always)
    public init(_ pointer: UnsafeMutablePointer<Record>) {
        unsafe self.pointer = pointer
    }

    /// Names the record at an address. The caller vouches for the file's invariant.
    @inlinable @inline(__always)
    init(at address: UInt) {
        unsafe pointer = UnsafeMutablePointer(bitPattern: address).unsafelyUnwrapped
    }

    /// The address as a number.
    @inlinable @inline(__always)
    var address: UInt { UInt(bitPattern: unsafe pointer) }

    /// The record itself, read and written in place.
    @inlinable
    public var it: Record {
        @inline(__always) unsafeAddress { unsafe UnsafePointer(pointer) }
        @inline(__always) nonmutating unsafeMutableAddress { unsafe pointer }
    }
}

/// Loads and stores at an address inside a heap.
@usableFromInline
enum Memory {
    @inlinable @inline(__always)
    static func loadWord(_ address: UInt) -> UInt {
        unsafe UnsafePointer<UInt>(bitPattern: address).unsafelyUnwrapped.pointee
    }

    @inlinable @inline(__always)
    static func storeWord(_ address: UInt, _ value: UInt) {
        unsafe UnsafeMutablePointer<UInt>(bitPattern: address).unsafelyUnwrapped.pointee = value
    }

    @inlinable @inline(__always)
    static func load32(_ address: UInt) -> UInt32 {
        unsafe UnsafePointer<UInt32>(bitPattern: address).unsafelyUnwrapped.pointee
    }

    @inlinable @inline(__always)
    static func store32(_ address: UInt, _ value: UInt32) {
        unsafe UnsafeMutablePointer<UInt32>(bitPattern: address).unsafelyUnwrapped.pointee = value
    }

    @inlinable @inline(__always)
    static func load64(_ address: UInt) -> UInt64 {
        unsafe UnsafePointer<UInt64>(bitPattern: address).unsafelyUnwrapped.pointee
    }

    @inlinable @inline(__always)
    static func store64(_ address: UInt, _ value: UInt64) {
        unsafe UnsafeMutablePointer<UInt64>(bitPattern: address).unsafelyUnwrapped.pointee = value
    }

    static func zero(_ address: UInt, byteCount: UInt) {
        guard byteCount > 0 else { return }
        unsafe UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
            .initializeMemory(as: UInt8.self, repeating: 0, count: Int(byteCount))
    }

    static func fill(_ address: UInt, byteCount: UInt, with byte: UInt8) {
        guard byteCount > 0 else { return }
        unsafe UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
            .initializeMemory(as: UInt8.self, repeating: byte, count: Int(byteCount))
    }

    /// Do all bytes have this value? The first that has not, as an offset, or nil.
    static func firstOffset(_ address: UInt, byteCount: UInt, differingFrom byte: UInt8) -> UInt? {
        let start = unsafe UnsafePointer<UInt8>(bitPattern: address).unsafelyUnwrapped
        var offset: UInt = 0
        while offset < byteCount {
            if unsafe start[Int(offset)] != byte { return offset }
            offset &+= 1
        }
        return nil
    }

    static func copy(from source: UInt, to destination: UInt, byteCount: UInt) {
        guard byteCount > 0 else { return }
        unsafe UnsafeMutableRawPointer(bitPattern: destination).unsafelyUnwrapped
            .copyMemory(
                from: UnsafeRawPointer(bitPattern: source).unsafelyUnwrapped, byteCount: Int(byteCount))
    }
}
