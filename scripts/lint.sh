#!/usr/bin/env bash
# Checks the format of all Swift code and the syntax and warnings of all C code. scripts/format.sh repairs the format.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib/tools.sh

swift format lint --configuration .swift-format --recursive --strict --parallel Package.swift Sources Tests Benchmarks

clang=$(find_tool clang)
shopt -s nullglob globstar
include_flags=()
for include in CShims/*/include Benchmarks/*/include Tests/*/include; do
    include_flags+=(-I "$include")
done
warnings=(-std=gnu11 -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wno-nullability-extension -Wno-empty-translation-unit -Werror)
count=0
for file in {CShims,Benchmarks,Tests}/**/*.[ch]; do
    case $file in
        *.c) "$clang" -x c "${warnings[@]}" -fsyntax-only "${include_flags[@]}" "$file" ;;
        # Through an include, so that a function that only others use is not called unused.
        *.h) printf '#include "%s"\n' "$PWD/$file" | "$clang" -x c "${warnings[@]}" -fsyntax-only "${include_flags[@]}" - ;;
    esac
    count=$((count + 1))
done
echo "lint: Swift format and $count C files passed"
