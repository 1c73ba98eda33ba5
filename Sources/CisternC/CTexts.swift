import CCistern
import Limits
import VirtualMemory

// The lines of cistern.h, and the texts that it is given.
//
// Safety: a text ends in a zero byte and a line has as many bytes as the caller says, as cistern.h says.

/// The bytes of a text; none for NULL.
func bytes(of text: UnsafePointer<CChar>?) -> UnsafeBufferPointer<UInt8> {
    guard let text = unsafe text else { return unsafe UnsafeBufferPointer(start: nil, count: 0) }
    var count = 0
    while unsafe text[count] != 0 { count += 1 }
    return unsafe UnsafeBufferPointer(start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
}

/// Copies what `write` writes, at most 512 bytes, into a caller's line, and a zero byte behind it; returns its length.
private func putLine(
    _ line: UnsafeMutablePointer<CChar>?, _ byteCount: Int, _ write: (inout MutableSpan<UInt8>) -> Int
) -> Int {
    var whole = InlineArray<512, UInt8>(repeating: 0)
    var span = whole.mutableSpan
    let count = min(write(&span), 512)
    guard let line = unsafe line, byteCount > 0 else { return count }
    let kept = min(count, byteCount - 1)
    for index in 0..<kept { unsafe line[index] = CChar(bitPattern: whole[index]) }
    unsafe line[kept] = 0
    return count
}

private func noLine(_ line: UnsafeMutablePointer<CChar>?, _ byteCount: Int) -> Int {
    if byteCount > 0 { unsafe line?.pointee = 0 }
    return 0
}

/// `cistern_capacity_error_text`; cistern.h says what it does and what can fail.
@c(cistern_capacity_error_text)
public func cisternCapacityErrorText(
    _ status: UInt32, _ source: UInt32, _ text: UnsafePointer<CChar>?, _ line: UnsafeMutablePointer<CChar>?, _ byteCount: Int
) -> Int {
    let first = CISTERN_TEXT_EMPTY.rawValue
    guard status >= first, let kind = CapacityError.Kind(rawValue: status - first), let source = Capacity.Source(rawValue: source)
    else { return unsafe noLine(line, byteCount) }
    let error = unsafe CapacityError(kind, source: source, given: bytes(of: text).span)
    return unsafe putLine(line, byteCount) { error.write(into: &$0) }
}

/// `cistern_capacity_choice_text`; cistern.h says what it does and what can fail.
@c(cistern_capacity_choice_text)
public func cisternCapacityChoiceText(
    _ choice: UnsafePointer<cistern_capacity_choice>?, _ line: UnsafeMutablePointer<CChar>?, _ byteCount: Int
) -> Int {
    var given = cistern_capacity_choice()
    guard unsafe take(choice, into: &given), let choice = CapacityChoice(given) else { return unsafe noLine(line, byteCount) }
    return unsafe putLine(line, byteCount) { choice.write(into: &$0) }
}

/// `cistern_memory_limit_text`; cistern.h says what it does and what can fail.
@c(cistern_memory_limit_text)
public func cisternMemoryLimitText(
    _ limit: UnsafePointer<cistern_memory_limit>?, _ line: UnsafeMutablePointer<CChar>?, _ byteCount: Int
) -> Int {
    guard let limit = unsafe limit, let limit = unsafe MemoryLimit(limit.pointee) else { return unsafe noLine(line, byteCount) }
    return unsafe putLine(line, byteCount) { limit.write(into: &$0) }
}

/// `cistern_refusal_text`; cistern.h says what it does and what can fail.
@c(cistern_refusal_text)
public func cisternRefusalText(
    _ refusal: UnsafePointer<cistern_refusal>?, _ line: UnsafeMutablePointer<CChar>?, _ byteCount: Int
) -> Int {
    var given = cistern_refusal()
    guard unsafe take(refusal, into: &given), given.code != 0,
        let operation = ReservationError.Operation(rawValue: given.operation), let kind = BlockingLimit.Kind(rawValue: given.limit)
    else { return unsafe noLine(line, byteCount) }
    let limit = BlockingLimit(kind: kind, valueBytes: given.limit_bytes, usedBytes: given.used_bytes)
    let error = ReservationError(operation: operation, byteCount: given.byte_count, code: given.code, limit: limit)
    return unsafe putLine(line, byteCount) { error.write(into: &$0) }
}
