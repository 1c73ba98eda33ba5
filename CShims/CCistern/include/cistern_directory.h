// The part of cistern.h about directories, which includes this file: names that come and go, and readers that are told what changed
// since they last looked. A tick is what lies between two seals; a removed name leaves a tombstone until no reader needs it.
//
// Any thread may call anything at any time, but for a reader, which is one thread's at a time. A directory and its readers live in
// their heap, and not longer; cistern_discard refuses while one is there. A call that fails has changed nothing. A child of fork
// must not use a directory that another thread was in. NULL for a directory is CISTERN_INVALID_HANDLE,
// as is a reader that is all zero; one that was cancelled, detached or destroyed with its directory must not be used, as what was
// given to free().
#ifndef CISTERN_DIRECTORY_H
#define CISTERN_DIRECTORY_H

#include "cistern.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#endif

typedef struct cistern_directory cistern_directory;
typedef struct cistern_region cistern_region;  // cistern_region.h says what one is
// 1 and up; 0 is no tick. As a reader's position, t means: everything of the ticks before t is known.
typedef uint64_t cistern_tick;
// Which region of a directory; 0 is none. Never given to another region while a tombstone names it.
typedef uint64_t cistern_name_id;

enum { CISTERN_RETAIN_INTERVAL = 0, CISTERN_RETAIN_HORIZON = 1 };
enum { CISTERN_EXPIRE_OFFENDER = 0, CISTERN_PUSH_BACK = 1, CISTERN_UNBOUNDED = 2 };

// Bounds on what one reader may hold; 0 is no bound.
typedef struct cistern_directory_limits {
  uint64_t lag_ticks;   // ticks behind the open one
  uint64_t held_count;  // tombstones
  uint64_t held_bytes;  // of tombstones with their names
  uint64_t age;         // since the reader last knew everything, in the unit of the times that cistern_directory_seal is given
} cistern_directory_limits;

// Called with the payload of a region whose content is not needed any more; the directory is locked, and must not be called.
typedef void (*cistern_payload_release)(uintptr_t context, uint64_t payload);

// Zero in every field but the first is the default.
typedef struct cistern_directory_options {
  size_t struct_byte_count;   // sizeof(cistern_directory_options)
  uint32_t retention;         // CISTERN_RETAIN_*: a tombstone is kept while a reader between birth and removal, or any older one, is there
  uint32_t policy;            // what happens at the limits: the reader expires, removals are refused, nothing
  cistern_directory_limits reader_limits;  // for readers without their own that are not durable
  uint64_t held_count_limit;  // of all readers together; 0: none
  uint64_t held_bytes_limit;  // 0: 64 MiB
  uint64_t hash_seed;         // of the names; 0: from the system's randomness
  cistern_tick first_tick;    // 0: 1
  cistern_payload_release _Nullable release;
  uintptr_t release_context;
  bool keeps_last_value;      // a removed region's payload is released with its tombstone, not when the tick ends
  bool checked;               // reading changes at a tick that no live pin covers is refused, also where it would be right
  uint8_t reserved[6];        // zero
} cistern_directory_options;

// Options may be NULL. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _EXHAUSTED, _TICK_EXHAUSTED.
cistern_status cistern_directory_create(cistern_heap *_Nullable heap, const cistern_directory_options *_Nullable options,
                                        cistern_directory *_Nullable *_Nullable directory);
// Releases every payload it has, closes its regions and gives its memory back. No other call may be in progress; cleanup actions of
// those regions may use the directory, whose names have no memory then (but may not destroy it, nor make regions without end).
// Proportional to what the directory holds, and closing the regions. Errors: CISTERN_INVALID_HANDLE.
cistern_status cistern_directory_destroy(cistern_directory *_Nullable directory);

// ---- Names

// Makes a region of a name of 0 to 4096 bytes, compared bytewise. parent: its first owner, with the last of which it goes; 0: none.
// payload: a word of the caller's, 0 for none. *id is the new region; for CISTERN_NAME_TAKEN the one that has the name. Errors:
// CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _NAME_TOO_LONG, _NAME_TAKEN, _UNKNOWN_REGION and _REGION_REMOVED (the parent), _EXHAUSTED.
cistern_status cistern_directory_add(cistern_directory *_Nullable directory, const void *_Nullable name, size_t name_byte_count,
                                     cistern_name_id parent, uint64_t payload, cistern_name_id *_Nullable id);
// Says that a region's content changed in the open tick. Constant. Errors: CISTERN_INVALID_HANDLE, _UNKNOWN_REGION, _REGION_REMOVED.
cistern_status cistern_directory_mark_changed(cistern_directory *_Nullable directory, cistern_name_id id);
// Removes a region and all whose last owner goes with it, as one event; *count (may be NULL) is how many. Needs no memory. Errors:
// CISTERN_INVALID_HANDLE, _UNKNOWN_REGION, _REGION_REMOVED; under CISTERN_PUSH_BACK _RETENTION_EXHAUSTED.
cistern_status cistern_directory_remove(cistern_directory *_Nullable directory, cistern_name_id id, uint64_t *_Nullable count);
// Makes a region an owner of another, beside those that it has, or the first of one that has none: the child goes when the last of
// them does. The owner is made before the child, in an earlier tick or earlier in the same. No event tells of it. Proportional to the
// owners of the child or to what the owner shares with others, whichever is less. Errors: CISTERN_INVALID_HANDLE, _UNKNOWN_REGION and
// _REGION_REMOVED (either), _OWNER_TOO_YOUNG, _ALREADY_OWNER; _EXHAUSTED, not for the first owner.
cistern_status cistern_directory_add_owner(cistern_directory *_Nullable directory, cistern_name_id owner, cistern_name_id child);
// Takes an owner away from a region that lives on: under its other owners, or, when this was the last (*is_owned, which may be NULL,
// is false then), without one until it is removed itself or owned anew. Needs no memory. Errors: CISTERN_INVALID_HANDLE,
// _UNKNOWN_REGION and _REGION_REMOVED (either), _NOT_OWNER.
cistern_status cistern_directory_remove_owner(cistern_directory *_Nullable directory, cistern_name_id owner, cistern_name_id child,
                                              bool *_Nullable is_owned);
// Copies as many of a living region's owners as fit, its parent first; returns how many it has, 0 also for one that is not alive.
size_t cistern_directory_copy_owners(cistern_directory *_Nullable directory, cistern_name_id id, cistern_name_id *_Nullable owners,
                                     size_t capacity);
// The living region of a name; 0 when there is none.
cistern_name_id cistern_directory_look_up(cistern_directory *_Nullable directory, const void *_Nullable name, size_t name_byte_count);

typedef struct cistern_name_status {
  size_t struct_byte_count;   // sizeof(cistern_name_status)
  cistern_tick birth;         // of a living region
  cistern_tick last_change;   // of a living region
  cistern_tick removed_at;    // 0: it is alive
  cistern_name_id parent;     // that it was made under; when that went before it, another of its owners; 0: none
  uint64_t payload;           // 0 also where it has been released
  uint64_t name_byte_count;
} cistern_name_status;

// What is known of a region, alive or removed. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, and _UNKNOWN_REGION for one that never
// was, or whose tombstone is gone.
cistern_status cistern_directory_read_name(cistern_directory *_Nullable directory, cistern_name_id id,
                                           cistern_name_status *_Nullable status);
// Copies as much of a region's name as fits; returns the bytes of all of it, 0 also for an unknown region.
size_t cistern_directory_copy_name(cistern_directory *_Nullable directory, cistern_name_id id, void *_Nullable name, size_t capacity);
// Gives a living region another payload; the old one (*old, which may be NULL) is the caller's then. Errors: as mark_changed.
cistern_status cistern_directory_set_payload(cistern_directory *_Nullable directory, cistern_name_id id, uint64_t payload,
                                             uint64_t *_Nullable old);

// ---- Boundaries

typedef struct cistern_seal_report {
  size_t struct_byte_count;    // sizeof(cistern_seal_report)
  cistern_tick tick;           // that ended
  uint64_t removed_count;      // in it, those below removed ones among them
  uint64_t annihilated_count;  // of those: needed by nobody
  uint64_t retained_count;     // of those: needed by some reader
  uint64_t purged_count;       // tombstones freed
  uint64_t backlog_count;      // needed by nobody, left for later
  uint64_t touched_count;      // records looked at
  uint64_t lagging_count;      // readers over a limit that were warned
  uint64_t expired_count;      // readers that lost their pins
} cistern_seal_report;

// The tick being written; 0 for NULL. No lock.
cistern_tick cistern_directory_open_tick(const cistern_directory *_Nullable directory);
// Ends the open tick. budget: how many tombstones to free at most; UINT64_MAX: twice the removals of the tick, at least 64. time: the
// host's clock, for the age of readers; 0: as before. report may be NULL. Proportional to the removals of the tick, the readers that
// moved, and the budget, and closing the regions that nobody needs any more (below). Errors: CISTERN_INVALID_HANDLE,
// _INVALID_ARGUMENT, _TICK_EXHAUSTED.
cistern_status cistern_directory_seal(cistern_directory *_Nullable directory, uint64_t budget, uint64_t time,
                                      cistern_seal_report *_Nullable report);
// For idle hosts: frees up to `budget` of the tombstones and regions (below) that nobody needs any more, which closes those regions;
// returns how many are left.
uint64_t cistern_directory_maintain(cistern_directory *_Nullable directory, uint64_t budget);

// ---- Readers

// A reader; plain data.
typedef struct cistern_directory_reader {
  uint64_t words[2];
} cistern_directory_reader;

// Where a durable reader is, to be stored by the caller; plain data, as long as the directory lives, in all lives that its images give it.
typedef struct cistern_reader_position {
  uint64_t directory_identity;
  uint64_t reader_serial;
  cistern_tick tick;
} cistern_reader_position;

enum {
  CISTERN_READER_SUBSCRIPTION = 0,  // polls, acknowledges, moves on
  CISTERN_READER_TRANSACTION = 1,   // the others stay where they began
  CISTERN_READER_FORK = 2,
  CISTERN_READER_SNAPSHOT = 3,      // holds payloads, too
  CISTERN_READER_EXPORTER = 4,
  CISTERN_READER_CHECKPOINT = 5,
};

// Zero in every field but the first is the default: a subscription.
typedef struct cistern_reader_options {
  size_t struct_byte_count;         // sizeof(cistern_reader_options)
  cistern_directory_limits limits;  // when has_limits; otherwise the directory's, none for a durable reader
  uint32_t kind;                    // CISTERN_READER_*
  bool has_limits;
  bool durable;                     // holds also what was last stored
  uint8_t reserved[2];              // zero
} cistern_reader_options;

// What a poll found; plain data. A resync says: something was dropped; list the baseline, and go on from `tick`.
typedef struct cistern_batch {
  size_t struct_byte_count;   // sizeof(cistern_batch)
  cistern_tick tick;          // everything of the ticks before this one is in it
  uint64_t count;             // events
  uint64_t descendant_count;  // regions that went with their parent: events from `count` on
  uint32_t resync_reason;     // CISTERN_RESYNC_*; 0: there is none
  uint32_t reserved;
  uint64_t words[3];          // the library's
} cistern_batch;

enum {
  CISTERN_RESYNC_LAG = 1,
  CISTERN_RESYNC_HELD_COUNT = 2,
  CISTERN_RESYNC_HELD_BYTES = 3,
  CISTERN_RESYNC_AGE = 4,
  CISTERN_RESYNC_RETENTION = 5,         // all readers together held too much
  CISTERN_RESYNC_PURGED = 6,            // no pin covers the tick asked for
  CISTERN_RESYNC_FUTURE = 7,            // the tick asked for is not over, or was in a life of the directory that is lost
  CISTERN_RESYNC_OTHER_DIRECTORY = 8,
};

typedef struct cistern_event {
  cistern_tick tick;   // for a change the last
  cistern_name_id id;
  uint32_t kind;       // CISTERN_EVENT_*
  uint32_t reserved;
} cistern_event;

enum {
  CISTERN_EVENT_REMOVED = 1,
  CISTERN_EVENT_ADDED = 2,
  CISTERN_EVENT_CHANGED = 3,
  CISTERN_EVENT_REMOVED_WITH_PARENT = 4,
};

// Enters a reader that knows everything of the ticks before the open one. Options may be NULL. Errors: CISTERN_INVALID_HANDLE,
// _INVALID_ARGUMENT, _EXHAUSTED, _TOO_MANY_SNAPSHOTS.
cistern_status cistern_directory_attach(cistern_directory *_Nullable directory, const cistern_reader_options *_Nullable options,
                                        cistern_directory_reader *_Nullable reader);
// The same at an earlier tick. CISTERN_RESYNC: the changes since are not all there any more, and the reader stands at the open tick;
// *reason says why. Errors: those above.
cistern_status cistern_directory_resume_at(cistern_directory *_Nullable directory, cistern_tick tick,
                                           const cistern_reader_options *_Nullable options,
                                           cistern_directory_reader *_Nullable reader, uint32_t *_Nullable reason);
// Takes a durable reader up where its stored state says. Errors: as cistern_directory_resume_at.
cistern_status cistern_directory_resume(cistern_directory *_Nullable directory, const cistern_reader_position *_Nullable position,
                                        const cistern_directory_limits *_Nullable limits,
                                        cistern_directory_reader *_Nullable reader, uint32_t *_Nullable reason);
// Enters a second reader where the first is. Errors: those of attach, and CISTERN_NOT_PINNED when the first has expired.
cistern_status cistern_directory_clone(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                       cistern_directory_reader *_Nullable clone);
// Takes a reader out. No lock. Errors: CISTERN_INVALID_HANDLE.
cistern_status cistern_directory_cancel(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader);

// What changed in the ticks that are over and that the reader has not acknowledged, in order of tick. The answer stays until it is
// acknowledged or another poll replaces it. CISTERN_RESYNC: the reader had expired and stands at the open tick now. Errors:
// CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _EXHAUSTED.
cistern_status cistern_directory_poll(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                      cistern_batch *_Nullable batch);
// One event of the reader's newest batch, 0 to count + descendant_count - 1. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, and
// _NOT_PINNED for a batch that it does not hold any more.
cistern_status cistern_directory_event(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                       const cistern_batch *_Nullable batch, uint64_t index, cistern_event *_Nullable event);
// Which events of the batch are the regions that went with the one removed at `index`. Errors: as cistern_directory_event.
cistern_status cistern_directory_descendants(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                             const cistern_batch *_Nullable batch, uint64_t index, uint64_t *_Nullable first,
                                             uint64_t *_Nullable count);
// The batch has been dealt with: the reader moves to its tick. No lock. CISTERN_REPEATED: it was there already. Errors:
// CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _SUPERSEDED, _FOREIGN_BATCH, _EXPIRED, _FIXED_READER.
cistern_status cistern_directory_acknowledge(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                             const cistern_batch *_Nullable batch);
// Lists what was alive where a reader is, `capacity` at a time, as additions in no order. *cursor is 0 at first, *count 0 at the end.
// Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT, _NOT_PINNED when the reader has expired.
cistern_status cistern_directory_baseline(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                          uint32_t *_Nullable cursor, cistern_event *_Nullable events, size_t capacity,
                                          size_t *_Nullable count);

// Where a durable reader is. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT.
cistern_status cistern_directory_position(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                          cistern_reader_position *_Nullable position);
// The state is stored; the one before is let go. Errors: those above, and CISTERN_INVALID_ARGUMENT for any state but
// that where the reader is and the one stored: nothing holds what another needs.
cistern_status cistern_directory_note_stored(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                             const cistern_reader_position *_Nullable position);
// Leaves a durable reader's pins until cistern_directory_resume or cistern_directory_forget. Errors: as cistern_directory_position.
cistern_status cistern_directory_detach(cistern_directory *_Nullable directory, const cistern_directory_reader *_Nullable reader,
                                        cistern_reader_position *_Nullable position);
// Cancels a detached reader. Errors: CISTERN_INVALID_HANDLE, CISTERN_INVALID_ARGUMENT when there is none.
cistern_status cistern_directory_forget(cistern_directory *_Nullable directory, const cistern_reader_position *_Nullable position);

// ---- Images

// An image is the directory as plain bytes, for another heap, process or machine: names, ids, tombstones, the removals of the open
// tick, durable readers with their pins and limits, options, totals, payloads. Not in it: readers that are not durable, batches, and
// the memory of named regions (below): those are in it as regions without any, with payload 0, to be removed and made anew.
// A host that stores images
//   writes one at any time, and makes its bytes durable;
//   then says so for the durable readers whose positions are stored in nothing else (cistern_directory_note_stored, with the position
//   taken before the image was written), which lets go of what the position before needed;
//   after reopening gives the payloads that mean something today, and takes the durable readers up, or forgets them.
// What a reader reached after the image was written is lost: a position of it is answered with CISTERN_RESYNC, also later.

// What is wrong with an image, and the byte at which it shows.
typedef struct cistern_image_damage {
  size_t struct_byte_count;  // sizeof(cistern_image_damage)
  uint64_t byte_offset;
  uint32_t kind;             // CISTERN_DAMAGE_*; 0: nothing
  uint32_t reserved;
} cistern_image_damage;

enum {
  CISTERN_DAMAGE_NOT_AN_IMAGE = 1,
  CISTERN_DAMAGE_VERSION = 2,
  CISTERN_DAMAGE_TRUNCATED = 3,       // it ends before what it announces
  CISTERN_DAMAGE_TRAILING_BYTES = 4,  // it is longer than what it announces
  CISTERN_DAMAGE_CHECKSUM = 5,        // some bytes are not those that were written
  CISTERN_DAMAGE_OPTIONS = 6,         // from here on: fields that contradict each other
  CISTERN_DAMAGE_TICK = 7,
  CISTERN_DAMAGE_COUNTS = 8,
  CISTERN_DAMAGE_HISTORY = 9,
  CISTERN_DAMAGE_READER = 10,
  CISTERN_DAMAGE_REGION = 11,
  CISTERN_DAMAGE_NAME = 12,
  CISTERN_DAMAGE_OWNER = 13,
  CISTERN_DAMAGE_CHANGE = 14,
};

// Zero in every field but the first is the default; what else a directory is like, its image says.
typedef struct cistern_reopen_options {
  size_t struct_byte_count;   // sizeof(cistern_reopen_options)
  uint64_t hash_seed;         // of the names; 0: from the system's randomness
  cistern_payload_release _Nullable release;
  uintptr_t release_context;
} cistern_reopen_options;

// Bytes of the image that would be written now; 0 for NULL. Changes of other threads can make it larger.
size_t cistern_directory_image_byte_count(cistern_directory *_Nullable directory);
// Writes the image. The same state gives the same bytes. *byte_count is how many it has, also for CISTERN_BUFFER_TOO_SMALL, when the
// buffer's content is undefined. Proportional to what the directory holds, which is locked meanwhile. Errors: CISTERN_INVALID_HANDLE,
// _INVALID_ARGUMENT, _BUFFER_TOO_SMALL.
cistern_status cistern_directory_write_image(cistern_directory *_Nullable directory, void *_Nullable image, size_t capacity,
                                             size_t *_Nullable byte_count);
// Makes a directory of an image, in any heap. The bytes may be damaged, or an enemy's, and stand anywhere. Options and damage may be
// NULL. The release function is called for no payload before this returns. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT,
// _EXHAUSTED, _NOT_AN_IMAGE, _IMAGE_VERSION, _IMAGE_DAMAGED; nothing is left behind then.
cistern_status cistern_directory_reopen(cistern_heap *_Nullable heap, const void *_Nullable image, size_t byte_count,
                                        const cistern_reopen_options *_Nullable options,
                                        cistern_directory *_Nullable *_Nullable directory, cistern_image_damage *_Nullable damage);
// Releases no payload from now on, at the end neither: those that an image has are its. Errors: CISTERN_INVALID_HANDLE.
cistern_status cistern_directory_keep_payloads(cistern_directory *_Nullable directory);

// Given a region's name and payload, answers what its payload is from now on; the directory is locked, and must not be called.
typedef uint64_t (*cistern_payload_replacement)(uintptr_t context, cistern_name_id id, const void *_Nullable name, size_t name_byte_count,
                                                uint64_t payload);
// Calls it for each payload that the directory has, of removed regions too. Releases none, and marks nothing as changed. Errors:
// CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT.
cistern_status cistern_directory_replace_payloads(cistern_directory *_Nullable directory, uintptr_t context,
                                                  cistern_payload_replacement _Nullable replacement);
// Where the durable reader without an owner is that was entered next after the one of a serial. False: there is no other. The first one
// follows serial 0.
bool cistern_directory_next_detached(cistern_directory *_Nullable directory, uint64_t after_serial,
                                     cistern_reader_position *_Nullable position);

// ---- Names with memory of their own: regions (cistern_region.h) that the directory owns

// As cistern_directory_add, of a region with memory. *region: one that stands alone in the directory's heap, is open, on no thread's
// stack and no directory's, which is this directory's from now on; NULL: a new one is made and handed out. payload: the caller's word
// about what is in it, such as the address of its root; the release function does not see it. The region is closed after its name is
// removed or another takes its place. One that came in the open tick and is replaced in it: by cistern_directory_replace_region,
// within the call. Else, when no snapshot sees it: by the cistern_directory_seal that ends that tick. Else, when the last snapshot that
// sees it has gone: by the next cistern_directory_seal or cistern_directory_maintain whose budget reaches it. And with the directory.
// Where two threads are at it, or a cleanup action, one of them closes for all. Until then it is used as any other, by one thread at a
// time, and no thread may be in it during a call of those three, or of cistern_directory_destroy, that may close it;
// cistern_region_destroy closes it early. Errors: as cistern_directory_add, and _INVALID_ARGUMENT, _REGION_CLOSED, _REGION_BUSY for a
// region that is not as it must be. It is the caller's then, and NULL where it was.
cistern_status cistern_directory_add_region(cistern_directory *_Nullable directory, const void *_Nullable name, size_t name_byte_count,
                                            cistern_name_id parent, cistern_region *_Nullable *_Nullable region, uint64_t payload,
                                            cistern_name_id *_Nullable id);
// Puts another region, as above, in the place of a living one's, and marks that changed. A snapshot goes on seeing the one before,
// which is closed as said above: within this call when it came in the open tick. Errors: CISTERN_INVALID_HANDLE, _INVALID_ARGUMENT,
// _REGION_CLOSED, _REGION_BUSY, _UNKNOWN_REGION, _REGION_REMOVED, _EXHAUSTED, and _NO_REGION for one without memory. The region is the
// caller's then.
cistern_status cistern_directory_replace_region(cistern_directory *_Nullable directory, cistern_name_id id,
                                                cistern_region *_Nullable region, uint64_t payload);
// The memory of a named region and its payload (either may be NULL): now, or where a snapshot, `reader`, stands; NULL: now.
// What a snapshot sees must not be changed. Errors: CISTERN_INVALID_HANDLE, _UNKNOWN_REGION, _NO_REGION, and _REGION_REMOVED without
// a reader, _NOT_PINNED with one that is no snapshot or has expired.
cistern_status cistern_directory_region(cistern_directory *_Nullable directory, cistern_name_id id,
                                        const cistern_directory_reader *_Nullable reader, cistern_region *_Nullable *_Nullable region,
                                        uint64_t *_Nullable payload);

// ---- Accounting

// Bytes, unless the name says otherwise.
typedef struct cistern_directory_statistics {
  size_t struct_byte_count;   // sizeof(cistern_directory_statistics)
  cistern_tick open_tick;
  cistern_tick floor;         // ticks from here on are answered exactly without a pin
  cistern_tick horizon;       // the oldest pin; the open tick when there is none
  uint64_t live_count;
  uint64_t tombstone_count;   // that some reader needs
  uint64_t tombstone_bytes;   // of those, with their names
  uint64_t staged_count;      // removed in the open tick
  uint64_t backlog_count;     // that nobody needs and that are not freed yet
  uint64_t born_total;
  uint64_t annihilated_total;
  uint64_t purged_total;
  uint64_t expired_total;     // readers
  uint64_t resync_total;
  uint64_t reader_count;
  uint64_t total_bytes;       // of the heap, as asked for: all of the following, and tables
  uint64_t name_bytes;
  uint64_t batch_bytes;
  uint64_t reader_bytes;
  uint64_t owner_bytes;       // owners beyond the first of each region
  uint64_t owned_region_count;  // regions of the heap: of living names, and kept for snapshots
} cistern_directory_statistics;

// Constant. Errors: CISTERN_INVALID_HANDLE, CISTERN_INVALID_ARGUMENT.
cistern_status cistern_directory_read_statistics(cistern_directory *_Nullable directory,
                                                 cistern_directory_statistics *_Nullable statistics);
// Compares the directory's structures with each other. Errors: CISTERN_INVALID_HANDLE, CISTERN_INCONSISTENT.
cistern_status cistern_directory_verify(cistern_directory *_Nullable directory);

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

#ifdef __cplusplus
}
#endif
#endif
