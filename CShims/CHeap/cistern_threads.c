#include "cistern_threads.h"

#include <pthread.h>
#include <stddef.h>

#include "cistern_region_stack.h"
#include "cistern_sync.h"

_Thread_local __attribute__((tls_model("initial-exec"))) cistern_thread_block cistern_this_thread = {
    .slots = {{UINT64_MAX, 0}, {UINT64_MAX, 0}, {UINT64_MAX, 0}, {UINT64_MAX, 0}},
};

_Thread_local __attribute__((tls_model("initial-exec"))) cistern_region_stack cistern_this_region_stack;

typedef struct registry_entry {
  cistern_heap *heap;
  cistern_heap_hooks hooks;
  bool inherited;
} registry_entry;

// The one piece of process-wide state below the language faces: which heaps live.
static registry_entry registry[CISTERN_REGISTRY_CAPACITY];
static uint32_t registry_end;  // entries from here on were never used
static cistern_lock registry_lock;
static cistern_heap *retired[CISTERN_RETIRED_CAPACITY];  // a ring
static uint32_t next_retired;
static uint64_t next_thread_number = 1;
static uint64_t next_incarnation = 1;
static pthread_key_t exit_key;
static bool has_exit_key;

uint64_t cistern_thread_number(void) {
  if (cistern_this_thread.thread_number == 0)
    cistern_this_thread.thread_number = __atomic_fetch_add(&next_thread_number, 1, __ATOMIC_RELAXED);
  return cistern_this_thread.thread_number;
}

uint64_t cistern_next_incarnation(void) { return __atomic_fetch_add(&next_incarnation, 1, __ATOMIC_RELAXED); }

static void thread_exit(void *unused) {
  (void)unused;
  cistern_this_thread.is_exiting = 1;
  for (int slot = 0; slot < CISTERN_SLOT_COUNT; slot++) cistern_this_thread.slots[slot].incarnation = UINT64_MAX;
  cistern_lock_acquire(&registry_lock);
  for (uint32_t index = 0; index < registry_end; index++)
    if (registry[index].heap != NULL) registry[index].hooks.thread_ended(registry[index].heap, cistern_thread_number());
  cistern_lock_release(&registry_lock);
}

static void before_fork(void) {
  cistern_lock_acquire(&registry_lock);
  for (uint32_t index = 0; index < registry_end; index++)
    if (registry[index].heap != NULL) registry[index].hooks.before_fork(registry[index].heap);
}

static void after_fork_parent(void) {
  for (uint32_t index = 0; index < registry_end; index++)
    if (registry[index].heap != NULL) registry[index].hooks.after_fork_parent(registry[index].heap);
  cistern_lock_release(&registry_lock);
}

static void after_fork_child(void) {
  for (uint32_t index = 0; index < registry_end; index++) {
    registry_entry *entry = &registry[index];
    if (entry->heap == NULL) continue;
    if (entry->inherited)
      entry->hooks.after_fork_child(entry->heap, cistern_thread_number());
    else
      entry->heap = NULL;  // its pages are not here
  }
  registry_lock.word = 0;  // waiters, if any, are threads of the parent
}

// Registered when the image is loaded: later, another library's handler could already hold a lock that we need.
__attribute__((constructor)) static void prepare_process(void) {
  has_exit_key = pthread_key_create(&exit_key, thread_exit) == 0;
  // On failure (no memory at load) a fork beside other threads stays undefined, as for every library without handlers.
  int status = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
  (void)status;
}

bool cistern_thread_watch_exit(void) {
  return has_exit_key && !cistern_this_thread.is_exiting && pthread_setspecific(exit_key, &cistern_this_thread) == 0;
}

bool cistern_registry_add(cistern_heap *heap, const cistern_heap_hooks *hooks, bool inherited) {
  cistern_lock_acquire(&registry_lock);
  uint32_t index = 0;
  while (index < registry_end && registry[index].heap != NULL) index++;
  bool has_room = index < CISTERN_REGISTRY_CAPACITY;
  if (has_room) {
    heap->registry_index = index;
    registry[index] = (registry_entry){heap, *hooks, inherited};
    if (index == registry_end) registry_end = index + 1;
  }
  cistern_lock_release(&registry_lock);
  return has_room;
}

void cistern_registry_hold(void) { cistern_lock_acquire(&registry_lock); }

void cistern_registry_let_go(void) { cistern_lock_release(&registry_lock); }

void cistern_registry_remove(cistern_heap *heap) {
  cistern_lock_acquire(&registry_lock);
  if (registry[heap->registry_index].heap == heap) registry[heap->registry_index].heap = NULL;
  cistern_lock_release(&registry_lock);
}

bool cistern_registry_contains(const cistern_heap *heap) {
  if (heap == NULL) return false;
  cistern_lock_acquire(&registry_lock);
  uint32_t index = 0;
  while (index < registry_end && registry[index].heap != heap) index++;
  bool is_found = index < registry_end;
  cistern_lock_release(&registry_lock);
  return is_found;
}

cistern_heap *cistern_registry_retire(cistern_heap *heap) {
  cistern_lock_acquire(&registry_lock);
  cistern_heap *oldest = retired[next_retired];
  retired[next_retired] = heap;
  next_retired = (next_retired + 1) % CISTERN_RETIRED_CAPACITY;
  cistern_lock_release(&registry_lock);
  return oldest;
}
