import CReplay

/// Finds the smallest value for which something completes, to within a tolerance.
enum SmallestSearch {
    /// `completes` should be false up to some value and true from there on. Tries `guess` first, goes on from there in growing
    /// steps until one value fails and one completes, then halves the gap. nil when nothing up to `highest` completes.
    static func find(guess: UInt64, step: UInt64, tolerance: UInt64, highest: UInt64, completes: (UInt64) -> Bool) -> UInt64? {
        precondition(step > 0 && tolerance > 0)
        var low: UInt64 = 0
        var high: UInt64
        var stride = step
        if completes(min(guess, highest)) {
            high = min(guess, highest)
            while high > low + tolerance {
                let next = high > stride ? high - stride : 0
                if next == 0 || !completes(next) {
                    low = next
                    break
                }
                high = next
                stride *= 2
            }
        } else {
            low = min(guess, highest)
            high = low
            repeat {
                if high >= highest { return nil }
                low = high
                high = min(highest, high + stride)
                stride *= 2
            } while !completes(high)
        }
        while high - low > tolerance {
            let middle = low + (high - low) / 2
            if completes(middle) { high = middle } else { low = middle }
        }
        return high
    }
}

/// The address space that replays need.
struct AddressSpaceMeter {
    let runner: ReplayRunner
    /// 0.02 for two percent of the live peak.
    let toleranceShare: Double

    private static let page: UInt64 = 4096
    private static let emptyTolerance: UInt64 = 16 << 10

    /// The smallest RLIMIT_AS under which the program that replays through this allocator maps the trace and gets through
    /// without replaying anything; with the allocator's library loaded, or with none.
    func empty(
        _ trace: FlatTrace, _ allocator: Allocator, loading: Bool, eventLimit: UInt64 = .max
    ) throws(BenchError) -> UInt64 {
        let bare = allocator.isCistern ? allocator : Allocator.glibc
        let request = ReplayRequest(mode: .empty, allocator: loading ? allocator : bare, trace: trace, eventLimit: eventLimit)
        let peak = try runner.complete(request).address_space_peak_bytes
        let found = SmallestSearch.find(
            guess: peak, step: AddressSpaceMeter.emptyTolerance, tolerance: AddressSpaceMeter.emptyTolerance, highest: peak * 2
        ) { runner.run(request, addressSpaceBytes: rounded($0)).completedResult != nil }
        guard let found else { throw BenchError("the empty replay of \(trace.name) does not run under its own address space") }
        return rounded(found)
    }

    /// The smallest RLIMIT_AS, less `emptyBytes`, under which the replay completes; nil when there is none within bounds.
    func smallest(
        _ trace: FlatTrace, _ allocator: Allocator, peakLiveBytes: UInt64, emptyBytes: UInt64, guess: UInt64, eventLimit: UInt64 = .max
    ) -> UInt64? {
        let request = ReplayRequest(mode: .touch, allocator: allocator, trace: trace, eventLimit: eventLimit)
        let tolerance = max(64 << 10, UInt64(Double(peakLiveBytes) * toleranceShare))
        let hardLimit = creplay_address_space_limit()
        if hardLimit <= emptyBytes { return nil }
        let highest = min(hardLimit - emptyBytes, peakLiveBytes * 16 + (4 << 30))
        return SmallestSearch.find(guess: guess, step: tolerance * 2, tolerance: tolerance, highest: highest) { byteCount in
            runner.run(request, addressSpaceBytes: emptyBytes + rounded(byteCount)).completedResult != nil
        }.map(rounded)
    }

    private func rounded(_ byteCount: UInt64) -> UInt64 {
        (byteCount + AddressSpaceMeter.page - 1) / AddressSpaceMeter.page * AddressSpaceMeter.page
    }
}
