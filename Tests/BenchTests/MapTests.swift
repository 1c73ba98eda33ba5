import Testing

@Suite(.enabled(if: Sanitizer.isAbsent, "children of cistern-bench run without sanitizers"))
struct MapTests {
    /// What the page's script draws from.
    private struct Picture {
        var numbers: [String: [UInt64]] = [:]
        /// By column, then by cell: content and shares.
        var columns: [[(content: UInt8, shares: UInt8)]] = []

        init(page: String) throws {
            let start = try #require(page.firstRange(ofText: "<script>const D=")?.upperBound)
            let data = page[start...].prefix { $0 != ";" }
            for name in ["capacity", "cellBytes", "cellCount", "event", "live", "committed", "resident", "holes"] {
                let at = try #require(data.firstRange(ofText: "\"\(name)\":")?.upperBound, "\(name)")
                let text = data[at...].first == "[" ? data[at...].dropFirst().prefix { $0 != "]" } : data[at...].prefix { $0.isNumber }
                numbers[name] = text.split(separator: ",").compactMap { UInt64($0) }
            }
            let at = try #require(data.firstRange(ofText: "\"cells\":\"")?.upperBound)
            unpack(Self.bytes(ofBase64: data[at...].prefix { $0 != "\"" }))
        }

        subscript(name: String) -> [UInt64] { numbers[name] ?? [] }

        private mutating func unpack(_ bytes: [UInt8]) {
            var rest = bytes[...]
            let cellCount = Int(self["cellCount"].first ?? 0)
            while !rest.isEmpty {
                var column: [(content: UInt8, shares: UInt8)] = []
                while column.count < cellCount, let length = rest.popFirst(), let content = rest.popFirst() {
                    if content == 255 {
                        guard let before = columns.last else { return }
                        column += before[column.count..<column.count + Int(length)]
                    } else {
                        column += Array(repeating: (content, rest.popFirst() ?? 0), count: Int(length))
                    }
                }
                columns.append(column)
            }
        }

        private static func bytes(ofBase64 text: Substring) -> [UInt8] {
            let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
            let values = text.utf8.compactMap { letters.firstIndex(of: $0) }
            var bytes: [UInt8] = []
            var word = 0
            var bits = 0
            for value in values {
                (word, bits) = (word << 6 | value, bits + 6)
                guard bits >= 8 else { continue }
                bits -= 8
                bytes.append(UInt8(word >> bits & 255))
            }
            return bytes
        }
    }

    private func draw(_ arguments: [String], _ check: (ProgramOutcome, Picture?, String) throws -> Void) throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let outcome = try program.bench(["map", "--html", "\(program.directory)/map.html"] + arguments)
        let page = (try? program.read("map.html")) ?? ""
        try check(outcome, page.isEmpty ? nil : try Picture(page: page), page)
    }

    @Test(arguments: ["perl-text", "python-json"]) func aRealTrace(_ name: String) throws {
        try draw(["--trace", name]) { outcome, picture, page in
            #expect(outcome.exitCode == 0 && outcome.errors.isEmpty, "\(outcome)")
            let picture = try #require(picture)
            let capacity = picture["capacity"][0]
            let cells = Int(picture["cellCount"][0])
            #expect(picture.columns.count == 321 && picture.columns.allSatisfy { $0.count == cells })
            for series in ["event", "live", "committed", "resident", "holes"] { #expect(picture[series].count == 321, "\(series)") }
            #expect(picture["event"] == picture["event"].sorted() && picture["event"][0] == 0)
            #expect(picture["event"][320] == (name == "perl-text" ? 2_582_189 : 3_193_759))
            #expect(UInt64(cells) * picture["cellBytes"][0] >= capacity)
            var contents: Set<UInt8> = []
            for index in 0..<321 {
                let (live, resident, committed) = (picture["live"][index], picture["resident"][index], picture["committed"][index])
                #expect(live <= committed && resident <= committed && committed <= capacity, "column \(index)")
                // The heap never holds less than what it was asked for.
                #expect(live <= resident + 65_536, "column \(index)")
                // What the cells say is in use covers what is live, and lies in what is committed.
                var inUse = 0.0
                for (cell, value) in picture.columns[index].enumerated() {
                    contents.insert(value.content)
                    inUse += Double(value.shares & 15) / 15 * Double(picture["cellBytes"][0])
                    let isAbove = UInt64(cell) * picture["cellBytes"][0] >= committed
                    if isAbove { #expect(value.content == 72 && value.shares == 0, "column \(index), cell \(cell)") }
                }
                #expect(inUse * 1.02 + 300_000 >= Double(live), "column \(index): \(inUse) of \(live)")
            }
            #expect(contents.allSatisfy { $0 <= 72 } && contents.contains(67) && contents.count > 10)
            // Nothing from elsewhere.
            for text in ["http://", "https://", "src=", "href=", "@import", "url("] { #expect(!page.contains(text), "\(text)") }
            #expect(page.contains("The heap of \(name), page by page"))
        }
    }

    /// A program that frees everything leaves no block in the last picture, and one that frees nothing does not.
    @Test func theLastColumnIsTheEnd() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        for freesAll in [true, false] {
            var trace = SyntheticTrace()
            let objects = (0..<3000).map { trace.allocate(100 + $0 % 50 * 400) }
            if freesAll { for object in objects { trace.free(object) } }
            let path = try program.gzip("ends-\(freesAll).trace.gz", trace.bytes())
            try draw(["--trace", path]) { outcome, picture, _ in
                #expect(outcome.exitCode == 0, "\(outcome)")
                let picture = try #require(picture)
                #expect(picture["live"].max() == UInt64(trace.peakLiveBytes) || freesAll)
                #expect(picture["live"].last == (freesAll ? 0 : UInt64(trace.peakLiveBytes)))
                let inUse = try #require(picture.columns.last).filter { $0.content < 67 && $0.shares & 15 > 8 }.count
                // A thread may hold some blocks ready.
                #expect(freesAll ? inUse < picture.columns[0].count / 20 : inUse > picture.columns[0].count / 2)
            }
        }
    }

    @Test func aCapacityThatDoesNotSuffice() throws {
        try draw(["--trace", "git-log", "--capacity", "24M"]) { outcome, picture, page in
            #expect(outcome.exitCode == 3 && outcome.errorLineCount == 1 && outcome.errors.contains("out of memory at event"), "\(outcome)")
            let picture = try #require(picture)
            #expect(page.contains("<b>Out of memory</b>"))
            #expect(picture["capacity"] == [24 << 20])
            #expect(picture["committed"].max() == 24 << 20)
            let last = try #require(picture["event"].last)
            #expect(last > 1000 && last < 1_021_275)
        }
    }

    @Test func aCapacityFarAboveWhatIsUsed() throws {
        try draw(["--trace", "sqlite-mixed", "--capacity", "16G", "--events", "200000"]) { outcome, picture, _ in
            #expect(outcome.exitCode == 0, "\(outcome)")
            let picture = try #require(picture)
            #expect(picture["capacity"] == [16 << 30])
            #expect(picture["event"].last == 200_000)
            // Only what is ever used is drawn.
            #expect(picture["cellCount"][0] * picture["cellBytes"][0] < 256 << 20)
        }
    }

    @Test func badInput() throws {
        let program = try BenchProgram()
        defer { program.remove() }
        let html = ["--html", "\(program.directory)/x.html"]
        let cases: [([String], Int32)] = [
            (["map"], 2), (["map", "--trace", "perl-text"], 2), (["map"] + html, 2),
            (["map", "--trace", "perl-text", "--trace", "git-log"] + html, 2), (["map", "--trace", "no-such-trace"] + html, 2),
            (["map", "--trace", "perl-text", "--capacity", "1000"] + html, 2),
            (["map", "--trace", "perl-text", "--capacity", "200G"] + html, 2),
            (["map", "--trace", "perl-text", "--events", "1000", "--html", "/nowhere/x.html"], 1),
        ]
        for (arguments, code) in cases {
            let outcome = try program.bench(arguments)
            #expect(outcome.exitCode == code && outcome.errorLineCount == 1 && outcome.output.isEmpty, "\(arguments): \(outcome)")
        }
    }
}

extension StringProtocol {
    /// Where a text stands first.
    fileprivate func firstRange(ofText text: String) -> Range<Index>? {
        let wanted = Array(text.utf8)
        var at = startIndex
        while at != endIndex {
            if utf8[at...].starts(with: wanted) { return at..<utf8.index(at, offsetBy: wanted.count) }
            at = utf8.index(after: at)
        }
        return nil
    }
}
