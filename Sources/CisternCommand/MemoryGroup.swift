import Envelope
import Glibc
import Limits

/// A control group for one command: made below the own group, so that every bound of that holds too; with version 2 also
/// beside it, where the own group has no bound of its own. Removed after the run.
///
/// Safety: paths are texts that live as long as the call that reads them.
struct MemoryGroup {
    /// Its directory.
    let path: String
    let version: ControlGroupDirectory.Version
    /// The group that this process is in, and the command would be in without this one.
    private let own: String
    /// cgroup.procs, open for writing.
    let processesFile: Int32

    /// The file that counts kills in it.
    var killCounter: KillCounter {
        KillCounter(source: path + "/" + KillCounter.fileName(version), isOfCommandAlone: true)
    }

    /// The most that it held at once; nil when the kernel does not tell.
    func peakBytes(_ files: SystemFiles) -> UInt64? {
        let name = version == .v1 ? "memory.max_usage_in_bytes" : "memory.peak"
        return files.readWhole("\(path)/\(name)").text.flatMap { text in UInt64(text.prefix { $0 >= "0" && $0 <= "9" }) }
    }

    /// Makes a group and bounds it.
    static func make(limitBytes: UInt64, files: SystemFiles) -> Result<MemoryGroup, RunBounds.GroupProblem> {
        let groups = files.groups(of: .memory)
        var problems: [String] = []
        for own in groups where own.level == 0 && hasMemory(own, files) {
            var places = [own]
            if own.version == .v2, hasNoBound(own, files), let parent = groups.first(where: { $0.version == .v2 && $0.level == 1 }) {
                places.append(parent)
            }
            for place in places {
                switch make(in: place, own: own, limitBytes, files) {
                case .success(let group): return .success(group)
                case .failure(let problem): problems.append(problem.text)
                }
            }
        }
        return .failure(.init(problems.isEmpty ? "no control group here has a memory controller" : problems.joined(separator: "; ")))
    }

    private static func hasMemory(_ group: ControlGroupDirectory, _ files: SystemFiles) -> Bool {
        switch group.version {
        case .v1: files.readWhole(group.path + "/memory.limit_in_bytes") != .missing
        case .v2: lists(group.path + "/cgroup.controllers", "memory", files)
        }
    }

    private static func hasNoBound(_ group: ControlGroupDirectory, _ files: SystemFiles) -> Bool {
        let bounds = ["memory.max", "memory.high"].map { files.readWhole("\(group.path)/\($0)") }
        return bounds.allSatisfy { $0 == .text("max\n") }
    }

    private static func lists(_ path: String, _ word: String, _ files: SystemFiles) -> Bool {
        files.readWhole(path).text?.split(whereSeparator: \.isWhitespace).contains { $0 == word } ?? false
    }

    private static func make(
        in place: ControlGroupDirectory, own: ControlGroupDirectory, _ limitBytes: UInt64, _ files: SystemFiles
    ) -> Result<MemoryGroup, RunBounds.GroupProblem> {
        let control = place.path + "/cgroup.subtree_control"
        if place.version == .v2, !lists(control, "memory", files) {
            let code = write("+memory", to: control)
            if code != 0 { return .failure(.init("\(control): \(SystemCode.text(code))")) }
        }
        // A name that is taken is not ours to remove: another process has it, of a container with numbers of its own, or one that
        // was killed left it.
        let name = "\(place.path)/cistern-\(getpid())"
        var path = name
        var isMade = unsafe mkdir(path, 0o755) == 0
        for number in 2...100 where !isMade && errno == EEXIST {
            path = "\(name)-\(number)"
            isMade = unsafe mkdir(path, 0o755) == 0
        }
        if !isMade { return .failure(.init("mkdir \(path): \(SystemCode.text(errno))")) }
        let file = path + (place.version == .v1 ? "/memory.limit_in_bytes" : "/memory.max")
        var problem: String?
        let code = write("\(limitBytes)", to: file)
        if code != 0 { problem = "\(file): \(SystemCode.text(code))" }
        let processes = unsafe open(path + "/cgroup.procs", O_WRONLY | O_CLOEXEC)
        if problem == nil, processes < 0 { problem = "\(path)/cgroup.procs: \(SystemCode.text(errno))" }
        guard let problem else { return .success(MemoryGroup(path: path, version: place.version, own: own.path, processesFile: processes)) }
        if processes >= 0 { _ = close(processes) }  // nothing was written
        _ = unsafe rmdir(path)  // empty, and a group that stays is harmless
        return .failure(.init(problem))
    }

    private static func write(_ text: String, to path: String) -> Int32 {
        let file = unsafe open(path, O_WRONLY | O_CLOEXEC)
        if file < 0 { return errno }
        let code = Output.write(text, to: file)
        return close(file) == 0 || code != 0 ? code : errno
    }

    /// Removes the group. The kernel may take a moment after its last process; what the run leaves behind longer than that moves
    /// to the own group. Returns what is worth telling, or nil.
    func remove(_ files: SystemFiles = .real) -> String? {
        _ = close(processesFile)  // the command joined long ago, or not at all
        var moved: Set<Substring> = []
        for attempt in 0..<20 {
            if unsafe rmdir(path) == 0 {
                return moved.isEmpty ? nil : "processes that the run left behind go on without its memory bound: \(moved.count)"
            }
            if errno != EBUSY { return "\(path) stays: \(SystemCode.text(errno))" }
            if attempt >= 5 {
                for process in (files.readWhole("\(path)/cgroup.procs").text ?? "").split(separator: "\n")
                where Self.write(String(process), to: "\(own)/cgroup.procs") == 0 { moved.insert(process) }
            }
            _ = usleep(10_000)
        }
        return "\(path) stays: processes of the run, or groups that it made, are still in it"
    }
}
