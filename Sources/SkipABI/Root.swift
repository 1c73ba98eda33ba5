import CSkip

// Safety: the root is the runtime's own object, and only handed on.

// The root of what persists, and the numbers of SKIP_genSym. Without a file the runtime's global lock does nothing, so the word
// of the root has a small lock of its own, which no call of the runtime's is made under but the raising of a count.

/// `SKIP_contexts_get_unsafe`; cistern_skip.h says what it does.
@c(SKIP_contexts_get_unsafe)
public func skipContextsGetUnsafe() -> UnsafeMutablePointer<CChar>? { unsafe cistern_skip_root_retained() }

/// `SKIP_contexts_get`; cistern_skip.h says what it does.
@c(SKIP_contexts_get)
public func skipContextsGet() -> UnsafeMutablePointer<CChar>? { unsafe cistern_skip_root_retained() }

/// `sk_contexts_set_unsafe`; cistern_skip.h says what it does.
@c(sk_contexts_set_unsafe)
public func skContextsSetUnsafe(_ root: UnsafeMutablePointer<CChar>?) { unsafe cistern_skip_root_store(root) }

/// `sk_contexts_set`; cistern_skip.h says what it does.
@c(sk_contexts_set)
public func skContextsSet(_ root: UnsafeMutablePointer<CChar>?) { unsafe cistern_skip_root_store(root) }

/// `sk_commit`; cistern_skip.h says what it does. Without a file there is nothing to bring to a disk.
@c(sk_commit)
public func skCommit(_ root: UnsafeMutablePointer<CChar>?, _ sync: UInt32) { unsafe cistern_skip_root_store(root) }

/// `SKIP_context_ref_count`; cistern_skip.h says what it does.
@c(SKIP_context_ref_count)
public func skipContextRefCount() -> UInt64 {
    guard let root = unsafe cistern_skip_root() else { return 0 }
    return unsafe UInt64(sk_get_ref_count(root))
}

/// `SKIP_has_context`; cistern_skip.h says what it does.
@c(SKIP_has_context)
public func skipHasContext(_ fork: UnsafeMutablePointer<CChar>?) -> UInt32 {
    guard let root = unsafe cistern_skip_root() else { return 0 }
    return unsafe SKIP_has_fork_context(root, fork)
}

/// `SKIP_genSym`; cistern_skip.h says what it does and how it fails.
@c(SKIP_genSym)
public func skipGenSym(_ largerThan: UInt64) -> UInt64 {
    guard largerThan <= 1 << 30 else {
        var line = MessageLine()
        line.put("ID too large: ")
        line.put(largerThan)
        line.end(code: 2)
    }
    return cistern_skip_next_number(largerThan)
}
