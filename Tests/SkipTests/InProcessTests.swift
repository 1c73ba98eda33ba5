import CSkipRuntime
import CTestSupport
import SkipABI
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

        @Test func everySymbolIsDriven() {
            // What links the face into this bundle at all; the archive's own names are checked by ArchiveTests.
            #expect(skIsStatic(nil) == 1)
        }
    }
}
