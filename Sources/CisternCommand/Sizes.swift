import Envelope
import Glibc
import Limits

/// Sizes on the command line and in the environment.
///
/// Safety: the environment's text is copied at once, and nothing changes the environment before that.
enum Sizes {
    /// The bytes of SKIP_CAPACITY; empty when it is not set.
    static func environmentCapacity() -> [UInt8] {
        guard let value = unsafe getenv("SKIP_CAPACITY") else { return [] }
        return unsafe [UInt8](UnsafeRawBufferPointer(start: value, count: strlen(value)))
    }

    /// Reads a size of the strict grammar.
    static func parse(_ option: String, _ value: String) throws(CommandFailure) -> UInt64 {
        do throws(CapacityError) {
            return try Capacity.parse(value, source: .argument)
        } catch {
            throw failure(error, option: option)
        }
    }

    /// The error's own line, with the option's name where the grammar's own name for the source stands.
    static func failure(_ error: CapacityError, option: String = "--capacity") -> CommandFailure {
        let line = error.description
        if error.source == .environment { return .badUse(line) }
        let start = line.utf8.firstIndex(of: UInt8(ascii: ":")) ?? line.startIndex
        return .badUse(option + line[start...])
    }
}
