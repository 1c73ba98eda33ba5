import CReplay

/// A trace of regions, unpacked.
struct RegionTrace {
    var name: String
    var path: String
    var regionAllocationCount: UInt64
    var peakLiveBytes: UInt64

    /// The traces of regions in the trace directory.
    static let names = ["skfmt-small", "skfmt-service", "skfmt-parser", "skfmt-constants"]

    /// What the names of a trace's rows begin with.
    static func rowPrefix(_ name: String) -> String { "skfmt." + name.dropFirst("skfmt-".count) }
}

extension TraceStore {
    /// Unpacks a trace of regions, unless that has been done already.
    func openRegionTrace(_ name: String) throws(BenchError) -> RegionTrace {
        guard let directory = traceDirectory, let source = System.resolved("\(directory)/\(name).trace.gz") else {
            throw .badInput("no trace \(name) in \(traceDirectory ?? "Benchmarks/Traces"); --traces DIR tells where it is")
        }
        try makeCache()
        let flat = "\(cacheDirectory)/\(name).regions"
        var header = creplay_region_header()
        // Safety: both calls read two texts and write one header, and keep no pointer.
        if unsafe !creplay_region_flat_is_current(source, flat, &header) {
            let status = unsafe creplay_region_convert(source, flat, &header)
            if status != CREPLAY_CONVERTED.rawValue { throw TraceStore.error(creplay_convert_status(status), source, cacheDirectory) }
        }
        return RegionTrace(
            name: name, path: flat, regionAllocationCount: header.region_allocation_count, peakLiveBytes: header.peak_live_bytes)
    }
}

/// What a child does with regions.
struct RegionRequest {
    enum Work: UInt64 {
        case empty = 0
        case trace, small, open, nested, openAlone
    }

    /// What stands behind the regions; `creplay_region_engine` says it precisely.
    enum Engine: UInt64 {
        case null = 0
        case cistern, pages, obstack, malloc, bump

        var name: String {
            switch self {
            case .null: "loop"
            case .cistern: "cistern"
            case .pages: "pages"
            case .obstack: "obstack"
            case .malloc: "malloc"
            case .bump: "bump"
            }
        }
    }

    var work: Work
    var engine: Engine
    var trace: RegionTrace?
    var isFromC = false
    var capacityBytes: UInt64 = 0
    var count: UInt64 = 0

    var arguments: [String] {
        let numbers = [work.rawValue, engine.rawValue, isFromC ? UInt64(CREPLAY_REGION_FROM_C) : 0, capacityBytes, count]
        return [unsafe String(cString: creplay_region_child_argument), trace?.path ?? ""] + numbers.map { String($0) }
    }
}

extension ReplayRunner {
    /// Runs a child; nil when it did not complete.
    func run(_ request: RegionRequest, addressSpaceBytes: UInt64 = 0) -> creplay_region_result? {
        let outcome = child(request, addressSpaceBytes: addressSpaceBytes).run(limit: MemoryLayout<creplay_region_result>.size)
        guard outcome.succeeded, outcome.output.count == MemoryLayout<creplay_region_result>.size else { return nil }
        // Safety: the bytes are exactly one result: numbers only, so that every pattern is a value.
        let result = unsafe outcome.output.withUnsafeBytes { unsafe $0.loadUnaligned(as: creplay_region_result.self) }
        return result.magic == creplay_result_magic && result.completed == 1 ? result : nil
    }

    func complete(_ request: RegionRequest) throws(BenchError) -> creplay_region_result {
        if let result = run(request) { return result }
        throw BenchError("\(request.engine.name) on \(request.trace?.name ?? "\(request.work)"): did not complete")
    }

    /// What replays through cistern runs in this program, everything else in the one that holds no Swift.
    func child(_ request: RegionRequest, addressSpaceBytes: UInt64) -> ChildProcess {
        let program = program(for: request.engine == .cistern ? .cistern : .glibc)
        return ChildProcess(arguments: [program] + request.arguments, addressSpaceBytes: addressSpaceBytes, cpu: pinnedCPU)
    }
}
