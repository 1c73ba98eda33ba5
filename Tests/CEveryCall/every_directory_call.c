#include "every_directory_call.h"

#include <cistern.h>
#include <string.h>

#include "check.h"

static cistern_heap *made(uint64_t capacity_bytes) {
  cistern_heap_options options;
  cistern_heap *heap = NULL;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.capacity_bytes = capacity_bytes;
  check(__LINE__, cistern_heap_create(&options, &heap) == CISTERN_OK);
  return heap;
}

static uint64_t released_sum;

static void release(uintptr_t context, uint64_t payload) { released_sum += context + payload; }

static cistern_directory_options options_of(void) {
  cistern_directory_options options;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.release = release;
  options.release_context = 1000;
  options.hash_seed = 7;
  return options;
}

static cistern_name_id added(cistern_directory *directory, const char *name, cistern_name_id parent, uint64_t payload) {
  cistern_name_id id = 0;
  check(__LINE__, cistern_directory_add(directory, name, strlen(name), parent, payload, &id) == CISTERN_OK && id != 0);
  return id;
}

static void seal(cistern_directory *directory) {
  check(__LINE__, cistern_directory_seal(directory, UINT64_MAX, 0, NULL) == CISTERN_OK);
}

static cistern_batch polled(cistern_directory *directory, const cistern_directory_reader *reader) {
  cistern_batch batch;
  memset(&batch, 0, sizeof batch);
  batch.struct_byte_count = sizeof batch;
  check(__LINE__, cistern_directory_poll(directory, reader, &batch) == CISTERN_OK && batch.resync_reason == 0);
  return batch;
}

static cistern_event event_of(cistern_directory *directory, const cistern_directory_reader *reader, const cistern_batch *batch,
                              uint64_t index) {
  cistern_event event;
  check(__LINE__, cistern_directory_event(directory, reader, batch, index, &event) == CISTERN_OK);
  return event;
}

static void names(cistern_directory *directory) {
  char name[4100], copy[16];
  cistern_name_id id = 0, other = 0;
  cistern_name_status status;
  uint64_t count = 0, old = 0;
  memset(name, 'n', sizeof name);
  memset(&status, 0, sizeof status);
  status.struct_byte_count = sizeof status;
  check(__LINE__, cistern_directory_add(directory, name, 4097, 0, 0, &id) == CISTERN_NAME_TOO_LONG && id == 0);
  check(__LINE__, cistern_directory_add(directory, NULL, 1, 0, 0, &id) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_add(directory, "a", 1, 77, 0, &id) == CISTERN_UNKNOWN_REGION);
  check(__LINE__, cistern_directory_add(directory, NULL, 0, 0, 0, &other) == CISTERN_OK);
  check(__LINE__, cistern_directory_look_up(directory, NULL, 0) == other && cistern_directory_look_up(directory, "a", 1) == 0);
  id = added(directory, "inputs", 0, 5);
  check(__LINE__, cistern_directory_add(directory, "inputs", 6, 0, 0, &other) == CISTERN_NAME_TAKEN && other == id);
  other = added(directory, "inputs/a", id, 6);
  check(__LINE__, cistern_directory_read_name(directory, other, &status) == CISTERN_OK && status.parent == id && status.payload == 6);
  check(__LINE__, status.birth == 1 && status.removed_at == 0 && status.name_byte_count == 8);
  check(__LINE__, cistern_directory_copy_name(directory, other, copy, 6) == 8 && memcmp(copy, "inputs", 6) == 0);
  check(__LINE__, cistern_directory_set_payload(directory, other, 8, &old) == CISTERN_OK && old == 6);
  check(__LINE__, cistern_directory_mark_changed(directory, id) == CISTERN_OK);
  released_sum = 0;
  check(__LINE__, cistern_directory_remove(directory, id, &count) == CISTERN_OK && count == 2 && released_sum == 0);
  check(__LINE__, cistern_directory_remove(directory, id, &count) == CISTERN_REGION_REMOVED && count == 0);
  check(__LINE__, cistern_directory_mark_changed(directory, other) == CISTERN_REGION_REMOVED);
  check(__LINE__, cistern_directory_read_name(directory, id, &status) == CISTERN_OK && status.removed_at == 1);
  seal(directory);
  // Nobody was there to be told, and no snapshot began before the tick was over.
  check(__LINE__, released_sum == 2013);
  check(__LINE__, cistern_directory_read_name(directory, id, &status) == CISTERN_UNKNOWN_REGION);
  check(__LINE__, cistern_directory_copy_name(directory, id, copy, 6) == 0 && cistern_directory_verify(directory) == CISTERN_OK);
}

static void subscription(cistern_directory *directory) {
  cistern_directory_reader reader, second;
  cistern_batch batch, older;
  cistern_event events[3];
  uint32_t cursor = 0;
  uint64_t first = 0, count = 0;
  size_t listed = 0;
  cistern_name_id kept = added(directory, "kept", 0, 0), parent = added(directory, "parent", 0, 0);
  added(directory, "parent/a", parent, 0);
  added(directory, "parent/b", parent, 0);
  seal(directory);
  check(__LINE__, cistern_directory_attach(directory, NULL, &reader) == CISTERN_OK);
  check(__LINE__, cistern_directory_clone(directory, &reader, &second) == CISTERN_OK);
  check(__LINE__, cistern_directory_baseline(directory, &reader, &cursor, events, 3, &listed) == CISTERN_OK && listed == 3);
  check(__LINE__, cistern_directory_baseline(directory, &reader, &cursor, events, 3, &listed) == CISTERN_OK && listed == 2);
  check(__LINE__, events[0].kind == CISTERN_EVENT_ADDED && events[0].tick <= 2);
  check(__LINE__, cistern_directory_baseline(directory, &reader, &cursor, events, 3, &listed) == CISTERN_OK && listed == 0);
  check(__LINE__, cistern_directory_mark_changed(directory, kept) == CISTERN_OK);
  check(__LINE__, cistern_directory_remove(directory, parent, &count) == CISTERN_OK && count == 3);
  cistern_name_id fresh = added(directory, "fresh", 0, 0);
  seal(directory);
  batch = polled(directory, &reader);
  check(__LINE__, batch.count == 3 && batch.descendant_count == 2 && batch.tick == cistern_directory_open_tick(directory));
  bool has_removed = false, has_added = false, has_changed = false;
  for (uint64_t index = 0; index < batch.count; index++) {
    cistern_event event = event_of(directory, &reader, &batch, index);
    has_added = has_added || (event.kind == CISTERN_EVENT_ADDED && event.id == fresh);
    has_changed = has_changed || (event.kind == CISTERN_EVENT_CHANGED && event.id == kept);
    if (event.kind != CISTERN_EVENT_REMOVED) continue;
    has_removed = event.id == parent;
    check(__LINE__, cistern_directory_descendants(directory, &reader, &batch, index, &first, &count) == CISTERN_OK);
    check(__LINE__, first == 3 && count == 2);
    check(__LINE__, event_of(directory, &reader, &batch, first).kind == CISTERN_EVENT_REMOVED_WITH_PARENT);
  }
  check(__LINE__, has_removed && has_added && has_changed);
  check(__LINE__, cistern_directory_event(directory, &reader, &batch, 5, events) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_event(directory, &second, &batch, 0, events) == CISTERN_NOT_PINNED);
  older = batch;
  older.count = 1000;
  check(__LINE__, cistern_directory_event(directory, &reader, &older, 0, events) == CISTERN_NOT_PINNED);
  older = batch;
  batch = polled(directory, &reader);
  check(__LINE__, cistern_directory_acknowledge(directory, &reader, &older) == CISTERN_SUPERSEDED);
  check(__LINE__, cistern_directory_event(directory, &reader, &older, 0, events) == CISTERN_NOT_PINNED);
  check(__LINE__, cistern_directory_acknowledge(directory, &second, &batch) == CISTERN_FOREIGN_BATCH);
  check(__LINE__, cistern_directory_acknowledge(directory, &reader, &batch) == CISTERN_OK);
  check(__LINE__, cistern_directory_acknowledge(directory, &reader, &batch) == CISTERN_REPEATED);
  check(__LINE__, cistern_directory_event(directory, &reader, &batch, 0, events) == CISTERN_NOT_PINNED);
  check(__LINE__, polled(directory, &second).count == 3 && polled(directory, &reader).count == 0);
  check(__LINE__, cistern_directory_cancel(directory, &second) == CISTERN_OK);
  check(__LINE__, cistern_directory_cancel(directory, &reader) == CISTERN_OK);
  seal(directory);
  check(__LINE__, cistern_directory_maintain(directory, 1000) == 0 && cistern_directory_verify(directory) == CISTERN_OK);
}

static void durable(cistern_directory *directory) {
  cistern_reader_options options;
  cistern_directory_reader reader, fixed;
  cistern_reader_position position, stored;
  cistern_batch batch;
  uint32_t reason = 0;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.durable = true;
  check(__LINE__, cistern_directory_attach(directory, &options, &reader) == CISTERN_OK);
  check(__LINE__, cistern_directory_position(directory, &reader, &stored) == CISTERN_OK);
  check(__LINE__, cistern_directory_note_stored(directory, &reader, &stored) == CISTERN_OK);
  position = stored;
  position.tick += 10;
  check(__LINE__, cistern_directory_note_stored(directory, &reader, &position) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_detach(directory, &reader, &position) == CISTERN_OK && position.tick == stored.tick);
  added(directory, "while away", 0, 0);
  seal(directory);
  check(__LINE__, cistern_directory_resume(directory, &stored, NULL, &reader, &reason) == CISTERN_OK && reason == 0);
  batch = polled(directory, &reader);
  check(__LINE__, batch.count == 1 && cistern_directory_acknowledge(directory, &reader, &batch) == CISTERN_OK);
  check(__LINE__, cistern_directory_detach(directory, &reader, &position) == CISTERN_OK);
  check(__LINE__, cistern_directory_forget(directory, &position) == CISTERN_OK);
  seal(directory);
  check(__LINE__, cistern_directory_forget(directory, &position) == CISTERN_INVALID_ARGUMENT);
  stored.directory_identity ^= 2;
  check(__LINE__, cistern_directory_resume(directory, &stored, NULL, &reader, &reason) == CISTERN_RESYNC);
  check(__LINE__, reason == CISTERN_RESYNC_OTHER_DIRECTORY && cistern_directory_cancel(directory, &reader) == CISTERN_OK);
  check(__LINE__, cistern_directory_resume_at(directory, 1, NULL, &reader, &reason) == CISTERN_RESYNC);
  check(__LINE__, reason == CISTERN_RESYNC_PURGED && cistern_directory_cancel(directory, &reader) == CISTERN_OK);
  check(__LINE__, cistern_directory_resume_at(directory, 1 << 30, NULL, &reader, &reason) == CISTERN_RESYNC);
  check(__LINE__, reason == CISTERN_RESYNC_FUTURE && cistern_directory_cancel(directory, &reader) == CISTERN_OK);
  options.durable = false;
  options.kind = CISTERN_READER_TRANSACTION;
  check(__LINE__, cistern_directory_attach(directory, &options, &fixed) == CISTERN_OK);
  added(directory, "later", 0, 0);
  seal(directory);
  batch = polled(directory, &fixed);
  check(__LINE__, batch.count == 1 && cistern_directory_acknowledge(directory, &fixed, &batch) == CISTERN_FIXED_READER);
  check(__LINE__, cistern_directory_cancel(directory, &fixed) == CISTERN_OK);
  options.kind = 99;
  check(__LINE__, cistern_directory_attach(directory, &options, &fixed) == CISTERN_INVALID_ARGUMENT);
}

// A reader that holds too much is warned at one boundary, expires at the next, and hears it at its next poll.
static void expiry(cistern_directory *directory) {
  cistern_reader_options options;
  cistern_directory_reader reader;
  cistern_batch batch;
  cistern_seal_report report;
  memset(&options, 0, sizeof options);
  memset(&batch, 0, sizeof batch);
  memset(&report, 0, sizeof report);
  options.struct_byte_count = sizeof options;
  options.has_limits = true;
  options.limits.lag_ticks = 1;
  batch.struct_byte_count = sizeof batch;
  report.struct_byte_count = sizeof report;
  check(__LINE__, cistern_directory_attach(directory, &options, &reader) == CISTERN_OK);
  uint64_t lagging = 0, expired = 0;
  for (int number = 0; number < 5; number++) {
    check(__LINE__, cistern_directory_seal(directory, 0, 0, &report) == CISTERN_OK);
    lagging += report.lagging_count;
    expired += report.expired_count;
  }
  check(__LINE__, lagging >= 1 && expired == 1 && report.tick + 1 == cistern_directory_open_tick(directory));
  check(__LINE__, cistern_directory_poll(directory, &reader, &batch) == CISTERN_RESYNC && batch.resync_reason == CISTERN_RESYNC_LAG);
  check(__LINE__, cistern_directory_cancel(directory, &reader) == CISTERN_OK);
}

static void no_handle(cistern_heap *heap) {
  cistern_directory_options options = options_of();
  cistern_directory *directory = NULL;
  cistern_directory_reader none;
  cistern_batch batch;
  cistern_name_id id = 0;
  memset(&none, 0, sizeof none);
  memset(&batch, 0, sizeof batch);
  batch.struct_byte_count = sizeof batch;
  check(__LINE__, cistern_directory_create(NULL, NULL, &directory) == CISTERN_INVALID_HANDLE && directory == NULL);
  check(__LINE__, cistern_directory_create(heap, NULL, NULL) == CISTERN_INVALID_ARGUMENT);
  options.retention = 9;
  check(__LINE__, cistern_directory_create(heap, &options, &directory) == CISTERN_INVALID_ARGUMENT);
  options = options_of();
  options.first_tick = UINT64_MAX;
  check(__LINE__, cistern_directory_create(heap, &options, &directory) == CISTERN_TICK_EXHAUSTED);
  check(__LINE__, cistern_directory_destroy(NULL) == CISTERN_INVALID_HANDLE && cistern_directory_open_tick(NULL) == 0);
  check(__LINE__, cistern_directory_add(NULL, "a", 1, 0, 0, &id) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_remove(NULL, 1, NULL) == CISTERN_INVALID_HANDLE && cistern_directory_look_up(NULL, "a", 1) == 0);
  check(__LINE__, cistern_directory_mark_changed(NULL, 1) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_seal(NULL, 0, 0, NULL) == CISTERN_INVALID_HANDLE && cistern_directory_maintain(NULL, 1) == 0);
  check(__LINE__, cistern_directory_attach(NULL, NULL, &none) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_verify(NULL) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_create(heap, NULL, &directory) == CISTERN_OK);
  check(__LINE__, cistern_directory_poll(directory, &none, &batch) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_acknowledge(directory, &none, &batch) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_cancel(directory, NULL) == CISTERN_INVALID_HANDLE);
  char word[] = "true";
  char *words[] = {word, NULL};
  cistern_program_outcome outcome;
  memset(&outcome, 0, sizeof outcome);
  outcome.struct_byte_count = sizeof outcome;
  check(__LINE__, cistern_discard(heap, NULL) == CISTERN_DIRECTORIES_OPEN);
  check(__LINE__, cistern_hand_over_and_wait(heap, "true", words, NULL, &outcome) == CISTERN_DIRECTORIES_OPEN && !outcome.is_discarded);
  check(__LINE__, cistern_directory_destroy(directory) == CISTERN_OK && cistern_discard(heap, NULL) == CISTERN_OK);
}

// Until the heap is full: what did not fit has left nothing behind, and removals need no room.
static void exhaustion(void) {
  cistern_heap *heap = made(1 << 20);
  cistern_directory *directory = NULL;
  cistern_name_id first = 0, id = 0;
  cistern_status status = CISTERN_OK;
  uint64_t count = 0;
  check(__LINE__, cistern_directory_create(heap, NULL, &directory) == CISTERN_OK);
  for (uint64_t number = 0; status == CISTERN_OK; number++) {
    status = cistern_directory_add(directory, &number, sizeof number, first, 0, &id);
    if (number == 0) first = id;
    count += status == CISTERN_OK;
  }
  check(__LINE__, status == CISTERN_EXHAUSTED && count > 1000 && cistern_directory_verify(directory) == CISTERN_OK);
  uint64_t removed = 0;
  check(__LINE__, cistern_directory_remove(directory, first, &removed) == CISTERN_OK && removed == count);
  check(__LINE__, cistern_directory_seal(directory, UINT64_MAX, 0, NULL) == CISTERN_OK);
  check(__LINE__, cistern_directory_add(directory, "again", 5, 0, 0, &id) == CISTERN_OK);
  check(__LINE__, cistern_directory_destroy(directory) == CISTERN_OK && cistern_verify(heap));
  cistern_heap_statistics now;
  now.struct_byte_count = sizeof now;
  check(__LINE__, cistern_read_statistics(heap, &now) == CISTERN_OK && now.live_block_count == 0);
  check(__LINE__, cistern_heap_destroy(heap) == CISTERN_OK);
}

static void note_close(uintptr_t context) { *(int *)context += 1; }

static cistern_region *region_with(cistern_heap *heap, uint64_t number, int *closings) {
  cistern_region *region = NULL;
  check(__LINE__, cistern_region_create(heap, NULL, &region) == CISTERN_OK);
  uint64_t *place = cistern_region_allocate(region, sizeof number);
  check(__LINE__, place != NULL && cistern_region_add_cleanup(region, note_close, (uintptr_t)closings) == CISTERN_OK);
  *place = number;
  check(__LINE__, cistern_region_contains(region, place));
  return region;
}

// Names with memory: handed out and handed in, seen by a snapshot, closed once, at the boundary that nobody needs them after.
static void owned_regions(cistern_heap *heap) {
  cistern_directory *directory = NULL;
  cistern_region *made = NULL, *region = NULL, *other = NULL, *child = NULL;
  cistern_directory_reader snapshot, subscriber;
  cistern_reader_options options;
  cistern_directory_statistics now;
  cistern_name_id id = 0, second = 0, plain = 0;
  uint64_t payload = 0;
  int closings = 0;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  now.struct_byte_count = sizeof now;
  check(__LINE__, cistern_directory_create(heap, NULL, &directory) == CISTERN_OK);
  plain = added(directory, "plain", 0, 1);
  check(__LINE__, cistern_directory_add_region(directory, "made", 4, plain, &made, 5, &id) == CISTERN_OK && made != NULL);
  check(__LINE__, cistern_region_allocate(made, 100) != NULL);
  check(__LINE__, cistern_directory_region(directory, id, NULL, &region, &payload) == CISTERN_OK && region == made && payload == 5);
  check(__LINE__, cistern_directory_set_payload(directory, id, 6, &payload) == CISTERN_OK && payload == 5);
  region = region_with(heap, 1, &closings);
  check(__LINE__, cistern_directory_add_region(directory, "given", 5, 0, &region, 7, &second) == CISTERN_OK && closings == 0);
  // A region that is one directory's already, or inside another, or closed; and what the caller keeps when a call fails.
  other = region;
  check(__LINE__, cistern_directory_add_region(directory, "again", 5, 0, &other, 0, &id) == CISTERN_INVALID_ARGUMENT && id == 0);
  check(__LINE__, cistern_region_create_child(region, NULL, &child) == CISTERN_OK);
  check(__LINE__, cistern_directory_replace_region(directory, second, child, 0) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_region_destroy(child) == CISTERN_OK);
  check(__LINE__, cistern_directory_replace_region(directory, second, child, 0) == CISTERN_REGION_CLOSED);
  other = region_with(heap, 2, &closings);
  check(__LINE__, cistern_directory_add_region(directory, "given", 5, 0, &other, 0, &id) == CISTERN_NAME_TAKEN && id == second);
  check(__LINE__, cistern_directory_replace_region(directory, plain, other, 0) == CISTERN_NO_REGION && closings == 0);
  made = NULL;
  check(__LINE__, cistern_directory_add_region(directory, "given", 5, 0, &made, 0, &id) == CISTERN_NAME_TAKEN && made == NULL);
  check(__LINE__, cistern_directory_region(directory, plain, NULL, &region, NULL) == CISTERN_NO_REGION && region == NULL);
  check(__LINE__, cistern_directory_region(directory, 12345, NULL, &region, NULL) == CISTERN_UNKNOWN_REGION);
  seal(directory);
  options.kind = CISTERN_READER_SNAPSHOT;
  check(__LINE__, cistern_directory_attach(directory, &options, &snapshot) == CISTERN_OK);
  check(__LINE__, cistern_directory_attach(directory, NULL, &subscriber) == CISTERN_OK);
  check(__LINE__, cistern_directory_replace_region(directory, second, other, 8) == CISTERN_OK);
  seal(directory);
  check(__LINE__, cistern_directory_region(directory, second, &snapshot, &region, &payload) == CISTERN_OK && payload == 7);
  check(__LINE__, closings == 0 && cistern_directory_region(directory, second, NULL, &region, &payload) == CISTERN_OK);
  check(__LINE__, region == other && payload == 8);
  check(__LINE__, cistern_directory_region(directory, second, &subscriber, &region, NULL) == CISTERN_NOT_PINNED);
  check(__LINE__, cistern_directory_remove(directory, second, NULL) == CISTERN_OK);
  check(__LINE__, cistern_directory_region(directory, second, NULL, &region, NULL) == CISTERN_REGION_REMOVED);
  seal(directory);
  // What the snapshot cannot see has gone, what it sees is there.
  check(__LINE__, closings == 1 && cistern_directory_region(directory, second, &snapshot, &region, &payload) == CISTERN_OK);
  check(__LINE__, payload == 7 && cistern_directory_cancel(directory, &snapshot) == CISTERN_OK);
  seal(directory);
  check(__LINE__, closings == 2 && cistern_directory_verify(directory) == CISTERN_OK);
  check(__LINE__, cistern_directory_read_statistics(directory, &now) == CISTERN_OK && now.owned_region_count == 1);
  // One that its holder closed early is found closed, and nothing is closed twice.
  region = region_with(heap, 3, &closings);
  check(__LINE__, cistern_directory_add_region(directory, "early", 5, 0, &region, 0, &id) == CISTERN_OK);
  check(__LINE__, cistern_region_destroy(region) == CISTERN_OK && closings == 3);
  check(__LINE__, cistern_directory_region(directory, id, NULL, &region, NULL) == CISTERN_OK);
  check(__LINE__, cistern_region_allocate(region, 8) == NULL && cistern_region_last_refusal(region) == CISTERN_REGION_CLOSED);
  region = region_with(heap, 4, &closings);
  check(__LINE__, cistern_directory_replace_region(directory, id, region, 0) == CISTERN_OK && closings == 3);
  check(__LINE__, cistern_directory_add_region(NULL, "a", 1, 0, &region, 0, &id) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_add_region(directory, "a", 1, 0, NULL, 0, &id) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_replace_region(NULL, id, region, 0) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_replace_region(directory, id, NULL, 0) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_region(NULL, id, &snapshot, &region, NULL) == CISTERN_INVALID_HANDLE);
  // The rest goes with the directory.
  check(__LINE__, cistern_directory_destroy(directory) == CISTERN_OK && closings == 4);
  check(__LINE__, cistern_discard(heap, NULL) == CISTERN_OK);
}

void every_directory_call(void) {
  for (uint32_t retention = 0; retention < 2; retention++) {
    cistern_heap *heap = made(8 << 20);
    cistern_directory_options options = options_of();
    cistern_directory *directory = NULL;
    cistern_directory_statistics now;
    options.retention = retention;
    check(__LINE__, cistern_directory_create(heap, &options, &directory) == CISTERN_OK);
    names(directory);
    subscription(directory);
    durable(directory);
    expiry(directory);
    now.struct_byte_count = sizeof now;
    check(__LINE__, cistern_directory_read_statistics(directory, &now) == CISTERN_OK && now.live_count > 0 && now.resync_total >= 4);
    now.struct_byte_count = 5;
    check(__LINE__, cistern_directory_read_statistics(directory, &now) == CISTERN_INVALID_ARGUMENT);
    check(__LINE__, cistern_directory_destroy(directory) == CISTERN_OK);
    owned_regions(heap);
    no_handle(heap);
    check(__LINE__, cistern_verify(heap) && cistern_heap_destroy(heap) == CISTERN_OK);
  }
  exhaustion();
}
