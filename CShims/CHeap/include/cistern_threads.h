// What a heap needs of the process: a thread-local block of four slots, a number for each thread, a notice when a thread
// ends or the process forks, and a registry of the heaps that live. One registry per image; no heap owns it.
#ifndef CISTERN_THREADS_H
#define CISTERN_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "cistern_heap_layout.h"

// One heap's cache for this thread. `incarnation` is compared before `cache` is used, so a slot of a heap that is gone
// is inert: incarnations are never reused.
typedef struct cistern_slot {
  uint64_t incarnation;  // UINT64_MAX: empty
  uintptr_t cache;       // address of a cistern_cache
} cistern_slot;

enum { CISTERN_SLOT_COUNT = 4 };

typedef struct cistern_thread_block {
  cistern_slot slots[CISTERN_SLOT_COUNT];
  uint64_t thread_number;  // 0: none yet
  uint64_t is_exiting;     // the exit notice has been served: no cache from now on
} cistern_thread_block;

extern _Thread_local __attribute__((tls_model("initial-exec"))) cistern_thread_block cistern_this_thread;

// Where a slot (0 to CISTERN_SLOT_COUNT - 1) stands in the memory of any thread, as a heap keeps it: on x86-64 the distance from the
// thread's own base, which is the same in all threads because the block is in static TLS, and is read with one instruction; elsewhere
// the distance in the block. No branch, no initialisation.
#if defined(__x86_64__) && defined(__clang__)
// Address space 257 is relative to the register FS.
static inline uint64_t cistern_slot_place(uint64_t slot) {
  uintptr_t base = *(const uintptr_t __attribute__((address_space(257))) *)0;
  return (uintptr_t)&cistern_this_thread.slots[slot] - base;
}
static inline cistern_slot *_Nonnull cistern_thread_slot(uint64_t place) {
  return (cistern_slot *)(*(const uintptr_t __attribute__((address_space(257))) *)0 + place);
}
static inline uint64_t cistern_slot_incarnation(uint64_t place) {
  return *(const uint64_t __attribute__((address_space(257))) *)place;
}
static inline uintptr_t cistern_slot_cache(uint64_t place) {
  return *(const uintptr_t __attribute__((address_space(257))) *)(place + offsetof(cistern_slot, cache));
}
#else
static inline uint64_t cistern_slot_place(uint64_t slot) { return slot * sizeof(cistern_slot); }
static inline cistern_slot *_Nonnull cistern_thread_slot(uint64_t place) {
  return (cistern_slot *)((char *)&cistern_this_thread + place);
}
static inline uint64_t cistern_slot_incarnation(uint64_t place) { return cistern_thread_slot(place)->incarnation; }
static inline uintptr_t cistern_slot_cache(uint64_t place) { return cistern_thread_slot(place)->cache; }
#endif

// The number of this thread, 1 or more, unique in the process (a fork child's thread keeps its own).
uint64_t cistern_thread_number(void);
// After a call that ends a slow path: it stays a call. As a jump it would leave the function without any, and where builds keep
// frame pointers the compiler then makes the frame at the entry, for the fast path as well.
static inline void cistern_end_of_slow_path(void) { __asm__ volatile(""); }

// Asks that `thread_ended` is called for every live heap when this thread ends. False: it could not be arranged.
bool cistern_thread_watch_exit(void);

// What the registry calls back. All are called with the registry locked.
typedef struct cistern_heap_hooks {
  void (*_Nonnull thread_ended)(cistern_heap *_Nonnull heap, uint64_t thread_number);
  void (*_Nonnull before_fork)(cistern_heap *_Nonnull heap);
  void (*_Nonnull after_fork_parent)(cistern_heap *_Nonnull heap);
  void (*_Nonnull after_fork_child)(cistern_heap *_Nonnull heap, uint64_t surviving_thread);
} cistern_heap_hooks;

enum { CISTERN_REGISTRY_CAPACITY = 4096 };

// A number no heap of this process had before.
uint64_t cistern_next_incarnation(void);
// Enters a heap. False: CISTERN_REGISTRY_CAPACITY heaps are alive. Sets heap->registry_index and copies `hooks`.
bool cistern_registry_add(cistern_heap *_Nonnull heap, const cistern_heap_hooks *_Nonnull hooks, bool inherited);
void cistern_registry_remove(cistern_heap *_Nonnull heap);
// Is this the address of an entered heap? Nothing at it is read.
bool cistern_registry_contains(const cistern_heap *_Nullable heap);

enum { CISTERN_RETIRED_CAPACITY = 64 };
// Keeps the address of a destroyed heap whose header page stays readable, so that a later use of it is found. Returns the address
// that falls out for it, whose page is to be released now; NULL when none does.
cistern_heap *_Nullable cistern_registry_retire(cistern_heap *_Nonnull heap);
// Between the two no thread of this process gets as far as its end, and no fork begins. Not with a heap's lock held.
void cistern_registry_hold(void);
void cistern_registry_let_go(void);

#endif
