import CHeap
import CTicks
import HeapCore

// Safety: this file turns offsets into memory for the whole layer. Its invariant: every offset is 0 or that of a block which
// `allocate` gave and `free` has not taken back, and a block is used as the one record type it was allocated for, all of
// which are trivial. Which thread may touch which record is said in cistern_ticks_layout.h.

/// A directory of named regions, the tombstones of those removed, and the readers that still need them: the handle of the
/// core, one pointer wide. Copies name the same directory, which lives until `destroy()`, and not longer than its heap.
///
/// Any thread may call anything at any time, with one lock for all, but for what is said to need none. All memory is the
/// heap's. No operation exits, prints or calls malloc. A child of fork must not use a directory that another thread was in.
@frozen
public struct RegionDirectory: @unchecked Sendable {
    let header: Ref<cistern_directory>

    init(header: Ref<cistern_directory>) { self.header = header }

    /// Names a directory by its header.
    ///
    /// - Parameter pointer: what `headerPointer` of a live directory gave.
    public init(headerPointer pointer: UnsafeMutablePointer<cistern_directory>) { header = unsafe Ref(pointer) }

    /// The header's address: the handle that others hold.
    public var headerPointer: UnsafeMutablePointer<cistern_directory> { unsafe header.pointer }
}

extension Ref {
    /// Names the record at an address.
    @inline(__always)
    init(place: UInt) {
        unsafe self.init(UnsafeMutablePointer(bitPattern: place).unsafelyUnwrapped)
    }
}

/// Bytes and words at an address.
enum Bytes {
    @inline(__always)
    static func pointer(_ address: UInt) -> UnsafeMutableRawPointer {
        unsafe UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
    }

    static func copy(_ bytes: UnsafeRawBufferPointer, to address: UInt) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        unsafe pointer(address).copyMemory(from: start, byteCount: bytes.count)
    }

    static func move(from source: UInt, to destination: UInt, byteCount: UInt) {
        guard byteCount > 0 else { return }
        unsafe pointer(destination).copyMemory(from: pointer(source), byteCount: Int(byteCount))
    }

    static func zero(_ address: UInt, byteCount: UInt) {
        unsafe pointer(address).initializeMemory(as: UInt8.self, repeating: 0, count: Int(byteCount))
    }
}

extension RegionDirectory {
    /// Makes a directory in a heap.
    ///
    /// - Throws: `outOfCapacity`; `tickExhausted` when the first tick is none. Nothing is left behind.
    /// - Complexity: constant.
    public static func create(in heap: BoundedHeap, _ options: DirectoryOptions) throws(DirectoryError) -> RegionDirectory {
        guard options.firstTick >= .first, options.firstTick <= .last else { throw .tickExhausted }
        let byteCount = MemoryLayout<cistern_directory>.size
        guard let block = unsafe heap.allocateZeroed(byteCount: byteCount) else { throw .outOfCapacity }
        let directory = RegionDirectory(header: Ref(place: UInt(bitPattern: block)))
        directory.layOut(heap, options)
        guard directory.growTable(directory.markers, to: 4) else {
            unsafe heap.deallocate(block, byteCount: byteCount)
            throw .outOfCapacity
        }
        unsafe cistern_directory_count_add(heap.headerPointer, 1)
        return directory
    }

    private func layOut(_ heap: BoundedHeap, _ options: DirectoryOptions) {
        let heapHeader = unsafe heap.headerPointer
        header.it.heap = uintptr_t(UInt(bitPattern: heapHeader))
        header.it.base = unsafe UInt64(heapHeader.pointee.base)
        if unsafe heapHeader.pointee.flags & UInt32(CISTERN_HEAP_SINGLE_THREAD) != 0 {
            header.it.lock.disabled = 1
            header.it.readers_lock.disabled = 1
        }
        let salt = unsafe UInt64(header.it.heap) ^ heapHeader.pointee.incarnation << 48
        header.it.identity = cistern_ticks_random(salt) | 1
        header.it.hash_key_0 = options.hashSeed != 0 ? options.hashSeed : cistern_ticks_random(salt)
        header.it.hash_key_1 = options.hashSeed != 0 ? ~options.hashSeed : cistern_ticks_random(~salt)
        if options.keepsLastValue { header.it.flags |= CISTERN_DIRECTORY_KEEPS_LAST_VALUE.rawValue }
        if options.isChecked { header.it.flags |= CISTERN_DIRECTORY_IS_CHECKED.rawValue }
        header.it.policy = options.policy.rawValue
        header.it.reader_limits = options.readerLimits.record
        header.it.total_held_count_limit = options.heldCountLimit
        header.it.total_held_byte_limit = options.heldBytesLimit
        header.it.release_function = uintptr_t(
            UInt(bitPattern: unsafe unsafeBitCast(options.release, to: UnsafeRawPointer?.self)))
        header.it.release_context = uintptr_t(options.releaseContext)
        header.it.markers.ignores_birth = options.mode == .horizon ? 1 : 0
        header.it.contents.is_of_contents = 1
        unsafe cistern_open_tick_store(header.pointer, options.firstTick.number)
        header.it.floor = options.firstTick.number
    }

    // MARK: Memory

    /// The heap that everything is in.
    public var heap: BoundedHeap {
        unsafe BoundedHeap(headerPointer: UnsafeMutablePointer(bitPattern: UInt(header.it.heap)).unsafelyUnwrapped)
    }

    @inline(__always)
    func address(_ offset: UInt64) -> UInt { UInt(header.it.base &+ offset) }

    @inline(__always)
    func at<Record>(_ offset: UInt64, _ type: Record.Type = Record.self) -> Ref<Record> { Ref(place: address(offset)) }

    /// A block as an offset; 0 when there is no room.
    func allocate(_ byteCount: UInt) -> UInt64 {
        guard let block = unsafe heap.allocate(byteCount: Int(byteCount)) else { return 0 }
        header.it.block_byte_count &+= UInt64(byteCount)
        return UInt64(UInt(bitPattern: block)) &- header.it.base
    }

    @inline(__always)
    func free(_ offset: UInt64, _ byteCount: UInt) {
        guard offset != 0 else { return }
        header.it.block_byte_count &-= UInt64(byteCount)
        unsafe heap.deallocate(Bytes.pointer(address(offset)), byteCount: Int(byteCount))
    }

    @inline(__always)
    private func part<Record>(_ byteOffset: Int) -> Ref<Record> {
        Ref(place: UInt(bitPattern: unsafe header.pointer) &+ UInt(bitPattern: byteOffset))
    }

    @inline(__always) var chunkSegments: Ref<cistern_segments> { part(CISTERN_CHUNK_SEGMENTS_OFFSET) }
    @inline(__always) var nameSegments: Ref<cistern_segments> { part(CISTERN_NAME_SEGMENTS_OFFSET) }
    @inline(__always) var markers: Ref<cistern_pin_table> { part(CISTERN_MARKERS_OFFSET) }
    @inline(__always) var contents: Ref<cistern_pin_table> { part(CISTERN_CONTENTS_OFFSET) }

    // MARK: Locks

    @inline(__always)
    func lock() { unsafe cistern_directory_lock_acquire(header.pointer) }

    @inline(__always)
    func unlock() { unsafe cistern_directory_lock_release(header.pointer) }

    /// The two for calls where a jump is nothing.
    @inline(never)
    func lockOutOfLine() { lock() }

    @inline(never)
    func unlockOutOfLine() { unlock() }

    @inline(never)
    func lockReaders() { unsafe cistern_readers_lock_acquire(header.pointer) }

    @inline(never)
    func unlockReaders() { unsafe cistern_readers_lock_release(header.pointer) }

    func has(_ flag: cistern_directory_flags) -> Bool { header.it.flags & flag.rawValue != 0 }

    // MARK: Ends

    /// The tick being written. No lock.
    public var openTick: Tick { Tick(openNumber) }

    @inline(__always)
    var openNumber: UInt64 { unsafe cistern_open_tick_load(header.pointer) }

    /// Calls the release function no more, at the end neither: for a host whose image has the payloads from now on.
    public func keepPayloads() {
        lockOutOfLine()
        defer { unlockOutOfLine() }
        header.it.release_function = 0
    }

    /// Closes every region that it owns, releases every payload that it still has, and gives all memory back to the heap. No other
    /// call may be in progress or follow; handles of readers are void. Cleanup actions of those regions may use the directory, but
    /// not end it: its names are there, without memory, and what the actions give memory goes, too.
    ///
    /// - Complexity: proportional to what the directory holds, and closing its regions.
    public func destroy() {
        releaseEverything()
        releaseLives()
        unsafe cistern_directory_count_add(heap.headerPointer, -1)
        unsafe heap.deallocate(
            UnsafeMutableRawPointer(header.pointer), byteCount: MemoryLayout<cistern_directory>.size)
    }
}

extension ReaderLimits {
    var record: cistern_reader_limits {
        cistern_reader_limits(lag_ticks: lagTicks, held_count: heldCount, held_bytes: heldBytes, age: age)
    }
}
