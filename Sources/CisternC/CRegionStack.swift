import CCistern
import CHeap
import HeapCore
import Regions

// The functions of cistern_region.h that open regions, and the stack of them that each thread has.
//
// Safety: handles are the caller's, as cistern_region.h says. What the stack names is looked at only when the heap is known to be
// there with the incarnation that it had: then the record stands, and its own incarnation says whether it is the same region.

/// Reads options, which may be NULL. nil: they state a size or a wish that cannot be.
private func regionOptions(_ given: UnsafePointer<cistern_region_options>?) -> RegionOptions? {
    guard let given = unsafe given else { return RegionOptions() }
    var copy = cistern_region_options()
    guard unsafe take(given, into: &copy) else { return nil }
    return RegionOptions(limitBytes: copy.limit_bytes)
}

/// Opens a region of a heap: looks at what the caller gave, and writes down what `open` gives, which may say why it gives none.
private func openForCaller(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_region_options>?, _ region: UnsafeMutablePointer<OpaquePointer?>?,
    _ open: (BoundedHeap, RegionOptions, inout UInt32) -> BoundedRegion?
) -> UInt32 {
    guard let region = unsafe region else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe region.pointee = nil
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let options = unsafe regionOptions(options) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    var refusal = CISTERN_EXHAUSTED.rawValue
    guard let opened = open(heap, options, &refusal) else { return refusal }
    unsafe region.pointee = opened.handle
    return CISTERN_OK.rawValue
}

/// `cistern_region_create`; cistern_region.h says what it does and what can fail.
@c(cistern_region_create)
public func cisternRegionCreate(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_region_options>?, _ region: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    unsafe openForCaller(handle, options, region) { heap, options, _ in heap.openRegion(options) }
}

/// `cistern_region_create_child`; cistern_region.h says what it does and what can fail.
@c(cistern_region_create_child)
public func cisternRegionCreateChild(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_region_options>?, _ region: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    guard let region = unsafe region else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe region.pointee = nil
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let options = unsafe regionOptions(options) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let parent = unsafe BoundedRegion(handle)
    guard let opened = parent.openChild(options) else { return code(parent.lastRefusal) }
    unsafe region.pointee = opened.handle
    return CISTERN_OK.rawValue
}

extension BoundedRegion {
    private static var stackFlag: UInt64 { UInt64(CHeap.CISTERN_REGION_ON_STACK) }

    /// Is it on the stack of a thread?
    var isOnStack: Bool {
        get { unsafe recordPointer.pointee.flags & Self.stackFlag != 0 }
        nonmutating set {
            if newValue {
                unsafe recordPointer.pointee.flags |= Self.stackFlag
            } else {
                unsafe recordPointer.pointee.flags &= ~Self.stackFlag
            }
        }
    }

    /// As the youngest of a pile.
    fileprivate var pile: cistern_region_pile {
        unsafe cistern_region_pile(
            region: UInt(bitPattern: recordPointer), region_incarnation: incarnation, heap: UInt(bitPattern: heap.headerPointer),
            heap_incarnation: heap.headerPointer.pointee.incarnation)
    }

    /// Is it the region of a pile, or one below?
    fileprivate func isIn(_ pile: cistern_region_pile) -> Bool {
        guard unsafe pile.heap == UInt(bitPattern: heap.headerPointer) else { return false }
        var next = RegionStack.youngest(of: pile, alive: heap)
        while let region = next {
            if region == self { return true }
            next = region.parent
        }
        return false
    }
}

/// The stack of this thread.
enum RegionStack {
    /// The region of a pile, where it and its heap are still there. That `alive` is need not be found out.
    fileprivate static func youngest(of pile: cistern_region_pile, alive: BoundedHeap? = nil) -> BoundedRegion? {
        guard let header = unsafe UnsafeMutablePointer<CHeap.cistern_heap>(bitPattern: pile.heap),
            unsafe header == alive?.headerPointer || cistern_registry_contains(header),
            unsafe header.pointee.incarnation == pile.heap_incarnation, let handle = unsafe OpaquePointer(bitPattern: pile.region)
        else { return nil }
        let region = unsafe BoundedRegion(handle)
        return region.incarnation == pile.region_incarnation && region.isOpen ? region : nil
    }

    /// Forgets the piles at the top that are gone. Returns the top region.
    static func settle(alive: BoundedHeap? = nil) -> BoundedRegion? {
        while cistern_region_pile_count() > 0 {
            let last = cistern_region_pile_count() - 1
            if let region = unsafe youngest(of: cistern_region_pile_at(last).pointee, alive: alive) { return region }
            cistern_region_pile_remove(last)
        }
        return nil
    }

    /// Begins a pile. False: there is no room for one.
    fileprivate static func begin(_ pile: cistern_region_pile) -> Bool {
        if cistern_region_pile_add(pile) != 0 { return true }
        var number = cistern_region_pile_count()
        while number > 0 {
            number -= 1
            if unsafe youngest(of: cistern_region_pile_at(number).pointee) == nil { cistern_region_pile_remove(number) }
        }
        return cistern_region_pile_add(pile) != 0
    }

    /// The pile that a region is in, if it is one of this thread's.
    fileprivate static func pile(holding region: BoundedRegion) -> cistern_region_pile? {
        var number = cistern_region_pile_count()
        while number > 0 {
            number -= 1
            let pile = unsafe cistern_region_pile_at(number).pointee
            if region.isIn(pile) { return pile }
        }
        return nil
    }

    /// Puts another region in the place of a pile's youngest; none: the pile is gone. Cleanup actions may have moved it.
    fileprivate static func replace(_ pile: cistern_region_pile, by region: BoundedRegion?) {
        var number = cistern_region_pile_count()
        while number > 0 {
            number -= 1
            let place = unsafe cistern_region_pile_at(number)
            guard unsafe place.pointee.region == pile.region, unsafe place.pointee.region_incarnation == pile.region_incarnation else {
                continue
            }
            if let region { unsafe place.pointee = region.pile } else { cistern_region_pile_remove(number) }
            return
        }
    }

    /// Closes a region of a pile, and takes it and those above it off.
    fileprivate static func close(_ region: BoundedRegion, in pile: cistern_region_pile) -> RegionStatus {
        let below = region.parent
        region.isOnStack = false
        let status = region.close()
        if status == .done { replace(pile, by: below) } else { region.isOnStack = true }
        return status
    }

    /// Closes a region that may be on this thread's stack.
    static func close(_ region: BoundedRegion) -> RegionStatus {
        guard region.isOnStack, let pile = pile(holding: region) else { return region.close() }
        return close(region, in: pile)
    }

    /// Does what may close regions inside one that may be on this thread's stack, which is then the youngest there.
    static func emptying(_ region: BoundedRegion, _ empty: () -> RegionStatus) -> RegionStatus {
        guard region.isOnStack, let pile = pile(holding: region) else { return empty() }
        let status = empty()
        if status == .done, youngest(of: pile) == nil { replace(pile, by: region) }
        return status
    }
}

/// `cistern_region_push`; cistern_region.h says what it does and what can fail.
@c(cistern_region_push)
public func cisternRegionPush(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_region_options>?, _ region: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    unsafe openForCaller(handle, options, region) { heap, options, refusal in
        if let top = RegionStack.settle(alive: heap), unsafe top.heap.headerPointer == heap.headerPointer {
            guard let opened = top.openChild(options) else {
                refusal = code(top.lastRefusal)
                return nil
            }
            opened.isOnStack = true
            unsafe cistern_region_pile_at(cistern_region_pile_count() - 1).pointee = opened.pile
            return opened
        }
        guard let opened = heap.openRegion(options) else { return nil }
        guard RegionStack.begin(opened.pile) else {
            opened.close()
            return nil
        }
        opened.isOnStack = true
        return opened
    }
}

/// `cistern_region_pop`; cistern_region.h says what it does and what can fail.
@c(cistern_region_pop)
public func cisternRegionPop(_ handle: OpaquePointer?) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    let region = unsafe BoundedRegion(handle)
    guard region.isOpen else { return code(region.close()) }
    guard region.isOnStack, RegionStack.settle(alive: region.heap) != nil else { return CISTERN_REGION_NOT_CURRENT.rawValue }
    let pile = unsafe cistern_region_pile_at(cistern_region_pile_count() - 1).pointee
    guard region.isIn(pile) else { return CISTERN_REGION_NOT_CURRENT.rawValue }
    return code(RegionStack.close(region, in: pile))
}

/// `cistern_region_current`; cistern_region.h says what it does and what can fail.
@c(cistern_region_current)
public func cisternRegionCurrent() -> OpaquePointer? { unsafe RegionStack.settle()?.handle }
