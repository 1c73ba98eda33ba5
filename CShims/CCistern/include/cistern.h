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

// The version of this header, and the number in the shared library's name: programs built against one number run with no other.
enum {
  CISTERN_VERSION_MAJOR = 0,
  CISTERN_VERSION_MINOR = 1,
  CISTERN_VERSION_PATCH = 0,
  CISTERN_BINARY_INTERFACE = 0,
};

// The version of the library that is linked: 1000000 * major + 1000 * minor + patch.
uint32_t cistern_version(void);

typedef struct cistern_heap cistern_heap;

typedef enum cistern_status {
  CISTERN_OK = 0,
  CISTERN_INVALID_ARGUMENT = 1,        // an argument is outside its documented range
  CISTERN_CAPACITY_TOO_SMALL = 2,      // below 1 MiB
  CISTERN_CAPACITY_TOO_LARGE = 3,      // above 128 GiB
  CISTERN_RESERVATION_REFUSED = 4,     // the system refused the address space
  CISTERN_COMMIT_REFUSED = 5,          // the system refused to make memory usable
  CISTERN_TOO_MANY_HEAPS = 6,          // 4096 heaps are alive in this process
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
// Gives free pages back to the system at once; returns the bytes given back.
size_t cistern_trim(cistern_heap *_Nonnull heap);
// Walks all of the heap's own structures: true when they are consistent. No other call may be in progress.
bool cistern_verify(cistern_heap *_Nonnull heap);

// A sentence about a status code; never NULL.
const char *_Nonnull cistern_status_text(cistern_status status);

#ifdef __cplusplus
}
#endif
#endif
