import Glibc
import Testing

extension CommandSuites {
    @Suite(.enabled(if: Sanitizer.isAbsent)) struct RunCommandTests {
        @Test func exitCodesArePassedOn() throws {
            let scratch = try Scratch()
            for code in [0, 1, 7, 24, 42, 125, 126, 127, 137, 255] {
                #expect(try scratch.cistern(["run", "--envelope", "--", "sh", "-c", "exit \(code)"]).exitCode == code)
            }
            let quiet = try scratch.cistern(["run", "sh", "-c", "exit 7"])
            #expect(quiet.exitCode == 7 && quiet.errors.isEmpty && quiet.outputBytes.isEmpty)
        }

        @Test func whatCannotBeRun() throws {
            let scratch = try Scratch()
            try scratch.write("not-executable", "text\n")
            for (word, code) in [("no-such-command-anywhere", 127), ("./nothing/here", 127), ("./not-executable", 126), ("/", 126)]
                as [(String, Int32)]
            {
                let outcome = try scratch.cistern(["run", word])
                #expect(outcome.isRefusal(code) && outcome.errors.hasPrefix("cistern run: '\(word)': "), "\(outcome)")
            }
        }

        /// Standard output is the child's alone, byte for byte, and the words reach it as they are.
        @Test func bytesAndWords() throws {
            let scratch = try Scratch()
            let all = try scratch.shell(
                "set -- --memory '' ' a  b' '*' '$x' -- --help \"$(printf 'x\\377\\376y')\"; "
                    + "\"$cistern\" run --envelope -- printf '%s\\0' \"$@\""
            )
            #expect(all.exitCode == 0)
            let expected = ["--memory", "", " a  b", "*", "$x", "--", "--help"].map { Array($0.utf8) } + [[0x78, 0xFF, 0xFE, 0x79]]
            #expect(all.outputBytes == expected.flatMap { $0 + [0] })
            let binary = try scratch.shell("printf '\\000\\377\\n\\r' > raw; \"$cistern\" run --json cat <raw")
            #expect(binary.outputBytes == [0, 255, 10, 13] && binary.errorLines.count == 2, "\(binary)")
            let piped = try scratch.shell("echo in | \"$cistern\" run cat | cat")
            #expect(piped.output == "in\n")
        }

        @Test func envelopeBeforeAndAfter() throws {
            let scratch = try Scratch()
            // The command sees the first block: it was written before the start.
            let outcome = try scratch.cistern(["run", "--envelope", "--", "sh", "-c", "cat errors; exit 7"])
            #expect(outcome.exitCode == 7)
            for label in ["command", "kernel", "cpus", "memory", "swap", "disk free", "overcommit", "limit"] {
                #expect(outcome.output.contains("\n\(label) "), "\(label): \(outcome)")
            }
            #expect(outcome.output.hasPrefix("--- cistern run: before, 2") && !outcome.output.contains("after"))
            #expect(outcome.errors.hasPrefix(outcome.output))
            let after = try #require(outcome.errors.split(separator: "--- cistern run: after, ").last)
            for line in ["exit code      7\n", "peak resident  ", "peak mapped    ", "memory kill    none proven", "elapsed        0."] {
                #expect(after.contains(line), "\(line): \(outcome)")
            }
        }

        /// Of the command itself, and of what it starts.
        @Test(arguments: ["", "true; ", "sh -c \"$1\"; exit; "])
        func peaksOfTheCommand(_ prefix: String) throws {
            let hog = "python3 -c 'import time; x = bytearray(100 << 20); time.sleep(0.4)'"
            let script = prefix.contains("$1") ? prefix : "\(prefix)\(hog); true"
            let outcome = try Scratch().cistern(["run", "--json", "sh", "-c", script, "sh", hog + "; true"])
            let after = try #require(outcome.errorLines.last, "\(outcome)")
            func number(_ name: String) -> UInt64 {
                after.split(separator: "\"\(name)\":").last.flatMap { UInt64($0.prefix { $0 >= "0" && $0 <= "9" }) } ?? 0
            }
            #expect(number("peakResidentBytes") > 100 << 20 && number("peakResidentBytes") < 200 << 20, "\(outcome)")
            #expect(number("peakMappedBytes") > 100 << 20 && number("sampleCount") > 3, "\(outcome)")
        }

        /// A command that has become another user may not be sent signals: said once, and its end is waited for.
        @Test func aSignalThatCannotBePassedOn() throws {
            let outcome = try Scratch().shell(
                """
                setpriv --bounding-set=-kill "$cistern" run \\
                    setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'sleep 1; exit 6' &
                for try in 1 2 3 4 5 6 7 8 9 10; do
                    child=$(cat /proc/$!/task/$!/children)
                    grep -q 'Uid:.65534' "/proc/${child% }/status" && break
                    sleep 0.05
                done 2>/dev/null
                kill -USR1 $!; sleep 0.1; kill -TERM $!; sleep 0.1; kill -USR1 $!
                wait $!; exit $?
                """)
            if outcome.errors.contains("setpriv: ") {
                print("aSignalThatCannotBePassedOn: skipped, this user cannot become another: \(outcome.errors)")
                return
            }
            #expect(outcome.exitCode == 6 && outcome.errorLines.count == 1, "\(outcome)")
            #expect(outcome.errors.hasPrefix("cistern run: signal 10 cannot be passed on to process "), "\(outcome)")
            #expect(outcome.errors.hasSuffix(": Operation not permitted; waiting goes on\n"), "\(outcome)")
        }

        @Test func boundsTheAddressSpace() throws {
            let scratch = try Scratch()
            let shown = try scratch.cistern(["run", "--address-space", "2G", "sh", "-c", "ulimit -v; ulimit -Hv"])
            #expect(shown.output == "2097152\n2097152\n", "\(shown)")
            let refused = try scratch.cistern(["run", "--address-space", "200M", "python3", "-c", "x = bytearray(400 << 20)"])
            #expect(refused.exitCode == 1 && refused.errors.contains("MemoryError"), "\(refused)")
            let soft = try scratch.shell(
                "ulimit -v 2000000; exec setpriv --reuid=65534 --clear-groups -- \"$cistern\" run --address-space 3G true")
            if soft.errors.contains("setpriv") {
                print("boundsTheAddressSpace: not as another user: \(soft.errors)")
            } else {
                #expect(soft.exitCode == 125 && soft.outputBytes.isEmpty && soft.errors.contains("no more than the hard limit"), "\(soft)")
            }
        }

        @Test func setsTheCapacity() throws {
            let scratch = try Scratch()
            let show = ["sh", "-c", "echo ${SKIP_CAPACITY-unset}"]
            for (words, expected) in [
                (["--capacity", "6G"], "6442450944"), (["--capacity", "3GiB"], "3221225472"),
                (["--capacity", "auto", "--address-space", "2G"], nil), (["--capacity=50%", "--address-space=2G"], nil),
                (["--capacity", "auto-512M", "--address-space", "2G"], nil), ([], "unset"),
            ] as [([String], String?)] {
                let outcome = try scratch.cistern(["run"] + words + show)
                if let expected {
                    #expect(outcome.output == expected + "\n", "\(outcome)")
                } else {
                    let bytes = try #require(UInt64(outcome.output.dropLast()), "\(outcome)")
                    let whole: UInt64 = words[0].hasSuffix("auto") || words[1] == "auto" ? 1536 << 20 : 1 << 30
                    #expect(bytes <= whole && bytes + (64 << 20) > whole, "\(words): \(outcome)")
                }
            }
            #expect(try scratch.cistern(["run"] + show, capacity: "5M").output == "5M\n")
            #expect(try scratch.cistern(["run"] + show, capacity: "").output == "\n")
        }

        @Test func saysHowItEnded() throws {
            let scratch = try Scratch()
            for (script, code, text) in [
                ("exit 24", 24, "exit code 24: out of memory, if the program is a Skip runtime"),
                ("kill -9 $$", 137, "killed, cause unknown ("),
                ("sh -c 'kill -9 $$'; exit $?", 137, "exit code 137, so a shell's command was killed, cause unknown ("),
                ("kill -SEGV $$", 139, "ended by signal 11 (SIGSEGV)"),
            ] as [(String, Int32, String)] {
                let outcome = try scratch.cistern(["run", "sh", "-c", script])
                #expect(outcome.exitCode == code && outcome.errors.contains("cistern run: 'sh': \(text)"), "\(outcome)")
                #expect(!outcome.errors.contains("killed for memory"), "\(outcome)")
            }
            let interrupted = try scratch.cistern(
                ["run", "sh", "-c", "kill -INT $$"])
            #expect(interrupted.exitCode == 130 && interrupted.errors.isEmpty, "\(interrupted)")
        }

        /// A signal to cistern reaches the command, whose answer counts.
        @Test(arguments: ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM"])
        func signalsArePassedOn(_ name: String) throws {
            // With job control, what runs in the background does not ignore interrupts.
            let script = """
                set -m
                "$0" run sh -c 'trap "echo got; exit 3" \(name); echo ready; while :; do sleep 0.02; done' &
                until grep -q ready output; do sleep 0.02; done
                kill -\(name) $!
                wait $!
                echo "exit $?"
                """
            let outcome = try Scratch().shell("exec bash -c \"$1\" \"$cistern\"", [script])
            #expect(outcome.output == "ready\ngot\nexit 3\n" && !outcome.errors.contains("cistern run:"), "\(outcome)")
        }

        @Test func inheritedChildrenAndDispositions() throws {
            let scratch = try Scratch()
            // A child of the shell that became cistern is taken when it ends, not left a zombie.
            let adopted = try scratch.shell(
                "sleep 0.05 & exec \"$cistern\" run sh -c 'sleep 0.5; test -d /proc/$0 && echo there || echo gone' $!")
            #expect(adopted.output == "gone\n" && adopted.exitCode == 0, "\(adopted)")
            // What is ignored and blocked is for the command what it was for cistern.
            for ignored in ["", "--ignore-signal=CHLD --ignore-signal=HUP", "--block-signal=USR1 --block-signal=CHLD"] {
                let show = "grep -E '^Sig(Ign|Blk)' /proc/self/status"
                let direct = try scratch.shell("exec env \(ignored) \(show)")
                let run = try scratch.shell("exec env \(ignored) \"$cistern\" run \(show)")
                #expect(run.exitCode == 0 && run.output == direct.output && direct.output.contains("SigBlk"), "\(run) \(direct)")
            }
            let status = try scratch.shell("exec env --ignore-signal=CHLD \"$cistern\" run sh -c 'exit 3'")
            #expect(status.exitCode == 3, "\(status)")
        }

        @Test func aCommandThatASignalEnds() throws {
            let outcome = try Scratch().shell(
                """
                "$cistern" run sh -c 'echo ready; exec sleep 50' &
                until grep -q ready output; do sleep 0.02; done
                kill $!
                wait $!
                echo "exit $?"
                """)
            #expect(outcome.output == "ready\nexit 143\n" && outcome.errors.isEmpty, "\(outcome)")
        }

        /// On a terminal: an interrupt reaches the command once, not twice, and cistern outlives it; a stop stops both.
        @Test func theTerminal() throws {
            let scratch = try Scratch()
            try scratch.write(
                "terminal.py",
                """
                import os, pty, sys, time
                child, terminal = pty.fork()
                if child == 0:
                    script = 'trap "echo interrupted" INT; echo ready; read line; echo "line $line"; exit 5'
                    os.execv(sys.argv[1], ["cistern", "run", "--", "sh", "-c", script])
                seen = b""
                def until(word):
                    global seen
                    while word not in seen:
                        seen += os.read(terminal, 4096)
                until(b"ready")
                os.write(terminal, b"\\x03")
                until(b"interrupted")
                time.sleep(0.2)
                os.write(terminal, b"x\\n")
                try:
                    while True:
                        part = os.read(terminal, 4096)
                        if not part: break
                        seen += part
                except OSError:
                    pass
                status = os.waitpid(child, 0)[1]
                print(seen.count(b"interrupted"), os.WEXITSTATUS(status))
                """)
            let outcome = try scratch.shell("exec python3 terminal.py \"$cistern\"")
            #expect(outcome.output == "1 5\n", "\(outcome)")
        }

        /// The file is there before the start, has what happened so far after 5 seconds, and outlives a cistern that is killed.
        @Test func theEnvelopeFileOutlivesItsWriter() throws {
            let scratch = try Scratch()
            let outcome = try scratch.shell(
                """
                "$cistern" run --envelope-file e -- sh -c 'cat e; echo $$ > number; exec sleep 20' &
                cistern_number=$!
                sleep 5.6
                kill -9 $cistern_number
                wait $cistern_number
                echo "exit $?"
                kill $(cat number)
                """)
            #expect(outcome.output.hasPrefix("--- cistern run: before, ") && outcome.output.hasSuffix("exit 137\n"), "\(outcome)")
            let file = try scratch.read("e")
            #expect(file.hasPrefix("--- cistern run: before, ") && file.contains("\n--- cistern run: running, "), "\(file)")
            #expect(file.contains("elapsed        5."), "\(file)")
        }

        @Test func envelopeFiles() throws {
            let scratch = try Scratch()
            let both = try scratch.cistern(["run", "--envelope", "--envelope-file", "e", "sh", "-c", "exit 3"])
            #expect(both.exitCode == 3)
            #expect(try scratch.read("e") == both.errors)
            let quiet = try scratch.cistern(["run", "--json", "--envelope-file=e", "true"])
            #expect(quiet.exitCode == 0 && quiet.errors.isEmpty)
            let checked = try scratch.shell(
                "exec python3 -c 'import json; d = json.load(open(\"e\")); print(sorted(d), d[\"after\"][\"exitCode\"])'")
            #expect(checked.output == "['after', 'before'] 0\n", "\(checked)")
            #expect(try scratch.shell("ls; ls | grep -c '^e\\.'").output.hasSuffix("\n0\n"))
            let nowhere = try scratch.cistern(["run", "--envelope-file", "no/such/directory", "echo", "x"])
            #expect(nowhere.isRefusal(125) && nowhere.errors.contains("--envelope-file: no/such/directory: No such file"), "\(nowhere)")
            // What is no file of its own is written to, never replaced; a link stays one.
            let stream = try scratch.shell(
                """
                echo before >&2; "$cistern" run --envelope-file /dev/stderr true || exit
                test -L /dev/stderr && ln -s e link && "$cistern" run --envelope-file link sh -c 'exit 9'
                test -L link && grep -c 'exit code      9' e
                """)
            #expect(stream.output == "1\n" && stream.errors.hasPrefix("before\n--- cistern run: before, "), "\(stream)")
            #expect(stream.errors.contains("--- cistern run: after, "), "\(stream)")
            let pipe = try scratch.shell("mkfifo pipe; exec \"$cistern\" run --envelope-file pipe echo started")
            #expect(pipe.isRefusal(125) && pipe.errors.hasSuffix("pipe: No such device or address\n"), "\(pipe)")
        }

        @Test func standardFilesThatAreClosed() throws {
            let scratch = try Scratch()
            let outcome = try scratch.shell("exec \"$cistern\" run --envelope sh -c 'echo out; cat <&0 2>/dev/null; exit 4' <&- 2>&-")
            #expect(outcome.exitCode == 4 && outcome.output == "out\n", "\(outcome)")
        }
    }
}
