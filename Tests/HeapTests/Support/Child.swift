import CTestSupport
import HeapCore

// Safety: a box with the closure stays alive for the whole call that is given its address; each C helper returns only
// when the child or the threads that use it are done.

private final class Body {
    let run: () -> Int32
    init(_ run: @escaping () -> Int32) { self.run = run }
}

private final class NumberedBody {
    let run: (Int) -> Void
    init(_ run: @escaping (Int) -> Void) { self.run = run }
}

private func body(_ context: UnsafeMutableRawPointer?) -> Body {
    unsafe Unmanaged<Body>.fromOpaque(context!).takeUnretainedValue()
}

/// Runs a closure in a forked child. Returns its exit code, or 256 + the signal that ended it.
func inChild(seconds: UInt32 = 60, _ run: () -> Int32) -> Int32 {
    withoutActuallyEscaping(run) { run in
        let box = Body(run)
        return withExtendedLifetime(box) {
            unsafe cistern_test_in_child(
                { context in unsafe body(context).run() }, Unmanaged.passUnretained(box).toOpaque(), 0, 0, seconds)
        }
    }
}

/// The same, and the child's stderr.
func inChildCapturing(seconds: UInt32 = 60, _ run: () -> Int32) -> (status: Int32, text: String) {
    withoutActuallyEscaping(run) { run in
        let box = Body(run)
        var bytes = [CChar](repeating: 0, count: 16384)
        var count = 0
        let status = withExtendedLifetime(box) {
            unsafe bytes.withUnsafeMutableBufferPointer { buffer in
                unsafe cistern_test_in_child_capturing(
                    { context in unsafe body(context).run() }, Unmanaged.passUnretained(box).toOpaque(), seconds,
                    buffer.baseAddress!, buffer.count, &count)
            }
        }
        return (status, String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}

/// Runs a closure in several threads at once, each with its number, and waits for all.
func inThreads(_ count: Int, _ run: (Int) -> Void) {
    withoutActuallyEscaping(run) { run in
        let box = NumberedBody(run)
        withExtendedLifetime(box) {
            unsafe cistern_test_in_threads(
                count,
                { number, context in unsafe Unmanaged<NumberedBody>.fromOpaque(context!).takeUnretainedValue().run(number) },
                Unmanaged.passUnretained(box).toOpaque())
        }
    }
}

/// Runs a closure in a thread, and a second one in it when its other exit handlers have run.
func inThreadWithLateWork(_ run: () -> Void, late: () -> Void) {
    withoutActuallyEscaping(run) { run in
        withoutActuallyEscaping(late) { late in
            let box = NumberedBody { $0 == 0 ? run() : late() }
            withExtendedLifetime(box) {
                unsafe cistern_test_thread_with_late_work(
                    { context in unsafe Unmanaged<NumberedBody>.fromOpaque(context!).takeUnretainedValue().run(0) },
                    { context in unsafe Unmanaged<NumberedBody>.fromOpaque(context!).takeUnretainedValue().run(1) },
                    Unmanaged.passUnretained(box).toOpaque())
            }
        }
    }
}

/// A word that threads share.
@safe final class SharedWord: @unchecked Sendable {
    // Safety: read and written by the atomic helpers only.
    private let word: UnsafeMutablePointer<UInt64>

    init(_ value: UInt64 = 0) {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: value)
    }

    deinit { unsafe word.deallocate() }

    var value: UInt64 {
        get { unsafe cistern_test_atomic_load(word) }
        set { unsafe cistern_test_atomic_store(word, newValue) }
    }

    /// Waits until it is at least this.
    func wait(until value: UInt64) { unsafe cistern_test_wait_until(word, value) }

    @discardableResult
    func add(_ value: UInt64) -> UInt64 { unsafe cistern_test_atomic_add(word, value) }
}

/// Slots of words that threads pass blocks through.
@safe final class Mailboxes: @unchecked Sendable {
    // Safety: exchanged by the atomic helper only.
    private let words: UnsafeMutablePointer<UInt>
    let count: Int

    init(_ count: Int) {
        self.count = count
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    deinit { unsafe words.deallocate() }

    /// What is there now.
    func peek(_ index: Int) -> UInt {
        precondition(index >= 0 && index < count)
        return unsafe UInt(cistern_test_atomic_load(UnsafePointer(OpaquePointer(words + index))))
    }

    /// Puts a word in and returns what was there.
    func exchange(_ index: Int, _ value: UInt) -> UInt {
        precondition(index >= 0 && index < count)
        return unsafe cistern_test_atomic_exchange(words + index, value)
    }
}

/// A thread that runs until its body returns; joined once.
@safe final class TestThread {
    // Safety: the box lives as long as this object, which the test keeps until join().
    private let box: Body
    private var thread: OpaquePointer?

    init(_ run: @escaping () -> Void) {
        box = Body {
            run(); return 0
        }
        unsafe thread = cistern_test_thread_start({ context in _ = unsafe body(context).run() }, Unmanaged.passUnretained(box).toOpaque())
    }

    func join() {
        if let started = unsafe thread { unsafe cistern_test_thread_join(started) }
        unsafe thread = nil
    }
}

/// A small generator of numbers, the same on every machine (splitmix64).
struct Random {
    var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 { unsafe cistern_test_next_random(&state) }

    /// 0 ..< bound.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// Mostly small, sometimes up to `most`.
    mutating func size(most: Int) -> Int {
        switch below(100) {
        case 0..<3: return 0
        case 3..<55: return 1 + below(128)
        case 55..<80: return 1 + below(1024)
        case 80..<93: return 1 + below(8192)
        default: return 1 + below(most)
        }
    }
}

/// What a checked heap reported.
@safe final class MisuseLog: @unchecked Sendable {
    // Safety: three words, written by the report function with the heap locked and read when no call is in progress. They
    // live as long as this object, which outlives the heap.
    private let words: UnsafeMutablePointer<UInt>

    init() {
        unsafe words = .allocate(capacity: 3)
        unsafe words.initialize(repeating: 0, count: 3)
    }

    deinit { unsafe words.deallocate() }

    func install(in options: inout HeapOptions) {
        options.isChecked = true
        options.reportContext = unsafe UInt(bitPattern: words)
        options.report = { context, misuse, address in
            let words = unsafe UnsafeMutablePointer<UInt>(bitPattern: context)!
            unsafe words[0] += 1
            unsafe words[1] = UInt(misuse)
            unsafe words[2] = address
        }
    }

    var count: Int { unsafe Int(words[0]) }
    var address: UInt { unsafe words[2] }
    var last: HeapMisuse? { unsafe HeapMisuse(rawValue: UInt32(words[1])) }
}

extension UInt {
    /// nil for 0.
    var nonZero: UInt? { self == 0 ? nil : self }
}

/// Which sanitizer the tests are built with.
enum Sanitizer {
    static var isThread: Bool { cistern_test_sanitizer() == UInt32(CISTERN_TEST_THREAD_SANITIZER) }
    static var isAddress: Bool { cistern_test_sanitizer() == UInt32(CISTERN_TEST_ADDRESS_SANITIZER) }
    static var isPresent: Bool { isThread || isAddress }
}

func scaled(_ count: Int) -> Int { Int(cistern_test_scaled(UInt64(count))) }
