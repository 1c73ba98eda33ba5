/// A command line and the environment, what the program ends with, and what it says.
struct CommandLineCase {
    /// What stands before the command, as in `SKIP_CAPACITY=3G`; empty: nothing.
    var variable: String
    var words: String
    var code: Int32
    var errors: String

    private static let malformed = " expects an integer (optionally suffixed with K, M, or G)\n"
    private static let range = ": value out of range\n"
    private static let least = " bytes, and the least is 1048576\n"

    static let all: [CommandLineCase] = table.map { CommandLineCase(variable: $0.0, words: $0.1, code: $0.2, errors: $0.3) }

    private static let table: [(String, String, Int32, String)] = [
        ("", "--capacity 1M", 0, ""), ("", "--capacity 1024k", 0, ""), ("", "--capacity 1g", 0, ""),
        ("", "--capacity 0001048576", 0, ""),
        ("SKIP_CAPACITY=nonsense", "--capacity 1M", 0, ""), ("SKIP_CAPACITY=1M", "--capacity -5", 0, ""),
        ("SKIP_CAPACITY=nonsense", "--capacity -5", 0, ""), ("SKIP_CAPACITY=1M", "--capacity", 0, ""),
        ("SKIP_CAPACITY=", "", 0, ""), ("SKIP_CAPACITY=nonsense", "--capacity", 2, "SKIP_CAPACITY" + malformed),
        ("SKIP_CAPACITY=1M", "-- --capacity x", 2, "--capacity" + malformed),
        ("SKIP_CAPACITY=1M", "--capacity=x", 0, ""), ("SKIP_CAPACITY=3GB", "", 2, "SKIP_CAPACITY" + malformed),
        ("SKIP_CAPACITY=1.5G", "", 2, "SKIP_CAPACITY" + malformed), ("SKIP_CAPACITY=-1", "", 2, "SKIP_CAPACITY" + malformed),
        ("SKIP_CAPACITY=' 3G'", "", 2, "SKIP_CAPACITY" + malformed), ("SKIP_CAPACITY=0x10", "", 2, "SKIP_CAPACITY" + malformed),
        ("", "--capacity 3T", 2, "--capacity" + malformed), ("", "--capacity ''", 2, "--capacity" + malformed),
        ("", "--capacity 99999999999G", 2, "--capacity" + range),
        ("", "--capacity 9223372036854775808", 2, "--capacity" + range),
        ("", "--capacity 0", 42, "Could not initialize memory: --capacity is 0" + least),
        ("SKIP_CAPACITY=640", "", 42, "Could not initialize memory: SKIP_CAPACITY is 640" + least),
        ("", "--capacity 1023K", 42, "Could not initialize memory: --capacity is 1047552" + least),
        (
            "", "--capacity 129G", 42,
            "Could not initialize memory: --capacity is 138512695296 bytes, and the most is 137438953472\n"
        ),
        ("", "--data", 103, "Error: --data/--init expects a file name"),
        ("", "--init f --data g", 103, "Error: incompatible --data/--init options"),
        ("", "--init f", 45, "Error: --init: this memory layer has no heaps in files yet; run without --init and --data\n"),
        ("", "--data f", 45, "Error: --data: this memory layer has no heaps in files yet; run without --init and --data\n"),
        ("", "--data=f", 0, ""),
    ]
}
