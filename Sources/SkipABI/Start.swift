import CHeap
import CSkip
import HeapCore
import Limits
import VirtualMemory

// Safety: the words of the command line and of the environment end at their first zero byte, and live as long as main does.

/// `SKIP_memory_init`; cistern_skip.h says what it does and how it fails.
@c(SKIP_memory_init)
public func skipMemoryInit(_ count: Int32, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) {
    let arguments = unsafe CommandLineWords(count: Int(count), words: words)
    Start.refuseFiles(arguments)
    let choice = Start.chooseCapacity(arguments)
    let heap = Start.makeHeap(choice)
    let isReady = unsafe cistern_skip_begin(heap.headerPointer, { Region.releaseThread() })
    guard isReady else {
        var line = MessageLine()
        line.put("Internal error: no notice of threads that end can be had")
        line.end(code: 44)
    }
    cistern_skip_note_types()
}

enum Start {
    // MARK: Files

    /// Ends the process when the command line asks for a heap in a file.
    static func refuseFiles(_ arguments: CommandLineWords) {
        // skargo hands its own options on to what it builds: they are not for it.
        guard !arguments.isEqual(0, "skargo") else { return }
        var option: Int?
        for index in 1..<max(arguments.count, 1) {
            guard arguments.isEqual(index, "--data") || arguments.isEqual(index, "--init") else { continue }
            if index + 1 >= arguments.count { misused("Error: --data/--init expects a file name") }
            if option != nil { misused("Error: incompatible --data/--init options") }
            option = index
        }
        guard let option else { return }
        var line = MessageLine()
        line.put("Error: ")
        arguments.put(option, into: &line)
        line.put(": this memory layer has no heaps in files yet; run without --init and --data")
        line.end(code: 45)
    }

    /// Without a line end: so are Skip's own.
    private static func misused(_ text: StaticString) -> Never {
        var line = MessageLine()
        line.put(text)
        line.end(code: 103, withoutLineEnd: true)
    }

    // MARK: Capacity

    /// What the command line, the environment and the limits of the process say.
    static func chooseCapacity(_ arguments: CommandLineWords) -> CapacityChoice {
        do throws(CapacityError) {
            return choose(try resolve(arguments))
        } catch {
            refuse(error)
        }
    }

    private static func resolve(_ arguments: CommandLineWords) throws(CapacityError) -> ResolvedCapacity {
        let environment = unsafe CommandLineWords.text(cistern_skip_capacity_variable()).span
        guard let option = arguments.index(of: "--capacity"), option + 1 < arguments.count else {
            return try Capacity.resolve(argument: nil, environment: environment)
        }
        let argument = unsafe arguments.text(option + 1).span
        return try Capacity.resolve(argument: argument, environment: environment)
    }

    private static func choose(_ resolved: ResolvedCapacity) -> CapacityChoice {
        guard resolved.source == .default else { return Capacity.choose(resolved, tightest: nil) }
        return Capacity.choose(resolved, tightest: MemoryLimits.current().tightest)
    }

    private static func put(_ source: Capacity.Source, into line: inout MessageLine) {
        switch source {
        case .argument: line.put("--capacity")
        case .environment: line.put("SKIP_CAPACITY")
        case .default, .api: line.put("the default capacity")
        }
    }

    private static func refuse(_ error: CapacityError) -> Never {
        if error.kind == .zero { refuse(bytes: 0, error.source, isTooSmall: true) }
        var line = MessageLine()
        put(error.source, into: &line)
        if error.kind == .overflow {
            line.put(": value out of range")
        } else {
            line.put(" expects an integer (optionally suffixed with K, M, or G)")
        }
        line.end(code: 2)
    }

    private static func refuse(bytes: UInt64, _ source: Capacity.Source, isTooSmall: Bool) -> Never {
        var line = MessageLine()
        line.put("Could not initialize memory: ")
        put(source, into: &line)
        line.put(" is ")
        line.put(bytes)
        line.put(isTooSmall ? " bytes, and the least is " : " bytes, and the most is ")
        line.put(isTooSmall ? BoundedHeap.leastCapacityBytes : BoundedHeap.mostCapacityBytes)
        line.end(code: 42)
    }

    // MARK: Heap

    /// The least that a default shrinks to when the system refuses what should have fitted.
    private static var leastDefaultBytes: UInt64 { 16 << 20 }

    /// The heap. A given capacity is taken as it is; a default shrinks by an eighth at a time while the system refuses.
    static func makeHeap(_ choice: CapacityChoice) -> BoundedHeap {
        var bytes = choice.bytes
        while true {
            do throws(HeapCreationError) {
                return try BoundedHeap.create(HeapOptions(capacityBytes: bytes))
            } catch {
                let smaller = bytes - bytes / 8
                guard choice.source == .default, smaller >= leastDefaultBytes, case .reservation = error else {
                    refuse(error, choice.source)
                }
                bytes = smaller
            }
        }
    }

    private static func refuse(_ error: HeapCreationError, _ source: Capacity.Source) -> Never {
        var line = MessageLine()
        switch error {
        case .capacityTooSmall(let bytes, _): refuse(bytes: bytes, source, isTooSmall: true)
        case .capacityTooLarge(let bytes, _): refuse(bytes: bytes, source, isTooSmall: false)
        case .tooManyHeaps: line.put("Could not initialize memory: too many heaps")
        case .reservation(let refusal), .commitment(let refusal):
            line.put("ERROR (MAP FAILED): ")
            line.put(refusal)
            line.put("; the capacity is from ")
            put(source, into: &line)
        }
        line.end(code: 41)
    }
}

extension MessageLine {
    /// What the system refused, and the limit that is in the way.
    mutating func put(_ refusal: ReservationError) {
        var bytes = InlineArray<256, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        let count = refusal.write(into: &span)
        for index in 0..<min(count, 256) { put(bytes[index]) }
    }
}

/// The words of the command line.
@safe
struct CommandLineWords {
    let count: Int
    private let words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    init(count: Int, words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) {
        self.count = count
        unsafe self.words = words
    }

    func text(_ index: Int) -> UnsafeBufferPointer<UInt8> { unsafe Self.text(words[index]) }

    /// The bytes of a C text; none for NULL.
    static func text(_ start: UnsafePointer<CChar>?) -> UnsafeBufferPointer<UInt8> {
        guard let start = unsafe start else { return unsafe UnsafeBufferPointer(start: nil, count: 0) }
        var length = 0
        while unsafe start[length] != 0 { length += 1 }
        return unsafe UnsafeBufferPointer(start: UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self), count: length)
    }

    func isEqual(_ index: Int, _ word: StaticString) -> Bool {
        guard index < count, let text = unsafe words[index] else { return false }
        for position in 0..<word.utf8CodeUnitCount
        where unsafe UInt8(bitPattern: text[position]) != word.utf8Start[position] { return false }
        return unsafe text[word.utf8CodeUnitCount] == 0
    }

    /// The first place where a word stands after the program's name; nil when there is none.
    func index(of word: StaticString) -> Int? {
        var index = 1
        while index < count {
            if isEqual(index, word) { return index }
            index += 1
        }
        return nil
    }

    func put(_ index: Int, into line: inout MessageLine) {
        let bytes = unsafe text(index)
        for position in 0..<bytes.count { unsafe line.put(bytes[position]) }
    }
}
