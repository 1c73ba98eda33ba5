import CVirtualMemory

/// One range of address space, reserved whole, and how much of it is usable.
///
/// What is committed is one stretch from the base: it grows by `commit` and shrinks by `uncommit`. The value is a
/// description, not an owner: copies describe the same range, and whoever holds the last one calls `release`. Calls that
/// change a range come from one thread at a time. Sizes are bytes.
///
/// Safety: addresses handed to the system are computed here, from offsets that are checked against the capacity. The
/// table of calls is valid while the value is used, as whoever made it vouches.
@safe
public struct Reservation {
    /// The description in C's terms, for whoever keeps it in memory of its own.
    public var state: cistern_reservation

    /// A description taken up again.
    public init(state: cistern_reservation) {
        unsafe self.state = state
    }

    /// Reserves a range; nothing in it can be touched yet, and no memory stands behind it.
    ///
    /// One system call for exactly `capacityBytes`, and one that names the mapping (its refusal is harmless).
    ///
    /// - Parameters:
    ///   - capacityBytes: a multiple of the system's page size, above 0.
    ///   - calls: must outlive the reservation.
    /// - Throws: with the limit that is in the way; nothing is left behind.
    public static func reserve(
        capacityBytes: UInt64, calls: UnsafePointer<cistern_os_calls>
    ) throws(ReservationError) -> Reservation {
        guard let byteCount = Int(exactly: capacityBytes), byteCount > 0, byteCount % cistern_os_page_byte_count() == 0 else {
            throw unsafe ReservationError(.reserve, byteCount: capacityBytes, code: ReservationError.invalidArgument, calls: calls)
        }
        var base: UnsafeMutableRawPointer?
        let code = unsafe calls.pointee.reserve(calls.pointee.context, byteCount, &base)
        guard code == 0, let base = unsafe base else {
            throw unsafe ReservationError(.reserve, byteCount: capacityBytes, code: code, calls: calls)
        }
        // A kernel without named mappings refuses; the heap then has no name in the process's maps, and nothing else changes.
        _ = unsafe calls.pointee.set_name(calls.pointee.context, base, byteCount, cistern_os_mapping_name())
        return unsafe Reservation(
            state: cistern_reservation(
                base: UInt(bitPattern: base), capacity_bytes: capacityBytes, committed_bytes: 0,
                committed_high_water_bytes: 0, calls: calls))
    }

    /// The first address, a multiple of the page size.
    public var baseAddress: UInt { unsafe state.base }
    /// Bytes reserved.
    public var capacityBytes: UInt64 { unsafe state.capacity_bytes }
    /// Bytes usable, from the base on.
    public var committedBytes: UInt64 { unsafe state.committed_bytes }
    /// The most that was ever usable.
    public var committedHighWaterBytes: UInt64 { unsafe state.committed_high_water_bytes }

    /// Makes everything below an offset usable, rounded up to a page and to no more than the capacity.
    ///
    /// - Throws: with the limit that is in the way; nothing has changed then.
    public mutating func commit(upTo extentBytes: UInt64) throws(ReservationError) {
        let end = try pageAligned(extentBytes, .commit)
        guard end > committedBytes else { return }
        let byteCount = end - committedBytes
        let code = unsafe state.calls.pointee.commit(
            state.calls.pointee.context, address(committedBytes), Int(byteCount))
        guard code == 0 else { throw error(.commit, byteCount: byteCount, code: code) }
        unsafe state.committed_bytes = end
        unsafe state.committed_high_water_bytes = max(end, committedHighWaterBytes)
    }

    /// Makes everything from an offset on unusable again, the offset rounded up to a page. Advice that was given about it is
    /// forgotten.
    ///
    /// - Throws: when the system refuses; nothing has changed then.
    public mutating func uncommit(downTo extentBytes: UInt64) throws(ReservationError) {
        let end = try pageAligned(extentBytes, .uncommit)
        guard end < committedBytes else { return }
        let byteCount = committedBytes - end
        let code = unsafe state.calls.pointee.uncommit(state.calls.pointee.context, address(end), Int(byteCount))
        guard code == 0 else { throw error(.uncommit, byteCount: byteCount, code: code) }
        unsafe state.committed_bytes = end
        // A mapping without the name would stay one of its own for ever. A refusal is harmless, as in `reserve`.
        _ = unsafe state.calls.pointee.set_name(
            state.calls.pointee.context, address(end), Int(byteCount), cistern_os_mapping_name())
    }

    /// Takes the memory behind whole pages away; they stay usable.
    ///
    /// - Parameters:
    ///   - offsetBytes: where it begins, a multiple of the page size.
    ///   - byteCount: how much, a multiple of the page size above 0; it ends inside the committed part.
    /// - Returns: what the pages read as from now on.
    /// - Throws: when the system refuses; nothing has changed then.
    public func decommit(offsetBytes: UInt64, byteCount: UInt64) throws(ReservationError) -> ReadsAs {
        guard isCommitted(offsetBytes, byteCount) else {
            throw error(.decommit, byteCount: byteCount, code: ReservationError.invalidArgument)
        }
        var readsAs: UInt32 = 0
        let code = unsafe state.calls.pointee.decommit(
            state.calls.pointee.context, address(offsetBytes), Int(byteCount), &readsAs)
        guard code == 0 else { throw error(.decommit, byteCount: byteCount, code: code) }
        return readsAs == UInt32(CISTERN_READS_AS_ZERO) ? .zero : .stale
    }

    /// Tells the system how a range will be used. Widened to whole pages.
    ///
    /// - Returns: whether the system took the advice. A refusal changes nothing.
    public func advise(_ advice: Advice, offsetBytes: UInt64, byteCount: UInt64) -> Bool {
        let page = UInt64(cistern_os_page_byte_count())
        let start = offsetBytes / page * page
        guard byteCount > 0, offsetBytes <= capacityBytes, byteCount <= capacityBytes - offsetBytes else { return false }
        // Neither sum overflows: both stay within the capacity, which is a multiple of the page.
        let end = (offsetBytes + byteCount + page - 1) / page * page
        return unsafe state.calls.pointee.advise(
            state.calls.pointee.context, address(start), Int(end - start), advice.rawValue) == 0
    }

    /// Gives the whole range back. The value describes nothing afterwards.
    ///
    /// - Throws: when the system refuses; the range is then still there.
    public func release() throws(ReservationError) {
        let code = unsafe state.calls.pointee.release(state.calls.pointee.context, address(0), Int(capacityBytes))
        guard code == 0 else { throw error(.release, byteCount: capacityBytes, code: code) }
    }

    /// Gives the range back but for its first bytes, which stay as they are. The value describes nothing afterwards.
    ///
    /// - Parameter keptBytes: a multiple of the page size, above 0; all of the range when it is as large.
    /// - Throws: when the system refuses; the range is then still there.
    public func release(after keptBytes: UInt64) throws(ReservationError) {
        guard keptBytes < capacityBytes else { return }
        let byteCount = capacityBytes - keptBytes
        let code = unsafe state.calls.pointee.release(state.calls.pointee.context, address(keptBytes), Int(byteCount))
        guard code == 0 else { throw error(.release, byteCount: byteCount, code: code) }
    }

    private func address(_ offsetBytes: UInt64) -> UnsafeMutableRawPointer {
        unsafe UnsafeMutableRawPointer(bitPattern: baseAddress + UInt(offsetBytes)).unsafelyUnwrapped
    }

    /// Whether a range is of whole pages and inside the committed part.
    private func isCommitted(_ offsetBytes: UInt64, _ byteCount: UInt64) -> Bool {
        (offsetBytes | byteCount) % UInt64(cistern_os_page_byte_count()) == 0
            && byteCount > 0 && offsetBytes <= committedBytes && byteCount <= committedBytes - offsetBytes
    }

    private func pageAligned(
        _ extentBytes: UInt64, _ operation: ReservationError.Operation
    ) throws(ReservationError) -> UInt64 {
        guard extentBytes <= capacityBytes else {
            throw error(operation, byteCount: extentBytes, code: ReservationError.invalidArgument)
        }
        let page = UInt64(cistern_os_page_byte_count())
        // The capacity is a multiple of the page, so rounding up stays within it.
        return (extentBytes + page - 1) / page * page
    }

    private func error(_ operation: ReservationError.Operation, byteCount: UInt64, code: Int32) -> ReservationError {
        unsafe ReservationError(operation, byteCount: byteCount, code: code, calls: state.calls)
    }
}

/// What decommitted pages hold when they are touched again.
public enum ReadsAs: UInt32, Sendable {
    /// Zeros.
    case zero
    /// Anything: what was there, or what a file has.
    case stale
}

/// How a range will be used.
public enum Advice: UInt32, Sendable {
    /// May be backed by transparent huge pages.
    case hugePages = 0
    /// Is not to be backed by huge pages.
    case noHugePages = 1
    /// A fork's child does not have these pages.
    case notInherited = 2
    /// A fork's child reads zeros here.
    case wipeOnFork = 3
}
