import CSkip
import HeapCore

// Safety: pages are page runs of the heap that begin with a header and belong to this thread until they are freed; `head` and
// `end` lie inside the current page, or are both 0.

// Regions: bump allocation from pages that are runs of the heap. A region is what stands in the pages from the current one down
// to the one that was current when it was opened. Its first page is small, and each further one is twice as large as the one
// before it, up to a limit: a job of a few hundred bytes costs a page that waits for the next job, a large one few page changes.

/// `SKIP_Obstack_alloc`; cistern_skip.h says what it does and how it fails.
@c(SKIP_Obstack_alloc)
public func skipObstackAlloc(_ byteCount: UInt) -> UnsafeMutableRawPointer {
    let thread = Process.thread
    let head = thread.it.head
    // Below the room, and not 0. The room is a multiple of 8, so what is below it is so when it is rounded up, too.
    if _fastPath(byteCount &- 1 < thread.it.end &- head) {
        thread.it.head = head &+ ((byteCount &+ 7) & ~7)
        return unsafe UnsafeMutableRawPointer(bitPattern: head).unsafelyUnwrapped
    }
    return unsafe UnsafeMutableRawPointer(bitPattern: Region.allocateSlow(byteCount)).unsafelyUnwrapped
}

/// `SKIP_Obstack_calloc`; cistern_skip.h says what it does and how it fails.
@c(SKIP_Obstack_calloc)
public func skipObstackCalloc(_ byteCount: UInt) -> UnsafeMutableRawPointer {
    let block = unsafe skipObstackAlloc(byteCount)
    unsafe block.initializeMemory(as: UInt8.self, repeating: 0, count: Int(bitPattern: byteCount))
    return unsafe block
}

/// `SKIP_Obstack_shallowClone`; cistern_skip.h says what it does and how it fails.
@c(SKIP_Obstack_shallowClone)
public func skipObstackShallowClone(_ unused: UInt, _ object: UnsafeMutablePointer<CChar>) -> UnsafeMutableRawPointer {
    // An object without a type descriptor is a fault of the compiler's; what to do then was never said.
    let type = unsafe get_gc_type(object).unsafelyUnwrapped
    let headerBytes = unsafe cistern_skip_header_byte_count(type)
    let byteCount = unsafe headerBytes + cistern_skip_user_byte_count(type)
    let block = unsafe skipObstackAlloc(UInt(bitPattern: byteCount))
    unsafe block.copyMemory(from: UnsafeRawPointer(object) - headerBytes, byteCount: byteCount)
    return unsafe block + headerBytes
}

/// `SKIP_new_Obstack`; cistern_skip.h says what it does and how it fails.
@c(SKIP_new_Obstack)
public func skipNewObstack() -> UnsafeMutablePointer<sk_saved_obstack> {
    let thread = Process.thread
    let current = thread.it.page
    let record = unsafe current == 0 ? cistern_skip_base_record() : Region.record(inPageAt: current)
    unsafe record.pointee = sk_saved_obstack(head: thread.it.head, page: current, end: thread.it.end)
    Region.openPage(pageCount: 1, least: 1)
    return unsafe record
}

/// `SKIP_destroy_Obstack`; cistern_skip.h says what it does.
@c(SKIP_destroy_Obstack)
public func skipDestroyObstack(_ saved: UnsafeMutablePointer<sk_saved_obstack>?) {
    let newest = Process.thread.it.page
    guard let saved = unsafe saved else { return Region.releaseThread() }
    let last = unsafe saved.pointee.page
    unsafe Region.returnTo(saved)
    Region.freePages(from: newest, until: last)
}

/// `SKIP_should_GC`; cistern_skip.h says what it does. By bytes, because pages are small here: what fills five thirds of one
/// of Skip's own pages, or a quarter of the capacity when that is less.
@c(SKIP_should_GC)
public func skipShouldGC(_ saved: UnsafeMutablePointer<sk_saved_obstack>) -> UInt32 {
    let limit = min((8 << 20) * 5 / 3, Process.requireHeap().capacityBytes / 4)
    let thread = Process.thread
    var page = UInt(thread.it.page)
    guard page != 0, unsafe page != saved.pointee.page else { return 0 }
    var byteCount = UInt64(thread.it.head &- page)
    page = Region.previous(page)
    while page != 0, unsafe page != saved.pointee.page, byteCount <= limit {
        byteCount += UInt64(Region.byteCount(page))
        page = Region.previous(page)
    }
    return byteCount > limit ? 1 : 0
}

enum Region {
    static var headerBytes: UInt { UInt(CISTERN_SKIP_HEADER_BYTE_COUNT) }
    /// As far as the pages of a region grow: 1 MiB.
    static var mostPages: UInt { 256 }
    /// Objects above this have a page of their own, which is at most a sixteenth empty, and stay where they are when their
    /// region is copied out.
    static var largeObjectBytes: UInt { 64 << 10 }

    @inline(__always)
    static func header(_ page: UInt) -> Ref<sk_obstack> {
        unsafe Ref(UnsafeMutablePointer<sk_obstack>(bitPattern: page).unsafelyUnwrapped)
    }

    static func record(inPageAt page: UInt) -> UnsafeMutablePointer<sk_saved_obstack> {
        unsafe UnsafeMutablePointer(bitPattern: page &+ UInt(CISTERN_SKIP_SAVED_OFFSET)).unsafelyUnwrapped
    }

    static func page(holding record: UnsafeMutablePointer<sk_saved_obstack>) -> UInt {
        UInt(bitPattern: record) &- UInt(CISTERN_SKIP_SAVED_OFFSET)
    }

    // MARK: Allocation

    /// What does not fit the current page, is 0 bytes, or is the thread's first allocation.
    @inline(never)
    static func allocateSlow(_ byteCount: UInt) -> UInt {
        // Nothing wraps below: the capacity is far from the end of the address space.
        guard byteCount <= UInt(Process.requireHeap().capacityBytes) else {
            Process.endWithoutRoom(persistent: false, byteCount: byteCount)
        }
        let size = max(8, (byteCount &+ 7) & ~7)
        let thread = Process.thread
        if size > thread.it.end &- thread.it.head {
            if size > largeObjectBytes { return allocateLarge(size) }
            let current = thread.it.page
            let least = pageCount(holding: size)
            let next = current == 0 ? 1 : min(mostPages, Region.byteCount(UInt(current)) / Pages.byteCount &* 2)
            openPage(pageCount: max(next, least), least: least)
        }
        let start = UInt(thread.it.head)
        thread.it.head = start &+ size
        return start
    }

    private static func pageCount(holding size: UInt) -> UInt { (size &+ headerBytes &+ Pages.byteCount &- 1) / Pages.byteCount }

    /// A page for one object, behind the current one, which stays the current one.
    private static func allocateLarge(_ size: UInt) -> UInt {
        let count = pageCount(holding: size)
        let page = takePages(count, least: count)
        header(page).it.chunk.is_large = 1
        insertBehindCurrent(page)
        return page &+ headerBytes
    }

    static func insertBehindCurrent(_ page: UInt) {
        let thread = Process.thread
        if thread.it.page == 0 { openPage(pageCount: 1, least: 1) }
        let current = UInt(thread.it.page)
        let older = previous(current)
        header(page).it.chunk.newer = uintptr_t(current)
        header(page).it.chunk.older = uintptr_t(older)
        header(current).it.chunk.older = uintptr_t(page)
        if older != 0 { header(older).it.chunk.newer = uintptr_t(page) }
    }

    /// Takes a page for one object out of its list. Such a page always has one in front of it; that what stands in front of
    /// other pages is right does not matter.
    static func remove(_ page: UInt) {
        let older = previous(page)
        let newer = UInt(header(page).it.chunk.newer)
        header(newer).it.chunk.older = uintptr_t(older)
        if older != 0, header(older).it.chunk.newer == page { header(older).it.chunk.newer = uintptr_t(newer) }
    }

    // MARK: Pages

    /// Makes a new page the current one: `pageCount` pages of the heap, or, where there is no room, fewer, down to `least`.
    static func openPage(pageCount: UInt, least: UInt) {
        let thread = Process.thread
        let page = takePages(pageCount, least: least)
        header(page).it.chunk.older = thread.it.page
        thread.it.page = uintptr_t(page)
        thread.it.head = uintptr_t(page &+ headerBytes)
        thread.it.end = header(page).it.chunk.end
    }

    private static func takePages(_ wanted: UInt, least: UInt) -> UInt {
        let heap = Process.requireHeap()
        if !Process.thread.it.is_watched { cistern_skip_watch_thread() }
        var count = wanted
        while true {
            if let page = Pages.take(count, in: heap) {
                let end = header(page).it.chunk.end
                header(page).it = sk_obstack()
                header(page).it.chunk.region = uintptr_t(page)
                header(page).it.chunk.first = uintptr_t(page &+ headerBytes)
                header(page).it.chunk.used_end = end
                header(page).it.chunk.end = end
                return page
            }
            guard count > least else { Process.endWithoutRoom(persistent: false, byteCount: least &* Pages.byteCount) }
            count = max(least, count / 2)
        }
    }

    /// Bytes of a page, header and all.
    static func byteCount(_ page: UInt) -> UInt { UInt(header(page).it.chunk.end) &- page }

    /// The page before a page in its list; 0: none.
    static func previous(_ page: UInt) -> UInt { UInt(header(page).it.chunk.older) }

    static func freePages(from newest: UInt, until last: UInt) {
        var oldest: UInt = 0
        var page = newest
        while page != 0, page != last {
            oldest = page
            page = previous(page)
        }
        guard oldest != 0 else { return }
        header(oldest).it.chunk.older = 0
        Pages.giveBack(newest, in: Process.requireHeap())
    }

    static func free(_ page: UInt) {
        header(page).it.chunk.older = 0
        Pages.giveBack(page, in: Process.requireHeap())
    }

    // MARK: Ends

    /// Makes a record's triple the current one, and the record empty.
    static func returnTo(_ saved: UnsafeMutablePointer<sk_saved_obstack>) {
        let thread = Process.thread
        let record = unsafe saved.pointee
        unsafe saved.pointee = sk_saved_obstack()
        thread.it.page = record.page
        thread.it.head = record.head
        thread.it.end = record.end
    }

    /// Frees everything that this thread has.
    static func releaseThread() {
        let newest = UInt(Process.thread.it.page)
        unsafe returnTo(cistern_skip_base_record())
        Process.thread.it.page = 0
        Process.thread.it.head = 0
        Process.thread.it.end = 0
        freePages(from: newest, until: 0)
    }
}
