public import CVirtualMemory

/// Small files of the system, such as those of /proc, below a root that tests can move.
///
/// Safety: the table of calls outlives the value, as whoever made it vouches; buffers live as long as the call that fills them.
@safe
public struct SystemFiles {
    /// What came of reading a file.
    public enum Reading: Equatable, Sendable {
        /// Its beginning. Bytes that are no UTF-8 are replaced.
        case text(String)
        /// There is no such file.
        case missing
        /// errno of why it could not be read.
        case failed(Int32)

        /// The text, if it was read.
        public var text: String? { if case .text(let text) = self { text } else { nil } }
    }

    /// The directory that stands for the root; empty for the real one.
    public let root: String
    let calls: UnsafePointer<cistern_os_calls>

    /// Files below a root, read through a table of system calls that must outlive this value.
    public init(root: String, calls: UnsafePointer<cistern_os_calls>) {
        self.root = root
        unsafe self.calls = unsafe calls
    }

    /// The real files.
    public static var real: SystemFiles { unsafe SystemFiles(root: "", calls: cistern_os_system()) }

    /// The most bytes that are read of a file.
    public static var byteCountLimit: Int { 1 << 16 }

    /// Reads the beginning of a file.
    /// - Parameter path: absolute, without the root.
    public func read(_ path: String) -> Reading { readWhole(root + path) }

    /// Reads the beginning of a file whose path has the root in it, as paths of `groups(of:)` have.
    public func readWhole(_ path: String) -> Reading {
        if path.utf8.contains(0) { return .failed(SystemCode.invalid) }
        var bytes = [UInt8](repeating: 0, count: Self.byteCountLimit)
        var count = 0
        let code = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            unsafe path.withCString { name in
                unsafe calls.pointee.read_file(calls.pointee.context, name, buffer.baseAddress!, buffer.count, &count)
            }
        }
        if code == SystemCode.noEntry || code == SystemCode.notADirectory { return .missing }
        guard code == 0 else { return .failed(code) }
        return .text(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self))
    }
}

/// Something that could not be read, and why.
public struct Unreadable: Equatable, Sendable {
    /// The file, or what else was asked.
    public var subject: String
    /// errno; EINVAL for text that makes no sense.
    public var code: Int32

    /// Something that could not be read, and why.
    public init(_ subject: String, code: Int32) {
        self.subject = subject
        self.code = code
    }

    /// Subject and reason on one line.
    public var line: String { "\(printable(subject)): \(SystemCode.text(code))" }
}

/// errno values and what they mean.
public enum SystemCode {
    static var noEntry: Int32 { 2 }
    static var notADirectory: Int32 { 20 }
    static var invalid: Int32 { 22 }

    /// What a person reads, in the C library's words; for a rare one its number.
    public static func text(_ code: Int32) -> String {
        switch code {
        case 1: "Operation not permitted"
        case 2: "No such file or directory"
        case 5: "Input/output error"
        case 6: "No such device or address"
        case 7: "Argument list too long"
        case 8: "Exec format error"
        case 9: "Bad file descriptor"
        case 11: "Resource temporarily unavailable"
        case 12: "Cannot allocate memory"
        case 13: "Permission denied"
        case 16: "Device or resource busy"
        case 17: "File exists"
        case 19: "No such device"
        case 20: "Not a directory"
        case 21: "Is a directory"
        case 22: "Invalid argument"
        case 23: "Too many open files in system"
        case 24: "Too many open files"
        case 26: "Text file busy"
        case 27: "File too large"
        case 28: "No space left on device"
        case 30: "Read-only file system"
        case 32: "Broken pipe"
        case 36: "File name too long"
        case 40: "Too many levels of symbolic links"
        case 95: "Operation not supported"
        default: "errno \(code)"
        }
    }
}
