import CReplay

/// `cistern-bench ticks`.
struct TickCommand {
    let runner: ReplayRunner
    let options: Options
    let arguments: [String]

    /// Returns the exit code: 1 when a count is not what it must be. Times are told, and decide nothing.
    func run(_ store: TraceStore) throws(BenchError) -> Int32 {
        let machine = Machine(command: arguments, allocators: [], runner: runner, repositoryDirectory: store.traceDirectory)
        let suite = TickSuite(
            batchSize: Int(options.operationCount ?? 1_000_000), batchCount: options.repetitions ?? (options.isQuick ? 3 : 9),
            say: { System.writeToStandardError("\($0)\n") })
        let rows = try suite.run()
        for row in rows { print(row.line) }
        let json = TargetRow.document(machine, rows, [("notes", .list(TickPage.notes.map { .text($0) }))])
        if let path = options.jsonPath { try System.writeFile(path, json.page) }
        if let path = options.htmlPath {
            try System.writeFile(path, try TickPage(suite: suite, machine: machine, rows: rows, json: json).text())
        }
        return TargetRow.verdict(rows)
    }
}
