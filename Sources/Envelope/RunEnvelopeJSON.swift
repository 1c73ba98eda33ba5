extension RunEnvelope {
    /// The first block for programs.
    public var firstJSON: JSON {
        let group: JSON =
            switch bounds.group {
            case .success(let path): .text(path)
            case .failure, nil: .null
            }
        let problem: JSON = if case .failure(let problem) = bounds.group { .text(problem.text) } else { .null }
        return .members([
            ("time", .text(UTCTime.text(startSeconds))), ("command", .list(command.map { .text($0) })),
            ("skipCapacityBytes", .optional(bounds.capacity?.bytes)), ("addressSpaceBytes", .optional(bounds.addressSpaceBytes)),
            ("memoryBytes", .optional(bounds.memoryBytes)), ("memoryGroup", group), ("memoryGroupProblem", problem),
            ("surroundings", before.json),
        ])
    }

    /// The block of a run that goes on, for programs.
    public func runningJSON(_ use: RunUse, _ evidence: KillEvidence) -> JSON {
        .members([("time", time(use)), ("use", use.json), ("memoryKill", evidence.json)])
    }

    /// The last block for programs.
    public func lastJSON(_ end: CommandEnd, _ use: RunUse, _ evidence: KillEvidence) -> JSON {
        let (code, signal): (JSON, JSON) =
            switch end {
            case .exited(let code): (.integer(UInt64(code.magnitude)), .null)
            case .signalled(let signal): (.null, .integer(UInt64(signal.magnitude)))
            }
        let verdict = Verdict.of(end, evidence)
        return .members([
            ("time", time(use)), ("exitCode", code), ("signal", signal), ("status", .integer(UInt64(end.status.magnitude))),
            ("verdict", .text(verdict.word)), ("explanation", .optional(verdict.sentence(end, evidence))), ("use", use.json),
            ("memoryKill", evidence.json),
        ])
    }

    private func time(_ use: RunUse) -> JSON { .text(UTCTime.text(startSeconds + use.elapsedMilliseconds / 1000)) }
}

extension RunUse {
    var json: JSON {
        .members([
            ("elapsedMilliseconds", .integer(elapsedMilliseconds)), ("peakResidentBytes", .optional(peakResidentBytes)),
            ("peakMappedBytes", .optional(peakMappedBytes)), ("sampleCount", .integer(sampleCount)),
            ("groupPeakBytes", .optional(groupPeakBytes)), ("userMicroseconds", .optional(userMicroseconds)),
            ("systemMicroseconds", .optional(systemMicroseconds)),
        ])
    }
}

extension KillEvidence {
    var json: JSON {
        .members([
            ("isProven", .bool(proof != nil)), ("proof", .optional(proof)),
            (
                "counters",
                .list(
                    counters.map {
                        .members([
                            ("source", .text($0.source)), ("isOfCommandAlone", .bool($0.isOfCommandAlone)),
                            ("before", .optional($0.before)), ("after", .optional($0.after)),
                        ])
                    })
            ),
            ("remarks", .list(remarks.map { .text($0) })),
        ])
    }
}
