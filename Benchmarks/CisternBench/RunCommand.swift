import CReplay

/// `cistern-bench run`: one replay per trace and allocator, one line of JSON each.
struct RunCommand {
    let runner: ReplayRunner
    let options: Options

    /// Returns the exit code: that of the first replay that did not complete.
    func run(_ traces: [FlatTrace], _ allocators: [Allocator]) throws(BenchError) -> Int32 {
        for trace in traces {
            for allocator in allocators {
                let code = try replay(trace, allocator)
                if code != 0 { return code }
            }
        }
        return 0
    }

    private func replay(_ trace: FlatTrace, _ allocator: Allocator) throws(BenchError) -> Int32 {
        let survey = try runner.complete(
            ReplayRequest(mode: .survey, allocator: .glibc, trace: trace, eventLimit: options.eventLimit))
        var request = ReplayRequest(
            mode: options.checks ? .check : .touch, allocator: allocator, trace: trace, eventLimit: options.eventLimit,
            capacityBytes: options.capacityBytes, seed: options.seed)
        var limit: UInt64 = 0
        if let addressSpaceBytes = options.addressSpaceBytes {
            limit = try self.limit(request, addressSpaceBytes)
            if allocator.isCistern && request.capacityBytes == 0 { request.capacityBytes = addressSpaceBytes }
        }
        let outcome = runner.run(request, addressSpaceBytes: limit)
        if let result = outcome.completedResult {
            print(json(trace, allocator, survey, result, limit).line)
            return 0
        }
        let within = options.addressSpaceBytes.map { " within \($0) bytes of address space" } ?? ""
        let code = outcome.ranOutOfMemory ? BenchError.outOfMemoryCode : BenchError.failureCode
        throw BenchError(
            "\(allocator.name) on \(trace.name): not completed\(within): \(outcome.failureText ?? "no reason given")", exitCode: code)
    }

    /// RLIMIT_AS: what the same replay needs when it allocates nothing and loads nothing, plus what was asked for.
    private func limit(_ request: ReplayRequest, _ addressSpaceBytes: UInt64) throws(BenchError) -> UInt64 {
        guard let trace = request.trace else { return 0 }
        let meter = AddressSpaceMeter(runner: runner, toleranceShare: 0.02)
        let limit = try meter.empty(trace, request.allocator, loading: false, eventLimit: options.eventLimit) + addressSpaceBytes
        if limit > creplay_address_space_limit() {
            throw BenchError(
                "\(trace.name): RLIMIT_AS of this shell is \(creplay_address_space_limit()), and \(limit) bytes are needed",
                exitCode: BenchError.outOfMemoryCode)
        }
        return limit
    }

    private func json(
        _ trace: FlatTrace, _ allocator: Allocator, _ survey: creplay_result, _ result: creplay_result, _ limit: UInt64
    ) -> JSON {
        let eventCount = max(1, Double(result.event_count))
        return .object([
            ("trace", .text(trace.name)), ("allocator", .text(allocator.name)), ("completed", .bool(true)),
            ("events", .integer(result.event_count)), ("objects", .integer(survey.object_count)),
            ("peakLiveBytes", .integer(survey.peak_live_bytes)), ("peakLiveObjects", .integer(survey.peak_live_objects)),
            ("addressSpaceBytes", .optional(options.addressSpaceBytes)),
            ("addressSpaceLimitBytes", limit == 0 ? .null : .integer(limit)),
            ("capacityBytes", result.capacity_bytes == 0 ? .null : .integer(result.capacity_bytes)),
            ("contentsChecked", .bool(options.checks)),
            ("coldNanosecondsPerOperation", options.checks ? .null : .number(Double(result.cold_nanoseconds) / eventCount)),
            ("workHash", .text(String(result.work_hash, radix: 16))),
        ])
    }
}
