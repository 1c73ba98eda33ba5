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
        "timeRatio: wall time of the whole first pass, the loop included, medians, sides interleaved, one child process each. cistern: "
            + "regions by the inline C fast path, persistent and scratch blocks from the same heap, a fresh heap of 16 GiB. pages: a bump "
            + "pointer in pages of 8 MiB from malloc, freed at each region's end, other blocks from malloc and free (glibc, defaults)",
        "spaceRatio: smallest capacity under which the trace completes in a child whose RLIMIT_AS is what an empty replay needs plus "
            + "that capacity, less 256 KiB, over the most bytes that were requested and live at once; a region's bytes live until it "
            + "is dropped. For cistern the capacity is the heap's",
    ]

    private static let allowanceBytes: UInt64 = 256 << 10

    func run(_ store: TraceStore) throws(BenchError) {
        let machine = Machine(
            command: arguments, allocators: [.cistern, .glibc], runner: runner, repositoryDirectory: store.traceDirectory)
        var rows: [TargetRow] = []
        try countInstructions(&rows)
        try measureNested(&rows)
        // The largest traces only show the same again: 11 million records, half a gigabyte.
        let names = options.isQuick ? Array(RegionTrace.names.prefix(2)) : RegionTrace.names
        for name in names { try measureTrace(try store.openRegionTrace(name), &rows) }
        for row in rows {
            let target = row.target.map { " (at most \(Decimals.text($0, places: 2)))" } ?? ""
            print("\(row.name): \(Decimals.text(row.value, places: 3)) \(row.unit)\(target)\(row.isMet ? "" : "  NOT MET")")
        }
        guard let path = options.jsonPath else { return }
        try System.writeFile(path, TargetRow.document(machine, rows, notes: RegionCommand.notes).page)
    }

    // MARK: Instructions

    private func countInstructions(_ rows: inout [TargetRow]) throws(BenchError) {
        let counter = RegionInstructionCounter(runner: runner, directory: cacheDirectory)
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
    /// The first round does not count.
    private func times(_ engines: [RegionRequest.Engine], _ request: (RegionRequest.Engine) -> RegionRequest) throws(BenchError) -> [Double]
    {
        var all = [[Double]](repeating: [], count: engines.count)
        var hashes: Set<UInt64> = []
        for round in -1..<repetitionCount {
            for turn in engines.indices {
                let position = (turn + max(0, round)) % engines.count
                let result = try runner.complete(request(engines[position]))
                if request(engines[position]).work == .trace { hashes.insert(result.work_hash) }
                if round >= 0 { all[position].append(Double(result.nanoseconds)) }
            }
        }
        if hashes.count > 1 { throw BenchError("the engines were not given the same work") }
        return all.map { Statistics.median($0) ?? .nan }
    }

    private func measureNested(_ rows: inout [TargetRow]) throws(BenchError) {
        let engines: [RegionRequest.Engine] = [.cistern, .bump, .obstack, .malloc]
        let rounds: UInt64 = options.isQuick ? 2000 : 20_000
        let objects = Double(rounds) * Double(CREPLAY_NESTED_DEPTH * CREPLAY_NESTED_OBJECTS)
        let found = try times(engines) { RegionRequest(work: .nested, engine: $0, count: rounds) }
        for (engine, time) in zip(engines, found) {
            rows.append(TargetRow(name: "nested4x500.\(engine.name)", value: time / objects, unit: "ns/object"))
        }
    }

    // MARK: Traces

    private func measureTrace(_ trace: RegionTrace, _ rows: inout [TargetRow]) throws(BenchError) {
        let short = "skfmt." + trace.name.dropFirst("skfmt-".count)
        System.writeToStandardError("\(trace.name): time\n")
        let engines: [RegionRequest.Engine] = options.isQuick ? [.cistern, .pages] : [.cistern, .pages, .obstack, .malloc, .null]
        let found = try times(engines) { RegionRequest(work: .trace, engine: $0, trace: trace) }
        let isTarget = trace.name == "skfmt-service"
        rows.append(TargetRow(name: "\(short).timeRatio", value: found[0] / found[1], unit: "ratio", target: isTarget ? 0.7 : nil))
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

    private static let shortCount: UInt64 = 100_000
    private static let longCount: UInt64 = 300_000
    private static let capacityBytes: UInt64 = 1 << 30

    /// nil when valgrind is not there, or cannot run this program.
    func perRound(_ work: RegionRequest.Work, _ engine: RegionRequest.Engine, isFromC: Bool = false) -> Double? {
        var request = RegionRequest(work: work, engine: engine, isFromC: isFromC, capacityBytes: Self.capacityBytes)
        request.count = Self.shortCount
        guard let short = count(request) else { return nil }
        request.count = Self.longCount
        guard let long = count(request), long > short else { return nil }
        return Double(long - short) / Double(Self.longCount - Self.shortCount)
    }

    private func count(_ request: RegionRequest) -> UInt64? {
        InstructionCounter(runner: runner, directory: directory).count(runner.child(request, addressSpaceBytes: 0))
    }
}
