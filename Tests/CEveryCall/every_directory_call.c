#include "every_directory_call.h"

#include <cistern.h>
#include <string.h>

#include "check.h"
#include "every_owned_region_call.h"

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

// Two owners: what they share goes with the second, as one event.
static void owners(cistern_directory *directory) {
  cistern_directory_reader reader;
  cistern_name_status status;
  cistern_directory_statistics now;
  cistern_name_id listed[2] = {0, 0};
  uint64_t first = 0, count = 0;
  bool is_owned = false;
  cistern_name_id one = added(directory, "one", 0, 0), two = added(directory, "two", 0, 0), shared = added(directory, "shared", one, 0);
  added(directory, "shared/below", shared, 0);
  memset(&status, 0, sizeof status);
  memset(&now, 0, sizeof now);
  status.struct_byte_count = sizeof status;
  now.struct_byte_count = sizeof now;
  check(__LINE__, cistern_directory_add_owner(directory, two, shared) == CISTERN_OK);
  check(__LINE__, cistern_directory_add_owner(directory, two, shared) == CISTERN_ALREADY_OWNER);
  check(__LINE__, cistern_directory_add_owner(directory, shared, two) == CISTERN_OWNER_TOO_YOUNG);
  check(__LINE__, cistern_directory_add_owner(directory, 77, shared) == CISTERN_UNKNOWN_REGION);
  check(__LINE__, cistern_directory_copy_owners(directory, shared, NULL, 9) == 2);
  check(__LINE__, cistern_directory_copy_owners(directory, shared, listed, 1) == 2 && listed[0] == one && listed[1] == 0);
  check(__LINE__, cistern_directory_copy_owners(directory, 77, listed, 2) == 0);
  check(__LINE__, cistern_directory_read_statistics(directory, &now) == CISTERN_OK && now.owner_bytes == 40);
  check(__LINE__, cistern_directory_remove_owner(directory, one, two, NULL) == CISTERN_NOT_OWNER);
  check(__LINE__, cistern_directory_remove_owner(directory, two, shared, &is_owned) == CISTERN_OK && is_owned);
  check(__LINE__, cistern_directory_remove_owner(directory, one, shared, &is_owned) == CISTERN_OK && !is_owned);
  check(__LINE__, cistern_directory_add_owner(directory, one, shared) == CISTERN_OK);
  check(__LINE__, cistern_directory_add_owner(directory, two, shared) == CISTERN_OK);
  seal(directory);
  check(__LINE__, cistern_directory_attach(directory, NULL, &reader) == CISTERN_OK);
  check(__LINE__, cistern_directory_remove(directory, one, &count) == CISTERN_OK && count == 1);
  check(__LINE__, cistern_directory_add_owner(directory, one, shared) == CISTERN_REGION_REMOVED);
  check(__LINE__, cistern_directory_remove_owner(directory, one, shared, NULL) == CISTERN_REGION_REMOVED);
  check(__LINE__, cistern_directory_read_name(directory, shared, &status) == CISTERN_OK && status.parent == two);
  check(__LINE__, cistern_directory_remove(directory, two, &count) == CISTERN_OK && count == 3);
  seal(directory);
  cistern_batch batch = polled(directory, &reader);
  check(__LINE__, batch.count == 2 && batch.descendant_count == 2);
  check(__LINE__, cistern_directory_descendants(directory, &reader, &batch, 1, &first, &count) == CISTERN_OK && count == 2);
  check(__LINE__, event_of(directory, &reader, &batch, first).id == shared);
  check(__LINE__, cistern_directory_acknowledge(directory, &reader, &batch) == CISTERN_OK);
  check(__LINE__, cistern_directory_cancel(directory, &reader) == CISTERN_OK);
  seal(directory);
  check(__LINE__, cistern_directory_maintain(directory, 1000) == 0 && cistern_directory_verify(directory) == CISTERN_OK);
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
  check(__LINE__, cistern_directory_add_owner(NULL, 1, 2) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_remove_owner(NULL, 1, 2, NULL) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_copy_owners(NULL, 1, NULL, 0) == 0);
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

static uint64_t replaced(uintptr_t context, cistern_name_id id, const void *name, size_t name_byte_count, uint64_t payload) {
  check(__LINE__, id != 0 && name_byte_count == 4 && memcmp(name, "word", 4) == 0);
  return payload + context;
}

// What a damaged image is refused with; the directory is none then, and the heap as it was.
static void refused(cistern_heap *heap, const unsigned char *image, size_t byte_count, cistern_status status, uint32_t kind) {
  cistern_directory *directory = NULL;
  cistern_image_damage damage;
  memset(&damage, 0xff, sizeof damage);
  damage.struct_byte_count = sizeof damage;
  check(__LINE__, cistern_directory_reopen(heap, image, byte_count, NULL, &directory, &damage) == status && directory == NULL);
  check(__LINE__, damage.kind == kind && damage.byte_offset <= byte_count);
  check(__LINE__, cistern_directory_reopen(heap, image, byte_count, NULL, &directory, NULL) == status && directory == NULL);
}

static void damaged_images(cistern_heap *other, unsigned char *image, size_t byte_count) {
  cistern_directory *directory = NULL;
  refused(other, image, byte_count - 1, CISTERN_IMAGE_DAMAGED, CISTERN_DAMAGE_TRUNCATED);
  image[100] ^= 1;
  refused(other, image, byte_count, CISTERN_IMAGE_DAMAGED, CISTERN_DAMAGE_CHECKSUM);
  image[100] ^= 1;
  image[8] ^= 2;
  refused(other, image, byte_count, CISTERN_IMAGE_VERSION, CISTERN_DAMAGE_VERSION);
  image[8] ^= 2;
  refused(other, image + 1, byte_count - 1, CISTERN_NOT_AN_IMAGE, CISTERN_DAMAGE_NOT_AN_IMAGE);
  check(__LINE__, cistern_directory_reopen(other, NULL, 1, NULL, &directory, NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_reopen(other, image, byte_count, NULL, NULL, NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_reopen(NULL, image, byte_count, NULL, &directory, NULL) == CISTERN_INVALID_HANDLE);
}

// Saved, destroyed, and reopened in another heap: the durable reader is told what it missed, the removal of the open tick too.
static void images(void) {
  static unsigned char image[4096], again[4096];
  cistern_heap *heap = made(4 << 20), *other = made(4 << 20);
  cistern_directory_options options = options_of();
  cistern_reopen_options reopening;
  cistern_reader_options reader_options;
  cistern_directory *directory = NULL;
  cistern_directory_reader reader;
  cistern_reader_position position, found;
  cistern_name_status status;
  cistern_batch batch;
  size_t byte_count = 0, same = 0;
  memset(&reader_options, 0, sizeof reader_options);
  reader_options.struct_byte_count = sizeof reader_options;
  reader_options.durable = true;
  check(__LINE__, cistern_directory_create(heap, &options, &directory) == CISTERN_OK);
  cistern_name_id id = added(directory, "word", 0, 5), gone = added(directory, "gone", 0, 0);
  seal(directory);
  check(__LINE__, cistern_directory_attach(directory, &reader_options, &reader) == CISTERN_OK);
  check(__LINE__, cistern_directory_position(directory, &reader, &position) == CISTERN_OK);
  check(__LINE__, cistern_directory_remove(directory, gone, NULL) == CISTERN_OK);
  byte_count = cistern_directory_image_byte_count(directory);
  check(__LINE__, byte_count > 200 && byte_count < sizeof image && cistern_directory_image_byte_count(NULL) == 0);
  check(__LINE__, cistern_directory_write_image(NULL, image, sizeof image, &same) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_write_image(directory, NULL, sizeof image, &same) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_write_image(directory, image, sizeof image, NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_write_image(directory, image, byte_count - 1, &same) == CISTERN_BUFFER_TOO_SMALL && same == byte_count);
  check(__LINE__, cistern_directory_write_image(directory, image, sizeof image, &same) == CISTERN_OK && same == byte_count);
  check(__LINE__, cistern_directory_note_stored(directory, &reader, &position) == CISTERN_OK);
  released_sum = 0;
  check(__LINE__, cistern_directory_keep_payloads(NULL) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_keep_payloads(directory) == CISTERN_OK);
  check(__LINE__, cistern_directory_destroy(directory) == CISTERN_OK && released_sum == 0);

  damaged_images(other, image, byte_count);

  memset(&reopening, 0, sizeof reopening);
  reopening.struct_byte_count = sizeof reopening;
  reopening.release = release;
  reopening.release_context = 1000;
  check(__LINE__, cistern_directory_reopen(other, image, byte_count, &reopening, &directory, NULL) == CISTERN_OK);
  check(__LINE__, cistern_directory_write_image(directory, again, sizeof again, &same) == CISTERN_OK);
  check(__LINE__, same == byte_count && memcmp(image, again, byte_count) == 0 && cistern_directory_verify(directory) == CISTERN_OK);
  check(__LINE__, cistern_directory_look_up(directory, "word", 4) == id && cistern_directory_look_up(directory, "gone", 4) == 0);
  status.struct_byte_count = sizeof status;
  check(__LINE__, cistern_directory_replace_payloads(directory, 40, replaced) == CISTERN_OK && released_sum == 0);
  check(__LINE__, cistern_directory_replace_payloads(directory, 40, NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_directory_replace_payloads(NULL, 40, replaced) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_directory_read_name(directory, id, &status) == CISTERN_OK && status.payload == 45);
  check(__LINE__, cistern_directory_next_detached(directory, 0, &found) && memcmp(&found, &position, sizeof found) == 0);
  check(__LINE__, !cistern_directory_next_detached(directory, found.reader_serial, &found));
  check(__LINE__, !cistern_directory_next_detached(NULL, 0, &found));
  check(__LINE__, !cistern_directory_next_detached(directory, 0, NULL) && !cistern_directory_next_detached(directory, UINT64_MAX, &found));
  check(__LINE__, cistern_directory_resume(directory, &position, NULL, &reader, NULL) == CISTERN_OK);
  seal(directory);
  batch = polled(directory, &reader);
  cistern_event event = event_of(directory, &reader, &batch, 0);
  check(__LINE__, batch.count == 1 && event.id == gone && event.kind == CISTERN_EVENT_REMOVED);
  check(__LINE__, cistern_directory_destroy(directory) == CISTERN_OK && released_sum == 1045);
  check(__LINE__, cistern_heap_destroy(heap) == CISTERN_OK && cistern_heap_destroy(other) == CISTERN_OK);
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
    owners(directory);
    now.struct_byte_count = sizeof now;
    check(__LINE__, cistern_directory_read_statistics(directory, &now) == CISTERN_OK && now.live_count > 0 && now.resync_total >= 4);
    now.struct_byte_count = 5;
    check(__LINE__, cistern_directory_read_statistics(directory, &now) == CISTERN_INVALID_ARGUMENT);
    check(__LINE__, cistern_directory_destroy(directory) == CISTERN_OK);
    every_owned_region_call(heap);
    every_end_of_a_directory(heap);
    no_handle(heap);
    check(__LINE__, cistern_verify(heap) && cistern_heap_destroy(heap) == CISTERN_OK);
  }
  exhaustion();
  images();
}
