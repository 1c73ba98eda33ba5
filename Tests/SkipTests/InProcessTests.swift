import CSkipRuntime
import CTestSupport
import Testing

// Safety: scenarios are constant tables in C; the words of the command line are constant texts in C.

/// Starts the miniature runtime in this process, once.
private let runtimeIsStarted: Bool = {
    unsafe mini_start_with_capacity("1G")
    return mini_constants_are_right()
}()

extension SkipSuites {
    /// The face's own sources in the test process, where the sanitizers and coverage see them: every scenario of the miniature
    /// runtime that leaves the process as it found it.
    @Suite struct InProcessTests {
        static let names: [String] = {
            var count = 0
            let scenarios = unsafe skip_lasting_scenarios(&count)
            return (0..<count).map { unsafe String(cString: scenarios[$0].name) }
        }()

        @Test(arguments: names)
        func scenario(_ name: String) throws {
            try #require(runtimeIsStarted)
            var count = 0
            let scenarios = unsafe skip_lasting_scenarios(&count)
            let seed = cistern_test_seed(20_261_121)
            print("\(name): CISTERN_TEST_SEED=\(seed)")
            let found = (0..<count).first { unsafe String(cString: scenarios[$0].name) == name }
            let index = try #require(found)
            // A thread that dies with a mutex, and times, are not for the sanitizers.
            if name == "mutexes", cistern_test_sanitizer() == UInt32(CISTERN_TEST_THREAD_SANITIZER) { return }
            let line = unsafe scenarios[index].run(seed, UInt32(cistern_test_scaled(10)))
            #expect(line == 0, "seed \(seed)")
        }

        /// Ends of the process, each in a forked child of the test process.
        @Test(.enabled(if: Sanitizer.isAbsent))
        func ends() throws {
            // Quotes are for a shell.
            for line in CommandLineCase.all where !(line.variable + line.words).contains("'") {
                let outcome = inChild("\(line.variable) \(line.words)")
                #expect(outcome == Outcome(code: line.code, output: "", errors: line.errors), "\(line)")
            }
            #expect(inChild("number-too-large --capacity 1M") == Outcome(code: 2, output: "", errors: "ID too large: 1073741825\n"))
            #expect(
                inChild("unlock-what-is-not-locked --capacity 1M")
                    == Outcome(code: 44, output: "", errors: "Internal error: unlocking failed\n"))
            let full = inChild("fill-persistent 100 --capacity 1M")
            #expect(full == Outcome(code: 24, output: "", errors: "Error: out of persistent memory.\n"))
            for scenario in [
                "fill-region 100", "fill-region-large", "fill-scratch 20000", "fill-small-scratch", "region-size-wraps",
                "scratch-size-wraps",
            ] {
                let outcome = inChild("\(scenario) --capacity 2M")
                #expect(outcome.code == 24 && outcome.errors.hasPrefix("malloc: Cannot allocate memory ("), "\(scenario): \(outcome)")
            }
            let again = inChild("fill-at-exit 100 --capacity 1M")
            #expect(again == full)
            #expect(inChild("start-only --capacity 128G", addressSpaceBytes: 64 << 30).code == 41)
            // A default shrinks until it fits; the memory layer is told of a limit that somebody else uses up.
            #expect(inChild("--capacity -", addressSpaceBytes: 64 << 30).code == 0)
        }

        /// A thread runs out of room while another ends the process and waits for it in an exit handler. It says nothing, and ends
        /// the process itself when five seconds have passed: else both would wait for ever, and the child's limit would tell.
        @Test(.enabled(if: Sanitizer.isAbsent))
        func exitWaitsForAThreadThatRunsOut() throws {
            let start = ContinuousClock.now
            let outcome = inChild("exit-joins-who-runs-out 100 --capacity 1M")
            #expect(outcome == Outcome(code: 24, output: "", errors: "Error: out of persistent memory.\n"))
            #expect(ContinuousClock.now - start >= .seconds(5), "somebody did not give the other one its time")
        }

        private func inChild(_ words: String, addressSpaceBytes: UInt64 = 0) -> Outcome {
            var bytes = [CChar](repeating: 0, count: 1024)
            var count = 0
            let text = Array(words.utf8CString)
            let code = unsafe text.withUnsafeBufferPointer { text in
                unsafe bytes.withUnsafeMutableBufferPointer { bytes in
                    // The words are only read; the pointer to them has no const because the helper's has none.
                    let context = unsafe UnsafeMutableRawPointer(mutating: text.baseAddress!)
                    if addressSpaceBytes > 0 { return unsafe cistern_test_in_child(skip_run_words, context, addressSpaceBytes, 0, 60) }
                    return unsafe cistern_test_in_child_capturing(
                        skip_run_words, context, 60, bytes.baseAddress!, bytes.count, &count)
                }
            }
            let errors = String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return Outcome(code: code, output: "", errors: errors)
        }
    }
}
