import Envelope
import Glibc

/// The program: finds the command, and turns failures into one line on standard error and an exit code.
@main
struct Main {
    static func main() {
        Output.occupyStandardFiles()
        let words = Array(CommandLine.arguments.dropFirst())
        do throws(CommandFailure) {
            exit(try perform(words))
        } catch {
            let name = words.first.flatMap { word in CommandTable.commands.first { $0.name == word } }?.name
            Output.diagnostic((["cistern", name].compactMap { $0 }.joined(separator: " ")) + ": \(error.message)\n")
            exit(error.exitCode)
        }
    }

    private static func perform(_ words: [String]) throws(CommandFailure) -> Int32 {
        let names = CommandTable.commands.map(\.name).joined(separator: ", ")
        guard let first = words.first else { throw .badUse("a command is missing; expected \(names), --help or --version") }
        if first == "--help" || first == "-h" { return try print(HelpText.whole) }
        if first == "--version" { return try print(version(words)) }
        guard let command = CommandTable.commands.first(where: { $0.name == first }) else {
            throw .badUse("'\(printable(first))' is no command; expected \(names), --help or --version")
        }
        let arguments = try ParsedArguments.parse(Array(words.dropFirst()), command)
        if arguments.has("--help") { return try print(HelpText.of(command)) }
        switch command.name {
        case "limits": return try LimitsCommand.perform(arguments)
        case "capacity": return try CapacityCommand.perform(arguments)
        case "run": return try RunCommand.perform(arguments)
        case "jobs": return try JobsCommand.perform(arguments)
        case "container-args": return try ContainerArgumentsCommand.perform(arguments)
        default: return try print(try Completions.script(arguments, command))
        }
    }

    private static func version(_ words: [String]) -> String {
        words.dropFirst().first == "--json" ? "{\"version\":\"\(CommandTable.version)\"}\n" : "cistern \(CommandTable.version)\n"
    }

    private static func print(_ text: String) throws(CommandFailure) -> Int32 {
        try Output.result(text)
        return 0
    }
}
