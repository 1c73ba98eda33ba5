// Locks and the few atomic words of a heap. The uncontended path is inline; waiting is a futex.
#ifndef CISTERN_SYNC_H
#define CISTERN_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif
#endif

#include "cistern_heap_layout.h"

void cistern_lock_wait(cistern_lock *_Nonnull lock);
void cistern_lock_wake(cistern_lock *_Nonnull lock);

// While the process has one thread, plain stores are enough, as glibc's own malloc does it. No thread can start inside a
// critical section, so a lock is taken and given in the same state or passed on through pthread_create, which orders.
#ifdef _SYS_SINGLE_THREADED_H
static inline bool cistern_is_single_threaded(void) { return __libc_single_threaded != 0; }
#else
static inline bool cistern_is_single_threaded(void) { return false; }
#endif

// Not recursive. A lock that is `disabled` belongs to a heap for one thread.
static inline void cistern_lock_acquire(cistern_lock *_Nonnull lock) {
  if (lock->disabled) return;
  if (cistern_is_single_threaded()) {
    lock->word = 1;
    return;
  }
  uint32_t free_word = 0;
  if (!__atomic_compare_exchange_n(&lock->word, &free_word, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
    cistern_lock_wait(lock);
}

static inline void cistern_lock_release(cistern_lock *_Nonnull lock) {
  if (lock->disabled) return;
  if (cistern_is_single_threaded()) {
    lock->word = 0;
    return;
  }
  if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2) cistern_lock_wake(lock);
}

// By the record that owns the lock, for callers that hold no pointers to fields.
static inline void cistern_run_lock_acquire(cistern_heap *_Nonnull heap) { cistern_lock_acquire(&heap->run_lock); }
static inline void cistern_run_lock_release(cistern_heap *_Nonnull heap) { cistern_lock_release(&heap->run_lock); }
static inline void cistern_class_acquire(cistern_class *_Nonnull size_class) { cistern_lock_acquire(&size_class->lock); }
static inline void cistern_class_release(cistern_class *_Nonnull size_class) { cistern_lock_release(&size_class->lock); }
static inline void cistern_quarantine_acquire(cistern_quarantine *_Nonnull quarantine) { cistern_lock_acquire(&quarantine->lock); }
static inline void cistern_quarantine_release(cistern_quarantine *_Nonnull quarantine) { cistern_lock_release(&quarantine->lock); }

// Adds byte_count to what the heap's caches may hold, if the sum stays within most_bytes.
static inline bool cistern_cache_claim(cistern_heap *_Nonnull heap, uint64_t byte_count, uint64_t most_bytes) {
  uint64_t claimed = __atomic_load_n(&heap->cache_claim_bytes, __ATOMIC_RELAXED);
  while (claimed <= most_bytes && byte_count <= most_bytes - claimed)
    if (__atomic_compare_exchange_n(&heap->cache_claim_bytes, &claimed, claimed + byte_count, true, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
      return true;
  return false;
}
static inline void cistern_cache_disclaim(cistern_heap *_Nonnull heap, uint64_t byte_count) {
  __atomic_fetch_sub(&heap->cache_claim_bytes, byte_count, __ATOMIC_RELAXED);
}
// A directory was made in the heap, or is about to go.
static inline void cistern_directory_count_add(cistern_heap *_Nonnull heap, int32_t change) {
  __atomic_fetch_add(&heap->directory_count, (uint32_t)change, __ATOMIC_RELAXED);
}
static inline uint32_t cistern_directory_count_load(const cistern_heap *_Nonnull heap) {
  return __atomic_load_n(&heap->directory_count, __ATOMIC_RELAXED);
}
// Thread caches with an owner: counted under the run lock, read without.
static inline uint64_t cistern_cache_count(const cistern_heap *_Nonnull heap) {
  return __atomic_load_n(&heap->cache_count, __ATOMIC_RELAXED);
}
static inline void cistern_cache_count_store(cistern_heap *_Nonnull heap, uint64_t value) {
  __atomic_store_n(&heap->cache_count, value, __ATOMIC_RELAXED);
}
static inline bool cistern_class_is_contested(const cistern_class *_Nonnull size_class) {
  return __atomic_load_n(&size_class->is_contested, __ATOMIC_RELAXED) != 0;
}
static inline void cistern_class_note_contested(cistern_class *_Nonnull size_class, cistern_heap *_Nonnull heap) {
  if (__atomic_exchange_n(&size_class->is_contested, 1, __ATOMIC_RELAXED) == 0)
    __atomic_fetch_add(&heap->contested_count, 1, __ATOMIC_RELAXED);
}
static inline uint32_t cistern_contested_count(const cistern_heap *_Nonnull heap) {
  return __atomic_load_n(&heap->contested_count, __ATOMIC_RELAXED);
}
static inline void cistern_soft_limit_store(cistern_heap *_Nonnull heap, uint32_t value) {
  __atomic_store_n(&heap->soft_limit_reached, value, __ATOMIC_RELAXED);
}
static inline uint32_t cistern_soft_limit_load(const cistern_heap *_Nonnull heap) {
  return __atomic_load_n(&heap->soft_limit_reached, __ATOMIC_RELAXED);
}

#endif
