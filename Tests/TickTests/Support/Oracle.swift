import Ticks

/// The plain truth: every region that ever was, with its whole history. At most 64 regions and ticks, so that sets are words.
struct Oracle {
    struct Region {
        var id: RegionID
        var name: Int
        var birth: UInt64
        var death = UInt64.max
        /// A bit per owner, as long as it is alive; then as they were.
        var owners: UInt64
        /// The region whose removal took this one.
        var wentWith = -1
        var wentWithParent: Bool { wentWith >= 0 }
        /// A bit per tick in which it changed.
        var changes: UInt64 = 0
    }

    var regions: [Region] = []
    var open: UInt64 = 1

    /// A bit per region that was alive when the ticks before `tick` were over.
    func alive(at tick: UInt64) -> UInt64 {
        var set: UInt64 = 0
        for (index, region) in regions.enumerated() where region.birth < tick && region.death >= tick { set |= 1 << UInt64(index) }
        return set
    }

    var living: UInt64 {
        var set: UInt64 = 0
        for (index, region) in regions.enumerated() where region.death == .max { set |= 1 << UInt64(index) }
        return set
    }

    func index(of id: RegionID) -> Int? { regions.firstIndex { $0.id == id } }

    /// The n-th of a set, counted round.
    static func member(_ set: UInt64, _ number: UInt32) -> Int? {
        guard set != 0 else { return nil }
        var rest = set
        for _ in 0..<(Int(number) % set.nonzeroBitCount) { rest &= rest &- 1 }
        return rest.trailingZeroBitCount
    }

    /// What goes with a region: all whose owners all do. They come after their owners.
    func going(with root: Int) -> UInt64 {
        var gone: UInt64 = 1 << UInt64(root)
        for (index, region) in regions.enumerated() where region.death == .max && region.owners != 0 && region.owners & ~gone == 0 {
            gone |= 1 << UInt64(index)
        }
        return gone
    }

    mutating func remove(_ root: Int) {
        let gone = going(with: root)
        for index in regions.indices where gone & (1 << UInt64(index)) != 0 {
            regions[index].death = open
            if index != root { regions[index].wentWith = root }
        }
        for index in regions.indices where regions[index].death == .max { regions[index].owners &= ~gone }
    }

    /// Changes in [from, until) as a batch must tell them: each region at most once.
    func change(_ index: Int, from: UInt64, until: UInt64) -> RegionChange.Kind? {
        let region = regions[index]
        let wasThere = region.birth < from && region.death >= from
        let isThere = region.birth < until && region.death >= until
        if wasThere, !isThere { return region.wentWithParent ? .removedWithParent : .removed }
        if !wasThere, isThere { return .added }
        let window = (UInt64(1) << until) &- (UInt64(1) << from)
        return wasThere && isThere && region.changes & window != 0 ? .changed : nil
    }

    /// How many tombstones pins need, by the definition.
    func needed(_ mode: ModelOptions.Mode, pins: [UInt64]) -> Int {
        guard let oldest = pins.min() else { return 0 }
        return regions.count { region in
            guard region.death < open, region.birth < region.death else { return false }
            if mode == .horizon { return region.death >= oldest }
            return pins.contains { region.birth < $0 && $0 <= region.death }
        }
    }

    /// No more than this is ever held: for each pin, what was alive there.
    func bound(pins: [UInt64]) -> Int { Set(pins).reduce(0) { $0 + alive(at: $1).nonzeroBitCount } }
}
