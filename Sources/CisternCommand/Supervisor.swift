import CCommand
import Envelope
import Glibc

/// One run: makes the control group, starts the command, waits, looks at it now and then, and reports.
///
/// Safety: the words of the command live as long as the process; records handed to C live as long as the call.
@safe
struct Supervisor {
    private let words: [String]
    private var bounds: RunBounds
    private let file: EnvelopeFile?
    private let printsEnvelope: Bool
    private let isJSON: Bool
    private let files = SystemFiles.real
    private var envelope: RunEnvelope?
    private var child = cistern_child()
    private var group: MemoryGroup?
    private var evidence = KillEvidence()
    private var use = RunUse()
    private var forwarded: Set<Int32> = []
    private var hasToldFileProblem = false
    private var hasToldSignalProblem = false

    /// How often the envelope's file is brought up to date.
    private static let refreshMilliseconds: UInt64 = 5000
    /// How long the longest pause between two looks at the command is.
    private static let longestPauseMilliseconds: UInt32 = 50

    init(words: [String], bounds: RunBounds, file: EnvelopeFile?, printsEnvelope: Bool, isJSON: Bool) {
        self.words = words
        self.bounds = bounds
        self.file = file
        self.printsEnvelope = printsEnvelope
        self.isJSON = isJSON
    }

    /// Runs the command and returns the exit code to end with.
    mutating func run(_ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) throws(CommandFailure) -> Int32 {
        let code = unsafe cistern_child_prepare(&child)
        if code != 0 { throw .ownFailure("signals: \(SystemCode.text(code))") }
        makeGroup()
        if let bytes = bounds.capacity?.bytes, unsafe setenv("SKIP_CAPACITY", "\(bytes)", 1) != 0 {
            throw leaving(.ownFailure("SKIP_CAPACITY cannot be set: \(SystemCode.text(errno))"))
        }
        try openEnvelope()
        evidence.counters = ([group?.killCounter].compactMap { $0 } + KillCounter.shared(files)).map { counter in
            var counter = counter
            counter.before = counter.count(files)
            return counter
        }
        let log = KernelLogReader()
        evidence.logProblem = log.problem
        let started = Self.now(CLOCK_MONOTONIC)
        try unsafe start(arguments)
        let end = try supervise(since: started)
        gather(end, log)
        use.elapsedMilliseconds = Self.now(CLOCK_MONOTONIC) - started
        report(end)
        if let problem = group?.remove() { tell(problem) }
        return end.status
    }

    /// Reads what surrounds the run and writes the first block, where somebody will see it.
    private mutating func openEnvelope() throws(CommandFailure) {
        guard printsEnvelope || file != nil else { return }
        var before = Surroundings.read(files)
        before.disks = DiskSpaces.read()
        let envelope = RunEnvelope(command: words, bounds: bounds, before: before, startSeconds: Self.now(CLOCK_REALTIME) / 1000)
        self.envelope = envelope
        let text = isJSON ? JSON.members([("before", envelope.firstJSON)]).line + "\n" : envelope.firstBlock
        if printsEnvelope { Output.diagnostic(text) }
        if let problem = file?.replace(text) { throw leaving(.ownFailure("--envelope-file: \(problem)")) }
    }

    private mutating func makeGroup() {
        guard let bytes = bounds.memoryBytes else { return }
        switch MemoryGroup.make(limitBytes: bytes, files: files) {
        case .success(let made):
            group = made
            bounds.group = .success(made.path)
        case .failure(let problem):
            bounds.group = .failure(problem)
            tell("--memory \(bytes): no control group can be made here (\(problem.text)); the command runs without that bound")
        }
    }

    /// Removes the group before a failure is told.
    private func leaving(_ failure: CommandFailure) -> CommandFailure {
        if let problem = group?.remove() { tell(problem) }
        return failure
    }

    private mutating func start(_ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) throws(CommandFailure) {
        var request = unsafe cistern_child_request(
            arguments: arguments, address_space_bytes: bounds.addressSpaceBytes ?? UInt64.max, group_file: group?.processesFile ?? -1)
        let code = unsafe cistern_child_start(&request, &child)
        let name = printable(words.first ?? "")
        if code != 0 {
            let reason = SystemCode.text(code)
            switch child.failed_step {
            case UInt32(CISTERN_STEP_EXECUTE):
                let isMissing = code == ENOENT
                throw leaving(CommandFailure(message: "'\(name)': \(reason); expected a program", exitCode: isMissing ? 127 : 126))
            case UInt32(CISTERN_STEP_ADDRESS_SPACE):
                throw leaving(
                    .ownFailure("--address-space \(bounds.addressSpaceBytes ?? 0): \(reason); expected no more than the hard limit"))
            default: throw leaving(.ownFailure("'\(name)' cannot be started: \(reason)"))
            }
        }
        if child.group_code != 0 {
            let problem = RunBounds.GroupProblem("\(group?.path ?? "")/cgroup.procs: \(SystemCode.text(child.group_code))")
            bounds.group = .failure(problem)
            tell("--memory: the command cannot join its control group (\(problem.text)); it runs without that bound")
        }
    }

    /// Waits for the end, and looks at the command meanwhile: soon after the start, then ever more rarely.
    private mutating func supervise(since started: UInt64) throws(CommandFailure) -> CommandEnd {
        var pause: UInt32 = 1
        var refreshed = started
        while true {
            let statuses = ProcessTree.statuses(of: child.process, files)
            use.add(statuses: statuses)
            let now = Self.now(CLOCK_MONOTONIC)
            if now - refreshed >= Self.refreshMilliseconds {
                refreshed = now
                use.elapsedMilliseconds = now - started
                refresh()
            }
            var event = cistern_child_event()
            let code = unsafe cistern_child_wait(&child, pause, &event)
            if code != 0 { throw leaving(.ownFailure("waiting for process \(child.process): \(SystemCode.text(code))")) }
            // A look at many processes takes a while; it is then taken more rarely.
            pause = min(pause * 2, Self.longestPauseMilliseconds * UInt32(1 + statuses.count / 16))
            if event.kind == UInt32(CISTERN_EVENT_SIGNAL) { note(event) }
            guard event.kind == UInt32(CISTERN_EVENT_END) else { continue }
            use.peakResidentBytes = event.max_resident_bytes
            use.userMicroseconds = event.user_microseconds
            use.systemMicroseconds = event.system_microseconds
            return event.signal != 0 ? .signalled(event.signal) : .exited(event.exit_code)
        }
    }

    /// A signal that was passed on, or could not be: the command may have become another user.
    private mutating func note(_ event: cistern_child_event) {
        if event.code == 0 {
            forwarded.insert(event.signal)
        } else if !hasToldSignalProblem {
            hasToldSignalProblem = true
            tell("signal \(event.signal) cannot be passed on to process \(child.process): \(SystemCode.text(event.code)); waiting goes on")
        }
    }

    /// Reads the counters again. After a kill without a proof that is repeated for a while: the kernel counts and writes its log
    /// after it has sent the signal.
    private mutating func gather(_ end: CommandEnd, _ log: KernelLogReader) {
        if let group { use.groupPeakBytes = group.peakBytes(files) }
        let isKill = end == .signalled(SIGKILL) || end == .exited(128 + SIGKILL)
        evidence.hasReadLog = isKill
        for _ in 0..<(isKill ? 10 : 1) {
            for index in evidence.counters.indices { evidence.counters[index].after = evidence.counters[index].count(files) }
            if isKill { evidence.logRecord = log.record(ofVictim: child.process) }
            if evidence.proof != nil || !isKill { return }
            _ = usleep(10_000)
        }
    }

    private mutating func refresh() {
        guard let file, let envelope else { return }
        if let group { use.groupPeakBytes = group.peakBytes(files) }
        for index in evidence.counters.indices { evidence.counters[index].after = evidence.counters[index].count(files) }
        let text =
            isJSON
            ? JSON.members([("before", envelope.firstJSON), ("running", envelope.runningJSON(use, evidence))]).line + "\n"
            : envelope.firstBlock + envelope.runningBlock(use, evidence)
        tellOnce(file.replace(text))
    }

    private mutating func report(_ end: CommandEnd) {
        let verdict = Verdict.of(end, evidence)
        if !printsEnvelope, let sentence = verdict.sentence(end, evidence), !isExpected(verdict) {
            tell("'\(printable(words.first ?? ""))': \(sentence)")
        }
        guard let envelope else { return }
        let json = envelope.lastJSON(end, use, evidence)
        let text = envelope.lastBlock(end, use, evidence)
        if printsEnvelope { Output.diagnostic(isJSON ? JSON.members([("after", json)]).line + "\n" : text) }
        let whole = isJSON ? JSON.members([("before", envelope.firstJSON), ("after", json)]).line + "\n" : envelope.firstBlock + text
        tellOnce(file?.replace(whole))
    }

    /// As in a shell, an end by SIGINT or SIGPIPE needs no words; nor does one by a signal that was passed on.
    private func isExpected(_ verdict: Verdict) -> Bool {
        guard case .signalled(let signal) = verdict else { return false }
        return signal == SIGINT || signal == SIGPIPE || forwarded.contains(signal)
    }

    private func tell(_ text: String) { Output.diagnostic("cistern run: \(text)\n") }

    private mutating func tellOnce(_ problem: String?) {
        guard let problem, !hasToldFileProblem else { return }
        hasToldFileProblem = true
        tell("--envelope-file: \(problem)")
    }

    /// Milliseconds of a clock. Linux has both clocks that are asked for, so the call cannot fail.
    private static func now(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        _ = unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }
}

/// Room where a build writes.
///
/// Safety: records handed to C live as long as the call.
enum DiskSpaces {
    private static func current() -> String? {
        var bytes = [CChar](repeating: 0, count: 4096)
        return unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            unsafe getcwd(buffer.baseAddress!, buffer.count).map { unsafe String(cString: $0) }
        }
    }

    /// The current directory, and the temporary directory when it is on another file system. What cannot be asked is left out.
    static func read() -> [Surroundings.DiskSpace] {
        let temporary = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var seen: Set<UInt> = []
        return [current() ?? ".", temporary].compactMap { path in
            var system = statvfs()
            guard unsafe statvfs(path, &system) == 0, seen.insert(UInt(system.f_fsid)).inserted else { return nil }
            let unit = UInt64(system.f_frsize)
            let (free, freeOverflow) = UInt64(system.f_bavail).multipliedReportingOverflow(by: unit)
            let (total, overflow) = UInt64(system.f_blocks).multipliedReportingOverflow(by: unit)
            guard !freeOverflow, !overflow else { return nil }
            return Surroundings.DiskSpace(path: path, freeBytes: free, totalBytes: total)
        }
    }
}

/// The processes of a run, as far as /proc tells which started which.
enum ProcessTree {
    /// The most processes that are looked at.
    private static let countLimit = 128

    /// What /proc/PID/status says of a process and of those that its main thread and theirs have started and that are still
    /// below them.
    static func statuses(of process: Int32, _ files: SystemFiles) -> [String] {
        var statuses: [String] = []
        var numbers = ["\(process)"]
        var next = 0
        while next < numbers.count {
            let number = numbers[next]
            next += 1
            guard let status = files.read("/proc/\(number)/status").text else { continue }
            statuses.append(status)
            let children = files.read("/proc/\(number)/task/\(number)/children").text ?? ""
            for child in children.split(separator: " ") where numbers.count < countLimit { numbers.append(String(child)) }
        }
        return statuses
    }
}
