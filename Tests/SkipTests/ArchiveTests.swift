import Testing

extension SkipSuites {
    /// libcistern_skip.a from outside: its names, the miniature runtime on it, command lines, refused system calls.
    @Suite(.enabled(if: Sanitizer.isAbsent && !isSmall))
    struct ArchiveTests {
        private let archive: Archive

        init() throws { archive = try Archive.shared.get() }

        /// What programs of the different kinds link against, by the sets of docs/skip.md.
        private static let names = """
            pconsts sk_is_locked SKIP_memory_init sk_palloc sk_pfree_size sk_is_static sk_is_nofile_mode sk_global_lock
            sk_global_unlock sk_check_has_lock SKIP_contexts_get_unsafe sk_contexts_set_unsafe sk_commit SKIP_Obstack_alloc
            SKIP_Obstack_calloc SKIP_Obstack_shallowClone SKIP_new_Obstack SKIP_destroy_Obstack sk_get_nbr_pages sk_get_pages
            sk_get_obstack_idx
            sk_malloc sk_free_size
            SKIP_destroy_Obstack_with_value sk_is_large_page sk_obstack_attach_page
            SKIP_copy_value_to_Obstack SKIP_switch_to_parent SKIP_restore_from_parent SKIP_should_GC SKIP_genSym SKIP_contexts_get
            SKIP_has_context SKIP_print_persistent_size SKIP_mutex_init SKIP_mutex_lock SKIP_mutex_unlock SKIP_cond_init
            SKIP_cond_timedwait SKIP_cond_broadcast SKIP_freeze_lock SKIP_unfreeze_lock SKIP_freeze_cond SKIP_unfreeze_cond
            SKIP_cond_wait sk_contexts_set SKIP_context_ref_count
            SKIP_Obstack_auto_collect SKIP_Obstack_collect1 SKIP_check_memory sk_memory_check_init sk_memory_check_init_over
            """

        private func symbols(_ options: String) throws -> Set<Substring> {
            let listed = try run("nm \(options) library/libcistern_skip.a", in: archive.folder)
            try #require(listed.code == 0)
            return Set(listed.output.split(separator: "\n").filter { $0.contains(" ") }.map { $0.split(separator: " ").last! })
        }

        @Test func onlyTheNamesOfTheContractAreVisible() throws {
            let expected = Set(Self.names.split { $0 == " " || $0 == "\n" })
            #expect(try symbols("--defined-only --extern-only") == expected)
        }

        @Test func nothingIsTakenFromMalloc() throws {
            let undefined = try symbols("--undefined-only")
            for name in ["malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "__tls_get_addr"] {
                #expect(!undefined.contains(Substring(name)))
            }
            let swift = undefined.filter { $0.hasPrefix("swift_") || $0.hasPrefix("$s") }
            #expect(swift.isEmpty)
        }

        /// From the entry to the return of an allocation that fits, no branch taken.
        @Test func regionAllocationTakesTwelveInstructions() throws {
            let listed = try run("objdump -d --no-show-raw-insn --disassemble=SKIP_Obstack_alloc program", in: archive.folder)
            let lines = listed.output.split(separator: "\n").filter { $0.contains(":\t") }
            let count = try #require(lines.firstIndex { $0.contains("ret") }) + 1
            #expect(count <= 12, "\(listed.output)")
        }

        @Test func everyScenarioOnTheArchive() throws {
            for seed in 1...2 {
                let outcome = try archive.start("all \(seed) 10 --capacity 1G")
                #expect(outcome == Outcome(code: 0, output: "", errors: ""), "seed \(seed)")
            }
            #expect(try archive.start("forked-child --capacity 256M").code == 0)
        }

        /// An exit handler waits for a thread that runs out of room meanwhile: it ends the process when its five seconds have passed.
        @Test func exitWaitsForAThreadThatRunsOut() throws {
            let outcome = try archive.start("exit-joins-who-runs-out 100 --capacity 1M", seconds: 60)
            #expect(outcome == Outcome(code: 24, output: "", errors: "Error: out of persistent memory.\n"))
        }

        @Test func underValgrind() throws {
            guard try run("command -v valgrind", in: archive.folder).code == 0 else {
                print("skipped: there is no valgrind")
                return
            }
            let outcome = try run(
                "timeout 600 valgrind -q --error-exitcode=7 ./program all 1 1 --capacity 512M", in: archive.folder)
            #expect(outcome == Outcome(code: 0, output: "", errors: ""))
        }

        /// A capacity and the program's own few megabytes are enough address space.
        @Test func underALimitOfAddressSpace() throws {
            for scenario in ["regions-nest 1 1", "persistent-blocks 1 1", "scratch-blocks 1 1", "collect-advice"] {
                let capacity = scenario == "collect-advice" ? 48 : 4
                let outcome = try archive.start(
                    "\(scenario) --capacity \(capacity)M", before: "ulimit -v \(capacity * 1024 + 4900);")
                #expect(outcome == Outcome(code: 0, output: "", errors: ""), "\(scenario)")
            }
            let full = try archive.start("intern-for-ever --capacity 4M", before: "ulimit -v 9000;")
            #expect(full.code == 24)
        }

        /// Every command line, and what must be said about it.
        @Test func commandLines() throws {
            for line in CommandLineCase.all {
                let outcome = try archive.start(line.words, before: "env -u SKIP_CAPACITY \(line.variable)")
                #expect(outcome == Outcome(code: line.code, output: "", errors: line.errors), "\(line)")
            }
            // The name of the program alone decides: skargo hands options for files on.
            let skargo = try run("bash -c 'exec -a skargo ./program --init f --capacity 1M'", in: archive.folder)
            #expect(skargo == Outcome(code: 0, output: "", errors: ""))
        }

        @Test func aRefusedReservationNamesTheLimit() throws {
            let refused = try archive.start("start-only --capacity 16G", before: "ulimit -v 8388608;")
            #expect(refused.code == 41)
            #expect(
                refused.errors.hasPrefix(
                    "ERROR (MAP FAILED): could not reserve 17179869184 bytes: Cannot allocate memory (RLIMIT_AS is 8589934592"))
            #expect(refused.errors.hasSuffix("; the capacity is from --capacity\n"))
            #expect(try archive.start("start-only", before: "ulimit -d 4194304;").code == 0)
        }

        /// Every call for memory refused, once and for ever: the program ends as it would, or says so in one line. Never a signal.
        @Test func refusedSystemCalls() throws {
            for scenario in ["regions-nest 1 1", "persistent-graphs 1 1", "survivors 1 1", "scratch-blocks 1 1"] {
                var endings: Set<Int32> = []
                for number in 0..<24 {
                    for forEver in ["", "REFUSE_FOR_EVER=1"] {
                        let outcome = try archive.start(
                            "\(scenario) --capacity 64M", on: "refusing", before: "env REFUSE_AT=\(number) \(forEver)")
                        endings.insert(outcome.code)
                        #expect([0, 24, 41].contains(outcome.code), "\(scenario), call \(number) \(forEver): \(outcome)")
                        let lines = outcome.errors.split(separator: "\n").count
                        #expect(outcome.output.isEmpty && lines == (outcome.code == 0 ? 0 : 1), "\(scenario): \(outcome)")
                    }
                }
                #expect(endings == [0, 24, 41])
            }
        }

        @Test func otherEnds() throws {
            let number = try archive.start("number-too-large")
            #expect(number == Outcome(code: 2, output: "", errors: "ID too large: 1073741825\n"))
            let early = try archive.start("not-started")
            #expect(early == Outcome(code: 42, output: "", errors: "Could not initialize memory: used before SKIP_memory_init\n"))
            let unlocked = try archive.start("unlock-what-is-not-locked")
            #expect(unlocked == Outcome(code: 44, output: "", errors: "Internal error: unlocking failed\n"))
        }
    }
}
