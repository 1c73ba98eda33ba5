import CTestSupport
import Glibc
import Testing

// Safety: files that popen or fopen gave are read until they end, and closed once.

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

/// The shell itself could not be started, or its output not be read.
struct Unstarted: Error { var code: Int32 }

/// Runs a shell command; the outputs go apart, through a file of the folder.
func run(_ command: String, in folder: String, errors errorFile: String? = nil) throws -> Outcome {
    let place = errorFile ?? "\(folder)/errors"
    guard let pipe = unsafe popen("cd '\(folder)' && { \(command)\n} 2> '\(place)'", "r") else { throw Unstarted(code: errno) }
    let output = unsafe text(of: pipe)
    let status = unsafe pclose(pipe)
    guard let file = unsafe fopen(place, "r") else { throw Unstarted(code: errno) }
    let errors = unsafe text(of: file)
    _ = unsafe fclose(file)  // was only read
    // The shell says 128 + the signal of what it ran.
    return Outcome(code: status & 0x7f != 0 ? 256 + status & 0x7f : status >> 8, output: output, errors: errors)
}

private func text(of file: UnsafeMutablePointer<FILE>) -> String {
    var bytes: [UInt8] = []
    while case let byte = unsafe getc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    return String(decoding: bytes, as: UTF8.self)
}

/// Sanitizers keep shadow memory that no limit allows.
var hasSanitizer: Bool { cistern_test_sanitizer() != UInt32(CISTERN_TEST_NO_SANITIZER) }

/// Were shorter tests asked for?
var isSmall: Bool { cistern_test_scaled(100) != 100 }

/// The folder of the package.
var packageFolder: String {
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
}
