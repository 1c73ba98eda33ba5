import CReplay

/// What the whole measurement found.
struct SuiteResult {
    var rows: [Row] = []
    var variants: [Row] = []
    var floors: [Floor] = []
    var threads: [ThreadRow] = []
    var notes: [String] = []

    /// One line per allocator, in the order of the rows.
    func means(_ allocators: [Allocator]) -> [Means] {
        let reference = rows.filter { $0.allocator == Allocator.glibc.name }
        return allocators.map { allocator in
            Means(allocator.name, rows: rows.filter { $0.allocator == allocator.name }, reference: reference)
        }
    }
}

/// Measures traces with allocators: time, resident memory, address space, contents.
struct Suite {
    struct Plan {
        var repetitions: Int
        var warmPassCount: UInt64
        var toleranceShare: Double
        var checks: Bool
        var countsInstructions: Bool
        var eventLimit: UInt64
        var seed: UInt64
    }

    let runner: ReplayRunner
    let plan: Plan
    let cacheDirectory: String

    /// Measures one trace with all allocators, and reports each step.
    func measure(_ trace: FlatTrace, _ allocators: [Allocator], progress: (String) -> Void) throws(BenchError) -> ([Row], Floor) {
        let survey = try runner.complete(
            ReplayRequest(mode: .survey, allocator: .glibc, trace: trace, eventLimit: plan.eventLimit))
        progress("\(trace.name): time")
        var (times, floor) = try timed(trace, allocators, survey, progress: progress)
        let meter = AddressSpaceMeter(runner: runner, toleranceShare: plan.toleranceShare)
        floor.emptyAddressSpaceBytes = try meter.empty(trace, .glibc, loading: false, eventLimit: plan.eventLimit)
        if let cistern = allocators.first(where: \.isCistern) {
            floor.emptyAddressSpaceBytesOfCistern = try meter.empty(trace, cistern, loading: false, eventLimit: plan.eventLimit)
        }
        for position in allocators.indices where times[position].completed {
            progress("\(trace.name): memory with \(allocators[position].name)")
            try measureMemory(&times[position], trace, allocators[position], meter, floor)
            if plan.checks { try check(&times[position], trace, allocators[position]) }
        }
        if plan.countsInstructions {
            progress("\(trace.name): instructions")
            let counter = InstructionCounter(runner: runner, directory: cacheDirectory)
            floor.instructionsPerOperation = counter.perEvent(trace, .null)
            for position in allocators.indices where times[position].completed {
                times[position].instructionsPerOperation = counter.perEvent(trace, allocators[position])
            }
        }
        return (times, floor)
    }

    private func request(_ mode: ReplayRequest.Mode, _ trace: FlatTrace, _ allocator: Allocator) -> ReplayRequest {
        ReplayRequest(
            mode: allocator == .null ? .null : mode, allocator: allocator, trace: trace, eventLimit: plan.eventLimit, seed: plan.seed)
    }

    /// First and further passes of every allocator, by its position; the loop alone comes last.
    private struct Times {
        var cold: [[Double]]
        var warm: [[Double]]
        /// Does not take part any more: it ran out of memory, or could not be loaded.
        var hasFailed: [Bool]
    }

    /// Times: in each repetition every allocator once, and the loop alone; the medians over the repetitions.
    private func timed(
        _ trace: FlatTrace, _ allocators: [Allocator], _ survey: creplay_result, progress: (String) -> Void
    ) throws(BenchError) -> ([Row], Floor) {
        let times = try rounds(trace, allocators + [.null], survey, progress: progress)
        let coldFloor = Statistics.median(times.cold[allocators.count]) ?? 0
        let warmFloor = Statistics.median(times.warm[allocators.count]) ?? 0
        let rows = allocators.indices.map { position in
            var row = Row(
                trace: trace.name, allocator: allocators[position].name, eventCount: survey.event_count,
                peakLiveBytes: survey.peak_live_bytes)
            row.workHash = survey.work_hash
            row.completed = !times.hasFailed[position]
            if !row.completed { return row }
            row.coldNanosecondsPerOperation = Statistics.median(times.cold[position])
            row.warmNanosecondsPerOperation = Statistics.median(times.warm[position])
            row.overheadNanosecondsPerOperation = row.coldNanosecondsPerOperation.map { $0 - coldFloor }
            row.warmOverheadNanosecondsPerOperation = row.warmNanosecondsPerOperation.map { $0 - warmFloor }
            return row
        }
        let floor = Floor(
            trace: trace.name, coldNanosecondsPerOperation: coldFloor, warmNanosecondsPerOperation: warmFloor, emptyAddressSpaceBytes: 0)
        return (rows, floor)
    }

    private func rounds(
        _ trace: FlatTrace, _ all: [Allocator], _ survey: creplay_result, progress: (String) -> Void
    ) throws(BenchError) -> Times {
        var times = Times(
            cold: [[Double]](repeating: [], count: all.count), warm: [[Double]](repeating: [], count: all.count),
            hasFailed: [Bool](repeating: false, count: all.count))
        let eventCount = max(1, Double(survey.event_count))
        // The round before the first one does not count: it has the system find pages that were never used, in particular
        // whole huge pages. Afterwards each round begins with another allocator, so that none always follows the same one.
        for round in -1..<plan.repetitions {
            for turn in all.indices {
                let position = (turn + max(0, round)) % all.count
                if times.hasFailed[position] { continue }
                var timing = request(.touch, trace, all[position])
                timing.warmPassCount = plan.warmPassCount
                let outcome = runner.run(timing)
                guard let result = outcome.completedResult else {
                    progress("\(trace.name): \(all[position].name): \(outcome.failureText ?? "not completed")")
                    times.hasFailed[position] = true
                    continue
                }
                guard result.work_hash == survey.work_hash, result.event_count == survey.event_count else {
                    throw BenchError("\(all[position].name) on \(trace.name): the replay did other work than the trace holds")
                }
                if round < 0 { continue }
                times.cold[position].append(Double(result.cold_nanoseconds) / eventCount)
                times.warm[position].append(Double(result.warm_nanoseconds) / eventCount)
            }
        }
        return times
    }

    private func measureMemory(
        _ row: inout Row, _ trace: FlatTrace, _ allocator: Allocator, _ meter: AddressSpaceMeter, _ floor: Floor
    ) throws(BenchError) {
        let filled = try runner.complete(request(.fill, trace, allocator))
        let (resident, underflow) = filled.resident_peak_bytes.subtractingReportingOverflow(filled.resident_start_bytes)
        row.peakResidentBytes = underflow ? nil : resident
        let emptyBytes = (allocator.isCistern ? floor.emptyAddressSpaceBytesOfCistern : nil) ?? floor.emptyAddressSpaceBytes
        let loadedBytes =
            allocator.library == nil ? emptyBytes : try meter.empty(trace, allocator, loading: true, eventLimit: plan.eventLimit)
        let load = loadedBytes > emptyBytes ? loadedBytes - emptyBytes : 0
        let guess = load + row.peakLiveBytes + row.peakLiveBytes / 10
        row.smallestAddressSpaceBytes = meter.smallest(
            trace, allocator, peakLiveBytes: row.peakLiveBytes, emptyBytes: emptyBytes, guess: guess, eventLimit: plan.eventLimit)
        row.addressSpaceLessLoadBytes = row.smallestAddressSpaceBytes.map { $0 > load ? $0 - load : 0 }
        row.completed = row.smallestAddressSpaceBytes != nil
    }

    private func check(_ row: inout Row, _ trace: FlatTrace, _ allocator: Allocator) throws(BenchError) {
        row.contentsChecked = try runner.complete(request(.check, trace, allocator)).completed == 1
    }
}
