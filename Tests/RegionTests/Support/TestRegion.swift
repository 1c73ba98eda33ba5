import CHeap
import CVirtualMemory
import HeapCore
import Regions

// Safety: this file is these tests' only place that handles pointers. Objects are numbers everywhere else:
// an address that a region gave out is handed back to that region, or to the helpers in C that read and write a range which
// the test knows to be one of its objects.

/// A heap under test.
struct TestHeap {
    let core: BoundedHeap

    init(_ capacityBytes: UInt64, _ change: (inout HeapOptions) -> Void = { _ in }) throws(HeapCreationError) {
        var options = HeapOptions(capacityBytes: capacityBytes)
        change(&options)
        core = try BoundedHeap.create(options)
    }

    func open(limit: UInt64 = 0, isOwned: Bool = false) -> TestRegion? {
        core.openRegion(RegionOptions(limitBytes: limit, isOwned: isOwned)).map { TestRegion(core: $0) }
    }

    func owner(of address: UInt) -> TestRegion? {
        unsafe core.region(owning: UnsafeRawPointer(bitPattern: address)!).map { TestRegion(core: $0) }
    }

    func allocate(_ byteCount: Int) -> UInt? { unsafe core.allocate(byteCount: byteCount).map { UInt(bitPattern: $0) } }

    func free(_ block: UInt, _ byteCount: Int) { unsafe core.deallocate(UnsafeMutableRawPointer(bitPattern: block)!, byteCount: byteCount) }

    func block(holding address: UInt) -> Bool { unsafe core.block(holding: UnsafeRawPointer(bitPattern: address)!) != nil }

    func usableSize(_ address: UInt) -> Int { unsafe core.usableSize(of: UnsafeRawPointer(bitPattern: address)!) }

    /// Every live block and the bytes it can hold.
    var liveBlockCount: Int {
        var count = 0
        unsafe core.visitLiveBlocks { _, _ in count += 1 }
        return count
    }

    func verify() -> HeapInconsistency? { core.verifyRegions() }

    @discardableResult
    func destroy() -> Bool { core.destroy() }
}

/// A region under test, with addresses as numbers.
struct TestRegion: Equatable {
    let core: BoundedRegion

    func child(limit: UInt64 = 0, isOwned: Bool = false) -> TestRegion? {
        core.openChild(RegionOptions(limitBytes: limit, isOwned: isOwned)).map { TestRegion(core: $0) }
    }

    func allocate(_ byteCount: Int) -> UInt? { unsafe core.allocate(byteCount: byteCount).map { UInt(bitPattern: $0) } }

    func allocate(_ byteCount: Int, alignment: Int) -> UInt? {
        unsafe core.allocate(byteCount: byteCount, alignment: alignment).map { UInt(bitPattern: $0) }
    }

    func allocateZeroed(_ byteCount: Int, alignment: Int = 8) -> UInt? {
        unsafe core.allocateZeroed(byteCount: byteCount, alignment: alignment).map { UInt(bitPattern: $0) }
    }

    func contains(_ address: UInt) -> Bool { unsafe core.contains(UnsafeRawPointer(bitPattern: address)!) }

    /// Promotes as plain bytes, or through `copy`. Returns where the object is then.
    func promote(
        _ object: UInt, _ byteCount: Int, alignment: Int = 8, copy: RegionCopy? = nil, context: UInt = 0
    ) -> (status: RegionStatus, object: UInt) {
        var promoted: UnsafeMutableRawPointer?
        let status = unsafe core.promote(
            UnsafeMutableRawPointer(bitPattern: object)!, byteCount: byteCount, alignment: alignment, copy: copy, context: context,
            to: &promoted)
        return (status, UInt(bitPattern: promoted))
    }

    func mark() -> (status: RegionStatus, mark: RegionMark) {
        var mark = RegionMark()
        let status = core.mark(&mark)
        return (status, mark)
    }

    private static func range(_ bytes: UnsafeRawBufferPointer) -> Range<UInt> {
        let start = UInt(bitPattern: bytes.baseAddress)
        return start..<start + UInt(bytes.count)
    }

    /// Chunks and large objects as ranges.
    var chunks: [(range: Range<UInt>, isLarge: Bool)] {
        var found: [(range: Range<UInt>, isLarge: Bool)] = []
        core.visitChunks { chunk in
            found.append((unsafe Self.range(chunk.bytes), chunk.isLargeObject))
        }
        return found
    }

    /// The same, one after the other.
    var chunksStepwise: [Range<UInt>] {
        var found: [Range<UInt>] = []
        var chunk = core.chunk(after: nil)
        while let one = chunk {
            found.append(unsafe Self.range(one.bytes))
            chunk = core.chunk(after: one)
        }
        return found
    }

    var address: UInt { UInt(bitPattern: unsafe core.recordPointer) }
    init(core: BoundedRegion) { self.core = core }

    /// A region by the address of its record, as C holds it.
    init(address: UInt) { core = unsafe BoundedRegion(recordPointer: UnsafeMutablePointer(bitPattern: address)!) }
}
