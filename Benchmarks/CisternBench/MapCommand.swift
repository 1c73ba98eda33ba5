import CReplay
import Cistern

// Safety: records are mapped until the process ends, each with a slot below the header's slot count, as the conversion has
// verified; blocks are used between their allocation and their free only, within their size.

/// `cistern-bench map`: replays one trace and draws what its heap looked like all the while.
struct MapCommand {
    let options: Options

    static let columnCount: UInt64 = 320

    /// What a picture tells, besides its cells.
    struct Run {
        var trace: String
        var eventCount: UInt64
        var eventsDone: UInt64
        var capacityBytes: UInt64
        var peakLiveBytes: UInt64
        var peakResidentBytes: UInt64
        var peakCommittedBytes: UInt64
    }

    /// Returns the exit code: 3 when the trace does not fit the capacity; the picture then ends where it ran out.
    func run(_ store: TraceStore) throws(BenchError) -> Int32 {
        guard options.traces.count == 1 else { throw .badInput("map: one --trace is needed") }
        guard let path = options.htmlPath else { throw .badInput("map: --html FILE is needed: where the picture goes") }
        let trace = try store.open(options.traces[0])
        var header = creplay_flat_header()
        guard let records = unsafe creplay_open_records(trace.path, &header) else {
            throw BenchError("the unpacked trace of \(trace.name) cannot be read")
        }
        let asked = min(header.event_count, options.eventLimit)
        let capacity = options.capacityBytes > 0 ? options.capacityBytes : trace.peakLiveBytes + trace.peakLiveBytes / 8 + 1 << 20
        let heap: Heap
        do throws(HeapError) { heap = try Heap(capacityBytes: capacity) } catch { throw .badInput("map: \(error)") }

        // The first pass finds how far the heap reaches and whether it suffices, the second one is looked at.
        var player = unsafe Player(heap: heap, records: records, slotCount: Int(header.slot_count))
        let done = player.play(to: asked, writes: false)
        do throws(DiscardError) { try heap.discard() } catch { throw BenchError("map: a region is open") }
        player = unsafe Player(heap: heap, records: records, slotCount: Int(header.slot_count))
        let shown = options.capacityBytes > 0 ? heap.statistics.extentHighWaterBytes : heap.capacityBytes
        var recording = MapRecording(shownBytes: shown)
        var run = Run(
            trace: trace.name, eventCount: asked, eventsDone: 0, capacityBytes: heap.capacityBytes, peakLiveBytes: 0,
            peakResidentBytes: 0, peakCommittedBytes: 0)
        for number in 0...Self.columnCount {
            _ = player.play(to: done * number / Self.columnCount, writes: true)
            let snapshot = heap.snapshot()
            let resident = unsafe creplay_resident_bytes(
                UnsafeRawPointer(bitPattern: snapshot.baseAddress).unsafelyUnwrapped, Int(snapshot.committedBytes))
            recording.add(snapshot, event: player.done, liveBytes: player.liveBytes, residentBytes: resident)
            run.peakResidentBytes = max(run.peakResidentBytes, resident)
            run.peakCommittedBytes = max(run.peakCommittedBytes, snapshot.committedBytes)
        }
        guard player.done == done else {
            throw BenchError("\(trace.name): \(done) events the first time and \(player.done) in the emptied heap: they should be the same")
        }
        run.eventsDone = done
        run.peakLiveBytes = player.peakLiveBytes
        try System.writeFile(path, MapPage(run: run, recording: recording).text)
        print("\(path): \(done) events, heap of \(ByteCount.megabytes(heap.capacityBytes)) MB, \(recording.cellCount) cells")
        guard done == asked else {
            throw BenchError(
                "\(trace.name): out of memory at event \(done) of \(asked); the picture ends there", exitCode: BenchError.outOfMemoryCode)
        }
        return 0
    }
}

/// Replays a trace into a heap, a part at a time.
@safe
private struct Player {
    let heap: Heap
    private let records: UnsafePointer<creplay_record>
    private var blocks: [UnsafeMutableRawPointer?]
    private(set) var done: UInt64 = 0
    private(set) var liveBytes: UInt64 = 0
    private(set) var peakLiveBytes: UInt64 = 0

    init(heap: Heap, records: UnsafePointer<creplay_record>, slotCount: Int) {
        self.heap = heap
        unsafe self.records = records
        unsafe blocks = [UnsafeMutableRawPointer?](repeating: nil, count: slotCount)
    }

    /// Goes on up to an event. Returns how many are done: fewer when there was no room.
    mutating func play(to end: UInt64, writes: Bool) -> UInt64 {
        while done < end {
            let record = unsafe records[Int(done)]
            let slot = Int(record.slot)
            let byteCount = Int(record.byte_count)
            if UInt32(record.operation) == CREPLAY_FREE.rawValue {
                if let block = unsafe blocks[slot] { unsafe heap.deallocate(block, byteCount: byteCount) }
                unsafe blocks[slot] = nil
                liveBytes -= UInt64(byteCount)
            } else {
                guard let made = unsafe makeBlock(heap, record, blocks[slot]) else { return done }
                unsafe blocks[slot] = made
                if writes { unsafe made.initializeMemory(as: UInt8.self, repeating: 1, count: byteCount) }
                if UInt32(record.operation) == CREPLAY_RESIZE.rawValue { liveBytes -= UInt64(record.old_byte_count) }
                liveBytes += UInt64(byteCount)
                peakLiveBytes = max(peakLiveBytes, liveBytes)
            }
            done += 1
        }
        return done
    }
}
