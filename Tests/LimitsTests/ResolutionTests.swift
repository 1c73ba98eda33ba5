import Glibc
import Limits
import Testing

@Suite struct ResolutionTests {
    static let standard = ResolvedCapacity(bytes: 17_179_869_184, source: .default)
    static let three = ResolvedCapacity(bytes: 3 << 30, source: .environment)

    @Test(
        arguments: [
            ([], nil, standard), ([], "", standard), ([], "3G", three), (["app"], "3G", three),
            (["app", "--capacity", "1048576"], "3G", ResolvedCapacity(bytes: 1_048_576, source: .argument)),
            (["app", "--capacity", "1M"], nil, ResolvedCapacity(bytes: 1_048_576, source: .argument)),
            (["app", "--capacity", "1M"], "nonsense", ResolvedCapacity(bytes: 1_048_576, source: .argument)),
            (["app", "--capacity", "-v"], "3G", standard), (["app", "--capacity", "-1"], nil, standard),
            (["app", "--capacity", "-"], "nonsense", standard), (["app", "--capacity", "--capacity", "5M"], "3G", standard),
            (["app", "--capacity"], "3G", three), (["app", "--capacity"], nil, standard), (["app", "--capacity"], "", standard),
            (["app", "--capacity", "1M", "--capacity", "2M"], nil, ResolvedCapacity(bytes: 1 << 20, source: .argument)),
            (["app", "--capacity", "1M", "--capacity"], nil, ResolvedCapacity(bytes: 1 << 20, source: .argument)),
            (["app", "--capacity=1M"], "3G", three), (["app", "--Capacity", "1M"], "3G", three),
            (["app", "x", "--capacity", "7K", "y"], nil, ResolvedCapacity(bytes: 7168, source: .argument)),
        ] as [([String], String?, ResolvedCapacity)])
    func precedence(arguments: [String], environment: String?, expected: ResolvedCapacity) throws {
        #expect(try Capacity.resolve(arguments: arguments, environment: environment) == expected)
    }

    @Test(
        arguments: [
            (["--capacity", "3GB"], "3G", "--capacity: '3GB' is not a capacity; "),
            (["--capacity", ""], "3G", "--capacity: '' is empty; "),
            (["--capacity"], "3GB", "SKIP_CAPACITY: '3GB' is not a capacity; "),
            ([], " ", "SKIP_CAPACITY: ' ' is not a capacity; "),
            ([], "75%", "SKIP_CAPACITY: '75%' is not a capacity; "),
        ] as [([String], String, String)])
    func errorsNameTheirSource(arguments: [String], environment: String, beginning: String) {
        let said = message { () throws(CapacityError) in
            _ = try Capacity.resolve(arguments: arguments, environment: environment)
        }
        #expect(said == beginning + "expected digits, then nothing or one of K, M, G, such as 512M")
    }
}

/// The environment belongs to the whole process: one test after the other.
@Suite(.serialized) struct EnvironmentTests {
    func with<Result>(_ value: [CChar]?, _ body: () throws -> Result) rethrows -> Result {
        _ = Random.givenSeed
        if let value { unsafe #expect(setenv("SKIP_CAPACITY", value, 1) == 0) } else { unsafe #expect(unsetenv("SKIP_CAPACITY") == 0) }
        defer { unsafe unsetenv("SKIP_CAPACITY") }
        return try body()
    }

    var oneGroup: MemoryLimits {
        var limits = MemoryLimits()
        limits.add(MemoryLimit(kind: .groupV2Max, valueBytes: 4 << 30))
        return limits
    }

    @Test func aSetVariableStaysAsItIs() throws {
        let choice = try with([0x35, 0x47, 0]) { try Capacity.fromEnvironment(limits: oneGroup) }
        #expect(choice == CapacityChoice(bytes: 5 << 30, source: .environment, reason: .given, exceeds: oneGroup[0]))
    }

    @Test func unsetAndEmptyFit() throws {
        let fitted = CapacityChoice(bytes: 3 << 30, source: .default, reason: .limit(oneGroup[0]))
        #expect(try with(nil) { try Capacity.fromEnvironment(limits: oneGroup) } == fitted)
        #expect(try with([0]) { try Capacity.fromEnvironment(limits: oneGroup) } == fitted)
    }

    @Test func aBadVariableIsAnError() {
        let said = with([0x35, -1, 0]) {
            message { () throws(CapacityError) in _ = try Capacity.fromEnvironment(limits: oneGroup) }
        }
        #expect(said == "SKIP_CAPACITY: '5\\xff' is not a capacity; expected digits, then nothing or one of K, M, G, such as 512M")
    }

    @Test func theRealLimitsGiveACapacity() throws {
        let choice = try with(nil) { try Capacity.fromEnvironment() }
        #expect(choice.source == .default && choice.bytes >= 1 << 20 && choice.bytes <= Capacity.defaultBytes)
    }
}
