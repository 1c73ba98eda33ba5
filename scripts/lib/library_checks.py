"""The parts of scripts/check-library.py that look at text only, and their canaries."""

import re

# What libc gives; everything else would be a second library.
LIBC = re.compile(
    r"^(mem(set|cpy|move|cmp)|strlen|mmap|munmap|mprotect|madvise|prctl|getrlimit|getenv|__libc_single_threaded|sysconf|syscall"
    r"|execve|posix_spawn|waitpid|faccessat|fstatat|environ|strchr|strcspn"
    r"|open|close|read|pread|fstat|getpid|gettid|sched_yield|__errno_location|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__tls_get_addr"
    r"|pthread_\w+)$")
MOST_LIBRARY_BYTES = 200 * 1000
# What is counted: program, its argument, the functions inside which instructions count, and the most that may be (0: only said).
# Without functions all instructions count, less those with the argument "nothing".
PAIR = ["cistern_allocate", "cistern_deallocate_sized"]
OBJECT = ["cistern_region_allocate"]
MOST_INSTRUCTIONS = {
    "sized pair, 1 to 512 bytes": ("pairs", "512", PAIR, 41),
    "sized pair, 1 to 1024 bytes": ("pairs", "1024", PAIR, 0),
    "object of a region": ("objects", "call", OBJECT, 12),
    "object of a region, new chunks included": ("objects", "growing", OBJECT, 0),
    "object of a region, inline": ("objects", "inline", [], 8),
}


def symbol_findings(where, text, declared):
    """nm's list of defined names: exactly the declared ones, as functions, none weak."""
    findings, names = [], []
    for line in text.split("\n"):
        match = re.match(r"^[0-9a-f]+ (\w) (\S+)$", line)
        if match is None:
            continue
        kind, name = match.groups()
        name = name.partition("@")[0]
        names.append(name)
        if not name.startswith("cistern_"):
            findings.append(f"{where}: {name} is visible")
        elif kind != "T":
            findings.append(f"{where}: {name} is of kind {kind}, not a function")
    findings += [f"{where}: {name} is not declared" for name in sorted(set(names) - set(declared)) if name.startswith("cistern_")]
    findings += [f"{where}: {name} is declared and not there" for name in sorted(set(declared) - set(names))]
    return findings


def foreign_findings(text):
    """nm's list of undefined names: libc's only."""
    names = {line.split()[-1].partition("@")[0] for line in text.split("\n") if re.match(r"^\s+[Uw] ", line)}
    return [f"libcistern.a: needs {name}" for name in sorted(names) if not LIBC.match(name)]


def needed_findings(ldd, dynamic):
    """libc alone, a soname with a number, and no leaving the process."""
    findings = [f"libcistern.so: ldd names {line.strip()}" for line in ldd.split("\n")
                if line.strip() and not re.match(r"\s*(linux-vdso\.so|libc\.so\.6|/\S*/ld-linux)", line)]
    if "libc.so.6" not in ldd:
        findings.append("libcistern.so: ldd does not name libc.so.6")
    if not re.search(r"SONAME.*\[libcistern\.so\.\d+\]", dynamic):
        findings.append("libcistern.so: no soname with a number")
    if "NODELETE" not in dynamic:
        findings.append("libcistern.so: may leave the process while threads still have caches")
    return findings


def size_findings(byte_count):
    if byte_count < MOST_LIBRARY_BYTES:
        return []
    return [f"libcistern.so: {byte_count} bytes, {MOST_LIBRARY_BYTES} or more"]


def count_findings(what, each, most):
    if each is None:
        return [f"{what}: no count"]
    return [f"{what}: {each:.1f} instructions, at most {most}"] if most and each > most else []


FENCE = re.compile(r"^```(\S*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def document_snippets(text):
    """([(language, name, text)], problems). A fence names its language and a file; `sh` gives commands, and the `text` that
    follows is what they print; its name, if any, is the tool without which both are left out."""
    snippets, problems = [], []
    if len(re.findall(r"^```", text, re.MULTILINE)) % 2 != 0:
        problems.append("docs/embedding.md: a fence is not closed")
    previous = None
    for language, name, body in FENCE.findall(text):
        if language not in ("sh", "text") and not name:
            problems.append(f"docs/embedding.md: a snippet in {language or 'no language'} names no file")
        if (language == "text") != (previous == "sh"):
            problems.append(f"docs/embedding.md: commands and what they print do not follow each other: {body.strip()[:60]}")
        previous = language
        snippets.append((language, name, body))
    if previous == "sh" or not snippets:
        problems.append("docs/embedding.md: the last commands print nothing")
    return snippets, problems


PROTOTYPE = re.compile(r"^((?:[\w*]+ )*?[\w*]+ \**)(cistern_\w+)\(([^()]*)\);", re.MULTILINE)
FOREIGN_FUNCTION = re.compile(r"\bfn (cistern_\w+)\(([^()]*)\)(?:\s*->\s*([^;]+?))?\s*;")
C_TYPES = {"size_t": "usize", "uint64_t": "u64", "uint32_t": "u32", "int32_t": "i32", "bool": "bool", "void": "()", "cistern_status": "u32",
           "cistern_misuse": "u32", "cistern_capacity_source": "u32", "cistern_misuse_report": "pointer", "cistern_visitor": "pointer"}


def c_type(text):
    """The kind of value that a C declaration (with or without a name) says."""
    if "*" in text:
        return "pointer"
    return next((C_TYPES[word] for word in text.replace("const ", "").split() if word in C_TYPES), text.strip())


def signature_findings(headers, rust):
    """The functions that a Rust text declares, compared with the headers: how many values of which kind."""
    headers = re.sub(r"\b_(Nonnull|Nullable)\b ?", "", re.sub(r"//[^\n]*", "", headers))
    declared = {}
    for result, name, arguments in PROTOTYPE.findall(headers):
        values = [] if arguments.strip() == "void" else [c_type(argument) for argument in arguments.split(",")]
        declared[name] = (values, c_type(result))
    findings = []
    for name, arguments, result in FOREIGN_FUNCTION.findall(rust):
        values = [argument.split(":", 1)[1].strip() for argument in arguments.split(",") if argument.strip()]
        kinds = ["pointer" if value.startswith(("*", "Option<")) else value for value in values]
        kind = "pointer" if result.strip().startswith("*") else result.strip() or "()"
        if name not in declared:
            findings.append(f"{name} is in no header")
        elif declared[name] != (kinds, kind):
            findings.append(f"{name} takes and gives {declared[name]} in C, {(kinds, kind)} in Rust")
    return findings if FOREIGN_FUNCTION.search(rust) else ["no function is declared"]


def self_test():
    """Sound text passes, and each unsound one is found."""
    so = "0000000000001000 T cistern_allocate\n0000000000001010 T cistern_version\n"
    names = ["cistern_allocate", "cistern_version"]
    ldd = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n"
    dynamic = "0x1 (SONAME) Library soname: [libcistern.so.0]\n0x2 (FLAGS_1) Flags: NOW NODELETE\n"
    document = "```c a.c\nint a;\n```\n```sh\ncc a.c\n```\n```text\ndone\n```\n"
    assert symbol_findings("x", so, names) == [] and foreign_findings("cistern.o:\n    U memcpy\n    U pthread_atfork\n") == []
    assert needed_findings(ldd, dynamic) == [] and size_findings(100) == [] and count_findings("x", 40.0, 41) == []
    assert document_snippets(document)[1] == [] and len(document_snippets(document)[0]) == 3
    unsound = [
        symbol_findings("x", so + "0000000000001020 W swift_retain\n", names),
        symbol_findings("x", so + "0000000000001020 T cistern_lock_wait\n", names),
        symbol_findings("x", so.replace("T", "W", 1), names),
        symbol_findings("x", so, names + ["cistern_trim"]),
        foreign_findings("    U malloc\n"), foreign_findings("    U swift_retain\n"),
        needed_findings(ldd + "\tlibstdc++.so.6 => /lib/libstdc++.so.6 (0x4)\n", dynamic), needed_findings("", dynamic),
        needed_findings(ldd, dynamic.replace(".so.0", ".so")), needed_findings(ldd, dynamic.replace("NODELETE", "")),
        size_findings(200000), count_findings("x", 41.5, 41), count_findings("x", None, 41),
        document_snippets(document.replace("```c a.c", "```c"))[1], document_snippets(document.replace("```text\ndone\n```\n", ""))[1],
        document_snippets(document.replace("cc a.c\n```\n", "cc a.c\n"))[1], document_snippets("nothing")[1],
    ]
    header = "// A.\nvoid *_Nullable cistern_allocate(cistern_heap *_Nullable heap, size_t byte_count);\nuint32_t cistern_version(void);\n"
    rust = "fn cistern_allocate(heap: *mut Heap, byte_count: usize) -> *mut c_void;\nfn cistern_version() -> u32;\n"
    assert signature_findings(header, rust) == []
    unsound += [signature_findings(header, rust.replace("usize", "u32")), signature_findings(header, rust.replace("-> u32", "")),
                signature_findings(header, rust.replace("_version", "_other")), signature_findings(header, "")]
    missed = [number for number, findings in enumerate(unsound) if not findings]
    assert not missed, f"not found: {missed}"
    print(f"check-library: self-test passed, {len(unsound)} violations found as expected")
