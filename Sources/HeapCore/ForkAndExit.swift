import CHeap

// Safety: the registry calls back with headers of heaps that are entered, and only those.

// What the process tells a heap: a thread has ended, a fork begins, ends in the parent, ends in the child. The registry
// is locked during each call; a heap's own locks are taken after it, classes first, the run lock last.
extension BoundedHeap {
    func enterRegistry(isInherited: Bool) -> Bool {
        var hooks = unsafe cistern_heap_hooks(
            thread_ended: { header, thread in unsafe BoundedHeap(headerPointer: header).threadEnded(thread) },
            before_fork: { header in unsafe BoundedHeap(headerPointer: header).lockEverything() },
            after_fork_parent: { header in unsafe BoundedHeap(headerPointer: header).unlockEverything() },
            after_fork_child: { header, thread in unsafe BoundedHeap(headerPointer: header).adopt(survivor: thread) })
        return unsafe cistern_registry_add(header.pointer, &hooks, isInherited)
    }

    /// Flushes the cache of a thread that makes no more calls.
    private func threadEnded(_ thread: UInt64) {
        guard !has(CISTERN_HEAP_SINGLE_THREAD) else { return }
        lockRuns()
        var page = header.it.cache_list_page
        while page != 0, cache(atPage: page).it.owner != thread { page = cache(atPage: page).it.next_page }
        unlockRuns()
        guard page != 0 else { return }
        let cache = cache(atPage: page)
        flush(cache)
        lockRuns()
        leave(cache)
        unlockRuns()
    }

    func lockEverything() {
        lockQuarantine()
        for index in 0..<SizeClass.smallCount { lock(sizeClass(index)) }
        lockRuns()
    }

    func unlockEverything() {
        unlockRuns()
        for index in 0..<SizeClass.smallCount { unlock(sizeClass(index)) }
        unlockQuarantine()
    }

    /// In a fork's child: the locks are ours alone, and so is what the vanished threads had in their caches.
    private func adopt(survivor: UInt64) {
        guard !has(CISTERN_HEAP_SINGLE_THREAD) else { return }
        quarantine.it.lock.word = 0
        header.it.run_lock.word = 0
        for index in 0..<SizeClass.smallCount { sizeClass(index).it.lock.word = 0 }
        forEachCache { cache in
            if cache.it.owner != 0, cache.it.owner != survivor {
                flush(cache)
                leave(cache)
            }
        }
        recountClaims()
    }

    /// A thread that vanished while it claimed more for a bin may have been counted without having it.
    private func recountClaims() {
        var claimed: UInt64 = 0
        forEachCache { cache in claimed &+= cache.it.claimed_small_bytes &+ cache.it.claimed_other_bytes }
        header.it.cache_claim_bytes = claimed
    }
}
