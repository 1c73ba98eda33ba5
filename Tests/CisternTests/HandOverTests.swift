import CCistern
import CTestSupport
import Cistern
import Glibc
import Testing

// Safety: C calls get texts and buffers that live for the call.

/// Programs that take over. What a process is turned into by exec is tried in children.
extension FaceSuites {
    @Suite(.enabled(if: Sanitizer.isAbsent, "children of a sanitizer's process"))
    struct HandOverTests {
        private static let size = 64 << 20

        /// A heap with dead contents.
        private func fullHeap(_ table: FaultTable? = nil) throws -> Heap {
            let heap = try Heap(capacity: .bytes(256 << 20)) { table?.install(in: &$0) }
            cistern_test_fill(try #require(heap.take(Self.size)), Self.size, 1)
            return heap
        }

        /// Runs a body in a child whose standard output is a file, and returns that and the child's status.
        private func captured(_ body: () -> Int32) throws -> (status: Int32, output: String) {
            var template = Array("/tmp/cistern-hand-over-XXXXXX".utf8CString)
            let file = unsafe template.withUnsafeMutableBufferPointer { unsafe mkstemp($0.baseAddress!) }
            try #require(file >= 0)
            let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            defer {
                _ = unsafe unlink(path)  // a file that stays behind fails no test
                _ = close(file)
            }
            let status = inChild { dup2(file, 1) == 1 ? body() : 120 }
            return (status, try #require(text(ofFile: path)))
        }

        @Test func execKeepsTheProcessAndDropsTheMemory() throws {
            let heap = try fullHeap()
            let run = try captured {
                // In the child the heap is a copy; what it is replaced by prints its own identifier and memory.
                let script = "echo $$ $PPID \"$1\"; grep -c 'cistern heap' /proc/self/maps; exit 3"
                do throws(HandOverError) {
                    try heap.handOver(to: Program("/bin/sh", ["-c", script, "sh", "a b"]))
                } catch {
                    return 100
                }
            }
            let lines = run.output.split(separator: "\n")
            #expect(run.status == 3)
            #expect(lines.count == 2 && lines[0].hasSuffix(" \(getpid()) a b"), "\(run.output)")
            #expect(lines.last == "0")
            #expect(heap.statistics.liveBlockCount == 1)
        }

        @Test func argumentsAndEnvironmentArriveByteForByte() throws {
            let heap = try Heap(capacityBytes: 1 << 20)
            let run = try captured {
                let odd = ["", " ", "ä€\u{1F600}", "-x", "a=b", "\n", String(repeating: "y", count: 100_000)]
                let program = Program(
                    "/bin/sh", ["-c", "printf '%s|' \"$@\" | md5sum; env | sort", "sh"] + odd,
                    environment: ["PATH=/usr/bin:/bin", "EMPTY=", "ODD=a=b c"])
                return (try? heap.handOverAndWait(for: program)) == .exited(code: 0) ? 0 : 1
            }
            let expected = shell("printf '%s|' '' ' ' 'ä€😀' -x a=b '\n' \"$(printf 'y%.0s' $(seq 100000))\" | md5sum")
            #expect(run.status == 0)
            let lines = run.output.split(separator: "\n").map(String.init)
            #expect(lines.first == expected.output.split(separator: "\n").first.map(String.init))
            #expect(lines.contains("EMPTY=") && lines.contains("ODD=a=b c") && lines.contains("PATH=/usr/bin:/bin"))
            #expect(!lines.contains { $0.hasPrefix("HOME=") })
        }

        /// The memory is back with the kernel while the child runs, not just when it has ended.
        @Test func theParentIsSmallWhileTheChildRuns() throws {
            let run = try captured {
                guard let heap = try? fullHeap() else { return 1 }
                // The child looks at its parent, which waits for it.
                let program = Program("grep", ["VmRSS", "/proc/\(getpid())/status"])
                print(unsafe cistern_test_status_bytes("VmRSS:") / 1024)
                guard fflush(nil) == 0 else { return 2 }
                guard (try? heap.handOverAndWait(for: program)) == .exited(code: 0) else { return 3 }
                // And the heap goes on.
                guard heap.statistics.liveBlockCount == 0, heap.take(Self.size) != nil else { return 4 }
                return heap.verify() == nil ? 0 : 5
            }
            #expect(run.status == 0)
            let kibibytes = run.output.split { $0 == " " || $0 == "\n" || $0 == "\t" }.compactMap { Int($0) }
            #expect(kibibytes.count == 2, "\(run.output)")
            #expect(kibibytes[1] + Self.size / 1024 - 4096 <= kibibytes[0], "\(run.output)")
        }

        @Test func endsAreTold() throws {
            let heap = try Heap(capacityBytes: 1 << 20)
            #expect(try heap.handOverAndWait(for: Program("sh", ["-c", "exit 7"])) == .exited(code: 7))
            #expect(try heap.handOverAndWait(for: Program("sh", ["-c", "exit 255"])) == .exited(code: 255))
            #expect(try heap.handOverAndWait(for: Program("sh", ["-c", "kill -KILL $$"])) == .killed(signal: SIGKILL))
            let process = try heap.handOverAndStart(Program("sh", ["-c", "exit 9"]))
            var status: Int32 = 0
            #expect(unsafe waitpid(process, &status, 0) == process && status == 9 << 8)
        }

        /// Wrong names cost nothing: the contents are still there.
        @Test func programsThatCannotBeStarted() throws {
            let heap = try fullHeap()
            let block = try #require(heap.take(100))
            cistern_test_fill(block, 100, 2)
            let folder = shell("mktemp -d").output.split(separator: "\n").map(String.init)[0]
            defer { _ = shell("rm -rf '\(folder)'") }
            let made = shell("cd '\(folder)' && echo 'echo no' > text && echo 'no magic' > script && chmod 755 script && mkdir folder")
            #expect(made.status == 0)
            let cases: [(String, HandOverError.Reason, Int32)] = [
                ("/nowhere/program", .notFound, ENOENT), ("no-such-program-anywhere", .notFound, ENOENT), ("", .notFound, ENOENT),
                ("\(folder)/text", .notExecutable, EACCES), ("\(folder)/folder", .notExecutable, EACCES),
                ("\(folder)/text/below", .notFound, ENOTDIR), (String(repeating: "a", count: 5000), .tooLong, ENAMETOOLONG),
            ]
            for (name, reason, code) in cases {
                let expected = HandOverError(reason, code: code, isDiscarded: false)
                #expect(throws: expected) { try heap.handOverAndWait(for: Program(name)) }
                #expect(throws: expected) { _ = try heap.handOverAndStart(Program(name)) }
                #expect(throws: expected) { try heap.handOver(to: Program(name)) }
            }
            for program in [
                Program("a\0b"), Program("true", ["a\0"]), Program("true", [], environment: ["X\0=1"]),
                Program("true", [], environment: ["NoValue"]), Program("true", [], environment: ["=1"]),
            ] {
                #expect(throws: HandOverError(.unusableText, code: 0, isDiscarded: false)) { try heap.handOverAndWait(for: program) }
            }
            // More than the system takes is known from exec only.
            let long = Program("true", [String](repeating: String(repeating: "a", count: 100_000), count: 100))
            #expect(throws: HandOverError(.tooLong, code: E2BIG, isDiscarded: false)) { try heap.handOver(to: long) }
            #expect(cistern_test_holds(block, 100, 2))
            #expect(heap.statistics.liveBlockCount == 2)
            // Two failures that only the start itself tells: the contents are gone, and the error says so.
            #expect(throws: HandOverError(.notExecutable, code: ENOEXEC, isDiscarded: true)) {
                try heap.handOverAndWait(for: Program("\(folder)/script"))
            }
            #expect(heap.statistics.liveBlockCount == 0)
            #expect(throws: HandOverError(.tooLong, code: E2BIG, isDiscarded: true)) { try heap.handOverAndWait(for: long) }
            #expect(heap.take(100) != nil && heap.verify() == nil)
        }

        /// A file in the way that may not be executed does not end the search of PATH.
        @Test func theSearchGoesOn() throws {
            let heap = try Heap(capacityBytes: 1 << 20)
            let folder = shell("mktemp -d").output.split(separator: "\n").map(String.init)[0]
            defer { _ = shell("rm -rf '\(folder)'") }
            #expect(shell("touch '\(folder)/true'; echo > '\(folder)/only-here'").status == 0)
            let status = inChild {
                guard unsafe setenv("PATH", "\(folder):/usr/bin:/bin", 1) == 0 else { return 1 }
                guard (try? heap.handOverAndWait(for: Program("true"))) == .exited(code: 0) else { return 2 }
                do throws(HandOverError) {
                    _ = try heap.handOverAndWait(for: Program("only-here"))
                    return 3
                } catch {
                    guard error == HandOverError(.notExecutable, code: EACCES, isDiscarded: false) else { return 4 }
                }
                guard unsafe unsetenv("PATH") == 0 else { return 5 }
                guard (try? heap.handOverAndWait(for: Program("true"))) == .exited(code: 0) else { return 6 }
                guard unsafe setenv("PATH", "", 1) == 0, unsafe chdir("/bin") == 0 else { return 7 }
                return (try? heap.handOverAndWait(for: Program("true"))) == .exited(code: 0) ? 0 : 8
            }
            #expect(status == 0)
        }

        /// No memory for a child, from the real system: there is no address space left for its start.
        @Test func noMemoryForTheChild() throws {
            let heap = try fullHeap()
            let status = inChild {
                let program = Program("true")
                guard limitAddressSpace(aboveUseBytes: 0) != nil else { return 1 }
                do throws(HandOverError) {
                    _ = try heap.handOverAndStart(program)
                    return 2
                } catch {
                    return error == HandOverError(.noMemory, code: ENOMEM, isDiscarded: true) ? 0 : 3
                }
            }
            #expect(status == 0)
        }

        @Test func refusedCalls() throws {
            let table = FaultTable()
            do {
                let heap = try fullHeap(table)
                table.setProgramCodes(find: EACCES)
                #expect(throws: HandOverError(.notExecutable, code: EACCES, isDiscarded: false)) {
                    try heap.handOverAndWait(for: Program("true"))
                }
                table.setProgramCodes(start: ENOMEM)
                #expect(throws: HandOverError(.noMemory, code: ENOMEM, isDiscarded: false)) { try heap.handOver(to: Program("true")) }
                #expect(heap.statistics.liveBlockCount == 1)
                #expect(throws: HandOverError(.noMemory, code: ENOMEM, isDiscarded: true)) {
                    try heap.handOverAndWait(for: Program("true"))
                }
                table.setProgramCodes(start: EAGAIN)
                #expect(throws: HandOverError(.noMemory, code: EAGAIN, isDiscarded: true)) {
                    _ = try heap.handOverAndStart(Program("true"))
                }
                table.setProgramCodes(start: EIO)
                #expect(throws: HandOverError(.refused, code: EIO, isDiscarded: true)) { _ = try heap.handOverAndStart(Program("true")) }
                table.setProgramCodes(wait: ECHILD)
                #expect(throws: HandOverError(.cannotWait, code: ECHILD, isDiscarded: true)) {
                    try heap.handOverAndWait(for: Program("true"))
                }
                #expect(heap.take(100) != nil && heap.verify() == nil)
            }
            #expect(table.liveReservations == 0)
        }

        /// A host that lets the kernel reap its children cannot be told how they ended.
        @Test func ignoredChildren() throws {
            let heap = try Heap(capacityBytes: 1 << 20)
            let status = inChild {
                _ = signal(SIGCHLD, SIG_IGN)  // a refusal shows in the code below
                do throws(HandOverError) {
                    _ = try heap.handOverAndWait(for: Program("true"))
                    return 2
                } catch {
                    return error == HandOverError(.cannotWait, code: ECHILD, isDiscarded: true) ? 0 : 3
                }
            }
            #expect(status == 0)
        }

        /// Where the heap was not inherited there is nothing to discard, and programs start all the same.
        @Test func inAForksChildWithoutTheHeap() throws {
            let heap = try Heap(capacity: .bytes(16 << 20)) { $0.isInheritedByFork = false }
            let status = inChild {
                guard (try? heap.handOverAndWait(for: Program("true"))) == .exited(code: 0) else { return 1 }
                do throws(HandOverError) {
                    try heap.handOver(to: Program("sh", ["-c", "exit 5"]))
                } catch {
                    return 2
                }
            }
            #expect(status == 5)
        }

        @Test func sentences() {
            let error = HandOverError(.notFound, code: ENOENT, isDiscarded: true)
            #expect("\(error)" == "there is no such program (errno 2); the heap was discarded before")
            let reasons = (UInt32(0)...8).compactMap { HandOverError.Reason(rawValue: $0) }
            #expect(Set(reasons.map { "\(HandOverError($0, code: 0, isDiscarded: false))" }).count == 9)
        }

        /// A region that is open keeps the heap: its handle would be left with nothing.
        @Test func openRegions() throws {
            let heap = try fullHeap()
            do {
                let region = try heap.openRegion()
                let taken = unsafe region.allocate(byteCount: 100) != nil
                #expect(taken)
                #expect(throws: DiscardError.regionsOpen(count: 1)) { try heap.discard() }
                #expect(throws: HandOverError(.regionsOpen, code: 0, isDiscarded: false)) { try heap.handOverAndWait(for: Program("true")) }
                #expect(heap.snapshot().byteCount(of: .region) == heap.statistics.regionBytes)
                #expect(heap.statistics.regionBytes > 0 && heap.statistics.liveBlockCount == 1)
                try region.close()
            }
            #expect(try heap.discard() >= UInt64(Self.size))
            #expect(heap.verify() == nil)
            let wasRefused = heap.withRegion { region in
                guard unsafe region.allocate(byteCount: 100_000) != nil else { return false }
                do throws(DiscardError) { try heap.discard() } catch { return true }
                return false
            }
            #expect(wasRefused == true)
            #expect(try heap.handOverAndWait(for: Program("true")) == .exited(code: 0))
            #expect(heap.verify() == nil)
        }

        /// So does a directory: its own end would write into memory that is no longer its.
        @Test func openDirectories() throws {
            let heap = try fullHeap()
            let refused = HandOverError(.directoriesOpen, code: 0, isDiscarded: false)
            do {
                let directory = try Directory(in: heap)
                let other = try Directory(in: heap)
                let id = try directory.create("a")
                #expect(throws: DiscardError.directoriesOpen(count: 2)) { try heap.discard() }
                #expect(throws: refused) { try heap.handOverAndWait(for: Program("true")) }
                #expect(throws: refused) { _ = try heap.handOverAndStart(Program("true")) }
                #expect(directory["a"] == id && other["a"] == nil)
            }
            #expect(try heap.discard() >= UInt64(Self.size))
            // One that found no room is not counted.
            let small = try Heap(capacity: .bytes(1 << 20))
            var made: [Directory] = []
            #expect(throws: DirectoryError.outOfCapacity) { while true { made.append(try Directory(in: small)) } }
            #expect(throws: DiscardError.directoriesOpen(count: made.count)) { try small.discard() }
            made = []
            #expect(throws: Never.self) { try small.discard() }
            #expect(small.verify() == nil && heap.verify() == nil)
        }

        /// The same through C.
        @Test func theFunctionsOfC() throws {
            let heap = try CHandle(64 << 20)
            let block = try #require(heap.take(32 << 20))
            cistern_test_fill(block, 32 << 20, 1)
            let missing = heap.handOverAndWait("no-such-program", [])
            #expect(missing.status == CISTERN_PROGRAM_NOT_FOUND && !missing.outcome.is_discarded && missing.outcome.process == 0)
            #expect(missing.outcome.exit_code == -1 && missing.outcome.signal == 0)
            #expect(heap.handOverAndStart("/etc/passwd").status == CISTERN_PROGRAM_NOT_EXECUTABLE)
            #expect(heap.handOver("/nowhere", []) == CISTERN_PROGRAM_NOT_FOUND)
            #expect(heap.handOverAndWait("true", [], outcomeByteCount: 4).status == CISTERN_INVALID_ARGUMENT)
            let wrong = [CISTERN_INVALID_HANDLE, CISTERN_INVALID_ARGUMENT]
            #expect(heap.handOverOfNothing() == [wrong[0], wrong[1], wrong[1], wrong[0], wrong[1], wrong[1], wrong[0]])
            #expect(cistern_test_holds(block, 32 << 20, 1))
            let ended = heap.handOverAndWait("sh", ["-c", "exit 7"])
            #expect(ended.status == CISTERN_OK && ended.outcome.is_discarded && ended.outcome.exit_code == 7 && ended.outcome.signal == 0)
            #expect(ended.outcome.process > 0)
            let killed = heap.handOverAndWait("sh", ["-c", "kill -KILL $$"])
            #expect(killed.status == CISTERN_OK && killed.outcome.exit_code == -1 && killed.outcome.signal == SIGKILL)
            let long = [String](repeating: String(repeating: "a", count: 100_000), count: 100)
            #expect(heap.handOverAndWait("true", long).status == CISTERN_PROGRAM_ARGUMENTS_TOO_LONG)
            let started = heap.handOverAndStart("true")
            var status: Int32 = -1
            #expect(started.status == CISTERN_OK)
            #expect(unsafe waitpid(started.process, &status, 0) == started.process && status == 0)
            cistern_test_fill(try #require(heap.take(8 << 20)), 8 << 20, 1)
            let discarded = heap.discard()
            #expect(discarded.status == CISTERN_OK && discarded.byteCount >= 8 << 20)
            #expect(heap.trimAtSafePoint() == 0)
            #expect(heap.verify())
            #expect(inChild { heap.handOver("sh", ["-c", "exit 11"]) == CISTERN_OK ? 1 : 2 } == 11)
            heap.destroy()
        }
    }
}
