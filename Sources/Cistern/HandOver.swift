import CVirtualMemory
import HeapCore

// Safety: the texts are copied into one buffer that lives for the whole call, each ending in a zero byte, and every pointer in
// a list leads to the start of one of them; the lists end in nil.

/// A program to run in this one's place.
public struct Program: Equatable, Sendable {
    /// A path, if it has a slash; otherwise looked for in this process's PATH.
    public var name: String
    /// What follows the program's name.
    public var arguments: [String]
    /// Settings such as `PATH=/bin`, in this order; `nil` for this process's own environment.
    public var environment: [String]?

    /// A program, its arguments, and this process's environment unless another one is given.
    public init(_ name: String, _ arguments: [String] = [], environment: [String]? = nil) {
        self.name = name
        self.arguments = arguments
        self.environment = environment
    }
}

/// How a program ended.
public enum ProgramEnd: Equatable, Sendable {
    /// By itself, with this code: 0 to 255.
    case exited(code: Int32)
    /// By a signal.
    case killed(signal: Int32)
}

// Handing memory over: a parent that keeps dead memory while its child runs is counted together with it, and both are killed
// where either alone would fit. The texts of the program are copied by the Swift runtime's allocator, not by the heap.
extension Heap {
    /// Turns this process into a program, by exec. Nothing here runs afterwards: no `defer`, no exit handler, no other thread;
    /// write out what is buffered first. The process identifier, open files that are not close-on-exec, the signal mask and
    /// ignored signals go on. The kernel drops this process's memory before the program gets its own.
    ///
    /// - Throws: `HandOverError`; nothing has changed then.
    public func handOver(to program: Program) throws(HandOverError) -> Never {
        throw unsafe try program.withTexts { (texts) throws(HandOverError) in
            do throws(HandOverError) { unsafe try core.handOver(to: texts) } catch { return error }
        }
    }

    /// Discards the heap, starts a program and waits for its end; what `discard()` asks of the caller holds here too.
    ///
    /// Whether the program is there and may be executed is looked up first, so that a wrong name costs nothing. The heap may
    /// be used again afterwards. Several heaps: discard the others before.
    ///
    /// - Throws: `HandOverError`; it says whether the heap was discarded before the failure.
    public func handOverAndWait(for program: Program) throws(HandOverError) -> ProgramEnd {
        let end = unsafe try program.withTexts { (texts) throws(HandOverError) in unsafe try core.handOverAndWait(for: texts) }
        return end.signal == 0 ? .exited(code: end.exit_code) : .killed(signal: end.signal)
    }

    /// Discards the heap and starts a program. For callers that exit then, so that only the program is left, or that have other
    /// work meanwhile: this library ends no process.
    ///
    /// - Returns: the identifier of the child, which the caller waits for, unless it exits.
    /// - Throws: as `handOverAndWait(for:)`.
    public func handOverAndStart(_ program: Program) throws(HandOverError) -> Int32 {
        unsafe try program.withTexts { (texts) throws(HandOverError) in unsafe try core.handOverAndStart(texts) }
    }
}

extension Program {
    /// All texts in one buffer, each with a zero byte behind it, and where each begins.
    private struct Texts {
        var bytes: [CChar] = []
        var starts: [Int] = []

        mutating func append(_ text: String) throws(HandOverError) {
            starts.append(bytes.count)
            for byte in text.utf8 {
                guard byte != 0 else { throw HandOverError(.unusableText, code: 0, isDiscarded: false) }
                bytes.append(CChar(bitPattern: byte))
            }
            bytes.append(0)
        }
    }

    fileprivate func withTexts<Result>(
        _ body: (UnsafePointer<cistern_program>) throws(HandOverError) -> Result
    ) throws(HandOverError) -> Result {
        var texts = Texts()
        // The name twice: where the program is, and what it is called.
        for text in [name, name] + arguments { try texts.append(text) }
        let argumentCount = texts.starts.count - 1
        for setting in environment ?? [] {
            guard setting.utf8.dropFirst().contains(UInt8(ascii: "=")) else {
                throw HandOverError(.unusableText, code: 0, isDiscarded: false)
            }
            try texts.append(setting)
        }
        return unsafe try texts.bytes.withUnsafeMutableBufferPointer { (bytes) throws(HandOverError) in
            let base = bytes.baseAddress!
            var lists: [UnsafeMutablePointer<CChar>?] = unsafe texts.starts.dropFirst().map { unsafe base + $0 }
            unsafe lists.insert(nil, at: argumentCount)
            unsafe lists.append(nil)
            return unsafe try lists.withUnsafeBufferPointer { (list) throws(HandOverError) in
                let start = list.baseAddress!
                var program = unsafe cistern_program(
                    name: base, arguments: start, environment: environment == nil ? nil : start + argumentCount + 1)
                return unsafe try body(&program)
            }
        }
    }
}

extension HandOverError: CustomStringConvertible {
    /// One line without its end.
    public var description: String {
        let what =
            switch reason {
            case .notFound: "there is no such program"
            case .notExecutable: "the program is there and cannot be executed"
            case .tooLong: "arguments and environment are more than the system takes"
            case .noMemory: "no memory for the child, or no process"
            case .cannotWait: "the program was started, and how it ended cannot be learned"
            case .unusableText: "a name or argument has a zero byte, or a setting of the environment has no name and ="
            case .regionsOpen: "a region of the heap is open"
            case .directoriesOpen: "a directory is in the heap"
            case .refused: "the system refused"
            }
        return what + (code == 0 ? "" : " (errno \(code))") + (isDiscarded ? "; the heap was discarded before" : "")
    }
}
