import Envelope
import Glibc

/// The records that the kernel's log gets from now on.
///
/// Safety: buffers are arrays that live as long as the call that fills them.
struct KernelLogReader {
    private var file: Int32 = -1
    /// Why the log says nothing about processes here; nil when it can.
    private(set) var problem: String?

    /// Begins behind the last record.
    init() {
        // Outside the outermost process namespace, the log's process numbers are not ours.
        var name = [CChar](repeating: 0, count: 64)
        let length = unsafe name.withUnsafeMutableBufferPointer { unsafe readlink("/proc/self/ns/pid", $0.baseAddress!, $0.count) }
        let space = String(decoding: name.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard space == "pid:[4026531836]" else {
            problem = "not looked at: this process namespace is not the kernel's own"
            return
        }
        file = unsafe open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        if file < 0 || lseek(file, 0, SEEK_END) < 0 { problem = SystemCode.text(errno) }
    }

    /// The record that names a process as killed for memory, if one has come since.
    func record(ofVictim process: Int32) -> String? {
        guard problem == nil else { return nil }
        var bytes = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress!, $0.count) }
            if count < 0, errno == EPIPE || errno == EINTR { continue }  // records were overwritten; the next one follows
            if count <= 0 { return nil }
            let text = String(decoding: bytes.prefix(count), as: UTF8.self)
            guard KernelLog.victim(in: text, process: process) != nil else { continue }
            let line = text.prefix { $0 != "\n" }
            // Behind the first semicolon stands what was said.
            return line.firstIndex(of: ";").map { String(line[line.index(after: $0)...]) } ?? String(line)
        }
    }
}
