import CCistern
import HeapCore
import Regions
import Ticks

// The functions of cistern_directory.h about named regions with memory of their own.
//
// Safety: handles, names and places are the caller's, valid for the call, as cistern_directory.h says.

/// A region of the caller's that the directory is to have, or a new one.
private func owned(
    _ handle: OpaquePointer?, by directory: RegionDirectory
) -> (region: BoundedRegion?, status: UInt32) {
    guard let handle = unsafe handle else {
        let opened = directory.heap.openRegion(RegionOptions(isOwned: true))
        return (opened, opened == nil ? CISTERN_EXHAUSTED.rawValue : CISTERN_OK.rawValue)
    }
    let given = unsafe BoundedRegion(handle)
    let status = given.claim()
    return (status == .done ? given : nil, code(status))
}

/// `cistern_directory_add_region`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_add_region)
public func cisternDirectoryAddRegion(
    _ handle: OpaquePointer?, _ name: UnsafeRawPointer?, _ nameByteCount: Int, _ parent: UInt64,
    _ region: UnsafeMutablePointer<OpaquePointer?>?, _ payload: UInt64, _ id: UnsafeMutablePointer<UInt64>?
) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard let id = unsafe id, let region = unsafe region, unsafe isText(name, nameByteCount) else {
        return CISTERN_INVALID_ARGUMENT.rawValue
    }
    unsafe id.pointee = 0
    let directory = unsafe RegionDirectory(handle)
    let (memory, status) = unsafe owned(region.pointee, by: directory)
    guard let memory else { return status }
    do throws(DirectoryError) {
        let bytes = unsafe UnsafeRawBufferPointer(start: name, count: nameByteCount)
        unsafe id.pointee = try directory.create(bytes, parent: RegionID(parent), owning: memory, payload: payload).number
        unsafe region.pointee = memory.handle
        return CISTERN_OK.rawValue
    } catch {
        if unsafe region.pointee == nil { memory.dispose() } else { memory.unclaim() }
        if case .nameTaken(let taken) = error { unsafe id.pointee = taken.number }
        return code(error)
    }
}

/// `cistern_directory_replace_region`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_replace_region)
public func cisternDirectoryReplaceRegion(_ handle: OpaquePointer?, _ id: UInt64, _ region: OpaquePointer?, _ payload: UInt64) -> UInt32 {
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    guard unsafe region != nil else { return CISTERN_INVALID_ARGUMENT.rawValue }
    let directory = unsafe RegionDirectory(handle)
    let (memory, status) = unsafe owned(region, by: directory)
    guard let memory else { return status }
    do throws(DirectoryError) {
        try directory.replace(RegionID(id), owning: memory, payload: payload)
        return CISTERN_OK.rawValue
    } catch {
        memory.unclaim()
        return code(error)
    }
}

/// `cistern_directory_region`; cistern_directory.h says what it does and what can fail.
@c(cistern_directory_region)
public func cisternDirectoryRegion(
    _ handle: OpaquePointer?, _ id: UInt64, _ reader: UnsafePointer<cistern_directory_reader>?,
    _ region: UnsafeMutablePointer<OpaquePointer?>?, _ payload: UnsafeMutablePointer<UInt64>?
) -> UInt32 {
    unsafe region?.pointee = nil
    unsafe payload?.pointee = 0
    guard let handle = unsafe handle else { return CISTERN_INVALID_HANDLE.rawValue }
    var snapshot: ReaderHandle?
    if unsafe reader != nil {
        guard let named = unsafe named(handle, reader) else { return CISTERN_INVALID_HANDLE.rawValue }
        snapshot = named.reader
    }
    do throws(DirectoryError) {
        let found = try unsafe RegionDirectory(handle).content(of: RegionID(id), at: snapshot)
        unsafe region?.pointee = found.region.handle
        unsafe payload?.pointee = found.payload
        return CISTERN_OK.rawValue
    } catch {
        return code(error)
    }
}
