/// The text of --help, made from the table.
enum HelpText {
    private static let columns = 80

    static var whole: String {
        var text = """
            usage: cistern COMMAND [OPTION]...
                   cistern COMMAND --help
                   cistern --help | --version

            Tells the limits on memory that apply here, which heap capacity results, and runs
            commands under bounds.

            commands:

            """
        for command in CommandTable.commands { text += entry(command.name, command.summary) }
        text += "\noptions:\n" + entry("--help", "print this help and exit (also -h)") + entry("--version", "print the version and exit")
        return text + "\n"
            + wrapped(
                words(
                    "Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 no or not written, 2 bad"
                        + " use; cistern run has its own."), indent: 0)
    }

    static func of(_ command: CommandSpec) -> String {
        var text = ""
        for (number, usage) in command.usage.enumerated() { text += (number == 0 ? "usage: " : "       ") + usage + "\n" }
        text += "\n" + wrapped(words(command.description), indent: 0) + "\noptions:\n"
        for option in command.options {
            text += entry(option.valueName.map { "\(option.name) \($0)" } ?? option.name, option.help)
        }
        text += "\nexit codes:\n"
        for (code, meaning) in command.exitCodes { text += entry(code, meaning) }
        text += "\nexamples:\n"
        for example in command.examples { text += "  \(example)\n" }
        return text
    }

    private static func words(_ text: String) -> [Substring] { text.split(whereSeparator: { $0 == " " || $0 == "\n" }) }

    /// A name in a column and its text beside or below it.
    private static func entry(_ name: String, _ help: String) -> String {
        let indent = 24
        let head = "  " + name
        let body = wrapped(words(help), indent: indent)
        if head.count >= indent { return head + "\n" + body }
        return head + String(body.dropFirst(head.count))
    }

    private static func wrapped(_ words: [Substring], indent: Int) -> String {
        let blanks = String(repeating: " ", count: indent)
        var text = ""
        var line = blanks
        for word in words {
            if line.count > indent, line.count + 1 + word.count > columns {
                text += line + "\n"
                line = blanks
            }
            line += (line.count > indent ? " " : "") + word
        }
        return text + line + "\n"
    }
}
