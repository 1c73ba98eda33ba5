import CReplay

/// What a child replays.
struct ReplayRequest {
    enum Mode: UInt64 {
        case empty = 0
        case survey, null, calls, touch, fill, check, threads, describe
    }

    enum Workload: UInt64 {
        case trace = 0
        case exchange, server, largeServer
    }

    var mode: Mode
    var allocator: Allocator
    var trace: FlatTrace?
    var eventLimit: UInt64 = .max
    var warmPassCount: UInt64 = 0
    /// For cistern; 0 means what the limit leaves.
    var capacityBytes: UInt64 = 0
    var seed: UInt64 = 1
    var workload = Workload.trace
    var threadCount: UInt64 = 0
    var operationCount: UInt64 = 0

    /// The child's arguments after the program's name; their order is that of `creplay_request`.
    var arguments: [String] {
        var kind = CREPLAY_ALLOCATOR_MALLOC
        var flags: UInt64 = 0
        switch allocator.kind {
        case .malloc: break
        case .cistern(let cisternFlags): (kind, flags) = (CREPLAY_ALLOCATOR_CISTERN, cisternFlags)
        case .broken: kind = CREPLAY_ALLOCATOR_BROKEN
        case .null: kind = CREPLAY_ALLOCATOR_NULL
        }
        let numbers: [UInt64] = [
            mode.rawValue, UInt64(kind.rawValue), eventLimit, warmPassCount, capacityBytes, flags, seed, workload.rawValue,
            threadCount, operationCount,
        ]
        return ["replay-child", trace?.path ?? "", allocator.library ?? ""] + numbers.map { String($0) }
    }
}

/// What came of a replay.
enum ReplayOutcome {
    case finished(creplay_result)
    /// The child ended before it could report.
    case died(String)

    var completedResult: creplay_result? {
        if case .finished(let result) = self, result.completed == 1 { return result }
        return nil
    }

    /// Why it did not complete; nil when it did.
    var failureText: String? {
        guard case .finished(let result) = self else {
            if case .died(let how) = self { return "the replay \(how)" }
            return nil
        }
        switch creplay_failure(rawValue: UInt32(truncatingIfNeeded: result.failure)) {
        case CREPLAY_NO_FAILURE: return nil
        case CREPLAY_OUT_OF_MEMORY: return "out of memory at event \(result.event_count)"
        case CREPLAY_HEAP_REFUSED: return "no heap of \(result.capacity_bytes) bytes (status \(result.failure_detail))"
        case CREPLAY_WRONG_CONTENTS: return "wrong contents in a block at event \(result.event_count)"
        case CREPLAY_WRONG_ALIGNMENT: return "wrong alignment of a block at event \(result.event_count)"
        case CREPLAY_TRACE_UNUSABLE: return "the unpacked trace could not be mapped (errno \(result.failure_detail))"
        case CREPLAY_WRONG_LIBRARY: return "the allocator's library could not be loaded"
        case CREPLAY_HEAP_INCONSISTENT: return "the heap did not verify after the replay"
        default: return "the replay's own tables could not be made (errno \(result.failure_detail))"
        }
    }

    /// True when what stopped it was memory, in whichever way that shows under a limit.
    var ranOutOfMemory: Bool {
        guard case .finished(let result) = self else { return true }
        switch creplay_failure(rawValue: UInt32(truncatingIfNeeded: result.failure)) {
        case CREPLAY_WRONG_CONTENTS, CREPLAY_WRONG_ALIGNMENT, CREPLAY_HEAP_INCONSISTENT, CREPLAY_NO_FAILURE: return false
        default: return true
        }
    }
}

/// Runs replays in child processes. Replays through cistern run in this program; those through malloc, and the loop alone,
/// in a program beside it that holds the same replay and no Swift.
struct ReplayRunner {
    private static let mallocProgramName = "cistern-bench-malloc"

    private let cisternProgram: String
    private let mallocProgram: String
    /// Single-threaded replays all run on this CPU.
    private let cpu: Int32
    var pinnedCPU: Int32 { cpu }

    init() throws(BenchError) {
        guard let program = System.executablePath() else { throw BenchError("/proc/self/exe does not tell this program's path") }
        cisternProgram = program
        let folder = program.lastIndex(of: "/").map { program[...$0] } ?? ""
        mallocProgram = folder + ReplayRunner.mallocProgramName
        guard System.isReadable(mallocProgram) else { throw BenchError("\(mallocProgram) is missing: build the product cistern-bench") }
        var highest: Int32 = -1
        // Safety: the call writes one number to a local.
        _ = unsafe creplay_cpu_count(&highest)
        cpu = highest
    }

    /// `addressSpaceBytes` is RLIMIT_AS for the child; 0 leaves it as it is. `preload` is loaded even where nothing is allocated.
    func run(_ request: ReplayRequest, addressSpaceBytes: UInt64 = 0) -> ReplayOutcome {
        let outcome = child(request, addressSpaceBytes: addressSpaceBytes).run(limit: MemoryLayout<creplay_result>.size)
        guard outcome.succeeded, outcome.output.count == MemoryLayout<creplay_result>.size else { return .died(outcome.description) }
        // Safety: the bytes are exactly one result: numbers only, so that every pattern is a value.
        let result = unsafe outcome.output.withUnsafeBytes { unsafe $0.loadUnaligned(as: creplay_result.self) }
        return result.magic == creplay_result_magic ? .finished(result) : .died("reported something else")
    }

    /// Runs a replay that must complete.
    func complete(_ request: ReplayRequest) throws(BenchError) -> creplay_result {
        let outcome = run(request)
        if let result = outcome.completedResult { return result }
        let where_ = request.trace.map { " on \($0.name)" } ?? ""
        throw BenchError("\(request.allocator.name)\(where_): \(outcome.failureText ?? "did not complete")")
    }

    /// One line about the malloc that a child gets; nil when the library cannot be loaded.
    func version(of allocator: Allocator) -> String? {
        let outcome = child(ReplayRequest(mode: .describe, allocator: allocator), addressSpaceBytes: 0).run()
        return outcome.succeeded ? String(decoding: outcome.output, as: UTF8.self) : nil
    }

    /// The program that replays through this allocator.
    func program(for allocator: Allocator) -> String { allocator.isCistern ? cisternProgram : mallocProgram }

    func child(_ request: ReplayRequest, addressSpaceBytes: UInt64) -> ChildProcess {
        ChildProcess(
            arguments: [program(for: request.allocator)] + request.arguments, preload: request.allocator.library,
            addressSpaceBytes: addressSpaceBytes,
            cpu: request.mode == .threads ? -1 : cpu)
    }
}
