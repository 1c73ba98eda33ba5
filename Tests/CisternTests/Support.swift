import CTestSupport
import Cistern
import Glibc
import Testing

// Safety: the C helpers get a box that lives for the whole call, or a table that outlives the heap which uses it.

/// Everything in this folder, one test at a time: many of them fork.
@Suite(.serialized)
enum FaceSuites {}

private final class Body {
    let run: () -> Int32
    init(_ run: @escaping () -> Int32) { self.run = run }
}

/// Runs a closure in a forked child. Returns its exit code, or 256 + the signal that ended it.
func inChild(_ run: () -> Int32) -> Int32 {
    withoutActuallyEscaping(run) { run in
        let box = Body(run)
        return withExtendedLifetime(box) {
            unsafe cistern_test_in_child(
                { context in unsafe Unmanaged<Body>.fromOpaque(context!).takeUnretainedValue().run() },
                Unmanaged.passUnretained(box).toOpaque(), 0, 0, 60)
        }
    }
}

/// In a child: limits its address space to what it has, with what other tests had mapped when it was forked, and so much more.
func limitAddressSpace(aboveUseBytes: UInt64) -> UInt64? {
    let bytes = unsafe cistern_test_status_bytes("VmSize:") + aboveUseBytes
    var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
    return unsafe setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 ? bytes : nil
}

/// In a child: the same for its writable memory.
func limitData(aboveUseBytes: UInt64) -> UInt64? {
    let bytes = unsafe cistern_test_status_bytes("VmData:") + aboveUseBytes
    var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
    return unsafe setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit) == 0 ? bytes : nil
}

/// Sanitizers keep shadow memory that no limit allows.
var hasSanitizer: Bool { cistern_test_sanitizer() != UInt32(CISTERN_TEST_NO_SANITIZER) }

/// Were shorter tests asked for?
var isSmall: Bool { cistern_test_scaled(100) != 100 }

/// The folder of the package.
var packageFolder: String {
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
}

/// A whole file; nil when it cannot be opened.
func text(ofFile path: String) -> String? {
    guard let file = unsafe fopen(path, "r") else { return nil }
    defer { _ = unsafe fclose(file) }  // was only read
    return unsafe text(of: file)
}

private func text(of file: UnsafeMutablePointer<FILE>) -> String {
    var bytes: [UInt8] = []
    while case let byte = unsafe getc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    return String(decoding: bytes, as: UTF8.self)
}

/// Runs a shell command; what it wrote, and its wait status.
func shell(_ command: String) -> (status: Int32, output: String) {
    guard let pipe = unsafe popen("{ \(command)\n} 2>&1", "r") else { return (-1, "popen: errno \(errno)") }
    let output = unsafe text(of: pipe)
    return (unsafe pclose(pipe), output)
}

/// Is an address mapped in this process?
func isMapped(_ address: UInt) throws -> Bool {
    let maps = try #require(text(ofFile: "/proc/self/maps"))
    return maps.split(separator: "\n").contains { line in
        let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
        return ends.count == 2 && ends[0] <= address && address < ends[1]
    }
}

/// A table of system calls that refuses what it is told to. It outlives the heaps of its test, and is then freed.
@safe final class FaultTable {
    private let pointer: UnsafeMutablePointer<cistern_fault_table>

    init() {
        unsafe pointer = .allocate(capacity: 1)
        unsafe cistern_fault_table_init(pointer)
    }

    deinit { unsafe pointer.deallocate() }

    /// Lets a heap use this table, which is the first member of the struct.
    func install(in options: inout HeapOptions) { unsafe options.systemCalls = .init(OpaquePointer(pointer)) }

    /// Refuses the call with this number; once or for ever.
    func refuse(_ number: UInt64, forEver: Bool = false, code: Int32 = ENOMEM) {
        unsafe pointer.pointee.fail_at = number
        unsafe pointer.pointee.fails_for_ever = forEver
        unsafe pointer.pointee.fail_code = code
    }

    /// What RLIMIT_AS and the process's use of it read as.
    func setAddressSpace(limitBytes: UInt64, mappedPages: UInt64) {
        unsafe pointer.pointee.address_space_limit = limitBytes
        unsafe cistern_fault_table_set_file(pointer, "/proc/self/statm", "\(mappedPages) 1 1 1 0 1 0\n")
    }

    /// What the calls about programs are refused with; 0: not at all.
    func setProgramCodes(find: Int32 = 0, start: Int32 = 0, wait: Int32 = 0) {
        unsafe pointer.pointee.find_code = find
        unsafe pointer.pointee.start_code = start
        unsafe pointer.pointee.wait_code = wait
    }

    var reserveCount: UInt64 { unsafe pointer.pointee.reserve_count }
    var liveReservations: UInt64 { unsafe pointer.pointee.live_reservations }
}

/// A heap's methods with addresses as numbers: a live block of the heap, handed back to it.
extension Heap {
    func take(_ byteCount: Int) -> UInt? { unsafe allocate(byteCount: byteCount).map { UInt(bitPattern: $0) } }

    func take(_ byteCount: Int, alignment: Int) -> UInt? {
        unsafe allocate(byteCount: byteCount, alignment: alignment).map { UInt(bitPattern: $0) }
    }

    func takeZeroed(_ byteCount: Int) -> UInt? { unsafe allocateZeroed(byteCount: byteCount).map { UInt(bitPattern: $0) } }

    func give(_ block: UInt, _ byteCount: Int) { unsafe deallocate(pointer(block), byteCount: byteCount) }

    func give(_ block: UInt) { unsafe deallocate(pointer(block)) }

    func resized(_ block: UInt, from old: Int? = nil, to byteCount: Int) -> UInt? {
        unsafe resize(pointer(block), from: old, to: byteCount).map { UInt(bitPattern: $0) }
    }

    func usableSize(_ block: UInt) -> Int { unsafe usableSize(of: pointer(block)) }

    func holds(_ address: UInt) -> Bool { unsafe contains(pointer(address)) }

    /// The block that holds an address.
    func extent(holding address: UInt) -> Range<UInt>? {
        unsafe block(holding: pointer(address)).map { found in
            let start = UInt(bitPattern: found.baseAddress)
            return start..<start + UInt(found.count)
        }
    }

    func liveBlocks() -> [UInt: Int] {
        var found: [UInt: Int] = [:]
        unsafe visitLiveBlocks { block, byteCount in found[UInt(bitPattern: block)] = byteCount }
        return found
    }
}

/// A pointer for an address that is not zero.
func pointer(_ address: UInt) -> UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(bitPattern: address)! }
