#if !hasFeature(Embedded)
    import CVirtualMemory

    /// What writes one line into a buffer that always suffices.
    private func text(_ write: (inout MutableSpan<UInt8>) -> Int) -> String {
        var bytes = InlineArray<512, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        let count = write(&span)
        return (0..<min(count, 512)).reduce(into: "") { $0.unicodeScalars.append(Unicode.Scalar(bytes[$1])) }
    }

    extension CapacityError: CustomStringConvertible {
        /// One line: where the text came from, the text, what is wrong with it, and what is expected.
        public var description: String { text { write(into: &$0) } }
    }

    extension MemoryLimit: CustomStringConvertible {
        /// The limit and its value, as a person would look for it.
        public var description: String { text { write(into: &$0) } }
    }

    extension CapacityChoice: CustomStringConvertible {
        /// One line: the capacity, where it came from, why it is this number, and what it exceeds.
        public var description: String { text { write(into: &$0) } }
    }

    extension Capacity {
        /// The same as `parse` of bytes.
        public static func parse(_ text: String, source: Source = .api) throws(CapacityError) -> UInt64 {
            try parse(text.utf8.span, source: source)
        }

        /// The same as `parseExtended` of bytes.
        public static func parseExtended(_ text: String) throws(CapacityError) -> CapacityRequest {
            try parseExtended(text.utf8.span)
        }

        /// Decides between a command line and the environment.
        /// - `arguments`: the words of the command line, with or without the program's name. The first `--capacity` counts; as the
        ///   last word it counts as absent.
        /// - `environment`: the value of `SKIP_CAPACITY`; nil or empty: not set.
        public static func resolve(arguments: [String], environment: String?) throws(CapacityError) -> ResolvedCapacity {
            let set = environment ?? ""
            guard let option = arguments.firstIndex(of: "--capacity"), option + 1 < arguments.count else {
                return try resolve(argument: nil, environment: set.utf8.span)
            }
            let word = arguments[option + 1]
            return try resolve(argument: word.utf8.span, environment: set.utf8.span)
        }

        /// The capacity that `SKIP_CAPACITY` and the limits of this process give: the variable's if it is set, else what fits.
        /// Reads the environment, so no other thread may be changing it meanwhile, and the limits.
        /// - `limits`: read now unless given.
        public static func fromEnvironment(limits: MemoryLimits = .current()) throws(CapacityError) -> CapacityChoice {
            // Safety: the text is copied before anything else runs.
            let value = unsafe cistern_os_environment_value("SKIP_CAPACITY").map { unsafe environmentBytes($0) } ?? []
            return choose(try resolve(argument: nil, environment: value.span), tightest: limits.tightest)
        }

        private static func environmentBytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
            // Safety: the C text ends at its first zero byte, and no further byte is looked at.
            var bytes: [UInt8] = []
            while unsafe text[bytes.count] != 0 { unsafe bytes.append(UInt8(bitPattern: text[bytes.count])) }
            return bytes
        }
    }

    extension MemoryLimits {
        /// The same as `read` of bytes, with the real system calls.
        public static func read(root: String) -> MemoryLimits {
            unsafe read(root: root.utf8.span, calls: cistern_os_system())
        }
    }

    extension MemoryLimits: RandomAccessCollection {
        /// The number of the first limit, 0.
        public var startIndex: Int { 0 }
        /// The number after the last limit.
        public var endIndex: Int { count }
    }
#endif
