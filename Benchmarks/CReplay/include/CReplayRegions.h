// The part of CReplay.h about regions, which includes this file: traces of a runtime that computes in regions, replayed through
// Cistern's regions and through what such a runtime would use otherwise; and loops of one operation each.
#ifndef CREPLAY_REGIONS_H
#define CREPLAY_REGIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- The flat file: a creplay_region_header, then records ----

enum creplay_region_operation {   // the numbers of the trace format, Benchmarks/Traces/README-skip.md
  CREPLAY_PERSISTENT_ALLOCATE = 1,
  CREPLAY_PERSISTENT_FREE = 2,
  CREPLAY_REGION_ALLOCATE = 3,
  CREPLAY_REGION_ALLOCATE_ZEROED = 4,
  CREPLAY_REGION_CLONE = 5,
  CREPLAY_REGION_OPEN = 6,
  CREPLAY_REGION_DROP = 7,
  CREPLAY_REGION_LEAVE = 8,       // what survives is allocated in the parent from here on ...
  CREPLAY_SCRATCH_ALLOCATE = 9,
  CREPLAY_SCRATCH_FREE = 10,
  CREPLAY_REGION_LEFT = 11,       // ... to here, where the region's memory goes
};

typedef struct creplay_region_record {
  uint32_t byte_count;
  uint32_t operation_and_slot;    // operation in the highest 4 bits; slot of a persistent or scratch block
} creplay_region_record;

typedef struct creplay_region_header {
  uint64_t magic;
  uint64_t source_byte_count;
  uint64_t source_modified_nanoseconds;
  uint64_t record_count;
  uint64_t slot_count;
  uint64_t region_allocation_count;
  uint64_t region_count;
  uint64_t peak_live_bytes;       // requested; a region's bytes count until it is dropped
} creplay_region_header;

// As creplay_convert. Records that only inform (12 and 13) are left out.
uint32_t creplay_region_convert(const char *_Nonnull source_path, const char *_Nonnull flat_path,
                                creplay_region_header *_Nonnull header);
bool creplay_region_flat_is_current(const char *_Nonnull source_path, const char *_Nonnull flat_path,
                                    creplay_region_header *_Nonnull header);

// ---- What a child does ----

enum creplay_region_engine {
  CREPLAY_ENGINE_NULL = 0,      // the loop alone
  CREPLAY_ENGINE_CISTERN = 1,   // regions through cistern.h with the inline fast path; other blocks from the same heap
  CREPLAY_ENGINE_PAGES = 2,     // pages of 8 MiB from malloc, a bump pointer in them, freed when the region goes; other blocks: malloc
  CREPLAY_ENGINE_OBSTACK = 3,   // glibc's obstack on malloc with its usual chunks; other blocks: malloc
  CREPLAY_ENGINE_MALLOC = 4,    // every object from malloc, freed one by one when its region goes
  CREPLAY_ENGINE_BUMP = 5,      // loops only: a C bump pointer over one mapping, that begins again at its end
};

enum creplay_region_work {
  CREPLAY_WORK_EMPTY = 0,       // maps everything, replays nothing
  CREPLAY_WORK_TRACE = 1,       // first and last byte of each object written
  CREPLAY_WORK_SMALL = 2,       // `count` objects of 8 to 64 bytes, without touching them
  CREPLAY_WORK_OPEN = 3,        // `count` regions opened and closed with nothing in them
  CREPLAY_WORK_NESTED = 4,      // `count` rounds of 4 nested regions with 500 objects each, first and last byte written
  CREPLAY_WORK_OPEN_ALONE = 5,  // the same as OPEN, each region standing alone
};

// Loops through Cistern are the Swift face's, inlined, unless this is set: then they are C's.
enum { CREPLAY_REGION_FROM_C = 1 };

typedef struct creplay_region_result {
  uint64_t magic;
  uint64_t completed;
  uint64_t failure_detail;     // errno or status
  uint64_t record_count;       // done
  uint64_t nanoseconds;
  uint64_t work_hash;          // over what the loop was given
  uint64_t address_space_peak_bytes;
  uint64_t resident_peak_bytes;
} creplay_region_result;

extern const char *_Nonnull const creplay_region_child_argument;

// The life of such a child. Arguments: program, "region-child", flat file (may be empty), then work, engine, flags, capacity in
// bytes (0: all that RLIMIT_AS leaves) and count as decimals. Writes one creplay_region_result to file descriptor 3.
int creplay_region_child(int argument_count, char *_Nullable *_Nonnull arguments);

// The sizes of the small objects, over and over.
enum { CREPLAY_SMALL_SIZE_COUNT = 64, CREPLAY_NESTED_DEPTH = 4, CREPLAY_NESTED_OBJECTS = 500 };
extern const uint32_t creplay_small_sizes[CREPLAY_SMALL_SIZE_COUNT];
static inline const uint32_t *_Nonnull creplay_region_small_sizes(void) { return creplay_small_sizes; }

// The compiler must suppose that an object is used.
static inline void creplay_use(void *_Nullable object) { __asm__ volatile("" : : "r"(object) : "memory"); }

#endif
