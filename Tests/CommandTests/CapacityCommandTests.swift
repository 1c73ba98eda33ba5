import Cistern
import CisternCommand
import Envelope
import Glibc
import Limits
import Testing

extension CommandSuites {
    @Suite(.enabled(if: Sanitizer.isAbsent)) struct CapacityCommandTests {
        /// The lines that the issue shows, and those of the capacity scenarios.
        @Test(
            arguments: [
                (nil, [], "17179869184"), ("", [], "17179869184"), ("6G", [], "6442450944"), ("3G", ["--capacity", "1048576"], "1048576"),
                ("3G", ["--capacity", "-v"], "17179869184"), ("3G", ["--capacity"], "3221225472"), (nil, ["--capacity"], "17179869184"),
                ("3G", ["--capacity", "1G", "--capacity", "2G"], "1073741824"), ("3G", ["--capacity=2g"], "2147483648"),
                ("bad", ["--capacity", "1K"], "1024"), ("3G", ["--fit"], "3221225472"),
                ("9223372036854775807", [], "9223372036854775807"), ("00000000000000000001", [], "1"),
            ] as [(String?, [String], String)])
        func prints(environment: String?, words: [String], bytes: String) throws {
            let outcome = try Scratch().cistern(["capacity"] + words, capacity: environment)
            #expect(outcome.exitCode == 0 && outcome.output == bytes + "\n" && outcome.errors.isEmpty, "\(outcome)")
        }

        @Test(arguments: [
            "3GB", "1.5G", "-1", " 3G", "3T", "0x10", "99999999999G", "9223372036854775808", "0", "75%", "auto", "3GiB", "\n",
        ])
        func refuses(value: String) throws {
            let scratch = try Scratch()
            for words in [["capacity"], ["capacity", "--fit", "--json", "--explain"], ["container-args"]] {
                let outcome = try scratch.cistern(words, capacity: value)
                #expect(outcome.isRefusal(2) && outcome.errors.contains("SKIP_CAPACITY: "), "\(outcome)")
                #expect(outcome.errors.contains("; expected digits, then nothing or one of K, M, G"), "\(outcome)")
            }
            let attached = try scratch.cistern(["capacity", "--capacity=\(value)"])
            #expect(attached.isRefusal(2) && attached.errors.hasPrefix("cistern capacity: --capacity: '"), "\(attached)")
            for words in [["capacity", "--probe", value], ["jobs", "--each", value], ["run", "--memory", value, "true"]] {
                let outcome = try scratch.cistern(words)
                #expect(outcome.isRefusal(2) && outcome.errors.hasPrefix("cistern \(words[0]): \(words[1]): '"), "\(outcome)")
            }
            if !value.hasPrefix("-") { #expect(try scratch.cistern(["capacity", "--capacity", value]).isRefusal(2)) }
        }

        @Test func aWordThatBeginsWithADashIsReadTwice() throws {
            let scratch = try Scratch()
            let outcome = try scratch.cistern(["capacity", "--capacity", "--explain"], capacity: "3G")
            #expect(outcome.exitCode == 0 && outcome.output == "17179869184\n")
            #expect(outcome.errors.contains("--capacity stands before '--explain', which begins with '-': that means the default"))
            #expect(
                try scratch.cistern(["capacity", "--capacity", "--json"]).output.hasPrefix("{\"bytes\":17179869184,\"source\":\"default\""))
        }

        /// 1.5, 3, 6, 12 GiB, less three quarters of what is mapped, and 16 GiB.
        @Test func fitsAddressSpace() throws {
            let scratch = try Scratch()
            let machine = Capacity.fitted(MemoryLimits.current().first { $0.kind == .physicalMemory }?.availableBytes ?? UInt64.max)
            for (gib, fitted) in [(2, 1536), (4, 3072), (8, 6144), (16, 12288), (32, 16384)] as [(UInt64, UInt64)] {
                let outcome = try scratch.cistern(["capacity", "--fit"], prefix: "prlimit --as=\(gib << 30)")
                let bytes = try #require(UInt64(outcome.output.dropLast()), "\(outcome)")
                let expected = min(fitted << 20, machine)
                #expect(bytes <= expected && bytes + (64 << 20) >= expected && bytes % (2 << 20) == 0, "\(gib): \(bytes)")
            }
            let data = try scratch.cistern(["capacity", "--fit"], prefix: "prlimit --data=\(4 << 30)")
            #expect(data.output == "\(min(3 << 30, machine))\n")
        }

        @Test func explains() throws {
            let scratch = try Scratch()
            let outcome = try scratch.cistern(["capacity", "--fit", "--explain"], prefix: "prlimit --as=\(2 << 30)")
            #expect(outcome.errorLines.allSatisfy { $0.hasPrefix("cistern capacity: ") })
            #expect(outcome.errors.contains(" bytes (default, fits RLIMIT_AS 2147483648, "), "\(outcome)")
            let over = try scratch.cistern(["capacity", "--explain"], capacity: "16G", prefix: "prlimit --as=\(2 << 30)")
            #expect(over.output == "17179869184\n" && over.errors.contains("(SKIP_CAPACITY, exceeds RLIMIT_AS 2147483648, "), "\(over)")
        }

        @Test func probes() throws {
            let scratch = try Scratch()
            let refused = try scratch.cistern(["capacity", "--probe", "16G"], prefix: "prlimit --as=4294967296")
            #expect(refused.isRefusal(1), "\(refused)")
            #expect(refused.errors.contains("RLIMIT_AS is 4294967296 bytes, "), "\(refused)")
            // What is said to fit does.
            let largest = try #require(refused.errors.split(separator: "at most ").last?.split(separator: " ").first)
            let fitting = try #require(refused.errors.split(separator: ", and ").last?.split(separator: " ").first)
            for bytes in [largest, fitting] {
                let again = try scratch.cistern(["capacity", "--probe", "\(bytes)"], prefix: "prlimit --as=4294967296")
                #expect(again.exitCode == 0 && again.output == "\(bytes)\n", "\(again)")
            }
            let eight = try scratch.cistern(["capacity", "--probe", "16G"], prefix: "prlimit --as=8589934592")
            #expect(eight.exitCode == 1 && eight.errors.contains("RLIMIT_AS is 8589934592 bytes"))
            let large = try scratch.cistern(["capacity", "--probe", "64G"])
            #expect(large.exitCode == 0 && large.output == "68719476736\n" && large.errors.isEmpty, "\(large)")
            let beyond = try scratch.cistern(["capacity", "--probe", "9223372036854775807"])
            #expect(beyond.isRefusal(1) && beyond.errors.contains("address range"), "\(beyond)")
            let json = try scratch.cistern(["capacity", "--probe", "16G", "--json"], prefix: "prlimit --as=4294967296")
            #expect(json.exitCode == 1 && json.output.contains("\"isReservable\":false"))
            #expect(json.output.contains("\"limitInTheWay\":{\"name\":\"RLIMIT_AS\",\"bytes\":4294967296,"), "\(json)")
        }

        /// RLIMIT_DATA refuses at a step of the way, not the reservation.
        @Test func probesUnderADataLimit() throws {
            let outcome = try Scratch().cistern(["capacity", "--probe", "16G"], prefix: "prlimit --data=2147483648")
            #expect(outcome.exitCode == 0 && outcome.output == "17179869184\n", "\(outcome)")
            #expect(outcome.errors.contains("can be reserved, but not all be used: RLIMIT_DATA is 2147483648 bytes, "), "\(outcome)")
        }

        @Test func jobs() throws {
            let scratch = try Scratch()
            let online = Processors.read(.real).count
            let tightest = try #require(MemoryLimits.current().tightest)
            for each in [1 << 20, 1 << 30, 2 << 30, 1 << 50] as [UInt64] {
                let expected = JobCount.of(eachBytes: each, processorCount: online, tightest: tightest).count
                #expect(try scratch.cistern(["jobs", "--each", "\(each)"]).output == "\(expected)\n")
            }
            // 0.95 of what is left of 4 GiB holds one of 2 GiB, whatever the processors.
            #expect(try scratch.cistern(["jobs", "--each", "2G"], prefix: "prlimit --as=\(4 << 30)").output == "1\n")
            let one = try scratch.cistern(["jobs", "--each=1K", "--explain"], prefix: "taskset -c 0")
            #expect(one.output == "1\n" && one.errors == "cistern jobs: 1 of 1024 (1.0 KiB): the 1 processors decide\n", "\(one)")
            let large = try scratch.cistern(["jobs", "--each", "1048576G", "--explain"])
            #expect(large.output == "1\n" && large.errors.contains("not even one fits"))
            #expect(try scratch.cistern(["jobs", "--each", "2G", "--json"]).output.hasPrefix("{\"jobs\":"))
        }

        @Test func containerArguments() throws {
            let scratch = try Scratch()
            #expect(try scratch.cistern(["container-args"], capacity: "3G").output == "--build-arg SKIP_CAPACITY=3G\n")
            #expect(try scratch.cistern(["container-args", "--docker"], capacity: "3G").output == "--build-arg SKIP_CAPACITY=3G\n")
            #expect(try scratch.cistern(["container-args", "--bake"], capacity: "3G").output == "--set *.args.SKIP_CAPACITY=3G\n")
            #expect(
                try scratch.cistern(["container-args", "--json"], capacity: "3G").output
                    == "{\"arguments\":[\"--build-arg\",\"SKIP_CAPACITY=3G\"]}\n")
            for value in [nil, ""] {
                for words in [["container-args"], ["container-args", "--bake"]] {
                    let outcome = try scratch.cistern(words, capacity: value)
                    #expect(outcome.exitCode == 0 && outcome.outputBytes.isEmpty && outcome.errors.isEmpty)
                }
                #expect(try scratch.cistern(["container-args", "--json"], capacity: value).output == "{\"arguments\":[]}\n")
            }
            // As a shell splits them.
            let split = try scratch.shell("export SKIP_CAPACITY=3G; set -- $(\"$cistern\" container-args); echo $#: \"$1\" \"$2\"")
            #expect(split.output == "2: --build-arg SKIP_CAPACITY=3G\n")
        }

        @Test func limits() throws {
            let scratch = try Scratch()
            let outcome = try scratch.cistern(["limits"], prefix: "prlimit --as=\(3 << 30) --data=\(8 << 30)")
            #expect(outcome.exitCode == 0 && outcome.errors.isEmpty, "\(outcome)")
            let rows = outcome.output.split(separator: "\n").map { $0.split(separator: " ") }
            let addressSpace = try #require(rows.first { $0.contains("RLIMIT_AS") && $0[0] == "*" }, "\(outcome)")
            let numbers = addressSpace[2...4].compactMap { UInt64($0) }
            #expect(numbers[0] == 3 << 30 && numbers[1] > 1 << 20 && numbers[1] + numbers[2] == 3 << 30)
            #expect(rows.contains { $0[0] == "RLIMIT_DATA" && $0[1] == "8589934592" })
            #expect(rows.filter { $0[0] == "*" }.count == 1)
            for label in ["overcommit", "memory", "swap", "cpus"] { #expect(rows.contains { $0[0] == label }, "\(label)") }
            let json = try scratch.shell(
                "\"$cistern\" limits --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"processors\"])'")
            #expect(json.exitCode == 0 && json.output.contains("'count': "), "\(json)")
        }

        @Test func badUse() throws {
            let scratch = try Scratch()
            for words in [
                [], ["nothing"], ["limits", "--nothing"], ["limits", "x"], ["capacity", "x"], ["capacity", "--fit=1"],
                ["capacity", "--probe"],
                ["capacity", "--probe", "1G", "--fit"], ["jobs"], ["jobs", "--each"], ["jobs", "--each", "1G", "--each", "2G"],
                ["container-args", "--docker", "--bake"], ["completions"], ["completions", "csh"], ["completions", "bash", "zsh"], ["run"],
                ["run", "--"], ["run", "--memory"], ["run", "--nothing", "true"], ["run", "--capacity", "1.5G", "true"],
                ["run", "--capacity", "3GB", "true"], ["run", "--capacity", "off", "true"], ["run", "--capacity", "-1", "true"],
                ["run", "--address-space", "1GiB", "true"], ["run", "--envelope-file", "", "true"], ["\u{1B}[1m\n"], ["--nothing"],
                ["limits", "--", "x"],
            ] {
                let outcome = try scratch.cistern(words)
                #expect(outcome.isRefusal(2) && outcome.errors.hasPrefix("cistern"), "\(words): \(outcome)")
                #expect(outcome.errors.contains("expected "), "\(words): \(outcome)")
                #expect(outcome.errors.utf8.dropLast().allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(words): \(outcome)")
            }
        }

        @Test func whatCannotBeWrittenIsSaid() throws {
            let scratch = try Scratch()
            for (redirection, reason) in [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")] {
                let outcome = try scratch.shell("exec \"$cistern\" capacity \(redirection)")
                #expect(outcome.isRefusal(1) && outcome.errors == "cistern capacity: standard output: \(reason)\n", "\(outcome)")
            }
            // Nobody listens: nothing to do but go on.
            #expect(try scratch.shell("exec \"$cistern\" capacity --explain 2>&-").output == "17179869184\n")
        }
    }
}
