# Sourced by the other scripts. Says where the Swift toolchain's own tools are, also when only `swift` is on the path.

# Prints the directory of the toolchain's executables.
toolchain_bin() {
    local resources
    resources=$(swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath" *: *"\(.*\)".*/\1/p' | head -n 1)
    if [[ -n $resources && -d $resources/../../bin ]]; then
        (cd "$resources/../../bin" && pwd)
    else
        dirname "$(readlink -f "$(command -v swiftc)")"
    fi
}

# Prints the path of a tool: the toolchain's when it has one, else the one on the path. Fails when there is none.
find_tool() {
    local candidate
    candidate="$(toolchain_bin)/$1"
    if [[ -x $candidate ]]; then
        echo "$candidate"
    else
        command -v "$1" || { echo "error: $1 is neither in the Swift toolchain nor on the path" >&2; return 1; }
    fi
}
