@testable import Cistern
import Testing

extension FaceSuites {
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

        /// As when another thread adds to the directory between the look at its size and the writing.
        @Test func anImageThatHasGrownIsTriedAgain() throws {
            let directory = try Directory(in: try Heap(capacityBytes: 1 << 20))
            _ = try directory.create("a name")
            #expect(try directory.image(room: 1) == directory.image())
        }

        @Test func thePageShowsTheExampleThatCompiles() throws {
            let own = try #require(text(ofFile: "\(packageFolder)/Tests/CisternTests/SavedStoreExample.swift"))
            let page = try #require(text(ofFile: "\(packageFolder)/docs/reactive-store.md"))
            let example = try #require(own.split(separator: "// EXAMPLE\n").last?.split(separator: "// END EXAMPLE\n").first)
            #expect(page.hasSuffix("```swift saved\n\(example)```\n"))
        }

        @Test func theSavedStoreGoesOn() throws {
            let heap = try Heap(capacityBytes: 4 << 20)
            let directory = try Directory(in: heap)
            _ = try directory.create("a", payload: 1)
            let subscription = try directory.subscribe(isDurable: true)
            try directory.seal()
            var stored: [UInt8] = []
            try save(directory, subscription) { stored = $0 }
            var told = 0
            let reopened = try reopen(stored, in: heap, payloads: ["a": 70]) { subscription in
                if subscription.resync == nil, case .changes(let batch) = try subscription.poll() { told += batch.count }
            }
            #expect(told == 1 && reopened["a"].flatMap { reopened.payload(of: $0) } == 70)
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
}
