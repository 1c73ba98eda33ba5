import HeapCore
import Ticks

// Safety: names are passed as the bytes of a local array, which lives as long as the call; buffers likewise.

/// A directory in a heap of its own.
final class TestDirectory {
    let heap: BoundedHeap
    let core: RegionDirectory
    /// Bytes that an empty directory asked for.
    let emptyBytes: UInt64

    init(_ capacityBytes: UInt64 = 16 << 20, _ options: DirectoryOptions = DirectoryOptions()) throws {
        heap = try BoundedHeap.create(HeapOptions(capacityBytes: capacityBytes))
        core = try RegionDirectory.create(in: heap, options)
        emptyBytes = core.statistics().totalBytes
    }

    /// Gives everything back; false when something is left in the heap.
    func close() -> Bool {
        core.destroy()
        let left = heap.statistics()
        let isEmpty = left.liveBlockCount == 0 && left.requestedBytes == 0 && heap.verify() == nil
        return heap.destroy() && isEmpty
    }

    var statistics: DirectoryStatistics { core.statistics() }
}

/// Counts how often each payload, from 1 on, is released.
final class ReleaseLog {
    private(set) var counts: [Int] = []

    /// For as long as the log lives.
    var context: UInt { UInt(bitPattern: unsafe Unmanaged.passUnretained(self).toOpaque()) }

    static let release: PayloadRelease = { context, payload in
        let log = unsafe Unmanaged<ReleaseLog>.fromOpaque(UnsafeRawPointer(bitPattern: context)!).takeUnretainedValue()
        while log.counts.count < payload { log.counts.append(0) }
        log.counts[Int(payload) - 1] += 1
    }
}

extension RegionDirectory {
    func make(_ name: [UInt8], parent: RegionID = .none, payload: UInt64 = 0) throws(DirectoryError) -> RegionID {
        let result: Result<RegionID, DirectoryError> = unsafe name.withUnsafeBytes { bytes in
            do throws(DirectoryError) { return .success(unsafe try create(bytes, parent: parent, payload: payload)) } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    func make(_ name: String, parent: RegionID = .none, payload: UInt64 = 0) throws(DirectoryError) -> RegionID {
        try make(Array(name.utf8), parent: parent, payload: payload)
    }

    /// The directory's image, in just the room that it takes.
    func image() throws(ImageError) -> [UInt8] {
        var image = [UInt8](repeating: 0, count: imageByteCount())
        let result: Result<Int, ImageError> = unsafe image.withUnsafeMutableBytes { bytes in
            do throws(ImageError) { return .success(unsafe try writeImage(into: bytes)) } catch { return .failure(error) }
        }
        image.removeSubrange(try result.get()...)
        return image
    }

    static func reopened(_ image: [UInt8], in heap: BoundedHeap, _ log: ReleaseLog? = nil) throws(ImageError) -> RegionDirectory {
        let result: Result<RegionDirectory, ImageError> = unsafe image.withUnsafeBytes { bytes in
            do throws(ImageError) {
                let release = log == nil ? nil : ReleaseLog.release
                return .success(unsafe try reopen(bytes, in: heap, release: release, releaseContext: log?.context ?? 0))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    func find(_ name: String) -> RegionID? { unsafe Array(name.utf8).withUnsafeBytes { unsafe lookUp($0) } }

    func name(of id: RegionID) -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe copyName(of: id, into: $0) }
        return count.map { String(decoding: bytes.prefix($0), as: UTF8.self) }
    }

    func owners(of id: RegionID) -> [RegionID] {
        var owners: [RegionID] = []
        forEachOwner(of: id) { owners.append($0) }
        return owners
    }

    /// Everything that was alive where a reader is.
    func baseline(_ reader: ReaderHandle, page: Int = 16) throws(DirectoryError) -> [RegionID] {
        var found: [RegionID] = []
        var cursor: UInt32 = 0
        var buffer = [RegionChange](repeating: RegionChange.placeholder, count: page)
        while true {
            var result: Result<Int, DirectoryError> = .success(0)
            unsafe buffer.withUnsafeMutableBufferPointer { buffer in
                do throws(DirectoryError) {
                    result = .success(unsafe try baseline(reader, cursor: &cursor, into: buffer))
                } catch { result = .failure(error) }
            }
            let count = try result.get()
            if count == 0 { return found }
            for change in buffer.prefix(count) { found.append(change.id) }
        }
    }

    /// The events of a batch, descendants last.
    func events(_ batch: ReaderBatch) -> [RegionChange] {
        (0..<(batch.count + batch.descendantCount)).map { event(batch, $0) }
    }

    /// Polls and expects changes.
    func changes(_ reader: ReaderHandle) throws -> (events: [RegionChange], token: BatchToken) {
        switch try poll(reader) {
        case .changes(let batch): return (events(batch), batch.token)
        case .resync(let resync): throw Unexpected(text: "resync: \(resync)")
        }
    }

    func changes(since tick: Tick) throws(DirectoryError) -> [RegionChange] {
        var buffer = [RegionChange](repeating: RegionChange.placeholder, count: 4096)
        var result: Result<Int, DirectoryError> = .success(0)
        unsafe buffer.withUnsafeMutableBufferPointer { buffer in
            do throws(DirectoryError) { result = .success(unsafe try changes(since: tick, into: buffer)) } catch {
                result = .failure(error)
            }
        }
        return Array(buffer.prefix(try result.get()))
    }
}

struct Unexpected: Error {
    let text: String
}

/// The result of a call, for those who look at its error.
func attempt<Value>(_ call: () throws(DirectoryError) -> Value) -> Result<Value, DirectoryError> {
    do throws(DirectoryError) { return .success(try call()) } catch { return .failure(error) }
}
