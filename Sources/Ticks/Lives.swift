import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; the lives are written once, by the reopening, before anybody knows the directory.

// A directory that is reopened from an image begins another life where the image was written. Whatever went on after that in the
// life before is lost, and its later ticks are not those of the new life, although they have the same numbers. So each life has an
// identity of its own, drawn at random, and a stored position is named by its tick and by the life that first reached it: one of the
// lost ticks names a life that ended before, and is answered by a resync however far the new life has come since.
extension RegionDirectory {
    private func life(_ index: UInt32) -> Ref<cistern_life> {
        at(header.it.lives &+ UInt64(index) &* UInt64(MemoryLayout<cistern_life>.size))
    }

    /// The life that first reached a tick. Complexity: linear in the lives that the directory still knows.
    func identity(at tick: UInt64) -> UInt64 {
        for index in 0..<header.it.life_count where tick <= life(index).it.last { return life(index).it.identity }
        return header.it.identity
    }

    func isOfThisHistory(_ state: DurableState) -> Bool { state.directoryIdentity == identity(at: state.tick.number) }

    /// Is a state that is not of this history of a life that this one knows, at a tick that is lost? Then the reader that the image
    /// had of it is let go: its owner is elsewhere.
    func releaseLost(_ state: DurableState) -> Bool {
        for index in 0..<header.it.life_count where life(index).it.identity == state.directoryIdentity {
            guard state.tick.number > life(index).it.last else { return false }
            lock()
            defer { unlock() }
            if let handle = detachedReader(state.readerSerial), hasFlag(CISTERN_READER_IS_REOPENED, reader(handle)) {
                cancelDetached(handle)
            }
            return true
        }
        return false
    }

    func releaseLives() { free(header.it.lives, UInt(header.it.life_count) * UInt(MemoryLayout<cistern_life>.size)) }

    // MARK: Image

    /// Puts the lives that a position can still name which somebody holds or which needs no holding: none that ended before the
    /// given tick. This one is the last of them, unless it is no further than it began.
    func writeLives(_ image: inout ImageWriter, endingFrom first: UInt64, countAt countOffset: Int) {
        var count: UInt32 = 0
        var reached: UInt64 = 0
        for index in 0..<header.it.life_count {
            reached = life(index).it.last
            guard reached >= first else { continue }
            image.put(life(index).it.identity)
            image.put(reached)
            count &+= 1
        }
        if openNumber > reached {
            image.put(header.it.identity)
            image.put(openNumber)
            count &+= 1
        }
        image.put(count, at: countOffset)
    }

    func readLives(_ image: inout ImageReader, count: UInt32) throws(ImageError) {
        let lifeBytes = MemoryLayout<cistern_life>.size
        guard Int(count) <= image.rest / lifeBytes else { throw image.damage(.counts) }
        guard count > 0 else { return }
        let block = allocate(UInt(count) * UInt(lifeBytes))
        guard block != 0 else { throw .outOfCapacity }
        header.it.lives = block
        header.it.life_count = count
        var reached: UInt64 = 0
        for index in 0..<count {
            let identity = try image.take(UInt64.self)
            let last = try image.take(UInt64.self)
            guard last > reached, last <= openNumber else { throw image.damage(.history) }
            life(index).it = cistern_life(identity: identity, last: last)
            reached = last
        }
    }
}
