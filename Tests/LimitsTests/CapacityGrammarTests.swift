import Limits
import Testing

/// The message of the error that a closure throws; nil when it throws none.
func message(_ body: () throws(CapacityError) -> Void) -> String? {
    do throws(CapacityError) {
        try body()
        return nil
    } catch {
        return error.description
    }
}

/// The kind of the error that a closure throws; nil when it throws none.
func kind(_ body: () throws(CapacityError) -> Void) -> CapacityError.Kind? {
    do throws(CapacityError) {
        try body()
        return nil
    } catch {
        return error.kind
    }
}

@Suite struct CapacityGrammarTests {
    @Test(
        arguments: [
            ("1", 1), ("0001", 1), ("1048576", 1_048_576), ("1K", 1024), ("1k", 1024), ("7M", 7_340_032), ("7m", 7_340_032),
            ("3G", 3_221_225_472), ("3g", 3_221_225_472), ("007K", 7168), ("16G", 17_179_869_184),
            ("9223372036854775807", UInt64(Int64.max)), ("00000000000000000000000000009", 9),
            ("9007199254740991K", 9_007_199_254_740_991 << 10), ("8796093022207M", 8_796_093_022_207 << 20),
            ("8589934591G", 8_589_934_591 << 30),
        ] as [(String, UInt64)])
    func accepts(text: String, bytes: UInt64) throws {
        #expect(try Capacity.parse(text, source: .environment) == bytes)
        #expect(try Capacity.parseExtended(text) == .bytes(bytes))
    }

    @Test(arguments: [
        ("", CapacityError.Kind.empty), ("K", .malformed), ("G", .malformed), ("3GB", .malformed), ("1.5G", .malformed),
        ("-1", .malformed), ("+1", .malformed), (" 3G", .malformed), ("3G ", .malformed), ("3 G", .malformed), ("3T", .malformed),
        ("0x10", .malformed), ("1e9", .malformed), ("3KiB", .malformed), ("75%", .malformed), ("auto", .malformed),
        ("1KK", .malformed), ("K1", .malformed), ("1\n", .malformed), ("1\0", .malformed), ("１", .malformed), ("1,000", .malformed),
        ("99999999999G", .overflow), ("9223372036854775808", .overflow), ("18446744073709551615", .overflow),
        ("18446744073709551616", .overflow), ("9007199254740992K", .overflow), ("8796093022208M", .overflow),
        ("8589934592G", .overflow), ("17179869184G", .overflow), ("18014398509481985K", .overflow),
        ("99999999999999999999999999999999999999", .overflow), ("99999999999999999999999x", .malformed),
        ("0", .zero), ("0K", .zero), ("000G", .zero),
    ])
    func refuses(text: String, expected: CapacityError.Kind) {
        #expect(kind { () throws(CapacityError) in _ = try Capacity.parse(text, source: .argument) } == expected)
    }

    @Test(arguments: [
        (
            "3GB", Capacity.Source.environment,
            "SKIP_CAPACITY: '3GB' is not a capacity; expected digits, then nothing or one of K, M, G, such as 512M"
        ),
        ("", .argument, "--capacity: '' is empty; expected digits, then nothing or one of K, M, G, such as 512M"),
        (
            "99999999999G", .argument,
            "--capacity: '99999999999G' is more than 9223372036854775807 bytes; "
                + "expected digits, then nothing or one of K, M, G, such as 512M"
        ),
        ("0K", .environment, "SKIP_CAPACITY: '0K' is zero bytes; expected digits, then nothing or one of K, M, G, such as 512M"),
        (
            "a\n\u{1}'\\é", .environment,
            "SKIP_CAPACITY: 'a\\x0a\\x01\\x27\\x5c\\xc3\\xa9' is not a capacity; "
                + "expected digits, then nothing or one of K, M, G, such as 512M"
        ),
        (
            "0123456789abcdefghijABCDEFGHIJ+-", .argument,
            "--capacity: '0123456789abcdefghijABCDEFGHIJ+-' is not a capacity; "
                + "expected digits, then nothing or one of K, M, G, such as 512M"
        ),
        (
            "0123456789abcdefghijABCDEFGHIJ+-x", .argument,
            "--capacity: '0123456789abcdefghijABCDEFGHIJ+-...' is not a capacity; "
                + "expected digits, then nothing or one of K, M, G, such as 512M"
        ),
    ])
    func strictMessage(text: String, source: Capacity.Source, expected: String) {
        #expect(message { () throws(CapacityError) in _ = try Capacity.parse(text, source: source) } == expected)
    }

    @Test func aShortBufferGetsTheBeginning() {
        let error = CapacityError(.zero, source: .argument, given: "0".utf8.span)
        var bytes = [UInt8](repeating: 0x2A, count: 14)
        var span = bytes.mutableSpan
        let count = error.write(into: &span)
        #expect(count == error.description.utf8.count)
        #expect(bytes == Array("--capacity: '0".utf8))
    }

    @Test func theLongestMessageFitsItsBound() {
        let text = [UInt8](repeating: 1, count: 100)
        for raw in 0...7 as ClosedRange<UInt32> {
            let kind = CapacityError.Kind(rawValue: raw)!
            for source in [Capacity.Source.argument, .environment, .api, .default] {
                let error = CapacityError(kind, source: source, given: text.span)
                var none: [UInt8] = []
                var span = none.mutableSpan
                #expect(error.write(into: &span) <= 512)
                #expect(error.description.utf8.count <= 512 && !error.description.contains("\u{1}"))
            }
        }
        #expect(CapacityError.Kind(rawValue: 8) == nil)
    }

    @Test func givenTextKeepsItsBeginning() {
        let bytes = [UInt8](1...40)
        let given = GivenText(bytes.span)
        #expect(given.byteCount == 40 && given.keptByteCount == 32)
        #expect((0..<32).map { given[$0] } == Array(bytes[..<32]))
        #expect(given[-1] == 0 && given[32] == 0 && given[Int.max] == 0)
        #expect(given == GivenText(bytes.span))
        #expect(given != GivenText([UInt8](1...39).span))
        #expect(given != GivenText([UInt8](2...41).span))
    }
}
