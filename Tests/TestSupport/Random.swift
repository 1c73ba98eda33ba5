import CTestSupport

// Safety: the generator's state is the caller's own word for the length of the call.

/// A small generator of numbers, the same on every machine (splitmix64).
package struct Random: RandomNumberGenerator {
    package var state: UInt64
    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 { unsafe cistern_test_next_random(&state) }

    /// 0 ..< bound.
    package mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// CISTERN_TEST_SEED, if there is one. A test that changes the environment reads this first, so that it is never read meanwhile.
    package static let givenSeed: UInt64? = {
        let seed = cistern_test_seed(0)
        return seed == cistern_test_seed(1) ? seed : nil
    }()

    /// The numbers of a test: by the given seed, else by a new one in every run; printed so that a failure can be run again.
    package static func printed(_ test: String) -> (numbers: Random, seed: UInt64) {
        let seed = givenSeed ?? UInt64.random(in: 0...UInt64.max)
        print("\(test): seed \(seed)")
        return (Random(seed: seed), seed)
    }
}
