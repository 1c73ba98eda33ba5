import CSkip
import HeapCore

// Safety: cells are arrays that `sk_get_pages` made and whose length the caller knows; pages are this thread's.

// Which page holds an address? The heap's page map says where the page begins, and the page where it stands in the snapshot
// taken last. Both are checked against the cell, so a hint that is out of date costs a search and nothing else.

/// `sk_get_nbr_pages`; cistern_skip.h says what it does.
@c(sk_get_nbr_pages)
public func skGetNbrPages(_ from: UnsafeMutablePointer<sk_obstack>?, _ to: UnsafeMutablePointer<sk_obstack>?) -> UInt {
    let last = UInt(bitPattern: to)
    var page = unsafe PageSearch.start(from)
    var count: UInt = 0
    while page != 0, page != last {
        page = Region.previous(page)
        count &+= 1
    }
    return count
}

/// `sk_get_pages`; cistern_skip.h says what it does and how it fails.
@c(sk_get_pages)
public func skGetPages(_ from: UnsafeMutablePointer<sk_obstack>?, _ count: UInt) -> UnsafeMutablePointer<sk_cell_t> {
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: PageSearch.cellBytes)
    let cells = unsafe skMalloc(overflow ? UInt.max : byteCount).assumingMemoryBound(to: sk_cell_t.self)
    // From the end: newer pages mostly have higher addresses, and then the array is sorted already.
    var page = unsafe PageSearch.start(from)
    var next: UInt = 0
    var index = Int(bitPattern: count)
    while index > 0 {
        index -= 1
        let end = page == 0 ? 0 : UInt64(Region.header(page).it.chunk.end)
        unsafe cells[index] = sk_cell_t(key: PageSearch.pointer(page), value: end, next: PageSearch.pointer(next))
        next = page
        if page != 0 { page = Region.previous(page) }
    }
    unsafe PageSearch.sort(cells, Int(bitPattern: count))
    for index in 0..<Int(bitPattern: count) {
        guard let page = unsafe cells[index].key else { continue }
        unsafe page.pointee.snapshot = uintptr_t(UInt(bitPattern: cells))
        unsafe page.pointee.chunk.serial = UInt64(index)
    }
    return unsafe cells
}

/// `sk_get_obstack_idx`; cistern_skip.h says what it does.
@c(sk_get_obstack_idx)
public func skGetObstackIdx(_ address: UnsafeRawPointer?, _ cells: UnsafeMutablePointer<sk_cell_t>?, _ count: UInt) -> UInt {
    guard count > 0, let cells = unsafe cells, let address = unsafe address, let heap = Process.heap,
        let run = Pages.run(holding: UInt(bitPattern: address), in: heap)
    else { return UInt.max }
    let page = Region.header(run)
    guard page.it.snapshot == UInt(bitPattern: cells) else {
        return unsafe PageSearch.search(cells, count, UInt(bitPattern: address))
    }
    // Of a run that is scratch, this is whatever stands there. Of a page of this snapshot, it is right.
    let index = page.it.chunk.serial
    guard index < UInt64(count), unsafe UInt(bitPattern: cells[Int(truncatingIfNeeded: index)].key) == run else { return UInt.max }
    let isInside = unsafe UInt64(UInt(bitPattern: address)) < cells[Int(truncatingIfNeeded: index)].value
    return isInside ? UInt(truncatingIfNeeded: index) : UInt.max
}

enum PageSearch {
    static var cellBytes: UInt { UInt(CISTERN_SKIP_CELL_BYTE_COUNT) }

    static func start(_ from: UnsafeMutablePointer<sk_obstack>?) -> UInt {
        guard let from = unsafe from else { return UInt(Process.thread.it.page) }
        return UInt(bitPattern: from)
    }

    static func pointer(_ page: UInt) -> UnsafeMutablePointer<sk_obstack>? {
        unsafe UnsafeMutablePointer(bitPattern: page)
    }

    private static func key(_ cell: sk_cell_t) -> UInt { UInt(bitPattern: unsafe cell.key) }

    /// The cell that holds an address, by halving. For snapshots that a later one has taken the hints from.
    static func search(_ cells: UnsafeMutablePointer<sk_cell_t>, _ count: UInt, _ address: UInt) -> UInt {
        var low = 0
        var high = Int(bitPattern: count)
        while low < high {
            let middle = low + (high - low) / 2
            if unsafe key(cells[middle]) <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0, unsafe UInt64(address) < cells[low - 1].value else { return UInt.max }
        return UInt(bitPattern: low - 1)
    }

    /// Heap sort, unless it is sorted.
    static func sort(_ cells: UnsafeMutablePointer<sk_cell_t>, _ count: Int) {
        var sorted = 1
        while sorted < count, unsafe key(cells[sorted - 1]) <= key(cells[sorted]) { sorted += 1 }
        guard sorted < count else { return }
        var root = count / 2
        while root > 0 {
            root -= 1
            unsafe sink(root, cells, count)
        }
        var end = count - 1
        while end > 0 {
            unsafe swap(cells, 0, end)
            unsafe sink(0, cells, end)
            end -= 1
        }
    }

    private static func swap(_ cells: UnsafeMutablePointer<sk_cell_t>, _ left: Int, _ right: Int) {
        let cell = unsafe cells[left]
        unsafe cells[left] = cells[right]
        unsafe cells[right] = cell
    }

    private static func sink(_ start: Int, _ cells: UnsafeMutablePointer<sk_cell_t>, _ count: Int) {
        var parent = start
        while parent * 2 + 1 < count {
            var child = parent * 2 + 1
            if unsafe child + 1 < count && key(cells[child]) < key(cells[child + 1]) { child += 1 }
            guard unsafe key(cells[parent]) < key(cells[child]) else { return }
            unsafe swap(cells, parent, child)
            parent = child
        }
    }
}
