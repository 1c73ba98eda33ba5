#!/usr/bin/env python3
"""Disassembles the release build's hot path and checks that it takes no lock.

In `cistern_allocate` and `cistern_deallocate_sized`, and in every function of ours that they reach without passing a slow path:
no lock-prefixed instruction, no xchg with memory, no fence, and calls and jumps only to slow paths or within the hot path. Each
of the two is at most MOST_INSTRUCTIONS long from entry to return, no conditional branch taken: a frame made for a slow path is found.

Usage: check-hot-path.py [EXECUTABLE] | --self-test. Exit 1 with one message per finding; prints the instructions from entry to
the first return, no conditional branch taken.
"""

import contextlib
import io
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from source_text import repository_root  # noqa: E402

ENTRIES = ("cistern_allocate", "cistern_deallocate_sized")
# A slow path says so in its name. A call to anything else is followed when it is ours and refused when it is not.
SLOW_PATH = re.compile(r"slow|refill|flush|exhaust|large|remote|misuse", re.IGNORECASE)
FOLLOWED = re.compile(r"^(cistern_|\$s8HeapCore|\$s8CisternC|\$s13VirtualMemory)")
FORBIDDEN = [
    (re.compile(r"^(lock|xacquire|xrelease)\b"), "lock-prefixed instruction"),
    (re.compile(r"^xchg\w*\s.*\("), "xchg with memory"),
    (re.compile(r"^(mfence|sfence|lfence|dmb|dsb)\b"), "fence"),
    (re.compile(r"^(syscall|int\s+\$0x80|svc)\b"), "system call"),
    (re.compile(r"^(ldaxr|ldxr|stxr|stlxr|cas[abhlp]*|swp[abhl]*|ld(add|clr|set|eor)[abhl]*)\b"), "atomic read-modify-write"),
]
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(.+?)\s*$")
TARGET = re.compile(r"\b([0-9a-f]+) <([^>]+)>")
MOST_FOLLOWED = 16
MOST_INSTRUCTIONS = 21


def disassemble(executable, symbol):
    """The body of one function as [(address, instruction)], or None."""
    text = subprocess.run(
        ["objdump", "--no-show-raw-insn", f"--disassemble={symbol}", executable], capture_output=True, text=True, check=True).stdout
    return parse(text).get(symbol)


def parse(text):
    """objdump's text as function name to [(address, instruction)]."""
    functions, current = {}, None
    for line in text.split("\n"):
        match = FUNCTION.match(line)
        if match:
            current = functions.setdefault(match.group(1), [])
            continue
        match = INSTRUCTION.match(line)
        if match and current is not None:
            current.append((int(match.group(1), 16), match.group(2)))
    return functions


def is_call(instruction):
    return re.match(r"^(notrack )?(call|bl|blr)\w*\b", instruction) is not None


def is_jump(instruction):
    return re.match(r"^(notrack |bnd )?(jmp|b|br)\b", instruction) is not None


def target_of(instruction):
    """(address, function, is it that function's entry) of a call or branch, or None when it has no fixed target."""
    match = TARGET.search(instruction)
    if match is None:
        return None
    name, plus, _ = match.group(2).partition("+0x")
    return int(match.group(1), 16), name, not plus


def straight_path(body):
    """Instructions from entry to the first return or jump out, when no conditional branch is taken; None when it loops."""
    positions = {address: index for index, (address, _) in enumerate(body)}
    index, count, seen = 0, 0, set()
    while index < len(body) and index not in seen:
        seen.add(index)
        count += 1
        instruction = body[index][1]
        if re.match(r"^(repz |bnd )?ret", instruction):
            return count
        if is_jump(instruction):
            target = target_of(instruction)
            if target is None or target[0] not in positions:
                return count
            index = positions[target[0]]
        else:
            index += 1
    return None


def body_findings(name, body):
    """(findings, functions to follow) of one function on the hot path."""
    findings, followed = [], []
    addresses = {address for address, _ in body}
    for address, instruction in body:
        for pattern, meaning in FORBIDDEN:
            if pattern.match(instruction):
                findings.append(f"{name}+0x{address - body[0][0]:x}: {meaning}: {instruction}")
        target = target_of(instruction) if re.match(r"^(notrack |bnd )?(j|call|b\b|bl|b\.|cb|tb)", instruction) else None
        if target is None:
            if is_call(instruction) or (is_jump(instruction) and "*" in instruction):
                findings.append(f"{name}+0x{address - body[0][0]:x}: indirect call: {instruction}")
            continue
        if target[0] in addresses or SLOW_PATH.search(target[1]):
            continue
        if FOLLOWED.match(target[1]):
            followed.append(target[1])
        else:
            findings.append(f"{name}+0x{address - body[0][0]:x}: leaves the hot path for {target[1]}")
    return findings, followed


def check(lookup):
    """Checks every entry and what it reaches. `lookup` gives a function's body by name, or None."""
    findings = []
    for entry in ENTRIES:
        waiting, done = [entry], []
        while waiting and len(done) < MOST_FOLLOWED:
            name = waiting.pop(0)
            if name in done:
                continue
            done.append(name)
            body = lookup(name)
            if not body:
                findings.append(f"{name}: not in the executable")
                continue
            own, followed = body_findings(name, body)
            findings += own
            waiting += followed
            role = "" if name == entry else f"  reached from {entry}: "
            path = straight_path(body)
            print(f"{role}{name}: {path or 'no'} instructions on the straight path, {len(body)} in all")
            if name == entry and (path is None or path > MOST_INSTRUCTIONS):
                findings.append(f"{name}: {path or 'no'} instructions from entry to return, at most {MOST_INSTRUCTIONS} are expected")
        if waiting:
            findings.append(f"{entry}: reaches more than {MOST_FOLLOWED} functions")
    return findings


CLEAN = """
0000000000001000 <cistern_allocate>:
    1000:\tmov    %fs:0x0,%rax
    1009:\ttest   %rax,%rax
    100c:\tje     1020 <cistern_allocate+0x20>
    100e:\txchg   %ax,%ax
    1010:\tmov    (%rax),%rcx
    1013:\tret
    1020:\tjmp    2000 <$s8HeapCore12allocateSlowyyF>
0000000000003000 <cistern_deallocate_sized>:
    3000:\tmov    %rdi,(%rsi)
    3003:\tjmp    3010 <cistern_deallocate_sized+0x10>
    3010:\tret
"""


def self_test():
    """The clean text passes; with one instruction exchanged it does not."""
    def found(text):
        with contextlib.redirect_stdout(io.StringIO()):
            return check(parse(text).get)
    assert found(CLEAN) == [], "the clean text was refused"
    assert straight_path(parse(CLEAN)["cistern_allocate"]) == 6
    assert straight_path(parse(CLEAN)["cistern_deallocate_sized"]) == 3
    swaps = ["lock cmpxchg %rcx,(%rdi)", "xchg   %rax,(%rdi)", "mfence", "call   9000 <pthread_mutex_lock@plt>", "call   *0x8(%rax)",
             "call   9000 <$s8HeapCore6lockedyyF>", "syscall", "jmp    9000 <swift_once>", "lock xadd %rax,(%rdx)"]
    for swap in swaps:
        assert found(CLEAN.replace("mov    (%rax),%rcx", swap)), f"not found: {swap}"
    assert found(CLEAN.replace("cistern_deallocate_sized", "other")), "a missing function was not found"
    nops = "".join(f"    {address:x}:\tnop\n" for address in range(0x1011, 0x1011 + MOST_INSTRUCTIONS - 5))
    assert found(CLEAN.replace("    1013:\tret\n", nops + "    1100:\tret\n")), "a long straight path was not found"
    print(f"check-hot-path: self-test passed, {len(swaps) + 2} violations found as expected")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    executable = sys.argv[1] if len(sys.argv) == 2 else os.path.join(repository_root(), ".build/release/cistern-bench")
    if not os.path.exists(executable):
        sys.exit(f"error: {executable} does not exist; build it with swift build -c release")
    findings = check(lambda name: disassemble(executable, name))
    print("\n".join(findings + [f"check-hot-path: {len(findings)} findings"]))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
