import CHeap
import CTestSupport
import CVirtualMemory
import HeapCore

// Safety: this file is these tests' only place that handles pointers. Blocks are numbers everywhere else:
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
