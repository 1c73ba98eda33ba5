import CTestSupport

// Safety: a box with the closure stays alive for the whole call that is given its address; each C helper returns only when the
// child is done.

/// A closure that C can be given the address of.
final class Box<Argument, Value> {
    let run: (Argument) -> Value
    init(_ run: @escaping (Argument) -> Value) { self.run = run }

    static func at(_ context: UnsafeMutableRawPointer?) -> Box { unsafe Unmanaged<Box>.fromOpaque(context!).takeUnretainedValue() }
}

/// Runs a closure in a forked child, under limits where they are not 0. Returns its exit code, or 256 + the signal that ended it.
package func inChild(seconds: UInt32 = 60, addressSpaceBytes: UInt64 = 0, dataBytes: UInt64 = 0, _ run: () -> Int32) -> Int32 {
    withoutActuallyEscaping(run) { run in
        let box = Box<Void, Int32>(run)
        return withExtendedLifetime(box) {
            unsafe cistern_test_in_child(
                { context in unsafe Box<Void, Int32>.at(context).run(()) }, Unmanaged.passUnretained(box).toOpaque(), addressSpaceBytes,
                dataBytes, seconds)
        }
    }
}

/// The same without limits, and the child's stderr.
package func inChildCapturing(seconds: UInt32 = 60, _ run: () -> Int32) -> (status: Int32, text: String) {
    withoutActuallyEscaping(run) { run in
        let box = Box<Void, Int32>(run)
        var bytes = [CChar](repeating: 0, count: 16384)
        var count = 0
        let status = withExtendedLifetime(box) {
            unsafe bytes.withUnsafeMutableBufferPointer { buffer in
                unsafe cistern_test_in_child_capturing(
                    { context in unsafe Box<Void, Int32>.at(context).run(()) }, Unmanaged.passUnretained(box).toOpaque(), seconds,
                    buffer.baseAddress!, buffer.count, &count)
            }
        }
        return (status, String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
