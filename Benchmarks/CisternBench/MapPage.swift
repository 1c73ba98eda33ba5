/// The page that `cistern-bench map` writes: everything in one file, nothing from elsewhere.
struct MapPage {
    let run: MapCommand.Run
    let recording: MapRecording

    var text: String {
        let name = HTMLText.escaped(run.trace)
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
            <title>The heap of \(name), page by page</title><style>\(Self.style)</style></head><body>
            <header><button id="theme" type="button">Light / dark</button><h1>The heap of \(name), page by page</h1>
            <p class="lead">One Cistern heap of <b>\(megabytes(run.capacityBytes))</b> replays the \(Self.grouped(run.eventsDone)) recorded
            allocations, resizes and frees of <b>\(name)</b>. Left to right is time, counted in those events.</p>\(warning)</header>
            <div class="tiles">\(tiles)</div>
            \(Self.body)
            <footer>cistern-bench map. MB are millions of bytes; a cell is \(Self.grouped(recording.cellBytes)) bytes. What is resident was asked of
            the kernel at \(recording.columns.count) moments of the run; the program's own bytes were all written.</footer>
            <script>const D=\(data);\(Self.script)</script>
            </body></html>

            """
    }

    private var warning: String {
        guard run.eventsDone < run.eventCount else { return "" }
        return """
            <p class="warning"><b>Out of memory</b> at event \(Self.grouped(run.eventsDone)) of \(Self.grouped(run.eventCount)): the heap said no \
            there, and the picture ends.</p>
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

    /// With a comma every three digits.
    static func grouped(_ number: UInt64) -> String {
        var text = ""
        for (position, digit) in String(number).reversed().enumerated() {
            if position > 0, position % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    private static let body = """
        <section><h2>How much</h2>
        <p>The gap between <i>asked for</i> and <i>resident</i> is what the heap costs: rounding, holes, and its own tables.</p>
        <div class="key" id="lines"></div><canvas id="curves" height="230" tabindex="0"></canvas></section>
        <section><h2>Where</h2>
        <p>Bottom to top are the addresses of the heap. A colour says which sizes of blocks stand there; the less of a place is in use, the
        more it turns to the colour of holes. Point at anything to read it; click to see that moment below.</p>
        <div class="key" id="legend"></div><canvas id="map" height="440" tabindex="0"></canvas></section>
        <section><h2>One moment</h2>
        <div class="bar"><button id="play" type="button">Play</button><input id="time" type="range" min="0" aria-label="moment"></div>
        <p id="moment"></p><canvas id="grid"></canvas>
        <p class="note">Each square is one cell, row after row from the heap's first address to its last.</p></section>
        <div id="tip" role="status"></div><noscript>The pictures are drawn by a script.</noscript>
        """

    private static let style = """
        :root{--back:#fff;--text:#1c2128;--soft:#59636e;--line:#d5dae0;--card:#f5f7f9;--hole:#20252c;--given:#e3e7ec;--none:#f7f8fa}
        :root{--live:#2f7fd0;--resident:#d9480f;--committed:#7048a8;--warn:#b42318}
        @media(prefers-color-scheme:dark){:root:not([data-theme=light]){--back:#14181d;--text:#e6eaef;--soft:#9aa5b1;--line:#363e47;
        --card:#1d232a;--hole:#f2f4f7;--given:#39424d;--none:#1a1f25;--live:#5aa9f2;--resident:#ff8a4c;--committed:#b692f6;--warn:#ff8f85}}
        :root[data-theme=dark]{--back:#14181d;--text:#e6eaef;--soft:#9aa5b1;--line:#363e47;--card:#1d232a;--hole:#f2f4f7;--given:#39424d;
        --none:#1a1f25;--live:#5aa9f2;--resident:#ff8a4c;--committed:#b692f6;--warn:#ff8f85}
        *{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1240px;padding:1.2em 1.5em;background:var(--back);
        color:var(--text)}h1{font-size:1.6em;margin:0 0 .2em}h2{font-size:1.15em;margin:1.6em 0 .1em}p{margin:.2em 0 .6em}
        .lead,footer,.note,section>p{color:var(--soft);max-width:76em}footer,.note{font-size:13px}footer{margin-top:2em}
        .warning{color:var(--warn)}#theme{float:right}button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);
        border-radius:6px;padding:.2em .8em;cursor:pointer}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(13em,1fr));gap:.8em;
        margin-top:1em}.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6em .9em}.tile span,.tile small{
        display:block;color:var(--soft);font-size:13px;line-height:1.35}.tile b{font-size:1.45em}.key{display:flex;flex-wrap:wrap;gap:.2em 1.1em;
        font-size:13px;margin:.3em 0 .5em}.key span{display:inline-flex;align-items:center;gap:.45em;cursor:default}.key i{display:inline-block;
        width:14px;height:14px;border-radius:3px;border:1px solid var(--line)}.key i.stroke{height:0;border:0;border-top:3px solid;border-radius:0;
        width:20px}.key i.dashed{border-top:2px dashed}.key span.off{opacity:.35}canvas{display:block;width:100%;outline-offset:2px}
        .bar{display:flex;gap:1em;align-items:center;margin:.4em 0}#time{flex:1;accent-color:var(--live)}#moment b{font-variant-numeric:tabular-nums;
        color:var(--text)}#tip{position:fixed;pointer-events:none;display:none;background:var(--text);color:var(--back);font-size:13px;line-height:1.4;
        padding:.45em .7em;border-radius:6px;max-width:26em;z-index:9}
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
