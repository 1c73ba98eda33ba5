import CSkip
import HeapCore

// Safety: records and cells come from the runtime as this face gave them out; pages are this thread's.

// What outlives a region, or steps out of it for a while.

/// `SKIP_destroy_Obstack_with_value`; cistern_skip.h says what it does and how it fails. The region's pages stay readable and
/// writable until the copy is done; those that the copy attached to the region around stay for good.
@c(SKIP_destroy_Obstack_with_value)
public func skipDestroyObstackWithValue(
    _ saved: UnsafeMutablePointer<sk_saved_obstack>, _ value: UnsafeMutableRawPointer?
) -> UnsafeMutableRawPointer? {
    let last = unsafe UnsafeMutablePointer<sk_obstack>(bitPattern: UInt(saved.pointee.page))
    let count = unsafe skGetNbrPages(nil, last)
    let cells = unsafe skGetPages(nil, count)
    unsafe Region.returnTo(saved)
    let result = unsafe SKIP_copy_with_pages(value, Int(bitPattern: count), cells)
    for index in 0..<Int(bitPattern: count) {
        let page = unsafe UInt(bitPattern: cells[index].key)
        if unsafe UInt64(page) != cells[index].value { Region.free(page) }
    }
    unsafe skFreeSize(cells, count &* PageSearch.cellBytes)
    return unsafe result
}

/// `SKIP_copy_value_to_Obstack`; cistern_skip.h says what it does and how it fails.
@c(SKIP_copy_value_to_Obstack)
public func skipCopyValueToObstack(
    _ from: UnsafeMutablePointer<sk_obstack>?, _ value: UnsafeMutableRawPointer?
) -> UnsafeMutableRawPointer? {
    let current = unsafe UnsafeMutablePointer<sk_obstack>(bitPattern: UInt(Process.thread.it.page))
    let count = unsafe skGetNbrPages(from, current)
    let cells = unsafe skGetPages(from, count)
    let result = unsafe SKIP_copy_with_pages(value, Int(bitPattern: count), cells)
    unsafe skFreeSize(cells, count &* PageSearch.cellBytes)
    return unsafe result
}

/// `SKIP_switch_to_parent`; cistern_skip.h says what it does. Until the way back the record holds the region's first page,
/// head and end.
@c(SKIP_switch_to_parent)
public func skipSwitchToParent(_ saved: UnsafeMutablePointer<sk_saved_obstack>) -> UnsafeMutablePointer<sk_obstack>? {
    let thread = Process.thread
    let leading = UInt(thread.it.page)
    var first = leading
    while first != 0, unsafe Region.previous(first) != saved.pointee.page { first = Region.previous(first) }
    let here = sk_saved_obstack(head: thread.it.head, page: first, end: thread.it.end)
    unsafe Region.returnTo(saved)
    unsafe saved.pointee = here
    return unsafe UnsafeMutablePointer(bitPattern: leading)
}

/// `SKIP_restore_from_parent`; cistern_skip.h says what it does. The parent may have newer pages by now: they come before the
/// region's first.
@c(SKIP_restore_from_parent)
public func skipRestoreFromParent(_ saved: UnsafeMutablePointer<sk_saved_obstack>, _ leading: UnsafeMutablePointer<sk_obstack>?) {
    let thread = Process.thread
    let region = unsafe saved.pointee
    unsafe saved.pointee = sk_saved_obstack(head: thread.it.head, page: thread.it.page, end: thread.it.end)
    Region.header(UInt(region.page)).it.chunk.older = thread.it.page
    thread.it.page = UInt(bitPattern: leading)
    thread.it.head = region.head
    thread.it.end = region.end
}

/// `sk_is_large_page`; cistern_skip.h says what it does.
@c(sk_is_large_page)
public func skIsLargePage(_ page: UnsafeMutablePointer<sk_obstack>) -> Int32 {
    unsafe page.pointee.chunk.is_large != 0 ? 1 : 0
}

/// `sk_obstack_attach_page`; cistern_skip.h says what it does. The page in front may have been attached before it, and then
/// is no longer in front of it.
@c(sk_obstack_attach_page)
public func skObstackAttachPage(_ page: UnsafeMutablePointer<sk_obstack>, _ next: UnsafeMutablePointer<sk_obstack>?) {
    let address = UInt(bitPattern: page)
    if let next = unsafe next, unsafe next.pointee.chunk.older == address { unsafe next.pointee.chunk.older = page.pointee.chunk.older }
    Region.insertBehindCurrent(address)
}
