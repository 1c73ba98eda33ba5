import CVirtualMemory

// Safety: unsafe in this file is only the pointer to the table of system calls, handed on to FileText.read. The caller of
// MemoryLimits.read guarantees that it outlives the call.

/// The limits of control groups, versions 1 and 2, from the process's own group up to what is mounted.
enum ControlGroups {
    /// Which hierarchy. The raw type keeps hash functions, which an enum without one derives, out of the Embedded library.
    enum Version: UInt32 { case v1 = 1, v2 }

    static func add(_ root: Span<UInt8>, _ calls: UnsafePointer<cistern_os_calls>, _ limits: inout MemoryLimits) {
        unsafe forEachGroup("memory", root, calls, &limits) { version, path, level, limits in
            unsafe addLevel(version, &path, level, calls, &limits)
        }
    }

    /// What is done with each group: its directory, which has to be the same afterwards, and how far above the own group it is.
    typealias Visit = (Version, inout PathText, UInt32, inout MemoryLimits) -> Void

    /// Visits the groups that a controller has this process in, each hierarchy from the own group up to what is mounted. What
    /// cannot be read is added to the limits.
    static func forEachGroup(
        _ controller: StaticString, _ root: Span<UInt8>, _ calls: UnsafePointer<cistern_os_calls>, _ limits: inout MemoryLimits,
        _ visit: Visit
    ) {
        var groups = FileText()
        let code = unsafe groups.read(LimitReader.path(root, "/proc/self/cgroup"), calls)
        if code != 0 {
            limits.addUnreadable(UnreadableLimit(subject: .groups, code: code))
            return
        }
        if groups.isCut { limits.addUnreadable(UnreadableLimit(subject: .groups, code: SystemCode.fileTooBig)) }
        var mounts = FileText()
        let mountCode = unsafe mounts.read(LimitReader.path(root, "/proc/self/mountinfo"), calls)
        if mountCode != 0 { limits.addUnreadable(UnreadableLimit(subject: .mounts, code: mountCode)) }
        let text = groups.bytes.span
        let mountText = mounts.bytes.span
        var rest = 0..<groups.count
        while !rest.isEmpty {
            let line = ByteText.upTo(0x0A, text, rest)
            rest = ByteText.after(line, rest)
            guard let found = group(controller, text, line) else { continue }
            let mount = MountPoints.find(mountText, mounts.count, found.version, controller, text, found.path)
            walk(found.version, controller, group: found.path, of: text, mount, mountText, root, &limits, visit)
        }
    }

    /// The version and the path of a line "number:controllers:path", if it is about the controller.
    static func group(_ controller: StaticString, _ text: Span<UInt8>, _ line: Range<Int>) -> (version: Version, path: Range<Int>)? {
        let number = ByteText.upTo(0x3A, text, line)
        let afterNumber = ByteText.after(number, line)
        let controllers = ByteText.upTo(0x3A, text, afterNumber)
        let path = ByteText.after(controllers, afterNumber)
        guard !path.isEmpty, text[path.lowerBound] == 0x2F else { return nil }
        if controllers.isEmpty, ByteText.equals(text, number, "0") { return (.v2, path) }
        return ByteText.listContains(text, controllers, controller) ? (.v1, path) : nil
    }

    /// Visits the groups of one hierarchy, at its mount or at the usual places.
    private static func walk(
        _ version: Version, _ controller: StaticString, group: Range<Int>, of text: Span<UInt8>, _ mount: MountPoints.Mount?,
        _ mountText: Span<UInt8>, _ root: Span<UInt8>, _ limits: inout MemoryLimits, _ visit: Visit
    ) {
        var path = PathText()
        path.append(root, 0..<root.count)
        if let mount {
            MountPoints.append(mountText, mount.point, to: &path)
            walk(version, path, text, mount.rest, &limits, visit)
        } else if version == .v1 {
            path.append("/sys/fs/cgroup/")
            path.append(controller)
            walk(version, path, text, group, &limits, visit)
        } else {
            // Alone, version 2 is mounted in the first place; beside version 1, in the second.
            let length = path.count
            path.append("/sys/fs/cgroup")
            walk(version, path, text, group, &limits, visit)
            path.cut(to: length)
            path.append("/sys/fs/cgroup/unified")
            walk(version, path, text, group, &limits, visit)
        }
    }

    /// Visits a group and all groups above it, up to the mounted one. Compiled once, not where it is called.
    @inline(never)
    private static func walk(
        _ version: Version, _ mountPath: PathText, _ text: Span<UInt8>, _ group: Range<Int>, _ limits: inout MemoryLimits,
        _ visit: Visit
    ) {
        var path = mountPath
        let mountLength = path.count
        path.append(text, group)
        var code = path.code
        if code == 0, climbs(text, group) { code = SystemCode.invalid }
        if code != 0 {
            limits.addUnreadable(UnreadableLimit(subject: version == .v1 ? .groupPathV1 : .groupPathV2, code: code))
            path = mountPath
        }
        // What is left of a mount point that cannot be a path is another directory.
        if mountPath.code != 0 { return }
        var level: UInt32 = 0
        while true {
            while path.count > mountLength, path[path.count - 1] == 0x2F { path.cut(to: path.count - 1) }
            visit(version, &path, level, &limits)
            if path.count <= mountLength { return }
            while path.count > mountLength, path[path.count - 1] != 0x2F { path.cut(to: path.count - 1) }
            level += 1
        }
    }

    /// True: a component of the path is "..", so it leads out of what is mounted.
    private static func climbs(_ text: Span<UInt8>, _ path: Range<Int>) -> Bool {
        var rest = path
        while !rest.isEmpty {
            let part = ByteText.upTo(0x2F, text, rest)
            if ByteText.equals(text, part, "..") { return true }
            rest = ByteText.after(part, rest)
        }
        return false
    }

    private static func addLevel(
        _ version: Version, _ path: inout PathText, _ level: UInt32, _ calls: UnsafePointer<cistern_os_calls>,
        _ limits: inout MemoryLimits
    ) {
        switch version {
        case .v1:
            unsafe addFile("/memory.limit_in_bytes", .groupV1, .groupV1, &path, level, calls, &limits)
        case .v2:
            unsafe addFile("/memory.max", .groupV2Max, .groupV2Max, &path, level, calls, &limits)
            unsafe addFile("/memory.high", .groupV2High, .groupV2High, &path, level, calls, &limits)
        }
    }

    /// Adds the limit that one file says. A file that is not there is no limit: the topmost group has none, nor has a group
    /// without the memory controller.
    @inline(never)
    private static func addFile(
        _ name: StaticString, _ kind: MemoryLimit.Kind, _ subject: UnreadableLimit.Subject, _ path: inout PathText,
        _ level: UInt32, _ calls: UnsafePointer<cistern_os_calls>, _ limits: inout MemoryLimits
    ) {
        let length = path.count
        path.append(name)
        var text = FileText()
        var code = unsafe text.read(path, calls)
        // A name that did not fit spoils the path; what is above it is short enough again.
        path.cut(to: length)
        path.forgetCode()
        if code == SystemCode.noEntry || code == SystemCode.notADirectory { return }
        if code == 0 {
            let span = text.bytes.span
            let line = ByteText.upTo(0x0A, span, 0..<text.count)
            switch ByteText.number(span, line) {
            case .value(let bytes):
                // Without a limit, version 1 says the largest number of whole pages.
                if bytes < 1 << 62 { limits.add(MemoryLimit(kind: kind, valueBytes: bytes, level: level)) }
            case .tooLarge: break
            case .malformed: if !ByteText.equals(span, line, "max") { code = SystemCode.invalid }
            }
        }
        if code != 0 { limits.addUnreadable(UnreadableLimit(subject: subject, level: level, code: code)) }
    }
}
