import CHeap
import CTestSupport
import CVirtualMemory
import HeapCore

// Safety: this file and Child.swift are the tests' only places that handle pointers. Blocks are numbers everywhere else:
// an address that a live heap gave out is handed back to that heap, or to the helpers in C that read and write a range
// which the test knows to be one of its blocks.

/// A heap under test, with addresses as numbers.
struct TestHeap {
    let core: BoundedHeap

    /// Makes a heap, by default as `HeapOptions` is by default.
    init(_ capacityBytes: UInt64, _ change: (inout HeapOptions) -> Void = { _ in }) throws(HeapCreationError) {
        var options = HeapOptions(capacityBytes: capacityBytes)
        change(&options)
        core = try BoundedHeap.create(options)
    }

    /// A live heap by the address of its header.
    init?(headerAddress: UInt) {
        guard let header = unsafe UnsafeMutablePointer<cistern_heap>(bitPattern: headerAddress) else { return nil }
        core = unsafe BoundedHeap(headerPointer: header)
    }

    var base: UInt { UInt(bitPattern: unsafe core.headerPointer) }

    func allocate(_ byteCount: Int) -> UInt? {
        unsafe core.allocate(byteCount: byteCount).map { UInt(bitPattern: $0) }
    }

    func allocateZeroed(_ byteCount: Int) -> UInt? {
        unsafe core.allocateZeroed(byteCount: byteCount).map { UInt(bitPattern: $0) }
    }

    func allocate(_ byteCount: Int, alignment: Int) -> UInt? {
        unsafe core.allocate(byteCount: byteCount, alignment: alignment).map { UInt(bitPattern: $0) }
    }

    func free(_ block: UInt, _ byteCount: Int) {
        unsafe core.deallocate(UnsafeMutableRawPointer(bitPattern: block)!, byteCount: byteCount)
    }

    func free(_ block: UInt) {
        unsafe core.deallocate(UnsafeMutableRawPointer(bitPattern: block)!)
    }

    func resize(_ block: UInt, from old: Int? = nil, to byteCount: Int) -> UInt? {
        unsafe core.resize(UnsafeMutableRawPointer(bitPattern: block)!, from: old, to: byteCount).map { UInt(bitPattern: $0) }
    }

    func usableSize(_ block: UInt) -> Int {
        unsafe core.usableSize(of: UnsafeRawPointer(bitPattern: block)!)
    }

    func contains(_ address: UInt) -> Bool {
        unsafe core.contains(UnsafeRawPointer(bitPattern: address)!)
    }

    /// The block that holds an address.
    func block(holding address: UInt) -> Extent? {
        unsafe core.block(holding: UnsafeRawPointer(bitPattern: address)!)
            .map { Extent(start: UInt(bitPattern: $0.baseAddress), byteCount: $0.count) }
    }

    /// All live blocks, in address order as the visitor gives them.
    func liveBlocks() -> [Extent] {
        var found: [Extent] = []
        unsafe core.visitLiveBlocks { block, byteCount in
            found.append(Extent(start: UInt(bitPattern: block), byteCount: byteCount))
        }
        return found
    }

    /// The bytes of a block.
    static func bytes(_ block: UInt, _ byteCount: Int) -> [UInt8] {
        let start = unsafe UnsafePointer<UInt8>(bitPattern: block)!
        return (0..<byteCount).map { unsafe start[$0] }
    }

    /// A word inside a block.
    static func load(_ address: UInt) -> UInt { unsafe UnsafePointer<UInt>(bitPattern: address)!.pointee }
    static func store(_ address: UInt, _ value: UInt) { unsafe UnsafeMutablePointer<UInt>(bitPattern: address)!.pointee = value }

    func verify() -> HeapInconsistency? { core.verify() }

    /// Drops everything of a heap without regions.
    @discardableResult
    func discard() -> UInt64 {
        do throws(DiscardError) { return try core.discard() } catch { fatalError("\(error)") }
    }

    @discardableResult
    func destroy() -> Bool { core.destroy() }
}

/// A range of addresses.
struct Extent: Equatable {
    var start: UInt
    var byteCount: Int
    var end: UInt { start + UInt(byteCount) }
}

/// A table of OS calls that counts and refuses. It stays where it is until `free()`.
@safe struct FaultTable: @unchecked Sendable {
    // Safety: one allocation that lives until free(), which tests call after the heaps that use it are gone.
    private let pointer: UnsafeMutablePointer<cistern_fault_table>

    init() {
        unsafe pointer = .allocate(capacity: 1)
        unsafe cistern_fault_table_init(pointer)
    }

    /// What was asked of the system so far.
    struct Counts {
        var all: UInt64
        var reserve: UInt64
        var reservedBytes: UInt64
        var commit: UInt64
        var decommit: UInt64
        var uncommit: UInt64
        var advise: UInt64
        var liveReservations: UInt64
    }

    var counts: Counts {
        let it = unsafe pointer.pointee
        return unsafe Counts(
            all: it.call_count, reserve: it.reserve_count, reservedBytes: it.reserved_byte_count, commit: it.commit_count,
            decommit: it.decommit_count, uncommit: it.uncommit_count, advise: it.advise_count,
            liveReservations: it.live_reservations)
    }

    /// Decommit leaves the bytes as they are from now on, and says so.
    func readsAsStale() { unsafe pointer.pointee.reads_as = UInt32(CISTERN_READS_AS_STALE) }

    /// Refuses the call with this number, counted from now, with ENOMEM; once or for ever.
    func refuse(_ number: UInt64, forEver: Bool) {
        unsafe pointer.pointee.fail_at = pointer.pointee.call_count + number
        unsafe pointer.pointee.fails_for_ever = forEver
    }

    func refuseNothing() {
        unsafe pointer.pointee.fail_at = UInt64.max
        unsafe pointer.pointee.fails_for_ever = false
    }

    /// Has the call that was to be refused been made?
    var hasRefused: Bool { unsafe pointer.pointee.call_count > pointer.pointee.fail_at }

    /// Lets a heap use this table.
    func install(in options: inout HeapOptions) {
        let calls = unsafe UnsafeRawPointer(pointer).advanced(by: MemoryLayout<cistern_fault_table>.offset(of: \.calls)!)
        unsafe options.systemCalls = calls.assumingMemoryBound(to: cistern_os_calls.self)
    }

    /// Gives a reservation back that a heap could not.
    func release(_ base: UInt, _ byteCount: Int) -> Bool {
        let calls = unsafe pointer.pointee.calls
        return unsafe calls.release(calls.context, UnsafeMutableRawPointer(bitPattern: base)!, byteCount) == 0
    }

    func free() { unsafe pointer.deallocate() }
}
