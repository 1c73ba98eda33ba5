import CTestSupport
import HeapCore
import Testing

@testable import Ticks

extension TickSuites {
    /// I1 to I15 on random schedules, every answer against a plain oracle. CISTERN_TEST_SEED replays one seed; optimised code
    /// runs 100,000 schedules of each mode (.ci/run optimised), a debug build some of them.
    @Suite struct ModelTests {
        private static let stepCount = 64

        private var scheduleCount: Int { isOptimised ? 100_000 : Sanitizer.isPresent ? 150 : scaled(2500) }

        /// Runs schedules until one fails. Shortens that one.
        private func firstFailure(
            _ mode: ModelOptions.Mode, _ control: ModelOptions.Control, seed: UInt64, count: Int
        ) throws -> String? {
            let heaps = try TwoHeaps()
            var trace: UInt64 = 0
            for number in 0..<UInt64(count) {
                var schedule = Schedule(seed: seed &+ number, mode: mode, stepCount: Self.stepCount)
                schedule.options.control = control
                if control == .classifiesAtRemoval || control == .leavesBatchUnpinned { schedule.options.reopening = .never }
                guard let failure = ModelRun.failure(schedule, in: heaps.heaps, trace: &trace) else { continue }
                let short = schedule.shortened { ModelRun.failure($0, in: heaps.heaps, trace: &trace) != nil }
                let said = ModelRun.failure(short, in: heaps.heaps, trace: &trace) ?? failure
                return "seed \(seed &+ number): \(failure); shortened to \(short.steps.map { $0.kind }): \(said)"
            }
            return heaps.areEmpty ? nil : "blocks are left in the heap"
        }

        @Test(arguments: [ModelOptions.Mode.horizon, .interval])
        func everyScheduleAgreesWithTheOracle(mode: ModelOptions.Mode) throws {
            let seed = cistern_test_seed(0x71C5_0001)
            print("tick model \(mode): seed \(seed) (CISTERN_TEST_SEED), \(scheduleCount) schedules")
            let failure = try firstFailure(mode, .none, seed: seed, count: scheduleCount)
            #expect(failure == nil, "\(failure ?? "")")
        }

        /// What is wrong on purpose must be noticed: otherwise the oracle proves nothing.
        @Test(arguments: [
            ModelOptions.Control.classifiesAtRemoval, .leavesBatchUnpinned, .goesWithFirstOwner, .reopensWithoutStaged,
            .reopensWithoutFloor,
        ])
        func aWrongRuleIsNoticed(control: ModelOptions.Control) throws {
            let said = try #require(try firstFailure(.interval, control, seed: 1, count: 2000))
            // A region that is gone too early is missed by readers, or its name is free.
            let isRightReason = said.contains("not told") || said.contains("listing") || said.contains("name was given twice")
            #expect(isRightReason, "\(said)")
        }

        /// I15: a directory that was saved, destroyed and reopened where a schedule says so, in the same or another heap, gives the
        /// same answers, counts and payloads from then on as one that was never closed and only lost its other readers.
        @Test(arguments: [ModelOptions.Mode.horizon, .interval])
        func reopenedEqualsNeverClosed(mode: ModelOptions.Mode) throws {
            let seed = cistern_test_seed(0x71C5_0002)
            let count = isOptimised ? scheduleCount / 2 : scheduleCount / 5
            print("tick model reopened \(mode): seed \(seed) (CISTERN_TEST_SEED), \(count) schedules")
            let heaps = try TwoHeaps()
            for number in 0..<UInt64(count) {
                var schedule = Schedule(seed: seed &+ number, mode: mode, stepCount: Self.stepCount)
                var traces: [UInt64] = [0, 1]
                let image = ModelRun.failure(schedule, in: heaps.heaps, trace: &traces[0])
                schedule.options.reopening = .never
                let never = ModelRun.failure(schedule, in: heaps.heaps, trace: &traces[1])
                let said = String(describing: image ?? never)
                try #require(image == nil && never == nil && traces[0] == traces[1], "seed \(seed &+ number): \(said)")
            }
            #expect(heaps.areEmpty)
        }

        /// I14: the same seed gives the same answers, in another heap and with another hash seed.
        @Test func theSameSeedGivesTheSameTrace() throws {
            let heaps = try TwoHeaps()
            var other: UInt64 = 0
            for seed in 0..<UInt64(scaled(200)) {
                let schedule = Schedule(seed: seed, mode: .interval, stepCount: Self.stepCount)
                var first: UInt64 = 0
                var second: UInt64 = 0
                #expect(ModelRun.failure(schedule, in: heaps.heaps, trace: &first) == nil)
                #expect(ModelRun.failure(schedule, in: heaps.heaps, trace: &second) == nil)
                #expect(first == second && first != other)
                other = first
            }
        }
    }
}

/// Where a directory lives, and where it goes when it is reopened elsewhere.
private final class TwoHeaps {
    let heaps: [BoundedHeap]

    init() throws { heaps = try (0..<2).map { _ in try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20)) } }

    deinit { for heap in heaps { _ = heap.destroy() } }

    var areEmpty: Bool { heaps.allSatisfy { $0.statistics().liveBlockCount == 0 } }
}
