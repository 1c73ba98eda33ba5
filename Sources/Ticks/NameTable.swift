import CTicks
import HeapCore

// Safety: see RegionDirectory.swift; buckets below `bucket_count` are initialised.

// Linear hashing (Litwin 1980): the table grows and shrinks by one bucket at an operation, so no operation pauses for all.
// A bucket is one cache line of hashes and slots, so that taking a name out looks at one line and at no other region.
extension RegionDirectory {
    private static var bucketBytes: UInt { UInt(MemoryLayout<cistern_name_bucket>.size) }
    private static var entryCount: Int { CISTERN_NAME_ENTRY_COUNT }

    func nameHash(_ name: UnsafeRawBufferPointer) -> UInt32 {
        let hash = unsafe SipHash.hash(name, key0: header.it.hash_key_0, key1: header.it.hash_key_1)
        return UInt32(truncatingIfNeeded: hash >> 32)
    }

    /// Hashes with the lowest `level` bits name buckets; those whose bucket is not there yet use one bit less.
    @inline(__always)
    private func bucketNumber(_ hash: UInt32, _ mask: UInt32) -> UInt32 {
        let number = hash & mask
        return number < header.it.bucket_count ? number : hash & (mask >> 1)
    }

    @inline(__always)
    private func bucketNumber(_ hash: UInt32) -> UInt32 { bucketNumber(hash, bucketMask) }

    /// The bits of a hash that name its bucket, as long as no bucket comes or goes.
    var bucketMask: UInt32 {
        UInt32.max >> UInt32(truncatingIfNeeded: (header.it.bucket_count &- 1 | 1).leadingZeroBitCount)
    }

    /// The first bucket for a hash, where there are buckets.
    @inline(__always)
    func bucket(ofHash hash: UInt32, _ mask: UInt32) -> Ref<cistern_name_bucket> { bucket(bucketNumber(hash, mask)) }

    @inline(__always)
    private func bucket(_ number: UInt32) -> Ref<cistern_name_bucket> { Ref(place: element(.buckets, number)) }

    @inline(__always)
    private func entry(_ bucket: Ref<cistern_name_bucket>, _ index: Int) -> Ref<cistern_name_entry> {
        Ref(place: UInt(bitPattern: unsafe bucket.pointer) &+ UInt(bitPattern: index) &* 8)
    }

    func nameOffset(_ record: Ref<cistern_region_record>) -> UInt64 {
        (UInt64(record.it.name_high) << 32 | UInt64(record.it.name_low)) << 3
    }

    func name(of record: Ref<cistern_region_record>) -> UnsafeRawBufferPointer {
        let count = Int(record.it.name_byte_count)
        guard count > 0 else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(start: Bytes.pointer(address(nameOffset(record))), count: count)
    }

    private func hasName(_ record: Ref<cistern_region_record>, _ name: UnsafeRawBufferPointer) -> Bool {
        guard Int(record.it.name_byte_count) == name.count else { return false }
        let own = unsafe self.name(of: record)
        var position = 0
        while position < name.count {
            if unsafe own[position] != name[position] { return false }
            position &+= 1
        }
        return true
    }

    /// The slot of the region of a name that is alive; 0 when there is none. Regions removed in the open tick are still in the
    /// table and passed over.
    func find(_ name: UnsafeRawBufferPointer, hash: UInt32) -> UInt32 {
        guard header.it.bucket_count > 0 else { return 0 }
        var bucket = bucket(bucketNumber(hash))
        while true {
            for index in 0..<Self.entryCount {
                let entry = entry(bucket, index)
                guard entry.it.slot != 0, entry.it.hash == hash else { continue }
                let record = record(entry.it.slot)
                if isLive(record), unsafe hasName(record, name) { return entry.it.slot }
            }
            guard bucket.it.overflow != 0 else { return 0 }
            bucket = at(bucket.it.overflow)
        }
    }

    /// A free entry in a bucket's chain, which a new block may be added to; nil when the heap is full.
    private func freeEntry(_ number: UInt32) -> Ref<cistern_name_entry>? {
        var bucket = bucket(number)
        while true {
            for index in 0..<Self.entryCount where entry(bucket, index).it.slot == 0 { return entry(bucket, index) }
            if bucket.it.overflow == 0 {
                let block = allocate(Self.bucketBytes)
                guard block != 0 else { return nil }
                let added: Ref<cistern_name_bucket> = at(block)
                added.it = cistern_name_bucket()
                bucket.it.overflow = block
            }
            bucket = at(bucket.it.overflow)
        }
    }

    /// Enters a name; false when the heap is full.
    func enterName(hash: UInt32, slot: UInt32) -> Bool {
        if header.it.bucket_count == 0 {
            guard addBucket() else { return false }
        } else if header.it.name_count >= UInt64(header.it.bucket_count) &* 4 {
            // Without room for another bucket the chains get longer.
            _ = splitBucket()
        }
        guard let entry = freeEntry(bucketNumber(hash)) else { return false }
        entry.it = cistern_name_entry(hash: hash, slot: slot)
        header.it.name_count &+= 1
        return true
    }

    /// Takes a name out of the buckets that begin with the one for its hash. Needs no memory.
    @inline(__always)
    func removeName(of slot: UInt32, in first: Ref<cistern_name_bucket>) {
        let index = index(of: slot, in: first)
        guard _fastPath(index < Self.entryCount) else { return removeName(slot, after: first) }
        entry(first, index).it = cistern_name_entry()
        header.it.name_count &-= 1
    }

    /// Without a branch for each entry: where a slot stands cannot be foretold.
    @inline(__always)
    private func index(of slot: UInt32, in bucket: Ref<cistern_name_bucket>) -> Int {
        var places: UInt32 = 1 << UInt32(Self.entryCount)
        for index in 0..<Self.entryCount { places |= (entry(bucket, index).it.slot == slot ? 1 : 0) << UInt32(index) }
        return places.trailingZeroBitCount
    }

    @inline(never)
    private func removeName(_ slot: UInt32, after first: Ref<cistern_name_bucket>) {
        var previous = first
        while previous.it.overflow != 0 {
            let bucket: Ref<cistern_name_bucket> = at(previous.it.overflow)
            let index = index(of: slot, in: bucket)
            if index < Self.entryCount {
                entry(bucket, index).it = cistern_name_entry()
                header.it.name_count &-= 1
                if isEmpty(bucket) { cut(bucket, after: previous) }
                return
            }
            previous = bucket
        }
    }

    /// Makes the table smaller by a bucket when it has too many for its names. With each slot given back and with what is left
    /// of a budget, not with each name, so that a boundary decides first. False when it is small enough, or there is no room.
    @inline(__always)
    func shrinkNames() -> Bool {
        header.it.name_count < UInt64(header.it.bucket_count) &* 2 && mergeBucket()
    }

    private func isEmpty(_ bucket: Ref<cistern_name_bucket>) -> Bool {
        for index in 0..<Self.entryCount where entry(bucket, index).it.slot != 0 { return false }
        return true
    }

    private func cut(_ bucket: Ref<cistern_name_bucket>, after previous: Ref<cistern_name_bucket>) {
        let block = previous.it.overflow
        previous.it.overflow = bucket.it.overflow
        free(block, Self.bucketBytes)
    }

    private func addBucket() -> Bool {
        guard header.it.bucket_count < 1 << 31, reserve(.buckets, through: header.it.bucket_count) else { return false }
        bucket(header.it.bucket_count).it = cistern_name_bucket()
        header.it.bucket_count &+= 1
        return true
    }

    private func dropLastBucket() {
        header.it.bucket_count &-= 1
        release(.buckets, keeping: header.it.bucket_count)
    }

    /// Adds a bucket and moves to it what is its own from the one that stood for it.
    private func splitBucket() -> Bool {
        let added = header.it.bucket_count
        guard addBucket() else { return false }
        let half = UInt32(1) << UInt32(truncatingIfNeeded: 31 &- added.leadingZeroBitCount)
        guard move(from: added &- half, to: added, onlyNamed: true) else {
            // No room for a chain: everything goes back to where it came from, which has room for it.
            _ = move(from: added, to: added &- half, onlyNamed: false)
            freeChain(added)
            dropLastBucket()
            return false
        }
        tidyChain(added &- half)
        return true
    }

    /// Joins the last bucket with the one that stands for it. Where the heap has no room for a longer chain, nothing happens.
    private func mergeBucket() -> Bool {
        guard header.it.bucket_count > 1 else {
            guard header.it.bucket_count == 1, header.it.name_count == 0 else { return false }
            freeChain(0)
            dropLastBucket()
            return true
        }
        let last = header.it.bucket_count &- 1
        let half = UInt32(1) << UInt32(truncatingIfNeeded: 31 &- last.leadingZeroBitCount)
        guard move(from: last, to: last &- half, onlyNamed: false) else {
            _ = move(from: last &- half, to: last, onlyNamed: true)
            tidyChain(last &- half)
            return false
        }
        freeChain(last)
        dropLastBucket()
        return true
    }

    /// Moves entries from one bucket to another: all, or those whose bucket the other is. False when the heap is full; some are
    /// moved then.
    private func move(from source: UInt32, to destination: UInt32, onlyNamed: Bool) -> Bool {
        var bucket = bucket(source)
        while true {
            for index in 0..<Self.entryCount {
                let entry = entry(bucket, index)
                guard entry.it.slot != 0, !onlyNamed || bucketNumber(entry.it.hash) == destination else { continue }
                guard let place = freeEntry(destination) else { return false }
                place.it = entry.it
                entry.it = cistern_name_entry()
            }
            guard bucket.it.overflow != 0 else { return true }
            bucket = at(bucket.it.overflow)
        }
    }

    /// Gives back the empty blocks of a bucket's chain.
    private func tidyChain(_ number: UInt32) {
        var previous = bucket(number)
        while previous.it.overflow != 0 {
            let bucket: Ref<cistern_name_bucket> = at(previous.it.overflow)
            if isEmpty(bucket) { cut(bucket, after: previous) } else { previous = bucket }
        }
    }

    private func freeChain(_ number: UInt32) {
        let first = bucket(number)
        while first.it.overflow != 0 { cut(at(first.it.overflow), after: first) }
    }

    func releaseAllNames() {
        for number in 0..<header.it.bucket_count { freeChain(number) }
        header.it.bucket_count = 0
        release(.buckets, keeping: 0)
    }
}
