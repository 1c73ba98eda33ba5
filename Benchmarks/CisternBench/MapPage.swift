/// The page that `cistern-bench map` writes: everything in one file, nothing from elsewhere.
struct MapPage {
    let run: MapCommand.Run
    let recording: MapRecording

    var text: String {
        let name = HTMLText.escaped(run.trace)
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
            <title>The heap of \(name), page by page</title>
            <style>\(PageStyle.common)\(PageStyle.map)</style></head><body>
            <header><button id="theme" type="button">Light / dark</button><h1>The heap of \(name), page by page</h1>
            <p class="lead">One Cistern heap of <b>\(megabytes(run.capacityBytes))</b> replays the \(Decimals.grouped(run.eventsDone))
            recorded allocations, resizes and frees of <b>\(name)</b>. Left to right is time, counted in those events.</p>
            \(warning)</header>
            <div class="tiles">\(tiles)</div>
            \(Self.body)
            <footer>cistern-bench map. MB are millions of bytes; a cell is \(Decimals.grouped(recording.cellBytes)) bytes. What is
            resident was asked of the kernel at \(recording.columns.count) moments of the run; the program's own bytes were all
            written.</footer>
            <script>const D=\(data);\(Self.script)</script>
            </body></html>

            """
    }

    private var warning: String {
        guard run.eventsDone < run.eventCount else { return "" }
        return """
            <p class="warning"><b>Out of memory</b> at event \(Decimals.grouped(run.eventsDone)) of \(Decimals.grouped(run.eventCount)):
            the heap said no there, and the picture ends.</p>
            """
    }

    private var tiles: String {
        let ratio = Decimals.text(Double(run.peakResidentBytes) / Double(max(1, run.peakLiveBytes)), places: 2)
        let items = [
            ("Asked for, at most", megabytes(run.peakLiveBytes), "bytes of live blocks, as the program wanted them"),
            ("Resident, at most", megabytes(run.peakResidentBytes), "what the heap cost the machine: \(ratio) of the above"),
            ("Usable, at most", megabytes(run.peakCommittedBytes), "committed: the kernel lets the heap use it"),
            ("Capacity", megabytes(run.capacityBytes), "the bound that the heap never passes"),
        ]
        return items.map { "<div class=\"tile\"><span>\($0.0)</span><b>\($0.1)</b><small>\($0.2)</small></div>" }.joined()
    }

    private var data: String {
        func list(_ figure: (MapRecording.Column) -> UInt64) -> JSON { .list(recording.columns.map { .integer(figure($0)) }) }
        return JSON.object([
            ("capacity", .integer(run.capacityBytes)), ("cellBytes", .integer(recording.cellBytes)),
            ("cellCount", .integer(UInt64(recording.cellCount))), ("event", list(\.event)), ("live", list(\.liveBytes)),
            ("committed", list(\.committedBytes)), ("resident", list(\.residentBytes)), ("holes", list(\.holeBytes)),
            ("cells", .text(Base64.text(recording.packed))),
        ]).line
    }

    private func megabytes(_ byteCount: UInt64) -> String { ByteCount.megabytes(byteCount) + " MB" }

    private static let body = """
        <section><h2>How much</h2>
        <p>The gap between <i>asked for</i> and <i>resident</i> is what the heap costs: rounding, holes, and its own tables.</p>
        <div class="key" id="lines"></div><canvas id="curves" height="230" tabindex="0"></canvas></section>
        <section><h2>Where</h2>
        <p>Bottom to top are the addresses of the heap. A colour says which sizes of blocks stand there; the less of a place is in use, the
        more it turns to the colour of holes. Point at anything to read it; click to see that moment below.</p>
        <div class="key" id="legend"></div><canvas id="map" height="440" tabindex="0"></canvas></section>
        <section><h2>One moment</h2>
        <div class="player"><button id="play" type="button">Play</button><input id="time" type="range" min="0" aria-label="moment"></div>
        <p id="moment"></p><canvas id="grid"></canvas>
        <p class="note">Each square is one cell, row after row from the heap's first address to its last.</p></section>
        <div id="tip" role="status"></div><noscript>The pictures are drawn by a script.</noscript>
        """
}

/// Text inside a page.
enum HTMLText {
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
