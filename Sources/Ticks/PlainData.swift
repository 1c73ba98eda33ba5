import CTicks
import HeapCore

// Readers and batches as words, for faces that hand them out as plain data.

extension ReaderHandle {
    /// A handle from the words that `words` gave.
    public init(words: (UInt64, UInt64)) {
        offset = words.0
        serial = UInt32(truncatingIfNeeded: words.1)
    }

    /// The handle as plain data; the first word is never 0.
    public var words: (UInt64, UInt64) { (offset, UInt64(serial)) }
}

extension ReaderBatch {
    /// A batch from its counts, the tick of its token, and the words that `words` gave.
    public init(words: (UInt64, UInt64, UInt64), tick: Tick, count: Int, descendantCount: Int) {
        token = BatchToken(
            directoryIdentity: words.0, readerSerial: UInt32(truncatingIfNeeded: words.1),
            batchSerial: UInt32(truncatingIfNeeded: words.1 >> 32), tick: tick)
        self.count = count
        self.descendantCount = descendantCount
        events = words.2
    }

    /// The token and the place of the events as plain data.
    public var words: (UInt64, UInt64, UInt64) {
        (token.directoryIdentity, UInt64(token.batchSerial) << 32 | UInt64(token.readerSerial), events)
    }
}

extension RegionDirectory {
    /// Is this the reader's newest batch, and as large as the directory knows it to be?
    public func holds(_ handle: ReaderHandle, _ batch: ReaderBatch) -> Bool {
        guard isPinned(handle, batch.token) else { return false }
        let reader = reader(handle)
        return batch.events == reader.it.batch && batch.count >= 0 && batch.descendantCount >= 0
            && UInt64(batch.count) <= UInt64(reader.it.batch_count)
            && UInt64(batch.descendantCount) == UInt64(reader.it.batch_count) - UInt64(batch.count)
    }
}
