// cistern.h: the C face of Cistern, a bounded heap for language runtimes.
//
// A heap is one reservation of a known capacity; everything it needs lives inside it. All calls on one heap may come
// from any thread, unless the heap was made with `single_thread`. No call prints or touches errno, and none ends the
// process, but for misuse of a heap that was made with `checked`.
#ifndef CISTERN_H
#define CISTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// clang checks nullability; gcc does not know the words.
#if !defined(__clang__) && !defined(_Nonnull)
#define _Nonnull
#define _Nullable
#endif

typedef struct cistern_heap cistern_heap;

typedef enum cistern_status {
  CISTERN_OK = 0,
  CISTERN_INVALID_ARGUMENT = 1,        // an argument is outside its documented range
  CISTERN_CAPACITY_TOO_SMALL = 2,      // below 1 MiB
  CISTERN_CAPACITY_TOO_LARGE = 3,      // above 128 GiB
  CISTERN_RESERVATION_REFUSED = 4,     // the system refused the address space
  CISTERN_COMMIT_REFUSED = 5,          // the system refused to make memory usable
  CISTERN_TOO_MANY_HEAPS = 6,          // 4096 heaps are alive in this process
  // Of the calls that hand memory over to a program.
  CISTERN_PROGRAM_NOT_FOUND = 40,      // there is no such program
  CISTERN_PROGRAM_NOT_EXECUTABLE = 41, // it is there and may not be executed
  CISTERN_PROGRAM_ARGUMENTS_TOO_LONG = 42,  // arguments and environment are more than the system takes
  CISTERN_PROGRAM_NO_MEMORY = 43,      // no memory for the child, or no process
  CISTERN_PROGRAM_CANNOT_WAIT = 44,    // it was started, and how it ended cannot be learned
  CISTERN_PROGRAM_SYSTEM_REFUSED = 45,  // anything else
} cistern_status;

// Begins with its own size, so that it can grow. Zero in every other field is the default; fields that an older caller
// does not have are zero, and fields of a newer caller that this library does not know must be.
typedef struct cistern_heap_options {
  size_t struct_byte_count;     // sizeof(cistern_heap_options); 8 to 4096
  uint64_t capacity_bytes;      // 1 MiB to 128 GiB, rounded up to 4 KiB
  uint64_t soft_limit_bytes;    // 0: none
  uint32_t minimum_alignment;   // 0 or 8: 16 where the size is a multiple of 16, else 8; 16: always 16
  bool single_thread;           // no atomics; every call from one thread at a time
  bool checked;                 // redzones, poison, quarantine; misuse traps
  bool no_huge_pages;           // never ask for transparent huge pages
  bool not_inherited;           // after fork the child has no heap
} cistern_heap_options;

// Creates a heap. Errors: every code above. On failure *heap is NULL. System calls: 3, or 5 with not_inherited.
cistern_status cistern_heap_create(const cistern_heap_options *_Nonnull options, cistern_heap *_Nullable *_Nonnull heap);
// Gives every page back. No other call on this heap may be in progress or follow.
void cistern_heap_destroy(cistern_heap *_Nullable heap);

// A block of at least byte_count bytes (0 is allowed), or NULL when the capacity does not hold it.
void *_Nullable cistern_allocate(cistern_heap *_Nonnull heap, size_t byte_count);
// The same, the byte_count bytes all zero.
void *_Nullable cistern_allocate_zeroed(cistern_heap *_Nonnull heap, size_t byte_count);
// alignment: a power of two up to the capacity; anything else gives NULL.
void *_Nullable cistern_allocate_aligned(cistern_heap *_Nonnull heap, size_t byte_count, size_t alignment);
// Frees a block; NULL is allowed.
void cistern_deallocate(cistern_heap *_Nonnull heap, void *_Nullable block);
// The same, faster: byte_count is anything from the requested size to the usable size.
void cistern_deallocate_sized(cistern_heap *_Nonnull heap, void *_Nullable block, size_t byte_count);
// Resizes; the contents are kept up to the smaller size. NULL when there is no room: the block is then untouched.
void *_Nullable cistern_resize(cistern_heap *_Nonnull heap, void *_Nullable block, size_t byte_count);
// The same, with the size that the block was asked for: keeps the count of requested bytes exact, and frees faster.
void *_Nullable cistern_resize_sized(cistern_heap *_Nonnull heap, void *_Nullable block, size_t old_byte_count,
                                     size_t byte_count);
// Bytes that the block can hold.
size_t cistern_usable_size(cistern_heap *_Nonnull heap, const void *_Nonnull block);
// Is the address inside this heap's reservation? O(1).
bool cistern_contains(const cistern_heap *_Nonnull heap, const void *_Nullable address);
// Gives free pages back to the system at once; returns the bytes given back. Free blocks that other threads hold ready, at
// most a 64th of the capacity, stay.
size_t cistern_trim(cistern_heap *_Nonnull heap);
// The same, with what other threads hold ready. No other call on this heap may be in progress.
size_t cistern_trim_at_safe_point(cistern_heap *_Nonnull heap);
// Frees every block at once and gives all memory behind them back to the system; the heap may be used again. No other call
// on this heap may be in progress. Returns the bytes given back; what the system refused to take stays, free, in the heap.
size_t cistern_discard(cistern_heap *_Nonnull heap);

// Handing the memory over to a program. `program` with a slash is a path, without one it is looked for in PATH. Both lists
// end in NULL: arguments[0] is what the program sees as its own name; environment NULL means this process's.
//
// Turns this process into the program: does not return when that succeeds. Otherwise nothing has changed. Errors:
// CISTERN_PROGRAM_NOT_FOUND, _NOT_EXECUTABLE, _ARGUMENTS_TOO_LONG, _NO_MEMORY, _SYSTEM_REFUSED.
cistern_status cistern_hand_over(cistern_heap *_Nonnull heap, const char *_Nonnull program,
                                 char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nullable environment);
// Discards the heap (see cistern_discard), starts the program and waits for its end: *exit_code is its exit code, or -1 when
// *signal ended it; 0 is no signal. Errors: those above and CISTERN_PROGRAM_CANNOT_WAIT. A program that is not found or not
// executable is noticed before the heap is discarded; *is_discarded says whether it was.
cistern_status cistern_hand_over_and_wait(cistern_heap *_Nonnull heap, const char *_Nonnull program,
                                          char *_Nullable const *_Nonnull arguments,
                                          char *_Nullable const *_Nullable environment, int32_t *_Nonnull exit_code,
                                          int32_t *_Nonnull signal, bool *_Nonnull is_discarded);
// The same without the wait: *process is the child, which the caller waits for, unless it exits. Errors: as above.
cistern_status cistern_hand_over_and_start(cistern_heap *_Nonnull heap, const char *_Nonnull program,
                                           char *_Nullable const *_Nonnull arguments,
                                           char *_Nullable const *_Nullable environment, int32_t *_Nonnull process,
                                           bool *_Nonnull is_discarded);
// Walks all of the heap's own structures: true when they are consistent. No other call may be in progress.
bool cistern_verify(cistern_heap *_Nonnull heap);

// A sentence about a status code; never NULL.
const char *_Nonnull cistern_status_text(cistern_status status);

#ifdef __cplusplus
}
#endif
#endif
