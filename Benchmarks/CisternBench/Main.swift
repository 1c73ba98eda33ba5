import CReplay
import Glibc

/// The program: reads the command line, and is its own child for every measurement.
@main
struct Main {
    static func main() {
        // A child goes its own way at once, so that it holds as little as possible when it measures.
        // Safety: the arguments live as long as the process, and there are as many as the count says.
        let isChild =
            unsafe CommandLine.argc > 1
            && (strcmp(CommandLine.unsafeArgv[1]!, "replay-child") == 0
                || strcmp(CommandLine.unsafeArgv[1]!, creplay_region_child_argument) == 0)
        if isChild { creplay_child_main() }
        if let code = HandOverChild.run(CommandLine.arguments) { exit(code) }
        do throws(BenchError) {
            exit(try perform(Array(CommandLine.arguments.dropFirst())))
        } catch {
            System.writeToStandardError("cistern-bench: \(error.message)\n")
            exit(error.exitCode)
        }
    }

    private static func perform(_ arguments: [String]) throws(BenchError) -> Int32 {
        let options = try Options.parse(arguments)
        if options.command == .help {
            print(Options.help, terminator: "")
            return 0
        }
        let runner = try ReplayRunner()
        let store = try TraceStore(traceDirectory: options.traceDirectory, cacheDirectory: options.cacheDirectory)
        if options.command == .list { return try list(store, runner) }
        if options.command == .regions {
            return try RegionCommand(runner: runner, options: options, arguments: arguments, cacheDirectory: store.cacheDirectory)
                .run(store)
        }
        if options.command == .map { return try MapCommand(options: options).run(store) }
        if options.command == .handover {
            let machine = Machine(command: arguments, allocators: [], runner: runner, repositoryDirectory: store.traceDirectory)
            return try HandOverCommand(options: options).run(machine)
        }
        if options.command == .ticks { return try TickCommand(runner: runner, options: options, arguments: arguments).run(store) }
        var allocators: [Allocator] = []
        for text in options.allocators {
            let found = try AllocatorCatalog.find(text)
            if allocators.contains(where: { $0.name == found.name }) { throw .badInput("--allocator \(text): named twice") }
            allocators.append(found)
        }
        if allocators.isEmpty { allocators = AllocatorCatalog.present() }
        for allocator in allocators where runner.version(of: allocator) == nil {
            throw .badInput("--allocator \(allocator.name): \(allocator.library ?? "it") cannot be loaded as a malloc")
        }
        var traces: [FlatTrace] = []
        if options.command != .threads {
            let names = options.traces.isEmpty ? try store.generalTraceNames() : options.traces
            for name in names {
                let trace = try store.open(name)
                if traces.contains(where: { $0.name == trace.name }) { throw .badInput("--trace \(name): named twice") }
                traces.append(trace)
            }
        }
        if options.command == .run { return try RunCommand(runner: runner, options: options).run(traces, allocators) }
        try SuiteCommand(runner: runner, options: options, arguments: arguments).run(store, traces, allocators)
        return 0
    }

    private static func list(_ store: TraceStore, _ runner: ReplayRunner) throws(BenchError) -> Int32 {
        print("traces in \(store.traceDirectory ?? "-"):")
        for name in try store.generalTraceNames() { print("  \(name)") }
        print("allocators:")
        for allocator in AllocatorCatalog.present() + Allocator.variants {
            let version = runner.version(of: allocator) ?? "cannot be loaded"
            print("  \(allocator.name)" + (allocator.isCistern ? "" : "  \(version)  \(allocator.library ?? "")"))
        }
        return 0
    }
}
