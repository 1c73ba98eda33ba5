import CTestSupport

// Safety: a box with the closure stays alive until the threads that use it are done; words live as long as their objects, and
// what threads share of them goes through atomic helpers.

/// Runs a closure in threads of their own, all at once and numbered from 0, and waits for them: unlike tasks, none waits for
/// another to end first.
package func inThreads(_ count: Int, _ run: (Int) -> Void) {
    withoutActuallyEscaping(run) { run in
        let box = Box<Int, Void>(run)
        withExtendedLifetime(box) {
            unsafe cistern_test_in_threads(
                count, { number, context in unsafe Box<Int, Void>.at(context).run(number) }, Unmanaged.passUnretained(box).toOpaque())
        }
    }
}

/// Runs a closure in a thread, and a second one in it when its other exit handlers have run.
package func inThreadWithLateWork(_ run: () -> Void, late: () -> Void) {
    withoutActuallyEscaping(run) { run in
        withoutActuallyEscaping(late) { late in
            let box = Box<Bool, Void> { $0 ? late() : run() }
            withExtendedLifetime(box) {
                unsafe cistern_test_thread_with_late_work(
                    { context in unsafe Box<Bool, Void>.at(context).run(false) },
                    { context in unsafe Box<Bool, Void>.at(context).run(true) }, Unmanaged.passUnretained(box).toOpaque())
            }
        }
    }
}

/// A thread that runs until its body returns; joined once.
@safe package final class TestThread {
    // The box lives as long as this object, which the test keeps until join().
    private let box: Box<Void, Void>
    private var thread: OpaquePointer?

    package init(_ run: @escaping () -> Void) {
        box = Box(run)
        unsafe thread = cistern_test_thread_start(
            { context in unsafe Box<Void, Void>.at(context).run(()) }, Unmanaged.passUnretained(box).toOpaque())
    }

    package func join() {
        if let started = unsafe thread { unsafe cistern_test_thread_join(started) }
        unsafe thread = nil
    }
}

/// A word that threads share.
@safe package final class SharedWord: @unchecked Sendable {
    private let word: UnsafeMutablePointer<UInt64>

    package init(_ value: UInt64 = 0) {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: value)
    }

    deinit { unsafe word.deallocate() }

    package var value: UInt64 {
        get { unsafe cistern_test_atomic_load(word) }
        set { unsafe cistern_test_atomic_store(word, newValue) }
    }

    /// Waits until it is at least this.
    package func wait(until value: UInt64) { unsafe cistern_test_wait_until(word, value) }

    @discardableResult
    package func add(_ value: UInt64) -> UInt64 { unsafe cistern_test_atomic_add(word, value) }
}

/// Slots of words that threads pass blocks through.
package final class Mailboxes: @unchecked Sendable {
    private let words: Words
    package var count: Int { words.count }

    package init(_ count: Int) { words = Words(count) }

    /// What is there now.
    package func peek(_ index: Int) -> UInt {
        unsafe UInt(cistern_test_atomic_load(UnsafePointer(OpaquePointer(words.place(index)))))
    }

    /// Puts a word in and returns what was there.
    package func exchange(_ index: Int, _ value: UInt) -> UInt { unsafe cistern_test_atomic_exchange(words.place(index), value) }
}
