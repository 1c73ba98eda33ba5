import Cistern
import Glibc

// The programs that `cistern-bench handover` watches: this program under other names.
//
// Safety: blocks are written within their size, and belong to a heap that lives to the end of the call, or to the process.

/// A parent with a large dead heap, and the child it starts.
enum HandOverChild {
    static let parentName = "handover-parent"
    static let childName = "handover-child"

    /// What the parent does before its child runs.
    enum Way: String, CaseIterable {
        /// No child at all.
        case alone
        /// Starts it beside its dead heap.
        case plain
        /// Discards the heap, then starts it.
        case release
        /// Is replaced by it.
        case exec
    }

    /// Runs when this program was started under one of the two names; nil when it was not. Returns the exit code.
    static func run(_ arguments: [String]) -> Int32? {
        guard arguments.count > 1 else { return nil }
        if arguments[1] == childName { return arguments.count == 3 ? Int(arguments[2]).map(child) ?? 2 : 2 }
        guard arguments[1] == parentName else { return nil }
        guard arguments.count == 5, let way = Way(rawValue: arguments[2]), let deadBytes = Int(arguments[3]) else { return 2 }
        let program = Program(arguments[0], [childName, arguments[4]])
        do {
            return try parent(way, deadBytes: deadBytes, program)
        } catch {
            System.writeToStandardError("handover-parent: \(error)\n")
            return 1
        }
    }

    private static func parent(_ way: Way, deadBytes: Int, _ program: Program) throws -> Int32 {
        let heap = try Heap(capacityBytes: UInt64(deadBytes) + 64 << 20)
        // Blocks of many sizes, every byte written.
        var left = deadBytes
        var number = 0
        while left > 0 {
            let byteCount = min(left, number % 8 == 0 ? 1 << 20 : 64 + number % 61 * 40)
            guard let block = unsafe heap.allocate(byteCount: byteCount) else { return 3 }
            unsafe block.initializeMemory(as: UInt8.self, repeating: 1, count: byteCount)
            left -= byteCount
            number += 1
        }
        hold()
        switch way {
        case .alone: return withExtendedLifetime(heap) { 0 }
        case .plain:
            // Another heap, with nothing in it, starts the child: the dead one stays as it is.
            let other = try Heap(capacityBytes: 1 << 20)
            return try withExtendedLifetime(heap) { code(try other.handOverAndWait(for: program)) }
        case .release: return code(try heap.handOverAndWait(for: program))
        case .exec: try heap.handOver(to: program)
        }
    }

    private static func child(_ byteCount: Int) -> Int32 {
        let block = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 16)
        defer { unsafe block.deallocate() }
        unsafe block.initializeMemory(as: UInt8.self, repeating: 1, count: byteCount)
        hold()
        return 0
    }

    /// Long enough that samples see it.
    private static func hold() { usleep(150_000) }

    private static func code(_ end: ProgramEnd) -> Int32 {
        switch end {
        case .exited(let code): code
        case .killed(let signal): 128 + signal
        }
    }
}
