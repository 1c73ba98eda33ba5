import CHeap

/// What `verify()` found wrong first, and where: an offset from the heap's base, in bytes.
public struct HeapInconsistency: Sendable, Equatable {
    /// Which rule does not hold.
    public enum Rule: UInt32, Sendable {
        case runsDoNotTile = 1
        case freeRunMisdescribed
        case freeRunsAdjoin
        case binMisfiled
        case freeRunCount
        case spanMisdescribed
        case spanBits
        case spanListing
        case classCounts
        case usedGranules
        case runBlocks
        case cacheClaim
        case redzone
        case quarantine
        case regionChunk
        case regionRecord
    }

    /// The rule.
    public var rule: Rule
    /// Where it does not hold, in bytes from the heap's base; 0 when it is about a total.
    public var offsetBytes: UInt64

    /// States a finding; the layer of regions has rules of its own.
    public init(rule: Rule, offsetBytes: UInt64) {
        self.rule = rule
        self.offsetBytes = offsetBytes
    }
}

extension BoundedHeap {
    /// Walks all structures of the heap and compares them with each other.
    ///
    /// No other call on this heap may be in progress. Thread caches are flushed first.
    ///
    /// - Returns: the first rule that does not hold; nil when all do.
    /// - Complexity: proportional to the heap's extent.
    public func verify() -> HeapInconsistency? {
        guard header.it.incarnation != 0 else { return nil }
        if let fault = verifyCaches() { return fault }
        flushAllCaches()
        if let fault = verifyRuns() ?? verifyBins() ?? verifyClasses() ?? verifyClaim() { return fault }
        return has(CISTERN_HEAP_CHECKED) ? verifyChecked() : nil
    }

    func fault(_ rule: HeapInconsistency.Rule, atGranule granule: UInt32) -> HeapInconsistency {
        HeapInconsistency(rule: rule, offsetBytes: UInt64(granule) << UInt64(Layout.granuleShift))
    }

    private func verifyRuns() -> HeapInconsistency? {
        var found: HeapInconsistency?
        var tally = RunTally()
        var previousIsFree = false
        let tiles = visitRuns { run, start, granules in
            switch run {
            case .free:
                tally.freeRuns += 1
                if previousIsFree { found = fault(.freeRunsAdjoin, atGranule: start) }
                if freeRunLength(endingBefore: start &+ granules) != granules || (granules > 2 && !bit(start &+ granules &- 1)) {
                    found = fault(.freeRunMisdescribed, atGranule: start)
                }
            case .metadata: tally.metadataGranules += UInt64(granules)
            case .block: tally.blocks += 1
            case .region:
                tally.regionGranules += UInt64(granules)
                found = found ?? verifyRegionRun(start: start, granules: granules)
            case .span(let entry):
                tally.spanGranules += UInt64(granules)
                found = found ?? verifySpan(entry, start: start, granules: granules)
            }
            if case .free = run {
                previousIsFree = true
            } else {
                tally.usedGranules += UInt64(granules)
                previousIsFree = false
            }
            return found == nil
        }
        if let found { return found }
        guard tiles else { return fault(.runsDoNotTile, atGranule: header.it.top_granule) }
        guard !previousIsFree else { return fault(.freeRunsAdjoin, atGranule: header.it.top_granule) }
        guard tally.freeRuns == header.it.free_run_count else { return fault(.freeRunCount, atGranule: 0) }
        guard tally.usedGranules == header.it.used_granules, tally.spanGranules == header.it.span_granules,
            tally.metadataGranules == header.it.metadata_granules, tally.regionGranules == header.it.region_granules
        else { return fault(.usedGranules, atGranule: 0) }
        return tally.blocks == header.it.run_block_count ? nil : fault(.runBlocks, atGranule: 0)
    }

    private func verifySpan(_ entry: UInt32, start: UInt32, granules: UInt32) -> HeapInconsistency? {
        let span = span(entry)
        guard span.it.first_page == start >> 6, UInt32(span.it.page_count) << 6 == granules,
            UInt(span.it.size_class) < SizeClass.smallCount, span.it.used <= span.it.block_count
        else { return fault(.spanMisdescribed, atGranule: start) }
        for page in 0..<UInt32(span.it.page_count) where pageMapEntry(ofPage: UInt(span.it.first_page &+ page)) != entry {
            return fault(.spanMisdescribed, atGranule: start)
        }
        guard freeBlockCount(of: span) + Int(span.it.used) == Int(span.it.block_count) else {
            return fault(.spanBits, atGranule: start)
        }
        let hasRoom = span.it.used < span.it.block_count
        return hasRoom == (span.it.is_listed != 0) ? nil : fault(.spanListing, atGranule: start)
    }

    private func verifyRegionRun(start: UInt32, granules: UInt32) -> HeapInconsistency? {
        let chunk = Ref<cistern_region_chunk>(at: address(ofGranule: start))
        guard start & 63 == 0, granules & 63 == 0, UInt(chunk.it.end) == address(ofGranule: start &+ granules),
            chunk.it.region != 0, chunk.it.first <= chunk.it.used_end, chunk.it.used_end <= chunk.it.end
        else { return fault(.regionChunk, atGranule: start) }
        for page in 0..<granules >> 6 where pageMapEntry(ofPage: UInt(start >> 6 &+ page)) != regionEntry(ofPage: start >> 6) {
            return fault(.regionChunk, atGranule: start)
        }
        return nil
    }

    private func verifyBins() -> HeapInconsistency? {
        var count: UInt64 = 0
        for bin in 0..<UInt32(CISTERN_RUN_BIN_COUNT) {
            var run = binHead(bin)
            guard (run != 0) == (nonEmptyBin(from: bin) == bin) else { return fault(.binMisfiled, atGranule: run) }
            while run != 0 {
                guard run < header.it.top_granule, bit(run), isFreeRun(run), Self.runBin(freeRunLength(run)) == bin,
                    count < header.it.free_run_count
                else { return fault(.binMisfiled, atGranule: run) }
                count += 1
                run = freeRunNext(run)
            }
        }
        return count == header.it.free_run_count ? nil : fault(.freeRunCount, atGranule: 0)
    }

    private func verifyClasses() -> HeapInconsistency? {
        var tallies = InlineArray<64, ClassTally>(repeating: ClassTally())
        visitRuns { run, _, _ in
            if case .span(let entry) = run { tallies[Int(span(entry).it.size_class)].add(span(entry).it) }
            return true
        }
        for index in 0..<SizeClass.smallCount {
            let sizeClass = sizeClass(index)
            let tally = tallies[Int(index)]
            var previous: UInt32 = 0
            var entry = sizeClass.it.list_head
            var listed = 0
            while entry != 0, listed <= tally.listed {
                guard span(entry).it.previous == previous, UInt(span(entry).it.size_class) == index else {
                    return fault(.spanListing, atGranule: span(entry).it.first_page << 6)
                }
                previous = entry
                entry = span(entry).it.next
                listed += 1
            }
            guard listed == tally.listed, tally.spans == sizeClass.it.span_count, tally.bytes == sizeClass.it.span_byte_count,
                tally.used == sizeClass.it.used_block_count
            else { return fault(.classCounts, atGranule: UInt32(index)) }
        }
        return nil
    }

    /// Each cache has claimed what its bins and spare pages may hold.
    private func verifyCaches() -> HeapInconsistency? {
        var found: HeapInconsistency?
        forEachCache { cache in
            var claimed = UInt64(cache.it.spare_page_limit) << UInt64(Layout.pageShift)
            for index in 0..<SizeClass.binCount {
                let bin = bin(index, of: cache)
                claimed &+= claimBytes(slots: UInt(bin.it.end &- bin.it.bottom), index)
            }
            guard claimed != cache.it.claimed_small_bytes &+ cache.it.claimed_other_bytes else { return }
            found = found ?? fault(.cacheClaim, atGranule: granule(at: cache.address))
        }
        return found
    }

    /// With every cache flushed, nothing is claimed.
    private func verifyClaim() -> HeapInconsistency? {
        header.it.cache_claim_bytes == 0 ? nil : fault(.cacheClaim, atGranule: 0)
    }

    private struct RunTally {
        var freeRuns: UInt64 = 0
        var blocks: UInt64 = 0
        var usedGranules: UInt64 = 0
        var spanGranules: UInt64 = 0
        var metadataGranules: UInt64 = 0
        var regionGranules: UInt64 = 0
    }

    private struct ClassTally {
        var spans: UInt32 = 0
        var listed = 0
        var bytes: UInt64 = 0
        var used: UInt64 = 0

        mutating func add(_ span: cistern_span) {
            spans += 1
            listed += Int(span.is_listed)
            bytes += UInt64(span.page_count) << UInt64(Layout.pageShift)
            used += UInt64(span.used)
        }
    }
}
