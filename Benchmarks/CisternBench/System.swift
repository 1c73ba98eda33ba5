import CReplay
import Glibc

/// The operating system as this tool needs it: files, environment, output.
///
/// Safety: the C calls read texts and fill buffers of the length given, and keep no pointer; none leaves this file.
enum System {
    private static let highestPathByteCount = 4096

    /// The first `limit` bytes of a file; nil when it cannot be read.
    static func readFile(_ path: String, limit: Int) -> [UInt8]? {
        unsafe gathered(limit: limit) { unsafe creplay_read_file(path, $0, $1) }
    }

    static func readText(_ path: String, limit: Int = 1 << 16) -> String? {
        readFile(path, limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Replaces a file's contents. Complexity: O(bytes).
    static func writeFile(_ path: String, _ text: String) throws(BenchError) {
        let bytes = Array(text.utf8)
        // The array stays as it is while the call reads it.
        let written = unsafe creplay_write_file(path, bytes, bytes.count)
        if !written { throw BenchError("cannot write \(path)") }
    }

    static func isReadable(_ path: String) -> Bool { unsafe creplay_is_readable(path) }

    static func makeDirectory(_ path: String) -> Bool { unsafe creplay_make_directory(path) }

    /// The path with all links followed; nil when there is nothing.
    static func resolved(_ path: String) -> String? {
        unsafe gathered(limit: highestPathByteCount) { unsafe creplay_resolved_path(path, $0, $1) }
            .map { String(decoding: $0, as: UTF8.self) }
    }

    static func namesInDirectory(_ path: String) -> [String]? {
        unsafe gathered(limit: 1 << 20) { unsafe creplay_list_directory(path, $0, $1) }.map { bytes in
            bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
                .filter { $0 != "." && $0 != ".." }.sorted()
        }
    }

    /// The path of this program; nil when /proc does not tell.
    static func executablePath() -> String? {
        unsafe gathered(limit: highestPathByteCount) { unsafe creplay_executable_path($0, $1) }
            .map { String(decoding: $0, as: UTF8.self) }
    }

    static func environment(_ name: String) -> String? {
        // The text is copied at once; nothing here changes the environment.
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    static func writeToStandardError(_ text: String) {
        let bytes = Array(text.utf8)
        // There is nowhere to report that standard error is closed.
        _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
    }

    /// Runs a C call that fills a buffer of the given length and returns how much of it, or -1. The buffer lives as long as
    /// the call, and its length goes with it.
    private static func gathered(limit: Int, _ call: (UnsafeMutableRawPointer, Int) -> Int64) -> [UInt8]? {
        precondition(limit > 0)
        var bytes = [UInt8](repeating: 0, count: limit)
        let length = unsafe bytes.withUnsafeMutableBytes { unsafe call($0.baseAddress!, $0.count) }
        return length < 0 ? nil : Array(bytes.prefix(Int(length)))
    }
}
