# Sourced by the scripts that build archives for C: compiles layers as Embedded Swift without allocations, joins their objects into
# one that shows only the public names, and checks what that object still needs. Source tools.sh first; call from the root.

# What a joined object may leave undefined: memory moves, and the libc and pthread calls of the shims. Nothing here may allocate.
readonly embedded_allowed_symbols='
memset memcpy memmove memcmp strlen
mmap munmap mprotect madvise prctl getrlimit getenv __libc_single_threaded sysconf syscall
open close read pread fstat getpid gettid sched_yield
execve posix_spawn waitpid faccessat fstatat environ strchr strcspn
__errno_location __stack_chk_fail _GLOBAL_OFFSET_TABLE_
'

# The objects of the last compilation, in the order of the modules.
embedded_objects=()

# Makes OUT empty and fills embedded_include_flags and embedded_module_map_flags. Usage: embedded_prepare OUT C_MODULE...
embedded_prepare() {
    embedded_out=$1
    shift
    rm -rf "$embedded_out"
    mkdir -p "$embedded_out/modules"
    embedded_out=$(cd "$embedded_out" && pwd)
    embedded_objects=()
    embedded_include_flags=()
    embedded_module_map_flags=()
    local module include
    for module in "$@"; do
        include="$PWD/CShims/$module/include"
        embedded_include_flags+=(-I "$include")
        if [[ ! -f $include/module.modulemap ]]; then
            printf 'module %s {\n    umbrella "%s"\n    export *\n}\n' "$module" "$include" > "$embedded_out/modules/$module.modulemap"
            embedded_module_map_flags+=(-Xcc "-fmodule-map-file=$embedded_out/modules/$module.modulemap")
        fi
    done
}

# Compiles the C modules as C11 with the toolchain's clang. Usage: embedded_compile_c C_MODULE...
embedded_compile_c() {
    local clang module source object sources
    clang=$(find_tool clang)
    for module in "$@"; do
        mapfile -t sources < <(find "CShims/$module" -name '*.c' | sort)
        [[ ${#sources[@]} -gt 0 ]] || { echo "  $module has no sources yet: skipped"; continue; }
        for source in "${sources[@]}"; do
            object="$embedded_out/$module-$(basename "$source" .c).o"
            "$clang" -O2 -fPIC -Wall -Wextra -Werror -std=c11 -ffunction-sections -ffile-prefix-map="$PWD/=" \
                "${embedded_include_flags[@]}" -c "$source" -o "$object"
            embedded_objects+=("$object")
        done
        echo "  $module: ${#sources[@]} files"
    done
}

# Compiles the Swift modules, each under its own name and without a warning. What runs once in a process is made small, not fast.
# Usage: embedded_compile_swift SWIFT_MODULE...
embedded_compile_swift() {
    local module sources log status optimisation
    for module in "$@"; do
        optimisation=-O
        [[ $module == Limits || $module == VirtualMemory ]] && optimisation=-Osize
        mapfile -t sources < <(find "Sources/$module" -name '*.swift' | sort)
        [[ ${#sources[@]} -gt 0 ]] || { echo "  $module has no sources yet: skipped"; continue; }
        log="$embedded_out/$module.log"
        status=0
        swiftc -parse-as-library "$optimisation" -wmo -swift-version 6 -strict-memory-safety -warnings-as-errors \
            -enable-experimental-feature Embedded -Xfrontend -no-allocations -Xfrontend -function-sections \
            -file-prefix-map "$PWD/=" \
            "${embedded_include_flags[@]}" "${embedded_module_map_flags[@]}" \
            -I "$embedded_out/modules" -module-cache-path "$embedded_out/cache" \
            -module-name "$module" -emit-module -emit-module-path "$embedded_out/modules/$module.swiftmodule" \
            -c "${sources[@]}" -o "$embedded_out/$module.o" > "$log" 2>&1 || status=$?
        cat "$log"
        if [[ $status -ne 0 ]] || grep -q 'warning:' "$log"; then
            echo "error: $module does not build as Embedded Swift without warnings" >&2
            return 1
        fi
        embedded_objects+=("$embedded_out/$module.o")
        echo "  $module: ${#sources[@]} files"
    done
}

# Prints the names of the functions that headers declare and somebody has to define, one a line: a name of one of the prefixes
# before a parenthesis, less those of inline functions. Usage: declared_functions PREFIXES HEADER...; PREFIXES as in 'cistern_|SKIP_'.
declared_functions() {
    local prefixes=$1 header clang text name
    shift
    clang=$(find_tool clang)
    for header in "$@"; do
        text=$("$clang" -E -P -x c -std=c11 "${embedded_include_flags[@]}" "$header" | tr '\n' ' ')
        name="($prefixes)[A-Za-z0-9_]+ *\\("
        comm -23 <(grep -oE "\\b$name" <<< "$text" | tr -d ' (' | sort -u) \
            <(grep -oE "\\bstatic inline [^(;{]*\\b$name" <<< "$text" | sed 's/ *($//; s/.*[ *]//' | sort -u)
    done
}

# Joins the objects of the last compilations into one in which only the names of a list are visible, and nothing that they do not
# need is left. Without that, an archive of Embedded Swift would show its weak swift_* functions, which would take the place of
# libswiftCore's in a Swift program that links it. Usage: embedded_join LIST JOINED; every name must be defined.
embedded_join() {
    local list=$1 joined=$2 name missing wanted=()
    while read -r name; do wanted+=(-u "$name"); done < "$list"
    ld -r --force-group-allocation --gc-sections "${wanted[@]}" "${embedded_objects[@]}" -o "$joined.all"
    missing=$(nm --defined-only --extern-only "$joined.all" | awk '{print $NF}' | sort | comm -13 - <(sort "$list"))
    if [[ -n $missing ]]; then
        echo "error: declared and not defined:" $missing >&2
        return 1
    fi
    objcopy --keep-global-symbols="$list" --strip-debug "$joined.all" "$joined"
    rm "$joined.all"
}

# Fails when an object leaves anything undefined but what is allowed, pthread_*, and the names given.
# Usage: embedded_check_undefined OBJECT [NAME...]
embedded_check_undefined() {
    local object=$1 symbol undefined refused=()
    shift
    undefined=$(nm -u "$object" | awk '{print $NF}' | sort -u)
    echo "undefined in the joined objects:" $undefined
    for symbol in $undefined; do
        case $symbol in
            pthread_*) ;;
            *) grep -qwF -- "$symbol" <<< "$embedded_allowed_symbols $*" || refused+=("$symbol") ;;
        esac
    done
    if [[ ${#refused[@]} -gt 0 ]]; then
        echo "error: undefined symbols that are not allowed: ${refused[*]}" >&2
        return 1
    fi
}
