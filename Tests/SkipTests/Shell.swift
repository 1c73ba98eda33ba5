@_exported import TestSupport
import Testing

/// Everything in this folder, one test at a time: many of them start programs.
@Suite(.serialized)
enum SkipSuites {}

/// How a program ended, and what it said.
struct Outcome: Equatable {
    /// The exit code; 256 + the signal when there was one.
    var code: Int32
    var output: String
    var errors: String
}

/// Runs a shell command; the outputs go apart, through a file of the folder.
func run(_ command: String, in folder: String, errors errorFile: String? = nil) throws -> Outcome {
    let place = errorFile ?? "\(folder)/errors"
    let (status, output) = shell("cd '\(folder)' && {\n\(command)\n} 2> '\(place)'")
    guard status != -1, let errors = text(ofFile: place) else { throw TestFailure("no shell, or no \(place)") }
    // The shell says 128 + the signal of what it ran.
    return Outcome(code: status & 0x7f != 0 ? 256 + status & 0x7f : status >> 8, output: output, errors: errors)
}
