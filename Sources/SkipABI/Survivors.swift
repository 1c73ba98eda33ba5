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

/// `SKIP_switch_to_parent`; cistern_skip.h says what it does. Until the way back the record holds the region's head and end.
@c(SKIP_switch_to_parent)
public func skipSwitchToParent(_ saved: UnsafeMutablePointer<sk_saved_obstack>) -> UnsafeMutablePointer<sk_obstack>? {
    let thread = Process.thread
    let leading = UInt(thread.it.page)
    let here = sk_saved_obstack(head: thread.it.head, page: 0, end: thread.it.end)
    unsafe Region.returnTo(saved)
    unsafe saved.pointee = here
    return unsafe UnsafeMutablePointer(bitPattern: leading)
}

/// `SKIP_restore_from_parent`; cistern_skip.h says what it does. The parent may have newer pages by now: they come before the
/// region's first, which is looked for again, because pages may have been attached to the parent meanwhile.
@c(SKIP_restore_from_parent)
public func skipRestoreFromParent(_ saved: UnsafeMutablePointer<sk_saved_obstack>, _ leading: UnsafeMutablePointer<sk_obstack>?) {
    let thread = Process.thread
    let region = unsafe saved.pointee
    // The record stands in the page that was the parent's current one when the region was opened.
    let parent = unsafe saved == cistern_skip_base_record() ? 0 : Region.page(holding: saved)
    var first = UInt(bitPattern: leading)
    while first != 0, Region.previous(first) != parent { first = Region.previous(first) }
    if first != 0 { Region.header(first).it.chunk.older = thread.it.page }
    unsafe saved.pointee = sk_saved_obstack(head: thread.it.head, page: thread.it.page, end: thread.it.end)
    thread.it.page = UInt(bitPattern: leading)
    thread.it.head = region.head
    thread.it.end = region.end
}

/// `sk_is_large_page`; cistern_skip.h says what it does.
@c(sk_is_large_page)
public func skIsLargePage(_ page: UnsafeMutablePointer<sk_obstack>) -> Int32 {
    unsafe page.pointee.chunk.is_large != 0 ? 1 : 0
}

/// `sk_obstack_attach_page`; cistern_skip.h says what it does. What stands in front of the page is not taken from the caller:
/// that may have been attached before it.
@c(sk_obstack_attach_page)
public func skObstackAttachPage(_ page: UnsafeMutablePointer<sk_obstack>, _ next: UnsafeMutablePointer<sk_obstack>?) {
    Region.remove(UInt(bitPattern: page))
    Region.insertBehindCurrent(UInt(bitPattern: page))
}
