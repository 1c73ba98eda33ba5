import CCistern
import CTicks
import HeapCore
import Ticks

// The functions of cistern_directory.h about names, boundaries and accounting.
//
// Safety: handles, names and structs are the caller's, valid for the call, as cistern_directory.h says.

extension RegionDirectory {
    init(_ handle: OpaquePointer) {
        unsafe self.init(headerPointer: UnsafeMutablePointer<CTicks.cistern_directory>(handle))
    }

    var handle: OpaquePointer { unsafe OpaquePointer(headerPointer) }
}

extension RegionID {
    init(_ id: UInt64) {
        self.init(slot: UInt32(truncatingIfNeeded: id), generation: UInt32(truncatingIfNeeded: id >> 32))
    }

    var number: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}

/// The status of cistern.h that an error of the core is.
func code(_ error: DirectoryError) -> UInt32 {
    switch error {
    case .outOfCapacity: CISTERN_EXHAUSTED.rawValue
    case .nameTooLong: CISTERN_NAME_TOO_LONG.rawValue
    case .nameTaken: CISTERN_NAME_TAKEN.rawValue
    case .unknownRegion: CISTERN_UNKNOWN_REGION.rawValue
    case .removedRegion: CISTERN_REGION_REMOVED.rawValue
    case .retentionExhausted: CISTERN_RETENTION_EXHAUSTED.rawValue
    case .tickExhausted: CISTERN_TICK_EXHAUSTED.rawValue
    case .tooManySnapshots: CISTERN_TOO_MANY_SNAPSHOTS.rawValue
    case .notPinned: CISTERN_NOT_PINNED.rawValue
    case .ownerTooYoung: CISTERN_OWNER_TOO_YOUNG.rawValue
    case .alreadyOwner: CISTERN_ALREADY_OWNER.rawValue
    case .notOwner: CISTERN_NOT_OWNER.rawValue
    case .noRegion: CISTERN_NO_REGION.rawValue
    // C has no accesses and no typed roots.
    case .regionInUse, .regionPinned: CISTERN_REGION_BUSY.rawValue
    case .invalidRegion, .otherRoot: CISTERN_INVALID_ARGUMENT.rawValue
    }
}

extension ReaderLimits {
    /// 0 is no bound.
    init(_ given: cistern_directory_limits) {
        self.init()
        if given.lag_ticks != 0 { lagTicks = given.lag_ticks }
        if given.held_count != 0 { heldCount = given.held_count }
        if given.held_bytes != 0 { heldBytes = given.held_bytes }
        if given.age != 0 { age = given.age }
    }
}

private func directoryOptions(_ given: UnsafePointer<cistern_directory_options>?) -> DirectoryOptions? {
    var options = DirectoryOptions()
    guard let given = unsafe given else { return options }
    var copy = cistern_directory_options()
    guard unsafe take(given, into: &copy), let policy = RetentionPolicy(rawValue: copy.policy), copy.retention <= 1 else { return nil }
    let reserved = copy.reserved
    guard reserved.0 | reserved.1 | reserved.2 | reserved.3 | reserved.4 | reserved.5 == 0 else { return nil }
    options.mode = copy.retention == UInt32(CISTERN_RETAIN_HORIZON) ? .horizon : .interval
    options.policy = policy
    options.readerLimits = ReaderLimits(copy.reader_limits)
    if copy.held_count_limit != 0 { options.heldCountLimit = copy.held_count_limit }
    if copy.held_bytes_limit != 0 { options.heldBytesLimit = copy.held_bytes_limit }
    options.hashSeed = copy.hash_seed
    if copy.first_tick != 0 { options.firstTick = Tick(copy.first_tick) }
    options.release = copy.release
    options.releaseContext = copy.release_context
    options.keepsLastValue = copy.keeps_last_value
    options.isChecked = copy.checked
    return options
}

/// `cistern_directory_create`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_create)
public func cisternDirectoryCreate(
    _ handle: OpaquePointer?, _ options: UnsafePointer<cistern_directory_options>?, _ directory: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    guard let directory = unsafe directory else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe directory.pointee = nil
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let options = unsafe directoryOptions(options) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    do throws(DirectoryError) {
        let made = try RegionDirectory.create(in: heap, options)
        unsafe directory.pointee = made.handle
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}

/// `cistern_directory_destroy`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_destroy)
public func cisternDirectoryDestroy(_ handle: OpaquePointer?) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    unsafe RegionDirectory(handle).destroy()
    return CISTERN_OK.rawValue
}

/// `cistern_directory_add`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_add)
public func cisternDirectoryAdd(
    _ handle: OpaquePointer?, _ name: UnsafeRawPointer?, _ nameByteCount: Int, _ parent: UInt64, _ payload: UInt64,
    _ id: UnsafeMutablePointer<UInt64>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let id = unsafe id, unsafe isText(name, nameByteCount) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe id.pointee = 0
    do throws(DirectoryError) {
        let bytes = unsafe UnsafeRawBufferPointer(start: name, count: nameByteCount)
        unsafe id.pointee = try RegionDirectory(handle).create(bytes, parent: RegionID(parent), payload: payload).number
        return CISTERN_OK.rawValue
    } catch {
        if case .nameTaken(let taken) = error { unsafe id.pointee = taken.number }
        return code(error)
    }
}

func isText(_ start: UnsafeRawPointer?, _ byteCount: Int) -> Bool { unsafe byteCount >= 0 && (start != nil || byteCount == 0) }

/// `cistern_directory_mark_changed`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_mark_changed)
public func cisternDirectoryMarkChanged(_ handle: OpaquePointer?, _ id: UInt64) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    do throws(DirectoryError) {
        try unsafe RegionDirectory(handle).markChanged(RegionID(id))
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}

/// `cistern_directory_remove`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_remove)
public func cisternDirectoryRemove(_ handle: OpaquePointer?, _ id: UInt64, _ count: UnsafeMutablePointer<UInt64>?) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    unsafe count?.pointee = 0
    do throws(DirectoryError) {
        let removed = try unsafe RegionDirectory(handle).remove(RegionID(id))
        unsafe count?.pointee = removed
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}

/// `cistern_directory_add_owner`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_add_owner)
public func cisternDirectoryAddOwner(_ handle: OpaquePointer?, _ owner: UInt64, _ child: UInt64) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    do throws(DirectoryError) {
        try unsafe RegionDirectory(handle).addOwner(RegionID(owner), of: RegionID(child))
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}

/// `cistern_directory_remove_owner`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_remove_owner)
public func cisternDirectoryRemoveOwner(
    _ handle: OpaquePointer?, _ owner: UInt64, _ child: UInt64, _ isOwned: UnsafeMutablePointer<Bool>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    do throws(DirectoryError) {
        let isLeft = try unsafe RegionDirectory(handle).removeOwner(RegionID(owner), of: RegionID(child))
        unsafe isOwned?.pointee = isLeft
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}

/// `cistern_directory_copy_owners`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_copy_owners)
public func cisternDirectoryCopyOwners(
    _ handle: OpaquePointer?, _ id: UInt64, _ owners: UnsafeMutablePointer<UInt64>?, _ capacity: Int
) -> Int {
    guard let handle = unsafe handle else { return 0 }
    let room = unsafe owners == nil ? 0 : max(capacity, 0)
    var count = 0
    unsafe RegionDirectory(handle).forEachOwner(of: RegionID(id)) { owner in
        if count < room { unsafe owners?[count] = owner.number }
        count += 1
    }
    return count
}

/// `cistern_directory_look_up`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_look_up)
public func cisternDirectoryLookUp(_ handle: OpaquePointer?, _ name: UnsafeRawPointer?, _ nameByteCount: Int) -> UInt64 {
    guard let handle = unsafe handle, unsafe isText(name, nameByteCount), nameByteCount <= CISTERN_NAME_MOST_BYTES else { return 0 }
    return unsafe RegionDirectory(handle).lookUp(UnsafeRawBufferPointer(start: name, count: nameByteCount))?.number ?? 0
}

/// `cistern_directory_read_name`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_read_name)
public func cisternDirectoryReadName(_ handle: OpaquePointer?, _ id: UInt64, _ status: UnsafeMutablePointer<cistern_name_status>?) -> UInt32
{
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe isSized(status) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let directory = unsafe RegionDirectory(handle)
    var result = cistern_name_status()
    switch directory.status(of: RegionID(id)) {
    case .alive(let birth, let lastChange):
        result.birth = birth.number
        result.last_change = lastChange.number
    case .removed(let tick): result.removed_at = tick.number
    case .unknown: return CISTERN_UNKNOWN_REGION.rawValue
    }
    result.parent = directory.parent(of: RegionID(id)).number
    result.payload = directory.payload(of: RegionID(id)) ?? 0
    let nothing = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    result.name_byte_count = UInt64(unsafe directory.copyName(of: RegionID(id), into: nothing) ?? 0)
    unsafe give(&result, to: status)
    return CISTERN_OK.rawValue
}

/// `cistern_directory_copy_name`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_copy_name)
public func cisternDirectoryCopyName(_ handle: OpaquePointer?, _ id: UInt64, _ name: UnsafeMutableRawPointer?, _ capacity: Int) -> Int {
    guard let handle = unsafe handle else { return 0 }
    let room = unsafe name == nil ? 0 : max(capacity, 0)
    let buffer = unsafe UnsafeMutableRawBufferPointer(start: name, count: room)
    return unsafe RegionDirectory(handle).copyName(of: RegionID(id), into: buffer) ?? 0
}

/// `cistern_directory_set_payload`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_set_payload)
public func cisternDirectorySetPayload(
    _ handle: OpaquePointer?, _ id: UInt64, _ payload: UInt64, _ old: UnsafeMutablePointer<UInt64>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    do throws(DirectoryError) {
        let before = try unsafe RegionDirectory(handle).setPayload(payload, of: RegionID(id))
        unsafe old?.pointee = before
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}

/// `cistern_directory_open_tick`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_open_tick)
public func cisternDirectoryOpenTick(_ handle: OpaquePointer?) -> UInt64 {
    guard let handle = unsafe handle else { return 0 }
    return unsafe RegionDirectory(handle).openTick.number
}

/// `cistern_directory_seal`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_seal)
public func cisternDirectorySeal(
    _ handle: OpaquePointer?, _ budget: UInt64, _ time: UInt64, _ report: UnsafeMutablePointer<cistern_seal_report>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe report == nil || isSized(report) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    do throws(DirectoryError) {
        let sealed = try unsafe RegionDirectory(handle).seal(budget: budget == .max ? nil : budget, time: time)
        var result = cistern_seal_report()
        result.tick = sealed.tick.number
        result.removed_count = sealed.stagedCount
        result.annihilated_count = sealed.annihilatedCount
        result.retained_count = sealed.retainedCount
        result.purged_count = sealed.purgedCount
        result.backlog_count = sealed.backlogCount
        result.touched_count = sealed.touchedCount
        result.lagging_count = sealed.laggingCount
        result.expired_count = sealed.expiredCount
        unsafe give(&result, to: report)
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}

/// `cistern_directory_maintain`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_maintain)
public func cisternDirectoryMaintain(_ handle: OpaquePointer?, _ budget: UInt64) -> UInt64 {
    guard let handle = unsafe handle else { return 0 }
    return unsafe RegionDirectory(handle).maintain(budget: budget)
}

/// `cistern_directory_verify`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_verify)
public func cisternDirectoryVerify(_ handle: OpaquePointer?) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    return unsafe RegionDirectory(handle).verify() == nil ? CISTERN_OK.rawValue : CISTERN_INCONSISTENT.rawValue
}

/// `cistern_directory_read_statistics`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_read_statistics)
public func cisternDirectoryReadStatistics(
    _ handle: OpaquePointer?, _ statistics: UnsafeMutablePointer<cistern_directory_statistics>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe isSized(statistics) else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let read = unsafe RegionDirectory(handle).statistics()
    var result = cistern_directory_statistics()
    result.open_tick = read.openTick.number
    result.floor = read.floor.number
    result.horizon = read.horizon.number
    result.live_count = read.liveCount
    result.tombstone_count = read.tombstoneCount
    result.tombstone_bytes = read.tombstoneBytes
    result.staged_count = read.stagedCount
    result.backlog_count = read.backlogCount
    result.born_total = read.bornTotal
    result.annihilated_total = read.annihilatedTotal
    result.purged_total = read.purgedTotal
    result.expired_total = read.expiredTotal
    result.resync_total = read.resyncTotal
    result.reader_count = read.readerCount
    result.total_bytes = read.totalBytes
    result.name_bytes = read.nameBytes
    result.batch_bytes = read.batchBytes
    result.reader_bytes = read.readerBytes
    result.owner_bytes = read.ownerBytes
    result.owned_region_count = read.ownedRegionCount
    unsafe give(&result, to: statistics)
    return CISTERN_OK.rawValue
}
