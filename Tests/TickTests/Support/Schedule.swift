/// One step of a random schedule. What it means depends on the state that it meets, so that a schedule with steps left out is
/// a schedule too, and can be shortened while it fails.
struct Step: Equatable {
    enum Kind: UInt8, CaseIterable {
        case create, createBelow, remove, change, seal, attach, poll, acknowledge, cancel, clone, resume, maintain, acknowledgeOld, detach
        case takeState, noteStored, reopen, addOwner, removeOwner
    }
    var kind: Kind
    var first: UInt32
    var second: UInt32
}

struct Schedule {
    var options: ModelOptions
    var steps: [Step]

    private static let weights: [(Step.Kind, Int)] = [
        (.create, 14), (.createBelow, 6), (.remove, 14), (.change, 8), (.seal, 16), (.attach, 6), (.poll, 14), (.acknowledge, 12),
        (.cancel, 3), (.clone, 2), (.resume, 3), (.maintain, 2), (.acknowledgeOld, 2), (.detach, 2),
        (.takeState, 3), (.noteStored, 3), (.reopen, 3), (.addOwner, 10), (.removeOwner, 3),
    ]

    /// The schedule of a seed.
    init(seed: UInt64, mode: ModelOptions.Mode, stepCount: Int) {
        var random = Random(seed: seed)
        options = ModelOptions(mode: mode, variant: random.next())
        let total = Self.weights.reduce(0) { $0 + $1.1 }
        steps = []
        steps.reserveCapacity(stepCount)
        for _ in 0..<stepCount {
            var draw = random.below(total)
            var kind = Step.Kind.seal
            for (candidate, weight) in Self.weights {
                if draw < weight {
                    kind = candidate
                    break
                }
                draw -= weight
            }
            let word = random.next()
            steps.append(Step(kind: kind, first: UInt32(truncatingIfNeeded: word), second: UInt32(truncatingIfNeeded: word >> 32)))
        }
    }

    /// The same with the failing part only: leaves out steps as long as it still fails.
    func shortened(_ fails: (Schedule) -> Bool) -> Schedule {
        var best = self
        var length = max(1, best.steps.count / 2)
        while true {
            var start = 0
            while start < best.steps.count {
                var shorter = best
                shorter.steps.removeSubrange(start..<min(start + length, best.steps.count))
                if fails(shorter) { best = shorter } else { start += length }
            }
            if length == 1 { return best }
            length /= 2
        }
    }
}

/// What a schedule runs under.
struct ModelOptions {
    enum Mode { case horizon, interval }
    /// Faults put in on purpose, which the oracle must notice.
    enum Control { case none, classifiesAtRemoval, leavesBatchUnpinned, goesWithFirstOwner, reopensWithoutStaged, reopensWithoutFloor }
    /// What happens where a schedule reopens: the directory goes through its image, or only loses its readers and is never closed.
    enum Reopening { case throughImage, never }

    var mode: Mode
    var control = Control.none
    var reopening = Reopening.throughImage
    /// Limits in ticks and counts; .max: none.
    var lagTicks = UInt64.max
    var heldCount = UInt64.max
    var totalHeldCount = UInt64.max
    var pushesBack = false
    var keepsLastValue = false
    var hasStarvedBudget = false

    init(mode: Mode, variant: UInt64) {
        self.mode = mode
        switch variant % 16 {
        case 0: lagTicks = 1 + variant / 16 % 6
        case 1: heldCount = variant / 16 % 5
        case 2: totalHeldCount = variant / 16 % 6
        case 3:
            totalHeldCount = variant / 16 % 6
            pushesBack = true
        case 4, 5: keepsLastValue = true
        default: break
        }
        hasStarvedBudget = variant / 1024 % 2 == 0
    }

    var hasLimits: Bool { lagTicks != .max || heldCount != .max || totalHeldCount != .max }
}
