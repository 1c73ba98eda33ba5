import CReplay

/// Counts instructions per event with callgrind, where valgrind is installed: two prefixes of the trace, and the difference
/// between their counts, so that what happens before the first event and after the last one falls out.
struct InstructionCounter {
    let runner: ReplayRunner
    /// Where copies of the programs without debugging information go: valgrind stops at what it cannot read.
    let directory: String

    private static let shortPrefix: UInt64 = 100_000
    private static let longPrefix: UInt64 = 300_000
    /// valgrind cannot reserve much more.
    private static let capacityBytes: UInt64 = 2 << 30

    /// nil when valgrind is not there, or cannot run this program, or the trace is too short.
    func perEvent(_ trace: FlatTrace, _ allocator: Allocator) -> Double? {
        guard trace.eventCount >= InstructionCounter.longPrefix,
            let short = count(trace, allocator, InstructionCounter.shortPrefix),
            let long = count(trace, allocator, InstructionCounter.longPrefix), long > short
        else { return nil }
        return Double(long - short) / Double(InstructionCounter.longPrefix - InstructionCounter.shortPrefix)
    }

    private func strippedCopy(of program: String) -> String? {
        let name = program.split(separator: "/").last.map(String.init) ?? program
        let copy = "\(directory)/\(name).stripped"
        let strip = ChildProcess(arguments: ["strip", "--strip-debug", "-o", copy, program], captured: .standardError)
        return strip.run().succeeded ? copy : nil
    }

    private func count(_ trace: FlatTrace, _ allocator: Allocator, _ eventLimit: UInt64) -> UInt64? {
        let request = ReplayRequest(
            mode: allocator == .null ? .null : .calls, allocator: allocator, trace: trace, eventLimit: eventLimit,
            capacityBytes: InstructionCounter.capacityBytes)
        return count(runner.child(request, addressSpaceBytes: 0))
    }

    /// All instructions of a child.
    func count(_ given: ChildProcess) -> UInt64? {
        var child = given
        guard let stripped = strippedCopy(of: child.arguments[0]) else { return nil }
        child.arguments[0] = stripped
        child.arguments = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"] + child.arguments
        child.captured = .standardError
        child.timeoutSeconds = 600
        let outcome = child.run()
        guard outcome.succeeded else { return nil }
        let text = String(decoding: outcome.output, as: UTF8.self)
        for line in text.split(separator: "\n") where line.contains("Collected :") {
            return line.split(separator: " ").last.flatMap { UInt64($0) }
        }
        return nil
    }
}
