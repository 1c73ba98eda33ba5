/// `cistern completions`: scripts for shells, made from the table of commands.
enum Completions {
    static func script(_ arguments: ParsedArguments, _ command: CommandSpec) throws(CommandFailure) -> String {
        switch arguments.operands.first {
        case "bash": return bash
        case "zsh": return zsh
        case "fish": return fish
        case let word?: throw .badUse("'\(word)' is no shell that is known; expected \(ParsedArguments.expectation(command))")
        case nil: throw .badUse("a shell is missing; expected \(ParsedArguments.expectation(command))")
        }
    }

    private static var names: String { CommandTable.commands.map(\.name).joined(separator: " ") }

    /// What a shell takes as one word in single quotes.
    private static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    private static var bash: String {
        var cases = ""
        for command in CommandTable.commands {
            let words = command.options.map(\.name) + command.operands
            cases += "        \(command.name)) words=\"\(words.joined(separator: " "))\" ;;\n"
        }
        var values = ""
        for command in CommandTable.commands {
            for option in command.options {
                let head = "        \"\(command.name) \(option.name)\") "
                switch option.value {
                case .none: continue
                case .file: values += head + "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
                case .word(_, let words):
                    values += head + "COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$current\")); return ;;\n"
                }
            }
        }
        return """
            # bash completion for cistern
            _cistern() {
                local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words= index
                COMPREPLY=()
                if [[ $COMP_CWORD -eq 1 ]]; then
                    COMPREPLY=($(compgen -W "\(names) --help --version" -- "$current"))
                    return
                fi
                if [[ $command == run ]]; then
                    for ((index = 2; index < COMP_CWORD; index++)); do
                        case ${COMP_WORDS[index]} in
                            --capacity|--address-space|--memory|--envelope-file) ((index++)) ;;
                            --) ((index++)); break ;;
                            -*) ;;
                            *) break ;;
                        esac
                    done
                    if [[ $index -lt $COMP_CWORD ]]; then
                        COMPREPLY=($(compgen -f -- "$current"))
                        return
                    elif [[ $current != -* && $previous != --capacity && $previous != --address-space && $previous != --memory \\
                        && $previous != --envelope-file ]]; then
                        COMPREPLY=($(compgen -c -- "$current"))
                        return
                    fi
                fi
                case "$command $previous" in
            \(values)    esac
                case $command in
            \(cases)    esac
                COMPREPLY=($(compgen -W "$words" -- "$current"))
            }
            complete -F _cistern cistern

            """
    }

    private static var zsh: String {
        var cases = ""
        for command in CommandTable.commands {
            cases += "        \(command.name))\n            _arguments -S"
            for option in command.options {
                let text = option.help.split(whereSeparator: { "[]:'\\".contains($0) }).joined(separator: " ")
                var entry = "\(option.name)[\(text)]"
                switch option.value {
                case .none: break
                case .file(let name): entry += ":\(name):_files"
                case .word(let name, let words): entry += ":\(name):(\(words.joined(separator: " ")))"
                }
                cases += " \\\n                \(quoted(entry))"
            }
            if !command.operands.isEmpty {
                cases += " \\\n                \(quoted("1:shell:(\(command.operands.joined(separator: " ")))"))"
            }
            if command.takesCommand {
                cases += " \\\n                '(-)1:command: _command_names -e' \\\n                '*::argument: _normal'"
            }
            cases += "\n            ;;\n"
        }
        let entries = CommandTable.commands.map { "        " + quoted("\($0.name):\($0.summary)") }.joined(separator: "\n")
        return """
            #compdef cistern
            # zsh completion for cistern
            _cistern() {
                local curcontext=$curcontext state line
                local -a cistern_commands
                cistern_commands=(
            \(entries)
                )
                _arguments -C '--help[print help and exit]' '--version[print the version and exit]' \\
                    '1:command:->command' '*::argument:->arguments' && return
                if [[ $state == command ]]; then
                    _describe -t commands command cistern_commands
                    return
                fi
                curcontext=${curcontext%:*:*}:cistern-$words[1]:
                case $words[1] in
            \(cases)    esac
            }
            if [ "$funcstack[1]" = "_cistern" ]; then
                _cistern "$@"
            else
                compdef _cistern cistern
            fi

            """
    }

    private static var fish: String {
        var lines = ["# fish completion for cistern", "complete -c cistern -f"]
        lines.append("complete -c cistern -n __fish_use_subcommand -l help -d \(quoted("print help and exit"))")
        lines.append("complete -c cistern -n __fish_use_subcommand -l version -d \(quoted("print the version and exit"))")
        for command in CommandTable.commands {
            lines.append("complete -c cistern -n __fish_use_subcommand -a \(command.name) -d \(quoted(command.summary))")
            let here = "complete -c cistern -n '__fish_seen_subcommand_from \(command.name)'"
            for option in command.options {
                var line = "\(here) -l \(option.name.dropFirst(2)) -d \(quoted(option.help))"
                switch option.value {
                case .none: break
                case .file: line += " -r -F"
                case .word(_, let words): line += " -x" + (words.isEmpty ? "" : " -a \(quoted(words.joined(separator: " ")))")
                }
                lines.append(line)
            }
            if !command.operands.isEmpty { lines.append("\(here) -a \(quoted(command.operands.joined(separator: " ")))") }
            // Options whose value is not the command; the function takes such names only behind a word that is no long option.
            let valued = command.options.filter { $0.value != .none }.map(\.name).joined(separator: " ")
            if command.takesCommand { lines.append("\(here) -a '(__fish_complete_subcommand --fcs-skip=2 - \(valued))'") }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
