import CCistern
import CHeap
import HeapCore

// Safety: `options` and `heap` are the caller's, valid for the call, as cistern.h says.

/// `cistern_heap_create`; cistern.h says what it does and what can fail.
@c(cistern_heap_create)
public func cisternHeapCreate(
    _ options: UnsafePointer<cistern_heap_options>, _ heap: UnsafeMutablePointer<OpaquePointer?>
) -> UInt32 {
    unsafe heap.pointee = nil
    // The struct may grow at its end: what an older caller does not have is zero.
    let known = MemoryLayout<cistern_heap_options>.size
    let given = unsafe options.pointee.struct_byte_count
    guard given >= MemoryLayout<Int>.size, given <= 4096 else { return CISTERN_INVALID_ARGUMENT.rawValue }
    // What a newer caller has may only be the default: a wish that is not understood must not be dropped in silence.
    let bytes = unsafe UnsafeRawBufferPointer(start: options, count: given)
    var index = known
    while index < given {
        guard unsafe bytes[index] == 0 else { return CISTERN_INVALID_ARGUMENT.rawValue }
        index += 1
    }
    var copy = cistern_heap_options()
    unsafe withUnsafeMutableBytes(of: &copy) { bytes in
        unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(start: options, count: min(given, known)))
    }
    guard copy.minimum_alignment == 0 || copy.minimum_alignment == 8 || copy.minimum_alignment == 16 else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    var chosen = HeapOptions(capacityBytes: copy.capacity_bytes)
    chosen.softLimitBytes = copy.soft_limit_bytes
    chosen.alignsTo16 = copy.minimum_alignment == 16
    chosen.isForOneThread = copy.single_thread
    chosen.isChecked = copy.checked
    chosen.usesHugePages = !copy.no_huge_pages
    chosen.isInheritedByFork = !copy.not_inherited
    do throws(HeapCreationError) {
        let made = try BoundedHeap.create(chosen)
        unsafe heap.pointee = made.handle
        return CISTERN_OK.rawValue
    } catch {
        switch error {
        case .capacityTooSmall: return CISTERN_CAPACITY_TOO_SMALL.rawValue
        case .capacityTooLarge: return CISTERN_CAPACITY_TOO_LARGE.rawValue
        case .reservation: return CISTERN_RESERVATION_REFUSED.rawValue
        case .commitment: return CISTERN_COMMIT_REFUSED.rawValue
        case .tooManyHeaps: return CISTERN_TOO_MANY_HEAPS.rawValue
        }
    }
}
