import CReplay
import Cistern

/// The figures of `cistern-bench ticks`: costs in nanoseconds are medians over batches, counts are exact.
struct TickSuite {
    /// Operations in a batch.
    let batchSize: Int
    /// Batches whose median counts.
    let batchCount: Int
    let say: (String) -> Void

    /// Regions alive for the row that has ten million.
    private var manyLive: Int { batchSize * 10 }

    /// Enough for `count` regions that live at once: records, live parts, names and their table.
    private func capacity(_ count: Int) -> UInt64 { UInt64(count) * 260 + (32 << 20) }

    func run() throws(BenchError) -> [TargetRow] {
        var rows: [TargetRow] = []
        say("boundaries with nothing to do")
        rows += try idleSeals()
        say("removals: stage, classify, free")
        rows += try removals()
        say("steps of 4096")
        rows += try scattered()
        say("a stuck reader beside a fast one")
        rows += try stuckAndFast()
        rows += try sealsOfThousand()
        say("readers")
        rows += try acknowledgements()
        rows += try minimum()
        say("slope")
        rows.append(try slope())
        say("dictionaries")
        rows += dictionaries()
        return rows
    }

    private func median(_ values: [Double]) -> Double { Statistics.median(values) ?? .nan }

    // MARK: Idle

    private func idleSeals() throws(BenchError) -> [TargetRow] {
        let retained = try TickField(capacityBytes: capacity(batchSize))
        let ids = try retained.fill(batchSize)
        _ = try retained.seal()
        let stuck = try retained.attachAndSeal()
        for id in ids { _ = try retained.expect { () throws(DirectoryError) in try retained.directory.remove(id) } }
        _ = try retained.seal()
        let now = retained.directory.statistics()
        guard now.tombstoneCount == UInt64(batchSize) else { throw BenchError("ticks: \(now.tombstoneCount) retained") }
        let withRetained = try timeSeals(retained)
        let touched = retained.directory.statistics().touchedByLastSeal
        retained.directory.cancel(stuck)

        let live = try TickField(capacityBytes: capacity(manyLive))
        _ = try live.fill(manyLive)
        _ = try live.seal()
        _ = try live.attachAndSeal()
        let withLive = try timeSeals(live)
        return [
            TargetRow(name: "seal.idle.retained1e6", value: withRetained, unit: "ns", target: 150),
            TargetRow(name: "seal.idle.live1e7", value: withLive, unit: "ns", target: 150),
            TargetRow(name: "seal.idle.touched", value: Double(touched), unit: "records", target: 0),
        ]
    }

    private func timeSeals(_ field: TickField) throws(BenchError) -> Double {
        var times: [Double] = []
        for _ in 0..<batchCount {
            let time = try Stopwatch.time { () throws(BenchError) in
                for _ in 0..<batchSize { _ = try field.seal() }
            }
            times.append(time / Double(batchSize))
        }
        return median(times)
    }

    // MARK: Removals

    private func removals() throws(BenchError) -> [TargetRow] {
        var stage: [Double] = []
        var classify: [Double] = []
        var free: [Double] = []
        var recordBytes = 0.0
        var withTables = 0.0
        let each = Double(batchSize)
        for _ in 0..<batchCount {
            let field = try TickField(capacityBytes: capacity(batchSize))
            let empty = field.heap.statistics().requestedBytes
            let ids = try field.fill(batchSize)
            _ = try field.seal()
            let stuck = try field.attachAndSeal()
            let fast = try field.attachAndSeal()
            stage.append(
                try Stopwatch.time { () throws(BenchError) in
                    for id in ids { _ = try field.expect { () throws(DirectoryError) in try field.directory.remove(id) } }
                } / each)
            classify.append(try Stopwatch.time { () throws(BenchError) in _ = try field.seal(budget: 0) } / each)
            let now = field.directory.statistics()
            guard now.tombstoneCount == UInt64(batchSize) else { throw BenchError("ticks: \(now.tombstoneCount) retained") }
            recordBytes = Double(now.tombstoneBytes - now.nameBytes) / each
            // The boundary above had no budget: the table of names has yet to shrink.
            _ = field.directory.maintain(budget: .max)
            let readers = Double(now.readerBytes)
            withTables = (Double(field.heap.statistics().requestedBytes - empty) - readers - Double(now.nameBytes)) / each
            field.directory.cancel(stuck)
            field.directory.cancel(fast)
            // Takes the two readers' pins; everything is in the queue then.
            _ = field.directory.maintain(budget: 0)
            free.append(try Stopwatch.time { () throws(BenchError) in _ = field.directory.maintain(budget: .max) } / each)
            guard field.directory.statistics().purgedTotal == UInt64(batchSize) else { throw BenchError("ticks: not all freed") }
        }
        return [
            TargetRow(name: "stage", value: median(stage), unit: "ns", target: 40),
            TargetRow(name: "classify", value: median(classify), unit: "ns", target: 40),
            TargetRow(name: "free.inOrder", value: median(free), unit: "ns", target: 40),
            TargetRow(name: "tombstone.bytes", value: recordBytes, unit: "bytes", target: 40),
            TargetRow(name: "tombstone.bytesWithTables", value: withTables, unit: "bytes"),
        ]
    }

    /// Regions are removed in random order over 64 ticks with a reader at each, so that what one reader's going frees lies
    /// scattered; then all go. Every batch does the same, step by step, and a step's time is its median over them: one that the
    /// system interrupts is no step of ours.
    private func scattered() throws(BenchError) -> [TargetRow] {
        var drop: [Double] = []
        var free: [Double] = []
        var steps: [[Double]] = []
        for _ in 0..<max(3, batchCount) {
            let field = try TickField(capacityBytes: capacity(batchSize))
            var ids = try field.fill(batchSize)
            var random = TickRandom(seed: 1)
            for index in ids.indices { ids.swapAt(index, index + random.below(ids.count - index)) }
            _ = try field.seal()
            var readers: [ReaderHandle] = []
            for part in 0..<64 {
                readers.append(try field.attachAndSeal())
                for id in ids[(ids.count * part / 64)..<(ids.count * (part + 1) / 64)] {
                    _ = try field.expect { () throws(DirectoryError) in try field.directory.remove(id) }
                }
                _ = try field.seal(budget: 0)
            }
            for reader in readers { field.directory.cancel(reader) }
            var left: UInt64 = 1
            drop.append(Stopwatch.time { left = field.directory.maintain(budget: 0) } / 1e6)
            guard left == UInt64(batchSize) else { throw BenchError("ticks: \(left) to be freed") }
            var times: [Double] = []
            while left > 0 { times.append(Stopwatch.time { left = field.directory.maintain(budget: 4096) }) }
            steps.append(times)
            free.append(times.reduce(0, +) / Double(batchSize))
        }
        guard let stepCount = steps.first?.count, steps.allSatisfy({ $0.count == stepCount }) else {
            throw BenchError("ticks: batches differ")
        }
        let longest = (0..<stepCount).map { step in median(steps.map { $0[step] }) }.max() ?? .nan
        return [
            TargetRow(name: "step4096.max", value: longest / 1e6, unit: "ms", target: 1.5),
            TargetRow(name: "free.scattered", value: median(free), unit: "ns", target: 200),
            TargetRow(name: "drop.pins64", value: median(drop), unit: "ms", target: 0.1),
        ]
    }

    // MARK: Stuck and fast

    /// Holds `live` regions alive, replaces them one by one, a hundred at a tick, and lets one reader stand still.
    private func stuckAndFast() throws(BenchError) -> [TargetRow] {
        let live = max(100, batchSize / 100)
        let interval = try Self.churn(mode: .interval, live: live, removals: batchSize, samples: 1)
        let horizon = try Self.churn(mode: .horizon, live: live, removals: batchSize, samples: 1)
        return [
            TargetRow(name: "held.stuckAndFast", value: Double(interval.held), unit: "tombstones", target: Double(interval.bound)),
            TargetRow(name: "held.stuckAndFast.horizon", value: Double(horizon.held), unit: "tombstones"),
        ]
    }

    /// The same with a thousand removals at a tick: what their boundaries cost.
    private func sealsOfThousand() throws(BenchError) -> [TargetRow] {
        let churn = try Self.churn(mode: .interval, live: max(1000, batchSize / 100), removals: batchSize, perTick: 1000, samples: 1)
        let times = churn.sealTimes.sorted()
        return [
            TargetRow(
                name: "seal.removals1000.perRemoval", value: times.reduce(0, +) / Double(batchSize), unit: "ns", target: 30),
            TargetRow(name: "seal.removals1000.p99", value: times[times.count * 99 / 100] / 1e6, unit: "ms", target: 0.04),
        ]
    }

    struct Churn {
        var held: UInt64 = 0
        /// Regions alive at each pin, summed.
        var bound: UInt64 = 0
        /// Removals so far, tombstones.
        var samples: [(UInt64, UInt64)] = []
        /// Nanoseconds of each boundary.
        var sealTimes: [Double] = []
    }

    static func churn(
        mode: RetentionMode, live: Int, removals: Int, perTick: Int = 100, samples: Int
    ) throws(BenchError) -> Churn {
        let field = try TickField(capacityBytes: UInt64(live + removals) * 160 + (32 << 20), mode: mode)
        var ids = try field.fill(live)
        _ = try field.seal()
        _ = try field.attachAndSeal()
        let fast = try field.attachAndSeal()
        var random = TickRandom(seed: 1)
        var result = Churn()
        var removed = 0
        var sampled = 0
        while removed < removals {
            for _ in 0..<min(perTick, removals - removed) {
                let index = random.below(ids.count)
                _ = try field.expect { () throws(DirectoryError) in try field.directory.remove(ids[index]) }
                ids[index] = try field.create()
                removed += 1
            }
            result.sealTimes.append(try Stopwatch.time { () throws(BenchError) in _ = try field.seal() })
            _ = field.directory.acknowledge(fast, try field.poll(fast))
            if removed * samples / removals > sampled || removed == removals {
                sampled = removed * samples / removals
                result.samples.append((UInt64(removed), field.directory.statistics().tombstoneCount))
            }
        }
        _ = try field.seal()
        let now = field.directory.statistics()
        result.held = now.tombstoneCount
        // The same number of regions is alive at every tick.
        result.bound = UInt64(now.pinCount) * UInt64(live)
        return result
    }

    // MARK: Readers

    private func acknowledgements() throws(BenchError) -> [TargetRow] {
        let readerCount = max(10, batchSize / 100)
        let field = try TickField(capacityBytes: 64 << 20)
        var readers: [ReaderHandle] = []
        for _ in 0..<readerCount { readers.append(try field.attach()) }
        _ = try field.seal()
        var times: [Double] = []
        for _ in 0..<batchCount {
            var time = 0.0
            for _ in 0..<max(1, batchSize / readerCount) {
                // Something to acknowledge, for each of them.
                _ = try field.create()
                _ = try field.seal()
                var tokens: [BatchToken] = []
                for reader in readers { tokens.append(try field.poll(reader)) }
                _ = try field.seal()
                time += Stopwatch.time {
                    for index in 0..<readerCount { _ = field.directory.acknowledge(readers[index], tokens[index]) }
                }
            }
            times.append(time / Double(max(1, batchSize / readerCount) * readerCount))
        }
        let bytes = Double(field.directory.statistics().readerBytes) / Double(readerCount)
        return [
            TargetRow(name: "acknowledge", value: median(times), unit: "ns", target: 25),
            TargetRow(name: "reader.bytes", value: bytes, unit: "bytes", target: 128),
        ]
    }

    /// One of many cursors moves, a boundary takes notice, and the oldest cursor is asked for. The cursors stand at ten ticks.
    private func minimum() throws(BenchError) -> [TargetRow] {
        let few = try timeMinimum(readerCount: 10)
        let many = try timeMinimum(readerCount: max(100, batchSize / 100))
        return [
            TargetRow(name: "min.cursors10", value: few, unit: "ns"),
            TargetRow(name: "min.cursors1e4", value: many, unit: "ns", target: 1.5 * few),
        ]
    }

    private func timeMinimum(readerCount: Int) throws(BenchError) -> Double {
        let field = try TickField(capacityBytes: 64 << 20)
        for number in 0..<(readerCount - 1) {
            _ = try field.attach()
            if number % max(1, readerCount / 10) == 0 { _ = try field.seal() }
        }
        let moving = try field.attachAndSeal()
        let turns = batchSize
        var times: [Double] = []
        var sum: UInt64 = 0
        for _ in 0..<batchCount {
            times.append(
                try Stopwatch.time { () throws(BenchError) in
                    for _ in 0..<turns {
                        _ = try field.poll(moving)
                        _ = try field.seal()
                        sum &+= field.directory.horizon.number
                    }
                } / Double(turns))
        }
        guard sum > 0 else { throw BenchError("ticks: no horizon") }
        return median(times)
    }

    // MARK: Slope

    /// Cycles of a region that comes and goes under a reader that keeps up; what the heap counts must not grow.
    private func slope() throws(BenchError) -> TargetRow {
        let field = try TickField(capacityBytes: 16 << 20)
        let reader = try field.attachAndSeal()
        let cycles = 30_000
        var first: Int64 = 0
        var last: Int64 = 0
        for cycle in 0..<(cycles + 100) {
            let id = try field.create()
            _ = try field.seal()
            _ = try field.expect { () throws(DirectoryError) in try field.directory.remove(id) }
            _ = try field.seal()
            _ = field.directory.acknowledge(reader, try field.poll(reader))
            _ = try field.seal()
            if cycle == 99 { first = field.heap.statistics().requestedBytes }
        }
        last = field.heap.statistics().requestedBytes
        return TargetRow(name: "slope.bytesPerCycle", value: Double(last - first) / Double(cycles), unit: "bytes", target: 0)
    }

    // MARK: What it is compared with

    /// The obvious way: a dictionary of tombstones that each boundary looks through.
    private func dictionaries() -> [TargetRow] {
        var dead: [UInt64: UInt64] = [:]
        dead.reserveCapacity(batchSize)
        for number in 0..<UInt64(batchSize) { dead[number] = number }
        var found = 0
        let scan = Stopwatch.time { for (_, tick) in dead where tick == .max { found += 1 } }
        let removal = Stopwatch.time { for number in 0..<UInt64(batchSize) { dead[number] = nil } }
        var named: [String: UInt64] = [:]
        let names = (0..<batchSize).map { "region number \($0)" }
        for name in names { named[name] = 1 }
        let namedRemoval = Stopwatch.time { for name in names { named[name] = nil } }
        precondition(found == 0 && dead.isEmpty && named.isEmpty)
        let each = Double(batchSize)
        return [
            TargetRow(name: "dictionary.scan", value: scan / 1e6, unit: "ms"),
            TargetRow(name: "dictionary.remove", value: removal / each, unit: "ns"),
            TargetRow(name: "dictionary.removeByName", value: namedRemoval / each, unit: "ns"),
        ]
    }
}

/// SplitMix64.
struct TickRandom {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((value ^ (value >> 31)) % UInt64(bound))
    }
}

extension Stopwatch {
    static func time(_ body: () -> Void) -> Double {
        let start = creplay_monotonic_nanoseconds()
        body()
        return Double(creplay_monotonic_nanoseconds() - start)
    }
}
