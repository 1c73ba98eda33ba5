#!/usr/bin/env python3
"""Writes the measured tables of README.md from a file that `cistern-bench --json FILE` wrote.

usage: scripts/readme-table.py FILE

Replaces what stands between the markers in README.md.
"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARKERS = re.compile(r"(<!-- measured -->\n).*?(<!-- end measured -->\n)", re.DOTALL)
COLUMNS = [
    ("coldRelativeToGlibc", "first pass, time / glibc"),
    ("warmRelativeToGlibc", "warm, time / glibc"),
    ("residentPerLive", "peak resident / peak live"),
    ("addressSpacePerLive", "smallest address space / peak live"),
    ("addressSpaceLessLoadPerLive", "same, less loading the allocator"),
]


def row(title, cells):
    return f"| {title} | " + " | ".join("-" if cell is None else cell for cell in cells) + " |"


def threads_table(rows, names):
    """Throughput with all threads of each workload, and how the server's grows with the second one."""
    found = {(entry["workload"], entry["allocator"]): entry for entry in rows}
    names = names[:1] + ["cistern-aligned-64"] + names[1:] + ["null"]
    lines = [row("million operations per second; larger is better", names[:-1] + ["no allocator"]), "| --- " * (len(names) + 1) + "|"]

    def cells(workload, key, form):
        values = [found.get((workload, name), {}).get(key) for name in names]
        return [None if value is None else form(value) for value in values]

    def millions(value):
        return f"{value / 1e6:.0f}"

    lines.append(row("server, 1 thread", cells("server", "operationsPerSecondWithOneThread", millions)))
    for workload in dict.fromkeys(entry["workload"] for entry in rows):
        name = {"server-large": "server with blocks up to 4096 bytes"}.get(workload, workload.split("-")[0])
        title = f"{name}, {found[workload, 'null']['threads']} threads"
        lines.append(row(title, cells(workload, "operationsPerSecondWithAllThreads", millions)))
    lines.append(row("server, scaling to 2 threads / that of no allocator", cells("server", "scalingRelativeToNull", "{:.2f}".format)))
    return "\n".join(lines)


def table(report):
    means = report["geometricMeans"]
    names = [mean["allocator"] for mean in means]
    lines = [row("geometric mean of six traces", names), "| --- " * (len(names) + 1) + "|"]
    for key, title in COLUMNS:
        lines.append(row(title, [f"{mean[key]:.2f}" if mean.get(key) is not None else None for mean in means]))
    if report.get("threads"):
        lines += ["", threads_table(report["threads"], names)]
    machine = report["machine"]
    facts = ", ".join(str(machine[key]) for key in ("cpu", "kernel", "date", "command") if machine.get(key))
    return "\n".join(lines) + f"\n\nMeasured on: {facts}.\n"


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    readme = ROOT / "README.md"
    text = readme.read_text()
    if not MARKERS.search(text):
        print("README.md: the markers of the measured table are missing", file=sys.stderr)
        return 1
    with open(sys.argv[1]) as file:
        report = json.load(file)
    readme.write_text(MARKERS.sub(lambda match: match.group(1) + table(report) + match.group(2), text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
