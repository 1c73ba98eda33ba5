// The records of a directory of named regions. All of them are blocks of one heap and name each other by slot numbers or by
// their byte offset from the heap's base; 0 is "none" for both. What is guarded by no lock says so.
#ifndef CISTERN_TICKS_LAYOUT_H
#define CISTERN_TICKS_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "cistern_heap_layout.h"

// A region, alive or removed. Beside its name these 40 bytes are all that a tombstone costs: the record exists since the
// region was made, so a removal needs no memory.
typedef struct cistern_region_record {
  uint32_t generation;   // number of the operation that made it; 0: the slot is free
  uint32_t next;         // the next record in the one list that it is in: staged, a cell, the free queue, free slots
  uint64_t birth;        // tick
  uint64_t death;        // tick; while the live part exists, the offset of that (then its `changed` is the death, if dead)
  uint32_t name_low;     // offset of the name in units of 8 bytes
  uint16_t name_byte_count;
  uint8_t name_high;
  uint8_t state;         // cistern_record_state
  uint32_t parent;       // slot of the owner that it is listed under, or was when it went with that; 0: it has none
  uint32_t sequence;     // number of the operation that removed it; while it is alive, the slot of the sibling before it
} cistern_region_record;

enum cistern_record_state {
  CISTERN_RECORD_FREE = 0,
  CISTERN_RECORD_LIVE = 1,
  CISTERN_RECORD_STAGED = 2,     // removed in the open tick
  CISTERN_RECORD_TOMBSTONE = 3,
  CISTERN_RECORD_STATE_MASK = 3,
  CISTERN_RECORD_IS_SUBTREE_PART = 4,  // removed with its parent, whose removal is the event
  CISTERN_RECORD_HAS_CONTENT = 8,      // a tombstone that keeps its live part, for the payload in it
  CISTERN_RECORD_WOULD_GO = 16,        // only within a look at what a removal would take
  CISTERN_RECORD_OWNS_REGION = 32,     // the payload is the slot of its newest content; 0: none is left
};

// What only a region that is alive, or was until the open tick, needs. One cache line.
typedef struct cistern_live_part {
  uint64_t payload;
  uint64_t changed;         // tick of the last change or of birth
  uint64_t changed_before;  // the same, of ticks before `changed`; 0: none
  uint64_t previous;        // neighbours in the order of `changed`; with content kept for a snapshot: `next` in its list
  uint64_t next;
  uint32_t slot;
  uint32_t hash;
  uint32_t first_child;     // slots
  uint32_t next_sibling;
  uint64_t owner_links;     // offset of the first in the ring of its links; 0: none
} cistern_live_part;

// One more owner of a region, beside its parent; both are alive. It stands in two rings: in its child's, where the links to
// owners come first, and in its owner's, where those to children come last.
typedef struct cistern_owner_link {
  uint32_t owner;  // slots
  uint32_t child;
  uint64_t next_of_owner;  // offsets
  uint64_t previous_of_owner;
  uint64_t next_of_child;
  uint64_t previous_of_child;
} cistern_owner_link;

// Memory of a named region: a region of the heap (cistern_heap_layout.h) that the directory owns, from the tick in which it took the
// place of the one before to the tick in which another took its place, or its name was removed. It has a slot, whose record is no
// region's: state CISTERN_RECORD_FREE with CISTERN_RECORD_HAS_CONTENT, generation 0, `birth` the tick it came in, and this in the
// place of a live part. What replaced contents need which pins stands in the table of contents, as for payloads.
typedef struct cistern_content {
  uint64_t payload;       // the caller's word
  uint64_t changed;       // tick in which it was replaced or removed; 0: it is the one that is current
  uintptr_t region;       // the region's record
  uint64_t torn;          // no snapshot at or before this tick sees it whole: one began while it was being changed; 0: none did
  uint64_t next;          // in the lists of contents
  uint32_t slot;
  uint32_t owner;         // slot of the named region whose newest it is; 0: there is a newer one, or the name is gone
  uint32_t older;         // slots: contents of the same name
  uint32_t newer;
  uint32_t access_count;  // who is in it now; UINT32_MAX: one who may change it
  uint32_t is_doomed;     // nobody needs it: it is closed when nobody is in it any more
} cistern_content;

// A list of dead records: those of one segment of births that hang on one group of pins.
typedef struct cistern_cell {
  uint32_t head;  // slots
  uint32_t tail;
  uint64_t count;
  uint64_t byte_count;  // records and names
  uint64_t last_death;  // the greatest
} cistern_cell;

// Pins of adjoining values that are told apart no further; nearly always of one value. A dead record (b, d) is needed by it
// when b < high and low <= d.
typedef struct cistern_pin_group {
  uint64_t low;
  uint64_t high;
  uint64_t lag_deadline;        // the earliest open tick at which a member may be behind too far
  uint64_t age_deadline;        // the earliest time at which a member may be behind too long
  uint64_t held_count_limit;    // the smallest of its members
  uint64_t held_byte_limit;
  uint32_t member_count;
  uint16_t column;              // which column of the cells is its own; the row after it is that number plus 1
  uint16_t member_marks;        // cistern_group_marks, as of the last look at all readers
  uint64_t behind_since;        // time of the boundary that ended tick `high`; 0: it has not ended, or did before the group was
} cistern_pin_group;

enum cistern_group_marks {
  CISTERN_GROUP_MAY_EXPIRE = 1,  // the oldest pin of a reader that may be expired is in it
  CISTERN_GROUP_MUST_STAY = 2,   // a pin of a reader that may not is in it
};

// Groups in rising order, and the cells [row][column]. Row 0 is before the first group.
typedef struct cistern_pin_table {
  uint64_t groups;       // offset of `capacity` groups, then (capacity + 1) * capacity cells
  uint64_t used_columns;  // a bit each
  uint32_t count;
  uint32_t capacity;     // at most 64
  uint32_t is_of_contents;
  uint32_t ignores_birth;  // horizon mode
  uint64_t held_count;
  uint64_t held_byte_count;
  uint32_t queue_head;   // what no pin needs any more, in the order in which that was found
  uint32_t queue_tail;
  uint64_t queue_count;
} cistern_pin_table;

// A reader: a subscription, transaction, fork, snapshot, exporter or checkpoint. First line: its own thread publishes, the
// sealing thread reads; all of it atomically but for the batch, which is under the directory's lock. Second line: under the
// lock.
typedef struct cistern_reader {
  cistern_access_word access_word;
  uint64_t acknowledged;   // everything of ticks below is known
  uint64_t delivered;      // everything of ticks below is in the batch; 0: none
  uint64_t stored;         // a durable one: the acknowledged tick that the caller has stored; 0: none
  uint64_t note_next;      // offset of the next reader with something to collect
  uint32_t reserved_word;
  uint32_t state;          // cistern_reader_state, and CISTERN_READER_IS_NOTED: one word, so that whoever cancels does so in one step
  uint64_t batch;          // offset of its events
  uint32_t batch_count;
  uint32_t batch_serial;   // counts polls
  // Second line.
  uint64_t registered_acknowledged;  // the pins as the tables know them; 0: none
  uint64_t registered_delivered;
  uint64_t registered_stored;
  uint64_t caught_up_time;           // UINT64_MAX: it was at the open tick; its group knows since when it is behind
  uint64_t next;           // offsets: all readers, under readers_lock
  uint64_t previous;
  uint64_t limits;         // offset of its own limits, which follow the record; 0: the directory's
  uint32_t serial;         // tells readers apart that had the same place
  uint8_t reader_class;
  uint8_t flags;           // cistern_reader_flags
  uint8_t resync_reason;
  uint8_t is_registered;
} cistern_reader;

enum cistern_reader_state {
  CISTERN_READER_ACTIVE = 0,
  CISTERN_READER_LAGGING = 1,    // over a limit at the last boundary
  CISTERN_READER_EXPIRED = 2,    // pins dropped, not yet told
  CISTERN_READER_CANCELLED = 3,  // to be taken away at the next boundary; all bits, so that OR makes it of any other
  CISTERN_READER_STATE_MASK = 3,
  CISTERN_READER_IS_NOTED = 4,   // on the list of notes
};

enum cistern_reader_flags {
  CISTERN_READER_IS_DURABLE = 1,
  CISTERN_READER_HOLDS_CONTENT = 2,
  CISTERN_READER_IS_FIXED = 4,      // reads from where it began, never moves
  CISTERN_READER_IS_DETACHED = 8,   // a durable one whose owner is away
  CISTERN_READER_IS_REOPENED = 16,  // it came out of an image, and nobody has taken it up yet
};

// Readers' limits. UINT64_MAX: none.
typedef struct cistern_reader_limits {
  uint64_t lag_ticks;
  uint64_t held_count;
  uint64_t held_bytes;
  uint64_t age;
} cistern_reader_limits;

// One change as a batch lists it.
typedef struct cistern_change {
  uint64_t tick;
  uint32_t slot;
  uint32_t generation;
  uint32_t sequence;  // orders the changes of one tick
  uint32_t kind;
} cistern_change;

// One life of a directory, from its making or reopening to the image that it was reopened from. Positions after the end of the
// life before, up to `last`, are named by `identity`.
typedef struct cistern_life {
  uint64_t identity;
  uint64_t last;  // the tick that was open when the image was written
} cistern_life;

// An array in segments of one size, which never move.
typedef struct cistern_segments {
  uint64_t table;  // offset of `table_capacity` offsets of segments
  uint32_t table_capacity;
  uint32_t segment_count;
} cistern_segments;

// 256 slots.
typedef struct cistern_record_chunk {
  uint64_t records;      // offset; 0: the chunk has no memory now
  uint32_t first_free;   // slot
  uint16_t free_count;
  uint16_t reserved_half;
  uint32_t next;         // chunk number + 1, among those with a free slot, or among those without memory
  uint32_t previous;
} cistern_record_chunk;

enum { CISTERN_CHUNK_SLOT_COUNT = 256, CISTERN_NAME_ENTRY_COUNT = 7, CISTERN_NAME_MOST_BYTES = 4096 };

// One line of the name table: seven entries of hash and slot; more of them in the block at `overflow`.
typedef struct cistern_name_entry {
  uint32_t hash;
  uint32_t slot;
} cistern_name_entry;
typedef struct cistern_name_bucket {
  cistern_name_entry entries[CISTERN_NAME_ENTRY_COUNT];
  uint64_t overflow;
} cistern_name_bucket;

typedef struct cistern_directory {
  cistern_access_word access_word;
  uint64_t open;            // the tick that is being written; stored under the lock, loaded by anyone
  uint64_t note_head;       // offset of the first reader with a note; no lock
  cistern_lock lock;        // everything below, unless it says otherwise
  cistern_lock readers_lock;  // the list of readers; taken after `lock`
  uintptr_t heap;           // header of the heap; constant
  uint64_t base;            // of the heap; constant
  uint64_t identity;        // of this directory, in no other's tokens; constant
  uint64_t hash_key_0;
  uint64_t hash_key_1;
  uint64_t first_reader;    // offset; under readers_lock
  uint64_t reader_count;    // under readers_lock
  uint64_t reader_byte_count;  // under readers_lock
  uint32_t next_reader_serial;  // under readers_lock
  uint32_t flags;           // cistern_directory_flags; constant

  uint64_t floor;           // 1 + the last death of a record that was dropped though a pin could have needed it
  uint64_t time;            // as the host last told it
  uint64_t first_time;      // as it first did
  uint32_t operation_count;  // numbers operations; wraps
  uint32_t staged_head;     // slots
  uint32_t staged_tail;
  uint32_t has_over_limit;  // a reader was over a limit at the last boundary
  uint64_t staged_count;
  uint64_t staged_held_count;  // of those, born in an earlier tick: what the seal may have to keep
  uint64_t staged_held_byte_count;
  uint64_t oldest_change;   // offsets of live parts, in the order of `changed`
  uint64_t newest_change;
  uint64_t live_count;

  cistern_segments chunk_segments;
  uint32_t chunk_count;     // chunk numbers ever in use
  uint32_t open_chunk;      // chunk number + 1: first with a free slot
  uint64_t used_slot_count;
  uint32_t empty_chunk;     // chunk number + 1: one empty chunk is kept
  uint32_t vacant_chunk;    // chunk number + 1: first without memory, below chunk_count

  cistern_segments name_segments;
  uint64_t name_count;
  uint32_t bucket_count;
  uint32_t total_is_stuck;  // nothing that is over the limits in all can be let go, and no pin has moved since

  cistern_pin_table markers;
  cistern_pin_table contents;
  uint32_t content_reader_count;
  uint32_t policy;
  cistern_reader_limits reader_limits;
  uint64_t total_held_count_limit;
  uint64_t total_held_byte_limit;

  uintptr_t release_function;
  uintptr_t release_context;

  uint64_t block_byte_count;   // in blocks of the heap, readers not among them
  uint64_t name_byte_count;    // of those, names
  uint64_t live_part_count;
  uint64_t owner_link_count;
  uint64_t batch_byte_count;
  uint64_t born_total;
  uint64_t annihilated_total;
  uint64_t purged_total;
  uint64_t expired_total;
  uint64_t resync_total;
  uint64_t touched_total;      // counts each look at a record by a boundary, and by whatever moves or lists records
  uint64_t touched_last_seal;
  uint64_t touched_most;

  uint64_t lives;              // offset of the lives before this one, oldest first; constant
  uint32_t life_count;         // constant
  uint32_t is_closing;         // somebody closes what was doomed, and takes what is added meanwhile

  uint64_t content_count;      // of named regions with memory: slots that are contents'
  uint32_t staged_content;     // slots: contents replaced in the open tick
  uint32_t doomed_content;     // slots: contents to be closed when the lock is released, or by whoever is closing
} cistern_directory;

enum cistern_change_kind {
  CISTERN_CHANGE_REMOVED = 1,
  CISTERN_CHANGE_ADDED = 2,
  CISTERN_CHANGE_CHANGED = 3,
  CISTERN_CHANGE_REMOVED_WITH_PARENT = 4,
};

enum cistern_directory_flags {
  CISTERN_DIRECTORY_KEEPS_LAST_VALUE = 1,
  CISTERN_DIRECTORY_IS_CHECKED = 2,
};

// Where the parts of a directory stand (Swift has no address of a field).
enum {
  CISTERN_CHUNK_SEGMENTS_OFFSET = offsetof(cistern_directory, chunk_segments),
  CISTERN_NAME_SEGMENTS_OFFSET = offsetof(cistern_directory, name_segments),
  CISTERN_MARKERS_OFFSET = offsetof(cistern_directory, markers),
  CISTERN_CONTENTS_OFFSET = offsetof(cistern_directory, contents),
};

static_assert(sizeof(cistern_region_record) == 40, "a tombstone");
static_assert(sizeof(cistern_live_part) == 64, "a live part is one cache line");
static_assert(sizeof(cistern_owner_link) == 40, "one more owner");
static_assert(sizeof(cistern_content) == 64, "a content is one cache line");
static_assert(offsetof(cistern_content, changed) == offsetof(cistern_live_part, changed) &&
                  offsetof(cistern_content, next) == offsetof(cistern_live_part, next),
              "lists of contents hold both");
static_assert(sizeof(cistern_cell) == 32, "a cell");
static_assert(sizeof(cistern_pin_group) == 64, "a group of pins");
static_assert(sizeof(cistern_reader) == 128, "a reader is two cache lines");
static_assert(sizeof(cistern_change) == 24, "a change");
static_assert(sizeof(cistern_life) == 16, "a life");
static_assert(sizeof(cistern_name_bucket) == 64, "a bucket of names is one cache line");
static_assert(sizeof(cistern_record_chunk) == 24, "a chunk's descriptor");

#endif
