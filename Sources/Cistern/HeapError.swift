import HeapCore
import Limits
import VirtualMemory

/// Why there is no heap. Running out of memory later is no error: `allocate` answers with `nil`.
public enum HeapError: Error, Equatable {
    /// The text of the capacity is none.
    case capacityText(CapacityError)
    /// A heap of the chosen capacity could not be made; for a refusal by the system, the error inside names the limit in the way.
    case creation(HeapCreationError, CapacityChoice)
}

extension HeapError: CustomStringConvertible {
    /// One line without its end: where the capacity came from, what it was, and what is expected or which limit is in the way.
    public var description: String {
        switch self {
        case .capacityText(let error): error.description
        case .creation(let error, let choice): Self.line(error, choice)
        }
    }

    private static func line(_ error: HeapCreationError, _ choice: CapacityChoice) -> String {
        let origin =
            switch choice.source {
            case .default: "default capacity"
            case .argument: "--capacity"
            case .environment: "SKIP_CAPACITY"
            case .api: "capacity"
            }
        let expected = "expected \(BoundedHeap.leastCapacityBytes) to \(BoundedHeap.mostCapacityBytes) bytes"
        switch error {
        case .capacityTooSmall(let givenBytes, _): return "\(origin): \(givenBytes) bytes is too small for a heap; \(expected)"
        case .capacityTooLarge(let givenBytes, _): return "\(origin): \(givenBytes) bytes is too large for a heap; \(expected)"
        case .reservation(let refusal), .commitment(let refusal): return "\(origin) of \(choice.bytes) bytes: \(refusal)"
        case .tooManyHeaps: return "\(origin) of \(choice.bytes) bytes: 4096 heaps are alive, and there can be no more; destroy one first"
        }
    }
}
