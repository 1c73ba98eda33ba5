import CReplay

/// How a child ended, and what it wrote.
struct ChildOutcome {
    var error: Int32
    var exitCode: Int32
    var signal: Int32
    var output: [UInt8]

    var succeeded: Bool { error == 0 && exitCode == 0 }

    var description: String {
        if error != 0 { return "could not be started (errno \(error))" }
        return signal != 0 ? "ended by signal \(signal)" : "ended with exit code \(exitCode)"
    }
}

/// One child process: what to run and under which limits.
struct ChildProcess {
    enum Stream: Int32 {
        case standardOutput = 1
        case standardError = 2
        case results = 3
    }

    var arguments: [String]
    var preload: String?
    var addressSpaceBytes: UInt64 = 0
    var cpu: Int32 = -1
    var captured = Stream.results
    var timeoutSeconds: UInt32 = 300

    /// Runs the child to its end; keeps at most `limit` bytes of the captured stream.
    func run(limit: Int = 1 << 16) -> ChildOutcome {
        // All texts in one buffer, each ending in a zero byte; the pointers below lead into it.
        var texts: [CChar] = []
        var starts: [Int] = []
        for argument in arguments + [preload ?? ""] {
            starts.append(texts.count)
            texts.append(contentsOf: argument.utf8.map { CChar(bitPattern: $0) })
            texts.append(0)
        }
        var outcome = creplay_spawn_outcome()
        var output: [UInt8] = []
        // Safety: every pointer is used only while the call runs, inside the closures that keep the buffers alive; the
        // list of arguments ends in nil, and each text in a zero byte.
        unsafe texts.withUnsafeBufferPointer { buffer in
            let base = buffer.baseAddress!
            var pointers: [UnsafePointer<CChar>?] = unsafe starts.dropLast().map { unsafe base + $0 }
            unsafe pointers.append(nil)
            unsafe pointers.withUnsafeBufferPointer { list in
                var spawn = unsafe creplay_spawn(
                    arguments: list.baseAddress!, preload: base + starts[starts.count - 1], address_space_bytes: addressSpaceBytes,
                    cpu: cpu, captured_descriptor: captured.rawValue, timeout_seconds: timeoutSeconds)
                output = unsafe [UInt8](unsafeUninitializedCapacity: limit) { bytes, count in
                    outcome = unsafe creplay_run_child(&spawn, bytes.baseAddress!, bytes.count)
                    count = outcome.output_byte_count
                }
            }
        }
        return ChildOutcome(error: outcome.error, exitCode: outcome.exit_code, signal: outcome.signal, output: output)
    }
}
