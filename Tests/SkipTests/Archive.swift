import Testing

/// libcistern_skip.a, and the miniature runtime linked with it and with the model of the defects; built once, in the
/// package's own folder for such things.
struct Archive {
    let folder: String

    static let shared = Result { try Archive() }

    private init() throws {
        folder = "\(packageFolder)/.build/skip-tests"
        try #require(run("rm -rf '\(folder)' && mkdir -p '\(folder)'", in: "/", errors: "/dev/null").code == 0)
        let built = try run("'\(packageFolder)/scripts/build-skip-library.sh' '\(folder)/library'", in: folder)
        try #require(built.code == 0, "\(built.output)\(built.errors)")
        let flags = "-std=gnu11 -Wall -Wextra -Werror -O1 -g -I '\(tests)/CSkipRuntime/include' -I '\(packageFolder)/CShims/CSkip/include'"
        for source in ["CSkipRuntime/*.c", "SkipPrograms/*.c"] {
            let compiled = try run("for f in '\(tests)'/\(source); do gcc \(flags) -c \"$f\" || exit 1; done", in: folder)
            try #require(compiled.code == 0, "\(compiled.errors)")
        }
        let objects = "main.o support.o runtime.o regions.o persistent.o single.o"
        let archive = "library/libcistern_skip.a -lpthread"
        for (program, parts) in [("program", archive), ("refusing", "refuse.o \(archive)"), ("model", "defective.o -lpthread")] {
            let linked = try run("gcc \(objects) \(parts) -o \(program)", in: folder)
            try #require(linked.code == 0, "\(linked.errors)")
        }
    }

    private var tests: String { "\(packageFolder)/Tests" }

    /// Runs `program`, `model` or `refusing` with a scenario and its options. `before` is for limits and variables.
    func start(_ words: String, on program: String = "program", before: String = "", seconds: Int = 120) throws -> Outcome {
        try run("\(before) timeout --kill-after=5 \(seconds) ./\(program) \(words)", in: folder)
    }
}
