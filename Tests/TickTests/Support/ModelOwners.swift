@testable import Ticks

// Steps of the model that give and take owners, and what is said of them.
extension ModelRun {
    /// Is there room for what is held, what was removed in the open tick, and these?
    func isWithinLimit(adding going: UInt64) -> Bool {
        let mayBeHeld = oracle.regions.indices.count {
            let region = oracle.regions[$0]
            return region.birth < oracle.open && (region.death == oracle.open || going & (1 << UInt64($0)) != 0)
        }
        return readers.isEmpty || core.statistics().tombstoneCount + UInt64(mayBeHeld) <= options.totalHeldCount
    }

    /// The wrong rule: what a region owns goes with it, whoever else owns it.
    func leaveNoOtherOwner(_ index: Int) throws {
        var below: UInt64 = 1 << UInt64(index)
        for (child, region) in oracle.regions.enumerated() where region.death == .max && region.owners & below != 0 {
            below |= 1 << UInt64(child)
            for owner in oracle.regions.indices where region.owners & ~below & (1 << UInt64(owner)) != 0 {
                _ = try core.removeOwner(oracle.regions[owner].id, of: region.id)
            }
        }
    }

    mutating func addOwner(_ next: Step) throws {
        guard let owner = Oracle.member(oracle.living, next.first), let child = Oracle.member(oracle.living, next.second) else { return }
        let (ownerID, childID) = (oracle.regions[owner].id, oracle.regions[child].id)
        let isOwned = oracle.regions[child].owners & (1 << UInt64(owner)) != 0
        let expected: DirectoryError? =
            owner >= child
            ? .ownerTooYoung(owner: ownerID, child: childID) : isOwned ? .alreadyOwner(owner: ownerID, child: childID) : nil
        switch attempt({ () throws(DirectoryError) in try core.addOwner(ownerID, of: childID) }) {
        case .success:
            try check(expected == nil, "\(owner) became an owner of \(child)")
            oracle.regions[child].owners |= 1 << UInt64(owner)
        case .failure(let error): try check(error == expected, "add owner: \(error)")
        }
        try checkOwners()
    }

    mutating func removeOwner(_ next: Step) throws {
        guard let child = Oracle.member(oracle.living, next.second) else { return }
        // Now and then one that it does not have.
        let some = next.first % 8 == 0 ? oracle.living : oracle.regions[child].owners
        guard let owner = Oracle.member(some, next.first) else { return }
        let (ownerID, childID) = (oracle.regions[owner].id, oracle.regions[child].id)
        let isOwned = oracle.regions[child].owners & (1 << UInt64(owner)) != 0
        switch attempt({ () throws(DirectoryError) in try core.removeOwner(ownerID, of: childID) }) {
        case .success(let isLeft):
            try check(isOwned, "one that was no owner was taken away")
            oracle.regions[child].owners &= ~(1 << UInt64(owner))
            try check(isLeft == (oracle.regions[child].owners != 0), "owners left: \(isLeft)")
        case .failure(let error):
            try check(!isOwned && error == .notOwner(owner: ownerID, child: childID), "remove owner: \(error)")
        }
        try checkOwners()
    }

    /// Each living region has its owners, of which its parent is one; one that went with others, a parent among those.
    mutating func checkOwners() throws {
        guard options.control != .goesWithFirstOwner else { return }
        for (index, region) in oracle.regions.enumerated() {
            let parent = oracle.index(of: core.parent(of: region.id))
            if region.death == .max {
                note(UInt64(parent ?? 64))
                var owners: UInt64 = 0
                for owner in core.owners(of: region.id) { owners |= 1 << UInt64(try owned(owner)) }
                try check(owners == region.owners, "owners of \(index)")
                try check(parent == nil ? owners == 0 : owners & (1 << UInt64(parent!)) != 0, "the parent of \(index)")
            } else if let parent {
                try check(region.owners & (1 << UInt64(parent)) != 0 && region.wentWithParent, "the parent of \(index), which is gone")
            }
        }
    }

    private func owned(_ id: RegionID) throws -> Int {
        guard let index = oracle.index(of: id) else { throw fail("an unknown owner") }
        return index
    }
}
