// The records of regions: bump allocation from chunks, which are runs of whole pages of one heap.
//
// A chunk begins with its own header. The page map has, for every page of a chunk, 2 * (first page) + 1: from any address
// to its chunk, and from there to its region, are two loads. Region records stand in pages of their own, which stay
// until the heap goes: a handle that outlived its region finds a record that says "closed", never a program's bytes.
//
// Regions are of this process and never of an image of the heap (they hold functions to call), so they name each other
// by address. A region is one thread's at a time; only taking and returning runs and records takes the run lock.
#ifndef CISTERN_REGION_LAYOUT_H
#define CISTERN_REGION_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

// The header of a chunk, or of a large object, which is a chunk of its own.
typedef struct cistern_region_chunk {
  uintptr_t region;    // whose it is; 0: a page that a thread keeps for its next region
  uintptr_t older;     // the region's chunk before this one; large objects have a list of their own
  uintptr_t newer;
  uintptr_t first;     // where the program's bytes begin
  uintptr_t used_end;  // where they end; in the region's current chunk only while `head` of the region is 0
  uintptr_t end;       // where the run ends
  uint64_t serial;     // when it joined the region
  uint64_t is_large;
} cistern_region_chunk;

// One region. The first two words are all that allocating needs; what else may write them is the region's own thread.
typedef struct cistern_region {
  uintptr_t head;         // next free byte of the current chunk, a multiple of 8; 0: every allocation takes the slow path
  uintptr_t end;          // allocation from `head` must stay below it; a multiple of 16
  uint64_t incarnation;   // counts the openings of this record, from 2^40 times the heap's incarnation on
  uintptr_t heap;         // address of the heap's header
  uintptr_t parent;       // 0: free-standing
  uintptr_t first_child;  // the youngest open child
  uintptr_t next;         // the next older child of the same parent; the next record in a list of free ones
  uintptr_t previous;

  uintptr_t spare_child;  // a closed record, kept for the next child
  uintptr_t chunk;        // the current chunk; older ones follow by `older`
  uintptr_t large;        // the youngest large object
  uintptr_t cleanups;     // the youngest cistern_region_cleanup_record
  uintptr_t marks;        // the youngest cistern_region_mark_record
  uint64_t serial;        // counts chunks, large objects, marks and children
  uint64_t birth;         // the parent's serial when this region was opened
  uint64_t flags;

  uint64_t limit_bytes;    // 0: none
  uint64_t settled_bytes;  // used in chunks that are not current, and by large objects
  uint64_t run_bytes;      // in chunks and large objects, headers and all
  uint64_t run_high_water_bytes;
  uint32_t chunk_count;
  uint32_t large_count;
  uint32_t pin_count;      // cleanup actions of regions inside it that are running: it must not be closed meanwhile
  uint32_t last_refusal;   // a RegionStatus: why the last allocation was refused
  uint64_t reserved[2];
} cistern_region;

// What stands in the region's own bytes.
typedef struct cistern_region_cleanup_record {
  uintptr_t older;
  uintptr_t function;
  uintptr_t context;
} cistern_region_cleanup_record;

typedef struct cistern_region_mark_record {
  uintptr_t older;
  uint64_t serial;
  uintptr_t cleanups;
} cistern_region_mark_record;

// A page of records: this, then the records.
typedef struct cistern_region_page {
  uint32_t next_page;
  uint32_t reserved_word;
  uint64_t reserved[23];
} cistern_region_page;

enum {
  CISTERN_REGION_OPEN = 1,
  CISTERN_REGION_BUSY = 2,     // its cleanup actions run, or it is being closed: nothing may be done to it
  CISTERN_REGION_OWNED = 4,    // whoever opened it gives the record back himself, also when the parent has closed the region
  CISTERN_REGION_CHECKED = 8,  // of a heap in checked mode
  CISTERN_REGION_ABANDONED = 16,  // its handle went while it could not be closed: that follows when the actions in its way have run
  CISTERN_REGION_ON_STACK = 32,   // on the stack of a thread; see cistern_region_stack.h
  CISTERN_REGION_RECORDS_PER_PAGE = 20,
};

static_assert(sizeof(cistern_region_chunk) == 64, "a chunk's header is one cache line");
static_assert(sizeof(cistern_region) == 192, "a region's record is three cache lines");
static_assert(sizeof(cistern_region_page) == 192, "the first of a page's 21 places");
static_assert((1 + CISTERN_REGION_RECORDS_PER_PAGE) * sizeof(cistern_region) <= 4096, "records fit their page");
static_assert(offsetof(cistern_region, head) == 0 && offsetof(cistern_region, end) == sizeof(uintptr_t),
              "cistern_region_inline.h relies on it");

#endif
