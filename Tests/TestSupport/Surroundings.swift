import CTestSupport
import Glibc

// Safety: files that popen or fopen gave are read until they end, and closed once.

/// Which sanitizer the tests are built with. They keep shadow memory that no limit allows, and do not know forks.
package enum Sanitizer {
    package static var isThread: Bool { cistern_test_sanitizer() == UInt32(CISTERN_TEST_THREAD_SANITIZER) }
    package static var isAddress: Bool { cistern_test_sanitizer() == UInt32(CISTERN_TEST_ADDRESS_SANITIZER) }
    package static var isAbsent: Bool { cistern_test_sanitizer() == UInt32(CISTERN_TEST_NO_SANITIZER) }
    package static var isPresent: Bool { !isAbsent }
}

/// The count, or a tenth of it with CISTERN_TEST_SCALE=small.
package func scaled(_ count: Int) -> Int { Int(cistern_test_scaled(UInt64(count))) }

/// Were shorter tests asked for?
package var isSmall: Bool { scaled(100) != 100 }

/// Is this the optimised build?
package var isOptimised: Bool {
    #if DEBUG
        false
    #else
        true
    #endif
}

/// The folder of the package.
package var packageFolder: String {
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
}

/// A whole file, byte for byte; nil when it cannot be opened.
package func bytes(ofFile path: String) -> [UInt8]? {
    guard let file = unsafe fopen(path, "r") else { return nil }
    defer { _ = unsafe fclose(file) }  // was only read
    return unsafe bytes(of: file)
}

/// A whole file as text; nil when it cannot be opened.
package func text(ofFile path: String) -> String? { bytes(ofFile: path).map { String(decoding: $0, as: UTF8.self) } }

private func bytes(of file: UnsafeMutablePointer<FILE>) -> [UInt8] {
    var bytes: [UInt8] = []
    while case let byte = unsafe getc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    return bytes
}

/// Runs a shell command; what it wrote to either output, and its wait status. -1: no shell.
package func shell(_ command: String) -> (status: Int32, output: String) {
    guard let pipe = unsafe popen("{ \(command)\n} 2>&1", "r") else { return (-1, "popen: errno \(errno)") }
    let output = unsafe String(decoding: bytes(of: pipe), as: UTF8.self)
    return (unsafe pclose(pipe), output)
}

/// What a test could not do.
package struct TestFailure: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
