import CReplay

/// `cistern-bench regions`.
struct RegionCommand {
    let runner: ReplayRunner
    let options: Options
    let arguments: [String]
    let cacheDirectory: String

    private static let notes = [
        "instructions: callgrind, between two counts of rounds; what is named net has the loop alone taken away; both sides compare "
            + "what they get with NULL",
        "region.small: objects of 8 to 64 bytes from one region, inlined; the plain C bump pointer goes round in 1 MiB",
        "region.empty: a child opened and closed, from Swift, loop included; region.emptyAlone: one that stands alone, record and all",
        "timeRatio: wall time of the whole first pass, the loop included, medians, sides interleaved, a child process each. cistern: "
            + "regions by the inline C fast path, persistent and scratch blocks from the same heap, a fresh heap of 16 GiB. pages: a bump "
            + "pointer in pages of 8 MiB from malloc, freed at each region's end, other blocks from malloc and free (glibc, defaults). "
            + "Each child runs twice in a row and the second time counts: a virtual machine that has given free memory back to its host "
            + "pays for it in the first",
        "spaceRatio: smallest capacity under which the trace completes in a child whose RLIMIT_AS is what an empty replay needs plus "
            + "that capacity, less 256 KiB, over the most bytes that were requested and live at once; a region's bytes live until it "
            + "is dropped. For cistern the capacity is the heap's",
    ]

    private static let allowanceBytes: UInt64 = 256 << 10

    /// Returns the exit code: 1 when a count is above its target. Times are told, and decide nothing.
    func run(_ store: TraceStore) throws(BenchError) -> Int32 {
        let machine = Machine(
            command: arguments, allocators: [.cistern, .glibc], runner: runner, repositoryDirectory: store.traceDirectory)
        // Instructions are counted in copies of the programs, which stand there.
        try store.makeCache()
        var rows: [TargetRow] = []
        try countInstructions(&rows)
        try measureNested(&rows)
        for name in RegionTrace.names { try measureTrace(try store.openRegionTrace(name), &rows) }
        for row in rows { print(row.line) }
        let json = TargetRow.document(machine, rows, [("notes", .list(RegionCommand.notes.map { .text($0) }))])
        if let path = options.jsonPath { try System.writeFile(path, json.page) }
        if let path = options.htmlPath {
            try System.writeFile(path, RegionPage(machine: machine, rows: rows, notes: RegionCommand.notes, json: json).text)
        }
        return TargetRow.verdict(rows)
    }

    // MARK: Instructions

    private func countInstructions(_ rows: inout [TargetRow]) throws(BenchError) {
        let counter = RegionInstructionCounter(runner: runner, directory: cacheDirectory, shortCount: options.operationCount ?? 100_000)
        guard let loop = counter.perRound(.small, .null), let bump = counter.perRound(.small, .bump),
            let cistern = counter.perRound(.small, .cistern), let empty = counter.perRound(.open, .cistern)
        else {
            System.writeToStandardError("no instruction counts: they need valgrind and strip\n")
            return
        }
        func show(_ name: String, _ value: Double?) {
            if let value { rows.append(TargetRow(name: name, value: value, unit: "instructions")) }
        }
        rows.append(
            TargetRow(
                name: "region.small.instructionsRatio", value: (cistern - loop) / (bump - loop), unit: "ratio", target: 1.1))
        rows.append(TargetRow(name: "region.empty.instructions", value: empty, unit: "instructions", target: 40))
        show("region.small.instructions.net", cistern - loop)
        show("region.small.fromC.instructions.net", counter.perRound(.small, .cistern, isFromC: true).map { $0 - loop })
        show("bump.small.instructions.net", bump - loop)
        show("obstack.small.instructions.net", counter.perRound(.small, .obstack).map { $0 - loop })
        show("malloc.pair.instructions.net", counter.perRound(.small, .malloc).map { $0 - loop })
        show("region.empty.fromC.instructions", counter.perRound(.open, .cistern, isFromC: true))
        show("region.emptyAlone.instructions", counter.perRound(.openAlone, .cistern))
        show("obstack.empty.instructions", counter.perRound(.open, .obstack))
    }

    // MARK: Time

    private var repetitionCount: Int { options.repetitions ?? (options.isQuick ? 3 : 7) }

    /// Medians of wall times in nanoseconds, by engine; in each round every engine once, each round beginning with another.
    /// Each child runs twice in a row, and the second time counts: a virtual machine may give free memory back to its host within
    /// seconds, and whoever comes next pays for getting it back.
    private func times(_ engines: [RegionRequest.Engine], _ request: (RegionRequest.Engine) -> RegionRequest) throws(BenchError) -> [Double]
    {
        var all = [[Double]](repeating: [], count: engines.count)
        var hashes: Set<UInt64> = []
        for round in 0..<repetitionCount {
            for turn in engines.indices {
                let position = (turn + round) % engines.count
                _ = try runner.complete(request(engines[position]))
                let result = try runner.complete(request(engines[position]))
                if request(engines[position]).work == .trace { hashes.insert(result.work_hash) }
                all[position].append(Double(result.nanoseconds))
            }
        }
        if hashes.count > 1 { throw BenchError("the engines were not given the same work") }
        return all.map { Statistics.median($0) ?? .nan }
    }

    private func measureNested(_ rows: inout [TargetRow]) throws(BenchError) {
        let engines: [RegionRequest.Engine] = [.cistern, .bump, .obstack, .malloc]
        let rounds = max(1, (options.operationCount ?? (options.isQuick ? 10_000 : 100_000)) / 5)
        let objects = Double(rounds) * Double(CREPLAY_NESTED_DEPTH * CREPLAY_NESTED_OBJECTS)
        let found = try times(engines) { RegionRequest(work: .nested, engine: $0, count: rounds) }
        for (engine, time) in zip(engines, found) {
            rows.append(TargetRow(name: "nested4x500.\(engine.name)", value: time / objects, unit: "ns/object"))
        }
    }

    // MARK: Traces

    private func measureTrace(_ trace: RegionTrace, _ rows: inout [TargetRow]) throws(BenchError) {
        let short = RegionTrace.rowPrefix(trace.name)
        System.writeToStandardError("\(trace.name): time\n")
        let engines: [RegionRequest.Engine] = options.isQuick ? [.cistern, .pages] : [.cistern, .pages, .obstack, .malloc, .null]
        let found = try times(engines) { RegionRequest(work: .trace, engine: $0, trace: trace) }
        let isTarget = trace.name == "skfmt-service"
        rows.append(
            TargetRow(
                name: "\(short).timeRatio", value: found[0] / found[1], unit: "ratio", target: isTarget ? 0.7 : nil, isTime: true))
        for (engine, time) in zip(engines, found) {
            rows.append(TargetRow(name: "\(short).time.\(engine.name)", value: time / 1e6, unit: "ms"))
        }
        System.writeToStandardError("\(trace.name): space\n")
        for engine in engines where engine != .null {
            guard let smallest = try smallestCapacity(trace, engine) else {
                throw BenchError("\(engine.name) on \(trace.name): no capacity is enough")
            }
            let ratio = (Double(smallest) - Double(RegionCommand.allowanceBytes)) / Double(trace.peakLiveBytes)
            if engine == .cistern {
                let target: Double? = trace.name == "skfmt-small" ? 1.3 : nil
                rows.append(TargetRow(name: "\(short).spaceRatio", value: ratio, unit: "ratio", target: target))
            } else {
                rows.append(TargetRow(name: "\(short).spaceRatio.\(engine.name)", value: ratio, unit: "ratio"))
            }
        }
        rows.append(TargetRow(name: "\(short).peakLive", value: Double(trace.peakLiveBytes), unit: "bytes"))
    }

    private func smallestCapacity(_ trace: RegionTrace, _ engine: RegionRequest.Engine) throws(BenchError) -> UInt64? {
        let tolerance: UInt64 = max(64 << 10, trace.peakLiveBytes / (options.isQuick ? 100 : 250))
        let bare = RegionRequest(work: .empty, engine: engine, trace: trace)
        let peak = try runner.complete(bare).address_space_peak_bytes
        let empty = SmallestSearch.find(guess: peak, step: 16 << 10, tolerance: 16 << 10, highest: peak * 2) {
            runner.run(bare, addressSpaceBytes: RegionCommand.wholePages($0)) != nil
        }
        guard let empty else { return nil }
        let replay = RegionRequest(work: .trace, engine: engine, trace: trace)
        return SmallestSearch.find(
            guess: trace.peakLiveBytes * 105 / 100, step: tolerance * 2, tolerance: tolerance, highest: trace.peakLiveBytes * 16
        ) {
            runner.run(replay, addressSpaceBytes: RegionCommand.wholePages(empty) + RegionCommand.wholePages($0)) != nil
        }.map(RegionCommand.wholePages)
    }

    private static func wholePages(_ byteCount: UInt64) -> UInt64 { (byteCount + 4095) / 4096 * 4096 }
}

/// Counts instructions of the loops of regions with callgrind: between two numbers of rounds, so that everything else falls out.
struct RegionInstructionCounter {
    let runner: ReplayRunner
    let directory: String

    /// Rounds of the shorter of two runs.
    let shortCount: UInt64

    private static let capacityBytes: UInt64 = 1 << 30

    /// nil when valgrind is not there, or cannot run this program.
    func perRound(_ work: RegionRequest.Work, _ engine: RegionRequest.Engine, isFromC: Bool = false) -> Double? {
        var request = RegionRequest(work: work, engine: engine, isFromC: isFromC, capacityBytes: Self.capacityBytes)
        request.count = shortCount
        guard let short = count(request) else { return nil }
        request.count = 3 * shortCount
        guard let long = count(request), long > short else { return nil }
        return Double(long - short) / Double(2 * shortCount)
    }

    private func count(_ request: RegionRequest) -> UInt64? {
        InstructionCounter(runner: runner, directory: directory).count(runner.child(request, addressSpaceBytes: 0))
    }
}
