// cistern.h: the C face of Cistern, a bounded heap for language runtimes. docs/embedding.md shows how to link it.
//
// A heap is one reservation of a known capacity; everything it needs lives inside it. All calls on one heap may come
// from any thread at any time, unless the heap was made with `single_thread` or the call says otherwise. No call prints,
// allocates outside the heap or touches errno, and none ends the process, but for misuse of a heap that was made with
// `checked` and without a report function.
//
// Errors. A call that can fail in several ways returns a cistern_status; its possible values stand with the call. The
// others say no with NULL, 0 or false. Every call takes NULL for a heap, and says no. Calls that return a status, and
// cistern_trim, cistern_maintain and cistern_verify, find handles of heaps that are not alive, without reading what is
// there; the others find them for checked heaps (the 64 last destroyed) and are undefined else, as free() is.
//
// A handle belongs to the copy of the library that made it: two copies in one process have nothing in common.
//
// Structs begin with their own size, which the caller sets, so that they can grow. In what a caller gives, fields that it
// does not have are zero, and fields that this library does not have must be zero. In what a caller gets, fields that
// this library does not have are zero. A size below 8 or above 4096 is CISTERN_INVALID_ARGUMENT.
#ifndef CISTERN_H
#define CISTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// clang checks nullability; gcc does not know the words.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#elif !defined(_Nonnull)
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

typedef enum cistern_status {
  CISTERN_OK = 0,
  CISTERN_INVALID_ARGUMENT = 1,        // an argument is outside its documented range
  CISTERN_CAPACITY_TOO_SMALL = 2,      // below 1 MiB
  CISTERN_CAPACITY_TOO_LARGE = 3,      // above 128 GiB
  CISTERN_RESERVATION_REFUSED = 4,     // the system refused the address space
  CISTERN_COMMIT_REFUSED = 5,          // the system refused to make memory usable
  CISTERN_TOO_MANY_HEAPS = 6,          // 4096 heaps are alive in this process
  CISTERN_INVALID_HANDLE = 16,         // NULL, or no heap that is alive
  CISTERN_INCONSISTENT = 17,           // the heap's own data contradict each other
  // What is wrong with a text that is no capacity.
  CISTERN_TEXT_EMPTY = 24,
  CISTERN_TEXT_MALFORMED = 25,         // not digits followed by nothing or by a unit
  CISTERN_TEXT_OVERFLOW = 26,          // more than 2^63 - 1 bytes
  CISTERN_TEXT_ZERO = 27,
  CISTERN_TEXT_AMBIGUOUS_UNIT = 28,    // kB, MB, GB, TB: 1000 or 1024, nobody knows
  CISTERN_TEXT_FRACTION = 29,
  CISTERN_TEXT_UNLIMITED = 30,         // a bounded heap has a bound
  CISTERN_TEXT_PERCENTAGE = 31,        // not a whole number from 1 to 100
  // Regions.
  CISTERN_EXHAUSTED = 40,              // the heap's capacity does not hold it
  CISTERN_LIMIT_REACHED = 41,          // the region's limit does not hold it
  CISTERN_REGION_CLOSED = 42,
  CISTERN_REGION_BUSY = 43,            // cleanup actions of the region, or of one inside it, are running
  CISTERN_REGION_NOT_CURRENT = 44,     // not in this thread's stack, or below a region of another heap
  CISTERN_NO_PARENT = 45,
  CISTERN_NOT_IN_REGION = 46,
  CISTERN_STALE_MARK = 47,             // another region's, or what it marked has been given back
  CISTERN_NOT_EXCHANGEABLE = 48,       // regions of two heaps, or one and the same
  // Of the calls that hand memory over to a program.
  CISTERN_PROGRAM_NOT_FOUND = 56,      // there is no such program
  CISTERN_PROGRAM_NOT_EXECUTABLE = 57, // it is there and may not be executed
  CISTERN_PROGRAM_ARGUMENTS_TOO_LONG = 58,  // arguments and environment are more than the system takes
  CISTERN_PROGRAM_NO_MEMORY = 59,      // no memory for the child, or no process
  CISTERN_PROGRAM_CANNOT_WAIT = 60,    // it was started, and how it ended cannot be learned
  CISTERN_PROGRAM_REFUSED = 61,        // anything else
  CISTERN_REGIONS_OPEN = 62,           // a region of the heap is open, or its handle is still there
  CISTERN_DIRECTORIES_OPEN = 63,       // a directory of the heap has not been destroyed
  // Directories.
  CISTERN_NAME_TOO_LONG = 72,          // more than 4096 bytes
  CISTERN_NAME_TAKEN = 73,             // a living region has it
  CISTERN_UNKNOWN_REGION = 74,         // there is none, and nothing known of one
  CISTERN_REGION_REMOVED = 75,
  CISTERN_RETENTION_EXHAUSTED = 76,    // readers hold as much as they may
  CISTERN_TICK_EXHAUSTED = 77,         // the last tick is open
  CISTERN_TOO_MANY_SNAPSHOTS = 78,     // 64 at different ticks hold payloads
  CISTERN_NOT_PINNED = 79,             // the reader does not hold it, or has expired
  CISTERN_RESYNC = 80,                 // something was dropped: the reader starts from a baseline
  CISTERN_REPEATED = 81,               // acknowledged before
  CISTERN_SUPERSEDED = 82,             // a later poll replaced the batch
  CISTERN_FOREIGN_BATCH = 83,          // another reader's, or another directory's
  CISTERN_EXPIRED = 84,                // the reader held too much; the next poll tells
  CISTERN_FIXED_READER = 85,           // it stays where it began
  CISTERN_NOT_AN_IMAGE = 86,           // the bytes do not begin as the image of a directory
  CISTERN_IMAGE_VERSION = 87,          // of an image that this library does not read
  CISTERN_IMAGE_DAMAGED = 88,          // the image is not a sound one
  CISTERN_BUFFER_TOO_SMALL = 89,       // the image has more bytes than the buffer
  CISTERN_OWNER_TOO_YOUNG = 90,        // an owner has to be made before what it owns
  CISTERN_ALREADY_OWNER = 91,          // the one owns the other already
  CISTERN_NOT_OWNER = 92,              // the one does not own the other
  CISTERN_NO_REGION = 93,              // the named region has no memory of its own
} cistern_status;

// A sentence about a status code; never NULL. Of a code that this library does not have: "unknown status".
const char *_Nonnull cistern_status_text(cistern_status status);

// ---- Heaps

typedef struct cistern_heap cistern_heap;

// Zero in every field but the first two is the default.
typedef struct cistern_heap_options {
  size_t struct_byte_count;     // sizeof(cistern_heap_options)
  uint64_t capacity_bytes;      // 1 MiB to 128 GiB, rounded up to 4 KiB
  uint64_t soft_limit_bytes;    // 0: none
  uint32_t minimum_alignment;   // 0, 8: 16 for multiples of 16, else 8; 16: always 16; 64: no two blocks share a cache line
  bool single_thread;           // no atomics; every call from one thread at a time
  bool checked;                 // redzones, poison, quarantine; misuse is reported or traps, see cistern_set_misuse_report
  bool no_huge_pages;           // never ask for transparent huge pages
  bool not_inherited;           // after fork the child has no heap
  bool may_shrink;              // where the system refuses the capacity: an eighth less per try, down to 16 MiB
  uint8_t reserved[7];          // zero
} cistern_heap_options;

// Why the system refused: an errno, and for ENOMEM the limit in the way, as read right afterwards.
typedef struct cistern_refusal {
  size_t struct_byte_count;     // sizeof(cistern_refusal)
  uint64_t byte_count;          // what was asked for
  uint64_t limit_bytes;         // the value of the limit; 0 when it is not known
  uint64_t used_bytes;          // what counted against it
  int32_t code;                 // errno
  uint32_t operation;           // CISTERN_REFUSED_*
  uint32_t limit;               // CISTERN_BLOCKED_BY_*
  uint32_t reserved;
} cistern_refusal;

enum { CISTERN_REFUSED_RESERVE = 0, CISTERN_REFUSED_COMMIT = 1 };

enum {
  CISTERN_BLOCKED_BY_NOTHING_KNOWN = 0,
  CISTERN_BLOCKED_BY_ADDRESS_SPACE = 1,  // RLIMIT_AS, ulimit -v
  CISTERN_BLOCKED_BY_DATA = 2,           // RLIMIT_DATA, ulimit -d
  CISTERN_BLOCKED_BY_OVERCOMMIT = 3,     // the kernel's accounting, vm.overcommit_memory
  CISTERN_BLOCKED_BY_ADDRESS_RANGE = 4,  // the processor's addresses
};

// Creates a heap. System calls: 3, or 5 with not_inherited. On failure *heap is NULL and nothing is left behind.
// Errors: CISTERN_INVALID_ARGUMENT, _CAPACITY_TOO_SMALL, _CAPACITY_TOO_LARGE, _RESERVATION_REFUSED, _COMMIT_REFUSED, _TOO_MANY_HEAPS.
cistern_status cistern_heap_create(const cistern_heap_options *_Nullable options, cistern_heap *_Nullable *_Nullable heap);
// The same, and says the system's first refusal, also when a heap that may_shrink was made; without one *refusal has zeros.
cistern_status cistern_heap_create_explained(const cistern_heap_options *_Nullable options,
                                             cistern_heap *_Nullable *_Nullable heap, cistern_refusal *_Nullable refusal);
// A refusal in one line. Texts: see cistern_capacity_error_text.
size_t cistern_refusal_text(const cistern_refusal *_Nullable refusal, char *_Nullable line, size_t line_byte_count);
// Gives every page back, live blocks and all. No other call on this heap may be in progress or follow. Cleanup actions of regions
// that are still open do not run.
// Errors: CISTERN_INVALID_HANDLE, for NULL and for a heap that was destroyed before; nothing happens then.
cistern_status cistern_heap_destroy(cistern_heap *_Nullable heap);

// ---- Blocks. Constant time, but for refills of the thread's cache and for what the call says.

// A block of at least byte_count bytes (0 is allowed), or NULL when the capacity does not hold it.
void *_Nullable cistern_allocate(cistern_heap *_Nullable heap, size_t byte_count);
// The same, the byte_count bytes all zero.
void *_Nullable cistern_allocate_zeroed(cistern_heap *_Nullable heap, size_t byte_count);
// alignment: a power of two up to the capacity; anything else gives NULL.
void *_Nullable cistern_allocate_aligned(cistern_heap *_Nullable heap, size_t byte_count, size_t alignment);
// Frees a block; NULL is allowed.
void cistern_deallocate(cistern_heap *_Nullable heap, void *_Nullable block);
// The same, faster: byte_count is anything from the requested size to the usable size.
void cistern_deallocate_sized(cistern_heap *_Nullable heap, void *_Nullable block, size_t byte_count);
// Resizes; the contents are kept up to the smaller size. NULL when there is no room: the block is then untouched.
void *_Nullable cistern_resize(cistern_heap *_Nullable heap, void *_Nullable block, size_t byte_count);
// The same, with the size that the block was asked for: keeps the count of requested bytes exact, and frees faster.
void *_Nullable cistern_resize_sized(cistern_heap *_Nullable heap, void *_Nullable block, size_t old_byte_count,
                                     size_t byte_count);
// Bytes that the block can hold; 0 for NULL.
size_t cistern_usable_size(cistern_heap *_Nullable heap, const void *_Nullable block);
// Is the address inside this heap's reservation? O(1).
bool cistern_contains(const cistern_heap *_Nullable heap, const void *_Nullable address);
// The live block that holds an address, which may point into its middle, and in *byte_count the bytes it can hold; NULL
// where there is none. A freed block that a thread keeps ready is found, too.
void *_Nullable cistern_block_holding(cistern_heap *_Nullable heap, const void *_Nullable address, size_t *_Nullable byte_count);

// ---- Checked heaps

// What a checked heap finds.
typedef enum cistern_misuse {
  CISTERN_DOUBLE_FREE = 1,
  CISTERN_FOREIGN_POINTER = 2,     // no block of this heap begins there
  CISTERN_UNDERFLOW = 3,           // bytes before the block were written
  CISTERN_OVERFLOW = 4,            // bytes after the block were written
  CISTERN_USE_AFTER_FREE = 5,      // written after it was freed
  CISTERN_WRONG_SIZE = 6,          // freed with a size that is not the one asked for
  CISTERN_USE_AFTER_DESTROY = 7,   // a call on a heap that was destroyed
  CISTERN_CLOSED_REGION = 8,       // a region was used after it had been closed
} cistern_misuse;

// Receives a misuse and the block's address (of the heap, for CISTERN_USE_AFTER_DESTROY). It runs inside the call that
// found it, with the heap locked, and must not call the heap. When it returns, the call goes on where that is possible.
typedef void (*cistern_misuse_report)(void *_Nullable context, cistern_misuse misuse, void *_Nullable address);

// Lets a checked heap report misuse, which otherwise traps; NULL: trap again. Other heaps find none. `context` is handed to `report`
// and has to outlive every use of the handle, also wrong ones. Errors: CISTERN_INVALID_HANDLE.
cistern_status cistern_set_misuse_report(cistern_heap *_Nullable heap, cistern_misuse_report _Nullable report,
                                         void *_Nullable context);

// ---- What the heap holds

// Bytes, unless the name says otherwise. Exact when no other thread is in the heap.
typedef struct cistern_heap_statistics {
  size_t struct_byte_count;          // sizeof(cistern_heap_statistics)
  uint64_t capacity_bytes;           // reserved
  uint64_t committed_bytes;          // usable now
  uint64_t committed_high_water_bytes;
  uint64_t extent_bytes;             // everything in use lies below this distance from the base
  uint64_t extent_high_water_bytes;
  uint64_t used_bytes;               // in runs that are taken: spans, blocks with a run of their own, the heap's own
  uint64_t used_high_water_bytes;
  uint64_t touched_bytes;            // pages that may be resident, fixed metadata not among them
  uint64_t touched_high_water_bytes;
  uint64_t metadata_bytes;           // page map, run bits, header, span records, thread caches
  uint64_t span_bytes;               // in block spans, blocks in use or not
  uint64_t live_block_count;
  uint64_t live_block_bytes;         // what the live blocks can hold
  uint64_t cached_block_count;       // free blocks that threads keep ready
  uint64_t cached_bytes;
  int64_t requested_bytes;           // asked for and not yet freed; exact where every free says its size, and for checked heaps
  uint64_t free_run_count;
  uint64_t given_back_bytes;         // to the system, in all
  uint64_t slow_allocation_count;    // those that a thread's cache had no block for
  uint64_t slow_deallocation_count;  // those that a thread's cache had no room for
  uint64_t region_bytes;             // in chunks and large objects of regions, and in pages kept for the next ones
} cistern_heap_statistics;

// Looks at each block in a cache, at no live one. Errors: CISTERN_INVALID_HANDLE, CISTERN_INVALID_ARGUMENT.
cistern_status cistern_read_statistics(cistern_heap *_Nullable heap, cistern_heap_statistics *_Nullable statistics);

// One class of small blocks; class i has blocks of 8 (i + 1) bytes.
typedef struct cistern_size_class_statistics {
  size_t struct_byte_count;   // sizeof(cistern_size_class_statistics)
  uint64_t block_bytes;       // of one block
  uint64_t span_count;
  uint64_t span_bytes;
  uint64_t used_block_count;  // live, or kept ready by a thread
} cistern_size_class_statistics;

uint32_t cistern_size_class_count(void);
// Errors: CISTERN_INVALID_HANDLE; CISTERN_INVALID_ARGUMENT, also for an index from cistern_size_class_count() on.
cistern_status cistern_read_size_class(cistern_heap *_Nullable heap, uint32_t index,
                                       cistern_size_class_statistics *_Nullable statistics);

typedef void (*cistern_visitor)(void *_Nullable context, void *_Nonnull block, size_t byte_count);
// Calls `visitor` with every live block and the bytes it can hold, in address order. No other call may be in progress, and the
// visitor must not call the heap. Proportional to what is in use. Errors: CISTERN_INVALID_HANDLE, CISTERN_INVALID_ARGUMENT.
cistern_status cistern_visit_live_blocks(cistern_heap *_Nullable heap, cistern_visitor _Nullable visitor, void *_Nullable context);

// Walks all of the heap's own structures: true when they are consistent. No other call may be in progress.
bool cistern_verify(cistern_heap *_Nullable heap);

// What does not hold, and where.
typedef struct cistern_inconsistency {
  size_t struct_byte_count;  // sizeof(cistern_inconsistency)
  uint64_t offset_bytes;     // from the heap's base; 0 when it is about a total
  uint32_t rule;             // 0: everything holds. 1 runs tile, 2 free runs described, 3 free runs joined, 4 bins, 5 free run
                             // count, 6 spans described, 7 span bits, 8 span lists, 9 class counts, 10 used granules, 11 run
                             // blocks, 12 cache claim, 13 redzones, 14 quarantine, 15 chunks of regions, 16 regions
  uint32_t reserved;
} cistern_inconsistency;

// The same, and says the first rule that does not hold. Errors: CISTERN_INVALID_HANDLE, CISTERN_INVALID_ARGUMENT, CISTERN_INCONSISTENT.
cistern_status cistern_verify_explained(cistern_heap *_Nullable heap, cistern_inconsistency *_Nullable found);

// ---- Memory given back, and the soft limit

// Gives free pages back to the system at once; returns the bytes given back. Free blocks that other threads keep ready, at
// most a 64th of the capacity, stay.
size_t cistern_trim(cistern_heap *_Nullable heap);
// The same, with what other threads keep ready. No other call on this heap may be in progress.
size_t cistern_trim_at_safe_point(cistern_heap *_Nullable heap);
// Frees every block at once and gives all memory behind them back to the system; the heap may be used again. No other call
// on this heap may be in progress. Handles of regions, closed ones too, end here: no call may be given one afterwards.
// *byte_count, if given: the bytes given back; what the system refused to take stays in the heap, free. Errors, after which
// nothing has changed: CISTERN_INVALID_HANDLE; CISTERN_REGIONS_OPEN;
// CISTERN_DIRECTORIES_OPEN.
cistern_status cistern_discard(cistern_heap *_Nullable heap, size_t *_Nullable byte_count);
// For idle hosts: gives back what was free since the last call; returns the bytes given back.
size_t cistern_maintain(cistern_heap *_Nullable heap);
// Is more in use than the soft limit? One load: a runtime may poll it at every safe point.
bool cistern_is_above_soft_limit(const cistern_heap *_Nullable heap);
// Sets the soft limit in bytes; 0 clears it. Errors: CISTERN_INVALID_HANDLE.
cistern_status cistern_set_soft_limit(cistern_heap *_Nullable heap, uint64_t byte_count);
// Why a heap below its capacity said no: the errno of the last commit that the system refused; 0 after one that it granted.
int32_t cistern_last_refusal_code(cistern_heap *_Nullable heap);

// ---- Handing the memory over to a program

// `name` with a slash is a path, without one it is looked for in PATH. Both lists end in NULL: arguments[0] is what the program
// sees as its own name; environment NULL means this process's. A script without #! is not executable.
//
// Turns this process into the program: does not return when that succeeds. Otherwise nothing has changed. Errors:
// CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _PROGRAM_NOT_FOUND, _PROGRAM_NOT_EXECUTABLE, _PROGRAM_ARGUMENTS_TOO_LONG,
// _PROGRAM_NO_MEMORY, _PROGRAM_REFUSED.
cistern_status cistern_hand_over(cistern_heap *_Nullable heap, const char *_Nullable name,
                                 char *_Nullable const *_Nullable arguments, char *_Nullable const *_Nullable environment);

// What came of a program that was started.
typedef struct cistern_program_outcome {
  size_t struct_byte_count;  // sizeof(cistern_program_outcome)
  int32_t process;           // its process identifier; 0: it was not started
  int32_t exit_code;         // 0 to 255; -1: a signal ended it, or nobody waited
  int32_t signal;            // the one that ended it; 0: none
  bool is_discarded;         // was the heap discarded? Also where the call failed.
  uint8_t reserved[3];
} cistern_program_outcome;

// Discards the heap (see cistern_discard, whose conditions hold here too), starts the program and waits for its end. A
// program that is not found or not executable is noticed before the heap is discarded. Errors: those above, CISTERN_REGIONS_OPEN,
// _DIRECTORIES_OPEN, _PROGRAM_CANNOT_WAIT.
cistern_status cistern_hand_over_and_wait(cistern_heap *_Nullable heap, const char *_Nullable name,
                                          char *_Nullable const *_Nullable arguments,
                                          char *_Nullable const *_Nullable environment,
                                          cistern_program_outcome *_Nullable outcome);
// The same without the wait, for callers that exit then, or wait for outcome->process later: no call here ends the process.
cistern_status cistern_hand_over_and_start(cistern_heap *_Nullable heap, const char *_Nullable name,
                                           char *_Nullable const *_Nullable arguments,
                                           char *_Nullable const *_Nullable environment,
                                           cistern_program_outcome *_Nullable outcome);

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

#ifdef __cplusplus
}
#endif

#include "cistern_capacity.h"
#include "cistern_region.h"
#include "cistern_directory.h"
#endif
