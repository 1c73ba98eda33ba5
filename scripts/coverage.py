#!/usr/bin/env python3
"""Line coverage of the library layers, from the JSON that `swift test --enable-code-coverage` leaves.

At least 95 % of the lines must be covered. A file below that must be named in docs/uncovered.md, in backquotes and with a
reason; a name there without such a file is an error. Every uncovered line is printed.

Usage: coverage.py JSON | --self-test. Exit 1 when the rule is broken.
"""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from source_text import read, repository_root, source_files  # noqa: E402

THRESHOLD_PERCENT = 95.0
FOLDERS = ("Sources/VirtualMemory", "Sources/Limits", "Sources/HeapCore", "Sources/Cistern", "Sources/CisternC", "Sources/SkipABI",
           "Sources/Envelope", "CShims")
REASONS = "docs/uncovered.md"


def line_counts(segments):
    """Line number to execution count, as llvm-cov counts lines: the largest count of what covers or begins on the line."""
    counts = {}
    by_line = {}
    for segment in segments:
        by_line.setdefault(segment[0], []).append(segment)
    wrapped = None
    for line in range(segments[0][0], segments[-1][0] + 1) if segments else ():
        own = by_line.get(line, [])
        entries = [segment for segment in own if segment[3] and segment[4] and not segment[5]]
        starts_skipped = bool(own) and not own[0][3] and own[0][4]
        is_mapped = not starts_skipped and ((wrapped is not None and wrapped[3]) or bool(entries))
        if is_mapped:
            candidates = [segment[2] for segment in entries]
            if wrapped is not None and wrapped[3]:
                candidates.append(wrapped[2])
            counts[line] = max(candidates)
        if own:
            wrapped = own[-1]
    return counts


def ranges(lines):
    """Line numbers as text, neighbours joined: 3-5, 9."""
    parts = []
    for line in lines:
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def measure(export, root):
    """Path to (covered lines, all lines, uncovered line numbers) for the library's files."""
    measured = {}
    for file in export["data"][0]["files"]:
        path = os.path.relpath(file["filename"], root)
        if path.startswith(tuple(folder + "/" for folder in FOLDERS)) and file["segments"]:
            counts = line_counts(file["segments"])
            uncovered = [line for line, count in counts.items() if count == 0]
            measured[path] = (len(counts) - len(uncovered), len(counts), uncovered)
    return measured


def findings(measured, reasons, existing):
    """What breaks the rule. `existing` are the source files of the library that hold code."""
    wrong = []
    named = set(re.findall(r"`((?:Sources|CShims)/[^`:]+)`", reasons))
    total = sum(lines for _, lines, _ in measured.values())
    covered = sum(lines for lines, _, _ in measured.values())
    if total == 0:
        return ["no line of the library was measured"]
    if 100.0 * covered / total < THRESHOLD_PERCENT:
        wrong.append(f"{100.0 * covered / total:.2f} % of {total} lines are covered, at least {THRESHOLD_PERCENT} % must be")
    for path, (own, lines, _) in sorted(measured.items()):
        if 100.0 * own / lines < THRESHOLD_PERCENT and path not in named:
            wrong.append(f"{path}: {100.0 * own / lines:.1f} % covered and no reason in {REASONS}")
    for path in sorted(named - set(existing)):
        wrong.append(f"{REASONS}: {path} does not exist")
    return wrong


def report(measured):
    for path, (covered, lines, uncovered) in sorted(measured.items(), key=lambda item: item[1][0] / item[1][1]):
        if uncovered:
            print(f"{100.0 * covered / lines:6.1f} % of {lines:4} lines  {path}: {ranges(uncovered)}")
    total = sum(lines for _, lines, _ in measured.values())
    covered = sum(lines for lines, _, _ in measured.values())
    if total:
        print(f"coverage: {100.0 * covered / total:.2f} % of {total} lines in {len(measured)} files")


def self_test():
    """A function of lines 1 to 10 in which lines 5 and 6 never run."""
    segments = [[1, 1, 5, True, True, False], [4, 9, 0, True, True, False], [6, 2, 5, True, False, False], [10, 2, 0, False, False, False]]
    measured = measure({"data": [{"files": [{"filename": "/r/Sources/Limits/A.swift", "segments": segments}]}]}, "/r")
    assert measured == {"Sources/Limits/A.swift": (8, 10, [5, 6])}, measured
    assert ranges([3, 4, 5, 9]) == "3-5, 9"
    existing = ["Sources/Limits/A.swift"]
    assert len(findings(measured, "", existing)) == 2
    assert len(findings(measured, "`Sources/Limits/A.swift`: reason", existing)) == 1
    assert len(findings({"Sources/Limits/A.swift": (99, 100, [1])}, "", existing)) == 0
    assert len(findings({"Sources/Limits/A.swift": (99, 100, [1])}, "`Sources/Limits/B.swift`: gone", existing)) == 1
    assert len(findings({}, "", existing)) == 1
    print("coverage: self-test passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = repository_root()
    with open(sys.argv[1], encoding="utf-8") as file:
        measured = measure(json.load(file), root)
    report(measured)
    reasons = read(root, REASONS) if os.path.exists(os.path.join(root, REASONS)) else ""
    wrong = findings(measured, reasons, source_files(root, FOLDERS, (".swift", ".c", ".h")))
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
