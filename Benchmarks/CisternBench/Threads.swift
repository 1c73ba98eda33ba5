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
    /// A repetition is made of slices, each in a process of its own, and the allocators take turns slice by slice: how long a cache
    /// line takes between two processors changes by the second on a virtual machine, for whichever allocator runs then.
    private static let sliceOperationCount: UInt64 = 8_000_000

    /// One workload: its rows, in the order of the allocators, the loop alone last. `trace` is for the recorded threads, which
    /// bring their number along.
    func measure(
        _ workload: ReplayRequest.Workload, _ name: String, _ allocators: [Allocator], threadCount: UInt64 = 2, trace: FlatTrace? = nil
    ) throws(BenchError) -> [ThreadRow] {
        let all = allocators + [.null]
        var single = [[Double]](repeating: [], count: all.count)
        var several = single
        let sliceCount = trace == nil ? max(1, operationCount / Self.sliceOperationCount) : 1
        let count = operationCount / sliceCount
        for _ in 0..<repetitions {
            var singleRuns = [ThreadRun](repeating: ThreadRun(), count: all.count)
            var severalRuns = singleRuns
            for _ in 0..<sliceCount {
                for position in all.indices {
                    let allocator = all[position]
                    try run(workload, allocator, 1, count, trace, addingTo: &singleRuns[position])
                    try run(workload, allocator, trace == nil ? threadCount : 0, count, trace, addingTo: &severalRuns[position])
                }
            }
            for position in all.indices {
                single[position].append(singleRuns[position].operationsPerSecond)
                several[position].append(severalRuns[position].operationsPerSecond)
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

    private func run(
        _ workload: ReplayRequest.Workload, _ allocator: Allocator, _ threadCount: UInt64, _ operationCount: UInt64, _ trace: FlatTrace?,
        addingTo sum: inout ThreadRun
    ) throws(BenchError) {
        var request = ReplayRequest(mode: .threads, allocator: allocator, trace: trace, seed: seed)
        request.workload = workload
        request.threadCount = threadCount
        request.operationCount = threadCount > 2 ? operationCount * 2 / threadCount : operationCount
        request.eventLimit = eventLimit
        let result = try runner.complete(request)
        sum.operationCount += result.operation_count
        sum.nanoseconds += result.cold_nanoseconds
    }
}

/// What one or more slices did, and how long they took together.
private struct ThreadRun {
    var operationCount: UInt64 = 0
    var nanoseconds: UInt64 = 0

    var operationsPerSecond: Double { Double(operationCount) * 1e9 / Double(max(1, nanoseconds)) }
}
