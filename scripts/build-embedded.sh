#!/usr/bin/env bash
# Builds every layer below the Swift face as Embedded Swift without allocations, each under its own module name, and
# checks what the joined objects still need from outside. Usage: build-embedded.sh [OUTDIR]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib/tools.sh
source scripts/lib/embedded.sh

c_modules=(CVirtualMemory CHeap CTicks CCistern)
swift_modules=(VirtualMemory Limits HeapCore Regions Ticks CisternC)

embedded_prepare "${1:-.build/embedded}" "${c_modules[@]}"
echo "C, as C11 with clang:"
embedded_compile_c "${c_modules[@]}"

echo "headers, with the other compilers:"
for header in CShims/*/include/*.h; do
    gcc -x c -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "${embedded_include_flags[@]}" "$header"
done
echo "  every header as C11"

echo "Embedded Swift:"
embedded_compile_swift "${swift_modules[@]}"
ld -r "${embedded_objects[@]}" -o "$embedded_out/joined.o"
embedded_check_undefined "$embedded_out/joined.o"
size "$embedded_out/joined.o" | awk 'NR == 2 {print "text " $1 " bytes, data " $2 ", bss " $3}'
echo "build-embedded: passed"
