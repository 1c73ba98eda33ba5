// swift-tools-version: 6.2
import PackageDescription

// Every Swift target is in Swift 6 language mode with strict memory safety; the layers are listed bottom-up, and
// scripts/check-layers.py refuses an import that points upward.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
]

let package = Package(
    name: "Cistern",
    products: [
        .library(name: "Cistern", targets: ["Cistern"]),
        .executable(name: "cistern-bench", targets: ["CisternBench"]),
        .executable(name: "cistern", targets: ["CisternCommand"]),
    ],
    targets: [
        // OS primitives: reserve, commit, decommit, release, advise, limits; all behind one table of calls.
        .target(name: "CVirtualMemory", path: "CShims/CVirtualMemory"),
        // One bounded range of address space and what of it is committed.
        .target(name: "VirtualMemory", dependencies: ["CVirtualMemory"], swiftSettings: strict),
        // Capacity grammar and resolution; the limits that apply to this process.
        .target(name: "Limits", dependencies: ["CVirtualMemory"], swiftSettings: strict),
        // Layout of the heap's memory, locks, the thread-local block, fork and thread-exit hooks.
        .target(name: "CHeap", dependencies: ["CVirtualMemory"], path: "CShims/CHeap"),
        // The heap: run heap, size classes, block spans, thread caches, statistics, verification.
        .target(name: "HeapCore", dependencies: ["CVirtualMemory", "CHeap", "VirtualMemory"], swiftSettings: strict),
        // Regions: bump allocation from chunks that are runs of the heap, nested, each dying all at once.
        .target(name: "Regions", dependencies: ["CHeap", "HeapCore"], swiftSettings: strict),
        // Layout of a directory of named regions and what of it is read without a lock.
        .target(name: "CTicks", dependencies: ["CHeap"], path: "CShims/CTicks"),
        // Ticks: the directory of named regions, tombstones, pins, readers.
        .target(name: "Ticks", dependencies: ["CHeap", "CTicks", "HeapCore", "Regions"], swiftSettings: strict),
        // What a Swift user imports.
        .target(
            name: "Cistern", dependencies: ["CVirtualMemory", "HeapCore", "Limits", "Regions", "Ticks", "VirtualMemory"],
            swiftSettings: strict),
        // The C face: cistern.h and the functions behind it.
        .target(name: "CCistern", path: "CShims/CCistern"),
        .target(
            name: "CisternC",
            dependencies: ["CCistern", "CVirtualMemory", "CHeap", "CTicks", "HeapCore", "Limits", "Regions", "Ticks", "VirtualMemory"],
            swiftSettings: strict),
        // Skip's memory layer under its own names: regions, persistent blocks and scratch of one heap.
        .target(name: "CSkip", dependencies: ["CVirtualMemory", "CHeap"], path: "CShims/CSkip"),
        .target(name: "SkipABI", dependencies: ["CHeap", "CSkip", "HeapCore", "Limits", "VirtualMemory"], swiftSettings: strict),
        // cistern-bench: replays real allocation traces.
        .target(name: "CReplay", dependencies: ["CCistern"], path: "Benchmarks/CReplay"),
        // The same replay in a program without the Swift runtime, for every allocator that is a malloc; cistern-bench starts it.
        .executableTarget(
            name: "cistern-bench-malloc", dependencies: ["CReplay"], path: "Benchmarks/MallocReplay",
            swiftSettings: strict + [.enableExperimentalFeature("Embedded")]),
        .executableTarget(
            name: "CisternBench",
            dependencies: ["cistern-bench-malloc", "CReplay", "CisternC", "Cistern", "Limits", "CVirtualMemory"],
            path: "Benchmarks/CisternBench",
            swiftSettings: strict),
        // What surrounds a process: limits and what is used of them, processors, pressure; job counts; evidence of memory kills.
        .target(name: "Envelope", dependencies: ["CVirtualMemory", "Limits"], swiftSettings: strict),
        // cistern, the command. Its C part starts one child and waits for it.
        .target(name: "CCommand", path: "CShims/CCommand"),
        .executableTarget(
            name: "CisternCommand", dependencies: ["CCommand", "CVirtualMemory", "Envelope", "Limits", "VirtualMemory"],
            swiftSettings: strict),
        // Helpers that tests need in C: refusing OS tables, threads, child processes.
        .target(name: "CTestSupport", dependencies: ["CVirtualMemory"], path: "Tests/CTestSupport"),
        // Helpers of all test targets: children, threads, seeded numbers, a table that refuses.
        .target(
            name: "TestSupport", dependencies: ["CTestSupport", "CVirtualMemory", "HeapCore"], path: "Tests/TestSupport",
            swiftSettings: strict),
        .testTarget(
            name: "VirtualMemoryTests", dependencies: ["VirtualMemory", "CVirtualMemory", "CTestSupport", "TestSupport"],
            swiftSettings: strict),
        .testTarget(name: "LimitsTests", dependencies: ["Limits", "CVirtualMemory", "CTestSupport", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "HeapTests", dependencies: ["HeapCore", "CHeap", "CVirtualMemory", "CTestSupport", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "RegionTests", dependencies: ["Regions", "HeapCore", "CHeap", "CVirtualMemory", "CTestSupport", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "TickTests", dependencies: ["Ticks", "CTicks", "CHeap", "HeapCore", "Regions", "CTestSupport", "TestSupport"],
            swiftSettings: strict),
        // Every call of cistern.h, also for the programs that scripts/check-library.py builds.
        .target(name: "CEveryCall", dependencies: ["CCistern", "CisternC"], path: "Tests/CEveryCall"),
        .testTarget(
            name: "CisternTests", dependencies: ["Cistern", "CisternC", "CCistern", "CTestSupport", "TestSupport", "CEveryCall"],
            swiftSettings: strict),
        // A miniature Skip-like runtime, and what the tests do with it.
        .target(name: "CSkipRuntime", dependencies: ["CSkip"], path: "Tests/CSkipRuntime"),
        .testTarget(name: "SkipTests", dependencies: ["SkipABI", "CSkipRuntime", "CTestSupport", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "BenchTests", dependencies: ["CTestSupport", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "CommandTests",
            dependencies: ["CisternCommand", "CCommand", "CTestSupport", "TestSupport", "CVirtualMemory", "Cistern", "Envelope", "Limits"],
            swiftSettings: strict),
    ]
)
