import CReplay

/// A trace, unpacked: the flat file that children map, and what the trace says about itself.
struct FlatTrace {
    var name: String
    var path: String
    var eventCount: UInt64
    var objectCount: UInt64
    var peakLiveBytes: UInt64
    var peakLiveObjects: UInt64
    var threadCount: UInt64
}

/// Finds trace files and unpacks each of them once.
struct TraceStore {
    private static let suffix = ".trace.gz"

    /// Where named traces are; nil when no such directory was found.
    let traceDirectory: String?
    /// Where unpacked traces go.
    let cacheDirectory: String

    init(traceDirectory: String?, cacheDirectory: String?) throws(BenchError) {
        self.traceDirectory = traceDirectory ?? TraceStore.findTraceDirectory()
        self.cacheDirectory = cacheDirectory ?? TraceStore.defaultCacheDirectory(beside: self.traceDirectory)
    }

    /// Names of the general traces in the directory, sorted. Those of other kinds have names that start with `sk`.
    func generalTraceNames() throws(BenchError) -> [String] {
        guard let directory = traceDirectory, let names = System.namesInDirectory(directory) else {
            throw .badInput("no directory Benchmarks/Traces above this program or the current directory; --traces DIR tells where it is")
        }
        let traces = names.filter { $0.hasSuffix(TraceStore.suffix) && !$0.hasPrefix("sk") }
        if traces.isEmpty { throw .badInput("no trace files (*\(TraceStore.suffix)) in \(directory)") }
        return traces.map { String($0.dropLast(TraceStore.suffix.count)) }
    }

    /// Makes the directory for what is unpacked or copied.
    func makeCache() throws(BenchError) {
        guard System.makeDirectory(cacheDirectory) else {
            throw BenchError("cannot write to the cache directory \(cacheDirectory); --cache DIR names another")
        }
    }

    /// Unpacks a trace, given by name or by path, unless that has been done already.
    func open(_ nameOrPath: String) throws(BenchError) -> FlatTrace {
        let source = try sourcePath(nameOrPath)
        try makeCache()
        let flat = "\(cacheDirectory)/\(cacheName(of: source))"
        var header = creplay_flat_header()
        // Safety: both calls read two texts and write one header, and keep no pointer.
        if unsafe !creplay_flat_is_current(source, flat, &header) {
            let status = unsafe creplay_convert(source, flat, &header)
            if status != CREPLAY_CONVERTED { throw TraceStore.error(status, source, cacheDirectory) }
        }
        return FlatTrace(
            name: TraceStore.name(of: source), path: flat, eventCount: header.event_count, objectCount: header.object_count,
            peakLiveBytes: header.peak_live_bytes, peakLiveObjects: header.peak_live_objects, threadCount: header.thread_count)
    }

    private func sourcePath(_ nameOrPath: String) throws(BenchError) -> String {
        if nameOrPath.contains("/") || System.isReadable(nameOrPath) {
            if let path = System.resolved(nameOrPath) { return path }
            throw .badInput("\(nameOrPath): there is no such trace file")
        }
        let names = try generalTraceNames()
        guard let directory = traceDirectory, let path = System.resolved("\(directory)/\(nameOrPath)\(TraceStore.suffix)") else {
            throw .badInput("--trace \(nameOrPath): expected a path or one of \(names.joined(separator: ", "))")
        }
        return path
    }

    /// The trace's name and a hash of its whole path, so that two files of one name do not share a place.
    private func cacheName(of source: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in source.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return "\(TraceStore.name(of: source))-\(String(hash, radix: 16)).flat"
    }

    private static func name(of path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        return last.hasSuffix(suffix) ? String(last.dropLast(suffix.count)) : last
    }

    static func error(_ status: creplay_convert_status, _ source: String, _ cache: String) -> BenchError {
        switch status {
        case CREPLAY_NOT_GZIP: return .badInput("\(source): not a trace: not a gzip file")
        case CREPLAY_NOT_A_TRACE: return .badInput("\(source): not an allocation trace: does not begin as one does")
        case CREPLAY_TRUNCATED: return .badInput("\(source): the trace is cut off before its end")
        case CREPLAY_DAMAGED: return .badInput("\(source): the trace is damaged: its events do not agree with its header")
        case CREPLAY_CACHE_UNWRITABLE: return BenchError("cannot write the unpacked trace to \(cache); --cache DIR names another place")
        case CREPLAY_NO_GZIP_PROGRAM: return BenchError("the gzip program is needed to unpack traces, and is not installed")
        case CREPLAY_TOO_LARGE: return .badInput("\(source): the trace has an object of 4 GiB or more, or too many objects")
        case CREPLAY_NO_MEMORY: return BenchError("\(source): not enough memory to unpack the trace")
        default: return .badInput("\(source): cannot be read")
        }
    }

    /// Walks up from the program and from the current directory.
    private static func findTraceDirectory() -> String? {
        for start in [System.executablePath(), System.resolved(".").map { $0 + "/." }] {
            var directory = start ?? ""
            while let slash = directory.lastIndex(of: "/") {
                directory = String(directory[..<slash])
                let candidate = "\(directory)/Benchmarks/Traces"
                if System.isReadable(candidate) { return candidate }
            }
        }
        return nil
    }

    private static func defaultCacheDirectory(beside traceDirectory: String?) -> String {
        if let traceDirectory {
            let build = "\(traceDirectory)/../../.build"
            if System.isReadable(build), System.makeDirectory("\(build)/cistern-traces") { return "\(build)/cistern-traces" }
        }
        if let cache = System.environment("XDG_CACHE_HOME"), !cache.isEmpty { return "\(cache)/cistern-traces" }
        if let home = System.environment("HOME"), !home.isEmpty, System.makeDirectory("\(home)/.cache/cistern-traces") {
            return "\(home)/.cache/cistern-traces"
        }
        return "/tmp/cistern-traces"
    }
}
