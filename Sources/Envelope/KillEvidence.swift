public import Limits

/// The kernel's own count of processes that it killed for memory in one control group.
public struct KillCounter: Equatable, Sendable {
    /// The file: memory.events, or memory.oom_control of version 1.
    public var source: String
    /// The group holds the command and what it started, and nothing else.
    public var isOfCommandAlone: Bool
    /// The count before the start; nil when it could not be read.
    public var before: UInt64?
    /// The count after the end; nil when it could not be read.
    public var after: UInt64?

    /// A counter that has not been read.
    public init(source: String, isOfCommandAlone: Bool) {
        self.source = source
        self.isOfCommandAlone = isOfCommandAlone
    }

    /// How much it rose; nil when that is not known.
    public var rise: UInt64? {
        guard let before, let after else { return nil }
        return after > before ? after - before : 0
    }

    /// The counters of the groups that this process itself is in, one for each hierarchy that counts. A kill counts in the
    /// victim's own group.
    public static func shared(_ files: SystemFiles) -> [KillCounter] {
        files.groups(of: .memory).filter { $0.level == 0 }.map { directory in
            KillCounter(source: directory.path + "/" + fileName(directory.version), isOfCommandAlone: false)
        }.filter { $0.count(files) != nil }
    }

    /// The file that counts, by the hierarchy's version.
    public static func fileName(_ version: ControlGroupDirectory.Version) -> String {
        version == .v1 ? "memory.oom_control" : "memory.events"
    }

    /// What it says now; nil when it cannot be read or says nothing.
    public func count(_ files: SystemFiles) -> UInt64? {
        files.readWhole(source).text.flatMap { TextFields.number(after: "oom_kill", in: $0) }
    }
}

/// What the kernel's log says about kills.
public enum KernelLog {
    /// The command name in a record that says that this process was killed for memory; nil for any other record.
    ///
    /// Such a record is "Out of memory: Killed process 12 (name) ..." or begins with "Memory cgroup out of memory:". The number
    /// is that of the outermost process namespace.
    public static func victim(in record: String, process: Int32) -> String? {
        guard let line = TextFields.lines(record).first, line.contains("ut of memory: Kill") else { return nil }
        for start in ["Killed process ", "Kill process "] {
            guard let range = firstRange(of: start, in: line) else { continue }
            let rest = line[range...]
            let number = rest.prefix { $0 >= "0" && $0 <= "9" }
            guard number == "\(process)" else { return nil }
            let name = rest.dropFirst(number.count)
            guard name.hasPrefix(" ("), let end = name.firstIndex(of: ")") else { return "" }
            return String(name[name.index(name.startIndex, offsetBy: 2)..<end])
        }
        return nil
    }

    /// The index behind the first occurrence of a word.
    private static func firstRange(of word: String, in line: Substring) -> Substring.Index? {
        var start = line.startIndex
        while start < line.endIndex {
            if line[start...].hasPrefix(word) { return line.index(start, offsetBy: word.count) }
            start = line.index(after: start)
        }
        return nil
    }
}

/// What is known about memory kills during a run.
public struct KillEvidence: Equatable, Sendable {
    /// Counters that were looked at.
    public var counters: [KillCounter] = []
    /// A record of the kernel's log that names the command's own process.
    public var logRecord: String?
    /// Why the log could not be looked at; nil when it could.
    public var logProblem: String?
    /// True: the log was looked at after the end. That is done only when something was killed.
    public var hasReadLog = false

    /// Nothing was looked at.
    public init() {}

    /// How often the kernel killed something of the command's own group.
    public var killsOfCommand: UInt64 { counters.filter(\.isOfCommandAlone).compactMap(\.rise).max() ?? 0 }

    /// The proof that something of the run was killed for memory, in words; nil when there is none.
    public var proof: String? {
        if let counter = counters.first(where: { $0.isOfCommandAlone && ($0.rise ?? 0) > 0 }) {
            return "oom_kill of \(counter.source) rose from \(counter.before ?? 0) to \(counter.after ?? 0)"
        }
        return logRecord.map { "kernel log: \(printable($0))" }
    }

    /// What was seen that proves nothing about this command, and what could not be seen.
    public var remarks: [String] {
        var remarks: [String] = []
        for counter in counters where !counter.isOfCommandAlone {
            guard let rise = counter.rise else {
                remarks.append("\(counter.source) could not be read again")
                continue
            }
            if rise > 0 {
                remarks.append("the kernel killed \(rise) in the shared group of \(counter.source), not known which")
            } else {
                remarks.append("oom_kill of \(counter.source) did not rise")
            }
        }
        for counter in counters where counter.isOfCommandAlone {
            remarks.append(counter.rise.map { $0 == 0 ? "oom_kill of \(counter.source) stayed \(counter.after ?? 0)" : "" } ?? "")
            if counter.rise == nil { remarks.append("\(counter.source) could not be read") }
        }
        if let logProblem {
            remarks.append("kernel log: \(logProblem)")
        } else if hasReadLog, logRecord == nil {
            remarks.append("the kernel log names no kill of this process")
        }
        let said = remarks.filter { !$0.isEmpty }
        return said.isEmpty ? ["nothing that counts kills could be read"] : said
    }
}

/// How a command ended.
public enum CommandEnd: Equatable, Sendable {
    /// By itself, with this code.
    case exited(Int32)
    /// By a signal.
    case signalled(Int32)

    /// What a shell gives for it.
    public var status: Int32 {
        switch self {
        case .exited(let code): code
        case .signalled(let signal): 128 + signal
        }
    }
}

/// What can be said about the end of a command, without a guess beyond the evidence.
public enum Verdict: Equatable, Sendable {
    /// It ended by itself, and nothing speaks of memory.
    case ended
    /// The kernel killed it for memory; the proof.
    case killedForMemory(String)
    /// It ended by itself, but the kernel killed something of the run for memory; how often, and the proof.
    case partKilledForMemory(UInt64, String)
    /// Killed by signal 9, directly or by a shell's account, and nothing proves why.
    case killedCauseUnknown
    /// Exit code 24: a Skip runtime says by it that it ran out of memory. Other programs may mean something else.
    case exit24
    /// Ended by another signal.
    case signalled(Int32)

    static var killSignal: Int32 { 9 }

    /// What can be said.
    public static func of(_ end: CommandEnd, _ evidence: KillEvidence) -> Verdict {
        switch end {
        case .signalled(killSignal): return evidence.proof.map { .killedForMemory($0) } ?? .killedCauseUnknown
        case .signalled(let signal):
            if let proof = evidence.proof { return .partKilledForMemory(evidence.killsOfCommand, proof) }
            return .signalled(signal)
        case .exited(let code):
            if let proof = evidence.proof { return .partKilledForMemory(evidence.killsOfCommand, proof) }
            if code == 128 + killSignal { return .killedCauseUnknown }
            return code == 24 ? .exit24 : .ended
        }
    }

    /// One word or a few, for programs.
    public var word: String {
        switch self {
        case .ended: "ended"
        case .killedForMemory: "killed for memory"
        case .partKilledForMemory: "part of it killed for memory"
        case .killedCauseUnknown: "killed, cause unknown"
        case .exit24: "exit 24"
        case .signalled: "signalled"
        }
    }

    /// A sentence for a person, without its subject; nil when there is nothing to say.
    public func sentence(_ end: CommandEnd, _ evidence: KillEvidence) -> String? {
        switch self {
        case .ended: return nil
        case .killedForMemory(let proof): return "killed for memory (\(proof))"
        case .partKilledForMemory(let count, let proof):
            let what = count <= 1 ? "1 process of the run was" : "\(count) processes of the run were"
            return "\(what) killed for memory (\(proof))"
        case .killedCauseUnknown:
            let what = end == .exited(128 + Self.killSignal) ? "exit code 137, so a shell's command was killed" : "killed"
            return "\(what), cause unknown (\(evidence.remarks.joined(separator: "; ")))"
        case .exit24: return "exit code 24: out of memory, if the program is a Skip runtime"
        case .signalled(let signal): return "ended by \(SignalName.text(signal))"
        }
    }
}

/// Names of signals, as Linux numbers them on x86-64 and arm64.
public enum SignalName {
    private static let names = [
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2",
        "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG",
        "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
    ]

    /// Number and name.
    public static func text(_ signal: Int32) -> String {
        let index = Int(signal) - 1
        return names.indices.contains(index) ? "signal \(signal) (\(names[index]))" : "signal \(signal)"
    }
}
