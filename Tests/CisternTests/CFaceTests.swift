import CCistern
import CTestSupport
import Glibc
import Testing

// Safety: handles are of live heaps, blocks of those heaps, and options live for the call, as cistern.h asks.

/// A heap by its C functions, with addresses as numbers.
@safe struct CHandle {
    // Where another module that says what the struct holds is loaded, Swift takes a handle for a pointer to it; where not,
    // for an opaque one. So it is kept opaque, and becomes at each call what the function takes.
    let heap: OpaquePointer

    /// Options of the right size and a capacity.
    static func options(_ capacityBytes: UInt64) -> cistern_heap_options {
        var options = cistern_heap_options()
        options.struct_byte_count = MemoryLayout<cistern_heap_options>.size
        options.capacity_bytes = capacityBytes
        return options
    }

    /// A heap, or nil and the status.
    static func create(_ options: cistern_heap_options) -> (handle: CHandle?, status: cistern_status) {
        var copy = options
        return unsafe create(&copy, by: cistern_heap_create)
    }

    static func create<Pointer>(
        _ options: UnsafePointer<cistern_heap_options>,
        by call: (UnsafePointer<cistern_heap_options>?, UnsafeMutablePointer<Pointer?>?) -> cistern_status
    ) -> (handle: CHandle?, status: cistern_status) {
        // Anything but NULL, which a failure has to put there.
        var heap: Pointer? = unsafe unsafeBitCast(8, to: Pointer.self)
        let status = unsafe call(options, &heap)
        return (heap.map { unsafe CHandle(heap: unsafeBitCast($0, to: OpaquePointer.self)) }, status)
    }

    private init(heap: OpaquePointer) { unsafe self.heap = heap }

    init(_ capacityBytes: UInt64, _ change: (inout cistern_heap_options) -> Void = { _ in }) throws {
        var options = CHandle.options(capacityBytes)
        change(&options)
        let made = CHandle.create(options)
        #expect(made.status == CISTERN_OK)
        self = try #require(made.handle)
    }

    @discardableResult
    func destroy() -> cistern_status { unsafe cistern_heap_destroy(.init(heap)) }
    func take(_ byteCount: Int) -> UInt? { unsafe address(cistern_allocate(.init(heap), byteCount)) }
    func takeZeroed(_ byteCount: Int) -> UInt? { unsafe address(cistern_allocate_zeroed(.init(heap), byteCount)) }
    func take(_ byteCount: Int, alignment: Int) -> UInt? { unsafe address(cistern_allocate_aligned(.init(heap), byteCount, alignment)) }
    func give(_ block: UInt?) { unsafe cistern_deallocate(.init(heap), pointer(block)) }
    func give(_ block: UInt?, _ byteCount: Int) { unsafe cistern_deallocate_sized(.init(heap), pointer(block), byteCount) }
    func resized(_ block: UInt?, to byteCount: Int) -> UInt? { unsafe address(cistern_resize(.init(heap), pointer(block), byteCount)) }
    func resized(_ block: UInt?, from old: Int, to byteCount: Int) -> UInt? {
        unsafe address(cistern_resize_sized(.init(heap), pointer(block), old, byteCount))
    }
    func usableSize(_ block: UInt) -> Int { unsafe cistern_usable_size(.init(heap), UnsafeRawPointer(bitPattern: block)!) }
    func holds(_ address: UInt?) -> Bool { unsafe cistern_contains(.init(heap), pointer(address)) }
    func trim() -> Int { unsafe cistern_trim(.init(heap)) }
    func verify() -> Bool { unsafe cistern_verify(.init(heap)) }
    func discard() -> (status: cistern_status, byteCount: Int) {
        var byteCount = -1
        let status = unsafe cistern_discard(.init(heap), &byteCount)
        return (status, byteCount)
    }
    func trimAtSafePoint() -> Int { unsafe cistern_trim_at_safe_point(.init(heap)) }

    func handOver(_ name: String, _ arguments: [String]) -> cistern_status {
        unsafe withList([name] + arguments) { unsafe cistern_hand_over(.init(heap), name, $0, nil) }
    }

    func handOverAndWait(
        _ name: String, _ arguments: [String], outcomeByteCount: Int = MemoryLayout<cistern_program_outcome>.size
    ) -> (status: cistern_status, outcome: cistern_program_outcome) {
        var outcome = cistern_program_outcome()
        outcome.struct_byte_count = outcomeByteCount
        outcome.process = 99
        let status = unsafe withList([name] + arguments) {
            unsafe cistern_hand_over_and_wait(.init(heap), name, $0, nil, &outcome)
        }
        return (status, outcome)
    }

    func handOverAndStart(_ name: String) -> (status: cistern_status, process: Int32) {
        var outcome = cistern_program_outcome()
        outcome.struct_byte_count = MemoryLayout<cistern_program_outcome>.size
        let status = unsafe withList([name]) { unsafe cistern_hand_over_and_start(.init(heap), name, $0, nil, &outcome) }
        return (status, outcome.process)
    }

    /// What happens without a heap, a name, or a place for the outcome.
    func handOverOfNothing() -> [cistern_status] {
        var outcome = cistern_program_outcome()
        outcome.struct_byte_count = MemoryLayout<cistern_program_outcome>.size
        return unsafe withList(["true"]) { list in
            unsafe [
                cistern_hand_over(nil, "true", list, nil), cistern_hand_over(.init(heap), nil, list, nil),
                cistern_hand_over(.init(heap), "true", nil, nil), cistern_hand_over_and_wait(nil, "true", list, nil, &outcome),
                cistern_hand_over_and_wait(.init(heap), "true", list, nil, nil),
                cistern_hand_over_and_start(.init(heap), nil, list, nil, &outcome), cistern_discard(nil, nil),
            ]
        }
    }

    /// A list as C has it, for the time of a call.
    private func withList<Result>(
        _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var list: [UnsafeMutablePointer<CChar>?] = unsafe texts.map { unsafe strdup($0) }
        unsafe list.append(nil)
        defer { for index in unsafe list.indices { unsafe free(list[index]) } }
        return unsafe body(list)
    }

    private func address(_ pointer: UnsafeMutableRawPointer?) -> UInt? { unsafe pointer.map { UInt(bitPattern: $0) } }
    private func pointer(_ address: UInt?) -> UnsafeMutableRawPointer? {
        unsafe address.flatMap { unsafe UnsafeMutableRawPointer(bitPattern: $0) }
    }
}

extension FaceSuites {
    @Suite struct CFaceTests {
        @Test func everyFunction() throws {
            let heap = try CHandle(16 << 20)
            let small = try #require(heap.take(100))
            #expect(heap.usableSize(small) >= 100)
            let zeroed = try #require(heap.takeZeroed(70_000))
            #expect(cistern_test_is_zero(zeroed, 70_000))
            let aligned = try #require(heap.take(100, alignment: 8192))
            #expect(aligned % 8192 == 0)
            #expect(heap.holds(small) && heap.holds(zeroed + 69_999) && heap.holds(aligned))
            #expect(!heap.holds(4096))
            cistern_test_fill(small, 100, 1)
            let larger = try #require(heap.resized(small, to: 5000))
            #expect(cistern_test_holds(larger, 100, 1))
            let largest = try #require(heap.resized(larger, from: 5000, to: 500_000))
            #expect(cistern_test_holds(largest, 100, 1))
            #expect(heap.resized(largest, to: 32 << 20) == nil)
            #expect(heap.resized(largest, from: 500_000, to: 32 << 20) == nil)
            #expect(cistern_test_holds(largest, 100, 1))
            cistern_test_fill(largest, 500_000, 2)
            #expect(heap.verify())
            heap.give(largest, 500_000)
            heap.give(zeroed)
            heap.give(aligned)
            #expect(heap.trim() >= 500_000 - 8192)
            #expect(heap.verify())
            heap.destroy()
        }

        @Test func nothingAndTooMuch() throws {
            let heap = try CHandle(1 << 20)
            heap.give(nil)
            heap.give(nil, 100)
            #expect(!heap.holds(nil))
            let fresh = try #require(heap.resized(nil, to: 100))
            #expect(heap.usableSize(fresh) >= 100)
            let other = try #require(heap.resized(nil, from: 0, to: 100))
            #expect(other != fresh)
            let empty = try #require(heap.take(0))
            heap.give(empty, 0)
            for byteCount in [1 << 20, Int.max, -1, Int.min] {
                #expect(heap.take(byteCount) == nil)
                #expect(heap.takeZeroed(byteCount) == nil)
                #expect(heap.take(byteCount, alignment: 64) == nil)
                #expect(heap.resized(fresh, to: byteCount) == nil)
            }
            for alignment in [0, 3, 24, 2 << 20, -1, Int.min] { #expect(heap.take(8, alignment: alignment) == nil) }
            heap.give(fresh, 100)
            heap.give(other)
            #expect(heap.verify())
            heap.destroy()
            #expect(cistern_heap_destroy(nil) == CISTERN_INVALID_HANDLE)
        }

        @Test func sizesOfTheStruct() throws {
            // An older caller has fewer fields; what stands after them is not looked at.
            var options = CHandle.options(2 << 20)
            options.minimum_alignment = 99
            options.struct_byte_count = 16
            let older = try #require(CHandle.create(options).handle)
            #expect(older.take(100) != nil)
            older.destroy()
            for byteCount in [0, 1, 7, 4097, Int.max, -1] {
                var wrong = CHandle.options(2 << 20)
                wrong.struct_byte_count = byteCount
                let made = CHandle.create(wrong)
                #expect(made.status == CISTERN_INVALID_ARGUMENT)
                #expect(made.handle == nil)
            }
            // The size alone: no capacity is given.
            options.struct_byte_count = 8
            #expect(CHandle.create(options).status == CISTERN_CAPACITY_TOO_SMALL)
        }

        /// A newer caller: more fields, which may only be zero.
        @Test func fieldsOfNewerCallers() {
            for (last, expected) in [(UInt64(0), CISTERN_OK), (1, CISTERN_INVALID_ARGUMENT)] {
                var longer = (CHandle.options(2 << 20), UInt64(0), last)
                longer.0.struct_byte_count = MemoryLayout.size(ofValue: longer)
                let made = unsafe withUnsafePointer(to: &longer) { whole in
                    unsafe CHandle.create(
                        UnsafeRawPointer(whole).assumingMemoryBound(to: cistern_heap_options.self), by: cistern_heap_create)
                }
                #expect(made.status == expected)
                made.handle?.destroy()
            }
        }

        @Test func alignments() throws {
            for (minimum, expected) in [(UInt32(0), UInt(8)), (8, 8), (16, 16), (64, 64)] {
                let heap = try CHandle(4 << 20) { $0.minimum_alignment = minimum }
                let odd = (0..<100).compactMap { heap.take($0 % 20 * 16 + 8) }
                let even = (0..<100).compactMap { heap.take($0 % 20 * 16 + 16) }
                #expect(odd.count + even.count == 200)
                #expect(odd.allSatisfy { $0 % expected == 0 })
                #expect(odd.contains { $0 % 16 != 0 } == (expected == 8))
                #expect(even.allSatisfy { $0 % 16 == 0 })
                heap.destroy()
            }
            for minimum in [UInt32(1), 4, 7, 24, 32, 128, .max] {
                var options = CHandle.options(4 << 20)
                options.minimum_alignment = minimum
                #expect(CHandle.create(options).status == CISTERN_INVALID_ARGUMENT)
            }
        }

        @Test func capacities() throws {
            #expect(CHandle.create(CHandle.options((1 << 20) - 1)).status == CISTERN_CAPACITY_TOO_SMALL)
            #expect(CHandle.create(CHandle.options((128 << 30) + 1)).status == CISTERN_CAPACITY_TOO_LARGE)
            #expect(CHandle.create(CHandle.options(.max)).status == CISTERN_CAPACITY_TOO_LARGE)
        }

        @Test(.enabled(if: Sanitizer.isAbsent)) func refusals() {
            let noSpace = inChild {
                guard limitAddressSpace(aboveUseBytes: 8 << 30) != nil else { return 2 }
                let made = CHandle.create(CHandle.options(100 << 30))
                return made.status == CISTERN_RESERVATION_REFUSED && made.handle == nil ? 0 : 1
            }
            #expect(noSpace == 0)
            // The page map and the bits of 128 GiB are 384 MiB.
            let noMemory = inChild {
                guard limitData(aboveUseBytes: 64 << 20) != nil else { return 2 }
                let made = CHandle.create(CHandle.options(128 << 30))
                return made.status == CISTERN_COMMIT_REFUSED && made.handle == nil ? 0 : 1
            }
            #expect(noMemory == 0)
            let tooMany = inChild {
                for _ in 0...4096 {
                    let made = CHandle.create(CHandle.options(1 << 20))
                    if made.status == CISTERN_TOO_MANY_HEAPS { return made.handle == nil ? 0 : 1 }
                    guard made.status == CISTERN_OK else { return 2 }
                }
                return 3
            }
            #expect(tooMany == 0)
        }

        @Test func aHeapForOneThread() throws {
            let heap = try CHandle(4 << 20) { $0.single_thread = true }
            let blocks = (0..<500).compactMap { heap.take($0 * 5) }
            #expect(Set(blocks).count == 500)
            for (index, block) in blocks.enumerated() { heap.give(block, index * 5) }
            #expect(heap.verify())
            heap.destroy()
        }

        @Test(.enabled(if: Sanitizer.isAbsent)) func aCheckedHeap() throws {
            let heap = try CHandle(4 << 20) { $0.checked = true }
            let block = try #require(heap.take(13))
            #expect(heap.usableSize(block) == 13)
            heap.give(block, 13)
            #expect(heap.verify())
            let status = inChild {
                heap.give(block, 13)
                return 0
            }
            #expect(status == 256 + SIGILL || status == 256 + SIGTRAP)
            heap.destroy()
        }

        @Test func aHeapWithoutHugePagesAndWithASoftLimit() throws {
            let heap = try CHandle(16 << 20) {
                $0.no_huge_pages = true
                $0.soft_limit_bytes = 1 << 20
            }
            let block = try #require(heap.take(8 << 20))
            cistern_test_fill(block, 8 << 20, 3)
            #expect(cistern_test_holds(block, 8 << 20, 3))
            #expect(heap.verify())
            heap.destroy()
        }

        @Test(.enabled(if: Sanitizer.isAbsent, "forks beside the threads of a sanitizer")) func inheritance() throws {
            for notInherited in [false, true] {
                let heap = try CHandle(4 << 20) { $0.not_inherited = notInherited }
                let block = try #require(heap.take(1000))
                cistern_test_fill(block, 1000, 4)
                let status = inChild {
                    guard let other = heap.take(1000) else { return 1 }
                    heap.give(other, 1000)
                    return cistern_test_holds(block, 1000, 4) && heap.verify() ? 0 : 2
                }
                #expect(status == (notInherited ? 1 : 0))
                #expect(cistern_test_holds(block, 1000, 4))
                #expect(heap.verify())
                heap.destroy()
            }
        }

        @Test func textsOfStatuses() {
            let texts = (UInt32(0)...7).map { number in
                unsafe String(cString: cistern_status_text(cistern_status(rawValue: number)))
            }
            #expect(
                texts == [
                    "success", "an argument is outside its documented range", "the capacity is below 1 MiB",
                    "the capacity is above 128 GiB", "the system refused to reserve the capacity",
                    "the system refused to make the heap's first pages usable", "4096 heaps are alive in this process",
                    "unknown status",
                ])
            let ofPrograms = (UInt32(56)...64).map { number in
                unsafe String(cString: cistern_status_text(cistern_status(rawValue: number)))
            }
            #expect(
                ofPrograms == [
                    "there is no such program", "the program is there and cannot be executed",
                    "arguments and environment are more than the system takes", "no memory for the program, or no process",
                    "the program was started, and how it ended cannot be learned", "the system refused to start the program",
                    "a region of the heap is open", "a directory is in the heap", "unknown status",
                ])
        }

        /// Those of directories: each has a text, and each its own.
        @Test func textsOfDirectories() {
            let numbers = Array(CISTERN_NAME_TOO_LONG.rawValue...CISTERN_NO_REGION.rawValue)
            let texts = numbers.map { number in
                unsafe String(cString: cistern_status_text(cistern_status(rawValue: number)))
            }
            #expect(texts.count == 22 && Set(texts).count == 22 && !texts.contains("unknown status"))
        }

        /// Where the system refuses the capacity, a heap that may shrink takes an eighth less per try; one that may not, says no.
        @Test(.enabled(if: Sanitizer.isAbsent)) func aHeapThatMayShrink() {
            let status = inChild {
                var limit = rlimit(rlim_cur: 48 << 30, rlim_max: 48 << 30)
                guard unsafe setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { return 1 }
                var options = CHandle.options(64 << 30)
                guard CHandle.create(options).status == CISTERN_RESERVATION_REFUSED else { return 2 }
                options.may_shrink = true
                guard let handle = CHandle.create(options).handle else { return 3 }
                var statistics = cistern_heap_statistics()
                statistics.struct_byte_count = MemoryLayout<cistern_heap_statistics>.size
                guard unsafe cistern_read_statistics(.init(handle.heap), &statistics) == CISTERN_OK else { return 4 }
                // 64, 56, 49 and 42.875 GiB are tried.
                return statistics.capacity_bytes == 64 << 30 / 512 * 343 ? 0 : 5
            }
            #expect(status == 0)
        }

        @Test func layoutOfTheOptions() {
            typealias Options = cistern_heap_options
            #expect(MemoryLayout<Options>.size == 40)
            #expect(MemoryLayout<Options>.alignment == 8)
            #expect(MemoryLayout<Options>.offset(of: \.struct_byte_count) == 0)
            #expect(MemoryLayout<Options>.offset(of: \.capacity_bytes) == 8)
            #expect(MemoryLayout<Options>.offset(of: \.soft_limit_bytes) == 16)
            #expect(MemoryLayout<Options>.offset(of: \.minimum_alignment) == 24)
            #expect(MemoryLayout<Options>.offset(of: \.single_thread) == 28)
            #expect(MemoryLayout<Options>.offset(of: \.checked) == 29)
            #expect(MemoryLayout<Options>.offset(of: \.no_huge_pages) == 30)
            #expect(MemoryLayout<Options>.offset(of: \.not_inherited) == 31)
            #expect(MemoryLayout<Options>.offset(of: \.may_shrink) == 32)
            #expect(MemoryLayout<cistern_status>.size == 4)
        }
    }
}
