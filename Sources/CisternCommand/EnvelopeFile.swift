import Envelope
import Glibc

/// The file that an envelope is kept in. It is replaced as a whole, and reaches the disk each time, so that whatever dies, the
/// last whole text is there. What is no regular file, such as a pipe, is written to instead.
///
/// Safety: paths are texts that live as long as the call that reads them.
struct EnvelopeFile {
    let path: String

    /// Replaces the text. Returns what went wrong, or nil.
    func replace(_ text: String) -> String? {
        var state = stat()
        let exists = unsafe stat(path, &state) == 0
        if exists, state.st_mode & S_IFMT != S_IFREG { return write(text, path, O_WRONLY | O_APPEND) }
        let temporary = "\(path).\(getpid())"
        guard let problem = write(text, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW) ?? rename(temporary) else { return nil }
        // A file in a directory that is not ours, or one that is a mount point, can only be written where it stands.
        return exists ? write(text, path, O_WRONLY | O_TRUNC) : problem
    }

    private func rename(_ temporary: String) -> String? {
        if unsafe Glibc.rename(temporary, path) == 0 { return nil }
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
