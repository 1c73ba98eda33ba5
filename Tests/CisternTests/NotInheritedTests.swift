import Cistern
import Glibc
import Testing

// Safety: blocks are only taken, and not touched.

/// What is left of a heap in a fork's child that did not inherit it: handles, which may go.
extension FaceSuites {
    @Suite(.enabled(if: Sanitizer.isAbsent, "forks"))
    struct NotInheritedTests {
        /// Every kind of handle, and what lets go of it.
        private enum Kind: CaseIterable {
            case region, childRegion, directory, subscription, durableSubscription, pin
        }

        /// Makes a handle and everything that it keeps, then lets go of it in a child.
        private func release(_ kind: Kind, in heap: Heap) throws -> Int32 {
            switch kind {
            case .region:
                var region: Region? = try heap.openRegion()
                return inChild {
                    region = nil
                    return region == nil ? 0 : 1
                }
            case .childRegion:
                let parent = try heap.openRegion()
                var region: Region? = try parent.openChild()
                return inChild {
                    region = nil
                    return region == nil ? 0 : 1
                }
            case .directory:
                var directory: Directory? = try Directory(in: heap)
                _ = try directory?.create("a")
                return inChild {
                    directory = nil
                    return directory == nil ? 0 : 1
                }
            case .subscription, .durableSubscription:
                var subscription: Subscription? = try Directory(in: heap).subscribe(isDurable: kind == .durableSubscription)
                return inChild {
                    subscription = nil
                    return subscription == nil ? 0 : 1
                }
            case .pin:
                var pin: Pin? = try Directory(in: heap).pin(.transaction)
                return inChild {
                    pin = nil
                    return pin == nil ? 0 : 1
                }
            }
        }

        @Test func handlesMayGo() throws {
            for isInherited in [false, true] {
                let heap = try Heap(capacity: .bytes(16 << 20)) { $0.isInheritedByFork = isInherited }
                for kind in Kind.allCases {
                    #expect(try release(kind, in: heap) == 0, "\(kind), inherited: \(isInherited)")
                    // The parent's own handles were not touched by that, and went here.
                    let left = heap.statistics
                    #expect(left.liveBlockCount == 0 && left.requestedBytes == 0 && heap.verify() == nil, "\(kind): \(left)")
                }
            }
        }

        /// The canary: what the handles stand for is really not there.
        @Test func nothingElseMayBeDone() throws {
            let heap = try Heap(capacity: .bytes(16 << 20)) { $0.isInheritedByFork = false }
            let directory = try Directory(in: heap)
            _ = try directory.create("a")
            #expect(inChild { directory["a"] == nil ? 0 : 1 } == 256 + SIGSEGV)
            #expect(directory["a"] != nil)
        }
    }
}
