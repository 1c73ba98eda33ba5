import HeapCore
import Ticks

// Safety: buffers and names live as long as the call that they are given to.

/// Saving a directory as plain bytes, and making one of them: names, ids, tombstones, removals of the open tick, durable
/// subscriptions. Subscriptions that are not durable, pins, and batches that are not acknowledged are not in it; nor is the memory
/// of named regions, which are in it as regions without any, with payload 0, to be removed and made anew.
///
/// A host that stores images writes one at any time, makes its bytes durable, and only then calls `Subscription.noteStored` for the
/// durable subscriptions whose positions are stored in nothing else, with the states taken before it wrote the image. After reopening it
/// gives the payloads that mean something today (`replacePayloads`), and takes the subscriptions up (`resume`) or forgets them.
extension Directory {
    /// The directory as it is now, in the middle of a tick too. The same state gives the same bytes.
    ///
    /// - Throws: nothing but what an image larger than any array would need.
    /// - Complexity: proportional to what the directory holds, which is locked meanwhile.
    public func image() throws(ImageError) -> [UInt8] { try image(room: core.imageByteCount()) }

    /// The image, tried first in so many bytes.
    func image(room: Int) throws(ImageError) -> [UInt8] {
        var room = room
        while true {
            var result = Result<Int, ImageError>.success(0)
            let image = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                result = unsafe written(UnsafeMutableRawBufferPointer(buffer))
                count = (try? result.get()) ?? 0
            }
            guard case .failure(let error) = result else { return image }
            // Another thread has made it larger.
            guard case .bufferTooSmall(let byteCount) = error else { throw error }
            room = byteCount
        }
    }

    private func written(_ buffer: UnsafeMutableRawBufferPointer) -> Result<Int, ImageError> {
        do throws(ImageError) { return .success(unsafe try core.writeImage(into: buffer)) } catch { return .failure(error) }
    }

    /// Makes a directory of an image, in any heap. The image can be damaged, or an enemy's.
    ///
    /// - Parameters:
    ///   - image: all bytes of it, such as `array.span`.
    ///   - release: receives payloads that are not needed any more; called for none before this returns.
    ///   - releaseContext: passed to `release` as it is.
    /// - Throws: `damaged`, with what is wrong at which byte; `outOfCapacity`. Nothing is left behind.
    /// - Complexity: linear in the image, and in the chunks up to the greatest slot number.
    public convenience init(
        in heap: Heap, reopening image: Span<UInt8>, release: PayloadRelease? = nil, releaseContext: UInt = 0
    ) throws(ImageError) {
        let result: Result<RegionDirectory, ImageError> = unsafe image.withUnsafeBytes { bytes in
            do throws(ImageError) {
                return .success(unsafe try RegionDirectory.reopen(bytes, in: heap.core, release: release, releaseContext: releaseContext))
            } catch { return .failure(error) }
        }
        self.init(try result.get(), in: heap)
    }

    /// Where the durable subscriptions are that nobody has taken up: after reopening all of them, in the order in which they began.
    public var detachedStates: [DurableState] {
        var states: [DurableState] = []
        while let next = core.detachedState(after: states.last?.readerSerial ?? 0) { states.append(next) }
        return states
    }

    /// Gives each region that still has a payload another one, removed regions among them. Releases none, marks nothing as changed. Of a
    /// region with memory it is the newest content's; those before it, which only snapshots see, keep theirs.
    ///
    /// - Parameter replacement: given id, name and payload; what it returns is the payload from now on, 0 for none. It runs with the
    ///   directory locked: it must not call the directory.
    public func replacePayloads(_ replacement: (RegionID, String, UInt64) -> UInt64) {
        unsafe core.replacePayloads { id, name, payload in replacement(id, unsafe String(decoding: name, as: UTF8.self), payload) }
    }

    /// Releases no payload from now on, at the end neither: those that an image has are its.
    public func keepPayloads() { core.keepPayloads() }
}
