// EXAMPLE
import Cistern

/// Inputs, and a total derived from them, as named regions; the payloads are the numbers themselves.
final class ReactiveStore {
    let directory: Directory
    private let total: RegionID

    init(in heap: Heap) throws(DirectoryError) {
        directory = try Directory(in: heap)
        total = try directory.create("total")
    }

    func set(_ name: String, to value: UInt64) throws(DirectoryError) {
        if let id = directory[name] {
            try directory.setPayload(value, of: id)
            try directory.markChanged(id)
        } else {
            let input = try directory.create(name, payload: value)
            _ = try directory.create("\(name)/square", under: input, payload: value * value)  // derived: goes with its input
        }
        try directory.markChanged(total)
    }

    func remove(_ name: String) throws(DirectoryError) {
        guard let id = directory[name] else { return }
        try directory.remove(id)
        try directory.markChanged(total)
    }

    /// Ends an update. Subscribers are told of it from now on.
    func update() throws(DirectoryError) { try directory.seal() }
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
    try store.set("width", to: 3)
    try store.set("height", to: 4)
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
    try store.set("depth", to: 5)
    try store.update()
    try fastMirror.catchUp(fast)
    var exported: [String] = []
    try exporter.forEachChange { change in
        exported.append("\(change.kind) \(directory.name(of: change.id) ?? "?")")
    }
    report.append("export: \(exported.joined(separator: ", "))")

    // A fork pins where it began, works on a copy of the names, and merges what both sides did since.
    let fork = try directory.pin(.fork)
    var copy: Set<String> = []
    try fork.forEachAlive { id in copy.insert(directory.name(of: id) ?? "?") }
    copy.insert("made in the fork")
    try store.remove("width")
    try store.update()
    try fork.forEachChange { change in
        guard let name = directory.name(of: change.id) else { return }
        if change.kind == .added { copy.insert(name) }
        if change.kind == .removed || change.kind == .removedWithParent { copy.remove(name) }
    }
    for name in copy where directory[name] == nil { try store.set(name, to: 1) }
    try store.update()

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
