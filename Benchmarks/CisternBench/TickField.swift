import CReplay
import Cistern

// Safety: names are the eight bytes of a local number, which lives as long as the call.

/// A directory in a heap of its own, filled with numbered regions.
final class TickField {
    let heap: BoundedHeap
    let directory: RegionDirectory
    private var nextName: UInt64 = 0

    init(capacityBytes: UInt64, mode: RetentionMode = .interval) throws(BenchError) {
        var heapOptions = HeapOptions(capacityBytes: capacityBytes)
        heapOptions.usesHugePages = true
        var options = DirectoryOptions()
        options.mode = mode
        options.policy = .unbounded
        do throws(HeapCreationError) { heap = try BoundedHeap.create(heapOptions) } catch { throw BenchError("no heap: \(error)") }
        do throws(DirectoryError) { directory = try RegionDirectory.create(in: heap, options) } catch {
            throw BenchError("no directory: \(error)")
        }
    }

    deinit { _ = heap.destroy() }

    /// Makes regions with names of eight bytes.
    func fill(_ count: Int) throws(BenchError) -> [RegionID] {
        var made: [RegionID] = []
        made.reserveCapacity(count)
        for _ in 0..<count { made.append(try create()) }
        return made
    }

    func create() throws(BenchError) -> RegionID {
        nextName += 1
        var name = nextName
        do throws(DirectoryError) {
            return try Self.create(directory, &name)
        } catch { throw BenchError("create: \(error)") }
    }

    private static func create(_ directory: RegionDirectory, _ name: inout UInt64) throws(DirectoryError) -> RegionID {
        let made: Result<RegionID, DirectoryError> = unsafe withUnsafeBytes(of: &name) { bytes in
            do throws(DirectoryError) { return .success(unsafe try directory.create(bytes)) } catch { return .failure(error) }
        }
        return try made.get()
    }

    /// What an operation that the benchmark knows to be allowed gives.
    func expect<Value>(_ call: () throws(DirectoryError) -> Value) throws(BenchError) -> Value {
        do throws(DirectoryError) { return try call() } catch { throw BenchError("ticks: \(error)") }
    }

    func seal(budget: UInt64? = nil) throws(BenchError) -> SealReport {
        try expect { () throws(DirectoryError) in try directory.seal(budget: budget) }
    }

    func attach(_ options: ReaderOptions = ReaderOptions()) throws(BenchError) -> ReaderHandle {
        try expect { () throws(DirectoryError) in try directory.attach(options) }
    }

    /// The token of a poll, which is no resync here.
    func poll(_ reader: ReaderHandle) throws(BenchError) -> BatchToken {
        switch try expect({ () throws(DirectoryError) in try directory.poll(reader) }) {
        case .changes(let batch): return batch.token
        case .resync: throw BenchError("ticks: resync")
        }
    }

    /// A reader at the open tick, the next of which is open then.
    func attachAndSeal() throws(BenchError) -> ReaderHandle {
        let reader = try attach()
        _ = try seal()
        return reader
    }
}

/// Nanoseconds.
enum Stopwatch {
    static func time(_ body: () throws(BenchError) -> Void) throws(BenchError) -> Double {
        let start = creplay_monotonic_nanoseconds()
        try body()
        return Double(creplay_monotonic_nanoseconds() - start)
    }
}
