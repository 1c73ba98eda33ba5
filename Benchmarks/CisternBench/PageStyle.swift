/// What the pages have in common: everything in one file, nothing from elsewhere, light and dark.
enum PageStyle {
    /// Colours, text and cards.
    static let common = """
        :root {
          --back: #fff; --text: #1c2128; --soft: #59636e; --line: #d5dae0; --card: #f5f7f9; --hole: #20252c; --given: #e3e7ec;
          --none: #f7f8fa; --peer: #9aa7b4; --live: #2f7fd0; --resident: #d9480f; --committed: #7048a8; --warn: #b42318;
        }
        @media (prefers-color-scheme: dark) {
          :root:not([data-theme=light]) { \(dark) }
        }
        :root[data-theme=dark] { \(dark) }
        * { box-sizing: border-box; }
        body {
          font: 15px/1.5 system-ui, sans-serif; max-width: 1240px; margin: 0 auto; padding: 1.2em 1.5em;
          background: var(--back); color: var(--text);
        }
        h1 { font-size: 1.6em; margin: 0 0 .2em; }
        h2 { font-size: 1.15em; margin: 1.6em 0 .1em; }
        p { margin: .2em 0 .6em; }
        .lead, .note, footer, section > p { color: var(--soft); max-width: 76em; }
        .note, footer { font-size: 13px; }
        footer { margin-top: 2em; }

        """

    private static let dark = """
        --back: #14181d; --text: #e6eaef; --soft: #9aa5b1; --line: #363e47; --card: #1d232a; --hole: #f2f4f7; --given: #39424d; \
        --none: #1a1f25; --peer: #66727f; --live: #5aa9f2; --resident: #ff8a4c; --committed: #b692f6; --warn: #ff8f85;
        """

    /// Bars in cards.
    static let charts = """
        .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: .8em; }
        .chart { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6em .9em; }
        h3 { font-size: 1em; margin: 0 0 .4em; }
        .bar { display: flex; align-items: center; margin: 3px 0; font-size: 13px; }
        .name { flex: 0 0 6.5em; }
        .four { grid-template-columns: repeat(auto-fill, minmax(275px, 1fr)); }
        .named .name { flex-basis: 8.4em; }
        .fill { flex: none; height: 1em; background: var(--peer); border-radius: 2px; }
        .cistern .fill { background: var(--live); }
        .cistern .name, .cistern .value { font-weight: 600; }
        .value { padding-left: .5em; white-space: nowrap; font-variant-numeric: tabular-nums; }
        details { margin: .5em 0; }
        summary { cursor: pointer; }
        pre { overflow-x: auto; background: var(--card); padding: 1em; font-size: 12px; border-radius: 8px; }
        li { overflow-wrap: anywhere; }

        """

    /// The table of figures.
    static let figures = """
        .wide { overflow-x: auto; }
        table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
        th, td { text-align: right; padding: .15em 1em; border-bottom: 1px solid var(--line); }
        th:first-child, td:first-child, .unit { text-align: left; }
        th:first-child, td:first-child { padding-left: 0; }
        th.unit, td.unit { padding-left: 0; color: var(--soft); }
        th { color: var(--soft); font-weight: 400; }
        td.missed { color: var(--warn); font-weight: 600; }

        """

    /// Tiles, keys, and what is drawn on.
    static let map = """
        .warning { color: var(--warn); }
        #theme { float: right; }
        button {
          font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 6px;
          padding: .2em .8em; cursor: pointer;
        }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13em, 1fr)); gap: .8em; margin-top: 1em; }
        .tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6em .9em; }
        .tile span, .tile small { display: block; color: var(--soft); font-size: 13px; line-height: 1.35; }
        .tile b { font-size: 1.45em; }
        .key { display: flex; flex-wrap: wrap; gap: .2em 1.1em; font-size: 13px; margin: .3em 0 .5em; }
        .key span { display: inline-flex; align-items: center; gap: .45em; cursor: default; }
        .key span.off { opacity: .35; }
        .key i { display: inline-block; width: 14px; height: 14px; border-radius: 3px; border: 1px solid var(--line); }
        .key i.stroke { width: 20px; height: 0; border: 0; border-top: 3px solid; border-radius: 0; }
        .key i.dashed { border-top: 2px dashed; }
        canvas { display: block; width: 100%; outline-offset: 2px; }
        .player { display: flex; gap: 1em; align-items: center; margin: .4em 0; }
        #time { flex: 1; accent-color: var(--live); }
        #moment b { font-variant-numeric: tabular-nums; color: var(--text); }
        #tip {
          position: fixed; pointer-events: none; display: none; background: var(--text); color: var(--back); font-size: 13px;
          line-height: 1.4; padding: .45em .7em; border-radius: 6px; max-width: 26em; z-index: 9;
        }

        """
}
