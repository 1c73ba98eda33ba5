#!/usr/bin/env bash
# Builds libcistern_skip.a: Skip's memory layer as one archive that shows Skip's names only. Needs the Swift toolchain and
# binutils; what it makes needs libc, and what a Skip runtime has anyway.
#
# Usage: build-skip-library.sh [OUTDIR]. The archive is OUTDIR/libcistern_skip.a; without OUTDIR, .build/skip-library.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib/tools.sh
source scripts/lib/embedded.sh

c_modules=(CVirtualMemory CHeap CSkip)
swift_modules=(VirtualMemory Limits HeapCore SkipABI)
header=CShims/CSkip/include/cistern_skip.h

# Of the runtime's other objects and of compiled Skip code; what only the Skip face may use of libc.
runtime_names=(epointer_ty get_gc_type sk_get_external_pointer sk_get_ref_count sk_incr_ref_count)
runtime_names+=(SKIP_has_fork_context SKIP_copy_with_pages)
libc_names=(write exit _exit nanosleep printf clock_gettime)

embedded_prepare "${1:-.build/skip-library}" "${c_modules[@]}"
embedded_compile_c "${c_modules[@]}"
embedded_compile_swift "${swift_modules[@]}"

{ declared_functions 'SKIP_|sk_' "$header"; echo pconsts; echo sk_is_locked; } > "$embedded_out/public"
embedded_join "$embedded_out/public" "$embedded_out/cistern_skip.o"
embedded_check_undefined "$embedded_out/cistern_skip.o" "${runtime_names[@]}" "${libc_names[@]}"
rm -f "$embedded_out/libcistern_skip.a"
ar rcsD "$embedded_out/libcistern_skip.a" "$embedded_out/cistern_skip.o"
echo "$embedded_out/libcistern_skip.a: $(wc -l < "$embedded_out/public") names," \
    "$(size "$embedded_out/cistern_skip.o" | awk 'NR == 2 {print $1}') bytes of code"
