/// Everything measured of one allocator on one trace. Times are per event; nil where a figure could not be had.
struct Row {
    var trace: String
    var allocator: String
    var eventCount: UInt64
    var peakLiveBytes: UInt64
    var completed = true
    var coldNanosecondsPerOperation: Double?
    var warmNanosecondsPerOperation: Double?
    /// First pass, less the loop alone.
    var overheadNanosecondsPerOperation: Double?
    var warmOverheadNanosecondsPerOperation: Double?
    var peakResidentBytes: UInt64?
    var smallestAddressSpaceBytes: UInt64?
    var addressSpaceLessLoadBytes: UInt64?
    var instructionsPerOperation: Double?
    var contentsChecked: Bool?
    var workHash: UInt64 = 0

    var residentPerLive: Double? { perLive(peakResidentBytes) }
    var addressSpacePerLive: Double? { perLive(smallestAddressSpaceBytes) }
    var addressSpaceLessLoadPerLive: Double? { perLive(addressSpaceLessLoadBytes) }

    private func perLive(_ byteCount: UInt64?) -> Double? {
        guard let byteCount, peakLiveBytes > 0 else { return nil }
        return Double(byteCount) / Double(peakLiveBytes)
    }

    var json: JSON {
        var members: [(String, JSON)] = [
            ("trace", .text(trace)), ("allocator", .text(allocator)), ("completed", .bool(completed)),
            ("events", .integer(eventCount)), ("peakLiveBytes", .integer(peakLiveBytes)),
            ("coldNanosecondsPerOperation", .optional(coldNanosecondsPerOperation)),
            ("warmNanosecondsPerOperation", .optional(warmNanosecondsPerOperation)),
            ("overheadNanosecondsPerOperation", .optional(overheadNanosecondsPerOperation)),
            ("warmOverheadNanosecondsPerOperation", .optional(warmOverheadNanosecondsPerOperation)),
            ("peakResidentBytes", .optional(peakResidentBytes)),
            ("smallestAddressSpaceBytes", .optional(smallestAddressSpaceBytes)),
            ("addressSpaceLessLoadBytes", .optional(addressSpaceLessLoadBytes)),
        ]
        if let instructionsPerOperation { members.append(("instructionsPerOperation", .number(instructionsPerOperation))) }
        if let contentsChecked { members.append(("contentsChecked", .bool(contentsChecked))) }
        members.append(("workHash", .text(String(workHash, radix: 16))))
        return .object(members)
    }
}

/// The loop of the replay alone.
struct Floor {
    var trace: String
    var coldNanosecondsPerOperation: Double
    var warmNanosecondsPerOperation: Double
    /// What the program that replays through malloc needs for an empty replay.
    var emptyAddressSpaceBytes: UInt64
    /// The same for the program that replays through cistern: it holds the Swift runtime.
    var emptyAddressSpaceBytesOfCistern: UInt64?
    var instructionsPerOperation: Double?

    var json: JSON {
        .object([
            ("trace", .text(trace)), ("coldNanosecondsPerOperation", .number(coldNanosecondsPerOperation)),
            ("warmNanosecondsPerOperation", .number(warmNanosecondsPerOperation)),
            ("emptyAddressSpaceBytes", .integer(emptyAddressSpaceBytes)),
            ("emptyAddressSpaceBytesOfCistern", .optional(emptyAddressSpaceBytesOfCistern)),
            ("instructionsPerOperation", .optional(instructionsPerOperation)),
        ])
    }
}

/// One allocator over all traces.
struct Means {
    var allocator: String
    var coldRelativeToGlibc: Double?
    var warmRelativeToGlibc: Double?
    var residentPerLive: Double?
    var addressSpacePerLive: Double?
    var addressSpaceLessLoadPerLive: Double?

    /// `rows` are those of this allocator, `reference` those of glibc; both hold the same traces in the same order.
    init(_ allocator: String, rows: [Row], reference: [Row]) {
        self.allocator = allocator
        func relative(_ time: (Row) -> Double?) -> Double? {
            guard rows.count == reference.count else { return nil }
            return Statistics.geometricMean(
                zip(rows, reference).map { row, glibc in
                    guard let ours = time(row), let theirs = time(glibc), theirs > 0 else { return nil }
                    return ours / theirs
                })
        }
        coldRelativeToGlibc = relative(\.coldNanosecondsPerOperation)
        warmRelativeToGlibc = relative(\.warmNanosecondsPerOperation)
        residentPerLive = Statistics.geometricMean(rows.map(\.residentPerLive))
        addressSpacePerLive = Statistics.geometricMean(rows.map(\.addressSpacePerLive))
        addressSpaceLessLoadPerLive = Statistics.geometricMean(rows.map(\.addressSpaceLessLoadPerLive))
    }

    var json: JSON {
        .object([
            ("allocator", .text(allocator)), ("coldRelativeToGlibc", .optional(coldRelativeToGlibc)),
            ("warmRelativeToGlibc", .optional(warmRelativeToGlibc)), ("residentPerLive", .optional(residentPerLive)),
            ("addressSpacePerLive", .optional(addressSpacePerLive)),
            ("addressSpaceLessLoadPerLive", .optional(addressSpaceLessLoadPerLive)),
        ])
    }
}
