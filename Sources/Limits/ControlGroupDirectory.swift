#if !hasFeature(Embedded)
    public import CVirtualMemory

    // Safety: unsafe in this file is only the pointer to the table of system calls, handed on for the length of a call; its caller
    // guarantees that it outlives that.

    /// The directory of a control group that this process is in, or of one above it.
    public struct ControlGroupDirectory: Equatable, Sendable {
        /// The hierarchy's version.
        public enum Version: Sendable {
            /// One hierarchy for each controller.
            case v1
            /// One for all.
            case v2
        }

        /// The hierarchy's version.
        public var version: Version
        /// The directory's path, below the root that it was looked up in. Bytes that are no UTF-8 are replaced.
        public var path: String
        /// How far above the process's own group: 0 is its own.
        public var level: UInt32

        /// The groups that hold this process's memory: of each hierarchy the own group first, then those above it.
        /// - `root`: the directory that /proc and mount points are looked up in; empty for the real ones.
        /// - `calls`: must outlive the call.
        /// - Complexity: reads two files; any thread may call it.
        public static func ofMemory(root: Span<UInt8>, calls: UnsafePointer<cistern_os_calls>) -> [ControlGroupDirectory] {
            unsafe directories("memory", root, calls)
        }

        /// The groups that bound this process's processor time; otherwise the same as `ofMemory`.
        public static func ofProcessors(root: Span<UInt8>, calls: UnsafePointer<cistern_os_calls>) -> [ControlGroupDirectory] {
            unsafe directories("cpu", root, calls)
        }

        private static func directories(
            _ controller: StaticString, _ root: Span<UInt8>, _ calls: UnsafePointer<cistern_os_calls>
        ) -> [ControlGroupDirectory] {
            var found: [ControlGroupDirectory] = []
            // What cannot be read is in what MemoryLimits.read returns.
            var ignored = MemoryLimits()
            unsafe ControlGroups.forEachGroup(controller, root, calls, &ignored) { version, path, level, _ in
                let text = String(decoding: (0..<path.count).map { path[$0] }, as: UTF8.self)
                found.append(ControlGroupDirectory(version: version == .v1 ? .v1 : .v2, path: text, level: level))
            }
            return found
        }
    }
#endif
