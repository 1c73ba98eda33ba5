@testable import CisternCommand
import Envelope
import Testing

/// The pages about the command say what it does: manual, help, completions, containers.
extension CommandSuites {
    @Suite(.enabled(if: Sanitizer.isAbsent)) struct PagesTests {
        /// Every name of the command line, as commands and options.
        static var names: [(command: String, options: [String])] {
            CommandTable.commands.map { command in (command.name, command.options.map(\.name)) }
        }

        /// The manual without its font commands, so that words stand as a reader sees them.
        static func manual() throws -> String {
            let text = try textOfPackageFile("docs/man/cistern.1")
            return text.split(separator: "\\fR").joined().split(separator: "\\-", omittingEmptySubsequences: false).joined(separator: "-")
        }

        /// The part of the manual about one command.
        static func section(_ name: String) throws -> Substring {
            let text = try manual()
            let parts = text.split(separator: "\n.SS cistern ")
            let part = try #require(parts.first { $0.hasPrefix("\(name)\n") }, "the manual has no section '\(name)'")
            return part.split(separator: "\n.SH ")[0]
        }

        @Test func theManualNamesEverything() throws {
            for command in CommandTable.commands {
                let section = try Self.section(command.name)
                for option in command.options where option.name != "--help" {
                    let isThere = [
                        " \(option.name)\n", " \(option.name) \"", " \(option.name)=", " \(option.name) \" \(option.valueName ?? "")\"",
                    ]
                    .contains { section.contains($0) }
                    #expect(isThere, "\(command.name): \(option.name)")
                    if let value = option.valueName {
                        #expect(section.contains("\(option.name) \" \(value)\""), "\(command.name): \(option.name)")
                    }
                }
                for operand in command.operands { #expect(section.contains(operand)) }
            }
            let text = try Self.manual()
            #expect(text.hasPrefix(".TH CISTERN 1 ") && text.contains("\"cistern \(CommandTable.version)\""))
            let codes = Set(CommandTable.commands.flatMap(\.exitCodes).map(\.0)).subtracting(["other"])
            let status = try #require(text.split(separator: "\n.SH EXIT STATUS").last?.split(separator: "\n.SH ").first)
            for code in codes { #expect(status.contains("\n.B \(code)\n"), "exit code \(code)") }
        }

        /// And nothing that does not exist: each option in the manual is one of the table.
        @Test func theManualNamesNothingElse() throws {
            let known = Set(Self.names.flatMap(\.options) + ["--version", "--build-arg", "--set"])
            for word in try Self.manual().split(whereSeparator: { !($0.isLetter || $0 == "-") })
            where word.hasPrefix("--") && word.count > 2 {
                #expect(known.contains(String(word)), "\(word)")
            }
        }

        @Test func theManualIsWellFormed() throws {
            let outcome = try Scratch().shell(
                "command -v groff >&2 || exit 9; groff -man -Tascii -ww \"$1\"", ["\(packageFolder)/docs/man/cistern.1"])
            if outcome.exitCode == 9 {
                print("theManualIsWellFormed: skipped, groff is not here")
                return
            }
            #expect(outcome.exitCode == 0 && outcome.errorLines.count == 1 && outcome.output.contains("CISTERN(1)"), "\(outcome)")
        }

        @Test func helpIsComplete() throws {
            let scratch = try Scratch()
            let whole = try scratch.cistern(["--help"])
            #expect(whole.exitCode == 0 && whole.errors.isEmpty && whole.output.contains("--version"))
            for command in CommandTable.commands {
                #expect(whole.output.contains("\n  \(command.name) "))
                for word in ["--help", "-h"] {
                    let help = try scratch.cistern([command.name, word])
                    #expect(
                        help.exitCode == 0 && help.errors.isEmpty && help.output.hasPrefix("usage: cistern \(command.name) "), "\(help)")
                    for option in command.options { #expect(help.output.contains("\n  \(option.name)"), "\(option.name)") }
                    #expect(help.output.split(separator: "\n").allSatisfy { $0.count <= 96 })
                }
            }
            #expect(try scratch.cistern(["--version"]).output == "cistern \(CommandTable.version)\n")
            #expect(try scratch.cistern(["--version", "--json"]).output == "{\"version\":\"\(CommandTable.version)\"}\n")
        }

        /// What the examples of help, the manual and the page about containers call is what the command takes.
        @Test func examplesAreAccepted() throws {
            var texts = CommandTable.commands.flatMap(\.examples)
            texts += try Self.fences("containers.md").map(\.text)
            texts += try Self.manual().split(separator: "\n").filter { $0.hasPrefix(".B ") }.map { String($0.dropFirst(3)) }
            var count = 0
            for line in texts.flatMap({ $0.split(separator: "\n") }) {
                for part in line.split(separator: "cistern ", omittingEmptySubsequences: false).dropFirst() {
                    let words = part.prefix { !")|>\"'".contains($0) }.split(separator: " ").map(String.init)
                    guard let first = words.first, let command = CommandTable.commands.first(where: { $0.name == first }) else { continue }
                    if words.contains("[OPTION]...") || words.last == "--each" || words.last == "--probe" { continue }
                    #expect(throws: Never.self, "\(line)") { _ = try ParsedArguments.parse(Array(words.dropFirst()), command) }
                    count += 1
                }
            }
            #expect(count > 30)
        }

        @Test func completionsOfBash() throws {
            let scratch = try Scratch()
            try scratch.write(
                "complete.bash",
                """
                source <("$1" completions bash) || exit 1
                shift
                COMP_WORDS=("$@")
                COMP_CWORD=$(($# - 1))
                _cistern
                printf '%s\\n' "${COMPREPLY[@]}"
                """)
            func complete(_ words: [String]) throws -> Set<Substring> {
                let outcome = try scratch.shell("exec bash complete.bash \"$cistern\" \"$@\"", words)
                #expect(outcome.exitCode == 0 && outcome.errors.isEmpty, "\(outcome)")
                return Set(outcome.output.split(separator: "\n"))
            }
            let commands = CommandTable.commands.map { Substring($0.name) }
            #expect(try complete(["cistern", ""]) == Set(commands + ["--help", "--version"]))
            #expect(try complete(["cistern", "ca"]) == ["capacity"])
            for (command, options) in Self.names {
                #expect(try complete(["cistern", command, "--"]) == Set(options.map { Substring($0) }), "\(command)")
            }
            #expect(try complete(["cistern", "completions", ""]).isSuperset(of: ["bash", "zsh", "fish"]))
            #expect(try complete(["cistern", "run", "--capacity", "a"]) == ["auto"])
            #expect(try complete(["cistern", "capacity", "--capacity", "a"]).isEmpty)
            #expect(try complete(["cistern", "run", "--envelope-file", "comp"]) == ["complete.bash"])
            #expect(try complete(["cistern", "run", "--memory", "1G", "prin"]).contains("printf"))
            #expect(try complete(["cistern", "run", "--", "cat", "comp"]) == ["complete.bash"])
            #expect(try complete(["cistern", "jobs", "--each", ""]).isEmpty)
        }

        /// Checked by the shells themselves where they are installed, by their words otherwise.
        @Test(arguments: ["zsh", "fish"])
        func completionsOfOtherShells(_ shell: String) throws {
            let scratch = try Scratch()
            let script = try scratch.cistern(["completions", shell])
            #expect(script.exitCode == 0 && script.errors.isEmpty)
            for (command, options) in Self.names {
                #expect(script.output.contains(command))
                for option in options {
                    #expect(script.output.contains(shell == "fish" ? " -l \(option.dropFirst(2)) " : "'\(option)["), "\(option)")
                }
            }
            try scratch.write("script", script.output)
            let checked = try scratch.shell("command -v \(shell) >/dev/null || exit 9; exec \(shell) -n script")
            if checked.exitCode == 9 {
                print("completionsOfOtherShells(\(shell)): \(shell) is not here, its syntax is not checked")
            } else {
                #expect(checked.exitCode == 0, "\(checked)")
            }
            // Quotes come in pairs: each line reads as words of a shell.
            #expect(
                try scratch.shell("exec python3 -c 'import shlex; [shlex.split(line, comments=True) for line in open(\"script\")]'")
                    .exitCode == 0)
        }

        /// Code in a page: language and text.
        static func fences(_ page: String) throws -> [(language: String, text: String)] {
            let parts = try textOfPackageFile("docs/\(page)").split(separator: "```", omittingEmptySubsequences: false)
            return stride(from: 1, to: parts.count, by: 2).map { number in
                let lines = parts[number].split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(lines[0]), lines.count > 1 ? String(lines[1]) : "")
            }
        }

        @Test func thePageAboutContainers() throws {
            let scratch = try Scratch()
            let fences = try Self.fences("containers.md")
            #expect(fences.map(\.language).filter { $0 == "yaml" }.count == 5 && fences.contains { $0.language == "groovy" })
            for service in ["GitHub Actions", "GitLab CI", "CircleCI", "Buildkite", "Jenkins"] {
                #expect(try textOfPackageFile("docs/containers.md").contains(service))
            }
            for (number, fence) in fences.enumerated() {
                #expect(!fence.text.contains("\t") && !fence.text.isEmpty)
                if fence.language == "sh" {
                    try scratch.write("fence", fence.text)
                    #expect(try scratch.shell("exec sh -n fence").exitCode == 0, "\(fence.text)")
                }
                if fence.language == "yaml" { try scratch.write("\(number).yaml", fence.text) }
            }
            let yaml = try scratch.shell(
                "python3 -c 'import yaml' 2>/dev/null || exit 9; "
                    + "python3 -c 'import glob, yaml; [yaml.safe_load(open(f)) for f in glob.glob(\"*.yaml\")]'"
            )
            if yaml.exitCode == 9 {
                print("thePageAboutContainers: python3 has no yaml module, the YAML is not parsed")
            } else {
                #expect(yaml.exitCode == 0, "\(yaml)")
            }
        }

        /// Each step in a shell of its own, as the service runs it: the image gets the capacity that an earlier step has found.
        @Test func theStepsHandTheCapacityOn() throws {
            let scratch = try Scratch()
            let workflow = try #require(try Self.fences("containers.md").first { $0.text.contains("actions/checkout") }?.text)
            let command = try Scratch.commandPath()
            for (name, text) in [
                ("cistern", "exec '\(command)' \"$@\""), ("make", "echo make $SKIP_CAPACITY"), ("docker", "echo docker $*"),
            ] {
                try scratch.write("bin/\(name)", "#!/bin/sh\n\(text)\n")
            }
            try scratch.write("service", "")
            var output = ""
            for step in workflow.split(separator: "\n      - ") {
                guard let script = step.split(separator: "run: ").dropFirst().first else { continue }
                try scratch.write("step", script.hasPrefix("|") ? String(script.dropFirst()) : String(script))
                let outcome = try scratch.shell(
                    "chmod +x bin/*; PATH=$PWD/bin:$PATH GITHUB_ENV=$PWD/service; export PATH GITHUB_ENV; "
                        + "set -a; . ./service; exec sh -e step")
                #expect(outcome.exitCode == 0, "\(outcome)")
                output += outcome.output
            }
            let capacity = try scratch.cistern(["capacity", "--fit"]).output.dropLast()
            #expect(output.contains("\nmake \(capacity)\n"), "\(output)")
            #expect(output.contains("\ndocker build --build-arg SKIP_CAPACITY=\(capacity) .\n"), "\(output)")
        }

        /// The ARG and ENV pair, as a builder expands it: without an argument the variable is empty, and that means "not set".
        @Test func thePairKeepsEmptyUnset() throws {
            let image = try #require(try Self.fences("containers.md").first { $0.language == "dockerfile" }?.text)
            let stages = image.split(separator: "FROM ")
            let first = stages[0].split(separator: "\n").map(String.init)
            let argument = try #require(first.firstIndex(of: "ARG SKIP_CAPACITY"))
            #expect(first.firstIndex(of: "ENV SKIP_CAPACITY=${SKIP_CAPACITY}") == argument + 1)
            #expect(!stages.dropFirst().joined().contains("SKIP_CAPACITY"))
            let scratch = try Scratch()
            for (set, bytes) in [("", "17179869184"), ("SKIP_CAPACITY=6G; ", "6442450944")] {
                let outcome = try scratch.shell("\(set)exec env \"SKIP_CAPACITY=${SKIP_CAPACITY}\" \"$cistern\" capacity")
                #expect(outcome.output == bytes + "\n", "\(outcome)")
            }
        }
    }
}
