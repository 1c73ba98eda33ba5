import CTestSupport
import CVirtualMemory
import Testing
import VirtualMemory

@Suite struct ReservationTests {
    let table = FaultTable()

    @Test func reservesExactlyTheCapacityInOneCall() throws {
        let reservation = try table.reserve(16 << 30)
        #expect(table.reserveCount == 1 && table.counts.reservedBytes == 16 << 30)
        #expect(table.counts.all == 2, "one reservation and its name")
        #expect(reservation.capacityBytes == 16 << 30 && reservation.committedBytes == 0 && reservation.committedHighWaterBytes == 0)
        #expect(reservation.baseAddress % UInt(page) == 0)
        try reservation.release()
        #expect(table.liveReservations == 0)
    }

    @Test(arguments: [0, 1, 4095, 4097, 1 << 63, UInt64.max])
    func refusesOddCapacities(capacityBytes: UInt64) {
        let error = refusal { () throws(ReservationError) in _ = try table.reserve(capacityBytes) }
        #expect(error?.code == 22 && error?.operation == .reserve && error?.byteCount == capacityBytes)
        #expect(table.counts.all == 0)
    }

    @Test func commitGrowsFromTheBase() throws {
        var reservation = try table.reserve(64 * page)
        defer { try? reservation.release() }
        try reservation.commit(upTo: 1)
        #expect(reservation.committedBytes == page)
        try reservation.commit(upTo: page)
        try reservation.commit(upTo: 0)
        #expect(table.counts.commit == 1, "what is committed already costs no call")
        try reservation.commit(upTo: 64 * page)
        #expect(reservation.committedBytes == 64 * page && table.counts.commit == 2)
        cistern_test_fill(reservation.baseAddress, Int(64 * page), 7)
        #expect(cistern_test_holds(reservation.baseAddress, Int(64 * page), 7))
        let error = refusal { () throws(ReservationError) in try reservation.commit(upTo: 64 * page + 1) }
        #expect(error?.code == 22 && error?.operation == .commit)
    }

    @Test func uncommitLowersTheTop() throws {
        var reservation = try table.reserve(64 * page)
        defer { try? reservation.release() }
        try reservation.commit(upTo: 32 * page)
        cistern_test_fill(reservation.baseAddress, Int(32 * page), 1)
        try reservation.uncommit(downTo: 15 * page + 1)
        #expect(reservation.committedBytes == 16 * page && reservation.committedHighWaterBytes == 32 * page)
        try reservation.uncommit(downTo: 20 * page)
        #expect(table.counts.uncommit == 1, "nothing is committed there")
        try reservation.commit(upTo: 32 * page)
        #expect(cistern_test_is_zero(reservation.baseAddress + UInt(16 * page), Int(16 * page)))
        #expect(!cistern_test_is_zero(reservation.baseAddress, Int(16 * page)))
        let error = refusal { () throws(ReservationError) in try reservation.uncommit(downTo: UInt64.max) }
        #expect(error?.code == 22 && error?.operation == .uncommit)
    }

    @Test func decommittedPagesReadAsZero() throws {
        var reservation = try table.reserve(16 * page)
        defer { try? reservation.release() }
        try reservation.commit(upTo: 8 * page)
        cistern_test_fill(reservation.baseAddress, Int(8 * page), 3)
        #expect(try reservation.decommit(offsetBytes: 2 * page, byteCount: 3 * page) == .zero)
        #expect(cistern_test_is_zero(reservation.baseAddress + UInt(2 * page), Int(3 * page)))
        #expect(!cistern_test_is_zero(reservation.baseAddress + UInt(5 * page), Int(page)))
        #expect(reservation.committedBytes == 8 * page)
    }

    @Test func staleMemoryIsSaidToBe() throws {
        var reservation = try table.reserve(16 * page)
        defer { try? reservation.release() }
        try reservation.commit(upTo: page)
        table.decommitLeavesStaleBytes()
        #expect(try reservation.decommit(offsetBytes: 0, byteCount: page) == .stale)
    }

    @Test(arguments: [(0, 0), (0, 9), (8, 1), (9, 1), (1, 8), (0, UInt64.max >> 12), (UInt64.max >> 12, 1)] as [(UInt64, UInt64)])
    func decommitStaysInsideWhatIsCommitted(firstPage: UInt64, pages: UInt64) throws {
        var reservation = try table.reserve(16 * page)
        defer { try? reservation.release() }
        try reservation.commit(upTo: 8 * page)
        let error = refusal { () throws(ReservationError) in
            _ = try reservation.decommit(offsetBytes: firstPage << 12, byteCount: pages << 12)
        }
        #expect(error?.code == 22 && error?.operation == .decommit && table.counts.decommit == 0)
    }

    @Test func decommitTakesWholePagesOnly() throws {
        var reservation = try table.reserve(16 * page)
        defer { try? reservation.release() }
        try reservation.commit(upTo: 8 * page)
        for (offset, count) in [(1, page), (0, page + 1), (page - 1, 2)] as [(UInt64, UInt64)] {
            let error = refusal { () throws(ReservationError) in _ = try reservation.decommit(offsetBytes: offset, byteCount: count) }
            #expect(error?.code == 22)
        }
        #expect(table.counts.decommit == 0)
    }

    @Test func adviceIsTakenInsideTheReservation() throws {
        let reservation = try table.reserve(16 << 20)
        defer { try? reservation.release() }
        for advice in [Advice.noHugePages, .notInherited, .wipeOnFork] {
            #expect(reservation.advise(advice, offsetBytes: 1, byteCount: 2))
        }
        #expect(table.counts.advise == 3)
        for (offset, count) in [(0, 0), (16 << 20, 1), (0, (16 << 20) + 1), (UInt64.max, UInt64.max)] as [(UInt64, UInt64)] {
            #expect(!reservation.advise(.hugePages, offsetBytes: offset, byteCount: count))
        }
        #expect(table.counts.advise == 3)
    }

    @Test func theMappingHasAName() throws {
        let calls = unsafe cistern_os_system()
        let reservation = try table.reserve(1 << 20)
        defer { try? reservation.release() }
        // Safety: the range is the one just reserved; the table is constant.
        let base = unsafe UnsafeMutableRawPointer(bitPattern: reservation.baseAddress)!
        let isSupported = unsafe calls.pointee.set_name(nil, base, 1 << 20, cistern_os_mapping_name()) == 0
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        var count = 0
        try #require(unsafe calls.pointee.read_file(nil, "/proc/self/maps", &bytes, bytes.count, &count) == 0)
        let start = String(reservation.baseAddress, radix: 16)
        let line = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(start) }
        let found = try #require(line)
        #expect(found.hasSuffix("[anon:cistern heap]") == isSupported, "\(found)")
        #expect(found.contains("---p"), "nothing in it can be touched")
    }
}

@Suite struct FaultLoopTests {
    /// One of every operation. Returns the first refusal; whatever happens, the range is given back in the end.
    private func exercise(_ table: FaultTable) -> ReservationError? {
        var reservation: Reservation
        do throws(ReservationError) { reservation = try table.reserve(64 * page) } catch { return error }
        let error = refusal { () throws(ReservationError) in
            try reservation.commit(upTo: 8 * page)
            #expect(reservation.committedBytes == 8 * page)
            // Advice and names may be refused without harm.
            _ = reservation.advise(.hugePages, offsetBytes: 0, byteCount: page)
            let before = reservation.committedBytes
            let refused = refusal { () throws(ReservationError) in try reservation.commit(upTo: 16 * page) }
            if let refused {
                #expect(reservation.committedBytes == before, "a refused commit changes nothing")
                throw refused
            }
            _ = try reservation.decommit(offsetBytes: page, byteCount: page)
            let high = reservation.committedBytes
            if let refused = refusal({ () throws(ReservationError) in try reservation.uncommit(downTo: 4 * page) }) {
                #expect(reservation.committedBytes == high, "a refused uncommit changes nothing")
                throw refused
            }
        }
        if let refused = refusal({ () throws(ReservationError) in try reservation.release() }) {
            table.refuseNothing()
            #expect(refusal { () throws(ReservationError) in try reservation.release() } == nil)
            return error ?? refused
        }
        return error
    }

    @Test(arguments: [false, true], [12, 22, 1] as [Int32])
    func everyCallRefusedInTurn(forEver: Bool, code: Int32) {
        let table = FaultTable()
        #expect(exercise(table) == nil)
        let callCount = table.counts.all
        #expect(callCount == 9)
        for number in 0..<callCount {
            table.refuse(number, forEver: forEver, code: code)
            let error = exercise(table)
            let isHarmless = !forEver && (number == 1 || number == 3 || number == 7)
            #expect((error == nil) == isHarmless, "call \(number)")
            if let error { #expect(error.code == code, "call \(number)") }
            table.refuseNothing()
            #expect(table.liveReservations == 0, "call \(number)")
            #expect(exercise(table) == nil, "works again after call \(number)")
        }
    }
}
