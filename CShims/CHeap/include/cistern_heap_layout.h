// The layout of a heap's memory: what stands at which offset of the reservation, and the records in it.
//
//   header page | class page | page map | granule bits | touched bits | run heap ... top | never used ... capacity
//
// Units. Page: 4 KiB of the heap (not the system's). Granule: 64 bytes. Indices count from the base of the reservation;
// index 0 is inside the header, so 0 means "none" everywhere. No record holds the address of another one: pages,
// granules and span records are named by 32-bit indices, so the layout does not depend on where it is mapped. Addresses
// stand only in the thread caches, which are private to the process and can be dropped.
//
// Authority and derived state. The page map, the span records, the granule bits and `top_granule` say what is in use;
// free-run bins, class lists and counters are derived from them.
#ifndef CISTERN_HEAP_LAYOUT_H
#define CISTERN_HEAP_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "cistern_os.h"

// Free runs are binned by length: exact below 16 granules, then 8 bins per doubling (two-level segregated fit,
// Masmano et al. 2004).
enum { CISTERN_RUN_BIN_COUNT = 256, CISTERN_CACHE_BIN_COUNT = 120 };

// A Swift statement that changes one field of a record counts, for the thread sanitizer, as an access to the record's first
// word. Records that several threads use therefore begin with a word that nobody reads or writes.
typedef uint64_t cistern_access_word;

typedef struct cistern_lock {
  uint32_t word;      // 0 free, 1 held, 2 held with waiters
  uint32_t disabled;  // a heap for one thread: acquire and release do nothing
} cistern_lock;

// A run cut into blocks of one size. One cache line; named by its offset from the base in units of 32 bytes. A set bit is
// a free block. Up to 256 blocks the bits stand in the record; a larger span has them in its last bytes. Free blocks
// themselves hold nothing: neither taking nor returning a block touches its memory.
typedef struct cistern_span {
  uint32_t first_page;
  uint32_t next;         // neighbours in the class's list of spans with room
  uint32_t previous;
  uint32_t reciprocal;   // 2^32 / block size, rounded up: block number = offset * reciprocal >> 32
  uint16_t used;         // blocks handed out: live, or in a thread cache
  uint16_t block_count;
  uint16_t page_count;
  uint16_t hint;         // no word of bits before this one has a set bit
  uint8_t size_class;
  uint8_t is_listed;     // in the class's list
  uint16_t free_in_chunk;  // scratch: how many of the records of this one's page are free
  uint32_t owner_page;   // the thread cache that last filled itself from this span; 0: none
  uint64_t bits[4];
} cistern_span;

// One size class: the spans that have room, under a lock of its own. A cache line each.
typedef struct cistern_class {
  cistern_access_word access_word;
  cistern_lock lock;
  uint32_t list_head;       // the span that is being filled, then those most recently freed into
  uint32_t span_count;
  uint64_t span_byte_count;
  uint64_t used_block_count;  // handed out from spans: live, or in a thread cache
  uint32_t run_block_total;   // the first few blocks of a class live in runs of their own: how many there ever were
  uint32_t is_contested;      // threads hold blocks in spans that others fill from: set under the lock, read without
  uint64_t reserved[2];
} cistern_class;

// Blocks of one size that a thread holds ready: a stack of addresses between `bottom` and `top`, with room up to `end`.
// The three are addresses inside the cache's own pages.
typedef struct cistern_bin {
  uintptr_t top;
  uintptr_t end;
  uintptr_t bottom;
  uint32_t most_bytes;  // as far as `end` may ever go from `bottom`
  uint32_t span;        // the span that refills come from, under the class's lock; 0: none
} cistern_bin;

// The blocks one thread holds ready. Its stacks follow it, in whole pages.
typedef struct cistern_cache {
  cistern_access_word access_word;
  uint64_t owner;         // thread number; 0: nobody's
  uint32_t next_page;     // the heap's next cache
  uint32_t contested_count_seen;  // the heap's count when all stacks were last looked at
  uint64_t allocation_slow_count;
  uint64_t deallocation_slow_count;
  uint32_t spare_page;         // one-page chunks of regions that were closed, linked by `older`
  uint32_t spare_page_count;
  uint32_t spare_page_limit;   // how many this thread may keep, claimed like room for blocks
  uint32_t reserved_words;
  uint64_t claimed_small_bytes;  // how much its bins of small blocks may hold
  uint64_t claimed_other_bytes;  // the same for medium blocks and spare pages
  // What this thread asked for, and what its sized frees returned: apart, so that no call waits for the last one's sum. At a place
  // in the page where the heap's header has nothing that the fast path reads: a processor that compares the low 12 bits of
  // addresses holds a load back for a store to the same place of another page.
  int64_t requested_byte_count;
  int64_t returned_byte_count;
  uint64_t reserved_word_2;
  cistern_bin bins[CISTERN_CACHE_BIN_COUNT];
} cistern_cache;

// Checked mode's queue of freed blocks, under its lock, which is taken before all others of the heap.
typedef struct cistern_quarantine {
  cistern_access_word access_word;
  cistern_lock lock;
  uint64_t head;
  uint64_t tail;
  uint64_t byte_count;
  uint64_t limit_bytes;
} cistern_quarantine;

typedef struct cistern_heap {
  cistern_access_word access_word;
  // What the fast path reads. Constant after creation.
  uint64_t incarnation;    // unique in the process, never reused; 0 in a child that did not inherit the heap
  uint64_t slot_place;     // where this heap's slot stands in every thread, see cistern_slot_place
  uint64_t size_mask;      // every block's alignment less one, 7 at least: or-ed to a size less one, it leaves 8 * class + 7
  uintptr_t base;
  uint64_t capacity_bytes;
  uint32_t page_map_offset;
  uint32_t bits_offset;
  uint32_t touched_offset;
  uint32_t first_granule;
  uint32_t capacity_granules;
  uint32_t flags;
  uint32_t registry_index;
  uint32_t depth_shift;     // small heaps have shallower caches
  uint32_t cache_list_page;  // first of the thread caches, under run_lock

  // Run heap, under run_lock.
  cistern_lock run_lock;
  uint32_t top_granule;          // below: runs; from here on: never used or given up
  uint32_t free_record;          // free span records, linked by `next`
  uint64_t used_granules;        // in allocated runs, the heap's own among them
  uint64_t used_granules_high_water;
  uint64_t top_granule_high_water;
  uint64_t touched_pages;        // pages that may be resident
  uint64_t touched_pages_high_water;
  uint64_t metadata_granules;    // runs that the heap uses itself: caches and span records
  uint64_t span_granules;
  uint64_t run_block_count;      // user blocks with a run of their own: live, or in a thread cache
  uint64_t free_run_count;
  uint64_t soft_limit_bytes;     // 0: none
  uint32_t soft_limit_reached;   // read without the lock by whoever polls
  uint32_t last_refusal;         // errno of the last commit that was refused; 0: none
  uint64_t cache_claim_bytes;    // how much all thread caches together may hold at the moment
  uint64_t cache_count;          // thread caches that have an owner
  uint64_t window_traffic_granules;
  uint64_t window_low_water_pages;
  uint64_t given_back_bytes;     // in all
  uint64_t committed_bytes;
  uint64_t committed_high_water_bytes;
  uintptr_t system_calls;        // address of the table that the heap was made with
  uint64_t bin_words[CISTERN_RUN_BIN_COUNT / 64];
  uint32_t bins[CISTERN_RUN_BIN_COUNT];  // head granule of each bin

  int64_t direct_requested_bytes;  // by calls that went past the caches
  uintptr_t report_function;
  uintptr_t report_context;
  cistern_quarantine quarantine;

  // Regions, under run_lock.
  uint64_t region_granules;       // in their chunks, those that threads keep among them
  uintptr_t free_region;          // closed records, linked by `next`
  uintptr_t free_region_tail;
  uint32_t free_region_count;
  uint32_t region_page_list;      // first of the pages of records

  uint32_t directory_count;  // directories in the heap; changed by threads that hold no lock of it
  uint32_t contested_count;  // contested classes: changed under their locks, read without
} cistern_heap;

enum {
  CISTERN_HEAP_SINGLE_THREAD = 1,
  CISTERN_HEAP_CHECKED = 2,
  CISTERN_HEAP_HUGE_PAGES = 4,
  CISTERN_HEAP_NOT_INHERITED = 8,
  CISTERN_HEAP_DESTROYED = 16,  // only the header of a checked heap is left
};

// Where the arrays in the header and in a cache stand (Swift imports a C array as a tuple, which has no index).
enum {
  CISTERN_BIN_WORDS_OFFSET = offsetof(cistern_heap, bin_words),
  CISTERN_RUN_BINS_OFFSET = offsetof(cistern_heap, bins),
  CISTERN_QUARANTINE_OFFSET = offsetof(cistern_heap, quarantine),
  CISTERN_BIN_SPAN_OFFSET = offsetof(cistern_bin, span),
  CISTERN_CACHE_BINS_OFFSET = offsetof(cistern_cache, bins),
};

static_assert(sizeof(cistern_span) == 64, "a span record");
static_assert(sizeof(cistern_class) == 64, "a size class is one cache line");
static_assert(sizeof(cistern_bin) == 32, "a bin");
static_assert(sizeof(cistern_cache) <= 4096, "a cache fits a page");
static_assert(offsetof(cistern_cache, requested_byte_count) >= offsetof(cistern_heap, size_mask) + 8,
              "the counters stand elsewhere in their page than what the fast path reads of the heap does in its own");
static_assert(sizeof(cistern_heap) <= 4096, "the header fits a page");

#endif
