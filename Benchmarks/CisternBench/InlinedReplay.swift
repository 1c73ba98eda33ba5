import CReplay
import Cistern

// The timed loop once more, in Swift, as a program has it that imports the heap: the fast path is compiled into the loop.
//
// Safety: C code hands over as many records as it says, a slot in `blocks` for each record's slot number, and a heap that
// `creplay_inlined_open` made and nobody has given up; it uses blocks between their allocation and their free only, as the
// trace's conversion has verified.

/// Makes a heap that lives until the process ends; nil when there is no room for it.
@c(creplay_inlined_open)
public func creplayInlinedOpen(_ capacityBytes: UInt64) -> UnsafeMutableRawPointer? {
    guard let heap = try? Heap(capacityBytes: capacityBytes) else { return nil }
    return unsafe Unmanaged.passRetained(heap).toOpaque()
}

/// Frees a block whose size is not at hand.
@c(creplay_inlined_deallocate)
public func creplayInlinedDeallocate(_ heap: UnsafeMutableRawPointer, _ block: UnsafeMutableRawPointer) {
    unsafe Unmanaged<Heap>.fromOpaque(heap).takeUnretainedValue().deallocate(block)
}

/// One pass over the events. Returns how many were done, and their work hash in `hash`.
@c(creplay_inlined_pass)
public func creplayInlinedPass(
    _ records: UnsafePointer<creplay_record>, _ eventCount: UInt64, _ blocks: UnsafeMutablePointer<UnsafeMutableRawPointer?>,
    _ heap: UnsafeMutableRawPointer, _ touches: Bool, _ hash: UnsafeMutablePointer<UInt64>
) -> UInt64 {
    let heap = unsafe Unmanaged<Heap>.fromOpaque(heap).takeUnretainedValue()
    var done = 0
    var work: UInt64 = 0
    while done < Int(eventCount) {
        let record = unsafe records[done]
        let slot = Int(record.slot)
        let byteCount = Int(record.byte_count)
        work = (work << 7 | work >> 57) &+ UInt64(record.byte_count) &+ UInt64(record.operation)
        if UInt32(record.operation) == CREPLAY_FREE.rawValue {
            if let block = unsafe blocks[slot] { unsafe heap.deallocate(block, byteCount: byteCount) }
            unsafe blocks[slot] = nil
        } else {
            guard let made = unsafe makeBlock(heap, record, blocks[slot]) else { break }
            unsafe blocks[slot] = made
            if touches && byteCount > 0 {
                unsafe made.storeBytes(of: 1, as: UInt8.self)
                unsafe made.storeBytes(of: 1, toByteOffset: byteCount - 1, as: UInt8.self)
            }
        }
        done += 1
    }
    unsafe hash.pointee = work
    return UInt64(done)
}

/// One event that leaves a block; nil when there is no room.
@inline(__always)
func makeBlock(_ heap: Heap, _ record: creplay_record, _ old: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let byteCount = Int(record.byte_count)
    switch UInt32(record.operation) {
    case CREPLAY_ALLOCATE.rawValue:
        return unsafe heap.allocate(byteCount: byteCount)
    case CREPLAY_RESIZE.rawValue:
        guard let old = unsafe old else { return nil }
        return unsafe heap.resize(old, from: Int(record.old_byte_count), to: byteCount)
    case CREPLAY_ALLOCATE_ZEROED.rawValue:
        return unsafe heap.allocateZeroed(byteCount: byteCount)
    default:
        return unsafe heap.allocate(byteCount: byteCount, alignment: 1 << Int(record.alignment_log2))
    }
}
