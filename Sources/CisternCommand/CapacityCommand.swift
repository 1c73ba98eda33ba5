import Envelope
import Limits

/// `cistern capacity`, but for --probe.
enum CapacityCommand {
    static func perform(_ arguments: ParsedArguments) throws(CommandFailure) -> Int32 {
        if let text = arguments.values["--probe"] {
            for other in ["--capacity", "--fit"] where arguments.has(other) {
                throw .badUse("--probe and \(other) are both there; expected one of them")
            }
            return try CapacityProbe.perform(arguments, try Sizes.parse("--probe", text))
        }
        let resolved = try resolve(arguments)
        let limits = MemoryLimits.current()
        let choice = Capacity.choose(resolved, tightest: limits.tightest, fitsDefault: arguments.has("--fit"))
        if arguments.has("--json") {
            try Output.result(json(choice, limits).line + "\n")
        } else {
            try Output.result("\(choice.bytes)\n")
        }
        if arguments.has("--explain") {
            for line in explanation(arguments, choice, limits) { Output.diagnostic("cistern capacity: \(line)\n") }
        }
        return 0
    }

    private static func resolve(_ arguments: ParsedArguments) throws(CommandFailure) -> ResolvedCapacity {
        do throws(CapacityError) {
            guard let word = arguments.values["--capacity"] else {
                return try Capacity.resolve(argument: nil, environment: Sizes.environmentCapacity().span)
            }
            if arguments.isCapacityAttached {
                return ResolvedCapacity(bytes: try Capacity.parse(word, source: .argument), source: .argument)
            }
            return try Capacity.resolve(argument: word.utf8.span, environment: nil)
        } catch {
            throw Sizes.failure(error)
        }
    }

    private static func explanation(_ arguments: ParsedArguments, _ choice: CapacityChoice, _ limits: MemoryLimits) -> [String] {
        var lines = [choice.description]
        if choice.source == .default, let word = arguments.values["--capacity"] {
            lines.append("--capacity stands before '\(printable(word))', which begins with '-': that means the default")
        } else if choice.source == .default {
            lines.append("neither --capacity nor SKIP_CAPACITY asks for one" + (arguments.has("--fit") ? "" : ", and --fit is not given"))
        }
        guard let tightest = limits.tightest else { return lines + ["no limit is known here"] }
        let fitting = Capacity.choose(.fit, tightest: tightest).bytes
        return lines + ["the tightest limit is \(tightest); \(fitting) bytes suit it"]
    }

    private static func json(_ choice: CapacityChoice, _ limits: MemoryLimits) -> JSON {
        let source =
            switch choice.source {
            case .default: "default"
            case .argument: "--capacity"
            case .environment: "SKIP_CAPACITY"
            case .api: "api"
            }
        let fitted: JSON = if case .limit(let limit) = choice.reason { limit.json } else { .null }
        return .members([
            ("bytes", .integer(choice.bytes)), ("source", .text(source)), ("fitsLimit", fitted),
            ("exceedsLimit", choice.exceeds?.json ?? .null), ("tightestLimit", limits.tightest?.json ?? .null),
            ("fittingBytes", .integer(Capacity.choose(.fit, tightest: limits.tightest).bytes)),
        ])
    }
}

extension MemoryLimit {
    /// The limit for programs.
    var json: JSON {
        .members([
            ("name", .text(kind.systemName)),
            ("bytes", .integer(valueBytes)), ("countsAsBytes", .integer(availableBytes)), ("groupsAboveOwn", .integer(UInt64(level))),
        ])
    }
}
