/// One option of a command.
struct OptionSpec {
    /// What follows an option, if anything.
    enum Value: Equatable {
        case none
        /// A word of this name, which a shell cannot complete, or completes from these.
        case word(String, [String] = [])
        /// A file of this name.
        case file(String)
    }

    var name: String
    var value = Value.none
    var help: String

    var valueName: String? {
        switch value {
        case .none: nil
        case .word(let name, _), .file(let name): name
        }
    }
}

/// One command: what help, completions and the reader of arguments know of it.
struct CommandSpec {
    var name: String
    var summary: String
    var usage: [String]
    var description: String
    var options: [OptionSpec]
    /// Words that are no options, by what a shell completes them with.
    var operands: [String] = []
    /// True: the rest of the line is another command.
    var takesCommand = false
    var exitCodes: [(String, String)]
    var examples: [String]
}

/// Everything that the command line knows, in one place: help, completions and parsing are made from it, and a test compares the
/// manual page with it.
enum CommandTable {
    static let version = "0.1.0"

    static let help = OptionSpec(name: "--help", help: "print this help and exit (also -h)")
    static let json = OptionSpec(name: "--json", help: "print the result as JSON, one object on one line")

    static let commands = [limits, capacity, run, jobs, containerArguments, completions]

    private static let done = ("0", "done")
    private static let failed = ("1", "the result could not be written")
    private static let badUse = ("2", "bad use or a malformed value; one line on standard error, nothing on standard output")

    private static let limits = CommandSpec(
        name: "limits", summary: "tell every limit on memory that applies here",
        usage: ["cistern limits [--json]"],
        description: """
            Prints the limits on the memory of this process: value, what is in use and left, and where each was read; the tightest
            is marked with an asterisk. Then overcommit mode, memory, swap, processors and pressure. What cannot be read is said,
            the rest is printed.
            """,
        options: [json, help], exitCodes: [done, failed, badUse],
        examples: ["cistern limits", "cistern limits --json | jq .tightest.bytes"])

    private static let capacity = CommandSpec(
        name: "capacity", summary: "tell which heap capacity results here, or whether one is possible",
        usage: ["cistern capacity [--capacity VALUE] [--fit] [--explain] [--json]", "cistern capacity --probe VALUE [--explain] [--json]"],
        description: """
            Prints, in bytes, the capacity that --capacity or else SKIP_CAPACITY asks for, and 17179869184 (16 GiB) when neither
            does. An empty SKIP_CAPACITY is not set. VALUE is decimal digits, then nothing or one of K, M, G (powers of 1024).
            As in Skip programs, --capacity before a word that begins with '-' means the default, and --capacity as the last
            word counts as absent; --capacity=VALUE is always a value.
            """,
        options: [
            OptionSpec(name: "--capacity", value: .word("VALUE"), help: "the capacity; the first one counts, and SKIP_CAPACITY does not"),
            OptionSpec(
                name: "--fit",
                help: "where nobody asks for a capacity, the one that suits this machine: 4 GB gives 3 GiB, 8 gives 6, 16 gives 12"),
            OptionSpec(
                name: "--probe", value: .word("VALUE"),
                help: "try to reserve this much; if that fails, name the limit in the way and what would fit"),
            OptionSpec(name: "--explain", help: "say why, on standard error"), json, help,
        ],
        exitCodes: [done, ("1", "--probe: it cannot be reserved; or the result could not be written"), badUse],
        examples: [
            "cistern capacity", "SKIP_CAPACITY=$(cistern capacity --fit) skfmt *.sk",
            "prlimit --as=4294967296 cistern capacity --probe 16G",
        ])

    private static let run = CommandSpec(
        name: "run", summary: "run a command under bounds, and tell how it ended",
        usage: ["cistern run [OPTION]... [--] COMMAND [ARGUMENT]..."],
        description: """
            Runs COMMAND with its standard input, output and error, passes signals on to it, and exits as it does. A command that
            the kernel kills for memory is reported as such only where a counter or the kernel's log proves it. SIZE is decimal
            digits, then nothing or one of K, M, G (powers of 1024).
            """,
        options: [
            OptionSpec(
                name: "--capacity", value: .word("VALUE", ["auto"]),
                help: "set SKIP_CAPACITY for the command: a SIZE, also in KiB, MiB, GiB, TiB; auto, what fits the limits and the bounds "
                    + "given here; auto-SIZE, that less SIZE; 1% to 100% of the tightest limit"),
            OptionSpec(name: "--address-space", value: .word("SIZE"), help: "RLIMIT_AS of the command"),
            OptionSpec(
                name: "--memory", value: .word("SIZE"),
                help: "memory of the command and all that it starts, by a control group of its own; where none can be made, that is "
                    + "said and the command runs without"),
            OptionSpec(
                name: "--envelope", help: "print on standard error what surrounds the command before its start, and what came of it after"),
            OptionSpec(
                name: "--envelope-file", value: .file("FILE"),
                help: "keep the same in FILE, brought up to date every 5 seconds while the command runs"),
            OptionSpec(
                name: "--json", help: "the envelope as JSON, one object for each block; implies --envelope without --envelope-file"),
            help,
        ],
        takesCommand: true,
        exitCodes: [
            ("2", "bad use or a malformed value; the command was not started"),
            ("125", "cistern itself failed; the command was not started"),
            ("126", "the command was found and could not be executed"), ("127", "the command was not found"),
            ("128+N", "the command was ended by signal N; 137 when it was killed"), ("other", "the exit code of the command"),
        ],
        examples: [
            "cistern run --envelope -- make test", "cistern run --memory 4G --capacity auto -- skfmt *.sk",
            "cistern run --address-space 2G --envelope-file build.envelope -- ./build",
        ])

    private static let jobs = CommandSpec(
        name: "jobs", summary: "tell how many jobs of one size fit here",
        usage: ["cistern jobs --each SIZE [--explain] [--json]"],
        description: """
            Prints max(1, min(processors, 0.95 x tightest limit / SIZE)), where processors are those that affinity and control groups
            permit. SIZE is decimal digits, then nothing or one of K, M, G (powers of 1024).
            """,
        options: [
            OptionSpec(name: "--each", value: .word("SIZE"), help: "memory of one job"),
            OptionSpec(name: "--explain", help: "say why, on standard error"), json, help,
        ],
        exitCodes: [done, failed, badUse], examples: ["make -j$(cistern jobs --each 2G)"])

    private static let containerArguments = CommandSpec(
        name: "container-args", summary: "print the build arguments that carry SKIP_CAPACITY into an image build",
        usage: ["cistern container-args [--docker | --bake] [--json]"],
        description: """
            Prints arguments for the program that builds a container image when SKIP_CAPACITY is set and not empty, and nothing
            otherwise. The image needs the lines 'ARG SKIP_CAPACITY' and 'ENV SKIP_CAPACITY=${SKIP_CAPACITY}'.
            """,
        options: [
            OptionSpec(name: "--docker", help: "for docker build and podman build (this is the default)"),
            OptionSpec(name: "--bake", help: "for docker buildx bake"), json, help,
        ],
        exitCodes: [done, failed, badUse],
        examples: ["docker build $(cistern container-args) .", "docker buildx bake $(cistern container-args --bake)"])

    private static let completions = CommandSpec(
        name: "completions", summary: "print the completions of a shell",
        usage: ["cistern completions bash|zsh|fish"],
        description: "Prints a script that teaches the shell the commands and options of cistern.",
        options: [help], operands: ["bash", "zsh", "fish"], exitCodes: [done, failed, badUse],
        examples: [
            "cistern completions bash > ~/.local/share/bash-completion/completions/cistern",
            "cistern completions zsh > ~/.zfunc/_cistern", "cistern completions fish > ~/.config/fish/completions/cistern.fish",
        ])
}
