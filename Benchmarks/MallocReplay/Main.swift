import CReplay

/// The child that replays through malloc: the replay and nothing else. Built as Embedded Swift, it loads neither the Swift
/// runtime nor the C++ library, whose own allocations at start would be charged to, or hidden in, the allocator measured.
@main
struct MallocReplay {
    static func main() {
        creplay_child_main()
    }
}
