// EXAMPLE
import Cistern

/// Inputs, and what is derived from them: named regions that each own memory of the heap. An input's numbers and their squares are
/// replaced when they are set anew; the total is computed from all inputs when an update ends.
final class ReactiveStore {
    let directory: Directory
    private let total: RegionID
    private var inputs: [String: (numbers: RegionID, squares: RegionID)] = [:]

    init(in heap: Heap) throws(DirectoryError) {
        directory = try Directory(in: heap)
        total = try directory.create("total", elements: [0] as [UInt64])
    }

    func set(_ name: String, to numbers: [UInt64]) throws(DirectoryError) {
        let squares = numbers.map { $0 * $0 }
        if let input = inputs[name] {
            try directory.replace(input.numbers, elements: numbers)
            try directory.replace(input.squares, elements: squares)
        } else {
            let input = try directory.create(name, elements: numbers)
            // Derived: its memory goes with its input's.
            inputs[name] = (input, try directory.create("\(name)/squares", under: input, elements: squares))
        }
    }

    func remove(_ name: String) throws(DirectoryError) {
        guard let input = inputs.removeValue(forKey: name) else { return }
        try directory.remove(input.numbers)
    }

    /// Ends an update. Subscribers are told of it from now on; what was removed or replaced has its memory freed, unless a
    /// snapshot sees it.
    func update() throws(DirectoryError) {
        var sum: UInt64 = 0
        for input in inputs.values {
            sum += try directory.read(input.squares, elements: UInt64.self) { squares in
                squares.indices.reduce(0) { $0 + squares[$1] }
            }
        }
        try directory.replace(total, elements: [sum])
        try directory.seal()
    }
}

/// A subscriber's own copy of the names.
struct Mirror {
    var names: Set<String> = []
    var log: [String] = []
    private var nameOf: [UInt32: String] = [:]

    /// Starts from what is alive where the subscription stands.
    mutating func begin(_ subscription: borrowing Subscription) throws(DirectoryError) {
        (names, nameOf) = ([], [:])
        let directory = subscription.directory
        try subscription.forEachAlive { add($0, directory) }
    }

    /// Takes in what changed. The names of what is gone are known here; the directory knows them too until the acknowledgement.
    mutating func catchUp(_ subscription: borrowing Subscription) throws(DirectoryError) {
        switch try subscription.poll() {
        case .resync: try begin(subscription)
        case .changes(let batch):
            let directory = subscription.directory
            try subscription.forEachChange(in: batch) { change in
                switch change.kind {
                case .removed, .removedWithParent: remove(change.id)
                case .added: add(change.id, directory)
                case .changed: log.append("changed \(nameOf[change.id.slot] ?? "?")")
                }
            }
            subscription.acknowledge(batch)
        }
    }

    private mutating func add(_ id: RegionID, _ directory: Directory) {
        guard let name = directory.name(of: id) else { return }
        nameOf[id.slot] = name
        names.insert(name)
        log.append("added \(name)")
    }

    private mutating func remove(_ id: RegionID) {
        guard let name = nameOf.removeValue(forKey: id.slot) else { return }
        names.remove(name)
        log.append("removed \(name)")
    }
}

func runReactiveStore() throws -> [String] {
    var report: [String] = []
    let store = try ReactiveStore(in: Heap(capacityBytes: 16 << 20))
    let directory = store.directory
    try store.set("width", to: [1, 2, 3])
    try store.set("height", to: [4])
    try store.update()

    // Two subscribers: one keeps up, the other looks once at the end.
    let fast = try directory.subscribe()
    let slow = try directory.subscribe()
    var fastMirror = Mirror()
    var slowMirror = Mirror()
    try fastMirror.begin(fast)
    try slowMirror.begin(slow)

    // An exporter pins the start of its update, and reads after the update has returned: nothing is purged before.
    let exporter = try directory.pin(.exporter)
    try store.remove("height")
    try store.update()
    try fastMirror.catchUp(fast)
    try store.set("depth", to: [5])
    try store.update()
    try fastMirror.catchUp(fast)
    var exported: [String] = []
    try exporter.forEachChange { change in
        exported.append("\(change.kind) \(directory.name(of: change.id) ?? "?")")
    }
    report.append("export: \(exported.joined(separator: ", "))")

    // A fork pins where it began, works on a copy of the names, and merges what both sides did since. A snapshot also keeps memory.
    let fork = try directory.pin(.fork)
    var copy: Set<String> = []
    try fork.forEachAlive { id in copy.insert(directory.name(of: id) ?? "?") }
    let snapshot = try directory.pin(.snapshot)
    let width = directory["width/squares"]
    copy.insert("made in the fork")
    try store.remove("width")
    try store.update()
    try fork.forEachChange { change in
        guard let name = directory.name(of: change.id) else { return }
        if change.kind == .added { copy.insert(name) }
        if change.kind == .removed || change.kind == .removedWithParent { copy.remove(name) }
    }
    for name in copy where directory[name] == nil { try store.set(name, to: [1]) }
    try store.update()

    // Removed, and still there for the snapshot; with it the memory goes.
    if let width {
        let squares = try snapshot.read(width, elements: UInt64.self) { squares in squares.indices.map { "\(squares[$0])" } }
        report.append("squares of the removed width: \(squares.joined(separator: ", "))")
    }
    let kept = directory.statistics.ownedRegionCount
    _ = consume snapshot
    try directory.seal()
    report.append("regions in memory: \(kept) with the snapshot, \(directory.statistics.ownedRegionCount) without")

    // The slow one holds what it had seen and not yet lost: two inputs and their squares. "depth" it never saw.
    report.append("the slow one holds \(slow.statistics.heldCount) tombstones")
    try slowMirror.catchUp(slow)
    try fastMirror.catchUp(fast)
    report.append("same mirrors: \(slowMirror.names == fastMirror.names)")
    report.append("names: \(slowMirror.names.sorted().joined(separator: ", "))")
    report.append("the slow one heard: \(slowMirror.log.suffix(8).joined(separator: ", "))")
    return report
}
// END EXAMPLE
