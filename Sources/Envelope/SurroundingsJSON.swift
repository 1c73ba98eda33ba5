extension Surroundings {
    /// The same facts for programs: bytes as whole numbers, averages in percent.
    public var json: JSON {
        .members([
            ("kernel", .text(kernel)),
            ("limits", .list(limits.readings.map(\.json))),
            ("omittedLimitCount", .integer(UInt64(limits.omittedCount))),
            ("tightest", limits.readings.first(where: \.isTightest)?.json ?? .null),
            ("absentLimits", .list(limits.absent.map { .text($0) })),
            ("memory", memory.json),
            (
                "overcommit",
                .members([
                    ("mode", .optional(memory.overcommitMode)), ("meaning", .text(memory.overcommitName)),
                    ("commitLimitBytes", .optional(memory.commitLimitBytes)), ("committedBytes", .optional(memory.committedBytes)),
                ])
            ),
            ("processors", processors.json),
            ("pressure", .list(pressures.map(\.json))),
            (
                "diskSpace",
                .list(
                    disks.map {
                        .members([
                            ("path", .text($0.path)), ("freeBytes", .integer($0.freeBytes)), ("totalBytes", .integer($0.totalBytes)),
                        ])
                    })
            ),
            (
                "unreadable",
                .list(unreadables.map { .members([("subject", .text($0.subject)), ("reason", .text(SystemCode.text($0.code)))]) })
            ),
        ])
    }
}

extension LimitReading {
    var json: JSON {
        .members([
            ("name", .text(name)), ("bytes", .integer(limit.valueBytes)), ("countsAsBytes", .integer(limit.availableBytes)),
            ("inUseBytes", .optional(inUseBytes)), ("leftBytes", .optional(leftBytes)), ("source", .text(source)),
            ("groupsAboveOwn", .integer(UInt64(limit.level))), ("isTightest", .bool(isTightest)),
        ])
    }
}

extension MachineMemory {
    var json: JSON {
        .members([
            ("totalBytes", .optional(totalBytes)), ("availableBytes", .optional(availableBytes)),
            ("swapTotalBytes", .optional(swapTotalBytes)), ("swapFreeBytes", .optional(swapFreeBytes)),
        ])
    }
}

extension Processors {
    var json: JSON {
        .members([
            ("count", .integer(count)), ("onlineCount", .optional(onlineCount)), ("affinityCount", .optional(affinityCount)),
            (
                "quota",
                quota.map {
                    .members([("processors", .hundredths($0.hundredths)), ("source", .text($0.source))])
                } ?? .null
            ),
        ])
    }
}

extension Pressure {
    var json: JSON {
        func json(_ line: Line?) -> JSON {
            guard let line else { return .null }
            return .members([
                ("average10", .hundredths(line.average10)), ("average60", .hundredths(line.average60)),
                ("average300", .hundredths(line.average300)), ("totalMicroseconds", .integer(line.totalMicroseconds)),
            ])
        }
        return .members([
            ("resource", .text(resource)), ("source", .text(source)), ("some", json(some)), ("full", json(full)),
        ])
    }
}
