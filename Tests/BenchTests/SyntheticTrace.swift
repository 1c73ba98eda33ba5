/// Writes traces in the format of Benchmarks/Traces/README.md.
struct SyntheticTrace {
    private var stream: [UInt8] = []
    private var sizes: [Int] = []
    private var live = (bytes: 0, objects: 0)
    private(set) var eventCount = 0
    private(set) var peakLiveBytes = 0
    private(set) var peakLiveObjects = 0
    var threadCount = 1

    var objectCount: Int { sizes.count }

    @discardableResult
    mutating func allocate(_ byteCount: Int, zeroed: Bool = false) -> Int {
        append(operation: zeroed ? 4 : 0, value: byteCount)
        return born(byteCount)
    }

    @discardableResult
    mutating func allocateAligned(_ byteCount: Int, alignmentLog2: Int) -> Int {
        append(operation: 5, value: alignmentLog2)
        appendVarint(byteCount)
        return born(byteCount)
    }

    mutating func free(_ object: Int) {
        append(operation: 1, value: sizes.count - object)
        eventCount += 1
        live.bytes -= sizes[object]
        live.objects -= 1
    }

    mutating func resize(_ object: Int, _ byteCount: Int) {
        append(operation: 2, value: sizes.count - object)
        appendVarint(byteCount)
        eventCount += 1
        live.bytes += byteCount - sizes[object]
        sizes[object] = byteCount
        peakLiveBytes = max(peakLiveBytes, live.bytes)
    }

    mutating func switchThread(_ thread: Int) {
        append(operation: 3, value: thread)
        threadCount = max(threadCount, thread + 1)
    }

    /// An event that no other function here makes: the tag's operation and value as given.
    mutating func appendRaw(operation: Int, value: Int) {
        append(operation: operation, value: value)
        eventCount += 1
    }

    /// The file before packing. `eventCountError` is added to what the header says.
    func bytes(eventCountError: Int = 0, streamLengthError: Int = 0) -> [UInt8] {
        var file = Array("ALLOCTR1".utf8)
        let fields = [
            eventCount + eventCountError, objectCount, peakLiveBytes, peakLiveObjects, threadCount, stream.count + streamLengthError, 0,
        ]
        for field in fields {
            for byte in 0..<8 { file.append(UInt8(truncatingIfNeeded: field >> (8 * byte))) }
        }
        return file + stream
    }

    /// A mixture of everything, of about `eventCount` events.
    static func mixed(eventCount: Int) -> SyntheticTrace {
        var trace = SyntheticTrace()
        var random: UInt64 = 0x9e37_79b9_7f4a_7c15
        var held: [Int] = []
        while trace.eventCount < eventCount {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            let size = Int(random >> 40) % (random % 64 == 0 ? 20_000 : 300)
            switch random % 16 {
            case 0...6: held.append(trace.allocate(size))
            case 7: held.append(trace.allocate(size, zeroed: true))
            case 8: held.append(trace.allocateAligned(size, alignmentLog2: 5 + Int(random >> 20) % 8))
            case 9, 10: if let object = held.last { trace.resize(object, size + 1) }
            default: if !held.isEmpty { trace.free(held.remove(at: Int(random >> 33) % held.count)) }
            }
        }
        return trace
    }

    private mutating func born(_ byteCount: Int) -> Int {
        eventCount += 1
        sizes.append(byteCount)
        live.bytes += byteCount
        live.objects += 1
        peakLiveBytes = max(peakLiveBytes, live.bytes)
        peakLiveObjects = max(peakLiveObjects, live.objects)
        return sizes.count - 1
    }

    private mutating func append(operation: Int, value: Int) {
        stream.append(UInt8(operation | min(value, 31) << 3))
        if value >= 31 { appendVarint(value - 31) }
    }

    private mutating func appendVarint(_ value: Int) {
        var rest = value
        while rest >= 128 {
            stream.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        stream.append(UInt8(rest))
    }
}
