import CVirtualMemory
import Cistern
@testable import CisternCommand
import Envelope
import Glibc
import Limits
import Testing

// Safety: paths are texts that live as long as the call that reads them; blocks are live blocks of the heap that gave them.

/// A control group with a bound for one test, made as the command makes its own; nil, with the reason printed, where the kernel
/// does not allow it.
private func withGroup(_ test: String, limitBytes: UInt64, _ body: (MemoryGroup) throws -> Void) rethrows {
    switch MemoryGroup.make(limitBytes: limitBytes, files: .real) {
    case .failure(let problem): print("\(test): skipped, no control group can be made: \(problem.text)")
    case .success(let group):
        defer { if let problem = group.remove() { Issue.record("\(problem)") } }
        try body(group)
    }
}

/// In a child: joins a group.
private func join(_ group: String) -> Bool {
    let file = unsafe open(group + "/cgroup.procs", O_WRONLY)
    guard file >= 0 else { return false }
    let isJoined = unsafe write(file, "0", 1) == 1
    return close(file) == 0 && isJoined
}

/// In a child: fills a heap with blocks and touches every page; the bytes that it gave before it said no.
private func fill(_ heap: Heap, touches: Bool) -> UInt64 {
    var bytes: UInt64 = 0
    for byteCount in [8 << 20, 1 << 16] {
        while let block = unsafe heap.allocate(byteCount: byteCount) {
            if touches {
                for offset in stride(from: 0, to: byteCount, by: 4096) {
                    unsafe block.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
                }
            }
            bytes += UInt64(byteCount)
        }
    }
    return bytes
}

extension CommandSuites {
    @Suite(.enabled(if: Sanitizer.isAbsent)) struct ControlGroupTests {
        /// The bound stands in a group above the own one, as it does in most containers.
        @Test(arguments: [(512, 256), (1024, 512), (1536, 1024), (4096, 3072), (8192, 6144), (16384, 12288)] as [(UInt64, UInt64)])
        func theDefaultFitsAGroup(limitMib: UInt64, capacityMib: UInt64) throws {
            let machine = Capacity.fitted(MemoryLimits.current().first { $0.kind == .physicalMemory }?.availableBytes ?? UInt64.max)
            try withGroup("theDefaultFitsAGroup(\(limitMib))", limitBytes: limitMib << 20) { group in
                let scratch = try Scratch()
                for name in ["", "/sub"] {
                    if name != "" { try #require(unsafe mkdir(group.path + name, 0o755) == 0) }
                    defer { if name != "" { _ = unsafe rmdir(group.path + name) } }
                    let script = "echo $$ > \(group.path)\(name)/cgroup.procs; exec \"$cistern\" \"$@\""
                    let fitted = try scratch.shell(script, ["capacity", "--fit"])
                    #expect(fitted.output == "\(min(capacityMib << 20, machine))\n", "\(fitted)")
                    let limits = try scratch.shell(script, ["limits"])
                    let level = name == "" ? "" : "/sub"
                    #expect(limits.output.contains("\(group.path)/memory."), "\(level): \(limits)")
                    let tightest = limits.output.split(separator: "\n").first { $0.hasPrefix("* ") }
                    if limitMib < 4096 { #expect(tightest?.contains(" \(limitMib << 20) ") == true, "\(limits)") }
                    let json = try scratch.shell(script, ["capacity", "--fit", "--json"])
                    if limitMib < 4096 { #expect(json.output.contains("\"groupsAboveOwn\":\(name == "" ? 0 : 1)"), "\(json)") }
                }
            }
        }

        /// A heap of the default capacity fills up and says no; the kernel kills nothing.
        @Test func fillingUnderAGroupEndsInAnAnswer() throws {
            withGroup("fillingUnderAGroupEndsInAnAnswer", limitBytes: 512 << 20) { group in
                let status = inChild {
                    guard join(group.path), unsafe unsetenv("SKIP_CAPACITY") == 0 else { return 1 }
                    guard let heap = try? Heap(capacity: .environment()), heap.capacityBytes == 256 << 20 else { return 2 }
                    let bytes = fill(heap, touches: true)
                    return bytes > 250 << 20 && bytes < 256 << 20 ? 0 : 3
                }
                #expect(status == 0)
                #expect(group.killCounter.count(.real) == 0)
                #expect((group.peakBytes(.real) ?? 0) > 250 << 20)
            }
        }

        @Test func aCommandThatItsBoundKills() throws {
            try withGroup("aCommandThatItsBoundKills", limitBytes: 1 << 30) { _ in
                let scratch = try Scratch()
                let hog = "python3 -c 'x = bytearray(300 << 20)'"
                let direct = try scratch.cistern(["run", "--memory", "64M", "--envelope", "sh", "-c", "echo out; exec \(hog)"])
                #expect(direct.exitCode == 137 && direct.output == "out\n", "\(direct)")
                #expect(direct.errors.contains("\nverdict        killed for memory (oom_kill of "), "\(direct)")
                #expect(direct.errors.contains("\nmemory kill    yes: oom_kill of "), "\(direct)")
                #expect(direct.errors.contains("peak of group  6"), "\(direct)")
                let short = try scratch.cistern(["run", "--memory", "64M", "sh", "-c", "exec \(hog)"])
                #expect(short.isRefusal(137) && short.errors.hasPrefix("cistern run: 'sh': killed for memory ("), "\(short)")
                // Exit codes that hide the kill: a further command, a pipe, make.
                try scratch.write("Makefile", "all:\n\t@\(hog.split(separator: "$").joined(separator: "$$"))\n")
                for (script, code) in [("\(hog); echo x", 0), ("\(hog) | cat", 0), ("\(hog) & wait; exit 2", 2)] as [(String, Int32)] {
                    let outcome = try scratch.cistern(["run", "--memory", "64M", "sh", "-c", script])
                    #expect(outcome.exitCode == code, "\(outcome)")
                    #expect(
                        outcome.errors.contains("cistern run: 'sh': 1 process of the run was killed for memory (oom_kill of "), "\(outcome)"
                    )
                }
                if try scratch.shell("command -v make").exitCode == 0 {
                    let make = try scratch.cistern(["run", "--memory", "64M", "make"])
                    #expect(make.exitCode == 2 && make.errors.contains("1 process of the run was killed for memory"), "\(make)")
                }
                // Killed by hand within its bound: no memory kill.
                let byHand = try scratch.cistern(["run", "--memory", "64M", "sh", "-c", "kill -9 $$"])
                #expect(byHand.exitCode == 137 && byHand.errors.contains("killed, cause unknown ("), "\(byHand)")
                #expect(!byHand.errors.contains("for memory ("), "\(byHand)")
            }
        }

        /// Killed by the bound of a group that cistern is in too: only the kernel's log tells that it was this process.
        @Test func aKillInASharedGroup() throws {
            try withGroup("aKillInASharedGroup", limitBytes: 100 << 20) { group in
                let outcome = try Scratch().shell(
                    "echo $$ > \(group.path)/cgroup.procs; \"$cistern\" run python3 -c 'x = bytearray(300 << 20)'; echo $?")
                #expect(outcome.output == "137\n", "\(outcome)")
                if let problem = KernelLogReader().problem {
                    print("aKillInASharedGroup: the kernel's log cannot be read: \(problem)")
                    #expect(outcome.errors.contains("killed, cause unknown (the kernel killed 1 in the shared group of "), "\(outcome)")
                } else {
                    #expect(
                        outcome.errors.contains("killed for memory (kernel log: Memory cgroup out of memory: Killed process "), "\(outcome)"
                    )
                }
            }
        }

        /// The group is gone afterwards, whatever became of the command.
        @Test func nothingStays() throws {
            try withGroup("nothingStays", limitBytes: 1 << 30) { outer in
                let scratch = try Scratch()
                let script = "echo $$ > \(outer.path)/cgroup.procs; \"$cistern\" run --memory 64M \"$@\"; echo $?; exec ls \(outer.path)"
                for (words, status) in [
                    (["true"], "0"), (["sh", "-c", "exit 3"], "3"), (["no-such-command"], "127"), (["/"], "126"),
                    (["--envelope-file", "/no/such", "true"], "125"),
                ] {
                    let outcome = try scratch.shell(script, words)
                    #expect(outcome.output.hasPrefix(status + "\n") && !outcome.output.contains("cistern-"), "\(outcome)")
                }
                // What a run leaves behind goes on outside of its group, and is told.
                let left = try scratch.shell(
                    script, ["sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $! > number; cat /proc/self/cgroup > groups"])
                #expect(left.errors.contains("processes that the run left behind go on without its memory bound: 1\n"), "\(left)")
                #expect(left.output.hasPrefix("0\n") && !left.output.contains("cistern-"), "\(left)")
                #expect(try scratch.read("groups").contains("/cistern-"))
                let stayed = try scratch.shell("grep -x $(cat number) \(outer.path)/cgroup.procs; kill $(cat number)")
                #expect(stayed.output == (try scratch.read("number")), "\(stayed)")
            }
        }

        @Test func autoFitsTheBound() throws {
            let outcome = try Scratch().shell("\"$cistern\" run --memory 4G --capacity auto sh -c 'echo $SKIP_CAPACITY' 2>/dev/null")
            let machine = Capacity.fitted(MemoryLimits.current().tightest?.availableBytes ?? UInt64.max)
            #expect(outcome.output == "\(min(3 << 30, machine))\n", "\(outcome)")
        }

        /// As a user who may not make groups: said once, and the run goes on.
        @Test func withoutPermission() throws {
            let scratch = try Scratch()
            let outcome = try scratch.shell(
                """
                chmod 755 .
                exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \\
                    "$cistern" run --memory 64M --envelope sh -c 'echo went on; exit 6'
                """)
            if outcome.errors.contains("setpriv: ") {
                print("withoutPermission: skipped, this user cannot become another: \(outcome.errors)")
                return
            }
            #expect(outcome.exitCode == 6 && outcome.output == "went on\n", "\(outcome)")
            let said = outcome.errorLines.filter { $0.hasPrefix("cistern run: --memory 67108864: no control group can be made here (") }
            #expect(said.count == 1 && said[0].hasSuffix("; the command runs without that bound"), "\(outcome)")
            #expect(outcome.errors.contains("\nmemory bound   none: "), "\(outcome)")
        }

        /// RLIMIT_DATA: the default fits it, and what exceeds it starts and fills up at the limit. What other tests of this process
        /// hold when the child is made counts against the limit, so the least that must fit is far below it.
        @Test func heapsUnderADataLimit() {
            for (variable, gib, low, high) in [(nil, 4, 2048, 3072), ("16G", 2, 1024, 2048)] as [(String?, UInt64, UInt64, UInt64)] {
                let status = inChild {
                    var limit = rlimit(rlim_cur: rlim_t(gib << 30), rlim_max: rlim_t(gib << 30))
                    guard unsafe setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit) == 0 else { return 1 }
                    let code = if let variable { unsafe setenv("SKIP_CAPACITY", variable, 1) } else { unsafe unsetenv("SKIP_CAPACITY") }
                    guard code == 0, let heap = try? Heap(capacity: .environment()) else { return 2 }
                    let bytes = fill(heap, touches: false)
                    return bytes > low << 20 && bytes < high << 20 ? 0 : 3
                }
                #expect(status == 0, "\(variable ?? "unset")")
            }
        }

        /// 64 GiB start on any machine: a reservation is not use.
        @Test func aLargeHeapStarts() {
            let status = inChild {
                guard unsafe setenv("SKIP_CAPACITY", "64G", 1) == 0, let heap = try? Heap(capacity: .environment()) else { return 1 }
                guard let block = unsafe heap.allocate(byteCount: 4096) else { return 2 }
                unsafe block.storeBytes(of: 1, as: UInt8.self)
                return heap.capacityBytes == 64 << 30 ? 0 : 3
            }
            #expect(status == 0)
        }

        /// Two groups of one process number, as containers have them that share a directory of groups.
        @Test func aNameThatIsTaken() {
            withGroup("aNameThatIsTaken", limitBytes: 1 << 20) { first in
                switch MemoryGroup.make(limitBytes: 2 << 20, files: .real) {
                case .failure(let problem): Issue.record("\(problem.text)")
                case .success(let second):
                    #expect(second.path == first.path + "-2" && second.remove() == nil)
                    #expect(unsafe access(first.path, F_OK) == 0)
                }
            }
        }

        @Test func groupsThatCannotBeMade() throws {
            // Version 2 without the controller, and a bound that a tree of plain files cannot take: said, and nothing stays.
            let tree = try machine()
            defer { tree.isNeeded() }
            guard case .failure(let without) = MemoryGroup.make(limitBytes: 1 << 20, files: .of(tree)) else {
                Issue.record("made")
                return
            }
            #expect(without.text == "no control group here has a memory controller")
            try tree.write("sys/fs/cgroup/outer/job/cgroup.controllers", "cpu memory pids\n")
            try tree.write("sys/fs/cgroup/outer/job/cgroup.subtree_control", "cpu memory\n")
            guard case .failure(let refused) = MemoryGroup.make(limitBytes: 1 << 20, files: .of(tree)) else {
                Issue.record("made")
                return
            }
            let group = "\(tree.path)/sys/fs/cgroup/outer/job/cistern-\(getpid())"
            #expect(refused.text == "\(group)/memory.max: No such file or directory")
            #expect(unsafe access(group, F_OK) != 0)
            try tree.makeDirectory("sys/fs/cgroup/outer/job/cistern-\(getpid())")
            guard case .failure(let taken) = MemoryGroup.make(limitBytes: 1 << 20, files: .of(tree)) else {
                Issue.record("made")
                return
            }
            #expect(taken.text == "\(group)-2/memory.max: No such file or directory")
            #expect(unsafe rmdir(group) == 0 && access(group + "-2", F_OK) != 0)
            // The own group has no bound: beside it is the next place.
            try tree.write("sys/fs/cgroup/outer/job/memory.high", "max\n")
            try tree.write("sys/fs/cgroup/outer/cgroup.subtree_control", "memory\n")
            guard case .failure(let both) = MemoryGroup.make(limitBytes: 1 << 20, files: .of(tree)) else {
                Issue.record("made")
                return
            }
            #expect(both.text.hasSuffix("; \(tree.path)/sys/fs/cgroup/outer/cistern-\(getpid())/memory.max: No such file or directory"))
        }
    }
}
