/// What ends the program early: one line for standard error and the exit code.
struct BenchError: Error {
    var message: String
    var exitCode: Int32

    /// A failure of the surroundings: a file that cannot be written, a child that cannot be started.
    static let failureCode: Int32 = 1
    /// Bad input: the command line or a trace file.
    static let badInputCode: Int32 = 2
    /// A replay that did not complete.
    static let outOfMemoryCode: Int32 = 3

    init(_ message: String, exitCode: Int32 = BenchError.failureCode) {
        self.message = message
        self.exitCode = exitCode
    }

    static func badInput(_ message: String) -> BenchError { BenchError(message, exitCode: badInputCode) }
}
