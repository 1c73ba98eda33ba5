import Glibc

// Safety: the C calls read a path and keep no pointer.

/// A control group of one's own that counts the memory of whatever runs in it.
struct MemoryGroup {
    let directory: String
    private let peakFile: String

    /// What its figures are.
    var method: String { "cgroup \(peakFile)" }

    /// Makes a group below this process's own; nil where that is not allowed, or where nothing counts memory.
    static func make(_ name: String) -> MemoryGroup? {
        for parent in ownGroups() {
            let directory = "\(parent)/\(name)"
            guard unsafe mkdir(directory, 0o755) == 0 else { continue }
            for file in ["memory.peak", "memory.max_usage_in_bytes"] where System.isReadable("\(directory)/\(file)") {
                return MemoryGroup(directory: directory, peakFile: file)
            }
            _ = unsafe rmdir(directory)  // nothing is in it; where it stays, it does no harm
        }
        return nil
    }

    /// Where the groups of this process are: version 1 with a hierarchy for memory, version 2 alone or beside it.
    private static func ownGroups() -> [String] {
        var found: [String] = []
        for line in (System.readText("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let path = parts[2] == "/" ? "" : String(parts[2])
            if parts[1].split(separator: ",").contains("memory") { found.append("/sys/fs/cgroup/memory\(path)") }
            if parts[1].isEmpty { found += ["/sys/fs/cgroup\(path)", "/sys/fs/cgroup/unified\(path)"] }
        }
        return found
    }

    var processesFile: String { "\(directory)/cgroup.procs" }

    /// The most that was in use at once.
    var peakBytes: UInt64? {
        System.readText("\(directory)/\(peakFile)").flatMap { UInt64($0.split(separator: "\n").first ?? "") }
    }

    /// Takes the group away, once the last process in it is gone.
    func remove() {
        for _ in 0..<50 {
            if unsafe rmdir(directory) == 0 { return }
            usleep(10_000)
        }
        System.writeToStandardError("cistern-bench: the control group \(directory) could not be removed\n")
    }
}
