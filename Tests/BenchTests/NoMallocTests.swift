import Testing

@Suite(.enabled(if: Sanitizer.isAbsent, "children of cistern-bench run without sanitizers"))
struct NoMallocTests {
    /// A malloc that counts its calls and tells the number when the process ends.
    private static let countingMalloc = """
        #include <stddef.h>
        #include <stdio.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        void *__libc_malloc(size_t); void *__libc_calloc(size_t, size_t); void *__libc_realloc(void *, size_t);
        static unsigned long calls;
        void *malloc(size_t n) { calls++; return __libc_malloc(n); }
        void *calloc(size_t m, size_t n) { calls++; return __libc_calloc(m, n); }
        void *realloc(void *p, size_t n) { calls++; return __libc_realloc(p, n); }
        void _exit(int code) {
          char text[32];
          int length = snprintf(text, sizeof text, "%lu", calls);
          if (write(2, text, (size_t)length) != length) code = 99;
          syscall(SYS_exit_group, code);
          __builtin_unreachable();
        }
        """

    /// The same number of malloc calls for a short replay and a long one: there is none between the first and the last event.
    @Test func aReplayThroughCisternCallsNoMalloc() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        try program.write("count.c", Array(NoMallocTests.countingMalloc.utf8))
        let library = "\(program.directory)/count.so"
        let built = try program.run("exec cc -shared -fPIC -O1 -o \"$2\" \"$1\"", ["\(program.directory)/count.c", library])
        try #require(built.exitCode == 0, "a C compiler is needed: \(built)")
        #expect(try program.bench(["run", "--trace", "perl-text", "--allocator", "cistern", "--events", "1000"]).exitCode == 0)
        let short = try mallocCalls(program, library, allocatorNumber: 1, eventCount: 1000)
        let long = try mallocCalls(program, library, allocatorNumber: 1, eventCount: 101_000)
        // The canary: through malloc itself the numbers differ by the allocations between.
        let canary = try mallocCalls(program, library, allocatorNumber: 0, eventCount: 101_000)
        #expect(canary > short + 50_000)
        #if DEBUG
            // Unoptimised, a loop over a range takes its iterator from the standard library's unspecialised code, which
            // allocates now and then; that this is all there is shows in the optimised build.
            #expect(long - short < 5000)
        #else
            #expect(long == short)
        #endif
    }

    private func mallocCalls(_ program: BenchProgram, _ library: String, allocatorNumber: Int, eventCount: Int) throws -> Int {
        let numbers = ["4", "\(allocatorNumber)", "\(eventCount)", "0", "268435456", "0", "1", "0", "0", "0"]
        let command =
            "trace=$(echo \"$1\"/cache/*.flat); library=$2; bench=$3; shift 3; "
            + "LD_PRELOAD=$library exec \"$bench\" replay-child \"$trace\" '' \"$@\" 3>/dev/null"
        let outcome = try program.run(command, [program.directory, library, try BenchProgram.programPath()] + numbers)
        #expect(outcome.exitCode == 0, "\(outcome)")
        return try #require(Int(outcome.errors), "\(outcome)")
    }
}
