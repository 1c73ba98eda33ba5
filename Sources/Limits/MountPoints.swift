/// Where the hierarchies of control groups are mounted, as /proc/self/mountinfo says.
enum MountPoints {
    /// One mount, as ranges of two texts.
    struct Mount {
        /// Where it is mounted: in mountinfo.
        var point: Range<Int>
        /// The path of the process's own group below that: in the text that the group's path came from.
        var rest: Range<Int>
    }

    /// The mount of a hierarchy that the group is below, else the first mount of that hierarchy; nil when there is none.
    static func find(
        _ text: Span<UInt8>, _ count: Int, _ version: ControlGroups.Version, _ controller: StaticString,
        _ groupText: Span<UInt8>, _ group: Range<Int>
    ) -> Mount? {
        var first: Mount?
        var rest = 0..<count
        while !rest.isEmpty {
            let line = ByteText.upTo(0x0A, text, rest)
            rest = ByteText.after(line, rest)
            guard let fields = fields(text, line, version, controller) else { continue }
            if let below = below(groupText, group, text, fields.root) { return Mount(point: fields.point, rest: below) }
            if first == nil { first = Mount(point: fields.point, rest: group) }
        }
        return first
    }

    /// Root and mount point of a line "id parent device root point options ... - type source options", if it is that hierarchy.
    private static func fields(
        _ text: Span<UInt8>, _ line: Range<Int>, _ version: ControlGroups.Version, _ controller: StaticString
    ) -> (root: Range<Int>, point: Range<Int>)? {
        var rest = line
        for _ in 0..<3 { rest = ByteText.after(ByteText.upTo(0x20, text, rest), rest) }
        let root = ByteText.upTo(0x20, text, rest)
        rest = ByteText.after(root, rest)
        let point = ByteText.upTo(0x20, text, rest)
        rest = ByteText.after(point, rest)
        var field = ByteText.upTo(0x20, text, rest)
        while !rest.isEmpty, !ByteText.equals(text, field, "-") {
            rest = ByteText.after(field, rest)
            field = ByteText.upTo(0x20, text, rest)
        }
        rest = ByteText.after(field, rest)
        let type = ByteText.upTo(0x20, text, rest)
        rest = ByteText.after(type, rest)
        rest = ByteText.after(ByteText.upTo(0x20, text, rest), rest)
        guard !point.isEmpty, text[point.lowerBound] == 0x2F else { return nil }
        switch version {
        case .v1:
            guard ByteText.equals(text, type, "cgroup"), ByteText.listContains(text, rest, controller) else { return nil }
        case .v2: guard ByteText.equals(text, type, "cgroup2") else { return nil }
        }
        return (root, point)
    }

    /// What is left of a group's path below the root of a mount; nil when it is not below.
    private static func below(
        _ text: Span<UInt8>, _ group: Range<Int>, _ rootText: Span<UInt8>, _ root: Range<Int>
    ) -> Range<Int>? {
        if ByteText.equals(rootText, root, "/") { return group }
        guard group.count >= root.count else { return nil }
        for offset in 0..<root.count where text[group.lowerBound + offset] != rootText[root.lowerBound + offset] { return nil }
        let rest = (group.lowerBound + root.count)..<group.upperBound
        return rest.isEmpty || text[rest.lowerBound] == 0x2F ? rest : nil
    }

    /// Appends a mount point, in which a blank is written as \040 and the like.
    static func append(_ text: Span<UInt8>, _ point: Range<Int>, to path: inout PathText) {
        var index = point.lowerBound
        while index < point.upperBound {
            if text[index] == 0x5C, point.upperBound - index > 3, let byte = octal(text, index + 1) {
                path.append(byte)
                index += 4
            } else {
                path.append(text[index])
                index += 1
            }
        }
    }

    /// The byte that three octal digits say.
    private static func octal(_ text: Span<UInt8>, _ start: Int) -> UInt8? {
        var value = 0
        for index in start..<(start + 3) {
            guard text[index] >= 0x30, text[index] <= 0x37 else { return nil }
            value = value * 8 + Int(text[index] - 0x30)
        }
        return UInt8(exactly: value)
    }
}
