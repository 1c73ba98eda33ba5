import HeapCore

// Safety: words live as long as the object that holds them; a log outlives the heap that writes into it, with the heap locked,
// and is read when no call is in progress.

/// Words that C functions can count in.
@safe package final class Words: @unchecked Sendable {
    private let words: UnsafeMutablePointer<UInt>
    package let count: Int

    package init(_ count: Int) {
        self.count = count
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    deinit { unsafe words.deallocate() }

    package var address: UInt { UInt(bitPattern: unsafe words) }

    /// Where a word stands.
    func place(_ index: Int) -> UnsafeMutablePointer<UInt> {
        precondition(index >= 0 && index < count)
        return unsafe words + index
    }

    package subscript(_ index: Int) -> UInt {
        get { unsafe place(index).pointee }
        set { unsafe place(index).pointee = newValue }
    }

    package static func load(_ address: UInt) -> UInt { unsafe UnsafePointer<UInt>(bitPattern: address)!.pointee }
    package static func store(_ address: UInt, _ value: UInt) { unsafe UnsafeMutablePointer<UInt>(bitPattern: address)!.pointee = value }
}

/// What a checked heap reported: how often, what, and where.
package final class MisuseLog: @unchecked Sendable {
    private let words = Words(3)

    package init() {}

    package func install(in options: inout HeapOptions) {
        options.isChecked = true
        options.reportContext = words.address
        options.report = { context, misuse, address in
            Words.store(context, Words.load(context) + 1)
            Words.store(context + 8, UInt(misuse))
            Words.store(context + 16, address)
        }
    }

    package var count: Int { Int(words[0]) }
    package var last: HeapMisuse? { HeapMisuse(rawValue: UInt32(words[1])) }
    package var address: UInt { words[2] }
}
