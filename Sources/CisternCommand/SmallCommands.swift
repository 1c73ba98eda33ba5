import Envelope
import Limits

/// `cistern limits`.
enum LimitsCommand {
    static func perform(_ arguments: ParsedArguments) throws(CommandFailure) -> Int32 {
        let surroundings = Surroundings.read(.real)
        try Output.result(arguments.has("--json") ? surroundings.json.line + "\n" : surroundings.page)
        return 0
    }
}

/// `cistern jobs`.
enum JobsCommand {
    static func perform(_ arguments: ParsedArguments) throws(CommandFailure) -> Int32 {
        guard let text = arguments.values["--each"] else { throw .badUse("--each is missing; expected --each SIZE, such as --each 2G") }
        let eachBytes = try Sizes.parse("--each", text)
        let processors = Processors.read(.real)
        let limits = MemoryLimits.current()
        let jobs = JobCount.of(eachBytes: eachBytes, processorCount: processors.count, tightest: limits.tightest)
        let reason =
            switch jobs.reason {
            case .processors: "the \(processors.count) processors decide"
            case .limit(let limit): "0.95 x \(limit) decides"
            case .tooLarge(let limit): "not even one fits \(limit), and one has to run"
            }
        if arguments.has("--json") {
            let json = JSON.members([
                ("jobs", .integer(jobs.count)), ("eachBytes", .integer(eachBytes)), ("processors", .integer(processors.count)),
                ("limitBytes", .optional(limits.tightest.map { min($0.availableBytes, $0.valueBytes) })), ("reason", .text(reason)),
            ])
            try Output.result(json.line + "\n")
        } else {
            try Output.result("\(jobs.count)\n")
        }
        if arguments.has("--explain") {
            Output.diagnostic("cistern jobs: \(jobs.count) of \(ByteCountText.both(eachBytes)): \(reason)\n")
        }
        return 0
    }
}

/// `cistern container-args`.
enum ContainerArgumentsCommand {
    static func perform(_ arguments: ParsedArguments) throws(CommandFailure) -> Int32 {
        if arguments.has("--docker"), arguments.has("--bake") { throw .badUse("--docker and --bake are both there; expected one of them") }
        let words: [String]
        do throws(CapacityError) {
            let value = String(decoding: Sizes.environmentCapacity(), as: UTF8.self)
            words = try ContainerArguments.words(value, for: arguments.has("--bake") ? .bake : .docker)
        } catch {
            throw Sizes.failure(error)
        }
        if arguments.has("--json") {
            try Output.result(JSON.members([("arguments", .list(words.map { .text($0) }))]).line + "\n")
        } else if !words.isEmpty {
            try Output.result(words.joined(separator: " ") + "\n")
        }
        return 0
    }
}
