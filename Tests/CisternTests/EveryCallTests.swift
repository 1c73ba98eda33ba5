import CEveryCall
import Testing

extension FaceSuites {
    /// The program that scripts/check-library.py runs with the installed library, here with the ordinary build.
    @Suite struct EveryCallTests {
        @Test(.enabled(if: Sanitizer.isAbsent, "forks beside the threads of a sanitizer")) func everyCallOfTheHeader() {
            let status = inChild {
                every_call(true)
                return 0
            }
            #expect(status == 0)
        }
    }
}
