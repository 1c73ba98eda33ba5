// Structs that begin with their own size, so that they can grow; cistern.h says the rule.
//
// Safety: the caller's struct has as many bytes as its first word says, once that is found to be within bounds.

/// Does the struct state a size that can be? Any word, and at most a page.
func isSized<Struct>(_ given: UnsafePointer<Struct>?) -> Bool {
    guard let given = unsafe given else { return false }
    let byteCount = unsafe UnsafeRawPointer(given).loadUnaligned(as: Int.self)
    return byteCount >= MemoryLayout<Int>.size && byteCount <= 4096
}

/// The same of a struct that will be written.
func isSized<Struct>(_ given: UnsafeMutablePointer<Struct>?) -> Bool { unsafe isSized(UnsafePointer(given)) }

/// Copies what an older or a newer caller gave into a struct that is all zero. False: the size cannot be, or a field that is not
/// known here is not zero; a wish that is not understood must not be dropped in silence.
func take<Struct>(_ given: UnsafePointer<Struct>?, into fields: inout Struct) -> Bool {
    guard let given = unsafe given, unsafe isSized(given) else { return false }
    let bytes = unsafe UnsafeRawBufferPointer(start: given, count: UnsafeRawPointer(given).loadUnaligned(as: Int.self))
    let known = MemoryLayout<Struct>.size
    var index = known
    while index < bytes.count {
        guard unsafe bytes[index] == 0 else { return false }
        index += 1
    }
    unsafe withUnsafeMutableBytes(of: &fields) { copy in
        unsafe copy.copyMemory(from: UnsafeRawBufferPointer(start: given, count: min(bytes.count, known)))
    }
    return true
}

/// Copies a struct to an older or a newer caller's, whose size is known to be sound. What the caller has beyond it becomes zero.
func give<Struct>(_ fields: inout Struct, to given: UnsafeMutablePointer<Struct>?) {
    guard let given = unsafe given else { return }
    let byteCount = unsafe UnsafeRawPointer(given).loadUnaligned(as: Int.self)
    let known = MemoryLayout<Struct>.size
    let word = MemoryLayout<Int>.size
    let target = unsafe UnsafeMutableRawBufferPointer(start: given, count: byteCount)
    unsafe withUnsafeBytes(of: &fields) { bytes in
        var index = word
        while index < byteCount {
            unsafe target[index] = index < known ? bytes[index] : 0
            index += 1
        }
    }
}
