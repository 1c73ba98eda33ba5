import CHeap

/// Which blocks stand where.
///
/// Small: 64 classes, every 8 bytes up to 512, cut from spans. Medium: whole granules from 9 to 64, runs of their own
/// that thread caches keep by exact length. Large: everything above 4096 bytes, runs that no cache keeps.
@usableFromInline
enum SizeClass {
    @inlinable static var smallByteLimit: UInt { 512 }
    @inlinable static var mediumByteLimit: UInt { 4096 }
    @inlinable static var smallCount: UInt { 64 }
    @inlinable static var binCount: UInt { 120 }
    /// No allocated run is shorter: run bits could not tell it from a free one.
    @inlinable static var minimumRunGranules: UInt32 { 2 }
    @inlinable static var spanByteLimit: UInt { 65536 }

    /// Bytes of a block of a small class.
    @inlinable @inline(__always)
    static func blockByteCount(_ index: UInt) -> UInt { (index &+ 1) << 3 }

    /// The class whose blocks begin and end where cache lines do, and are no larger than that takes. Up to 24 bytes, the class itself:
    /// a line would be more than twice the block.
    static func lineClass(_ index: UInt) -> UInt { index < 3 ? index : index | 7 }

    /// Bytes of the blocks in a cache's bin.
    static func binBlockByteCount(_ bin: UInt) -> UInt {
        bin < smallCount ? blockByteCount(bin) : (bin &- 55) << Layout.granuleShift
    }

    /// How many blocks of a bin one thread may hold: by bytes, so that a cache stays small, but not so few that the usual coming and
    /// going of a class takes a lock.
    static func depthLimit(_ bin: UInt) -> UInt {
        min(max(8192 / binBlockByteCount(bin), bin < smallCount ? 64 : 32), 128)
    }

    /// Granules of a run that holds a size; the size is at most the capacity, so nothing wraps.
    @inlinable @inline(__always)
    static func granules(_ byteCount: UInt) -> UInt32 {
        max(minimumRunGranules, UInt32(truncatingIfNeeded: (byteCount &+ 63) >> Layout.granuleShift))
    }

    /// Pages of the next span of a class that has `spanBytes` in spans already.
    ///
    /// A class doubles its spans while the doubled span is at most a 64th of what the class has, up to 64 KiB, so that
    /// a span that is not full costs little; at least so many pages that the tail is under a tenth.
    static func spanPages(_ index: UInt, spanBytes: UInt64) -> UInt32 {
        var byteCount = minimumSpanBytes(index)
        while byteCount < spanByteLimit, UInt64(byteCount) * 2 <= spanBytes / 64 { byteCount *= 2 }
        return UInt32(truncatingIfNeeded: byteCount >> Layout.pageShift)
    }

    static func minimumSpanBytes(_ index: UInt) -> UInt {
        let block = blockByteCount(index)
        var byteCount = Layout.pageByteCount
        while (byteCount % block) * 10 > byteCount { byteCount += Layout.pageByteCount }
        return byteCount
    }
}
