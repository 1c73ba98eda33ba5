import CReplay

/// One threaded workload with one allocator, with one thread and with several: as many as were asked for, or as the trace has.
struct ThreadRow {
    var workload: String
    var allocator: String
    var repetitions: Int
    var threadCount: UInt64
    /// Allocations, frees and resizes, all threads together; medians over the repetitions.
    var operationsPerSecondWithOneThread: Double?
    var operationsPerSecondWithAllThreads: Double?
    /// Throughput with all threads over `threadCount` times that with one; the median over the repetitions.
    var scaling: Double?
    /// The same, over that of the loop without an allocator in the same repetition.
    var scalingRelativeToNull: Double?

    var json: JSON {
        .object([
            ("workload", .text(workload)), ("allocator", .text(allocator)), ("repetitions", .integer(UInt64(repetitions))),
            ("threads", .integer(threadCount)),
            ("operationsPerSecondWithOneThread", .optional(operationsPerSecondWithOneThread)),
            ("operationsPerSecondWithAllThreads", .optional(operationsPerSecondWithAllThreads)),
            ("scaling", .optional(scaling)), ("scalingRelativeToNull", .optional(scalingRelativeToNull)),
        ])
    }
}

/// Runs the threaded workloads, allocators interleaved in each repetition.
struct ThreadSuite {
    let runner: ReplayRunner
    let repetitions: Int
    let seed: UInt64

    /// Per thread, for the workloads without a trace: with one thread or two; more threads do no more than two.
    let operationCount: UInt64
    /// Of the recorded trace.
    let eventLimit: UInt64

    static let usualOperationCount: UInt64 = 40_000_000

    /// One workload: its rows, in the order of the allocators, the loop alone last. `trace` is for the recorded threads, which
    /// bring their number along.
    func measure(
        _ workload: ReplayRequest.Workload, _ name: String, _ allocators: [Allocator], threadCount: UInt64 = 2, trace: FlatTrace? = nil
    ) throws(BenchError) -> [ThreadRow] {
        let all = allocators + [.null]
        var single = [[Double]](repeating: [], count: all.count)
        var several = single
        for _ in 0..<repetitions {
            for position in all.indices {
                single[position].append(try throughput(workload, all[position], threadCount: 1, trace))
                several[position].append(try throughput(workload, all[position], threadCount: trace == nil ? threadCount : 0, trace))
            }
        }
        let threadCount = trace?.threadCount ?? threadCount
        func scalings(_ position: Int) -> [Double] {
            zip(single[position], several[position]).map { one, all in all / (one * Double(threadCount)) }
        }
        let nullScalings = scalings(allocators.count)
        return all.indices.map { position in
            let own = scalings(position)
            return ThreadRow(
                workload: name, allocator: all[position].name, repetitions: repetitions, threadCount: threadCount,
                operationsPerSecondWithOneThread: Statistics.median(single[position]),
                operationsPerSecondWithAllThreads: Statistics.median(several[position]), scaling: Statistics.median(own),
                scalingRelativeToNull: Statistics.median(zip(own, nullScalings).map { $0 / $1 }))
        }
    }

    private func throughput(
        _ workload: ReplayRequest.Workload, _ allocator: Allocator, threadCount: UInt64, _ trace: FlatTrace?
    ) throws(BenchError) -> Double {
        var request = ReplayRequest(mode: .threads, allocator: allocator, trace: trace, seed: seed)
        request.workload = workload
        request.threadCount = threadCount
        request.operationCount = threadCount > 2 ? operationCount * 2 / threadCount : operationCount
        request.eventLimit = eventLimit
        let result = try runner.complete(request)
        return Double(result.operation_count) * 1e9 / Double(max(1, result.cold_nanoseconds))
    }
}
