import Limits
import Testing

@Suite struct FitTests {
    static let mib: UInt64 = 1 << 20

    @Test(
        arguments: [
            (4096, 3072), (8192, 6144), (16384, 12288), (32768, 16384), (22528, 16384), (512, 256), (1024, 512), (1536, 1024),
            (2048, 1536), (2047, 1534), (1023, 510), (100, 50), (4, 2), (3, 1), (1, 1), (0, 1), (1 << 40, 16384),
        ] as [(UInt64, UInt64)])
    func table(limitMib: UInt64, capacityMib: UInt64) {
        #expect(Capacity.fitted(limitMib * Self.mib) == capacityMib * Self.mib)
    }

    @Test func joinsAreContinuous() {
        for join in [1 << 30, 2 << 30] as [UInt64] {
            #expect(Capacity.fit(join) - Capacity.fit(join - 1) <= 1)
            #expect(Capacity.fit(join + 1) - Capacity.fit(join) <= 1)
        }
        #expect(Capacity.fit(1 << 30) == 512 << 20)
        #expect(Capacity.fit(2 << 30) == 1536 << 20)
        #expect(Capacity.fit(0) == 0)
        #expect(Capacity.fit(UInt64.max) == UInt64.max - UInt64.max / 4)
        #expect(Capacity.fitted(UInt64.max) == Capacity.defaultBytes)
    }

    /// All limits of four significant digits, from 1 to about 2^64.
    @Test func growsWithTheLimit() {
        var limits: [UInt64] = []
        for digits in 1000...9999 as ClosedRange<UInt64> {
            var value = digits
            while true {
                limits.append(value)
                let (next, overflow) = value.multipliedReportingOverflow(by: 10)
                if overflow { break }
                value = next
            }
        }
        limits.sort()
        var before: (fit: UInt64, fitted: UInt64) = (0, 0)
        var wrong = 0
        for limit in limits {
            let now = (Capacity.fit(limit), Capacity.fitted(limit))
            let isStep = now.1 % Capacity.fittedStepBytes == 0 || now.1 == Capacity.smallestFittedBytes
            if now.0 < before.fit || now.1 < before.fitted || now.0 > limit || now.1 > Capacity.defaultBytes || !isStep { wrong += 1 }
            before = now
        }
        #expect(wrong == 0)
        #expect(limits.count > 100_000)
    }

    @Test func reservedBytesAreTakenAway() {
        #expect(Capacity.fitted(4 << 30, less: 512 << 20) == 2560 << 20)
        #expect(Capacity.fitted(4 << 30, less: 1) == 3070 << 20)
        #expect(Capacity.fitted(4 << 30, less: 3 << 30) == 1 << 20)
        #expect(Capacity.fitted(4 << 30, less: UInt64.max) == 1 << 20)
    }
}

@Suite struct ChoiceTests {
    let group = MemoryLimit(kind: .groupV1, valueBytes: 8 << 30, level: 1)
    let standard = ResolvedCapacity(bytes: Capacity.defaultBytes, source: .default)

    @Test func aDefaultIsFitted() {
        let choice = Capacity.choose(standard, tightest: group)
        #expect(choice == CapacityChoice(bytes: 6 << 30, source: .default, reason: .limit(group)))
        #expect(
            choice.description
                == "6442450944 bytes (default, fits cgroup memory.limit_in_bytes 8589934592, 1 above the own group)")
    }

    @Test func aDefaultThatFitsStays() {
        let roomy = MemoryLimit(kind: .physicalMemory, valueBytes: 24 << 30)
        #expect(Capacity.choose(standard, tightest: roomy) == CapacityChoice(bytes: 16 << 30, source: .default, reason: .byDefault))
        #expect(Capacity.choose(standard, tightest: nil) == CapacityChoice(bytes: 16 << 30, source: .default, reason: .byDefault))
        #expect(Capacity.choose(standard, tightest: nil).description == "17179869184 bytes (default)")
    }

    @Test func fittingCanBeTurnedOff() {
        let choice = Capacity.choose(standard, tightest: group, fitsDefault: false)
        #expect(choice == CapacityChoice(bytes: 16 << 30, source: .default, reason: .byDefault, exceeds: group))
    }

    @Test(arguments: [(1 << 30, false), (8 << 30, false), ((8 << 30) + 1, true), (UInt64(Int64.max), true)] as [(UInt64, Bool)])
    func anExplicitValueStays(bytes: UInt64, isAbove: Bool) {
        for source in [Capacity.Source.argument, .environment, .api] {
            let choice = Capacity.choose(ResolvedCapacity(bytes: bytes, source: source), tightest: group)
            #expect(choice == CapacityChoice(bytes: bytes, source: source, reason: .given, exceeds: isAbove ? group : nil))
        }
    }

    @Test func exceedingIsSaid() {
        let space = MemoryLimit(kind: .addressSpace, valueBytes: 100, availableBytes: 90)
        let texts = [Capacity.Source.argument, .environment, .api].map {
            Capacity.choose(ResolvedCapacity(bytes: 95, source: $0), tightest: space).description
        }
        #expect(
            texts == [
                "95 bytes (--capacity, exceeds RLIMIT_AS 100, 90 left (ulimit -v))",
                "95 bytes (SKIP_CAPACITY, exceeds RLIMIT_AS 100, 90 left (ulimit -v))",
                "95 bytes (given in code, exceeds RLIMIT_AS 100, 90 left (ulimit -v))",
            ])
    }

    @Test(
        arguments: [
            (CapacityRequest.fit, 6 << 30), (.fitLess(512 << 20), 5632 << 20), (.percentOfLimit(75), 6 << 30),
            (.percentOfLimit(100), 8 << 30), (.percentOfLimit(1), 80 << 20), (.percentOfLimit(1000), 8 << 30),
            (.percentOfLimit(0), 1 << 20),
        ] as [(CapacityRequest, UInt64)])
    func requests(request: CapacityRequest, bytes: UInt64) {
        #expect(Capacity.choose(request, tightest: group) == CapacityChoice(bytes: bytes, source: .api, reason: .limit(group)))
    }

    @Test func requestsWithoutALimit() {
        let choices = [CapacityRequest.fit, .fitLess(1 << 30), .fitLess(UInt64.max), .percentOfLimit(50)].map {
            Capacity.choose($0, tightest: nil)
        }
        #expect(choices.map(\.bytes) == [16 << 30, 15 << 30, 1 << 20, 8 << 30])
        #expect(choices.allSatisfy { $0.reason == .byDefault && $0.exceeds == nil && $0.source == .api })
    }

    @Test func aRequestForBytesIsGiven() {
        #expect(
            Capacity.choose(.bytes(9 << 30), source: .argument, tightest: group)
                == CapacityChoice(bytes: 9 << 30, source: .argument, reason: .given, exceeds: group))
        let largest = MemoryLimit(kind: .data, valueBytes: UInt64.max)
        #expect(Capacity.choose(.percentOfLimit(100), tightest: largest).bytes == UInt64.max - UInt64.max % (2 << 20))
    }

    @Test func everyLimitHasAName() {
        let texts = (0...5 as ClosedRange<UInt32>).map { MemoryLimit(kind: MemoryLimit.Kind(rawValue: $0)!, valueBytes: 7).description }
        #expect(
            texts == [
                "RLIMIT_AS 7, 7 left (ulimit -v)", "RLIMIT_DATA 7 (ulimit -d)", "cgroup memory.limit_in_bytes 7", "cgroup memory.max 7",
                "cgroup memory.high 7", "machine memory 7",
            ])
    }
}
