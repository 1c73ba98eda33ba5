import CReplay
import Cistern

// Loops of one operation each through the Swift face, as a program has them that imports it: the fast path is compiled in.
//
// Safety: C code hands over a place for the hash; the sizes are a table of as many words as its count says.

/// Runs a loop (`creplay_region_work`) in a heap of its own. False: it ran out of room, or there is no such loop.
@c(creplay_swift_regions)
public func creplaySwiftRegions(_ work: UInt64, _ count: UInt64, _ hash: UnsafeMutablePointer<UInt64>) -> Bool {
    guard let heap = try? Heap(capacityBytes: 1 << 30) else { return false }
    let sizes = unsafe creplay_region_small_sizes()
    let done =
        switch UInt32(work) {
        case CREPLAY_WORK_SMALL.rawValue: unsafe smallObjects(heap, count, sizes)
        case CREPLAY_WORK_OPEN.rawValue: openChildren(heap, count)
        case CREPLAY_WORK_OPEN_ALONE.rawValue: openAlone(heap, count)
        case CREPLAY_WORK_NESTED.rawValue: unsafe nestedRounds(heap, count, sizes)
        default: false
        }
    unsafe hash.pointee = done ? count : 0
    return done
}

@inline(never)
private func smallObjects(_ heap: Heap, _ count: UInt64, _ sizes: UnsafePointer<UInt32>) -> Bool {
    heap.withRegion { region in
        var index: UInt64 = 0
        while index < count {
            let size = unsafe Int(sizes[Int(index % UInt64(CREPLAY_SMALL_SIZE_COUNT))])
            guard let object = unsafe region.allocate(byteCount: size) else { return false }
            unsafe creplay_use(object)
            index &+= 1
        }
        return true
    } ?? false
}

@inline(never)
private func openChildren(_ heap: Heap, _ count: UInt64) -> Bool {
    heap.withRegion { parent in
        var index: UInt64 = 0
        while index < count {
            guard parent.withChild({ _ in true }) != nil else { return false }
            index &+= 1
        }
        return true
    } ?? false
}

@inline(never)
private func openAlone(_ heap: Heap, _ count: UInt64) -> Bool {
    var index: UInt64 = 0
    while index < count {
        guard heap.withRegion({ _ in true }) != nil else { return false }
        index &+= 1
    }
    return true
}

@inline(never)
private func nestedRounds(_ heap: Heap, _ count: UInt64, _ sizes: UnsafePointer<UInt32>) -> Bool {
    heap.withRegion { parent in
        for _ in 0..<count where unsafe !nested(parent, CREPLAY_NESTED_DEPTH, sizes) { return false }
        return true
    } ?? false
}

private func nested(_ parent: borrowing Region, _ depth: Int, _ sizes: UnsafePointer<UInt32>) -> Bool {
    parent.withChild { region in
        for index in 0..<CREPLAY_NESTED_OBJECTS {
            let size = unsafe Int(sizes[index % CREPLAY_SMALL_SIZE_COUNT])
            guard let object = unsafe region.allocate(byteCount: size) else { return false }
            unsafe object.storeBytes(of: 1, as: UInt8.self)
            unsafe object.storeBytes(of: 1, toByteOffset: size - 1, as: UInt8.self)
        }
        return unsafe depth == 1 || nested(region, depth - 1, sizes)
    } ?? false
}
