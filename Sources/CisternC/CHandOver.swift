import CCistern
import CVirtualMemory
import HeapCore

// Safety: the heap, the texts and the places for results are the caller's, valid for the call, as cistern.h says.

extension HandOverError {
    fileprivate var status: UInt32 {
        switch reason {
        case .notFound: CISTERN_PROGRAM_NOT_FOUND.rawValue
        case .notExecutable: CISTERN_PROGRAM_NOT_EXECUTABLE.rawValue
        case .tooLong: CISTERN_PROGRAM_ARGUMENTS_TOO_LONG.rawValue
        case .noMemory: CISTERN_PROGRAM_NO_MEMORY.rawValue
        case .cannotWait: CISTERN_PROGRAM_CANNOT_WAIT.rawValue
        case .unusableText: CISTERN_INVALID_ARGUMENT.rawValue
        case .refused: CISTERN_PROGRAM_SYSTEM_REFUSED.rawValue
        }
    }
}

/// A list of texts as C has it.
public typealias TextList = UnsafePointer<UnsafeMutablePointer<CChar>?>

/// `cistern_hand_over`; cistern.h says what it does and what can fail.
@c(cistern_hand_over)
public func cisternHandOver(
    _ heap: OpaquePointer, _ name: UnsafePointer<CChar>, _ arguments: TextList, _ environment: TextList?
) -> UInt32 {
    var program = unsafe cistern_program(name: name, arguments: arguments, environment: environment)
    do throws(HandOverError) {
        unsafe try BoundedHeap(heap).handOver(to: &program)
    } catch {
        return error.status
    }
}

/// `cistern_hand_over_and_wait`; cistern.h says what it does and what can fail.
@c(cistern_hand_over_and_wait)
public func cisternHandOverAndWait(
    _ heap: OpaquePointer, _ name: UnsafePointer<CChar>, _ arguments: TextList, _ environment: TextList?,
    _ exitCode: UnsafeMutablePointer<Int32>, _ signal: UnsafeMutablePointer<Int32>, _ isDiscarded: UnsafeMutablePointer<Bool>
) -> UInt32 {
    var program = unsafe cistern_program(name: name, arguments: arguments, environment: environment)
    unsafe isDiscarded.pointee = true
    unsafe exitCode.pointee = -1
    unsafe signal.pointee = 0
    do throws(HandOverError) {
        let end = unsafe try BoundedHeap(heap).handOverAndWait(for: &program)
        unsafe exitCode.pointee = end.exit_code
        unsafe signal.pointee = end.signal
        return CISTERN_OK.rawValue
    } catch {
        unsafe isDiscarded.pointee = error.isDiscarded
        return error.status
    }
}

/// `cistern_hand_over_and_start`; cistern.h says what it does and what can fail.
@c(cistern_hand_over_and_start)
public func cisternHandOverAndStart(
    _ heap: OpaquePointer, _ name: UnsafePointer<CChar>, _ arguments: TextList, _ environment: TextList?,
    _ process: UnsafeMutablePointer<Int32>, _ isDiscarded: UnsafeMutablePointer<Bool>
) -> UInt32 {
    var program = unsafe cistern_program(name: name, arguments: arguments, environment: environment)
    unsafe isDiscarded.pointee = true
    unsafe process.pointee = 0
    do throws(HandOverError) {
        unsafe process.pointee = try BoundedHeap(heap).handOverAndStart(&program)
        return CISTERN_OK.rawValue
    } catch {
        unsafe isDiscarded.pointee = error.isDiscarded
        return error.status
    }
}
