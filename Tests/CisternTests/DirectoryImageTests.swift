import Cistern
import Testing

/// The image of a directory through the Swift face; what it holds, `Tests/TickTests` say.
@Suite struct DirectoryImageTests {
    @Test func aStoreThatIsSavedAndReopened() throws {
        let heap = try Heap(capacityBytes: 4 << 20)
        var (image, position): ([UInt8], DurableState)
        var gone = RegionID.none
        do {
            let directory = try Directory(in: heap)
            let kept = try directory.create("kept", payload: 7)
            _ = try directory.create("kept/child", under: kept)
            gone = try directory.create("gone", payload: 8)
            try directory.seal()
            let subscription = try directory.subscribe(isDurable: true)
            position = subscription.durableState
            try directory.remove(gone)
            // The subscription is dropped after the image was written: in the image it is alive.
            image = try directory.image()
            let isStored = subscription.noteStored(position)
            #expect(isStored)
            directory.keepPayloads()
        }
        for heap in [heap, try Heap(capacityBytes: 4 << 20)] {
            let directory = try Directory(in: heap, reopening: image.span)
            #expect(try directory.image() == image && directory.verify() == nil)
            directory.replacePayloads { _, name, payload in name == "kept" ? payload * 10 : 0 }
            let kept = try #require(directory["kept"])
            #expect(directory.payload(of: kept) == 70 && directory.payload(of: gone) == nil)
            #expect(directory["kept/child"].map { directory.parent(of: $0) } == kept)
            #expect(directory.detachedStates == [position])
            let subscription = try directory.resume(position)
            let isExact = subscription.resync == nil
            #expect(isExact && directory.detachedStates.isEmpty)
            try directory.seal()
            guard case .changes(let batch) = try subscription.poll() else { throw DirectoryError.notPinned }
            var told: [String] = []
            try subscription.forEachChange(in: batch) { told.append("\($0.kind) \(directory.name(of: $0.id) ?? "?")") }
            #expect(told == ["removed gone"])
        }
    }

    private func refusal(of image: [UInt8], in heap: Heap) -> ImageError? {
        do throws(ImageError) { _ = try Directory(in: heap, reopening: image.span) } catch { return error }
        return nil
    }

    @Test func damageIsToldWithItsPlace() throws {
        let heap = try Heap(capacityBytes: 4 << 20)
        let image = try Directory(in: heap).image()
        #expect(refusal(of: image, in: heap) == nil)
        #expect(refusal(of: image.dropLast(), in: heap) == .damaged(.truncated, byteOffset: image.count - 1))
        #expect(refusal(of: [UInt8](repeating: 1, count: 300), in: heap) == .damaged(.notAnImage, byteOffset: 0))
        var damaged = image
        damaged[30] ^= 4
        #expect(refusal(of: damaged, in: heap) == .damaged(.checksum, byteOffset: image.count - 8))
    }
}
