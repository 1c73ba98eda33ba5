import CHeap
import CVirtualMemory
import VirtualMemory

// Safety: see RawMemory.swift; a frame is read only after its address was found to be a block of this heap.

// Checked mode. A heap made so has no thread caches, so every call comes here. A block is framed:
//
//   front (32 bytes or the alignment): ... size | next in quarantine | tag, front | canary   user bytes   tail
//
// New bytes are 0xA5, freed ones 0xDD, and stay in a quarantine (a queue, bounded in bytes) where a write to them is
// found when they leave it. Misuse goes to the heap's report function; without one it traps. Under the quarantine's
// lock; the heap below takes its own locks inside it.
extension BoundedHeap {
    private enum Frame {
        static var headBytes: UInt { 32 }
        static var tailBytes: UInt { 16 }
        static var liveTag: UInt32 { 0xC157_E211 }
        static var freeTag: UInt32 { 0xC157_DEAD }
        static var canary: UInt64 { 0xFDFD_FDFD_C157_FDFD }
        static var frontByte: UInt8 { 0xFB }
        static var tailByte: UInt8 { 0xFE }
        static var newByte: UInt8 { 0xA5 }
        static var freedByte: UInt8 { 0xDD }
    }

    private func head(_ block: UInt) -> UInt { block &- Frame.headBytes }
    private func requested(_ block: UInt) -> UInt { UInt(Memory.load64(head(block))) }
    private func tag(_ block: UInt) -> UInt32 { Memory.load32(head(block) &+ 16) }
    private func front(_ block: UInt) -> UInt { UInt(Memory.load32(head(block) &+ 20)) }

    private func withChecks<Result>(_ body: () -> Result) -> Result {
        lockQuarantine()
        defer { unlockQuarantine() }
        return body()
    }

    /// Writes down whom misuse is reported to.
    func note(_ report: HeapReport?, _ context: UInt) {
        header.it.report_function = uintptr_t(UInt(bitPattern: unsafe unsafeBitCast(report, to: UnsafeRawPointer?.self)))
        header.it.report_context = uintptr_t(context)
    }

    /// Exchanges the report function that the heap was made with; nil: misuse traps.
    public func setReport(_ report: HeapReport?, context: UInt) {
        withChecks { note(report, context) }
    }

    func report(_ misuse: HeapMisuse, _ block: UInt) {
        if unsafe cistern_report_misuse(header.pointer, misuse.rawValue, block) { return }
        switch misuse {
        case .doubleFree: fatalError("Cistern: a block was freed twice")
        case .foreignPointer: fatalError("Cistern: an address that is no block of this heap was freed or resized")
        case .underflow: fatalError("Cistern: the bytes before a block were overwritten")
        case .overflow: fatalError("Cistern: the bytes after a block were overwritten")
        case .useAfterFree: fatalError("Cistern: a block was written to after it was freed")
        case .wrongSize: fatalError("Cistern: a block was freed with another size than it was asked for with")
        case .closedRegion: fatalError("Cistern: a region was used after it had been closed")
        case .useAfterDestroy: fatalError("Cistern: a heap was used after it was destroyed")
        }
    }

    // MARK: The heap itself

    /// False in a fork's child that did not inherit the heap: nothing but its empty header may be touched there. Constant.
    public var isInThisProcess: Bool { header.it.incarnation != 0 }

    /// False for a heap that is not here: one that this fork's child did not inherit, or a checked one that was destroyed, which is
    /// a misuse.
    @inline(__always)
    var isUsable: Bool { header.it.incarnation != 0 || reportDestroyed() }

    @inline(never)
    private func reportDestroyed() -> Bool {
        if has(CISTERN_HEAP_DESTROYED) { report(.useAfterDestroy, header.address) }
        return false
    }

    /// Destroys all but the header, by which the heap is known as destroyed until 64 more were.
    func retire(_ reservation: Reservation) -> Bool {
        let pageBytes = UInt64(max(Int(Layout.pageByteCount), cistern_os_page_byte_count()))
        do throws(ReservationError) { try reservation.release(after: pageBytes) } catch { return false }
        header.it.incarnation = 0
        header.it.capacity_bytes = 0
        header.it.flags |= UInt32(CISTERN_HEAP_DESTROYED)
        guard let oldest = unsafe cistern_registry_retire(header.pointer) else { return true }
        // By the system's own table: the heap's may be gone with it.
        let calls = unsafe cistern_os_system()
        return unsafe calls.pointee.release(calls.pointee.context, oldest, Int(pageBytes)) == 0
    }

    // MARK: Allocate and free

    /// A block is aligned as the heap's are, and to 16 at least, whatever is asked for.
    func checkedAllocate(_ size: UInt, alignment: UInt = 1) -> UInt {
        let alignment = max(alignment, max(16, UInt(header.it.size_mask) &+ 1))
        return withChecks {
            var block = framedBlock(size, alignment: alignment)
            while block == 0, quarantine.it.head != 0 {
                releaseOldest()
                block = framedBlock(size, alignment: alignment)
            }
            if block == 0, retireEmptySpans() { block = framedBlock(size, alignment: alignment) }
            return block
        }
    }

    private func framedBlock(_ size: UInt, alignment: UInt) -> UInt {
        let front = max(Frame.headBytes, alignment)
        let (framed, overflow) = size.addingReportingOverflow(front + Frame.tailBytes + 15)
        guard !overflow, front <= UInt(UInt32.max), framed <= UInt(header.it.capacity_bytes) else { return 0 }
        let rawSize = framed & ~15
        let raw = alignment <= 16 ? checkedRawBlock(rawSize) : allocateAlignedBlock(rawSize, alignment: alignment)
        guard raw != 0 else { return 0 }
        let block = raw &+ front
        Memory.fill(raw, byteCount: front &- Frame.headBytes, with: Frame.frontByte)
        Memory.store64(head(block), UInt64(size))
        Memory.store64(head(block) &+ 8, 0)
        Memory.store32(head(block) &+ 16, Frame.liveTag)
        Memory.store32(head(block) &+ 20, UInt32(truncatingIfNeeded: front))
        Memory.store64(head(block) &+ 24, Frame.canary)
        Memory.fill(block, byteCount: size, with: Frame.newByte)
        Memory.fill(block &+ size, byteCount: Frame.tailBytes, with: Frame.tailByte)
        guardFrame(block, isGuarded: true)
        noteRequested(Int64(size), cache: nil)
        return block
    }

    /// The frame is out of bounds for the program; our own look at it is not.
    private func guardFrame(_ block: UInt, isGuarded: Bool) {
        if isGuarded {
            let size = requested(block)
            cistern_sanitizer_poison(uintptr_t(block &+ size), Int(Frame.tailBytes))
            cistern_sanitizer_poison(uintptr_t(head(block)), Int(Frame.headBytes))
        } else {
            cistern_sanitizer_unpoison(uintptr_t(head(block)), Int(Frame.headBytes))
            cistern_sanitizer_unpoison(uintptr_t(block &+ requested(block)), Int(Frame.tailBytes))
        }
    }

    func checkedDeallocate(_ block: UInt, size: UInt?) {
        withChecks {
            guard isLive(block) else { return }
            if let size, size != requested(block) { report(.wrongSize, block) }
            if let misuse = frameDamage(block) { report(misuse, block) }
            noteRequested(-Int64(bitPattern: UInt64(requested(block))), cache: nil)
            Memory.store32(head(block) &+ 16, Frame.freeTag)
            Memory.fill(block, byteCount: requested(block), with: Frame.freedByte)
            cistern_sanitizer_poison(uintptr_t(block), Int(bitPattern: requested(block)))
            enterQuarantine(block)
        }
    }

    /// Is this the address of a live block? Reports what it is otherwise. Leaves the frame readable.
    private func isLive(_ block: UInt) -> Bool {
        guard let raw = rawBlock(holding: block &- 1), block & 15 == 0, block &- raw.start >= Frame.headBytes else {
            report(.foreignPointer, block)
            return false
        }
        cistern_sanitizer_unpoison(uintptr_t(head(block)), Int(Frame.headBytes))
        if tag(block) == Frame.freeTag, front(block) == block &- raw.start {
            report(.doubleFree, block)
            return false
        }
        let isFramed =
            tag(block) == Frame.liveTag && front(block) == block &- raw.start
            && requested(block) <= raw.byteCount &- front(block) &- Frame.tailBytes
        if !isFramed {
            // The usual place of a block: what is wrong there is its frame, not the address.
            report(block &- raw.start == Frame.headBytes ? .underflow : .foreignPointer, block)
            return false
        }
        guardFrame(block, isGuarded: false)
        return true
    }

    private func frameDamage(_ block: UInt) -> HeapMisuse? {
        let raw = block &- front(block)
        if Memory.load64(head(block) &+ 24) != Frame.canary { return .underflow }
        if Memory.firstOffset(raw, byteCount: front(block) &- Frame.headBytes, differingFrom: Frame.frontByte) != nil {
            return .underflow
        }
        let tail = block &+ requested(block)
        return Memory.firstOffset(tail, byteCount: Frame.tailBytes, differingFrom: Frame.tailByte) == nil ? nil : .overflow
    }

    func checkedResize(_ block: UInt, to size: UInt) -> UInt {
        let old: UInt? = withChecks {
            guard isLive(block) else { return nil }
            let old = requested(block)
            guardFrame(block, isGuarded: true)
            return old
        }
        guard let old else { return 0 }
        let moved = checkedAllocate(size)
        guard moved != 0 else { return 0 }
        Memory.copy(from: block, to: moved, byteCount: min(old, size))
        checkedDeallocate(block, size: nil)
        return moved
    }

    func checkedRequestedByteCount(_ block: UInt) -> UInt {
        withChecks {
            guard isLive(block) else { return 0 }
            let size = requested(block)
            guardFrame(block, isGuarded: true)
            return size
        }
    }

    /// The live block whose bytes hold an address.
    func checkedBlock(holding address: UInt) -> (start: UInt, byteCount: UInt)? {
        withChecks {
            guard let raw = rawBlock(holding: address),
                let user = checkedUserBlock(inRaw: raw.start, byteCount: raw.byteCount),
                address &- user.start < max(user.byteCount, 1)
            else { return nil }
            return user
        }
    }

    /// The program's part of a raw block, if it is live.
    func checkedUserBlock(inRaw raw: UInt, byteCount: UInt) -> (start: UInt, byteCount: UInt)? {
        cistern_sanitizer_unpoison(uintptr_t(raw), Int(bitPattern: byteCount))
        var front = Frame.headBytes
        while front < byteCount {
            let block = raw &+ front
            if tag(block) == Frame.liveTag, self.front(block) == front {
                let size = requested(block)
                guardFrame(block, isGuarded: true)
                return (block, size)
            }
            front *= 2
        }
        return nil
    }

    // MARK: Quarantine

    private func framedBytes(_ block: UInt) -> UInt64 { UInt64(front(block) &+ requested(block) &+ Frame.tailBytes) }

    private func enterQuarantine(_ block: UInt) {
        Memory.store64(head(block) &+ 8, 0)
        if quarantine.it.tail != 0 {
            Memory.store64(head(UInt(quarantine.it.tail)) &+ 8, UInt64(block))
        } else {
            quarantine.it.head = UInt64(block)
        }
        quarantine.it.tail = UInt64(block)
        quarantine.it.byte_count += framedBytes(block)
        while quarantine.it.byte_count > quarantine.it.limit_bytes { releaseOldest() }
    }

    private func releaseOldest() {
        let block = UInt(quarantine.it.head)
        let next = Memory.load64(head(block) &+ 8)
        quarantine.it.head = next
        if next == 0 { quarantine.it.tail = 0 }
        quarantine.it.byte_count -= framedBytes(block)
        if isDisturbed(block) { report(.useAfterFree, block) }
        returnBlock(block &- front(block))
    }

    /// Was a block in quarantine written to?
    private func isDisturbed(_ block: UInt) -> Bool {
        cistern_sanitizer_unpoison(uintptr_t(block), Int(bitPattern: requested(block)))
        return Memory.firstOffset(block, byteCount: requested(block), differingFrom: Frame.freedByte) != nil
    }

    // MARK: Verification

    func verifyChecked() -> HeapInconsistency? {
        var found: HeapInconsistency?
        unsafe visitLiveBlocks { pointer, _ in
            let block = UInt(bitPattern: pointer)
            guardFrame(block, isGuarded: false)
            if frameDamage(block) != nil, found == nil {
                found = HeapInconsistency(rule: .redzone, offsetBytes: UInt64(block &- base))
            }
            guardFrame(block, isGuarded: true)
        }
        var block = UInt(quarantine.it.head)
        while block != 0, found == nil {
            if isDisturbed(block) { found = HeapInconsistency(rule: .quarantine, offsetBytes: UInt64(block &- base)) }
            cistern_sanitizer_poison(uintptr_t(block), Int(bitPattern: requested(block)))
            block = UInt(Memory.load64(head(block) &+ 8))
        }
        return found
    }
}
