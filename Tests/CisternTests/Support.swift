import CTestSupport
import Cistern
import Glibc
@_exported import TestSupport
import Testing

// Safety: blocks are handed back to the live heap that gave them out.

/// Everything in this folder, one test at a time: many of them fork.
@Suite(.serialized)
enum FaceSuites {}

/// In a child: limits its address space to what it has, with what other tests had mapped when it was forked, and so much more.
func limitAddressSpace(aboveUseBytes: UInt64) -> UInt64? {
    let bytes = unsafe cistern_test_status_bytes("VmSize:") + aboveUseBytes
    var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
    return unsafe setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 ? bytes : nil
}

/// In a child: the same for its writable memory.
func limitData(aboveUseBytes: UInt64) -> UInt64? {
    let bytes = unsafe cistern_test_status_bytes("VmData:") + aboveUseBytes
    var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
    return unsafe setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit) == 0 ? bytes : nil
}

/// Is an address mapped in this process?
func isMapped(_ address: UInt) throws -> Bool {
    let maps = try #require(text(ofFile: "/proc/self/maps"))
    return maps.split(separator: "\n").contains { line in
        let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
        return ends.count == 2 && ends[0] <= address && address < ends[1]
    }
}

/// A heap's methods with addresses as numbers: a live block of the heap, handed back to it.
extension Heap {
    func take(_ byteCount: Int) -> UInt? { unsafe allocate(byteCount: byteCount).map { UInt(bitPattern: $0) } }

    func take(_ byteCount: Int, alignment: Int) -> UInt? {
        unsafe allocate(byteCount: byteCount, alignment: alignment).map { UInt(bitPattern: $0) }
    }

    func takeZeroed(_ byteCount: Int) -> UInt? { unsafe allocateZeroed(byteCount: byteCount).map { UInt(bitPattern: $0) } }

    func give(_ block: UInt, _ byteCount: Int) { unsafe deallocate(pointer(block), byteCount: byteCount) }

    func give(_ block: UInt) { unsafe deallocate(pointer(block)) }

    func resized(_ block: UInt, from old: Int? = nil, to byteCount: Int) -> UInt? {
        unsafe resize(pointer(block), from: old, to: byteCount).map { UInt(bitPattern: $0) }
    }

    func usableSize(_ block: UInt) -> Int { unsafe usableSize(of: pointer(block)) }

    func holds(_ address: UInt) -> Bool { unsafe contains(pointer(address)) }

    /// The block that holds an address.
    func extent(holding address: UInt) -> Range<UInt>? {
        unsafe block(holding: pointer(address)).map { found in
            let start = UInt(bitPattern: found.baseAddress)
            return start..<start + UInt(found.count)
        }
    }

    func liveBlocks() -> [UInt: Int] {
        var found: [UInt: Int] = [:]
        unsafe visitLiveBlocks { block, byteCount in found[UInt(bitPattern: block)] = byteCount }
        return found
    }
}

/// A pointer for an address that is not zero.
func pointer(_ address: UInt) -> UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(bitPattern: address)! }
