import CHeap
import CVirtualMemory
import VirtualMemory

// Safety: the program and the lists in it are the caller's, valid for the call; the system calls' table outlives the heap.

/// Why a program did not take over.
public struct HandOverError: Error, Equatable, Sendable {
    /// The kinds of reasons.
    public enum Reason: UInt32, Sendable {
        /// None of the others; the code tells.
        case refused = 0
        /// There is no such program (ENOENT, ENOTDIR).
        case notFound = 1
        /// It is there and may not be executed (EACCES, ENOEXEC, EPERM, ETXTBSY).
        case notExecutable = 2
        /// Arguments and environment are more than the system takes (E2BIG, ENAMETOOLONG).
        case tooLong = 3
        /// No memory for the child, or no process (ENOMEM, EAGAIN).
        case noMemory = 4
        /// It was started, and how it ended cannot be learned (ECHILD: the host ignores SIGCHLD, or waits for children itself).
        case cannotWait = 5
        /// An argument, a setting of the environment or the name holds a zero byte, or a setting has no `=`.
        case unusableText = 6
        /// Regions of the heap are open, so that it cannot be discarded.
        case regionsOpen = 7
        /// Directories are in the heap, so that it cannot be discarded.
        case directoriesOpen = 8
    }

    /// What kind of reason.
    public var reason: Reason
    /// The errno of the call that failed; 0 when none did.
    public var code: Int32
    /// Has the heap been discarded already? Where not, nothing has changed.
    public var isDiscarded: Bool

    /// A reason.
    public init(_ reason: Reason, code: Int32, isDiscarded: Bool) {
        self.reason = reason
        self.code = code
        self.isDiscarded = isDiscarded
    }

    init(code: Int32, isDiscarded: Bool) {
        self.init(Reason(rawValue: cistern_os_program_refusal(code)) ?? .refused, code: code, isDiscarded: isDiscarded)
    }
}

// Handing the memory over to another program. A parent that holds dead memory while its child runs is what gets both
// killed: the kernel counts the sum, and takes the larger one. Three ways; the library ends no process, so the third one,
// to start the program and exit, gives the identifier to the caller, who exits.
extension BoundedHeap {
    /// Turns this process into a program, by exec: same identifier, same parent, none of this memory.
    ///
    /// Nothing of this process runs any more, neither exit handlers nor other threads; what the host has not written out is
    /// lost. Open files that are not close-on-exec, the signal mask and ignored signals go on. The heap needs no discarding:
    /// the kernel drops it before the program gets memory of its own.
    ///
    /// - Throws: `HandOverError`; nothing has changed then, the heap included.
    public func handOver(to program: UnsafePointer<cistern_program>) throws(HandOverError) -> Never {
        let code = unsafe programCalls.pointee.replace_process(programCalls.pointee.context, program)
        throw HandOverError(code: code, isDiscarded: false)
    }

    /// Discards the heap, starts a program and waits for its end.
    ///
    /// What `discard()` asks of the caller holds here too. Whether the program is there and may be executed is looked up
    /// first, so that a wrong name costs nothing.
    ///
    /// - Returns: how it ended.
    /// - Throws: `HandOverError`; it says whether the heap was discarded before the failure.
    public func handOverAndWait(
        for program: UnsafePointer<cistern_program>
    ) throws(HandOverError) -> cistern_program_end {
        try wait(for: unsafe try handOverAndStart(program))
    }

    /// Waits for the end of a program that `handOverAndStart` has started.
    ///
    /// - Throws: `.cannotWait`.
    public func wait(for identifier: Int32) throws(HandOverError) -> cistern_program_end {
        var end = cistern_program_end()
        let code = unsafe programCalls.pointee.wait_for_program(programCalls.pointee.context, identifier, &end)
        guard code == 0 else { throw HandOverError(.cannotWait, code: code, isDiscarded: true) }
        return end
    }

    /// Discards the heap and starts a program, for callers that exit then, or have something else to do and wait later.
    ///
    /// - Returns: the identifier of the child, which the caller waits for, unless it exits.
    /// - Throws: as `handOverAndWait(for:)`.
    public func handOverAndStart(_ program: UnsafePointer<cistern_program>) throws(HandOverError) -> Int32 {
        let calls = unsafe programCalls
        let missing = unsafe calls.pointee.find_program(calls.pointee.context, program)
        guard missing == 0 else { throw HandOverError(code: missing, isDiscarded: false) }
        do throws(DiscardError) {
            try discard()
        } catch {
            switch error {
            case .regionsOpen: throw HandOverError(.regionsOpen, code: 0, isDiscarded: false)
            case .directoriesOpen: throw HandOverError(.directoriesOpen, code: 0, isDiscarded: false)
            }
        }
        var identifier: Int32 = 0
        let code = unsafe calls.pointee.start_program(calls.pointee.context, program, &identifier)
        guard code == 0 else { throw HandOverError(code: code, isDiscarded: true) }
        return identifier
    }

    /// In a fork's child without this heap the header tells no table; there is nothing to discard there either.
    private var programCalls: UnsafePointer<cistern_os_calls> {
        isUsable ? unsafe systemCalls : unsafe cistern_os_system()
    }
}
