/// Tables for the terminal, in Markdown.
enum Tables {
    static func means(_ means: [Means]) -> String {
        table(
            "Geometric means over the traces",
            header: [
                "allocator", "first pass / glibc", "warm / glibc", "resident / live", "address space / live", "same, less load",
            ],
            rows: means.map { mean in
                [mean.allocator]
                    + [
                        mean.coldRelativeToGlibc, mean.warmRelativeToGlibc, mean.residentPerLive, mean.addressSpacePerLive,
                        mean.addressSpaceLessLoadPerLive,
                    ].map { cell($0, 2) }
            })
    }

    /// One table for each figure: a line per trace, a column per allocator.
    static func rows(_ rows: [Row], _ allocators: [Allocator], _ floors: [Floor]) -> String {
        let figures: [(String, Int, (Row) -> Double?, ((Floor) -> Double)?)] = [
            ("First pass, ns per event", 1, \.coldNanosecondsPerOperation, \.coldNanosecondsPerOperation),
            ("Warm, ns per event", 1, \.warmNanosecondsPerOperation, \.warmNanosecondsPerOperation),
            ("Peak resident / peak live", 2, \.residentPerLive, nil),
            ("Smallest address space / peak live", 2, \.addressSpacePerLive, nil),
            ("The same, less what loading the allocator needs", 2, \.addressSpaceLessLoadPerLive, nil),
            ("Instructions per event", 1, \.instructionsPerOperation, { $0.instructionsPerOperation ?? .nan }),
        ]
        var text = ""
        for (title, places, figure, floorFigure) in figures where rows.contains(where: { figure($0) != nil }) {
            text += table(
                title, header: ["trace"] + allocators.map(\.name) + (floorFigure == nil ? [] : ["loop alone"]),
                rows: floors.map { floor in
                    let cells = allocators.map { allocator in
                        cell(rows.first { $0.trace == floor.trace && $0.allocator == allocator.name }.flatMap(figure), places)
                    }
                    return [floor.trace] + cells + (floorFigure.map { [cell($0(floor), places)] } ?? [])
                })
        }
        return text
    }

    static func threads(_ rows: [ThreadRow]) -> String {
        if rows.isEmpty { return "" }
        return table(
            "Threads (million operations per second; scaling = all threads / (threads x one thread))",
            header: ["workload", "allocator", "1 thread", "all", "threads", "scaling", "scaling / loop alone"],
            rows: rows.map { row in
                [
                    row.workload, row.allocator, cell(row.operationsPerSecondWithOneThread.map { $0 / 1e6 }, 1),
                    cell(row.operationsPerSecondWithAllThreads.map { $0 / 1e6 }, 1), "\(row.threadCount)", cell(row.scaling, 2),
                    cell(row.scalingRelativeToNull, 2),
                ]
            })
    }

    private static func cell(_ value: Double?, _ places: Int) -> String {
        value.map { Decimals.text($0, places: places) } ?? "-"
    }

    private static func table(_ title: String, header: [String], rows: [[String]]) -> String {
        var widths = header.map(\.count)
        for row in rows {
            for column in row.indices { widths[column] = max(widths[column], row[column].count) }
        }
        func line(_ cells: [String]) -> String {
            let padded = cells.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - cells[column].count)
                return column == 0 ? cells[column] + space : space + cells[column]
            }
            return "| " + padded.joined(separator: " | ") + " |\n"
        }
        let rule =
            "|"
            + widths.indices.map { ($0 == 0 ? "-" : "-") + String(repeating: "-", count: widths[$0]) + ($0 == 0 ? "-" : ":") }
            .joined(separator: "|") + "|\n"
        return "\n\(title)\n\n" + line(header) + rule + rows.map(line).joined()
    }
}
