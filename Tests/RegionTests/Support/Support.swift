import CTestSupport
import CVirtualMemory
import HeapCore
import Regions

// Safety: a box with the closure stays alive for the whole call that is given its address; words and tables live as long as
// the objects that hold them.

private final class Body {
    let run: (Int) -> Int32
    init(_ run: @escaping (Int) -> Int32) { self.run = run }

    static func at(_ context: UnsafeMutableRawPointer?) -> Body { unsafe Unmanaged<Body>.fromOpaque(context!).takeUnretainedValue() }
}

/// Runs a closure in a forked child. Returns its exit code, or 256 + the signal that ended it, and what it wrote to stderr.
func inChild(seconds: UInt32 = 60, _ run: () -> Int32) -> (status: Int32, text: String) {
    withoutActuallyEscaping(run) { run in
        let box = Body { _ in run() }
        var bytes = [CChar](repeating: 0, count: 16384)
        var count = 0
        let status = withExtendedLifetime(box) {
            unsafe bytes.withUnsafeMutableBufferPointer { buffer in
                unsafe cistern_test_in_child_capturing(
                    { context in unsafe Body.at(context).run(0) }, Unmanaged.passUnretained(box).toOpaque(), seconds,
                    buffer.baseAddress!, buffer.count, &count)
            }
        }
        return (status, String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}

/// Runs a closure in several threads at once, each with its number, and waits for all.
func inThreads(_ count: Int, _ run: (Int) -> Void) {
    withoutActuallyEscaping(run) { run in
        let box = Body { number in
            run(number)
            return 0
        }
        withExtendedLifetime(box) {
            unsafe cistern_test_in_threads(
                count, { number, context in _ = unsafe Body.at(context).run(number) }, Unmanaged.passUnretained(box).toOpaque())
        }
    }
}

/// Words that C functions can count in.
@safe final class Words: @unchecked Sendable {
    private let words: UnsafeMutablePointer<UInt>
    let count: Int

    init(_ count: Int) {
        self.count = count
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    deinit { unsafe words.deallocate() }

    var address: UInt { UInt(bitPattern: unsafe words) }

    subscript(_ index: Int) -> UInt {
        get {
            precondition(index >= 0 && index < count)
            return unsafe words[index]
        }
        set {
            precondition(index >= 0 && index < count)
            unsafe words[index] = newValue
        }
    }

    static func load(_ address: UInt) -> UInt { unsafe UnsafePointer<UInt>(bitPattern: address)!.pointee }
    static func store(_ address: UInt, _ value: UInt) { unsafe UnsafeMutablePointer<UInt>(bitPattern: address)!.pointee = value }
}

/// What a checked heap reported: how often, what, and where.
final class MisuseLog: @unchecked Sendable {
    private let words = Words(3)

    func install(in options: inout HeapOptions) {
        options.isChecked = true
        options.reportContext = words.address
        options.report = { context, misuse, address in
            Words.store(context, Words.load(context) + 1)
            Words.store(context + 8, UInt(misuse))
            Words.store(context + 16, address)
        }
    }

    var count: Int { Int(words[0]) }
    var last: HeapMisuse? { HeapMisuse(rawValue: UInt32(words[1])) }
    var address: UInt { words[2] }
}

/// A small generator of numbers, the same on every machine (splitmix64).
struct Random {
    var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 { unsafe cistern_test_next_random(&state) }

    /// 0 ..< bound.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// A table of OS calls that refuses; it lives until `free()`.
@safe struct FaultTable: @unchecked Sendable {
    private let pointer: UnsafeMutablePointer<cistern_fault_table>

    init() {
        unsafe pointer = .allocate(capacity: 1)
        unsafe cistern_fault_table_init(pointer)
    }

    /// Refuses the call with this number, counted from now, with ENOMEM; once or for ever.
    func refuse(_ number: UInt64, forEver: Bool) {
        unsafe pointer.pointee.fail_at = pointer.pointee.call_count + number
        unsafe pointer.pointee.fails_for_ever = forEver
    }

    func refuseNothing() {
        unsafe pointer.pointee.fail_at = UInt64.max
        unsafe pointer.pointee.fails_for_ever = false
    }

    /// Has the call that was to be refused been made?
    var hasRefused: Bool { unsafe pointer.pointee.call_count > pointer.pointee.fail_at }

    var liveReservations: UInt64 { unsafe pointer.pointee.live_reservations }

    /// Lets a heap use this table.
    func install(in options: inout HeapOptions) {
        let calls = unsafe UnsafeRawPointer(pointer).advanced(by: MemoryLayout<cistern_fault_table>.offset(of: \.calls)!)
        unsafe options.systemCalls = calls.assumingMemoryBound(to: cistern_os_calls.self)
    }

    func free() { unsafe pointer.deallocate() }
}

/// Which sanitizer the tests are built with.
enum Sanitizer {
    static var isPresent: Bool { cistern_test_sanitizer() != UInt32(CISTERN_TEST_NO_SANITIZER) }
}

func scaled(_ count: Int) -> Int { Int(cistern_test_scaled(UInt64(count))) }
