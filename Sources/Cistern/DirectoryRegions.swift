import HeapCore
import Regions
import Ticks

// Safety: a region that is being built is known to nobody else; one that is read or modified is entered, so that it stays and nobody
// meets who must not. A root is looked at only where its record lies in the region and says that it is of the type asked for.

/// Where the root of a region stands in it, and of which type it is.
private struct RootRecord<Root: BitwiseCopyable>: BitwiseCopyable {
    let type: ObjectIdentifier
    /// Of a moment before: the record is there as long as the region holds the mark.
    let mark: (UInt64, UInt64, UInt64)
    var root: Root
}

// Named regions with memory of their own.
//
// ```swift
// let squares = try directory.create("squares", elements: numbers.map { $0 * $0 })
// let first = try directory.read(squares, elements: Int.self) { $0[0] }
// let tree = try directory.create("tree") { region in parse(text, in: region) }  // a pointer, or a struct of pointers
// let depth = try directory.read(tree, as: UnsafeMutablePointer<Node>.self) { $0.pointee.depth }
// ```
//
// A *root* is any value that needs no deinitialising, such as a pointer to what was built or a struct of some; of elements it is their
// `UnsafeMutableBufferPointer`. It is kept in the region, which is `read` by it. The memory is the directory's. It goes after the name
// was removed or the region replaced: at the boundary, when no snapshot sees it; else with the next `seal` or `maintain` that has the
// budget for it after the last such snapshot; what came in the open tick and is replaced in it, at once. And with the directory at
// the latest. Whoever is in it has it until then.
extension Directory {
    /// Makes a region of the heap with a name.
    ///
    /// - Parameters:
    ///   - name: up to 4096 bytes of UTF-8; no living region has it.
    ///   - parent: a living region; its removal removes this one too.
    ///   - limitBytes: the most bytes that may be allocated in it; 0: as many as the heap holds.
    ///   - build: allocates in it and returns the root, or `nil` when there is no room. The name does not exist until it is done.
    /// - Throws: `nameTooLong`, `nameTaken`, `unknownRegion`, `removedRegion`, `outOfCapacity`, also where `build` found no room, and
    ///   what `build` throws. Nothing has changed then, and what was built is gone.
    /// - Complexity: linear in the name, and `build`.
    public func create<Root: BitwiseCopyable>(
        _ name: String, under parent: RegionID = .none, limitBytes: UInt64 = 0,
        _ build: (borrowing Region) throws(DirectoryError) -> Root?
    ) throws(DirectoryError) -> RegionID {
        if let taken = self[name] { throw .nameTaken(taken) }
        let made = try makeContent(limitBytes, build)
        var name = name
        let result: Result<RegionID, DirectoryError> = name.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            do throws(DirectoryError) {
                return .success(unsafe try core.create(bytes, parent: parent, owning: made.region, payload: made.payload))
            } catch { return .failure(error) }
        }
        if case .failure = result { made.region.dispose() }
        return try result.get()
    }

    /// Makes a region of the heap with a name and copies of some elements in it.
    ///
    /// - Throws: as above.
    /// - Complexity: linear in the name and the elements.
    public func create<Elements: Collection>(
        _ name: String, under parent: RegionID = .none, elements: Elements
    ) throws(DirectoryError) -> RegionID where Elements.Element: BitwiseCopyable {
        unsafe try create(name, under: parent) { region in unsafe region.makeArray(elements) }
    }

    /// Gives a region that was made with memory another content, and marks it changed. A snapshot goes on seeing the one before;
    /// who is reading that now may end. One that came in the open tick, which no snapshot sees, is closed before this returns.
    ///
    /// - Parameters:
    ///   - id: a living region.
    ///   - limitBytes: as for `create`.
    ///   - build: as for `create`; it may read the content before, and any other region.
    /// - Throws: `unknownRegion`, `removedRegion`, `noRegion`, `outOfCapacity`, what `build` throws. Nothing has changed then.
    /// - Complexity: `build`, and closing the one before.
    public func replace<Root: BitwiseCopyable>(
        _ id: RegionID, limitBytes: UInt64 = 0, _ build: (borrowing Region) throws(DirectoryError) -> Root?
    ) throws(DirectoryError) {
        _ = try core.content(of: id)
        let made = try makeContent(limitBytes, build)
        do throws(DirectoryError) { try core.replace(id, owning: made.region, payload: made.payload) } catch {
            made.region.dispose()
            throw error
        }
    }

    /// The same with copies of some elements.
    public func replace<Elements: Collection>(
        _ id: RegionID, elements: Elements
    ) throws(DirectoryError) where Elements.Element: BitwiseCopyable {
        unsafe try replace(id) { region in unsafe region.makeArray(elements) }
    }

    /// Calls `body` with the root of a region, whose memory stays that long, whatever others remove and replace meanwhile.
    ///
    /// - Parameters:
    ///   - id: a living region; where the directory `keepsLastValue`, also a removed one whose tombstone is there.
    ///   - type: of the root that the region was built with.
    /// - Throws: `unknownRegion`, `removedRegion`, `noRegion`; `otherRoot`; `regionInUse` while somebody modifies it; what `body` throws.
    /// - Complexity: constant, and `body`. Any number may read at a time, in any threads.
    public func read<Root: BitwiseCopyable, Result: ~Copyable>(
        _ id: RegionID, as type: Root.Type, _ body: (Root) throws(DirectoryError) -> Result
    ) throws(DirectoryError) -> Result {
        try read(id, at: nil, body)
    }

    /// Calls `body` with the elements that a region was made of.
    ///
    /// - Throws: as above.
    public func read<Element: BitwiseCopyable, Result: ~Copyable>(
        _ id: RegionID, elements type: Element.Type, _ body: (Span<Element>) throws(DirectoryError) -> Result
    ) throws(DirectoryError) -> Result {
        unsafe try read(id, as: UnsafeMutableBufferPointer<Element>.self) { root throws(DirectoryError) in unsafe try body(root.span) }
    }

    /// The first for the living region of a name.
    ///
    /// - Throws: as `read(_:as:_:)`; `unknownRegion` when there is none.
    public func read<Root: BitwiseCopyable, Result: ~Copyable>(
        _ name: String, as type: Root.Type, _ body: (Root) throws(DirectoryError) -> Result
    ) throws(DirectoryError) -> Result {
        guard let id = self[name] else { throw .unknownRegion }
        return try read(id, at: nil, body)
    }

    /// Calls `body` with a region's memory and its root, to allocate more in it and to change what is there. Marks it changed, in the
    /// tick in which this begins and in that in which it ends. A snapshot that begins meanwhile does not have the region's content:
    /// it would be neither the old nor the new. The directory goes on owning the region.
    ///
    /// Where the root is, is a payload: this one's wins over what `setPayload` gives meanwhile.
    ///
    /// - Parameters:
    ///   - id: a living region.
    ///   - type: as for `read`.
    /// - Throws: as `read`; `regionInUse` while anybody else is in it; `regionPinned` while a snapshot sees it, which `replace` leaves
    ///   alone. What `body` has done before it throws stays.
    /// - Complexity: constant, and `body`.
    public func modify<Root: BitwiseCopyable, Result: ~Copyable>(
        _ id: RegionID, as type: Root.Type, _ body: (borrowing Region, inout Root) throws(DirectoryError) -> Result
    ) throws(DirectoryError) -> Result {
        let access = try core.beginAccess(id, changing: true)
        var payload = access.payload
        defer { core.endAccess(access, payload: payload) }
        let place = unsafe try rootRecord(access, as: Root.self)
        let mark = unsafe RegionMark(words: place.pointee.mark)
        let region = unsafe Region(core: access.region, inScopeOf: Unmanaged.passUnretained(heap))
        var root = unsafe place.pointee.root
        do throws(DirectoryError) {
            let result = try body(region, &root)
            if access.region.holds(mark) {
                unsafe place.pointee.root = root
            } else {
                // The region was reset, or released to before its root.
                payload = 0
                payload = try putRoot(root, in: region)
            }
            region.relinquish()
            return result
        } catch {
            if !access.region.holds(mark) { payload = 0 }
            region.relinquish()
            throw error
        }
    }

    fileprivate func read<Root: BitwiseCopyable, Result: ~Copyable>(
        _ id: RegionID, at reader: ReaderHandle?, _ body: (Root) throws(DirectoryError) -> Result
    ) throws(DirectoryError) -> Result {
        let access = try core.beginAccess(id, at: reader)
        defer { core.endAccess(access) }
        return unsafe try body(rootRecord(access, as: Root.self).pointee.root)
    }

    private func rootRecord<Root: BitwiseCopyable>(
        _ access: RegionAccess, as type: Root.Type
    ) throws(DirectoryError) -> UnsafeMutablePointer<RootRecord<Root>> {
        guard let place = unsafe UnsafeMutablePointer<RootRecord<Root>>(bitPattern: UInt(access.payload)),
            access.payload % UInt64(MemoryLayout<RootRecord<Root>>.alignment) == 0, unsafe access.region.contains(place),
            unsafe UnsafeRawPointer(place).load(as: ObjectIdentifier.self) == ObjectIdentifier(Root.self)
        else { throw .otherRoot }
        return unsafe place
    }

    /// Where the root's record is, as a payload.
    private func putRoot<Root: BitwiseCopyable>(_ root: Root, in region: borrowing Region) throws(DirectoryError) -> UInt64 {
        var mark = RegionMark()
        guard region.core.mark(&mark) == .done,
            let place = unsafe region.make(RootRecord(type: ObjectIdentifier(Root.self), mark: mark.words, root: root))
        else { throw .outOfCapacity }
        return UInt64(UInt(bitPattern: place))
    }

    /// Builds a region that is nobody's yet.
    private func makeContent<Root: BitwiseCopyable>(
        _ limitBytes: UInt64, _ build: (borrowing Region) throws(DirectoryError) -> Root?
    ) throws(DirectoryError) -> (region: BoundedRegion, payload: UInt64) {
        guard let made = heap.core.openRegion(RegionOptions(limitBytes: limitBytes, isOwned: true)) else { throw .outOfCapacity }
        // As long as this handle lives, an error closes the region.
        let region = unsafe Region(core: made, inScopeOf: Unmanaged.passUnretained(heap))
        guard let root = try build(region) else { throw .outOfCapacity }
        let payload = try putRoot(root, in: region)
        region.relinquish()
        return (made, payload)
    }
}

extension Pin {
    /// Calls `body` with the root that a region had where this snapshot stands, whatever became of it since.
    ///
    /// - Parameters:
    ///   - id: a region that was alive there.
    ///   - type: as for `Directory.read`.
    /// - Throws: `notPinned` when this is no snapshot, or has expired; `unknownRegion`, `noRegion`, `otherRoot`; `regionInUse` when
    ///   this began while somebody modified the region; what `body` throws.
    /// - Complexity: the contents that younger snapshots hold, and `body`.
    public func read<Root: BitwiseCopyable, Result: ~Copyable>(
        _ id: RegionID, as type: Root.Type, _ body: (Root) throws(DirectoryError) -> Result
    ) throws(DirectoryError) -> Result {
        try directory.read(id, at: reader, body)
    }

    /// Calls `body` with the elements that a region had where this snapshot stands.
    ///
    /// - Throws: as above.
    public func read<Element: BitwiseCopyable, Result: ~Copyable>(
        _ id: RegionID, elements type: Element.Type, _ body: (Span<Element>) throws(DirectoryError) -> Result
    ) throws(DirectoryError) -> Result {
        unsafe try read(id, as: UnsafeMutableBufferPointer<Element>.self) { root throws(DirectoryError) in unsafe try body(root.span) }
    }
}
