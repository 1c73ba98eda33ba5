import CReplay

/// The machine, as far as figures depend on it.
struct Machine {
    var members: [(String, JSON)]

    var json: JSON { .object(members) }

    init(command: [String], allocators: [Allocator], runner: ReplayRunner, repositoryDirectory: String?) {
        let cpuInfo = System.readText("/proc/cpuinfo") ?? ""
        let memoryInfo = System.readText("/proc/meminfo") ?? ""
        var highest: Int32 = -1
        // Safety: the call writes one number to a local.
        let cores = unsafe creplay_cpu_count(&highest)
        func firstLine(_ path: String) -> JSON {
            guard let text = System.readText(path), let line = text.split(separator: "\n").first else { return .null }
            return .text(String(line))
        }
        members = [
            ("cpu", Machine.field("model name", in: cpuInfo).map { .text($0) } ?? .null),
            ("cores", .integer(UInt64(cores))),
            ("kernel", firstLine("/proc/sys/kernel/osrelease")),
            ("transparentHugePages", firstLine("/sys/kernel/mm/transparent_hugepage/enabled")),
            ("overcommit", firstLine("/proc/sys/vm/overcommit_memory")),
            ("memory", Machine.field("MemTotal", in: memoryInfo).map { .text($0) } ?? .null),
            ("loadAverageAtStart", firstLine("/proc/loadavg")),
            ("revision", Machine.output(["git", "-C", repositoryDirectory ?? ".", "rev-parse", "HEAD"])),
            ("date", Machine.output(["date", "-u", "+%Y-%m-%dT%H:%M:%SZ"])),
            ("command", .text((["cistern-bench"] + command).joined(separator: " "))),
            ("allocators", .list(allocators.map { Machine.description(of: $0, runner) })),
        ]
    }

    private static func description(of allocator: Allocator, _ runner: ReplayRunner) -> JSON {
        var version: JSON = .null
        if case .malloc = allocator.kind { version = runner.version(of: allocator).map { .text($0) } ?? .null }
        return .object([
            ("name", .text(allocator.name)), ("version", version), ("path", allocator.library.map { .text($0) } ?? .null),
        ])
    }

    private static func field(_ name: String, in text: String) -> String? {
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            guard let separator = line.firstIndex(of: ":") else { continue }
            return String(line[line.index(after: separator)...].drop { $0 == " " })
        }
        return nil
    }

    private static func output(_ arguments: [String]) -> JSON {
        let outcome = ChildProcess(arguments: arguments, captured: .standardOutput, timeoutSeconds: 10).run()
        let line = String(decoding: outcome.output, as: UTF8.self).split(separator: "\n").first
        return outcome.succeeded ? line.map { .text(String($0)) } ?? .null : .null
    }
}
