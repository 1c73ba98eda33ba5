import Envelope
import Glibc

/// The file that an envelope is kept in. A regular file is replaced as a whole, and reaches the disk each time, so that whatever
/// dies, the last whole text is there. A pipe, a terminal and whatever is named by /dev or /proc is appended to; a link is
/// followed, never replaced.
///
/// Safety: paths are texts that live as long as the call that reads them; buffers too.
struct EnvelopeFile {
    let path: String

    /// Replaces the text. Returns what went wrong, or nil.
    func replace(_ text: String) -> String? {
        var state = stat()
        guard unsafe lstat(path, &state) == 0 else { return replaceWhole(path, text, exists: false) }
        let whole = Self.resolved(path)
        let isStream = ["/dev/", "/proc/"].contains { path.hasPrefix($0) || whole?.hasPrefix($0) ?? true }
        guard let whole, !isStream, unsafe stat(whole, &state) == 0, state.st_mode & S_IFMT == S_IFREG else {
            // A pipe that nobody reads is refused, not waited for.
            return write(text, path, O_WRONLY | O_APPEND | O_NONBLOCK)
        }
        return replaceWhole(whole, text, exists: true)
    }

    /// A path with all links followed.
    private static func resolved(_ path: String) -> String? {
        guard let found = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }

    private func replaceWhole(_ target: String, _ text: String, exists: Bool) -> String? {
        let temporary = "\(target).\(getpid())"
        let flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
        guard let problem = write(text, temporary, flags) ?? rename(temporary, target) else { return nil }
        // A file in a directory that is not ours, or one that is a mount point, can only be written where it stands.
        return exists ? write(text, target, O_WRONLY | O_TRUNC) : problem
    }

    private func rename(_ temporary: String, _ target: String) -> String? {
        if unsafe Glibc.rename(temporary, target) == 0 { return nil }
        let code = errno
        _ = unsafe unlink(temporary)  // the rename's own failure is what is told
        return "\(printable(path)): \(SystemCode.text(code))"
    }

    private func write(_ text: String, _ path: String, _ flags: Int32) -> String? {
        let file = unsafe open(path, flags | O_CLOEXEC, 0o644)
        guard file >= 0 else { return "\(printable(self.path)): \(SystemCode.text(errno))" }
        var code = Output.write(text, to: file)
        // What cannot be flushed, such as a pipe, answers EINVAL.
        if code == 0, fdatasync(file) != 0, errno != EINVAL { code = errno }
        if close(file) != 0, code == 0 { code = errno }
        return code == 0 ? nil : "\(printable(path)): \(SystemCode.text(code))"
    }
}
