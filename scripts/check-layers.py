#!/usr/bin/env python3
"""Checks that no module imports or includes one above itself, and that Package.swift says the same.

The layers, bottom up: CVirtualMemory; VirtualMemory and Limits (siblings); CHeap; HeapCore; Regions; CTicks; Ticks;
Cistern, CisternC with its header CCistern, and SkipABI with CSkip (siblings); CReplay; cistern-bench-malloc and CisternBench; Envelope;
CCommand; CisternCommand. Tests may use what Package.swift declares for them.

Usage: check-layers.py [--self-test]. Exit 1 with one `file:line: message` per finding.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from source_text import SOURCE_ROOTS, blanked, line_number, read, repository_root, source_files  # noqa: E402

# Module: its folder, and exactly the modules that it may use. Bottom up.
LAYERS = {
    "CVirtualMemory": ("CShims/CVirtualMemory", set()),
    "VirtualMemory": ("Sources/VirtualMemory", {"CVirtualMemory"}),
    "Limits": ("Sources/Limits", {"CVirtualMemory"}),
    "CHeap": ("CShims/CHeap", {"CVirtualMemory"}),
    "HeapCore": ("Sources/HeapCore", {"CVirtualMemory", "CHeap", "VirtualMemory"}),
    "Regions": ("Sources/Regions", {"CHeap", "HeapCore"}),
    "CTicks": ("CShims/CTicks", {"CHeap"}),
    "Ticks": ("Sources/Ticks", {"CHeap", "CTicks", "HeapCore", "Regions"}),
    "Cistern": ("Sources/Cistern", {"CVirtualMemory", "HeapCore", "Limits", "Regions", "Ticks", "VirtualMemory"}),
    "CCistern": ("CShims/CCistern", set()),
    "CisternC": (
        "Sources/CisternC",
        {"CCistern", "CVirtualMemory", "CHeap", "CTicks", "HeapCore", "Limits", "Regions", "Ticks", "VirtualMemory"}),
    "CSkip": ("CShims/CSkip", {"CVirtualMemory", "CHeap"}),
    "SkipABI": ("Sources/SkipABI", {"CHeap", "CSkip", "HeapCore", "Limits", "VirtualMemory"}),
    "CReplay": ("Benchmarks/CReplay", {"CCistern"}),
    "cistern-bench-malloc": ("Benchmarks/MallocReplay", {"CReplay"}),
    "CisternBench": (
        "Benchmarks/CisternBench",
        {"cistern-bench-malloc", "CReplay", "Cistern", "CisternC", "CCistern", "Limits", "CVirtualMemory"}),
    "Envelope": ("Sources/Envelope", {"CVirtualMemory", "Limits"}),
    "CCommand": ("CShims/CCommand", set()),
    "CisternCommand": ("Sources/CisternCommand", {"CCommand", "CVirtualMemory", "Envelope", "Limits", "VirtualMemory"}),
}
TESTS = {
    "CTestSupport": "Tests/CTestSupport",
    "TestSupport": "Tests/TestSupport",
    "CEveryCall": "Tests/CEveryCall",
    "VirtualMemoryTests": "Tests/VirtualMemoryTests",
    "LimitsTests": "Tests/LimitsTests",
    "HeapTests": "Tests/HeapTests",
    "RegionTests": "Tests/RegionTests",
    "TickTests": "Tests/TickTests",
    "CisternTests": "Tests/CisternTests",
    "CSkipRuntime": "Tests/CSkipRuntime",
    "SkipTests": "Tests/SkipTests",
    "BenchTests": "Tests/BenchTests",
    "CommandTests": "Tests/CommandTests",
}
# Command-line tools, which may use the C library directly.
TOOL_FOLDERS = ("Benchmarks/", "Sources/CisternCommand")
# Folders beside the modules': data, and programs that only scripts/check-library.py and SkipTests build.
DATA_FOLDERS = {"Benchmarks/Traces", "Tests/LibraryPrograms", "Tests/SkipPrograms"}
# What may come from outside the package; Embedded Swift has no Glibc.
OUTSIDE_OF_LAYERS = {"Swift", "Synchronization"}
OUTSIDE_OF_TOOLS = OUTSIDE_OF_LAYERS | {"Glibc"}
OUTSIDE_OF_TESTS = OUTSIDE_OF_TOOLS | {"Testing"}
# Reached through another module's own header, so used but not declared by itself.
REACHED_THROUGH = {("CisternBench", "CCistern")}

IMPORT = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)\n]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)", re.MULTILINE)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|import)[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def folder_of(module):
    return TESTS[module] if module in TESTS else LAYERS[module][0]


def may_use(module, declared):
    """The package's own modules that a module may use: the table for layers, Package.swift for tests."""
    return LAYERS[module][1] if module in LAYERS else declared.get(module, set())


def outside_modules(module):
    if module in TESTS:
        return OUTSIDE_OF_TESTS
    return OUTSIDE_OF_TOOLS if folder_of(module).startswith(TOOL_FOLDERS) else OUTSIDE_OF_LAYERS


def swift_findings(root, module, declared):
    """Imports of Swift files that the table does not permit."""
    findings = []
    allowed = may_use(module, declared) | {module}
    for path in source_files(root, [folder_of(module)], (".swift",)):
        text = read(root, path)
        code = blanked(text, path)
        for match in IMPORT.finditer(code):
            imported = match.group(1)
            place = f"{path}:{line_number(code, match.start(1))}"
            if imported in LAYERS or imported in TESTS:
                if imported not in allowed:
                    findings.append(f"{place}: {module} must not import {imported}")
            elif imported not in outside_modules(module):
                findings.append(f"{place}: {module} must not import {imported} (allowed: {', '.join(sorted(outside_modules(module)))})")
    return findings


def header_owners(root):
    """Header's path as an include would spell it, to the module that owns it."""
    owners = {}
    for module in list(LAYERS) + list(TESTS):
        for path in source_files(root, [folder_of(module)], (".h",)):
            within = os.path.relpath(path, folder_of(module))
            spelled = within[len("include/"):] if within.startswith("include/") else within
            owners.setdefault(spelled, set()).add(module)
    return owners


def c_findings(root, module, declared, owners):
    """Includes of C files that the table does not permit."""
    findings = []
    allowed = may_use(module, declared) | {module}
    for path in source_files(root, [folder_of(module)], (".c", ".h")):
        text = read(root, path)
        for match in INCLUDE.finditer(text):
            kind, name = match.groups()
            place = f"{path}:{line_number(text, match.start(2))}"
            if name.endswith(".c"):
                findings.append(f"{place}: textual inclusion of {name}")
                continue
            key = os.path.normpath(os.path.join(os.path.dirname(os.path.relpath(path, folder_of(module))), name))
            key = key[len("include/"):] if key.startswith("include/") else key
            modules = owners.get(name) or owners.get(key)
            if modules is None:
                if kind == '"':
                    findings.append(f"{place}: {name} is not a header of this package; write <{name}> for a system header")
                elif name == "malloc.h" and module in LAYERS and not folder_of(module).startswith("Benchmarks/"):
                    findings.append(f"{place}: the library never calls malloc")
            elif not modules & allowed:
                findings.append(f"{place}: {module} must not include {name} of {'/'.join(sorted(modules))}")
    return findings


def folder_findings(root):
    """Source folders that the table does not know."""
    known = {folder for folder, _ in LAYERS.values()} | set(TESTS.values()) | DATA_FOLDERS
    findings = []
    for parent in SOURCE_ROOTS:
        if not os.path.isdir(os.path.join(root, parent)):
            continue
        for name in sorted(os.listdir(os.path.join(root, parent))):
            path = f"{parent}/{name}"
            if os.path.isdir(os.path.join(root, path)) and path not in known:
                findings.append(f"{path}:1: no layer of this name; add it to the table in scripts/check-layers.py")
    return findings


def table_findings():
    """A module of the table that uses one listed behind itself."""
    order = list(LAYERS)
    return [f"scripts/check-layers.py:1: the table lets {module} use {used}, which stands above it"
            for module, (_, uses) in LAYERS.items() for used in sorted(uses) if order.index(used) >= order.index(module)]


def load_manifest(root):
    """Package.swift as the package manager understands it."""
    with tempfile.TemporaryDirectory() as scratch:
        result = subprocess.run(
            ["swift", "package", "--package-path", root, "--scratch-path", scratch, "dump-package"],
            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"Package.swift:1: cannot be read\n{result.stderr}")
    return json.loads(result.stdout)


def declared_dependencies(manifest):
    declared = {}
    for target in manifest["targets"]:
        names = set()
        for dependency in target["dependencies"]:
            for kind in ("byName", "target", "product"):
                if kind in dependency:
                    names.add(dependency[kind][0])
        declared[target["name"]] = names
    return declared


def manifest_findings(root, manifest):
    """Differences between Package.swift and the table, and targets that lack the strict settings."""
    findings = []
    declared = declared_dependencies(manifest)
    if manifest["dependencies"]:
        findings.append("Package.swift:1: the package has no dependencies, and this manifest names some")
    for name in sorted(set(declared) - set(LAYERS) - set(TESTS)):
        findings.append(f"Package.swift:1: target {name} is not in the table of scripts/check-layers.py")
    for name in sorted((set(LAYERS) | set(TESTS)) - set(declared)):
        findings.append(f"Package.swift:1: the table of scripts/check-layers.py names {name}, which is no target")
    for name in LAYERS:
        stated = declared.get(name, set())
        expected = {used for used in LAYERS[name][1] if (name, used) not in REACHED_THROUGH}
        for extra in sorted(stated - LAYERS[name][1]):
            findings.append(f"Package.swift:1: {name} must not depend on {extra}")
        for missing in sorted(expected - stated):
            findings.append(f"Package.swift:1: the table lets {name} use {missing}, but the manifest does not declare it")
    for target in manifest["targets"]:
        if source_files(root, [target.get("path") or f"Tests/{target['name']}", f"Sources/{target['name']}"], (".swift",)):
            kinds = [key for setting in target["settings"] if setting["tool"] == "swift" for key in setting["kind"]]
            for needed in ("swiftLanguageMode", "strictMemorySafety"):
                if needed not in kinds:
                    findings.append(f"Package.swift:1: target {target['name']} lacks the setting {needed}")
    return findings


def tree_findings(root, declared):
    findings = folder_findings(root)
    owners = header_owners(root)
    for module in list(LAYERS) + list(TESTS):
        findings += swift_findings(root, module, declared)
        findings += c_findings(root, module, declared, owners)
    return findings


# Path, text and whether the check must object: the canary of this script.
CANARIES = [
    ("Sources/VirtualMemory/A.swift", "import CVirtualMemory\nimport Synchronization\n// import HeapCore\n", False),
    ("Sources/VirtualMemory/B.swift", "import HeapCore\n", True),
    ("Sources/Limits/C.swift", "internal import VirtualMemory\n", True),
    ("Sources/Cistern/D.swift", "@testable import struct CisternC.Handle\n", True),
    ("Sources/CisternC/E.swift", "@_exported import Cistern\n", True),
    ("Sources/HeapCore/F.swift", 'let text = "\nimport Foundation"\n', True),
    ("Sources/HeapCore/G.swift", "import Glibc\n", True),
    ("Benchmarks/CisternBench/H.swift", "import Foundation\n", True),
    ("Benchmarks/CisternBench/I.swift", "import Glibc\nimport CReplay\n/* import Foundation */\n", False),
    ("CShims/CHeap/include/heap_canary.h", '#include "virtual_canary.h"\n#include <stdint.h>\n', False),
    ("CShims/CVirtualMemory/include/virtual_canary.h", '#include "heap_canary.h"\n', True),
    ("CShims/CVirtualMemory/angle.c", "#include <heap_canary.h>\n", True),
    ("CShims/CVirtualMemory/textual.c", '#include "angle.c"\n', True),
    ("CShims/CHeap/unknown.c", '#include "stdio.h"\n', True),
    ("Sources/Unknown/J.swift", "let a = 1\n", True),
    ("Tests/HeapTests/K.swift", "import Testing\n@testable import HeapCore\n", False),
    ("Tests/HeapTests/L.swift", "import Cistern\n", True),
]


def self_test():
    """Every bad canary must be found in its own file, no good one may be."""
    with tempfile.TemporaryDirectory() as root:
        for path, text, _ in CANARIES:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        findings = tree_findings(root, {"HeapTests": {"HeapCore"}})
    wrong = []
    for path, _, is_bad in CANARIES:
        subject = os.path.dirname(path) if path.startswith("Sources/Unknown") else path
        if any(finding.startswith(subject + ":") for finding in findings) != is_bad:
            wrong.append(f"{path}: {'not found' if is_bad else 'wrongly found'}")
    manifest = {"dependencies": [], "targets": [
        {"name": name, "dependencies": [{"byName": [used, None]} for used in uses], "settings": []}
        for name, (_, uses) in LAYERS.items()]}
    manifest["targets"][0]["dependencies"].append({"byName": ["HeapCore", None]})
    manifest["targets"] += [{"name": name, "dependencies": [], "settings": []} for name in TESTS]
    expected = ["Package.swift:1: CVirtualMemory must not depend on HeapCore"]
    if manifest_findings(os.devnull, manifest) != expected:
        wrong.append(f"Package.swift canary: {manifest_findings(os.devnull, manifest)}")
    if wrong:
        print("\n".join(wrong))
        sys.exit(1)
    print(f"check-layers: self-test passed, {sum(is_bad for _, _, is_bad in CANARIES) + 1} violations found as expected")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:]:
        sys.exit(__doc__)
    root = repository_root()
    manifest = load_manifest(root)
    findings = table_findings() + manifest_findings(root, manifest) + tree_findings(root, declared_dependencies(manifest))
    print("\n".join(findings + [f"check-layers: {len(LAYERS)} layers, {len(findings)} findings"]))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
