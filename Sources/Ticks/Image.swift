import CTicks
import HeapCore

// Safety: bytes are stored and loaded below the count of the buffer that they belong to, wherever they stand in it.

// The image of a directory: what it is, as plain bytes, in no machine's layout.
//
// In it: the open tick, the floor, the clock; the identities of its lives; options and limits; counters and totals; living
// regions with name, id, owners, birth and payload; removed regions, those of the open tick among them, with what a tombstone
// says; the order of changes; durable readers with serial, pins (acknowledged, delivered, stored), limits and state.
// Not in it: readers that are not durable; batches (what was delivered and not acknowledged is told anew); the functions and
// the hash keys of the directory, so that who writes an image cannot choose names that collide; what only memory looks like: free
// slots, buckets, cells. A reopened directory gives out free slots from the lowest on. Neither is the memory of named regions: those
// are in it as regions that own none, with payload 0, and without content once they are tombstones. Who wants the memory again
// removes such a name and makes it anew.
//
// Its floor is that of the directory without the readers that are left out. Tombstones and contents that only those needed are in
// it, and are freed by the first boundaries after reopening, in their budget, as if those readers had been cancelled.
//
// All numbers are little-endian and unaligned. Fields in their order:
//   magic 8, version 4, flags 4, byte count of the whole 8, mode 4, policy 4, limits of readers 4 * 8, limits of all 2 * 8
//   open tick 8, floor 8, time 8, first time 8, operations 4, last reader serial 4, totals 7 * 8 (ImageTotals)
//   counts: lives 4, readers 4, removed 8, living 8, owned 8
//   lives, oldest first: identity 8, last tick 8
//   readers, oldest first: serial 4, class 1, flags 1, state 1, has limits 1, acknowledged 8, delivered 8, stored 8, behind since 8,
//     limits 4 * 8 if it has some
//   removed, in order of slots: slot 4, generation 4, birth 8, death 8, sequence 4, state 1, zero 1, byte count of name 2,
//     slot of the owner that it went with 4 or 0, payload 8 if it has content, name
//   living, in order of slots: slot 4, generation 4, birth 8, payload 8, byte count of name 2, name
//   owned, those of the living that have owners, in order of the slots of their parents and as they were listed under these:
//     slot 4, count of owners 4, slots of owners 4 each, the parent first, then as they came
//   changes of the living and of those removed in the open tick, oldest first: slot 4, changed 8, changed before 8
//   checksum 8: SipHash-1-3 under the key 0 of all before. It finds damage; it proves nothing about who wrote the image.

/// What is wrong with an image.
public enum ImageDamage: UInt32, Sendable {
    /// It does not begin as one.
    case notAnImage = 1
    /// It is of a version that this library does not read.
    case unknownVersion = 2
    /// It ends before what it announces.
    case truncated = 3
    /// It is longer than what it announces.
    case trailingBytes = 4
    /// Some of its bytes are not those that were written.
    case checksum = 5
    /// A mode, policy or flag that there is none of.
    case options = 6
    /// A tick that cannot be: 0, after the open one, or before one that came earlier.
    case tick = 7
    /// Counts that do not add up.
    case counts = 8
    /// Lives out of order.
    case history = 9
    /// A reader that cannot be, or is there twice.
    case reader = 10
    /// A region that cannot be, or a slot that is taken.
    case region = 11
    /// A name too long, or of two living regions.
    case name = 12
    /// An owner that is none.
    case owner = 13
    /// A change of what has none, or a second one.
    case change = 14
}

/// Why an image cannot be written or reopened. Nothing has changed then, and no memory is kept.
public enum ImageError: Error, Equatable, Sendable {
    /// The heap's capacity does not hold the directory.
    case outOfCapacity
    /// The buffer does not hold the image, which has so many bytes; what is in the buffer is undefined.
    case bufferTooSmall(byteCount: Int)
    /// The bytes are no image, or not a sound one; the field that shows it begins at the offset.
    case damaged(ImageDamage, byteOffset: Int)
}

enum ImageFormat {
    /// "CISTDIR" and a line feed.
    static var magic: UInt64 { 0x0A52_4944_5453_4943 }
    static var version: UInt32 { 1 }
    static var checksumBytes: Int { 8 }

    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 { unsafe SipHash.hash(bytes, key0: 0, key1: 0) }
}

/// Puts fields one after another, and counts also those that the buffer does not hold.
@safe
struct ImageWriter {
    let buffer: UnsafeMutableRawBufferPointer
    private(set) var byteCount = 0

    init(_ buffer: UnsafeMutableRawBufferPointer) { unsafe self.buffer = buffer }

    mutating func put<Word: FixedWidthInteger & UnsignedInteger>(_ word: Word) {
        put(word, at: byteCount)
        byteCount &+= MemoryLayout<Word>.size
    }

    /// Puts a field that was left open.
    func put<Word: FixedWidthInteger & UnsignedInteger>(_ word: Word, at offset: Int) {
        store(UInt64(word), byteCount: MemoryLayout<Word>.size, at: offset)
    }

    /// One copy of it in the library, not one for each field.
    @inline(never)
    private func store(_ word: UInt64, byteCount: Int, at offset: Int) {
        guard unsafe offset &+ byteCount <= buffer.count, let start = unsafe buffer.baseAddress else { return }
        unsafe withUnsafeBytes(of: word.littleEndian) { bytes in
            unsafe (start + offset).copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: byteCount)
        }
    }

    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        if unsafe byteCount &+ bytes.count <= buffer.count, let start = unsafe buffer.baseAddress {
            unsafe Bytes.copy(bytes, to: UInt(bitPattern: start) &+ UInt(bitPattern: byteCount))
        }
        byteCount &+= bytes.count
    }

    mutating func put(_ limits: cistern_reader_limits) {
        put(limits.lag_ticks)
        put(limits.held_count)
        put(limits.held_bytes)
        put(limits.age)
    }
}

/// Takes fields one after another, and knows where the last one began.
@safe
struct ImageReader {
    private let bytes: UnsafeRawBufferPointer
    /// Where the fields end: at the checksum.
    private let end: Int
    private var position = 0
    private var fieldOffset = 0

    /// Looks at the frame of an image: its beginning, its length, its checksum.
    init(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        unsafe self.bytes = bytes
        end = max(0, bytes.count &- ImageFormat.checksumBytes)
        guard try take(UInt64.self) == ImageFormat.magic else { throw damage(.notAnImage) }
        guard try take(UInt32.self) == ImageFormat.version else { throw damage(.unknownVersion) }
        _ = try take(UInt32.self)
        let announced = try take(UInt64.self)
        guard announced <= UInt64(bytes.count) else { throw unsafe .damaged(.truncated, byteOffset: bytes.count) }
        guard announced == UInt64(bytes.count) else { throw .damaged(.trailingBytes, byteOffset: Int(announced)) }
        let written = unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: end, as: UInt64.self))
        guard unsafe ImageFormat.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<end])) == written else {
            throw .damaged(.checksum, byteOffset: end)
        }
        // The flags, which stand before the length, are the first to be read again.
        position = 12
    }

    /// What is wrong with the field taken last.
    func damage(_ damage: ImageDamage) -> ImageError { .damaged(damage, byteOffset: fieldOffset) }

    /// Bytes that are not taken yet.
    var rest: Int { end &- position }

    mutating func take<Word: FixedWidthInteger & UnsignedInteger>(_ type: Word.Type) throws(ImageError) -> Word {
        Word(truncatingIfNeeded: try load(byteCount: MemoryLayout<Word>.size))
    }

    /// One copy of it in the library, not one for each field.
    @inline(never)
    private mutating func load(byteCount: Int) throws(ImageError) -> UInt64 {
        fieldOffset = position
        guard rest >= byteCount else { throw damage(.truncated) }
        position &+= byteCount
        var word: UInt64 = 0
        unsafe withUnsafeMutableBytes(of: &word) { word in
            unsafe word.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[fieldOffset..<position]))
        }
        return UInt64(littleEndian: word)
    }

    /// A tick in a range.
    @inline(never)
    mutating func takeTick(_ range: ClosedRange<UInt64>) throws(ImageError) -> UInt64 {
        let tick = try take(UInt64.self)
        guard tick >= range.lowerBound, tick <= range.upperBound else { throw damage(.tick) }
        return tick
    }

    mutating func takeLimits() throws(ImageError) -> cistern_reader_limits {
        let lagTicks = try take(UInt64.self)
        let heldCount = try take(UInt64.self)
        let heldBytes = try take(UInt64.self)
        return cistern_reader_limits(lag_ticks: lagTicks, held_count: heldCount, held_bytes: heldBytes, age: try take(UInt64.self))
    }

    mutating func takeBytes(_ count: Int) throws(ImageError) -> UnsafeRawBufferPointer {
        fieldOffset = position
        guard rest >= count else { throw damage(.truncated) }
        position &+= count
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[fieldOffset..<position])
    }

    /// Ends where the checksum begins.
    func finish() throws(ImageError) { if rest != 0 { throw .damaged(.trailingBytes, byteOffset: position) } }
}
