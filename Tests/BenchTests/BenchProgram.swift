import Glibc
@_exported import TestSupport
import Testing

/// What a program said and how it ended.
struct ProgramOutcome {
    var exitCode: Int32
    var signal: Int32
    var output: String
    var errors: String

    var errorLineCount: Int { errors.split(separator: "\n", omittingEmptySubsequences: false).count - 1 }
}

/// Starts programs through the shell, with their output in files of a directory of their own.
struct BenchProgram {
    let directory: String

    /// The directory is new, and belongs to one test.
    init() throws {
        var template = Array("/tmp/cistern-bench-test-XXXXXX".utf8CString)
        // mkdtemp writes into the array, which ends in a zero byte.
        let made = unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) != nil }
        guard made else { throw TestFailure("mkdtemp: errno \(errno)") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// cistern-bench lies beside this test bundle's own program.
    static func programPath() throws -> String {
        var bytes = [CChar](repeating: 0, count: 4096)
        // readlink writes at most the array's length.
        let length = unsafe bytes.withUnsafeMutableBufferPointer { unsafe readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
        let own = String(decoding: bytes.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // Under `swift test` the running program may be the toolchain's helper: then the bundle's path is an argument.
        for candidate in [own] + CommandLine.arguments {
            guard let slash = candidate.lastIndex(of: "/") else { continue }
            let program = candidate[..<slash] + "/cistern-bench"
            if unsafe access(String(program), X_OK) == 0 { return String(program) }
        }
        throw TestFailure("cistern-bench is not beside \(own)")
    }

    /// Where the real traces are.
    static var traceDirectory: String { packageFolder + "/Benchmarks/Traces" }

    /// Runs cistern-bench. `shell` comes before it in the shell's command, for limits.
    func bench(_ arguments: [String], shell: String = "", traceDirectory: String = Self.traceDirectory) throws -> ProgramOutcome {
        let places = ["--cache", "\(directory)/cache", "--traces", traceDirectory]
        let all = try [BenchProgram.programPath()] + arguments + places
        return try run("\(shell) exec \"$@\"", all)
    }

    /// Runs a shell command with arguments "$1" and so on, and waits for its end.
    func run(_ command: String, _ arguments: [String] = []) throws -> ProgramOutcome {
        let script = "exec >'\(directory)/output' 2>'\(directory)/errors' </dev/null; \(command)"
        let status = try spawn(["/bin/sh", "-c", script, "sh"] + arguments)
        let signal = status & 0x7f
        return ProgramOutcome(
            exitCode: signal == 0 ? (status >> 8) & 0xff : -1, signal: signal, output: try read("output"), errors: try read("errors"))
    }

    func read(_ name: String) throws -> String { String(decoding: try readBytes(name), as: UTF8.self) }

    func readBytes(_ name: String) throws -> [UInt8] {
        guard let bytes = bytes(ofFile: "\(directory)/\(name)") else { throw TestFailure("\(name): errno \(errno)") }
        return bytes
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        guard let file = unsafe fopen("\(directory)/\(name)", "w") else { throw TestFailure("\(name): errno \(errno)") }
        // fwrite reads the array's own length.
        let count = unsafe bytes.withUnsafeBytes { unsafe fwrite($0.baseAddress ?? UnsafeRawPointer(file), 1, $0.count, file) }
        guard unsafe fclose(file) == 0, count == bytes.count else { throw TestFailure("\(name): cannot be written") }
    }

    /// Packs bytes with gzip under this name; returns its path.
    func gzip(_ name: String, _ bytes: [UInt8]) throws -> String {
        try write("\(name).raw", bytes)
        let packed = try run("exec gzip -c <\"$1\" >\"$2\"", ["\(directory)/\(name).raw", "\(directory)/\(name)"])
        guard packed.exitCode == 0 else { throw TestFailure("gzip: \(packed.errors)") }
        return "\(directory)/\(name)"
    }

    /// What every page has: each row, the machine, the command, and nothing from elsewhere.
    static func checkPage(_ page: String, _ rows: TargetRows) throws {
        #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</body></html>\n"))
        for row in rows.rows { #expect(page.contains("<tr><td>\(row.name)</td>"), "\(row.name)") }
        for text in ["<li>cpu: ", "<li>command: cistern-bench ", "<li>kernel: ", "&quot;machine&quot;: {"] {
            #expect(page.contains(text), "\(text)")
        }
        for text in ["http://", "https://", "src=", "href=", "@import", "url(", "Optional("] { #expect(!page.contains(text), "\(text)") }
    }

    func remove() {
        // The name comes from mkdtemp. A directory that stays behind fails no test.
        _ = try? run("exec rm -rf \"$1\"", [directory])
    }

    private func spawn(_ arguments: [String]) throws -> Int32 {
        var child: pid_t = 0
        // The copies live until the call has returned; posix_spawn copies them in turn.
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        let error = unsafe posix_spawn(&child, "/bin/sh", nil, nil, pointers, environ)
        for position in unsafe pointers.indices { unsafe free(pointers[position]) }
        guard error == 0 else { throw TestFailure("posix_spawn: errno \(error)") }
        var status: Int32 = 0
        // waitpid writes one number.
        while unsafe waitpid(child, &status, 0) < 0 {
            guard errno == EINTR else { throw TestFailure("waitpid: errno \(errno)") }
        }
        return status
    }
}
