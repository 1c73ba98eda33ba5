#!/usr/bin/env bash
# Builds the C library and installs it: lib/libcistern.a, lib/libcistern.so with its version, include/cistern.h, and the files that
# pkg-config and CMake look for. Needs the Swift toolchain and binutils; what it makes needs libc only.
#
# Usage: build-library.sh --prefix DIR [--destdir DIR]. With --destdir the files go below that directory, and name the prefix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib/tools.sh
source scripts/lib/embedded.sh

c_modules=(CVirtualMemory CHeap CTicks CCistern)
swift_modules=(VirtualMemory Limits HeapCore Regions Ticks CisternC)
public_headers=(CShims/CCistern/include/cistern.h CShims/CCistern/include/cistern_capacity.h
    CShims/CCistern/include/cistern_region.h CShims/CCistern/include/cistern_region_inline.h
    CShims/CCistern/include/cistern_directory.h)
public_header=${public_headers[0]}  # which includes the others

prefix=
destination=
while [[ $# -ge 2 ]]; do
    case $1 in
        --prefix) prefix=$2 ;;
        --destdir) destination=$2 ;;
        *) break ;;
    esac
    shift 2
done
if [[ $# -ne 0 || $prefix != /* ]]; then
    echo "usage: build-library.sh --prefix DIR [--destdir DIR], the prefix absolute" >&2
    exit 2
fi
# It is written into files of pkg-config and CMake, which quote differently: nothing that one of them, or sed, reads otherwise.
if [[ $prefix =~ [^A-Za-z0-9/._+%=:,~-] ]]; then
    echo "error: the prefix may have letters, digits and / . _ + % = : , ~ - only: $prefix" >&2
    exit 2
fi

# A number that the header states as an enumerator.
header_number() {
    sed -n "s/.*\\b$1 = \\([0-9]*\\).*/\\1/p" "$public_header"
}
version=$(header_number CISTERN_VERSION_MAJOR).$(header_number CISTERN_VERSION_MINOR).$(header_number CISTERN_VERSION_PATCH)
binary_interface=$(header_number CISTERN_BINARY_INTERFACE)
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ && -n $binary_interface ]] || { echo "error: $public_header states no version" >&2; exit 1; }

embedded_prepare .build/library "${c_modules[@]}"
embedded_compile_c "${c_modules[@]}"
embedded_compile_swift "${swift_modules[@]}"

declared_functions cistern_ "$public_header" > "$embedded_out/public"
embedded_join "$embedded_out/public" "$embedded_out/cistern.o"
embedded_check_undefined "$embedded_out/cistern.o"

# The shared library has no symbols but the public ones, no holes of a page between its parts, and never leaves the process once
# it is in it: threads that end after a dlclose call into it.
shared=libcistern.so.$version
# What a compiler's start-up file would bring, and pthread_atfork looks for.
echo '__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;' |
    "$(find_tool clang)" -x c -fPIC -c - -o "$embedded_out/dso-handle.o"
{ echo '{ global:'; sed 's/$/;/' "$embedded_out/public"; echo 'local: *; };'; } > "$embedded_out/version-script"
ld -shared -soname "libcistern.so.$binary_interface" --version-script "$embedded_out/version-script" -Bsymbolic \
    --gc-sections --strip-all --as-needed -z noseparate-code -z nodelete -z relro -z now \
    -z defs -z noexecstack --hash-style=gnu --build-id=sha1 \
    "$embedded_out/cistern.o" "$embedded_out/dso-handle.o" -o "$embedded_out/$shared" -lpthread -lc

rm -f "$embedded_out/libcistern.a"
ar rcsD "$embedded_out/libcistern.a" "$embedded_out/cistern.o"

root=$destination$prefix
mkdir -p "$root/include" "$root/lib/pkgconfig" "$root/lib/cmake/cistern"
install -m 644 "${public_headers[@]}" "$root/include"
install -m 644 "$embedded_out/libcistern.a" "$root/lib/libcistern.a"
install -m 755 "$embedded_out/$shared" "$root/lib/$shared"
ln -sf "$shared" "$root/lib/libcistern.so.$binary_interface"
ln -sf "libcistern.so.$binary_interface" "$root/lib/libcistern.so"
for template in cistern.pc cistern-config.cmake cistern-config-version.cmake; do
    directory=lib/cmake/cistern
    [[ $template == *.pc ]] && directory=lib/pkgconfig
    sed -e "s|@prefix@|$prefix|g" -e "s|@version@|$version|g" -e "s|@shared@|$shared|g" \
        -e "s|@version_series@|${version%.*}|g" -e "s|@soname@|libcistern.so.$binary_interface|g" \
        "scripts/lib/$template.in" > "$root/$directory/$template"
done
echo "libcistern $version in $root: libcistern.a $(stat -c %s "$root/lib/libcistern.a") bytes," \
    "$shared $(stat -c %s "$root/lib/$shared") bytes, $(wc -l < "$embedded_out/public") functions"
