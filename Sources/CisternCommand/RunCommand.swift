import CCommand
import Envelope
import Glibc
import Limits

/// `cistern run`: reads its options, sets the bounds, and leaves the rest to `Supervisor`.
///
/// Safety: the arguments of the process live as long as it does, and end in NULL; nothing here changes them.
enum RunCommand {
    static func perform(_ arguments: ParsedArguments) throws(CommandFailure) -> Int32 {
        guard let start = arguments.commandStart else {
            throw .badUse("a command is missing; expected [OPTION]... [--] COMMAND [ARGUMENT]...")
        }
        // Behind the program's name and "run".
        let position = start + 2
        let words = Array(CommandLine.arguments.dropFirst(position))
        var bounds = RunBounds()
        if let text = arguments.values["--address-space"] { bounds.addressSpaceBytes = try Sizes.parse("--address-space", text) }
        if let text = arguments.values["--memory"] { bounds.memoryBytes = try Sizes.parse("--memory", text) }
        if let text = arguments.values["--capacity"] { bounds.capacity = try capacity(text, bounds) }
        if let path = arguments.values["--envelope-file"], path.isEmpty || path.utf8.contains(0) {
            throw .badUse("--envelope-file: '\(printable(path))' is no file; expected --envelope-file FILE")
        }
        let file = arguments.values["--envelope-file"].map { EnvelopeFile(path: $0) }
        var supervisor = Supervisor(
            words: words, bounds: bounds, file: file,
            printsEnvelope: arguments.has("--envelope") || (arguments.has("--json") && file == nil), isJSON: arguments.has("--json"))
        return unsafe try supervisor.run(CommandLine.unsafeArgv + position)
    }

    /// What SKIP_CAPACITY is to be, by the limits that will hold for the command.
    private static func capacity(_ text: String, _ bounds: RunBounds) throws(CommandFailure) -> (bytes: UInt64, why: String) {
        let request: CapacityRequest
        do throws(CapacityError) {
            request = try Capacity.parseExtended(text)
        } catch {
            throw Sizes.failure(error)
        }
        var limits = MemoryLimits.current()
        if let bytes = bounds.addressSpaceBytes {
            // What the command itself maps is not known yet; this program's own use stands for it.
            let status = SystemFiles.real.read("/proc/self/status").text ?? ""
            var use = RunUse()
            use.add(statuses: [status])
            let mapped = use.peakMappedBytes ?? 0
            limits.add(MemoryLimit(kind: .addressSpace, valueBytes: bytes, availableBytes: bytes > mapped ? bytes - mapped : 0))
        }
        let memoryWord = "--memory"
        if let bytes = bounds.memoryBytes { limits.add(MemoryLimit(kind: .groupV2Max, valueBytes: bytes)) }
        let choice = Capacity.choose(request, tightest: limits.tightest)
        guard case .limit(let limit) = choice.reason else { return (choice.bytes, "as --capacity says") }
        let isOurs = limit.kind == .groupV2Max && limit.valueBytes == bounds.memoryBytes
        return (choice.bytes, "fits \(isOurs ? "\(memoryWord) \(limit.valueBytes)" : limit.description)")
    }
}
