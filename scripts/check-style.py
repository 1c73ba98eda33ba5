#!/usr/bin/env python3
"""Style rules that neither the compiler nor the formatter checks, each an error:

 - a line over 140 columns; trailing blanks; a file over 500 lines or a function over 70, unless listed below with a reason
 - a note to do something later; a disabled test without an issue number and a date
 - in library layers: calls that print, end the process or use malloc; mutable globals outside the C face
 - a public Swift declaration without a doc comment
 - a file with `unsafe` marks and no comment that begins with `Safety:` and states why they hold
 - a C macro that is neither an include guard nor an attribute nor a fallback for a name that a system header lacks

Usage: check-style.py [--self-test]. Exit 1 with one `file:line: message` per finding; sizes and counts are printed.
"""

import os
import re
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from source_text import SOURCE_ROOTS, blanked, line_number, read, repository_root, source_files  # noqa: E402

LINE_COLUMNS = 140
FILE_LINES = 500
FUNCTION_LINES = 70

# "path" of a file over 500 lines: the reason. An entry that is not needed is an error.
LONG_FILES = {}
# "path:function" of a function over 70 lines: the reason. An entry that is not needed is an error.
LONG_FUNCTIONS = {}

LIBRARY_FOLDERS = ("Sources", "CShims")
# Faces whose job is process-wide state; elsewhere a heap is a value that the caller holds.
FACES_WITH_STATE = ("Sources/CisternC/", "Sources/SkipABI/")
# The command-line tool: it ends processes and writes its result. What it can leave to Envelope, it does.
TOOL_FOLDERS = ("Sources/CisternCommand", "CShims/CCommand")
# The one layer of the library that may write to a standard stream and end the process: that is Skip's contract.
FACES_THAT_END = ("CShims/CSkip/",)
SAFETY_FOLDERS = ("Sources", "Benchmarks")

LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
SWIFT_FORBIDDEN = re.compile(r"(?<![\w.`])(print|debugPrint|dump|exit|_exit|abort)\s*\(")
C_FORBIDDEN = re.compile(
    r"(?<![\w.>])(printf|fprintf|dprintf|puts|fputs|perror|exit|_exit|_Exit|abort|malloc|calloc|realloc|free|posix_memalign)\s*\(")
SWIFT_FUNCTION = re.compile(
    r"(?<![\w.`])(?:func\s+(?P<name>\S+?)\s*(?=[(<])|(?P<init>init)[?!]?\s*(?=[(<])|(?P<deinit>deinit)\b|(?P<sub>subscript)\s*(?=[(<])"
    r"|var\s+(?P<property>\w+)\s*:[^={\n]*(?=\{))")
PUBLIC = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)\n]*\))?[ \t]+)*(?:[a-z]+(?:\([a-z]+\))?[ \t]+)*?(?:public|open)(?![ \t]*\()[ \t]+"
    r"(?!import\b|extension\b)[^\n]*?\b(?P<kind>func|var|let|init|struct|enum|class|actor|protocol|typealias|subscript)\b[ \t]*"
    r"(?P<name>[^\s(:{<=]*)", re.MULTILINE)
SAFETY = re.compile(r"^[ \t]*(?:///?|\*)[ \t]*(?:- )?Safety:", re.MULTILINE)
DISABLED_TEST = re.compile(r"\.disabled\s*\(|\.enabled\s*\(\s*if:\s*false|withKnownIssue")
DISABLED_REASON = re.compile(r"issue #?\d+.*\d{4}-\d{2}-\d{2}")
MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(\([^)]*\))?[ \t]*(.*)$", re.MULTILINE)
# Feature-test macros that the system headers ask for.
FEATURE_MACROS = {"_GNU_SOURCE", "_DEFAULT_SOURCE", "_POSIX_C_SOURCE"}


def starts_with_folder(path, folders):
    return any(path.startswith(folder + "/") for folder in folders)


def text_findings(path, text):
    """Rules for the text of any code file."""
    findings = []
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LINE_COLUMNS:
            findings.append(f"{path}:{number}: line of {len(line)} columns, at most {LINE_COLUMNS}")
        if line != line.rstrip():
            findings.append(f"{path}:{number}: trailing blanks")
        match = LATER.search(line)
        if match:
            findings.append(f"{path}:{number}: {match.group(1)} left in the text")
    if text and not text.endswith("\n"):
        findings.append(f"{path}:{line_number(text, len(text))}: no newline at the end")
    return findings


def matching(code, position, opening, closing):
    """The position of the bracket that closes the one at `position`, or the end."""
    depth = 0
    for index in range(position, len(code)):
        if code[index] == opening:
            depth += 1
        elif code[index] == closing:
            depth -= 1
            if depth == 0:
                return index
    return len(code) - 1


def swift_body(code, position):
    """The position of the brace that opens the body of the declaration whose name ends at `position`, or None."""
    while position < len(code):
        character = code[position]
        if character == "{":
            return position
        if character in "([":
            position = matching(code, position, character, ")" if character == "(" else "]")
        elif character in ";}":
            return None
        elif character == "\n":
            goes_on = re.match(r"\s*(->|throws|rethrows|async|where|\{|\()", code[position:])
            if not goes_on and not code[:position].rstrip().endswith(("->", ",", "where", "&", ":")):
                return None
        position += 1
    return None


def swift_functions(code):
    """(name, first line, last line) of every function, initialiser, subscript and computed property with a body."""
    for match in SWIFT_FUNCTION.finditer(code):
        name = next(group for group in match.group("name", "init", "deinit", "sub", "property") if group)
        body = swift_body(code, match.end())
        if body is not None:
            yield name, line_number(code, match.start()), line_number(code, matching(code, body, "{", "}"))


def c_functions(code):
    """The same for C: a parenthesis and then a brace outside all others."""
    code = re.sub(r'\bextern\s+\{', lambda match: match.group().replace("{", " "), code)
    depth = 0
    for position, character in enumerate(code):
        if character == "{":
            head = code[:position].rstrip()
            if depth == 0 and head.endswith(")"):
                signature = re.search(r"(\w+)\s*\([^{};]*\)\s*$", head)
                start = signature.start(1) if signature else position
                name = signature.group(1) if signature else "?"
                yield name, line_number(code, start), line_number(code, matching(code, position, "{", "}"))
            depth += 1
        elif character == "}":
            depth = max(0, depth - 1)


def size_findings(path, text, code, used):
    findings = []
    lines = text.count("\n")
    if lines > FILE_LINES:
        if path in LONG_FILES:
            used.add(path)
        else:
            findings.append(f"{path}:1: {lines} lines, at most {FILE_LINES}")
    for name, first, last in swift_functions(code) if path.endswith(".swift") else c_functions(code):
        key = f"{path}:{name}"
        if last - first + 1 > FUNCTION_LINES:
            if key in LONG_FUNCTIONS:
                used.add(key)
            else:
                findings.append(f"{path}:{first}: {name} has {last - first + 1} lines, at most {FUNCTION_LINES}")
    return findings


def library_findings(path, code):
    """Rules for the library layers only."""
    findings = []
    is_swift = path.endswith(".swift")
    for match in (SWIFT_FORBIDDEN if is_swift else C_FORBIDDEN).finditer(code):
        before = code[:match.start()].rstrip()
        is_declaration = before.endswith("func") if is_swift else re.search(r"\(\s*\*\s*$", before)
        may_end = path.startswith(FACES_THAT_END) and match.group(1) in ("printf", "exit", "_exit")
        if not is_declaration and not may_end:
            findings.append(f"{path}:{line_number(code, match.start())}: a library layer must not call {match.group(1)}")
    if is_swift and not path.startswith(FACES_WITH_STATE):
        depth = 0
        for number, line in enumerate(code.split("\n"), 1):
            is_global = depth == 0 and re.match(r"(?:[\w@()]+\s+)*var\s+\w+[^{]*$", line)
            if is_global or "nonisolated(unsafe)" in line:
                findings.append(f"{path}:{number}: mutable global outside the C face")
            depth += line.count("{") - line.count("}")
    return findings


def documentation_findings(path, text, code):
    """Public declarations that no doc comment precedes."""
    findings = []
    lines = text.split("\n")
    for match in PUBLIC.finditer(code):
        number = line_number(code, match.start("kind"))
        above = number - 2
        while above >= 0 and re.match(r"\s*(@\w+(\([^)]*\))?\s*)+$", lines[above]):
            above -= 1
        is_documented = above >= 0 and (lines[above].lstrip().startswith("///") or lines[above].rstrip().endswith("*/"))
        if not is_documented:
            name = match.group("name") or match.group("kind")
            findings.append(f"{path}:{number}: public {name} has no doc comment")
    return findings


def macro_findings(path, text, code):
    findings = []
    for match in MACRO.finditer(code):
        name, parameters, _ = match.groups()
        value = text[match.start(3):match.end(3)].strip()
        is_guard = not value and not parameters
        is_attribute = value.startswith(("__attribute__", "__has_attribute"))
        is_fallback = re.search(r"#[ \t]*ifndef[ \t]+" + name + r"[ \t]*\n[ \t]*$", code[:match.start()]) is not None
        if not (is_guard or is_attribute or is_fallback or name in FEATURE_MACROS):
            findings.append(f"{path}:{line_number(code, match.start())}: macro {name} is neither guard nor attribute nor fallback")
    return findings


def unsafe_count(code):
    """Uses of the marker; `nonisolated(unsafe)` counts, the attributes @unsafe and @safe do not."""
    return len(re.findall(r"(?<![\w.@])unsafe\b(?!\s*:)", code))


def file_findings(path, text, used, marks):
    findings = text_findings(path, text)
    if not path.endswith((".swift", ".c", ".h")) or path == "Package.swift":
        return findings
    code = blanked(text, path)
    findings += size_findings(path, text, code, used)
    if starts_with_folder(path, LIBRARY_FOLDERS) and not starts_with_folder(path, TOOL_FOLDERS):
        findings += library_findings(path, code)
    if not path.endswith(".swift"):
        return findings + macro_findings(path, text, code)
    if starts_with_folder(path, LIBRARY_FOLDERS):
        findings += documentation_findings(path, text, code)
    marks[path] = unsafe_count(code)
    if marks[path] and starts_with_folder(path, SAFETY_FOLDERS) and not SAFETY.search(text):
        findings.append(f"{path}:1: {marks[path]} unsafe marks and no comment that begins with 'Safety:'")
    for match in DISABLED_TEST.finditer(code):
        number = line_number(code, match.start())
        if not DISABLED_REASON.search(text.split("\n")[number - 1]):
            findings.append(f"{path}:{number}: disabled test without an issue number and a date")
    return findings


def tree_findings(root, paths):
    """All findings, the lines of each source file and the unsafe marks of each Swift file."""
    findings, used, marks, sizes = [], set(), {}, {}
    for path in paths:
        text = read(root, path)
        findings += file_findings(path, text, used, marks)
        if path.endswith((".swift", ".c", ".h")):
            sizes[path] = text.count("\n")
    for entry in sorted((set(LONG_FILES) | set(LONG_FUNCTIONS)) - used):
        findings.append(f"scripts/check-style.py:1: the exception for {entry} is not needed")
    return findings, sizes, marks


def print_report(sizes, marks):
    groups = [
        ("library", [path for path in sizes if starts_with_folder(path, LIBRARY_FOLDERS)]),
        ("benchmarks", [path for path in sizes if starts_with_folder(path, ("Benchmarks",))]),
        ("tests", [path for path in sizes if starts_with_folder(path, ("Tests",))]),
    ]
    for name, paths in groups:
        if paths:
            largest = max(paths, key=sizes.get)
            median = statistics.median_high(sizes[path] for path in paths)
            print(f"{name}: {len(paths)} files, median {median} lines, largest {sizes[largest]} ({largest})")
    for path, count in sorted(marks.items(), key=lambda item: (-item[1], item[0])):
        if count and not starts_with_folder(path, ("Tests",)):
            print(f"unsafe marks: {count:4} {path}")


# Path, text, and the words that a finding must contain, or None when there must be no finding.
CANARIES = [
    ("Sources/Cistern/Good.swift", "/// A.\n@frozen\npublic struct A {\n    // TO" + "DOS, print(1)\n    let a = \"exit(1)\"\n}\n", None),
    ("Sources/Cistern/Call.swift", "func a() {\n    heap.print()\n    value.exit(1)\n}\n", None),
    ("Sources/Cistern/Long.swift", "let a = 1  // " + "x" * 130 + "\n", "columns"),
    ("Sources/Cistern/Blank.swift", "let a = 1 \n", "trailing"),
    ("Sources/Cistern/Note.swift", "// FIX" + "ME: later\n", "left in the text"),
    ("Sources/Cistern/Print.swift", "func a() {\n    print(1)\n}\n", "must not call print"),
    ("Sources/Cistern/Exit.swift", "func a() {\n    exit(1)\n}\n", "must not call exit"),
    ("Sources/CisternCommand/Exit.swift", "func a() {\n    exit(1)\n}\n", None),
    ("CShims/CHeap/exit.c", "void a(void) {\n  abort();\n}\n", "must not call abort"),
    ("CShims/CHeap/malloc.c", "void *a(void) {\n  return malloc(1);\n}\n", "must not call malloc"),
    ("CShims/CHeap/table.c", "struct t {\n  void (*free)(void *);\n};\n", None),
    ("CShims/CHeap/macro.h", "#define LIMIT 3\n", "macro LIMIT"),
    ("CShims/CHeap/guard.h", "#ifndef A_H\n#define A_H\n#ifndef MADV_COLD\n#define MADV_COLD 20\n#endif\n#endif\n", None),
    ("CShims/CHeap/long.c", "static int long_one(int a) {\n" + "  a += 1;\n" * 69 + "}\n", "long_one has 71 lines"),
    ("CShims/CHeap/short.c", "static int short_one(int a) {\n" + "  a += 1;\n" * 68 + "}\n", None),
    ("Sources/Cistern/Function.swift", "func longOne() -> Int\n{\n" + "    a()\n" * 68 + "}\n", "longOne has 71 lines"),
    ("Sources/Cistern/Init.swift", "struct A {\n    init?(a: Int) throws(E) {\n" + "        a()\n" * 69 + "    }\n}\n", "init has 71"),
    ("Sources/Cistern/Brace.swift", 'func a() {\n    b("{ \\(c("{")) {")\n}\n' + "// b\n" * 80, None),
    ("Sources/Cistern/File.swift", "// a\n" * 501, "501 lines"),
    ("Sources/Cistern/Public.swift", "// Not a doc comment.\npublic static func a() {}\n", "public a has no doc comment"),
    ("Sources/Cistern/Member.swift", "/// A.\npublic struct A {\n    @inlinable\n    public init(a: Int) {}\n}\n", "public init has no"),
    ("Sources/Cistern/Setter.swift", "/// A.\npublic private(set) var a: Int {\n    0\n}\n", None),
    ("Sources/Cistern/Undocumented.swift", "nonisolated public let a = 1\n", "public a has no doc comment"),
    ("Sources/Cistern/Unsafe.swift", "func a() {\n    unsafe b()\n}\n", "no comment that begins with 'Safety:'"),
    ("Sources/Cistern/Safe.swift", "// Safety: the block is ours.\nfunc a() {\n    unsafe b()\n}\n", None),
    ("Sources/Cistern/Global.swift", "nonisolated(unsafe) var a = 1  // Safety:\n", "mutable global"),
    ("Sources/Cistern/Variable.swift", "var a = 1\n", "mutable global"),
    ("Sources/Cistern/Computed.swift", "var a: Int { 1 }\n", None),
    ("Tests/HeapTests/Disabled.swift", '@Test(.disabled("slow")) func a() {}\n', "disabled test"),
    ("Tests/HeapTests/Explained.swift", '@Test(.disabled("issue #7, 2026-11-21")) func a() {}\n', None),
]


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, text, _ in CANARIES:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        findings = tree_findings(root, [path for path, _, _ in CANARIES])[0]
    wrong = []
    for path, _, words in CANARIES:
        own = [finding for finding in findings if finding.startswith(path + ":")]
        if words is None and own:
            wrong.append(f"wrongly found: {own}")
        if words is not None and not any(words in finding for finding in own):
            wrong.append(f"{path}: not found: {words}; found {own}")
    if wrong:
        print("\n".join(wrong))
        sys.exit(1)
    print(f"check-style: self-test passed, {sum(words is not None for _, _, words in CANARIES)} violations found as expected")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:]:
        sys.exit(__doc__)
    root = repository_root()
    paths = ["Package.swift", ".ci/run"] + source_files(root, SOURCE_ROOTS + ("scripts",), (".swift", ".c", ".h", ".py", ".sh"))
    findings, sizes, marks = tree_findings(root, [path for path in paths if os.path.exists(os.path.join(root, path))])
    print_report(sizes, marks)
    print("\n".join(findings + [f"check-style: {len(sizes)} source files, {len(findings)} findings"]))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
