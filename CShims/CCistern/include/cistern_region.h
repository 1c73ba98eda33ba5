// The part of cistern.h about regions, which includes this file: memory of a heap that dies all at once.
//
// Allocation takes the next bytes of the region's current chunk, a run of whole pages of the heap; chunks begin with one page
// and grow, and large objects (16 KiB and more) have runs of their own. Objects are not freed one by one: what a region
// holds goes when it is destroyed, popped, reset or released to a mark, and with it the regions inside it.
//
// A region is one thread's at a time, with its parent and its children. Calls take NULL for a region and say no
// (CISTERN_INVALID_HANDLE). A handle of a closed region is found closed (CISTERN_REGION_CLOSED, NULL) until the heap opens
// another region with it; of a checked heap, that is a thousand regions later, and such a use is reported before as
// CISTERN_CLOSED_REGION. No handle, open or closed, may be used when its heap is gone or was discarded since, nor in a fork's child
// that did not inherit the heap.
//
// A call that fails has changed nothing. Out of memory is CISTERN_EXHAUSTED, or NULL.
#ifndef CISTERN_REGION_H
#define CISTERN_REGION_H

#include "cistern.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#endif

typedef struct cistern_region cistern_region;

// Zero in every field but the first is the default.
typedef struct cistern_region_options {
  size_t struct_byte_count;  // sizeof(cistern_region_options)
  uint64_t limit_bytes;      // what may be allocated in it, alignment included, its children's not; 0: no limit
} cistern_region_options;

// ---- Opening and closing

// Opens a region that stands alone. Options may be NULL. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _EXHAUSTED.
cistern_status cistern_region_create(cistern_heap *_Nullable heap, const cistern_region_options *_Nullable options,
                                     cistern_region *_Nullable *_Nullable region);
// Opens a region inside another one, which closes it at the latest when it is closed itself.
// Errors: those above, CISTERN_REGION_CLOSED, CISTERN_REGION_BUSY.
cistern_status cistern_region_create_child(cistern_region *_Nullable parent, const cistern_region_options *_Nullable options,
                                           cistern_region *_Nullable *_Nullable region);
// Closes a region: first those inside it, then its cleanup actions run, youngest first, then its memory goes back.
// Errors: CISTERN_INVALID_HANDLE; CISTERN_REGION_CLOSED; CISTERN_REGION_BUSY, from a cleanup action of it or inside it.
cistern_status cistern_region_destroy(cistern_region *_Nullable region);

// Each thread has a stack of regions. Opens one on it: inside the top one, where that is of the same heap, else alone.
// Errors: as cistern_region_create, and CISTERN_REGION_BUSY. The heap may change eight times on the way down a stack, living heaps
// only; CISTERN_EXHAUSTED where it would more often.
cistern_status cistern_region_push(cistern_heap *_Nullable heap, const cistern_region_options *_Nullable options,
                                   cistern_region *_Nullable *_Nullable region);
// Closes a region of this thread's stack and takes it off, with those above it: regions that an error path left behind.
// Errors: as cistern_region_destroy; CISTERN_REGION_NOT_CURRENT where it is not in the stack, or below one of another living heap.
// Destroying a region of the stack, or resetting or releasing one below it, takes it off, too. Where another thread does that, all
// regions of that heap below it are off this thread's stack with it; they stay open, and can be destroyed.
// Regions that a thread leaves on its stack when it ends stay open until their heap goes.
cistern_status cistern_region_pop(cistern_region *_Nullable region);
// The top of this thread's stack; NULL when it is empty. Regions of heaps that are gone are not on it any more.
cistern_region *_Nullable cistern_region_current(void);

// ---- Allocating. cistern_region_inline.h has the first call as inline code.

// byte_count bytes at a multiple of 8; an object of 0 bytes may have the address of the next one. NULL when the limit or the
// capacity does not hold them; cistern_region_last_refusal says which. Constant time, but for a new chunk.
void *_Nullable cistern_region_allocate(cistern_region *_Nullable region, size_t byte_count);
// The same, the bytes all zero.
void *_Nullable cistern_region_allocate_zeroed(cistern_region *_Nullable region, size_t byte_count);
// alignment: a power of two up to the capacity; anything else gives NULL.
void *_Nullable cistern_region_allocate_aligned(cistern_region *_Nullable region, size_t byte_count, size_t alignment);
// Why the last allocation that was refused was: CISTERN_EXHAUSTED, _LIMIT_REACHED, _REGION_CLOSED, _REGION_BUSY or
// _INVALID_ARGUMENT; CISTERN_OK when none was.
cistern_status cistern_region_last_refusal(const cistern_region *_Nullable region);
// Errors: CISTERN_INVALID_HANDLE, CISTERN_REGION_CLOSED, CISTERN_REGION_BUSY. What is there already stays.
cistern_status cistern_region_set_limit(cistern_region *_Nullable region, uint64_t byte_count);

// ---- Giving back

// A place in a region; plain data.
typedef struct cistern_region_place {
  uint64_t words[3];
} cistern_region_place;

// Remembers this moment; takes 24 bytes. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _EXHAUSTED, _LIMIT_REACHED,
// _REGION_CLOSED, _REGION_BUSY.
cistern_status cistern_region_mark(cistern_region *_Nullable region, cistern_region_place *_Nullable place);
// Gives back what was allocated since: closes the regions opened inside since, runs the cleanup actions registered since, frees.
// The mark stays; younger ones are gone. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _REGION_CLOSED, _REGION_BUSY, and
// CISTERN_STALE_MARK for one of another region, or that an older one's release, a reset or an exchange has taken away.
cistern_status cistern_region_release(cistern_region *_Nullable region, const cistern_region_place *_Nullable place);
// Empties the region and keeps it open, with one chunk. Errors: as cistern_region_destroy.
cistern_status cistern_region_reset(cistern_region *_Nullable region);

typedef void (*cistern_region_cleanup)(uintptr_t context);
// Registers what runs when the region goes, is reset, or is released to an older mark; the youngest first. It must not use this
// region or one above it that is going. Takes 24 bytes. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _EXHAUSTED,
// _LIMIT_REACHED, _REGION_CLOSED, _REGION_BUSY.
cistern_status cistern_region_add_cleanup(cistern_region *_Nullable region, cistern_region_cleanup _Nullable cleanup,
                                          uintptr_t context);

// ---- Survivors, and what a collector needs

// Copies a small object to fresh bytes of the parent; it may allocate from the parent.
typedef void (*cistern_region_copy)(uintptr_t context, const void *_Nonnull source, void *_Nonnull destination, size_t byte_count);

// Hands an object to the parent. A large one keeps its address, and nothing is copied; any other is copied, by `copy` or, where
// that is NULL, as the bytes are, to a multiple of `alignment`. *promoted is where it is then. Errors: CISTERN_INVALID_HANDLE,
// _INVALID_ARGUMENT, _NO_PARENT, _NOT_IN_REGION, _EXHAUSTED and _LIMIT_REACHED (the parent's), _REGION_CLOSED, _REGION_BUSY.
cistern_status cistern_region_promote(cistern_region *_Nullable region, void *_Nullable object, size_t byte_count, size_t alignment,
                                      cistern_region_copy _Nullable copy, uintptr_t context, void *_Nullable *_Nullable promoted);
// Exchanges the contents of two regions of a heap: chunks, large objects, cleanup actions. Each keeps its children, its limit and
// its place. Marks of both are stale then. Errors: CISTERN_INVALID_HANDLE, _NOT_EXCHANGEABLE, _LIMIT_REACHED, _REGION_CLOSED,
// _REGION_BUSY.
cistern_status cistern_region_exchange(cistern_region *_Nullable region, cistern_region *_Nullable other);
// Whose bytes hold an address; NULL for every other address. Constant, no lock; means something while that region is not being
// closed, and its thread does not allocate from it. Not to be asked about a region that is being closed while the heap is trimmed.
cistern_region *_Nullable cistern_region_owner(cistern_heap *_Nullable heap, const void *_Nullable address);
bool cistern_region_contains(const cistern_region *_Nullable region, const void *_Nullable address);

// One run of a region.
typedef struct cistern_region_extent {
  void *_Nullable start;   // objects lie from here on, in the order in which they were allocated
  size_t byte_count;       // used
  bool is_large_object;    // one object, which begins at `start`
} cistern_region_extent;

// Goes over the runs: *extent all zero gives the first, then each call the next one; false at the end. Chunks come first, then
// large objects, youngest first. Nothing may be allocated in or freed from the region meanwhile.
bool cistern_region_next_extent(const cistern_region *_Nullable region, cistern_region_extent *_Nullable extent);

// Bytes, unless the name says otherwise.
typedef struct cistern_region_statistics {
  size_t struct_byte_count;       // sizeof(cistern_region_statistics)
  uint64_t used_bytes;            // allocated: sizes rounded up to 8, alignment, marks and cleanup actions included
  uint64_t run_bytes;             // taken from the heap
  uint64_t run_high_water_bytes;
  uint64_t limit_bytes;           // 0: none
  uint64_t chunk_count;           // large objects not among them
  uint64_t large_object_count;
  uint64_t cleanup_count;
  uint64_t child_count;           // open regions directly inside it
} cistern_region_statistics;

// Linear in cleanup actions and children. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _REGION_CLOSED.
cistern_status cistern_region_read_statistics(const cistern_region *_Nullable region,
                                              cistern_region_statistics *_Nullable statistics);

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

#ifdef __cplusplus
}
#endif
#endif
