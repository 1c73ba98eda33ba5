#!/usr/bin/env python3
"""Builds and installs the C library into a directory of its own, and checks what a user of it relies on:

 - what is installed, also staged; only declared names visible, nothing weak; libc alone needed; the size
 - the headers and Tests/LibraryPrograms with gcc and clang, as C11 and C++17, at their strictest usual warnings
 - those programs with the shared library and with the archive: every call, limits, 100,000 heaps, threads, forks, copies of the
   library in one process; in a Swift program; under the address sanitizer and valgrind
 - instructions per call, by callgrind
 - every snippet of docs/embedding.md

Needs the Swift toolchain, binutils, gcc and pkg-config; says what it leaves out where clang, valgrind, rustc or CMake are missing.
Usage: check-library.py [--keep DIR | --self-test]. Exit 1 with one line per finding.
"""

import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from library_checks import (  # noqa: E402
    MOST_INSTRUCTIONS, count_findings, document_snippets, foreign_findings, needed_findings, self_test, signature_findings, size_findings,
    symbol_findings)
from source_text import repository_root  # noqa: E402

ROOT = repository_root()
PROGRAMS = os.path.join(ROOT, "Tests/LibraryPrograms")
HEADERS = ("cistern.h", "cistern_capacity.h", "cistern_region.h", "cistern_region_inline.h", "cistern_directory.h")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wundef", "-Wcast-qual", "-Werror"]
C_WARNINGS = WARNINGS + ["-Wstrict-prototypes", "-Wmissing-prototypes"]
CPP_WARNINGS = WARNINGS + ["-Wold-style-cast", "-Wnon-virtual-dtor", "-Woverloaded-virtual"]
TIME_LIMIT_SECONDS = 300


class Check:
    """What was built, and what was found."""

    def __init__(self, folder):
        self.folder = folder
        self.prefix = os.path.join(folder, "prefix")
        self.library = os.path.join(self.prefix, "lib/libcistern.so")
        self.archive = os.path.join(self.prefix, "lib/libcistern.a")
        self.findings = []
        self.clang = self.toolchain("clang")
        self.environment = dict(
            os.environ, PKG_CONFIG_PATH=os.path.join(self.prefix, "lib/pkgconfig"), LD_LIBRARY_PATH=os.path.join(self.prefix, "lib"),
            SWIFT_BACKTRACE="enable=no", PREFIX=self.prefix)
        self.environment.pop("SKIP_CAPACITY", None)

    def say(self, text):
        print(text, flush=True)

    def find(self, *findings):
        self.findings += findings
        for finding in findings:
            self.say(f"  {finding}")

    def toolchain(self, tool):
        """The Swift toolchain's tool, or the one on the path, or None."""
        swiftc = shutil.which("swiftc")
        beside = os.path.join(os.path.dirname(os.path.realpath(swiftc)), tool) if swiftc else ""
        return beside if os.access(beside, os.X_OK) else shutil.which(tool)

    def run(self, command, folder=None):
        """Exit status and all output of a command (a list, or text for the shell)."""
        try:
            result = subprocess.run(
                command, shell=isinstance(command, str), executable="/bin/bash" if isinstance(command, str) else None,
                cwd=folder or self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                timeout=TIME_LIMIT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return 124, f"longer than {TIME_LIMIT_SECONDS} s"
        return result.returncode, result.stdout

    def expect(self, what, command, output=None, status=0):
        """Runs a command; a finding unless it ends with the status and, where that is given, exactly this output. Returns the output."""
        got, text = self.run(command)
        if got != status or (output is not None and text != output):
            shown = text if len(text) < 3000 else text[:1500] + "\n...\n" + text[-1500:]
            wanted = f", and {output!r}" if output is not None else ""
            self.find(f"{what}: exit {got}, expected {status}{wanted}:\n{shown}")
            return None
        return text

    def compilers(self):
        """(name, executable and language flags, warnings) of each compiler and language."""
        yield "gcc, C11", ["gcc", "-std=c11", "-D_DEFAULT_SOURCE"], C_WARNINGS
        yield "g++, C++17", ["g++", "-x", "c++", "-std=c++17"], CPP_WARNINGS
        if self.clang is None:
            self.say("  left out: there is no clang")
            return
        yield "clang, C11", [self.clang, "-std=c11", "-D_DEFAULT_SOURCE"], C_WARNINGS
        yield "clang, C++17", [self.clang + "++", "-x", "c++", "-std=c++17"], CPP_WARNINGS


def installed(check):
    """Two installations, the second staged below another directory: the same files."""
    check.say("build and install")
    build = os.path.join(ROOT, "scripts/build-library.sh")
    if check.expect("build-library.sh", [build, "--prefix", check.prefix]) is None:
        return False
    stage = os.path.join(check.folder, "stage")
    check.expect("build-library.sh --destdir", [build, "--prefix", "/usr", "--destdir", stage])
    names = [os.path.relpath(os.path.join(directory, name), check.prefix)
             for directory, _, files in os.walk(check.prefix) for name in files]
    for name in names:
        first, second = os.path.join(check.prefix, name), os.path.join(stage, "usr", name)
        if not os.path.exists(second):
            check.find(f"{name} is not in the staged installation")
        elif name.endswith((".h", ".cmake")) and not filecmp.cmp(first, second, shallow=False):
            check.find(f"{name} differs between two installations")
    with open(os.path.join(stage, "usr/lib/pkgconfig/cistern.pc"), encoding="utf-8") as file:
        if "prefix=/usr\n" not in file.read():
            check.find("the staged cistern.pc does not name the prefix")
    for arguments in ([], ["--prefix", "relative"], ["--prefix"], ["--other", "x"], ["--prefix", "/a&b"], ["--prefix", "/a|b"],
                      ["--prefix", "/a b"]):
        check.expect("build-library.sh with wrong arguments", [build] + arguments, status=2)
    check.say(f"  {len(names)} files: {' '.join(sorted(names))}")
    return True


def symbols(check):
    check.say("symbols and sizes")
    declared = os.path.join(ROOT, ".build/library/public")
    with open(declared, encoding="utf-8") as file:
        names = file.read().split()
    text = "".join(open(os.path.join(check.prefix, "include", name), encoding="utf-8").read() for name in HEADERS)
    for name in names:
        if not re.search(rf"\b{name}\(", text):
            check.find(f"{name} is visible and not in the installed headers")
    check.find(*symbol_findings("libcistern.so", check.run(["nm", "-D", "--defined-only", check.library])[1], names))
    check.find(*symbol_findings("libcistern.a", check.run(["nm", "--defined-only", "--extern-only", check.archive])[1], names))
    check.find(*foreign_findings(check.run(["nm", "-u", check.archive])[1]))
    check.find(*needed_findings(check.run(["ldd", check.library])[1], check.run(["readelf", "-d", check.library])[1]))
    byte_count = os.path.getsize(os.path.realpath(check.library))
    check.find(*size_findings(byte_count))
    check.say(f"  {len(names)} functions, libcistern.so {byte_count} bytes, libcistern.a {os.path.getsize(check.archive)} bytes")


def compiled(check, name, compiler, warnings, linked):
    """Builds one of the programs; its path, or None."""
    program = os.path.join(check.folder, f"{name}-{len(os.listdir(check.folder))}")
    source = os.path.join(PROGRAMS, f"{name}.c")
    link = "$(pkg-config --cflags --libs cistern)" if linked == "shared" else f"-I {check.prefix}/include -x none {check.archive}"
    if linked == "static":
        link += " -static"
    if name == "calls":
        source += "".join(f" {ROOT}/Tests/CEveryCall/every_{part}call.c" for part in ("", "region_", "directory_", "owned_region_"))
    command = f"{' '.join(compiler + warnings)} -O2 -I {ROOT}/Tests/CEveryCall/include {source} {link} -lpthread -ldl -o {program}"
    return program if check.expect(f"{name} with {' '.join(compiler)}", command) is not None else None


def programs(check):
    check.say("headers and programs")
    for label, compiler, warnings in check.compilers():
        for header in HEADERS:
            check.expect(f"{header} alone with {label}", f"echo '#include <{header}>' > header.c && {' '.join(compiler + warnings)} "
                         "-Wno-unused-function -fsyntax-only $(pkg-config --cflags cistern) header.c")
        for linked in ("shared", "archive"):
            calls = compiled(check, "calls", compiler, warnings, linked)
            if calls is not None:
                check.expect(f"calls with {label}, {linked}", [calls], "every call answered as documented\n")
        check.say(f"  {label}: the headers, and calls.c with the shared library and with the archive")
    ldd = check.run(["ldd", calls])[1] if calls else ""
    if "swift" in ldd or "stdc++" in ldd.replace("libstdc++.so", "" if "C++" in label else "libstdc++.so"):
        check.find(f"a program with the archive needs more than libc:\n{ldd}")
    gcc = ["gcc", "-std=c11", "-D_DEFAULT_SOURCE"]
    for linked in ("shared", "archive", "static"):
        lives = compiled(check, "lives", gcc, C_WARNINGS, linked)
        if lives is not None:
            check.expect(f"lives, {linked}", [lives], "heaps, threads and processes ended\n")
        limits = compiled(check, "limits", gcc, C_WARNINGS, linked)
        if limits is not None:
            under_limits(check, limits, linked)
    other = os.path.join(check.folder, "libother.so")
    shutil.copy(os.path.realpath(check.library), other)
    # With every name of the program visible to what it loads.
    copies = compiled(check, "copies", gcc + ["-rdynamic"], C_WARNINGS, "archive")
    if copies is not None:
        check.expect("copies", [copies, check.library, other], "3 copies side by side\n")
    check.say("  lives.c, limits.c and copies.c")


def under_limits(check, program, linked):
    """4 MiB in a process of 9000 KiB, 16 GiB in one of 17 GiB; 16 GiB in one of 16 GiB, which has other things, too."""
    for kibibytes, capacity in ((9000, 4 << 20), (17 << 20, 16 << 30)):
        text = check.expect(f"limits, {linked}, ulimit -v {kibibytes}", f"ulimit -v {kibibytes} && {program} {capacity}")
        words = (text or "").split()
        if text is not None and not (240 <= int(words[0]) < 256 and words[:2] == words[1:3] and words[3:] == ["errno", "77"]):
            check.find(f"limits, {linked}, ulimit -v {kibibytes}: {text}")
    text = check.expect(f"limits, {linked}, refused", f"ulimit -v 16777216 && {program} {16 << 30}", status=1)
    if text is not None and not re.fullmatch(
            r"the system refused to reserve the capacity, could not reserve 17179869184 bytes: Cannot allocate memory "
            r"\(RLIMIT_AS is 17179869184 bytes, \d+ in use; see ulimit -v\), errno 77\n", text):
        check.find(f"limits, {linked}, refused: {text}")


def swift_program(check):
    check.say("the archive in a Swift program")
    folder = os.path.join(check.folder, "swift")
    os.makedirs(folder)
    with open(os.path.join(folder, "module.modulemap"), "w", encoding="utf-8") as file:
        file.write(f'module CisternLibrary {{ header "{check.prefix}/include/cistern.h" export * }}\n')
    for mode in ("-Onone", "-O"):
        program = os.path.join(folder, f"archive{mode}")
        source = os.path.join(PROGRAMS, "archive.swift")
        check.expect(f"swiftc {mode}", ["swiftc", mode, "-I", folder, source, check.archive, "-o", program])
        if "libswiftCore.so" not in check.run(["readelf", "-d", program])[1]:
            check.find(f"archive{mode} does not use the shared standard library, so it shows nothing")
        check.expect(f"archive{mode}", [program], "both runtimes at work\n")


def tools(check):
    check.say("sanitizers and valgrind")
    gcc = ["gcc", "-std=c11", "-D_DEFAULT_SOURCE", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    for name, arguments, output in (("calls", [], "every call answered as documented\n"),
                                    ("lives", ["1000"], "heaps, threads and processes ended\n")):
        program = compiled(check, name, gcc, C_WARNINGS, "archive")
        if program is not None:
            check.expect(f"{name} under the address sanitizer", [program] + arguments, output)
    if shutil.which("valgrind") is None:
        return check.say("  left out: there is no valgrind")
    # It has mappings and addresses of its own: neither is measured there.
    for name, arguments in (("calls", ["partial"]), ("lives", ["0"])):
        program = compiled(check, name, ["gcc", "-std=c11", "-D_DEFAULT_SOURCE"], C_WARNINGS, "shared")
        if program is not None:
            check.expect(f"{name} under valgrind", ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", program] + arguments)
    return check.say("  calls.c and lives.c")


def instructions(check):
    """Instructions inside the calls: two counts, and their difference, so that the start falls out."""
    check.say("instructions per call")
    if shutil.which("valgrind") is None:
        return check.say("  left out: there is no valgrind")
    for what, (program, argument, functions, most) in MOST_INSTRUCTIONS.items():
        for linked in ("archive", "shared"):
            path = compiled(check, program, ["gcc", "-std=c11"], C_WARNINGS, linked)
            each = instructions_each(check, path, argument, functions)
            if not functions and each is not None:
                each -= instructions_each(check, path, "nothing", [])
            check.find(*count_findings(f"{what}, {linked}", each, most))
            check.say(f"  {what}, {linked}: {each if each is None else round(each, 1)}, {f'at most {most}' if most else 'not gated'}")
    return None


def instructions_each(check, program, argument, functions):
    counts = []
    for count in ("100000", "300000") if program else ():
        text = check.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
                         + [f"--toggle-collect={name}" for name in functions] + [program, count, argument])[1]
        counts += [int(found) for found in re.findall(r"Collected : (\d+)", text)]
    return (counts[1] - counts[0]) / 200000 if len(counts) == 2 else None


def document(check):
    """Every snippet of the document: files are written as they are named, commands run, and what they print is compared."""
    check.say("docs/embedding.md")
    with open(os.path.join(ROOT, "docs/embedding.md"), encoding="utf-8") as file:
        snippets, problems = document_snippets(file.read())
    check.find(*problems)
    folder = os.path.join(check.folder, "document")
    os.makedirs(folder)
    command = None
    for language, name, text in snippets:
        if language == "sh":
            command = text
        elif language == "text":
            if name and shutil.which(name) is None:
                check.say(f"  left out: there is no {name}")
                continue
            status, output = check.run(command, folder)
            if status != 0 or output != text:
                check.find(f"docs/embedding.md: {command.strip()}\nexit {status}, printed:\n{output}expected:\n{text}")
        else:
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        if language == "rust":
            headers = [open(os.path.join(check.prefix, "include", header), encoding="utf-8").read() for header in HEADERS]
            check.find(*(f"docs/embedding.md, {name}: {finding}" for finding in signature_findings("".join(headers), text)))
    check.say(f"  {len(snippets)} snippets")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:] and (len(sys.argv) != 3 or sys.argv[1] != "--keep"):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="cistern-library-") as scratch:
        folder = os.path.abspath(sys.argv[2]) if len(sys.argv) == 3 else scratch
        os.makedirs(folder, exist_ok=True)
        check = Check(folder)
        if installed(check):
            for step in (symbols, programs, swift_program, tools, instructions, document):
                step(check)
    print(f"check-library: {len(check.findings)} findings")
    sys.exit(1 if check.findings else 0)


if __name__ == "__main__":
    main()
