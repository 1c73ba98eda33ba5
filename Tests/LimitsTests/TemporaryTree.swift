import CVirtualMemory
import Glibc
import Testing

/// A directory for the time of one test, with files in it; removed with everything in it when the object ends.
final class TemporaryTree {
    let root: String
    private var made: [(path: String, isDirectory: Bool)] = []

    init() throws {
        var name = Array("/tmp/limits-test-XXXXXX".utf8CString)
        let isMade = unsafe name.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) != nil }
        try #require(isMade)
        root = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for entry in made.reversed() {
            let code = unsafe entry.isDirectory ? rmdir(entry.path) : unlink(entry.path)
            if code != 0 { Issue.record("\(entry.path) is still there") }
        }
        if unsafe rmdir(root) != 0 { Issue.record("\(root) is still there") }
    }

    /// Makes a directory and those above it.
    func directory(_ path: String) {
        var whole = root
        for part in path.split(separator: "/") {
            whole += "/" + part
            if unsafe mkdir(whole, 0o755) == 0 { made.append((whole, true)) }
        }
    }

    func write(_ path: String, _ text: String) throws {
        try write(path, Array(text.utf8))
    }

    func write(_ path: String, _ bytes: [UInt8]) throws {
        if let slash = path.lastIndex(of: "/") { directory(String(path[..<slash])) }
        let file = unsafe open(root + "/" + path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        try #require(file >= 0)
        let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
        #expect(close(file) == 0 && written == bytes.count)
        let whole = root + "/" + path
        if !made.contains(where: { $0.path == whole }) { made.append((whole, false)) }
    }
}

/// What a table of system calls answers about limits; files are read from the real system.
struct Answers {
    var addressSpace = UInt64.max
    var data = UInt64.max
    var limitCode: Int32 = 0
    /// errno of every file whose path ends like this.
    var refusedEnding = ""
    var refusedCode: Int32 = 13

    /// Runs a closure with a table that gives these answers.
    func with<Result>(_ body: (UnsafePointer<cistern_os_calls>) throws -> Result) rethrows -> Result {
        var answers = self
        // Safety: the table and the answers live until the closure returns, and nothing keeps either.
        return try unsafe withUnsafeMutablePointer(to: &answers) { context in
            var calls = unsafe cistern_os_system().pointee
            unsafe calls.context = UnsafeMutableRawPointer(context)
            unsafe calls.read_limit = { context, which, value in
                let answers = unsafe context!.assumingMemoryBound(to: Answers.self).pointee
                if answers.limitCode != 0 { return answers.limitCode }
                unsafe value.pointee = which == UInt32(CISTERN_LIMIT_ADDRESS_SPACE) ? answers.addressSpace : answers.data
                return 0
            }
            unsafe calls.read_file = { context, path, buffer, capacity, byteCount in
                let answers = unsafe context!.assumingMemoryBound(to: Answers.self).pointee
                if !answers.refusedEnding.isEmpty, unsafe String(cString: path).hasSuffix(answers.refusedEnding) {
                    return answers.refusedCode
                }
                let system = unsafe cistern_os_system()
                return unsafe system.pointee.read_file(nil, path, buffer, capacity, byteCount)
            }
            return try unsafe body(&calls)
        }
    }
}
