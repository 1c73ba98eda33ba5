import HeapCore
import Limits

/// How large a heap is to be: a number, or a rule that is applied when the heap is made.
///
/// What follows a rule of fitting (`.fitted`, `.environment()` where the variable is not set, and the texts `auto` and
/// `auto-SIZE`) may come out smaller still, when the system refuses it; a number and a percentage never do.
public struct HeapCapacity: Equatable, Sendable {
    enum Rule: Equatable, Sendable {
        case bytes(UInt64)
        case environment
        case resolved(ResolvedCapacity)
        case text(String)
        case fit
    }

    /// A capacity, and whether the heap may be smaller when the system refuses it.
    struct Plan {
        var choice: CapacityChoice
        var mayShrink: Bool
    }

    let rule: Rule

    /// Exactly this many bytes: 1 MiB to 128 GiB, rounded up to a page.
    public static func bytes(_ byteCount: UInt64) -> HeapCapacity { HeapCapacity(rule: .bytes(byteCount)) }

    /// What the variable `SKIP_CAPACITY` says in the strict grammar, such as `512M`; where it is unset or empty, the smaller of
    /// 16 GiB and what fits the limits of this process.
    ///
    /// The variable is read when the heap is made; no other thread may be changing the environment then.
    public static func environment() -> HeapCapacity { HeapCapacity(rule: .environment) }

    /// What `Capacity.resolve` decided, for programs that have `--capacity` on their command line, or read the variable
    /// themselves. A default is fitted as in `environment()`.
    public static func resolved(_ resolved: ResolvedCapacity) -> HeapCapacity { HeapCapacity(rule: .resolved(resolved)) }

    /// A text of the wider grammar: `512MiB`, `75%` of the tightest limit (at most 128 GiB then), `auto`, `auto-512M`. It is read
    /// when the heap is made, which throws if it is no capacity.
    public static func parsed(_ text: String) -> HeapCapacity { HeapCapacity(rule: .text(text)) }

    /// The smaller of 16 GiB and what fits the limits of this process.
    public static var fitted: HeapCapacity { HeapCapacity(rule: .fit) }

    /// Applies the rule, as the creation of a heap does, without making one.
    ///
    /// - Parameter limits: the limits to fit; read now unless given, with some ten system calls.
    /// - Throws: when a text is no capacity.
    /// - Complexity: linear in the text.
    public func choose(limits: MemoryLimits = .current()) throws(CapacityError) -> CapacityChoice {
        try plan(limits).choice
    }

    func plan(_ limits: MemoryLimits) throws(CapacityError) -> Plan {
        let choice: CapacityChoice
        switch rule {
        case .environment: choice = try Capacity.fromEnvironment(limits: limits)
        case .resolved(let resolved): choice = Capacity.choose(resolved, tightest: limits.tightest)
        case .bytes(let byteCount): return plan(.bytes(byteCount), limits)
        case .text(let text): return plan(try Capacity.parseExtended(text), limits)
        case .fit: return plan(.fit, limits)
        }
        return Plan(choice: choice, mayShrink: choice.source == .default)
    }

    private func plan(_ request: CapacityRequest, _ limits: MemoryLimits) -> Plan {
        var choice = Capacity.choose(request, tightest: limits.tightest)
        switch request {
        case .bytes: return Plan(choice: choice, mayShrink: false)
        case .percentOfLimit:
            // A share of a very large machine is still a heap.
            choice.bytes = min(choice.bytes, BoundedHeap.mostCapacityBytes)
            return Plan(choice: choice, mayShrink: false)
        case .fit, .fitLess: return Plan(choice: choice, mayShrink: true)
        }
    }
}

extension HeapCapacity.Plan {
    /// Makes the heap, smaller and smaller where that is allowed and the system refuses.
    ///
    /// - Returns: the heap, the choice with the bytes that were reserved, and the first refusal.
    func reserve(
        _ given: HeapOptions
    ) throws(HeapError) -> (core: BoundedHeap, choice: CapacityChoice, refusal: HeapCreationError?) {
        var options = given
        var tried = choice
        var refusal: HeapCreationError?
        while true {
            options.capacityBytes = tried.bytes
            do throws(HeapCreationError) {
                return (try BoundedHeap.create(options), tried, refusal)
            } catch {
                guard mayShrink, error.isRefusalBySystem, let less = Capacity.shrunk(tried.bytes) else {
                    throw .creation(error, tried)
                }
                refusal = refusal ?? error
                tried.bytes = less
            }
        }
    }
}

extension HeapCreationError {
    /// Did the system refuse, so that a smaller heap may do?
    fileprivate var isRefusalBySystem: Bool {
        switch self {
        case .reservation, .commitment: true
        case .capacityTooSmall, .capacityTooLarge, .tooManyHeaps: false
        }
    }
}
