import CReplay

/// `cistern-bench` without a subcommand, and `cistern-bench threads`.
struct SuiteCommand {
    let runner: ReplayRunner
    let options: Options
    let arguments: [String]

    private static let threadedTraceName = "redis-io"
    private static let caveats = [
        "cold and warm times include the loop alone (floors); overhead is the time less that loop",
        "smallestAddressSpaceBytes is RLIMIT_AS less what an empty replay needs in the same program: "
            + "for cistern a program that holds the Swift runtime, for all others one that holds only the C library",
        "addressSpaceLessLoadBytes takes away what loading the allocator's library adds to an empty replay, first chunks included",
    ]

    func run(_ store: TraceStore, _ traces: [FlatTrace], _ allocators: [Allocator]) throws(BenchError) {
        let machine = Machine(
            command: arguments, allocators: allocators, runner: runner, repositoryDirectory: store.traceDirectory)
        let start = creplay_monotonic_nanoseconds()
        var result = SuiteResult()
        result.notes = SuiteCommand.caveats
        if options.command == .suite { try measure(store, traces, allocators, start, &result) }
        if runsThreads { try measureThreads(store, allocators, start, &result) }
        let means = options.command == .suite ? result.means(allocators) : []
        if options.command == .suite {
            print(Tables.rows(result.rows, allocators, result.floors), terminator: "")
            print(Tables.means(means), terminator: "")
            if !result.variants.isEmpty { printVariants(result) }
        }
        print(Tables.threads(result.threads), terminator: "")
        let report = Report(machine: machine, result: result, means: means)
        if let path = options.jsonPath { try System.writeFile(path, report.json.page) }
        if let path = options.htmlPath { try System.writeFile(path, HTMLPage(report: report, allocators: allocators).text) }
        say("done", since: start)
    }

    /// The full run has the threads in it; a choice of traces or allocators leaves them out unless asked for.
    private var runsThreads: Bool {
        if options.command == .threads || options.runsThreads { return true }
        return !options.isQuick && options.traces.isEmpty && options.allocators.isEmpty
    }

    private func measure(
        _ store: TraceStore, _ traces: [FlatTrace], _ allocators: [Allocator], _ start: UInt64, _ result: inout SuiteResult
    ) throws(BenchError) {
        let isWhole = !options.isQuick && options.traces.isEmpty && options.allocators.isEmpty
        let plan = Suite.Plan(
            repetitions: options.repetitions ?? (options.isQuick ? 1 : 5), warmPassCount: options.isQuick ? 2 : 3,
            toleranceShare: options.isQuick ? 0.05 : 0.02, checks: !options.isQuick || options.checks,
            countsInstructions: options.countsInstructions || isWhole, eventLimit: options.eventLimit, seed: options.seed)
        let suite = Suite(runner: runner, plan: plan, cacheDirectory: store.cacheDirectory)
        // Variants of cistern stand beside the rows of the full run, not among them.
        let variants = !options.isQuick && options.allocators.isEmpty ? Allocator.variants : []
        for trace in traces {
            let (rows, floor) = try suite.measure(trace, allocators + variants) { say($0, since: start) }
            result.rows += rows.prefix(allocators.count)
            result.variants += rows.dropFirst(allocators.count)
            result.floors.append(floor)
        }
        if plan.countsInstructions && result.floors.allSatisfy({ $0.instructionsPerOperation == nil }) {
            result.notes.append("no instruction counts: they need valgrind and strip, and traces of 300,000 events or more")
            say(result.notes[result.notes.count - 1], since: start)
        }
    }

    private func measureThreads(
        _ store: TraceStore, _ allocators: [Allocator], _ start: UInt64, _ result: inout SuiteResult
    ) throws(BenchError) {
        let suite = ThreadSuite(
            runner: runner, repetitions: options.repetitions ?? (options.isQuick ? 3 : 9), seed: options.seed,
            operationCount: options.operationCount ?? ThreadSuite.usualOperationCount, eventLimit: options.eventLimit)
        // A heap for one thread has no place here, nor has a loop that is another one.
        var threaded = allocators.filter { !["cistern-single-thread", "cistern-inlined", "broken"].contains($0.name) }
        // What a runtime chooses whose threads pass blocks on; beside the heap as it is by default.
        if options.allocators.isEmpty { threaded.insert(.onLines, at: 1) }
        say("threads: server", since: start)
        result.threads += try suite.measure(.server, "server", threaded)
        // More threads than processors, as runtimes have: what each one's cache may hold decides.
        say("threads: server-8", since: start)
        result.threads += try suite.measure(.server, "server-8", threaded, threadCount: 8)
        say("threads: server-large", since: start)
        result.threads += try suite.measure(.largeServer, "server-large", threaded)
        say("threads: exchange", since: start)
        result.threads += try suite.measure(.exchange, "exchange", threaded)
        guard try store.generalTraceNames().contains(SuiteCommand.threadedTraceName) else { return }
        say("threads: \(SuiteCommand.threadedTraceName)", since: start)
        let trace = try store.open(SuiteCommand.threadedTraceName)
        result.threads += try suite.measure(.trace, trace.name, threaded, trace: trace)
    }

    private func printVariants(_ result: SuiteResult) {
        let reference = result.rows.filter { $0.allocator == Allocator.glibc.name }
        let means = Allocator.variants.map { variant in
            Means(variant.name, rows: result.variants.filter { $0.allocator == variant.name }, reference: reference)
        }
        print("\nVariants of cistern", terminator: "")
        print(Tables.means(means), terminator: "")
    }

    private func say(_ text: String, since start: UInt64) {
        let seconds = Double(creplay_monotonic_nanoseconds() - start) / 1e9
        System.writeToStandardError("[\(Decimals.text(seconds, places: 0)) s] \(text)\n")
    }
}

/// All that is written to files.
struct Report {
    var machine: Machine
    var result: SuiteResult
    var means: [Means]

    var json: JSON {
        .object([
            ("machine", .object(machine.members)), ("rows", .list(result.rows.map(\.json))),
            ("geometricMeans", .list(means.map(\.json))), ("floors", .list(result.floors.map(\.json))),
            ("variants", .list(result.variants.map(\.json))), ("threads", .list(result.threads.map(\.json))),
            ("notes", .list(result.notes.map { .text($0) })),
        ])
    }
}
