// CReplay.h: the part of cistern-bench that must not allocate: trace conversion, the replay loops, child processes.
//
// The parent converts a trace once into a flat file of fixed-size records. For every measurement it starts one child,
// which maps that file, replays it through one allocator and writes one creplay_result to file descriptor 3. Between
// the first and the last event the child calls nothing but the allocator: all tables are its own mappings.
#ifndef CREPLAY_H
#define CREPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- The flat file: one creplay_flat_header, then `event_count` records. ----

typedef struct creplay_record {
  uint32_t byte_count;      // allocate, resize: the new size; free: the object's size then
  uint32_t old_byte_count;  // resize: the size before
  uint32_t slot;            // where the object's pointer is kept; reused after its free
  uint8_t operation;        // enum creplay_operation
  uint8_t alignment_log2;   // for CREPLAY_ALLOCATE_ALIGNED
  uint16_t thread;
} creplay_record;

// The numbers are those of the trace format.
enum creplay_operation {
  CREPLAY_ALLOCATE = 0,
  CREPLAY_FREE = 1,
  CREPLAY_RESIZE = 2,
  CREPLAY_ALLOCATE_ZEROED = 4,
  CREPLAY_ALLOCATE_ALIGNED = 5,
};

typedef struct creplay_flat_header {
  uint64_t magic;
  uint64_t source_byte_count;               // size and time of the trace file that this was made from
  uint64_t source_modified_nanoseconds;
  uint64_t event_count;
  uint64_t object_count;
  uint64_t peak_live_bytes;
  uint64_t peak_live_objects;
  uint64_t thread_count;
  uint64_t slot_count;
  uint64_t reserved[7];
} creplay_flat_header;

// ---- Conversion ----

typedef enum creplay_convert_status {
  CREPLAY_CONVERTED = 0,
  CREPLAY_SOURCE_UNREADABLE = 1,   // cannot be opened or read
  CREPLAY_NOT_GZIP = 2,
  CREPLAY_NOT_A_TRACE = 3,         // gzip, but of something else
  CREPLAY_TRUNCATED = 4,           // ends before the length that its header states
  CREPLAY_DAMAGED = 5,             // names objects that do not exist, or does not agree with its header
  CREPLAY_CACHE_UNWRITABLE = 6,
  CREPLAY_NO_MEMORY = 7,
  CREPLAY_NO_GZIP_PROGRAM = 8,
  CREPLAY_TOO_LARGE = 9,           // an object of 4 GiB or more, or more objects than 32 bits can number
} creplay_convert_status;

// Unpacks `source_path` with the gzip program, checks it against its header and writes the flat file. The result
// appears under `flat_path` complete or not at all, also when several processes convert at once.
creplay_convert_status creplay_convert(const char *_Nonnull source_path, const char *_Nonnull flat_path,
                                       creplay_flat_header *_Nonnull header);
// Reads the header of a flat file: true when it was made from `source_path` as that is now, and is whole.
bool creplay_flat_is_current(const char *_Nonnull source_path, const char *_Nonnull flat_path,
                             creplay_flat_header *_Nonnull header);

// ---- What a child does ----

enum creplay_mode {
  CREPLAY_MODE_EMPTY = 0,      // maps everything, replays nothing
  CREPLAY_MODE_SURVEY = 1,     // counts events and live bytes of the chosen prefix
  CREPLAY_MODE_NULL = 2,       // the loop alone: no allocator call, nothing written
  CREPLAY_MODE_CALLS = 3,      // the loop and the allocator calls, nothing written
  CREPLAY_MODE_TOUCH = 4,      // first and last byte of each block written
  CREPLAY_MODE_FILL = 5,       // every byte written
  CREPLAY_MODE_CHECK = 6,      // every byte written with a pattern, verified at free and resize
  CREPLAY_MODE_THREADS = 7,    // one of the threaded workloads
  CREPLAY_MODE_DESCRIBE = 8,   // writes the allocator's version as text instead of a result
};

enum creplay_allocator {
  CREPLAY_ALLOCATOR_MALLOC = 0,    // malloc and its family, whichever library provides them
  CREPLAY_ALLOCATOR_CISTERN = 1,
  CREPLAY_ALLOCATOR_BROKEN = 2,    // hands out overlapping blocks, so that the checks can be seen to fail
  CREPLAY_ALLOCATOR_NULL = 3,      // threaded workloads only: the same loop, no allocator
};

enum creplay_cistern_flags {
  CREPLAY_CISTERN_SINGLE_THREAD = 1,
  CREPLAY_CISTERN_UNSIZED_FREE = 2,
  CREPLAY_CISTERN_ALIGNED_16 = 4,
  CREPLAY_CISTERN_NO_HUGE_PAGES = 8,
  CREPLAY_CISTERN_CHECKED = 16,
  CREPLAY_CISTERN_INLINED = 32,   // the timed loop in Swift, with the heap's fast path compiled into it
  CREPLAY_CISTERN_ALIGNED_64 = 64,
};

enum creplay_workload {
  CREPLAY_WORKLOAD_TRACE = 0,      // each recorded thread replays its own events
  CREPLAY_WORKLOAD_EXCHANGE = 1,   // every block is freed by the next thread, through a ring
  CREPLAY_WORKLOAD_SERVER = 2,     // random replacement in a thread's own slots, which change hands now and then
  CREPLAY_WORKLOAD_LARGE_SERVER = 3,  // the same with blocks of up to 4096 bytes
};

// Handed to the child as decimal arguments in this order.
typedef struct creplay_request {
  uint64_t mode;
  uint64_t allocator;
  uint64_t event_limit;         // replay at most so many events
  uint64_t warm_pass_count;     // further passes after the first one
  uint64_t capacity_bytes;      // for cistern: 0 means all that RLIMIT_AS leaves, 16 GiB when there is no limit
  uint64_t cistern_flags;
  uint64_t seed;
  uint64_t workload;
  uint64_t thread_count;
  uint64_t operation_count;     // per thread, for the workloads without a trace
} creplay_request;

typedef enum creplay_failure {
  CREPLAY_NO_FAILURE = 0,
  CREPLAY_OUT_OF_MEMORY = 1,
  CREPLAY_HEAP_REFUSED = 2,        // cistern_heap_create failed: detail = its status
  CREPLAY_WRONG_CONTENTS = 3,      // a block did not hold what was written to it, or was not zero
  CREPLAY_WRONG_ALIGNMENT = 4,
  CREPLAY_TRACE_UNUSABLE = 5,      // detail = errno
  CREPLAY_WRONG_LIBRARY = 6,       // malloc is not the one that was to be loaded
  CREPLAY_SYSTEM_REFUSED = 7,      // a call that the harness itself needs failed: detail = errno
  CREPLAY_HEAP_INCONSISTENT = 8,   // cistern_verify said no
} creplay_failure;

typedef struct creplay_result {
  uint64_t magic;                      // CREPLAY_RESULT_MAGIC
  uint64_t completed;                  // 1 when every event was replayed
  uint64_t failure;                    // creplay_failure
  uint64_t failure_detail;
  uint64_t event_count;                // events done
  uint64_t object_count;               // survey only
  uint64_t peak_live_bytes;            // survey only
  uint64_t peak_live_objects;          // survey only
  uint64_t thread_count;               // survey only
  uint64_t work_hash;                  // over the operations and sizes as the loop saw them
  uint64_t cold_nanoseconds;           // first pass
  uint64_t warm_nanoseconds;           // best further pass; 0 when there was none
  uint64_t resident_start_bytes;       // before the heap and the first event
  uint64_t resident_peak_bytes;        // high-water mark from there on
  uint64_t address_space_peak_bytes;   // VmPeak
  uint64_t capacity_bytes;             // cistern: of the heap
  uint64_t operation_count;            // threaded workloads: allocations and frees of all threads
} creplay_result;

extern const uint64_t creplay_result_magic;

// The whole life of a child; ends the process. It reads its arguments from /proc/self/cmdline: program, "replay-child",
// flat file (may be empty for workloads without a trace), library that must provide malloc (or empty), then the fields
// of creplay_request.
_Noreturn void creplay_child_main(void);

// ---- Child processes ----

typedef struct creplay_spawn {
  const char *_Nullable const *_Nonnull arguments;  // NULL at the end; the first is looked up in PATH
  const char *_Nullable preload;                    // for LD_PRELOAD
  uint64_t address_space_bytes;                     // RLIMIT_AS, set before exec; 0: left alone
  int32_t cpu;                                      // pinned to this one; -1: left alone
  int32_t captured_descriptor;                      // of the child: 1, 2 or 3; the others lead to /dev/null
  uint32_t timeout_seconds;                         // then SIGALRM
} creplay_spawn;

typedef struct creplay_spawn_outcome {
  int32_t error;          // errno of pipe or fork; 0: a child ran
  int32_t exit_code;      // -1 when it ended by a signal
  int32_t signal;
  size_t output_byte_count;
} creplay_spawn_outcome;

// Runs a child to its end and keeps the first `capacity` bytes of the captured descriptor.
creplay_spawn_outcome creplay_run_child(const creplay_spawn *_Nonnull spawn, void *_Nonnull output, size_t capacity);

// ---- A program's memory, seen from outside ----

typedef struct creplay_watch {
  const char *_Nullable const *_Nonnull arguments;  // NULL at the end; the first is a path
  const char *_Nullable group_file;                 // cgroup.procs of the group to run in; NULL: this process's own group
  uint32_t interval_milliseconds;                   // from one sample to the next
} creplay_watch;

typedef struct creplay_watch_outcome {
  int32_t error;          // errno of fork or wait; 0: the program ran
  int32_t exit_code;      // -1 when it ended by a signal
  int32_t signal;
  uint32_t sample_count;
  uint64_t peak_proportional_bytes;  // the largest sum of PSS over the program and its descendants
  uint64_t nanoseconds;
} creplay_watch_outcome;

// The exit code of a child that could not enter the group.
enum { CREPLAY_WATCH_NOT_IN_GROUP = 125 };

// Runs a program to its end and samples what it and its descendants take.
creplay_watch_outcome creplay_watch_program(const creplay_watch *_Nonnull watch);

// ---- A trace's records, for a replay that is looked at ----

// Maps a flat file for reading until the process ends; NULL when it is not one. `header` is what it says of itself.
const creplay_record *_Nullable creplay_open_records(const char *_Nonnull flat_path, creplay_flat_header *_Nonnull header);
// How many bytes of a range are resident; the range begins at a page.
uint64_t creplay_resident_bytes(const void *_Nonnull start, size_t byte_count);

// ---- Facts about this machine and process ----

// The smallest RLIMIT_AS hard limit that a child may get; UINT64_MAX when there is none.
uint64_t creplay_address_space_limit(void);
// Number of CPUs this process may run on, and the highest of them.
uint32_t creplay_cpu_count(int32_t *_Nonnull highest);
// Reads at most `capacity` bytes of a file; -1 when it cannot.
int64_t creplay_read_file(const char *_Nonnull path, void *_Nonnull output, size_t capacity);
// Writes a file, replacing it; false when it cannot.
bool creplay_write_file(const char *_Nonnull path, const void *_Nonnull bytes, size_t byte_count);
// Path of this executable; -1 when unknown.
int64_t creplay_executable_path(void *_Nonnull output, size_t capacity);
// mkdir -p; false when it cannot.
bool creplay_make_directory(const char *_Nonnull path);
// True when `path` is a readable file or directory.
bool creplay_is_readable(const char *_Nonnull path);
// The path with links resolved; -1 when it does not exist.
int64_t creplay_resolved_path(const char *_Nonnull path, void *_Nonnull output, size_t capacity);
// Names in a directory, each followed by a newline, unsorted; -1 when it cannot be read.
int64_t creplay_list_directory(const char *_Nonnull path, void *_Nonnull output, size_t capacity);
uint64_t creplay_monotonic_nanoseconds(void);

#include "CReplayRegions.h"

#endif
