/// What surrounds a process at one moment: kernel, processors, memory, limits. What could not be read is nil, and said.
public struct Surroundings: Sendable {
    /// Room in a file system.
    public struct DiskSpace: Equatable, Sendable {
        /// A directory in it.
        public var path: String
        /// What an ordinary user may still write.
        public var freeBytes: UInt64
        /// All of it.
        public var totalBytes: UInt64

        /// Room in a file system.
        public init(path: String, freeBytes: UInt64, totalBytes: UInt64) {
            self.path = path
            self.freeBytes = freeBytes
            self.totalBytes = totalBytes
        }
    }

    /// Name, release and processor of the kernel.
    public var kernel: String
    /// Processors.
    public var processors: Processors
    /// The machine's memory.
    public var memory: MachineMemory
    /// Limits.
    public var limits: LimitReport
    /// Pressure figures.
    public var pressures: [Pressure]
    /// Room in file systems, as the caller found it.
    public var disks: [DiskSpace] = []
    /// What could not be read, each once.
    public var unreadables: [Unreadable] = []

    /// Reads everything now, but for room in file systems.
    public static func read(_ files: SystemFiles) -> Surroundings {
        let (pressures, pressureProblems) = Pressure.read(files)
        var all = Surroundings(
            kernel: "", processors: .read(files), memory: .read(files), limits: .read(files), pressures: pressures)
        let type = all.kernelWord("/proc/sys/kernel/ostype", files)
        let release = all.kernelWord("/proc/sys/kernel/osrelease", files)
        all.kernel = "\(type) \(release) \(architecture)"
        let problems = all.limits.unreadables + all.memory.unreadables + all.processors.unreadables + pressureProblems
        for problem in problems where !all.unreadables.contains(problem) { all.unreadables.append(problem) }
        return all
    }

    private mutating func kernelWord(_ path: String, _ files: SystemFiles) -> String {
        switch files.read(path) {
        case .text(let text): return TextFields.lines(text).first.map { printable(String($0)) } ?? "unknown"
        case .missing: unreadables.append(Unreadable(path, code: SystemCode.noEntry))
        case .failed(let code): unreadables.append(Unreadable(path, code: code))
        }
        return "unknown"
    }

    private static var architecture: String {
        #if arch(x86_64)
            "x86_64"
        #elseif arch(arm64)
            "aarch64"
        #else
            "unknown processor"
        #endif
    }
}
