/// The command line.
struct Options {
    enum Command {
        case suite, run, threads, regions, ticks, handover, map, list, help
    }

    var command = Command.suite
    var traces: [String] = []
    var allocators: [String] = []
    var addressSpaceBytes: UInt64?
    var capacityBytes: UInt64 = 0
    var eventLimit: UInt64 = .max
    var operationCount: UInt64?
    var repetitions: Int?
    var seed: UInt64 = 1
    var isQuick = false
    var checks = false
    var runsThreads = false
    var countsInstructions = false
    var usesSamplesOnly = false
    var traceDirectory: String?
    var cacheDirectory: String?
    var jsonPath: String?
    var htmlPath: String?

    static let help = """
        usage: cistern-bench [options]            measure all general traces with every allocator that is installed
               cistern-bench run [options]        one replay of each trace and allocator named
               cistern-bench threads [options]    the threaded workloads alone
               cistern-bench regions [options]    regions beside a bump pointer, obstack and malloc, and on traces of regions;
                                                  --quick, --json, --html; --operations N: objects that are counted (100000)
               cistern-bench ticks [options]      directories, tombstones and readers; --quick, --json, --html; --operations N:
                                                  regions in a batch (1000000)
               cistern-bench handover [options]   peak memory of a parent and the child it hands its memory to; --quick, --json,
                                                  --sampled: by samples even where a control group can be made
               cistern-bench map [options]        a picture of the heap over the run of one trace: --trace T --html FILE
                                                  [--capacity N: an eighth more than the trace's peak] [--events N]

          --trace T           a trace by name or path; may be repeated
          --allocator A       cistern, glibc, jemalloc, tcmalloc, mimalloc, a variant of cistern (see --list), or
                              name=/path/of/library.so; may be repeated
          --quick             one repetition, bisection to 5 %, no threads: about a minute
          --repeat N          repetitions; their median counts (5; threads: 9)
          --json FILE         writes everything measured, and the machine
          --html FILE         writes one page with charts
          --list              tells the traces and allocators that are here
          --instructions      also counts instructions per event with valgrind, where a run of everything does not anyway
          --threads           also the threaded workloads, where they would be left out (--quick, --trace, --allocator)
          --operations N      allocations and frees of each thread in the threaded workloads (40000000)
          --traces DIR        where the traces are (looked for above this program and the current directory)
          --cache DIR         where unpacked traces are kept

        for run:
          --address-space N   RLIMIT_AS of the replay: what an empty replay needs, plus N (K, M, G are powers of 1024).
                              For cistern the heap's capacity is N. Exit code 3 when the replay does not complete.
          --capacity N        the capacity of cistern's heap (all that RLIMIT_AS leaves; 16 GiB without a limit)
          --check             fills every block with a pattern and verifies it at each free and resize
          --seed N            for the patterns
          --events N          stops after N events

        exit codes: 0 done, 1 failed, 2 bad command line or trace, 3 a replay ran out of memory

        """

    /// Reads the arguments after the program's name.
    static func parse(_ arguments: [String]) throws(BenchError) -> Options {
        var options = Options()
        var rest = arguments[...]
        switch rest.first {
        case "run": options.command = .run
        case "threads": options.command = .threads
        case "regions": options.command = .regions
        case "ticks": options.command = .ticks
        case "handover": options.command = .handover
        case "map": options.command = .map
        default: break
        }
        if options.command != .suite { rest.removeFirst() }
        while let argument = rest.popFirst() {
            var name = argument
            if argument.hasPrefix("--"), let separator = argument.firstIndex(of: "=") {
                name = String(argument[..<separator])
                rest = [String(argument[argument.index(after: separator)...])] + rest
            }
            if try !options.takeSwitch(name) { try options.take(name, &rest) }
        }
        return options
    }

    private mutating func takeSwitch(_ name: String) throws(BenchError) -> Bool {
        switch name {
        case "--help", "-h": command = .help
        case "--list": command = .list
        case "--quick": isQuick = true
        case "--check": checks = true
        case "--threads": runsThreads = true
        case "--instructions": countsInstructions = true
        case "--sampled": usesSamplesOnly = true
        default: return false
        }
        return true
    }

    private mutating func take(_ name: String, _ rest: inout ArraySlice<String>) throws(BenchError) {
        let known = [
            "--trace", "--allocator", "--address-space", "--capacity", "--events", "--repeat", "--repetitions", "--seed", "--traces",
            "--cache", "--json", "--html", "--operations",
        ]
        guard known.contains(name) else { throw .badInput("\(name): not known; cistern-bench --help tells what is") }
        guard let value = rest.popFirst(), !value.isEmpty else { throw .badInput("\(name): a value is missing") }
        switch name {
        case "--trace": traces.append(value)
        case "--allocator": allocators.append(value)
        case "--address-space": addressSpaceBytes = try Options.byteCount(name, value)
        case "--capacity": capacityBytes = try Options.byteCount(name, value)
        case "--events": eventLimit = try Options.number(name, value)
        case "--repeat", "--repetitions": repetitions = Int(try Options.number(name, value, highest: 1000))
        case "--seed": seed = try Options.number(name, value, highest: .max >> 1)
        case "--traces": traceDirectory = value
        case "--cache": cacheDirectory = value
        case "--operations": operationCount = try Options.number(name, value, highest: 1 << 40)
        case "--json": jsonPath = value
        default: htmlPath = value
        }
    }

    private static func byteCount(_ name: String, _ value: String) throws(BenchError) -> UInt64 {
        guard let byteCount = ByteCount.parse(value), byteCount <= 1 << 47 else {
            throw .badInput("\(name) \(value): expected a number of bytes with an optional K, M or G")
        }
        return byteCount
    }

    private static func number(_ name: String, _ value: String, highest: UInt64 = .max) throws(BenchError) -> UInt64 {
        guard value.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let number = UInt64(value), number > 0, number <= highest else {
            throw .badInput("\(name) \(value): expected a whole number from 1 to \(highest)")
        }
        return number
    }
}
