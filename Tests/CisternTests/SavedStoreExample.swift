import Cistern

// Saving and reopening, as docs/reactive-store.md shows it; DirectoryImageTests runs it and compares it with the page.

// EXAMPLE
/// Saves a directory. What the subscription's position before needed goes only now that the new one is stored.
func save(
    _ directory: Directory, _ subscription: borrowing Subscription, store: ([UInt8]) throws -> Void
) throws {
    let state = subscription.durableState
    try store(try directory.image())
    subscription.noteStored(state)
}

/// Reopens it, perhaps in another process: ids, tombstones and positions are as they were, and each subscription goes on where it was.
/// One that had got further than the image starts anew.
func reopen(
    _ image: [UInt8], in heap: Heap, payloads: [String: UInt64], _ resumed: (borrowing Subscription) throws -> Void
) throws -> Directory {
    let directory = try Directory(in: heap, reopening: image.span)
    directory.replacePayloads { _, name, _ in payloads[name] ?? 0 }
    for state in directory.detachedStates { try resumed(try directory.resume(state)) }
    return directory
}
// END EXAMPLE
