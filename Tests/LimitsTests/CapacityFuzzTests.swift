import Limits
@_exported import TestSupport
import Testing

@Suite struct CapacityFuzzTests {
    /// What the strict grammar means, said in another way: with twice as wide a product.
    static func expected(_ bytes: [UInt8]) -> UInt64? {
        var digits = bytes
        var factor: UInt64 = 1
        if let last = bytes.last, let index = Array("KMGkmg".utf8).firstIndex(of: last) {
            digits.removeLast()
            factor = [1024, 1_048_576, 1_073_741_824][index % 3]
        }
        guard !digits.isEmpty, digits.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        let trimmed = digits.drop { $0 == 48 }
        // 19 digits fit 64 bits, and 20 are more than 2^63.
        guard trimmed.count <= 19 else { return nil }
        let product = trimmed.reduce(UInt64(0)) { $0 * 10 + UInt64($1 - 48) }.multipliedFullWidth(by: factor)
        return product.high == 0 && product.low > 0 && product.low < 1 << 63 ? product.low : nil
    }

    @Test func anyBytesNeverTrap() {
        var (numbers, seed) = Random.printed("CapacityFuzzTests.anyBytesNeverTrap")
        let alphabet = Array("0123456789999KMGkmgiBTb%auto-.,x \0\u{FF}".utf8)
        var accepted = 0
        for _ in 0..<40_000 {
            let length = Int.random(in: 0...24, using: &numbers)
            let mostlyDigits = Bool.random(using: &numbers)
            var text = (0..<length).map { _ in
                mostlyDigits ? UInt8.random(in: 48...57, using: &numbers) : alphabet.randomElement(using: &numbers)!
            }
            if mostlyDigits, Bool.random(using: &numbers) { text.append(Array("KMGkmg".utf8).randomElement(using: &numbers)!) }
            let strict = try? Capacity.parse(text.span, source: .environment)
            #expect(strict == Self.expected(text), "seed \(seed): \(text)")
            if let strict {
                accepted += 1
                #expect(strict > 0 && strict <= Capacity.largestBytes)
                #expect((try? Capacity.parseExtended(text.span)) == .bytes(strict), "seed \(seed): \(text)")
            }
            let said = message { () throws(CapacityError) in _ = try Capacity.parseExtended(text.span) }
            if let said { #expect(!said.contains("\n") && said.utf8.count <= 512, "seed \(seed): \(text)") }
        }
        #expect(accepted > 1000)
    }
}
