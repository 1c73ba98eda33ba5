import CCistern
import CVirtualMemory
import HeapCore

// The functions of cistern.h that hand a heap's memory over to a program.
//
// Safety: the texts, lists and places for results are the caller's, valid for the call, as cistern.h says.

extension HandOverError {
    fileprivate var status: UInt32 {
        switch reason {
        case .notFound: CISTERN_PROGRAM_NOT_FOUND.rawValue
        case .notExecutable: CISTERN_PROGRAM_NOT_EXECUTABLE.rawValue
        case .tooLong: CISTERN_PROGRAM_ARGUMENTS_TOO_LONG.rawValue
        case .noMemory: CISTERN_PROGRAM_NO_MEMORY.rawValue
        case .cannotWait: CISTERN_PROGRAM_CANNOT_WAIT.rawValue
        case .unusableText: CISTERN_INVALID_ARGUMENT.rawValue
        case .regionsOpen: CISTERN_REGIONS_OPEN.rawValue
        case .directoriesOpen: CISTERN_DIRECTORIES_OPEN.rawValue
        case .refused: CISTERN_PROGRAM_REFUSED.rawValue
        }
    }
}

/// A list of texts as C has it.
public typealias TextList = UnsafePointer<UnsafeMutablePointer<CChar>?>

/// `cistern_hand_over`; cistern.h says what it does and what can fail.
@c(cistern_hand_over)
public func cisternHandOver(
    _ handle: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ arguments: TextList?, _ environment: TextList?
) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let name = unsafe name, let arguments = unsafe arguments else { return CISTERN_INVALID_ARGUMENT.rawValue }
    var program = unsafe cistern_program(name: name, arguments: arguments, environment: environment)
    do throws(HandOverError) {
        unsafe try heap.handOver(to: &program)
    } catch {
        return error.status
    }
}

/// `cistern_hand_over_and_wait`; cistern.h says what it does and what can fail.
@c(cistern_hand_over_and_wait)
public func cisternHandOverAndWait(
    _ handle: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ arguments: TextList?, _ environment: TextList?,
    _ outcome: UnsafeMutablePointer<cistern_program_outcome>?
) -> UInt32 {
    unsafe start(handle, name, arguments, environment, waits: true, outcome)
}

/// `cistern_hand_over_and_start`; cistern.h says what it does and what can fail.
@c(cistern_hand_over_and_start)
public func cisternHandOverAndStart(
    _ handle: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ arguments: TextList?, _ environment: TextList?,
    _ outcome: UnsafeMutablePointer<cistern_program_outcome>?
) -> UInt32 {
    unsafe start(handle, name, arguments, environment, waits: false, outcome)
}

private func start(
    _ handle: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ arguments: TextList?, _ environment: TextList?, waits: Bool,
    _ outcome: UnsafeMutablePointer<cistern_program_outcome>?
) -> UInt32 {
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let name = unsafe name, let arguments = unsafe arguments, unsafe isSized(outcome) else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    var program = unsafe cistern_program(name: name, arguments: arguments, environment: environment)
    var result = cistern_program_outcome()
    result.exit_code = -1
    var status = CISTERN_OK.rawValue
    do throws(HandOverError) {
        result.process = unsafe try heap.handOverAndStart(&program)
        result.is_discarded = true
        if waits {
            let end = try heap.wait(for: result.process)
            result.exit_code = end.exit_code
            result.signal = end.signal
        }
    } catch {
        result.is_discarded = error.isDiscarded
        status = error.status
    }
    unsafe give(&result, to: outcome)
    return status
}
