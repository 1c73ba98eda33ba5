import Limits
import Testing

@Suite struct CapacityRequestTests {
    @Test(arguments: [
        ("1KiB", CapacityRequest.bytes(1 << 10)), ("2MiB", .bytes(2 << 20)), ("3GiB", .bytes(3 << 30)), ("4TiB", .bytes(4 << 40)),
        ("8388607TiB", .bytes(8_388_607 << 40)), ("512M", .bytes(512 << 20)), ("1%", .percentOfLimit(1)),
        ("75%", .percentOfLimit(75)), ("100%", .percentOfLimit(100)), ("auto", .fit), ("auto-512M", .fitLess(512 << 20)),
        ("auto-1GiB", .fitLess(1 << 30)), ("auto-1", .fitLess(1)),
    ])
    func accepts(text: String, request: CapacityRequest) throws {
        #expect(try Capacity.parseExtended(text) == request)
    }

    @Test(arguments: [
        ("", CapacityError.Kind.empty), ("kB", .malformed), ("1kB", .ambiguousUnit), ("1KB", .ambiguousUnit), ("1kb", .ambiguousUnit),
        ("1MB", .ambiguousUnit), ("1GB", .ambiguousUnit), ("1gb", .ambiguousUnit), ("1TB", .ambiguousUnit), ("1Mb", .ambiguousUnit),
        ("1.5G", .fraction), ("1,5G", .fraction), ("auto-1.5G", .fraction), (".5G", .malformed), ("off", .unlimited),
        ("unlimited", .unlimited), ("max", .unlimited), ("0%", .percentage), ("101%", .percentage), ("7.5%", .percentage),
        ("-1%", .percentage), ("99999999999999999999999%", .percentage), ("%", .malformed), ("auto-", .malformed),
        ("auto-0", .zero), ("auto-x", .malformed), ("auto-10%", .malformed), ("auto512M", .malformed), ("Auto", .malformed),
        ("1kiB", .malformed), ("1Kib", .malformed), ("1T", .malformed), ("1t", .malformed), ("1PiB", .malformed), ("0KiB", .zero),
        ("8388608TiB", .overflow), ("18446744073709551616TiB", .overflow), ("1 KiB", .malformed), ("-1G", .malformed),
    ])
    func refuses(text: String, expected: CapacityError.Kind) {
        #expect(kind { () throws(CapacityError) in _ = try Capacity.parseExtended(text) } == expected)
    }

    static let form = "digits, then nothing or one of K, M, G, KiB, MiB, GiB, TiB; or 1% to 100%, auto, or auto-SIZE"

    @Test(arguments: [
        ("5MB", "capacity: '5MB' may count in 1000 or in 1024: write KiB, MiB, GiB or TiB; expected \(form)"),
        ("1.5G", "capacity: '1.5G' is a fraction: write it in the next smaller unit; expected \(form)"),
        ("off", "capacity: 'off' is no bound, and a bounded heap needs one; expected \(form)"),
        ("200%", "capacity: '200%' is not a percentage from 1 to 100; expected \(form)"),
        ("lots", "capacity: 'lots' is not a capacity; expected \(form)"),
    ])
    func says(text: String, expected: String) {
        #expect(message { () throws(CapacityError) in _ = try Capacity.parseExtended(text) } == expected)
    }
}
