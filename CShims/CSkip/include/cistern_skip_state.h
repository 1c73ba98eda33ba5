// State of the Skip face that Swift cannot express: the thread's current region, process-wide words, names of the runtime that
// the face calls, and the end of the process. Private to the archive.
#ifndef CISTERN_SKIP_STATE_H
#define CISTERN_SKIP_STATE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cistern_heap_layout.h"
#include "cistern_region_layout.h"
#include "cistern_skip.h"

// Where a region stood when another was opened in it. All zero when no region is open there.
struct sk_saved_obstack {
  uintptr_t head;
  uintptr_t page;
  uintptr_t end;
};

// What a page of a region begins with; the data follow. `chunk` is what the heap knows of it: `older` is the page before it in its
// list, `serial` its place in the snapshot taken last, which `snapshot` names: a hint that its reader checks. `saved` belongs to
// the region that was opened while this was the current page.
struct sk_obstack {
  cistern_region_chunk chunk;
  struct sk_saved_obstack saved;
  uintptr_t snapshot;
};

// What a page of small scratch blocks of one size begins with. A set bit is a free block.
typedef struct cistern_skip_scratch_page {
  cistern_region_chunk chunk;  // `older` and `newer` are its neighbours in the list of such pages with room
  uint64_t free_bits;
  uint64_t class_index;
} cistern_skip_scratch_page;

enum { CISTERN_SKIP_SCRATCH_CLASS_COUNT = 5 };

enum {
  CISTERN_SKIP_HEADER_BYTE_COUNT = sizeof(struct sk_obstack),
  CISTERN_SKIP_SAVED_OFFSET = offsetof(struct sk_obstack, saved),
  CISTERN_SKIP_CELL_BYTE_COUNT = sizeof(sk_cell_t),
};

static_assert(CISTERN_SKIP_HEADER_BYTE_COUNT % 16 == 0, "data begin 16-aligned");
static_assert(sizeof(cistern_skip_scratch_page) <= 128, "two blocks of the smallest class");
static_assert(CISTERN_SKIP_CELL_BYTE_COUNT == 24, "what the runtime counts a cell as when it gives cells back");

// A thread's regions. `head` to `end` is the room in the current page; both are 0 without one.
typedef struct cistern_skip_thread {
  uintptr_t head;
  uintptr_t end;
  uintptr_t page;
  struct sk_saved_obstack base;  // the record of a region that was opened without a page
  bool is_watched;               // the end of the thread will be noticed
  bool is_ending;                // it ends the process
} cistern_skip_thread;

extern _Thread_local __attribute__((tls_model("initial-exec"))) cistern_skip_thread cistern_skip_this_thread;
static inline cistern_skip_thread *_Nonnull cistern_skip_current_thread(void) { return &cistern_skip_this_thread; }
static inline struct sk_saved_obstack *_Nonnull cistern_skip_base_record(void) { return &cistern_skip_this_thread.base; }

// The process's heap; NULL before SKIP_memory_init.
extern cistern_heap *_Nullable cistern_skip_heap;
static inline cistern_heap *_Nullable cistern_skip_current_heap(void) { return cistern_skip_heap; }

// The value of SKIP_CAPACITY, or NULL.
const char *_Nullable cistern_skip_capacity_variable(void);

// Once, before anything is allocated: the heap, and what gives a thread's pages back when it ends. False: no notice can be had.
bool cistern_skip_begin(cistern_heap *_Nonnull heap, void (*_Nonnull thread_ended)(void));
// Asks for the notice for this thread.
void cistern_skip_watch_thread(void);

// One lock for the small state that threads share: the root and the lists of scratch pages. Never held while the process may end.
void cistern_skip_lock(void);
void cistern_skip_unlock(void);
// The pages of small scratch blocks that have room, by class. Under the lock.
extern uintptr_t cistern_skip_scratch_lists[CISTERN_SKIP_SCRATCH_CLASS_COUNT];
static inline uintptr_t *_Nonnull cistern_skip_scratch_list(uint64_t index) { return &cistern_skip_scratch_lists[index]; }

// The root, under the lock, and the numbers of SKIP_genSym.
char *_Nullable cistern_skip_root(void);
char *_Nullable cistern_skip_root_retained(void);
void cistern_skip_root_store(char *_Nullable root);
uint64_t cistern_skip_next_number(uint64_t larger_than);

// The end of the process, in two steps: one line on standard error, then exit(). What cannot be written is lost, because there is
// nobody left to tell. Only the first thread comes back from the first step; another one waits there for the end. The first
// itself ends at once when it comes again, out of a handler that exit() runs. So there is one line, and one code.
void cistern_skip_write_last_line(int code, const uint8_t *_Nonnull line, size_t byte_count);
_Noreturn void cistern_skip_end(int code);

void cistern_skip_print_number(uint64_t number);

// Tells the runtime's other objects which type descriptor an external pointer has. Needs the heap.
void cistern_skip_note_types(void);

// Of the runtime's other objects and of compiled code.
extern void *_Nullable epointer_ty;
void *_Nullable get_gc_type(char *_Nullable object);
char *_Nullable sk_get_external_pointer(void);
uintptr_t sk_get_ref_count(void *_Nonnull object);
void sk_incr_ref_count(void *_Nonnull object);
uint32_t SKIP_has_fork_context(char *_Nonnull root, char *_Nullable fork);
void *_Nullable SKIP_copy_with_pages(void *_Nullable object, size_t count, sk_cell_t *_Nullable cells);

// Sizes in a type descriptor: what stands before a class instance or an array, and the instance or element itself.
static inline size_t cistern_skip_header_byte_count(const void *_Nonnull type) {
  return ((const uint8_t *)type)[1] == 1 ? 16 : 8;
}
static inline size_t cistern_skip_user_byte_count(const void *_Nonnull type) { return ((const uint64_t *)type)[1]; }

#endif
