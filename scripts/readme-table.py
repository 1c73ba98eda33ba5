#!/usr/bin/env python3
"""Writes the measured table of README.md from a file that `cistern-bench --json FILE` wrote.

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


def table(report):
    means = report["geometricMeans"]
    names = [mean["allocator"] for mean in means]
    lines = ["| geometric mean of six traces | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
    for key, title in COLUMNS:
        cells = [f"{mean[key]:.2f}" if mean.get(key) is not None else "-" for mean in means]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
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
