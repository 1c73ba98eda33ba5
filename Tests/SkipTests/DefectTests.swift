import Testing

extension SkipSuites {
    /// What was wrong with Skip's own memory layer, a test for each: it passes with the archive, and is seen to fail with a model
    /// that has the defect. The numbers are those of docs/skip.md.
    @Suite(.enabled(if: Sanitizer.isAbsent && !isSmall))
    struct DefectTests {
        private let archive: Archive

        init() throws { archive = try Archive.shared.get() }

        private static var malloc: String { "malloc: Cannot allocate memory (" }
        private static var persistent: String { "Error: out of persistent memory.\n" }

        /// No room: exit 24, one line, nothing on standard output.
        private func isOutOfRoom(_ outcome: Outcome) -> Bool {
            let isOneLine = outcome.errors.hasSuffix("\n") && outcome.errors.split(separator: "\n").count == 1
            let isKnown = outcome.errors.hasPrefix(Self.malloc) || outcome.errors == Self.persistent
            return outcome.code == 24 && outcome.output.isEmpty && isOneLine && isKnown
        }

        private func isDone(_ outcome: Outcome) -> Bool { outcome == Outcome(code: 0, output: "", errors: "") }

        private func compare(_ words: String, before: String = "", _ isRight: (Outcome) -> Bool) throws {
            let ours = try archive.start(words, before: before)
            #expect(isRight(ours), "\(words): \(ours)")
            let defective = try archive.start(words, on: "model", before: before, seconds: 5)
            #expect(!isRight(defective), "the model passes \(words)")
        }

        @Test func defect1NoRoomInARegionEndsInACrash() throws {
            for scenario in [
                "fill-region 8", "fill-region 100", "fill-region-large", "open-regions", "fill-scratch 100", "fill-small-scratch",
            ] {
                try compare("\(scenario) --capacity 16M", before: "ulimit -v 400000;", isOutOfRoom)
            }
            try compare("survive-for-ever --capacity 16M", before: "ulimit -v 400000;", isOutOfRoom)
            try compare("fill-in-threads --capacity 16M", before: "ulimit -v 400000;", isOutOfRoom)
            // A handler of exit() that allocates as well.
            try compare("fill-at-exit 100 --capacity 16M", before: "ulimit -v 400000;", isOutOfRoom)
        }

        @Test func defect2ABlockOfMoreThanOneGibibyteMovesTheHeapBack() throws {
            try compare("one-gibibyte --capacity 6G", isDone)
        }

        @Test func defect3ABlockOfThreeGibibytesOverlapsTheNext() throws {
            try compare("three-gibibytes --capacity 8G", isDone)
        }

        @Test func defect4ASizeAboveHalfTheAddressSpaceGetsABlock() throws {
            try compare("persistent-size-above-half", isOutOfRoom)
        }

        @Test(arguments: 0..<4)
        func defect5ARegionRequestWraps(_ which: Int) throws {
            try compare("region-size-wraps \(which)", isOutOfRoom)
        }

        @Test func defect6AThreadsFirstAllocationIsLarge() throws {
            try compare("first-allocation-is-large", isDone)
        }

        @Test func defect7ABlockThatFitsExactlyIsRefused() throws {
            // The scenario judges where the last block ended after the heap has said no.
            try compare("last-bytes --capacity 1M") { $0 == Outcome(code: 0, output: "", errors: Self.persistent) }
        }

        @Test func defect8FreedBlocksServeNoOtherSize() throws {
            try compare("other-sizes-after-free --capacity 20M", isDone)
        }

        @Test func defect9RoundingCostsHalf() throws {
            try compare("rounding --capacity 8M", isDone)
        }

        @Test func defect10RegionsAndScratchAreOutsideTheCapacity() throws {
            try compare("regions-are-bounded --capacity 16M", isOutOfRoom)
            try compare("scratch-is-bounded --capacity 16M", isOutOfRoom)
        }

        @Test func defect11TheDefaultDoesNotStartUnderALimit() throws {
            try compare("start-only", before: "unset SKIP_CAPACITY; ulimit -v 4000000;", isDone)
        }

        @Test func defect12FreedPersistentMemoryStays() throws {
            try compare("freed-memory-returns --capacity 1G", isDone)
        }

        @Test func defect13RegionsGetNewPagesEachTime() throws {
            try compare("pages-are-used-again --capacity 1G", isDone)
        }

        @Test func defect14TwoThreadsGetOneBlock() throws {
            try compare("threads-get-different-blocks --capacity 1G", isDone)
        }

        @Test func defect26PagesOfAThreadThatEndedStay() throws {
            try compare("ended-threads-leave-nothing --capacity 64M", isDone)
        }

        /// Not in the list of those that were known: the list of pages became a circle.
        @Test func defect28TwoLargeObjectsSurviveTogether() throws {
            try compare("adjacent-large-survivors --capacity 1G", isDone)
        }
    }
}
