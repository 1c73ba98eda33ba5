// The memory layer of a Skip native runtime (64 bits): what libcistern_skip.a defines in place of the runtime's own persistent
// heap, regions and scratch allocator. A runtime needs no part of this header, because it declares these names itself; it is
// the contract in one place, for readers and for runtimes that are new. docs/skip.md says what differs from Skip's own.
//
// Everything stands in one reservation of the capacity that --capacity, SKIP_CAPACITY or the limits of the process give.
// Any thread may call any function after SKIP_memory_init; regions belong to the thread that opened them. What cannot go on
// ends the process with a code and at most one line on standard error:
//
//   2    a capacity that is no number, or out of range; a number above 2^30 for SKIP_genSym
//   24   no room, in the persistent heap, a region or scratch
//   41   the system refuses the reservation
//   42   a capacity below the least or above the most; memory used before SKIP_memory_init
//   44   a mutex or condition failed
//   45   --init or --data: heaps in files are not there yet
//   103  --init or --data without a file name, or twice
#ifndef CISTERN_SKIP_H
#define CISTERN_SKIP_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__clang__) && !defined(_Nonnull)
#define _Nonnull
#define _Nullable
#endif

#ifdef __cplusplus
extern "C" {
#endif

// A page of a region. Its contents are the library's.
typedef struct sk_obstack sk_obstack_t;
// What SKIP_new_Obstack returns: an open region.
typedef struct sk_saved_obstack sk_saved_obstack_t;
// A page of a snapshot: where it begins and ends, and the page that was before it in the walk.
typedef struct sk_cell {
  sk_obstack_t *_Nullable key;
  uint64_t value;
  sk_obstack_t *_Nullable next;
} sk_cell_t;

// --- Start. Once, before everything else. Reads --capacity, --init and --data of the whole command line, and SKIP_CAPACITY.
void SKIP_memory_init(int argc, char *_Nullable *_Nonnull argv);
// The word that holds the program's constants; NULL at first.
extern void *_Nullable *_Nullable *_Nonnull pconsts;
// 1: no file stands behind the heap. Always, so far.
int sk_is_nofile_mode(void);

// --- Persistent blocks. 8-aligned, 16-aligned when the size is a multiple of 16; content undefined; size 0 is legal.
void *_Nonnull sk_palloc(size_t byte_count);
// `byte_count` is what sk_palloc was asked for.
void sk_pfree_size(void *_Nullable block, size_t byte_count);
// 0: the address is in a block of sk_palloc. 1: it is in a region, in scratch, or outside the heap.
int sk_is_static(void *_Nullable address);
// Prints the bytes that live persistent blocks take, and a line end, on standard output.
void SKIP_print_persistent_size(void);

// --- Lock. Without a file all four do nothing, and `sk_is_locked` stays 0.
extern int sk_is_locked;
void sk_global_lock(void);
void sk_global_unlock(void);
void sk_check_has_lock(void);

// --- Root and numbers.
// The root with its count raised, or NULL.
char *_Nullable SKIP_contexts_get(void);
char *_Nullable SKIP_contexts_get_unsafe(void);
void sk_contexts_set(char *_Nullable root);
void sk_contexts_set_unsafe(char *_Nullable root);
void sk_commit(char *_Nullable root, uint32_t sync);
uint64_t SKIP_context_ref_count(void);
uint32_t SKIP_has_context(char *_Nullable fork);
// A number that was not given before, from 1 on. The numbers after it are larger than `larger_than`.
uint64_t SKIP_genSym(uint64_t larger_than);

// --- Regions of this thread: strictly last opened, first closed. Allocations are 8-aligned, never NULL, and live until their
// region is closed. Without an open region they live until the thread ends.
char *_Nonnull SKIP_Obstack_alloc(size_t byte_count);
void *_Nonnull SKIP_Obstack_calloc(size_t byte_count);
// Copies a class instance, header and all. The first argument is not read.
char *_Nonnull SKIP_Obstack_shallowClone(size_t unused, char *_Nonnull object);
sk_saved_obstack_t *_Nonnull SKIP_new_Obstack(void);
// Closes the innermost region. NULL: gives back all of the thread's regions.
void SKIP_destroy_Obstack(sk_saved_obstack_t *_Nullable saved);
// The same, and copies what `value` reaches in the region to the one around it.
void *_Nullable SKIP_destroy_Obstack_with_value(sk_saved_obstack_t *_Nonnull saved, void *_Nullable value);
// Copies what `value` reaches in the pages from `from` to the current one, exclusive.
void *_Nullable SKIP_copy_value_to_Obstack(sk_obstack_t *_Nullable from, void *_Nullable value);
// Leaves the innermost region for the one around it; what is returned is for the way back.
sk_obstack_t *_Nullable SKIP_switch_to_parent(sk_saved_obstack_t *_Nonnull saved);
void SKIP_restore_from_parent(sk_saved_obstack_t *_Nonnull saved, sk_obstack_t *_Nullable leading);
// 1: the region is large enough to copy what is alive out of it.
uint32_t SKIP_should_GC(sk_saved_obstack_t *_Nonnull saved);

// --- Page search.
// Pages from `from` (NULL: the current one) until `to` or the end.
size_t sk_get_nbr_pages(sk_obstack_t *_Nullable from, sk_obstack_t *_Nullable to);
// The first `count` of them, sorted by address; give the array back with sk_free_size(cells, count * sizeof(sk_cell_t)).
sk_cell_t *_Nonnull sk_get_pages(sk_obstack_t *_Nullable from, size_t count);
// The cell that holds an address, or (size_t)-1. Constant for pages of the thread's last snapshots.
size_t sk_get_obstack_idx(char *_Nullable address, sk_cell_t *_Nullable cells, size_t count);
// 1: the page holds one object, which stays where it is when its region is copied out.
int sk_is_large_page(sk_obstack_t *_Nonnull page);
// Takes a page out of the region that is being closed, where `next` is in front of it, into the current one.
void sk_obstack_attach_page(sk_obstack_t *_Nonnull page, sk_obstack_t *_Nullable next);

// --- Scratch. Any size; content undefined.
void *_Nonnull sk_malloc(size_t byte_count);
void sk_free_size(void *_Nullable block, size_t byte_count);

// --- Mutexes and conditions inside Skip objects. Robust, shared between processes; a mutex has 48 bytes.
void SKIP_mutex_init(pthread_mutex_t *_Nonnull mutex);
void SKIP_mutex_lock(pthread_mutex_t *_Nonnull mutex);
void SKIP_mutex_unlock(pthread_mutex_t *_Nonnull mutex);
void SKIP_cond_init(pthread_cond_t *_Nonnull condition);
void SKIP_cond_wait(pthread_cond_t *_Nonnull condition, pthread_mutex_t *_Nonnull mutex);
int32_t SKIP_cond_timedwait(pthread_cond_t *_Nonnull condition, pthread_mutex_t *_Nonnull mutex, uint32_t seconds);
int32_t SKIP_cond_broadcast(void *_Nonnull condition);
void *_Nullable SKIP_freeze_lock(void *_Nullable object);
void *_Nullable SKIP_unfreeze_lock(void *_Nullable object);
void *_Nullable SKIP_freeze_cond(void *_Nullable object);
void *_Nullable SKIP_unfreeze_cond(void *_Nullable object);

// --- Names that older compilers may still refer to. They do nothing.
void SKIP_Obstack_auto_collect(void);
void *_Nullable SKIP_Obstack_collect1(void *_Nullable note, void *_Nullable object);
void SKIP_check_memory(void);
void sk_memory_check_init(void);
void sk_memory_check_init_over(void);

#ifdef __cplusplus
}
#endif
#endif
