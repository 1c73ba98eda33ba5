import HeapCore
import Testing

@testable import Ticks

// Safety: blocks that fill a heap are handed back to it and never looked at; names are read where they are given.

extension TickSuites {
    /// The image of a directory, sound and damaged. That what comes out of it equals what went in, ModelTests say.
    @Suite struct ImageTests {
        /// Some of everything that an image can hold: a family, tombstones with and without a content, removals of the open tick that
        /// took a child along, durable readers with pins of all three kinds and limits, two lives.
        private func everything(in heap: BoundedHeap) throws -> [UInt8] {
            var options = DirectoryOptions()
            options.keepsLastValue = true
            options.hashSeed = 5
            var core = try RegionDirectory.create(in: heap, options)
            let parent = try core.make("parent", payload: 1)
            _ = try core.make("child", parent: parent, payload: 2)
            let tomb = try core.make("tomb", payload: 3)
            _ = try core.make("below", parent: tomb)
            let family = try core.make("family", payload: 4)
            _ = try core.make("member", parent: family)
            let other = try core.make("other")
            let shared = try core.make("shared", parent: parent)
            try core.addOwner(family, of: shared)
            try core.addOwner(other, of: shared)
            try core.addOwner(parent, of: other)
            try core.seal()
            var limited = ReaderOptions(isDurable: true)
            limited.limits = ReaderLimits()
            limited.limits?.lagTicks = 100
            let reader = try core.attach(limited)
            _ = try core.attach(ReaderOptions(isDurable: true))
            #expect(core.noteStored(reader, core.durableState(of: reader)))
            try core.remove(tomb)
            try core.seal()
            _ = core.acknowledge(reader, try core.changes(reader).token)
            let image = try core.image()
            core.keepPayloads()
            core.destroy()
            core = try RegionDirectory.reopened(image, in: heap)
            try core.markChanged(parent)
            try core.seal()
            let again = try core.resume(try #require(core.detachedState(after: 0)), limits: limited.limits).reader
            _ = try core.poll(again)
            try core.remove(family)
            _ = try core.make("family", payload: 5)
            let last = try core.image()
            core.destroy()
            return last
        }

        /// Uses whatever is there, and takes it down.
        private func use(_ core: RegionDirectory) throws {
            #expect(core.verify() == nil)
            var serial: UInt32 = 0
            while let state = core.detachedState(after: serial) {
                #expect(state.readerSerial > serial)
                serial = state.readerSerial
                let reader = try core.resume(state).reader
                for id in try core.baseline(reader) { #expect(core.name(of: id) != nil) }
                if case .changes(let batch) = try core.poll(reader) {
                    for event in core.events(batch) {
                        var (id, steps) = (event.id, 0)
                        while id != .none, steps < 1000 { (id, steps) = (core.parent(of: id), steps + 1) }
                        #expect(steps < 1000)
                    }
                }
            }
            if attempt({ () throws(DirectoryError) in try core.seal(budget: 1) }) == .failure(.tickExhausted) { return core.destroy() }
            #expect(core.verify() == nil)
            _ = try core.make("one more")
            _ = try? core.seal(budget: .max)
            #expect(core.verify() == nil)
            core.destroy()
        }

        @Test func whatIsWrittenIsRead() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20))
            defer { #expect(heap.destroy()) }
            let image = try everything(in: heap)
            let core = try RegionDirectory.reopened(image, in: heap)
            #expect(core.imageByteCount() == image.count)
            #expect(try core.image() == image)
            let now = core.statistics()
            #expect(now.liveCount == 5 && now.ownerBytes == 40 && now.stagedCount == 2 && now.tombstoneCount == 2 && now.readerCount == 2)
            #expect(now.bornTotal == 9 && now.openTick == Tick(4))
            #expect(core.find("child").map { core.parent(of: $0) } == core.find("parent"))
            let owners = core.find("shared").map { core.owners(of: $0).map { core.name(of: $0) } }
            #expect(owners == ["parent", "other"])
            #expect(core.find("family").flatMap { core.payload(of: $0) } == 5)
            try use(core)
            #expect(heap.statistics().liveBlockCount == 0)
            var buffer = [UInt8](repeating: 0, count: image.count - 1)
            let other = try RegionDirectory.reopened(image, in: heap)
            #expect(throws: ImageError.bufferTooSmall(byteCount: image.count)) {
                _ = unsafe try buffer.withUnsafeMutableBytes { unsafe try other.writeImage(into: $0) }
            }
            other.destroy()
        }

        /// Every shorter image is refused, and so is one that is longer.
        @Test func everyTruncationIsRefused() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20))
            defer { #expect(heap.destroy()) }
            let image = try everything(in: heap)
            for count in 0..<image.count {
                let cut = Array(image.prefix(count))
                guard case .damaged(.truncated, let offset) = try refusal(cut, in: heap) else { throw Unexpected(text: "cut at \(count)") }
                #expect(offset <= count)
                // Also where the frame was made to fit.
                if count >= 32 { #expect(throws: ImageError.self) { try RegionDirectory.reopened(framed(cut), in: heap) } }
            }
            #expect(throws: ImageError.damaged(.trailingBytes, byteOffset: image.count)) {
                try RegionDirectory.reopened(image + [0], in: heap)
            }
            #expect(throws: ImageError.self) { try RegionDirectory.reopened(framed(image + [0]), in: heap) }
            #expect(heap.statistics().liveBlockCount == 0)
        }

        /// Gives bytes the length and the checksum that they would have been written with.
        private func framed(_ bytes: [UInt8]) -> [UInt8] {
            var bytes = bytes
            let end = bytes.count - 8
            for index in 0..<8 { bytes[16 + index] = UInt8(truncatingIfNeeded: bytes.count >> (8 * index)) }
            let sum = unsafe bytes.withUnsafeBytes { unsafe ImageFormat.checksum(UnsafeRawBufferPointer(rebasing: $0[..<end])) }
            for index in 0..<8 { bytes[end + index] = UInt8(truncatingIfNeeded: sum >> (8 * UInt64(index))) }
            return bytes
        }

        private func refusal(_ image: [UInt8], in heap: BoundedHeap) throws -> ImageError {
            do throws(ImageError) { try RegionDirectory.reopened(image, in: heap).destroy() } catch { return error }
            throw Unexpected(text: "not refused")
        }

        @Test func everyDamagedByteIsFound() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 4 << 20))
            defer { #expect(heap.destroy()) }
            let image = try everything(in: heap)
            for index in image.indices {
                var damaged = image
                damaged[index] ^= UInt8(1) << (index % 8)
                let said = try refusal(damaged, in: heap)
                switch index {
                case 0..<8: #expect(said == .damaged(.notAnImage, byteOffset: 0))
                case 8..<12: #expect(said == .damaged(.unknownVersion, byteOffset: 8))
                case 16..<24: #expect(said == .damaged(.truncated, byteOffset: image.count) || "\(said)".contains("trailingBytes"))
                default: #expect(said == .damaged(.checksum, byteOffset: image.count - 8))
                }
            }
            #expect(heap.statistics().liveBlockCount == 0)
        }

        /// With a checksum that fits, what the fields say is all that there is to go by: an error at an offset in the image, or a
        /// directory that is sound and can be used.
        @Test func everyFieldIsChecked() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 2 << 20))
            defer { #expect(heap.destroy()) }
            let image = try everything(in: heap)
            var kinds: Set<ImageDamage> = []
            var soundCount = 0
            // A third of the bytes, from every place in a word, when time is short.
            for index in stride(from: 0, to: image.count - 8, by: isSmall && !isOptimised ? 3 : 1) {
                let (byte, isShort) = (image[index], !isOptimised && index % 4 != 0)
                for value in isShort ? [byte ^ 1, 0xFF] : [byte ^ 1, byte ^ 2, byte ^ 4, byte ^ 0x80, byte &+ 1, 0, 0xFF] {
                    var damaged = image
                    damaged[index] = value
                    var sound: RegionDirectory?
                    do throws(ImageError) { sound = try RegionDirectory.reopened(framed(damaged), in: heap) } catch {
                        if case .damaged(let kind, let offset) = error {
                            kinds.insert(kind)
                            #expect(offset >= 0 && offset <= image.count)
                        }
                    }
                    if let sound {
                        soundCount += 1
                        try use(sound)
                    }
                    #expect(heap.statistics().liveBlockCount == 0, "byte \(index) as \(value)")
                }
            }
            #expect(soundCount > 0)
            for raw in 1...14 {
                let kind = try #require(ImageDamage(rawValue: UInt32(raw)))
                // Those two are about the frame.
                #expect(kinds.contains(kind) || kind == .checksum || kind == .trailingBytes, "\(kind) was never found")
            }
        }

        /// Many bytes at once, and pieces out of place.
        @Test func noMixOfBytesTraps() throws {
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 2 << 20))
            defer { #expect(heap.destroy()) }
            let image = try everything(in: heap)
            var random = Random(seed: 11)
            for _ in 0..<(isOptimised ? 20_000 : scaled(1000)) {
                var mixed = image
                for _ in 0..<(1 + random.below(6)) {
                    let count = 1 + random.below(12)
                    let source = random.below(image.count - count)
                    let target = 24 + random.below(image.count - count - 24)
                    for index in 0..<count { mixed[target + index] = image[source + index] }
                }
                if let core = try? RegionDirectory.reopened(framed(mixed), in: heap) { try use(core) }
                #expect(heap.statistics().liveBlockCount == 0)
            }
        }

        private func release(_ blocks: inout [UInt], in heap: BoundedHeap) {
            unsafe heap.deallocate(UnsafeMutableRawPointer(bitPattern: blocks.removeLast())!)
        }

        /// At every amount of room that is not enough: refused, and everything is given back.
        @Test func aHeapWithoutRoomIsAsItWas() throws {
            let source = try TestDirectory(8 << 20)
            let reader = try source.core.attach(ReaderOptions(isDurable: true))
            for number in 0..<700 { _ = try source.core.make("region \(number)", payload: 7) }
            try source.core.seal()
            for number in 0..<300 { try source.core.remove(try #require(source.core.find("region \(number * 2)"))) }
            let image = try source.core.image()
            source.core.cancel(reader)
            let heap = try BoundedHeap.create(HeapOptions(capacityBytes: 1 << 20))
            let log = ReleaseLog()
            var blocks: [UInt] = []
            for size in [1024, 64] { while let block = unsafe heap.allocate(byteCount: size) { blocks.append(UInt(bitPattern: block)) } }
            let sizes = heap.statistics()
            var refusals = 0
            var core: RegionDirectory?
            while core == nil {
                let before = heap.statistics()
                do throws(ImageError) { core = try RegionDirectory.reopened(image, in: heap, log) } catch {
                    #expect(error == .outOfCapacity)
                    #expect(heap.statistics().liveBlockCount == before.liveBlockCount)
                    #expect(heap.statistics().requestedBytes == before.requestedBytes)
                    refusals += 1
                    for _ in 0..<min(5, blocks.count) { release(&blocks, in: heap) }
                }
            }
            #expect(refusals > 5 && sizes.liveBlockCount > 0 && log.counts.isEmpty)
            #expect(core?.verify() == nil && core?.statistics().liveCount == 400)
            core?.destroy()
            while !blocks.isEmpty { release(&blocks, in: heap) }
            #expect(heap.statistics().liveBlockCount == 0 && heap.destroy())
            #expect(source.close())
        }
    }
}
