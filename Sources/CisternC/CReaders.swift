import CCistern
import HeapCore
import Ticks

// The functions of cistern_directory.h about readers.
//
// Safety: handles and structs are the caller's, valid for the call, as cistern_directory.h says. What a batch says of its events is
// compared with what the directory knows before one is read.

/// A directory and one of its readers; nil for NULL and for a reader that is all zero.
func named(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?
) -> (directory: RegionDirectory, reader: ReaderHandle)? {
    guard let handle = unsafe handle, let reader = unsafe reader, unsafe reader.pointee.words.0 != 0 else { return nil }
    return unsafe (RegionDirectory(handle), ReaderHandle(words: reader.pointee.words))
}

private func readerOptions(_ given: UnsafePointer<cistern_reader_options>?) -> ReaderOptions? {
    guard let given = unsafe given else { return ReaderOptions() }
    var copy = cistern_reader_options()
    guard unsafe take(given, into: &copy), copy.kind <= UInt32(UInt8.max), copy.reserved.0 | copy.reserved.1 == 0,
        let readerClass = ReaderClass(rawValue: UInt8(copy.kind))
    else { return nil }
    var options = ReaderOptions(readerClass)
    options.isDurable = copy.durable
    if copy.has_limits { options.limits = ReaderLimits(copy.limits) }
    return options
}

/// `cistern_directory_attach`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_attach)
public func cisternDirectoryAttach(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_reader_options>?, _ reader: UnsafeMutablePointer<cistern_directory_reader>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let reader = unsafe reader, let options = unsafe readerOptions(options) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe reader.pointee = cistern_directory_reader()
    do throws(DirectoryError) {
        let entered = try unsafe RegionDirectory(handle).attach(options)
        unsafe reader.pointee.words = entered.words
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}

/// Writes down a reader that was taken up again; says whether it has to start anew.
private func answer(
    _ resumed: (reader: ReaderHandle, resync: Resync?), _ reader: UnsafeMutablePointer<cistern_directory_reader>,
    _ reason: UnsafeMutablePointer<UInt32>?
) -> UInt32 {
    unsafe reader.pointee.words = resumed.reader.words
    unsafe reason?.pointee = UInt32(resumed.resync?.reason.rawValue ?? 0)
    return resumed.resync == nil ? CISTERN_OK.rawValue : CISTERN_RESYNC.rawValue
}

/// `cistern_directory_resume_at`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_resume_at)
public func cisternDirectoryResumeAt(
    _ handle: OpaquePointer?, _ tick: UInt64, _ options: UnsafePointer<cistern_reader_options>?,
    _ reader: UnsafeMutablePointer<cistern_directory_reader>?, _ reason: UnsafeMutablePointer<UInt32>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let reader = unsafe reader, let options = unsafe readerOptions(options) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe reader.pointee = cistern_directory_reader()
    do throws(DirectoryError) {
        return try unsafe answer(RegionDirectory(handle).resume(at: Tick(tick), options), reader, reason)
    } catch {
        return code(error)
    }
}

/// `cistern_directory_resume`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_resume)
public func cisternDirectoryResume(
    _ handle: OpaquePointer?, _ position: UnsafePointer<cistern_reader_position>?, _ limits: UnsafePointer<cistern_directory_limits>?,
    _ reader: UnsafeMutablePointer<cistern_directory_reader>?, _ reason: UnsafeMutablePointer<UInt32>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let reader = unsafe reader, let position = unsafe position else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe reader.pointee = cistern_directory_reader()
    var bounds: ReaderLimits?
    if let limits = unsafe limits { bounds = unsafe ReaderLimits(limits.pointee) }
    do throws(DirectoryError) {
        let resumed = try unsafe RegionDirectory(handle).resume(DurableState(position.pointee), limits: bounds)
        return unsafe answer(resumed, reader, reason)
    } catch {
        return code(error)
    }
}

/// `cistern_directory_clone`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_clone)
public func cisternDirectoryClone(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?,
    _ clone: UnsafeMutablePointer<cistern_directory_reader>?
) -> UInt32 {
    guard let original = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let clone = unsafe clone else { return CISTERN_INVALID_ARGUMENT.rawValue }
    do throws(DirectoryError) {
        let entered = try original.directory.clone(original.reader)
        unsafe clone.pointee.words = entered.words
        return CISTERN_OK.rawValue
    } catch {
        unsafe clone.pointee = cistern_directory_reader()
        return code(error)
    }
}

/// `cistern_directory_cancel`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_cancel)
public func cisternDirectoryCancel(_ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    named.directory.cancel(named.reader)
    return CISTERN_OK.rawValue
}

/// `cistern_directory_poll`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_poll)
public func cisternDirectoryPoll(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?, _ batch: UnsafeMutablePointer<cistern_batch>?
) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe isSized(batch) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    var result = cistern_batch()
    do throws(DirectoryError) {
        switch try named.directory.poll(named.reader) {
        case .changes(let changes):
            result.tick = changes.token.tick.number
            result.count = UInt64(changes.count)
            result.descendant_count = UInt64(changes.descendantCount)
            result.words = changes.words
            unsafe give(&result, to: batch)
            return CISTERN_OK.rawValue
        case .resync(let resync):
            result.tick = resync.tick.number
            result.resync_reason = UInt32(resync.reason.rawValue)
            unsafe give(&result, to: batch)
            return CISTERN_RESYNC.rawValue
        }
    } catch {
        return code(error)
    }
}

/// The batch that a caller hands back; nil when it says what cannot be.
private func taken(_ given: UnsafePointer<cistern_batch>?) -> ReaderBatch? {
    var copy = cistern_batch()
    guard unsafe take(given, into: &copy), copy.count <= UInt64(UInt32.max), copy.descendant_count <= UInt64(UInt32.max) else {
        return nil
    }
    return ReaderBatch(
        words: copy.words, tick: Tick(copy.tick), count: Int(copy.count), descendantCount: Int(copy.descendant_count))
}

/// `cistern_directory_event`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_event)
public func cisternDirectoryEvent(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?, _ batch: UnsafePointer<cistern_batch>?,
    _ index: UInt64, _ event: UnsafeMutablePointer<cistern_event>?
) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let event = unsafe event, let batch = unsafe taken(batch), index < UInt64(batch.count + batch.descendantCount) else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    guard named.directory.holds(named.reader, batch) else { return CISTERN_NOT_PINNED.rawValue }
    unsafe event.pointee = cistern_event(named.directory.event(batch, Int(index)))
    return CISTERN_OK.rawValue
}

/// `cistern_directory_descendants`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_descendants)
public func cisternDirectoryDescendants(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?, _ batch: UnsafePointer<cistern_batch>?,
    _ index: UInt64, _ first: UnsafeMutablePointer<UInt64>?, _ count: UnsafeMutablePointer<UInt64>?
) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let first = unsafe first, let count = unsafe count, let batch = unsafe taken(batch), index < UInt64(batch.count) else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    guard named.directory.holds(named.reader, batch) else { return CISTERN_NOT_PINNED.rawValue }
    let range = named.directory.descendants(batch, of: Int(index))
    unsafe first.pointee = UInt64(range.lowerBound)
    unsafe count.pointee = UInt64(range.count)
    return CISTERN_OK.rawValue
}

/// `cistern_directory_acknowledge`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_acknowledge)
public func cisternDirectoryAcknowledge(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?, _ batch: UnsafePointer<cistern_batch>?
) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let batch = unsafe taken(batch) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    switch named.directory.acknowledge(named.reader, batch.token) {
    case .accepted: return CISTERN_OK.rawValue
    case .repeated: return CISTERN_REPEATED.rawValue
    case .superseded: return CISTERN_SUPERSEDED.rawValue
    case .foreign: return CISTERN_FOREIGN_BATCH.rawValue
    case .expired: return CISTERN_EXPIRED.rawValue
    case .fixed: return CISTERN_FIXED_READER.rawValue
    }
}

/// `cistern_directory_baseline`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_baseline)
public func cisternDirectoryBaseline(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?, _ cursor: UnsafeMutablePointer<UInt32>?,
    _ events: UnsafeMutablePointer<cistern_event>?, _ capacity: Int, _ count: UnsafeMutablePointer<Int>?
) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let cursor = unsafe cursor, let events = unsafe events, let count = unsafe count, capacity > 0 else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    unsafe count.pointee = 0
    var page = InlineArray<32, RegionChange>(repeating: .placeholder)
    while unsafe count.pointee < capacity {
        var span = page.mutableSpan
        let room = unsafe min(32, capacity - count.pointee)
        var listed = 0
        do throws(DirectoryError) {
            listed = try unsafe span.withUnsafeMutableBufferPointer { buffer throws(DirectoryError) in
                try unsafe named.directory.baseline(
                    named.reader, cursor: &cursor.pointee, into: UnsafeMutableBufferPointer(rebasing: buffer[0..<room]))
            }
        } catch {
            return code(error)
        }
        guard listed > 0 else { break }
        for index in 0..<listed { unsafe events[count.pointee + index] = cistern_event(page[index]) }
        unsafe count.pointee += listed
    }
    return CISTERN_OK.rawValue
}

/// `cistern_directory_position`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_position)
public func cisternDirectoryPosition(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?, _ position: UnsafeMutablePointer<cistern_reader_position>?
) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let position = unsafe position else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe position.pointee = cistern_reader_position(named.directory.durableState(of: named.reader))
    return CISTERN_OK.rawValue
}

/// `cistern_directory_note_stored`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_note_stored)
public func cisternDirectoryNoteStored(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?, _ position: UnsafePointer<cistern_reader_position>?
) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let position = unsafe position, unsafe named.directory.noteStored(named.reader, DurableState(position.pointee)) else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    return CISTERN_OK.rawValue
}

/// `cistern_directory_detach`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_detach)
public func cisternDirectoryDetach(
    _ handle: OpaquePointer?, _ reader: UnsafePointer<cistern_directory_reader>?, _ position: UnsafeMutablePointer<cistern_reader_position>?
) -> UInt32 {
    guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let position = unsafe position else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe position.pointee = cistern_reader_position(named.directory.detach(named.reader))
    return CISTERN_OK.rawValue
}

/// `cistern_directory_forget`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_forget)
public func cisternDirectoryForget(_ handle: OpaquePointer?, _ position: UnsafePointer<cistern_reader_position>?) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let position = unsafe position, unsafe RegionDirectory(handle).forget(DurableState(position.pointee)) else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    return CISTERN_OK.rawValue
}

extension cistern_event {
    init(_ change: RegionChange) {
        self.init()
        tick = change.tick.number
        id = change.id.number
        kind = change.kind.rawValue
    }
}

extension cistern_reader_position {
    init(_ state: DurableState) {
        self.init()
        directory_identity = state.directoryIdentity
        reader_serial = UInt64(state.readerSerial)
        tick = state.tick.number
    }
}

extension DurableState {
    init(_ position: cistern_reader_position) {
        self.init(
            directoryIdentity: position.directory_identity, readerSerial: UInt32(truncatingIfNeeded: position.reader_serial),
            tick: Tick(position.tick))
    }
}
