#!/usr/bin/env python3
"""Checks the JSON that `cistern-bench --json` writes: one row per trace and allocator with every field, and Cistern completed.

With --targets: the rows of a command that measures against targets, each met; times are shown and not judged.

Usage: check-bench-json.py FILE | --targets FILE | --self-test. Prints each allocator's geometric means;
exit 1 with one message per finding.
"""

import json
import math
import sys

TRACES = ("clang-cxx", "git-log", "perl-text", "python-json", "redis-io", "sqlite-mixed")
FIELDS = (
    "trace", "allocator", "completed", "coldNanosecondsPerOperation", "warmNanosecondsPerOperation",
    "overheadNanosecondsPerOperation", "peakLiveBytes", "peakResidentBytes", "smallestAddressSpaceBytes", "addressSpaceLessLoadBytes")
REQUIRED_ALLOCATORS = ("cistern", "glibc")


def findings(document):
    wrong = []
    if not document.get("machine"):
        wrong.append("no machine")
    rows = document.get("rows", [])
    keys = [(row.get("trace"), row.get("allocator")) for row in rows]
    for key in sorted({str(key) for key in keys if keys.count(key) > 1}):
        wrong.append(f"{key}: more than one row")
    for row in rows:
        name = f"{row.get('trace')}/{row.get('allocator')}"
        wrong += [f"{name}: no {field}" for field in FIELDS if field not in row]
        numbers = [field for field in FIELDS if field.endswith(("Bytes", "Operation"))]
        wrong += [f"{name}: {field} is no positive number" for field in numbers if row.get("completed") and not is_positive(row.get(field))]
        if row.get("allocator") == "cistern" and row.get("completed") is not True:
            wrong.append(f"{name}: not completed")
    for trace in TRACES:
        for allocator in sorted(set(REQUIRED_ALLOCATORS) | {key[1] for key in keys if key[1]}):
            if (trace, allocator) not in keys:
                wrong.append(f"{trace}/{allocator}: no row")
    return wrong


def target_findings(document):
    """Rows with a target that is a count or a size, and not met."""
    rows = document.get("rows", [])
    judged = [row for row in rows if row.get("target") is not None and "time" not in row["name"] and row.get("unit") not in ("ns", "ms")]
    wrong = [] if document.get("machine") else ["no machine"]
    wrong += [] if judged else ["no row with a target"]
    return wrong + [f"{row['name']}: {row['value']}, at most {row['target']}" for row in judged if row.get("met") is not True]


def is_positive(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def report(rows):
    """Space over the live peak and nanoseconds per operation, less the loop's own; for reading, not for judging."""
    print(f"{'allocator':12} {'space':>7} {'less load':>9} {'resident':>8} {'first ns':>8} {'warm ns':>8}")
    for allocator in sorted({row["allocator"] for row in rows}):
        own = [row for row in rows if row["allocator"] == allocator and row["completed"]]
        sizes = [geometric_mean([row[field] / row["peakLiveBytes"] for row in own])
                 for field in ("smallestAddressSpaceBytes", "addressSpaceLessLoadBytes", "peakResidentBytes")]
        times = [geometric_mean([max(0.01, row[field] - row["overheadNanosecondsPerOperation"]) for row in own])
                 for field in ("coldNanosecondsPerOperation", "warmNanosecondsPerOperation")]
        print(f"{allocator:12} {sizes[0]:7.3f} {sizes[1]:9.3f} {sizes[2]:8.3f} {times[0]:8.2f} {times[1]:8.2f}")


def self_test():
    rows = [{field: 1 for field in FIELDS} | {"trace": trace, "allocator": allocator, "completed": True}
            for trace in TRACES for allocator in REQUIRED_ALLOCATORS]
    assert findings({"machine": {"cores": 2}, "rows": rows}) == []
    assert findings({"rows": rows})
    assert findings({"machine": 1, "rows": rows + rows[:1]})
    assert findings({"machine": 1, "rows": rows[1:]})
    assert findings({"machine": 1, "rows": [rows[0] | {"completed": False}] + rows[1:]})
    assert findings({"machine": 1, "rows": [rows[0] | {"peakLiveBytes": 0}] + rows[1:]})
    del rows[3]["completed"]
    assert findings({"machine": 1, "rows": rows})
    row = {"name": "a.bytes", "value": 2, "unit": "bytes", "target": 2, "met": True}
    assert target_findings({"machine": 1, "rows": [row, row | {"name": "a.timeRatio", "met": False}]}) == []
    assert target_findings({"machine": 1, "rows": [row | {"met": False}]})
    assert target_findings({"machine": 1, "rows": []})
    print("check-bench-json: self-test passed, 8 violations found as expected")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    judges_targets = sys.argv[1:2] == ["--targets"]
    if len(sys.argv) != (3 if judges_targets else 2):
        sys.exit(__doc__)
    with open(sys.argv[-1], encoding="utf-8") as file:
        document = json.load(file)
    wrong = target_findings(document) if judges_targets else findings(document)
    if not wrong and not judges_targets:
        report(document["rows"])
    print("\n".join(wrong + [f"check-bench-json: {len(document.get('rows', []))} rows, {len(wrong)} findings"]))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
