import CCistern
import CVirtualMemory
import Limits
import VirtualMemory

// Safety: texts end in a zero byte, out-parameters are the caller's, valid for the call, as cistern.h says; the value of the environment
// variable is read before anything else runs.

extension CapacityError {
    /// The statuses of texts stand in the order of the kinds.
    fileprivate var status: UInt32 { CISTERN_TEXT_EMPTY.rawValue + kind.rawValue }
}

/// `cistern_capacity_parse`; cistern.h says what it does and what can fail.
@c(cistern_capacity_parse)
public func cisternCapacityParse(_ text: UnsafePointer<CChar>?, _ result: UnsafeMutablePointer<UInt64>?) -> UInt32 {
    guard let text = unsafe text, let result = unsafe result else { return CISTERN_INVALID_ARGUMENT.rawValue }
    do throws(CapacityError) {
        unsafe result.pointee = try Capacity.parse(bytes(of: text).span, source: .api)
        return CISTERN_OK.rawValue
    } catch {
        return error.status
    }
}

private func resolve(
    _ argument: UnsafePointer<CChar>?, _ environment: UnsafePointer<CChar>?
) throws(CapacityError) -> ResolvedCapacity {
    let value = unsafe bytes(of: environment)
    guard let argument = unsafe argument else { return try unsafe Capacity.resolve(argument: nil, environment: value.span) }
    return try unsafe Capacity.resolve(argument: bytes(of: argument).span, environment: value.span)
}

/// `cistern_capacity_resolve`; cistern.h says what it does and what can fail.
@c(cistern_capacity_resolve)
public func cisternCapacityResolve(
    _ argument: UnsafePointer<CChar>?, _ environment: UnsafePointer<CChar>?, _ result: UnsafeMutablePointer<UInt64>?,
    _ source: UnsafeMutablePointer<UInt32>?
) -> UInt32 {
    guard let result = unsafe result, let source = unsafe source else { return CISTERN_INVALID_ARGUMENT.rawValue }
    do throws(CapacityError) {
        let resolved = try unsafe resolve(argument, environment)
        unsafe result.pointee = resolved.bytes
        unsafe source.pointee = resolved.source.rawValue
        return CISTERN_OK.rawValue
    } catch {
        return error.status
    }
}

/// `cistern_capacity_fit`; cistern.h says what it does and what can fail.
@c(cistern_capacity_fit)
public func cisternCapacityFit(_ limitBytes: UInt64, _ reservedBytes: UInt64) -> UInt64 {
    Capacity.fitted(limitBytes, less: reservedBytes)
}

/// `cistern_capacity_choose`; cistern.h says what it does and what can fail.
@c(cistern_capacity_choose)
public func cisternCapacityChoose(
    _ argument: UnsafePointer<CChar>?, _ environment: UnsafePointer<CChar>?, _ tightest: UnsafePointer<cistern_memory_limit>?,
    _ choice: UnsafeMutablePointer<cistern_capacity_choice>?
) -> UInt32 {
    unsafe choose(argument, environment, limit(tightest), choice)
}

/// `cistern_capacity_from_environment`; cistern.h says what it does and what can fail.
@c(cistern_capacity_from_environment)
public func cisternCapacityFromEnvironment(_ choice: UnsafeMutablePointer<cistern_capacity_choice>?) -> UInt32 {
    // A literal passed as it is would be copied into an array first.
    let name: StaticString = "SKIP_CAPACITY"
    let value = unsafe cistern_os_environment_value(UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self))
    return unsafe choose(nil, value, MemoryLimits.current().tightest, choice)
}

private func limit(_ given: UnsafePointer<cistern_memory_limit>?) -> MemoryLimit? {
    guard let given = unsafe given else { return nil }
    return unsafe MemoryLimit(given.pointee)
}

private func choose(
    _ argument: UnsafePointer<CChar>?, _ environment: UnsafePointer<CChar>?, _ tightest: MemoryLimit?,
    _ choice: UnsafeMutablePointer<cistern_capacity_choice>?
) -> UInt32 {
    guard unsafe isSized(choice) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    do throws(CapacityError) {
        let chosen = Capacity.choose(try unsafe resolve(argument, environment), tightest: tightest)
        var result = cistern_capacity_choice(chosen, mayShrink: chosen.source == .default)
        unsafe give(&result, to: choice)
        return CISTERN_OK.rawValue
    } catch {
        return error.status
    }
}

/// `cistern_capacity_choose_text`; cistern.h says what it does and what can fail.
@c(cistern_capacity_choose_text)
public func cisternCapacityChooseText(
    _ text: UnsafePointer<CChar>?, _ tightest: UnsafePointer<cistern_memory_limit>?,
    _ choice: UnsafeMutablePointer<cistern_capacity_choice>?
) -> UInt32 {
    guard let text = unsafe text, unsafe isSized(choice) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    do throws(CapacityError) {
        let request = try unsafe Capacity.parseExtended(bytes(of: text).span)
        let chosen = unsafe Capacity.choose(request, tightest: limit(tightest))
        var result = cistern_capacity_choice(chosen, mayShrink: request.isFitted)
        unsafe give(&result, to: choice)
        return CISTERN_OK.rawValue
    } catch {
        return error.status
    }
}

extension CapacityRequest {
    /// Was the number computed so that it fits? Then less will do.
    fileprivate var isFitted: Bool {
        switch self {
        case .bytes, .percentOfLimit: false
        case .fit, .fitLess: true
        }
    }
}

/// `cistern_capacity_probe`; cistern.h says what it does and what can fail.
@c(cistern_capacity_probe)
public func cisternCapacityProbe(_ byteCount: UInt64, _ refusal: UnsafeMutablePointer<cistern_refusal>?) -> UInt32 {
    let page = UInt64(cistern_os_page_byte_count())
    guard byteCount > 0, byteCount <= UInt64(Int64.max) - page, unsafe refusal == nil || isSized(refusal) else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    var none = cistern_refusal()
    unsafe give(&none, to: refusal)
    do throws(ReservationError) {
        let reservation = try unsafe Reservation.reserve(
            capacityBytes: (byteCount + page - 1) / page * page, calls: cistern_os_system())
        try reservation.release()
        return CISTERN_OK.rawValue
    } catch {
        unsafe give(error, to: refusal)
        return CISTERN_RESERVATION_REFUSED.rawValue
    }
}
