import Envelope

/// The words of a command line, read by the table of its command: options as `--name`, `--name VALUE` or `--name=VALUE`, in any
/// order, each once; `--` ends them.
struct ParsedArguments {
    /// Values by option name; "" for an option without one.
    private(set) var values: [String: String] = [:]
    /// Words that are no options.
    private(set) var operands: [String] = []
    /// The position of the first word of another command, for a command that takes one.
    private(set) var commandStart: Int?
    /// True: the value of `--capacity` came by `=`, so that it is a value whatever it begins with.
    private(set) var isCapacityAttached = false

    func has(_ name: String) -> Bool { values[name] != nil }

    /// Reads the words behind the command's name.
    static func parse(_ words: [String], _ command: CommandSpec) throws(CommandFailure) -> ParsedArguments {
        var parsed = ParsedArguments()
        var position = 0
        while position < words.count {
            let word = words[position]
            position += 1
            if word == "--" {
                if command.takesCommand {
                    if position < words.count { parsed.commandStart = position }
                } else {
                    parsed.operands += words[position...]
                }
                break
            }
            if !word.hasPrefix("-") || word == "-" {
                if command.takesCommand {
                    parsed.commandStart = position - 1
                    break
                }
                parsed.operands.append(word)
                continue
            }
            try parsed.take(word, words, &position, command)
        }
        if parsed.has("--help") { return parsed }
        if let extra = parsed.operands.dropFirst(command.operands.isEmpty ? 0 : 1).first {
            throw .badUse("'\(printable(extra))' is too much; expected \(expectation(command))")
        }
        return parsed
    }

    private mutating func take(_ word: String, _ words: [String], _ position: inout Int, _ command: CommandSpec) throws(CommandFailure) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts[0] == "-h" ? "--help" : parts[0]
        guard let option = command.options.first(where: { $0.name == name }) else {
            throw .badUse("'\(printable(word))' is no option; expected \(Self.expectation(command))")
        }
        let attached = parts.count > 1 ? parts[1] : nil
        // The rules of Skip programs for --capacity hold where the command resolves it as they do.
        if name == "--capacity", command.name == "capacity", attached == nil {
            return takeCapacity(words, &position, command)
        }
        guard let valueName = option.valueName else {
            if attached != nil { throw .badUse("'\(printable(word))': \(name) takes no value; expected \(name) alone") }
            values[name] = ""
            return
        }
        let isFirst = values[name] == nil
        if !isFirst, !(name == "--capacity" && command.name == "capacity") {
            throw .badUse("\(name) is there twice; expected one \(name) \(valueName)")
        }
        var value = attached
        if value == nil, position < words.count {
            value = words[position]
            position += 1
        }
        guard let value else { throw .badUse("\(name) is the last word; expected \(name) \(valueName)") }
        if isFirst {
            values[name] = value
            if name == "--capacity" { isCapacityAttached = attached != nil }
        }
    }

    /// The first one counts; as the last word it counts as absent; a word behind it that begins with '-' stands for the default,
    /// and is read once more where it is an option itself.
    private mutating func takeCapacity(_ words: [String], _ position: inout Int, _ command: CommandSpec) {
        guard position < words.count else { return }
        let value = words[position]
        if values["--capacity"] == nil { values["--capacity"] = value }
        let name = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? ""
        if !command.options.contains(where: { $0.name == name }) { position += 1 }
    }

    /// What a command expects, in words.
    static func expectation(_ command: CommandSpec) -> String {
        let options = command.options.map { option in option.valueName.map { "\(option.name) \($0)" } ?? option.name }
        let words = (command.operands.isEmpty ? [] : [command.operands.joined(separator: "|")]) + options
        return words.joined(separator: ", ")
    }
}
