import CVirtualMemory
import Envelope
import Glibc
@_exported import TestSupport
import Testing

// Safety: texts and arrays handed to C live as long as the call.

/// What a program wrote, byte for byte, and how it ended.
struct Outcome: CustomStringConvertible {
    var exitCode: Int32
    var signal: Int32
    var outputBytes: [UInt8]
    var errors: String

    var output: String { String(decoding: outputBytes, as: UTF8.self) }
    var errorLines: [Substring] { errors.split(separator: "\n") }
    var description: String { "exit \(exitCode), signal \(signal), output '\(output)', errors '\(errors)'" }

    /// A refusal: nothing on standard output, one line on standard error, this code.
    func isRefusal(_ code: Int32) -> Bool { exitCode == code && outputBytes.isEmpty && errors.hasSuffix("\n") && errorLines.count == 1 }
}

/// A directory of one test; removed with all that is in it.
final class Scratch {
    let path: String

    init() throws {
        var template = Array("/tmp/cistern-command-test-XXXXXX".utf8CString)
        guard unsafe template.withUnsafeMutableBufferPointer({ unsafe mkdtemp($0.baseAddress!) != nil }) else {
            throw TestFailure("mkdtemp: errno \(errno)")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { _ = try? Self.spawn(["rm", "-rf", path]) }

    /// Keeps the directory up to here, where only its path is used.
    func isNeeded() { withExtendedLifetime(self) {} }

    /// Writes a file, and makes the directories above it.
    func write(_ name: String, _ text: String) throws {
        try makeDirectory(name.split(separator: "/").dropLast().joined(separator: "/"))
        let bytes = Array(text.utf8)
        guard let file = unsafe fopen("\(path)/\(name)", "w") else { throw TestFailure("\(name): errno \(errno)") }
        let count = unsafe bytes.withUnsafeBytes { unsafe $0.isEmpty ? 0 : fwrite($0.baseAddress!, 1, $0.count, file) }
        guard unsafe fclose(file) == 0, count == bytes.count else { throw TestFailure("\(name): not written") }
    }

    func makeDirectory(_ name: String) throws {
        var whole = path
        for part in name.split(separator: "/") {
            whole += "/\(part)"
            if unsafe mkdir(whole, 0o755) != 0, errno != EEXIST { throw TestFailure("\(whole): errno \(errno)") }
        }
    }

    func remove(_ name: String) { _ = unsafe unlink("\(path)/\(name)") }

    func readBytes(_ name: String) throws -> [UInt8] {
        guard let bytes = bytes(ofFile: "\(path)/\(name)") else { throw TestFailure("\(name): errno \(errno)") }
        return bytes
    }

    func read(_ name: String) throws -> String { String(decoding: try readBytes(name), as: UTF8.self) }

    /// Runs a shell script; "$cistern" is the command's path, "$1" and so on are the words.
    func shell(_ script: String, _ words: [String] = []) throws -> Outcome {
        let prelude = "cistern='\(try Self.commandPath())'; unset SKIP_CAPACITY; cd '\(path)'; exec >output 2>errors </dev/null\n"
        let status = try Self.spawn(["timeout", "-k", "1", "60", "/bin/sh", "-c", prelude + script, "sh"] + words)
        let signal = status & 0x7f
        return Outcome(
            exitCode: signal == 0 ? (status >> 8) & 0xff : -1, signal: signal, outputBytes: try readBytes("output"),
            errors: try read("errors"))
    }

    /// Runs cistern with these words, and SKIP_CAPACITY if it is given.
    func cistern(_ words: [String], capacity: String? = nil, prefix: String = "") throws -> Outcome {
        try shell(
            (capacity == nil ? "" : "SKIP_CAPACITY=$1; export SKIP_CAPACITY; ") + "shift; exec \(prefix) \"$cistern\" \"$@\"",
            [capacity ?? ""] + words)
    }

    /// cistern lies beside this test bundle's own program.
    static func commandPath() throws -> String {
        var bytes = [CChar](repeating: 0, count: 4096)
        let length = unsafe bytes.withUnsafeMutableBufferPointer { unsafe readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
        let own = String(decoding: bytes.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // Under `swift test` the running program may be the toolchain's helper: then the bundle's path is an argument.
        for candidate in [own] + CommandLine.arguments {
            guard let slash = candidate.lastIndex(of: "/") else { continue }
            let program = String(candidate[..<slash] + "/cistern")
            if unsafe access(program, X_OK) == 0 { return program }
        }
        throw TestFailure("cistern is not beside \(own)")
    }

    /// Runs a program of PATH and waits for it; its wait status.
    private static func spawn(_ words: [String]) throws -> Int32 {
        var child: pid_t = 0
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        // Threads that run tests block signals, and a shell in the background ignores interrupts: neither is to be inherited.
        var attributes = posix_spawnattr_t()
        var (none, all) = (sigset_t(), sigset_t())
        let isReady =
            unsafe posix_spawnattr_init(&attributes) == 0 && sigemptyset(&none) == 0 && sigfillset(&all) == 0
            && posix_spawnattr_setsigmask(&attributes, &none) == 0 && posix_spawnattr_setsigdefault(&attributes, &all) == 0
            && posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) == 0
        guard isReady else { throw TestFailure("posix_spawnattr") }
        let error = unsafe posix_spawnp(&child, words[0], nil, &attributes, pointers, environ)
        _ = unsafe posix_spawnattr_destroy(&attributes)  // always 0 here
        for position in unsafe pointers.indices { unsafe free(pointers[position]) }
        guard error == 0 else { throw TestFailure("\(words[0]): errno \(error)") }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0 {
            guard errno == EINTR else { throw TestFailure("waitpid: errno \(errno)") }
        }
        return status
    }
}

/// Everything that starts programs, one test at a time: control groups and timing are then as expected.
@Suite(.serialized)
enum CommandSuites {}

func textOfPackageFile(_ name: String) throws -> String {
    guard let text = SystemFiles.real.read("\(packageFolder)/\(name)").text else { throw TestFailure("\(name) cannot be read") }
    return text
}
