import Cistern

/// What a heap looked like at many moments of a run, in cells of equal size.
struct MapRecording {
    /// What a cell mostly holds. Numbers below 64 are size classes: blocks of 8 (n + 1) bytes.
    enum Content {
        static let medium: UInt8 = 64
        static let large: UInt8 = 65
        static let veryLarge: UInt8 = 66
        static let own: UInt8 = 67
        static let region: UInt8 = 68
        static let hole: UInt8 = 69
        static let givenBack: UInt8 = 70
        static let unused: UInt8 = 71
        static let reserved: UInt8 = 72
        static let count = 73
        /// In the packed form: as in the column before.
        static let same: UInt8 = 255
    }

    /// One moment.
    struct Column {
        var event: UInt64
        var liveBytes: UInt64
        var committedBytes: UInt64
        var residentBytes: UInt64
        var holeBytes: UInt64
        /// For each cell its content, and a byte of two shares in sixteenths: handed out (low half), resident (high half).
        var cells: [UInt8]
    }

    /// At most so many cells: what a page can show.
    static let mostCells: UInt64 = 2048

    let cellBytes: UInt64
    let cellCount: Int
    private(set) var columns: [Column] = []

    /// For a heap of which only the first `shownBytes` are ever used.
    init(shownBytes: UInt64) {
        var cellBytes: UInt64 = 4096
        while shownBytes.dividedUp(by: cellBytes) > Self.mostCells { cellBytes *= 2 }
        self.cellBytes = cellBytes
        cellCount = max(1, Int(shownBytes.dividedUp(by: cellBytes)))
    }

    mutating func add(_ snapshot: HeapSnapshot, event: UInt64, liveBytes: UInt64, residentBytes: UInt64) {
        columns.append(
            Column(
                event: event, liveBytes: liveBytes, committedBytes: snapshot.committedBytes, residentBytes: residentBytes,
                holeBytes: snapshot.holeBytes, cells: cells(of: snapshot)))
    }

    /// Sums of bytes in one cell, while the stretches that reach into it go by.
    private struct Sums {
        var byContent = [UInt64](repeating: 0, count: Content.count)
        var handedOut: UInt64 = 0
        var touched: UInt64 = 0

        /// What is in use comes before what is not, however little it is: its share shows how much.
        func content() -> UInt8 {
            func most(_ contents: Range<Int>) -> UInt8? {
                let best = contents.max { byContent[$0] < byContent[$1] }
                return best.flatMap { byContent[$0] > 0 ? UInt8($0) : nil }
            }
            return most(0..<Int(Content.hole)) ?? most(Int(Content.hole)..<Content.count) ?? Content.reserved
        }
    }

    private func cells(of snapshot: HeapSnapshot) -> [UInt8] {
        var cells: [UInt8] = []
        cells.reserveCapacity(cellCount * 2)
        var sums = Sums()
        var cellEnd = cellBytes
        for stretch in snapshot.stretches {
            let end = stretch.offsetBytes + stretch.byteCount
            var start = stretch.offsetBytes
            while start < end, cells.count < cellCount * 2 {
                let part = min(end, cellEnd) - start
                let handedOut = Self.isWhole(stretch) ? stretch.byteCount : stretch.handedOutBytes
                let touched = stretch.kind == .fixed ? stretch.byteCount : stretch.touchedBytes
                sums.byContent[Int(Self.content(of: stretch))] += part
                // Spread evenly over the stretch; no product overflows 64 bits below a heap's 128 GiB.
                sums.handedOut += UInt64(Double(handedOut) * Double(part) / Double(stretch.byteCount))
                sums.touched += UInt64(Double(touched) * Double(part) / Double(stretch.byteCount))
                start += part
                guard start == cellEnd else { continue }
                append(sums, to: &cells)
                sums = Sums()
                cellEnd += cellBytes
            }
        }
        if cells.count < cellCount * 2 { append(sums, to: &cells) }
        return cells
    }

    private func append(_ sums: Sums, to cells: inout [UInt8]) {
        func share(_ bytes: UInt64) -> UInt8 {
            // A little is not nothing.
            bytes == 0 ? 0 : UInt8(max(1, min(15, (bytes * 15 + cellBytes / 2) / cellBytes)))
        }
        cells.append(sums.content())
        cells.append(share(sums.handedOut) | share(sums.touched) << 4)
    }

    /// Is all of it taken, with no blocks to count?
    private static func isWhole(_ stretch: HeapStretch) -> Bool {
        stretch.kind == .fixed || stretch.kind == .ownRun || stretch.kind == .region
    }

    private static func content(of stretch: HeapStretch) -> UInt8 {
        switch stretch.kind {
        case .fixed, .ownRun: Content.own
        case .region: Content.region
        case .span: UInt8(stretch.blockBytes / 8 - 1)
        case .block:
            // Small blocks may stand in runs of their own: the first few of a class.
            switch stretch.byteCount {
            case ...512: UInt8(stretch.byteCount / 8 - 1)
            case ...4096: Content.medium
            case ...65536: Content.large
            default: Content.veryLarge
            }
        case .free: stretch.touchedBytes * 2 >= stretch.byteCount ? Content.hole : Content.givenBack
        case .unused: Content.unused
        case .reserved: Content.reserved
        }
    }

    /// All cells, column after column, packed: a run length, a content and its shares; or a run length and `same`.
    var packed: [UInt8] {
        var bytes: [UInt8] = []
        var before: [UInt8] = []
        for column in columns {
            var at = 0
            while at < cellCount {
                let isSame = !before.isEmpty && Self.pair(before, at) == Self.pair(column.cells, at)
                var end = at + 1
                while end < cellCount, end - at < 255,
                    isSame
                        ? Self.pair(before, end) == Self.pair(column.cells, end)
                        : Self.pair(column.cells, end) == Self.pair(column.cells, at)
                { end += 1 }
                bytes.append(UInt8(end - at))
                bytes += isSame ? [Content.same] : [column.cells[2 * at], column.cells[2 * at + 1]]
                at = end
            }
            before = column.cells
        }
        return bytes
    }

    private static func pair(_ cells: [UInt8], _ index: Int) -> UInt16 {
        UInt16(cells[2 * index]) << 8 | UInt16(cells[2 * index + 1])
    }
}

extension UInt64 {
    fileprivate func dividedUp(by unit: UInt64) -> UInt64 { self / unit + (self % unit == 0 ? 0 : 1) }
}

/// Bytes as text of 64 letters (RFC 4648).
enum Base64 {
    static func text(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count / 3 * 4 + 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let left = bytes.count - start
            let word =
                UInt32(bytes[start]) << 16 | (left > 1 ? UInt32(bytes[start + 1]) << 8 : 0) | (left > 2 ? UInt32(bytes[start + 2]) : 0)
            for position in 0..<4 {
                let isData = position <= left
                text.append(isData ? letters[Int(word >> UInt32(18 - 6 * position) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
