import Envelope
import Glibc

/// Why the command line cannot be followed: one line on standard error and an exit code.
struct CommandFailure: Error {
    var message: String
    var exitCode: Int32

    static func badUse(_ message: String) -> CommandFailure { CommandFailure(message: message, exitCode: 2) }
    static func ownFailure(_ message: String) -> CommandFailure { CommandFailure(message: message, exitCode: 125) }
}

/// Standard output and error.
///
/// Safety: buffers are arrays that live as long as the call that reads them.
enum Output {
    /// Writes all of a text; throws exit code 1 when that fails, as on a full disk.
    static func result(_ text: String) throws(CommandFailure) {
        let code = write(text, to: 1)
        if code != 0 { throw CommandFailure(message: "standard output: \(SystemCode.text(code))", exitCode: 1) }
    }

    /// Writes a diagnostic. That it cannot be written can be told nowhere.
    static func diagnostic(_ text: String) { _ = write(text, to: 2) }

    /// Writes all of a text. Returns 0 or errno.
    static func write(_ text: String, to file: Int32) -> Int32 {
        let bytes = Array(text.utf8)
        var position = 0
        while position < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress! + position, $0.count - position) }
            if count < 0, errno != EINTR { return errno }
            position += max(0, count)
        }
        return 0
    }

    /// Opens what is closed of standard input, output and error, so that no file of ours gets their number. Nothing can be
    /// written there, as before, and a command that is started finds them closed again.
    static func occupyStandardFiles() {
        for file in 0..<3 as Range<Int32> where fcntl(file, F_GETFD) < 0 {
            _ = unsafe open("/dev/null", (file == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC)
        }
    }
}
