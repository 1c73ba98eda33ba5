import CVirtualMemory
import Envelope
import Limits
import VirtualMemory

/// `cistern capacity --probe`: tries a reservation as a heap makes it, and gives it back.
///
/// Safety: the system's own table of calls is constant and lives for ever; nothing reserved here is touched.
enum CapacityProbe {
    static func perform(_ arguments: ParsedArguments, _ byteCount: UInt64) throws(CommandFailure) -> Int32 {
        let refusal = attempt(byteCount, commits: false)
        let partRefusal = refusal == nil ? attempt(byteCount, commits: true) : nil
        let tightest = MemoryLimits.current().tightest
        let fitting = Capacity.choose(.fit, tightest: tightest).bytes
        let largest = refusal == nil ? byteCount : largestBelow(byteCount)
        if arguments.has("--json") {
            let json = JSON.members([
                ("bytes", .integer(byteCount)), ("isReservable", .bool(refusal == nil)),
                ("isUsableInWhole", .bool(refusal == nil && partRefusal == nil)),
                ("limitInTheWay", json((refusal ?? partRefusal)?.limit)), ("largestReservableBytes", .integer(largest)),
                ("fittingBytes", .integer(fitting)),
            ])
            try Output.result(json.line + "\n")
        } else if refusal == nil {
            try Output.result("\(byteCount)\n")
        }
        if let refusal {
            let remedy = "at most \(largest) can be, and \(fitting) would fit"
            throw CommandFailure(message: "--probe: \(byteCount) bytes cannot be reserved: \(reason(refusal)); \(remedy)", exitCode: 1)
        }
        if let partRefusal {
            Output.diagnostic(
                "cistern capacity: --probe: \(byteCount) bytes can be reserved, but not all be used: \(reason(partRefusal))\n")
        }
        if arguments.has("--explain") {
            let over = tightest.flatMap { $0.availableBytes < byteCount ? "more than the tightest limit, \($0)" : nil }
            Output.diagnostic("cistern capacity: --probe: \(over ?? "below every limit that is known"); \(fitting) would fit\n")
        }
        return 0
    }

    /// Reserves whole pages, makes them usable if told to, and gives them back. Returns the refusal, or nil.
    private static func attempt(_ byteCount: UInt64, commits: Bool) -> ReservationError? {
        let page = UInt64(cistern_os_page_byte_count())
        let whole = byteCount <= UInt64(Int.max) - page ? (byteCount + page - 1) / page * page : byteCount / page * page
        do throws(ReservationError) {
            var reservation = unsafe try Reservation.reserve(capacityBytes: whole, calls: cistern_os_system())
            var refusal: ReservationError?
            if commits {
                do throws(ReservationError) { try reservation.commit(upTo: whole) } catch { refusal = error }
            }
            try reservation.release()
            return refusal
        } catch {
            return error
        }
    }

    /// The most that can be reserved, found by halving; below a size that cannot be.
    private static func largestBelow(_ byteCount: UInt64) -> UInt64 {
        let page = UInt64(cistern_os_page_byte_count())
        var possible: UInt64 = 0
        var refused = byteCount / page + 1
        while refused - possible > 1 {
            let middle = possible + (refused - possible) / 2
            if attempt(middle * page, commits: false) == nil { possible = middle } else { refused = middle }
        }
        return possible * page
    }

    private static func reason(_ error: ReservationError) -> String {
        let limit = error.limit
        let known = "is \(limit.valueBytes) bytes, \(limit.usedBytes) in use"
        switch limit.kind {
        case .addressSpace: return "RLIMIT_AS \(known) (ulimit -v)"
        case .data: return "RLIMIT_DATA \(known) (ulimit -d)"
        case .overcommit: return "the commit limit \(known) (vm.overcommit_memory)"
        case .addressRange: return "the processor's address range \(known)"
        case .unknown: return "\(SystemCode.text(error.code)), and no limit that can be read is in the way"
        }
    }

    private static func json(_ limit: BlockingLimit?) -> JSON {
        guard let limit, limit.kind != .unknown else { return .null }
        let name =
            switch limit.kind {
            case .addressSpace: "RLIMIT_AS"
            case .data: "RLIMIT_DATA"
            case .overcommit: "commit limit"
            case .addressRange, .unknown: "address range"
            }
        return .members([
            ("name", .text(name)), ("bytes", .integer(limit.valueBytes)), ("inUseBytes", .integer(limit.usedBytes)),
        ])
    }
}
