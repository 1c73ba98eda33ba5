import CReplay

/// An allocator to measure, and how a child gets at it.
struct Allocator: Equatable {
    enum Kind: Equatable {
        /// malloc and its family: glibc's, or that of a library loaded before it.
        case malloc(library: String?)
        case cistern(flags: UInt64)
        /// Returns overlapping blocks: shows that the checks can fail.
        case broken
        /// The same loop with no allocator calls.
        case null
    }

    var name: String
    var kind: Kind

    var library: String? {
        if case .malloc(let library) = kind { return library }
        return nil
    }

    var isCistern: Bool {
        if case .cistern = kind { return true }
        return false
    }

    static let null = Allocator(name: "null", kind: .null)
    static let glibc = Allocator(name: "glibc", kind: .malloc(library: nil))
    static let cistern = Allocator(name: "cistern", kind: .cistern(flags: 0))
    /// No two blocks share a cache line: a row of its own among the loops with threads.
    static let onLines = variant("cistern-aligned-64", CREPLAY_CISTERN_ALIGNED_64)
    /// Not listed: only the harness's own tests ask for it.
    static let broken = Allocator(name: "broken", kind: .broken)

    /// Other ways to use cistern; they stand beside the rows, not among them.
    static let variants: [Allocator] = [
        variant("cistern-inlined", CREPLAY_CISTERN_INLINED),
        variant("cistern-single-thread", CREPLAY_CISTERN_SINGLE_THREAD),
        variant("cistern-unsized-free", CREPLAY_CISTERN_UNSIZED_FREE),
        variant("cistern-aligned-16", CREPLAY_CISTERN_ALIGNED_16),
        onLines,
        variant("cistern-no-huge-pages", CREPLAY_CISTERN_NO_HUGE_PAGES),
    ]

    private static func variant(_ name: String, _ flag: creplay_cistern_flags) -> Allocator {
        Allocator(name: name, kind: .cistern(flags: UInt64(flag.rawValue)))
    }
}

/// Finds the libraries that are installed.
enum AllocatorCatalog {
    private static let peers: [(name: String, files: [String])] = [
        ("jemalloc", ["libjemalloc.so.2", "libjemalloc.so"]),
        ("tcmalloc", ["libtcmalloc_minimal.so.4", "libtcmalloc_minimal.so", "libtcmalloc.so.4"]),
        ("mimalloc", ["libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so.2.0", "libmimalloc.so"]),
    ]
    private static let directories = [
        "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib",
        "/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/lib",
    ]

    /// cistern, glibc and every peer that is installed.
    static func present() -> [Allocator] {
        [.cistern, .glibc] + peers.compactMap { peer in installed(peer.files).map { malloc(peer.name, $0) } }
    }

    /// The allocator that `--allocator` names: a known name, or `name=/path/of/library.so`.
    static func find(_ text: String) throws(BenchError) -> Allocator {
        if let separator = text.firstIndex(of: "=") {
            let path = String(text[text.index(after: separator)...])
            guard let library = System.resolved(path) else { throw .badInput("--allocator \(text): there is no library \(path)") }
            return malloc(String(text[..<separator]), library)
        }
        let known = present() + Allocator.variants + [.broken]
        if let found = known.first(where: { $0.name == text }) { return found }
        if peers.contains(where: { $0.name == text }) {
            throw .badInput("--allocator \(text): its library is not installed; name=/path/of/library.so tells where one is")
        }
        let names = (present() + Allocator.variants).map(\.name).joined(separator: ", ")
        throw .badInput("--allocator \(text): expected one of \(names), or name=/path/of/library.so")
    }

    private static func malloc(_ name: String, _ library: String) -> Allocator {
        Allocator(name: name, kind: .malloc(library: library))
    }

    private static func installed(_ files: [String]) -> String? {
        for directory in directories {
            for file in files {
                if let path = System.resolved("\(directory)/\(file)") { return path }
            }
        }
        return nil
    }
}
