import CCistern
import HeapCore
import Ticks

// The functions of cistern_directory.h about images.
//
// Safety: handles, buffers and structs are the caller's, valid for the call, as cistern_directory.h says.

private func code(_ error: ImageError) -> UInt32 {
    switch error {
    case .outOfCapacity: CISTERN_EXHAUSTED.rawValue
    case .bufferTooSmall: CISTERN_BUFFER_TOO_SMALL.rawValue
    case .damaged(.notAnImage, _): CISTERN_NOT_AN_IMAGE.rawValue
    case .damaged(.unknownVersion, _): CISTERN_IMAGE_VERSION.rawValue
    case .damaged: CISTERN_IMAGE_DAMAGED.rawValue
    }
}

/// `cistern_directory_image_byte_count`; cistern_directory.h says what it does.
@c(cistern_directory_image_byte_count)
public func cisternDirectoryImageByteCount(_ handle: OpaquePointer?) -> Int {
    guard let handle = unsafe handle else { return 0 }
    return unsafe RegionDirectory(handle).imageByteCount()
}

/// `cistern_directory_write_image`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_write_image)
public func cisternDirectoryWriteImage(
    _ handle: OpaquePointer?, _ image: UnsafeMutableRawPointer?, _ capacity: Int, _ byteCount: UnsafeMutablePointer<Int>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let byteCount = unsafe byteCount else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe byteCount.pointee = 0
    guard capacity >= 0, unsafe image != nil || capacity == 0 else { return CISTERN_INVALID_ARGUMENT.rawValue }
    do throws(ImageError) {
        let buffer = unsafe UnsafeMutableRawBufferPointer(start: image, count: capacity)
        unsafe byteCount.pointee = try RegionDirectory(handle).writeImage(into: buffer)
        return CISTERN_OK.rawValue
    } catch {
        if case .bufferTooSmall(let needed) = error { unsafe byteCount.pointee = needed }
        return code(error)
    }
}

/// `cistern_directory_reopen`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_reopen)
public func cisternDirectoryReopen(
    _ handle: OpaquePointer?, _ image: UnsafeRawPointer?, _ byteCount: Int, _ options: UnsafePointer<cistern_reopen_options>?,
    _ directory: UnsafeMutablePointer<OpaquePointer?>?, _ damage: UnsafeMutablePointer<cistern_image_damage>?
) -> UInt32 {
    guard let directory = unsafe directory else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe directory.pointee = nil
    guard let heap = unsafe BoundedHeap.alive(handle) else { return CISTERN_INVALID_HANDLE.rawValue }
    var given = cistern_reopen_options()
    guard byteCount >= 0, unsafe image != nil || byteCount == 0, unsafe options == nil || take(options, into: &given),
        unsafe damage == nil || isSized(damage)
    else { return CISTERN_INVALID_ARGUMENT.rawValue }
    var found = cistern_image_damage()
    unsafe give(&found, to: damage)
    do throws(ImageError) {
        let bytes = unsafe UnsafeRawBufferPointer(start: image, count: byteCount)
        let made = unsafe try RegionDirectory.reopen(
            bytes, in: heap, release: given.release, releaseContext: UInt(given.release_context), hashSeed: given.hash_seed)
        unsafe directory.pointee = made.handle
        return CISTERN_OK.rawValue
    } catch {
        if case .damaged(let kind, let offset) = error {
            found.kind = kind.rawValue
            found.byte_offset = UInt64(offset)
            unsafe give(&found, to: damage)
        }
        return code(error)
    }
}

/// `cistern_directory_keep_payloads`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_keep_payloads)
public func cisternDirectoryKeepPayloads(_ handle: OpaquePointer?) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    unsafe RegionDirectory(handle).keepPayloads()
    return CISTERN_OK.rawValue
}

/// `cistern_directory_replace_payloads`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_replace_payloads)
public func cisternDirectoryReplacePayloads(
    _ handle: OpaquePointer?, _ context: UInt, _ replacement: cistern_payload_replacement?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let replacement = unsafe replacement else { return CISTERN_INVALID_ARGUMENT.rawValue }
    unsafe RegionDirectory(handle).replacePayloads { id, name, payload in
        unsafe replacement(context, id.number, name.baseAddress, name.count, payload)
    }
    return CISTERN_OK.rawValue
}

/// `cistern_directory_next_detached`; cistern_directory.h says what it does.
@c(cistern_directory_next_detached)
public func cisternDirectoryNextDetached(
    _ handle: OpaquePointer?, _ afterSerial: UInt64, _ position: UnsafeMutablePointer<cistern_reader_position>?
) -> Bool {
    guard let handle = unsafe handle, let position = unsafe position, let serial = UInt32(exactly: afterSerial),
        let state = unsafe RegionDirectory(handle).detachedState(after: serial)
    else { return false }
    unsafe position.pointee = cistern_reader_position(state)
    return true
}
