#!/usr/bin/env bash
# Builds every layer below the Swift face as Embedded Swift without allocations, each under its own module name, and
# checks what the joined objects still need from outside. Usage: build-embedded.sh [OUTDIR]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib/tools.sh

out=${1:-.build/embedded}
c_modules=(CVirtualMemory CHeap CTicks CCistern)
swift_modules=(VirtualMemory Limits HeapCore Ticks CisternC)

# What the joined objects may leave undefined: memory moves, and the libc and pthread calls of the shims.
# Nothing here may allocate; anything that is not in the list, nor pthread_*, fails the build.
allowed_symbols='
memset memcpy memmove memcmp strlen
mmap munmap mprotect madvise prctl getrlimit getenv __libc_single_threaded sysconf syscall
open close read pread fstat getpid gettid sched_yield
__errno_location __stack_chk_fail _GLOBAL_OFFSET_TABLE_
'

clang=$(find_tool clang)
rm -rf "$out"
mkdir -p "$out/modules"
out=$(cd "$out" && pwd)

include_flags=()
module_map_flags=()
for module in "${c_modules[@]}"; do
    include="$PWD/CShims/$module/include"
    include_flags+=(-I "$include")
    if [[ ! -f $include/module.modulemap ]]; then
        printf 'module %s {\n    umbrella "%s"\n    export *\n}\n' "$module" "$include" > "$out/modules/$module.modulemap"
        module_map_flags+=(-Xcc "-fmodule-map-file=$out/modules/$module.modulemap")
    fi
done

objects=()
shopt -s nullglob globstar

echo "C, as C11 with clang:"
for module in "${c_modules[@]}"; do
    sources=(CShims/"$module"/**/*.c)
    [[ ${#sources[@]} -gt 0 ]] || { echo "  $module has no sources yet: skipped"; continue; }
    for source in "${sources[@]}"; do
        object="$out/$module-$(basename "$source" .c).o"
        "$clang" -O2 -fPIC -Wall -Wextra -Werror -std=c11 -ffunction-sections "${include_flags[@]}" -c "$source" -o "$object"
        objects+=("$object")
    done
    echo "  $module: ${#sources[@]} files"
done

echo "headers, with the other compilers:"
for header in CShims/*/include/*.h; do
    gcc -x c -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "${include_flags[@]}" "$header"
done
g++ -x c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only CShims/CCistern/include/cistern.h
"$clang" -x c++ -std=c++17 -Wall -Wextra -Wpedantic -Wno-nullability-extension -Werror -fsyntax-only CShims/CCistern/include/cistern.h
echo "  every header as C11, cistern.h as C++17"

echo "Embedded Swift:"
for module in "${swift_modules[@]}"; do
    sources=(Sources/"$module"/**/*.swift)
    [[ ${#sources[@]} -gt 0 ]] || { echo "  $module has no sources yet: skipped"; continue; }
    log="$out/$module.log"
    status=0
    swiftc -parse-as-library -O -wmo -swift-version 6 -strict-memory-safety -warnings-as-errors \
        -enable-experimental-feature Embedded -Xfrontend -no-allocations -Xfrontend -function-sections \
        "${include_flags[@]}" "${module_map_flags[@]}" -I "$out/modules" -module-cache-path "$out/cache" \
        -module-name "$module" -emit-module -emit-module-path "$out/modules/$module.swiftmodule" \
        -c "${sources[@]}" -o "$out/$module.o" > "$log" 2>&1 || status=$?
    cat "$log"
    if [[ $status -ne 0 ]] || grep -q 'warning:' "$log"; then
        echo "error: $module does not build as Embedded Swift without warnings" >&2
        exit 1
    fi
    objects+=("$out/$module.o")
    echo "  $module: ${#sources[@]} files"
done

[[ ${#objects[@]} -gt 0 ]] || { echo "error: nothing was built" >&2; exit 1; }
ld -r "${objects[@]}" -o "$out/joined.o"
undefined=$(nm -u "$out/joined.o" | awk '{print $NF}' | sort -u)
echo "undefined in the joined objects:" $undefined
refused=()
for symbol in $undefined; do
    case $symbol in
        pthread_*) ;;
        *) grep -qwF -- "$symbol" <<< "$allowed_symbols" || refused+=("$symbol") ;;
    esac
done
if [[ ${#refused[@]} -gt 0 ]]; then
    echo "error: undefined symbols that are not allowed: ${refused[*]}" >&2
    exit 1
fi
size "$out/joined.o" | awk 'NR == 2 {print "text " $1 " bytes, data " $2 ", bss " $3}'
echo "build-embedded: passed"
