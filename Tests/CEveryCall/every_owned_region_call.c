#include "every_owned_region_call.h"

#include <string.h>

#include "check.h"

static void seal(cistern_directory *directory) {
  check(__LINE__, cistern_directory_seal(directory, UINT64_MAX, 0, NULL) == CISTERN_OK);
}

static int closings;

static void note_close(uintptr_t context) {
  check(__LINE__, context == 1);
  closings += 1;
}

static cistern_region *region_with(cistern_heap *heap, uint64_t number) {
  cistern_region *region = NULL;
  check(__LINE__, cistern_region_create(heap, NULL, &region) == CISTERN_OK);
  void *place = cistern_region_allocate(region, sizeof number);
  check(__LINE__, place != NULL && cistern_region_add_cleanup(region, note_close, 1) == CISTERN_OK);
  memcpy(place, &number, sizeof number);
  check(__LINE__, cistern_region_contains(region, place));
  return region;
}

static cistern_directory *ending;
static cistern_heap *ending_heap;
static cistern_name_id ending_name, ending_tombstone;
static cistern_directory_reader ending_snapshot, ending_subscriber;

// At its directory's end an action finds the names without memory, and may call everything but the end itself.
static void use_the_ending_directory(uintptr_t context) {
  cistern_region *region = NULL;
  cistern_name_id id = 0;
  cistern_directory_reader reader;
  cistern_reader_options options;
  cistern_batch batch;
  cistern_status status;
  uint64_t payload = 0;
  check(__LINE__, context == 2);
  closings += 1;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.kind = CISTERN_READER_SNAPSHOT;
  memset(&batch, 0, sizeof batch);
  batch.struct_byte_count = sizeof batch;
  check(__LINE__, cistern_directory_verify(ending) == CISTERN_OK);
  check(__LINE__, cistern_directory_look_up(ending, "name 1", 6) == ending_name);
  check(__LINE__, cistern_directory_region(ending, ending_name, NULL, &region, NULL) == CISTERN_NO_REGION);
  check(__LINE__, cistern_directory_region(ending, ending_name, &ending_snapshot, &region, NULL) == CISTERN_NO_REGION);
  status = cistern_directory_region(ending, ending_tombstone, NULL, &region, NULL);
  check(__LINE__, status == CISTERN_REGION_REMOVED || status == CISTERN_NO_REGION || status == CISTERN_UNKNOWN_REGION);
  check(__LINE__, cistern_directory_set_payload(ending, ending_name, 9, &payload) == CISTERN_OK && payload == (closings == 1 ? 0 : 9));
  check(__LINE__, cistern_directory_poll(ending, &ending_subscriber, &batch) == CISTERN_OK);
  status = cistern_directory_acknowledge(ending, &ending_subscriber, &batch);
  check(__LINE__, status == CISTERN_OK || status == CISTERN_REPEATED);
  check(__LINE__, cistern_directory_attach(ending, &options, &reader) == CISTERN_OK);
  // What is made now has memory, and goes, too.
  if (closings == 1) {
    region = region_with(ending_heap, 5);
    check(__LINE__, cistern_directory_add_region(ending, "late", 4, ending_name, &region, 0, &id) == CISTERN_OK);
    seal(ending);
    region = region_with(ending_heap, 6);
    check(__LINE__, cistern_directory_replace_region(ending, id, region, 0) == CISTERN_OK);
  } else {
    check(__LINE__, cistern_directory_cancel(ending, &reader) == CISTERN_OK);
  }
  seal(ending);
  cistern_directory_maintain(ending, 1);
  check(__LINE__, cistern_directory_verify(ending) == CISTERN_OK);
}

static cistern_name_id ending_region(const char *name, cistern_name_id replaced) {
  cistern_name_id id = 0;
  cistern_region *region = NULL;
  check(__LINE__, cistern_region_create(ending_heap, NULL, &region) == CISTERN_OK);
  check(__LINE__, cistern_region_add_cleanup(region, use_the_ending_directory, 2) == CISTERN_OK);
  if (replaced != 0) {
    check(__LINE__, cistern_directory_replace_region(ending, replaced, region, 3) == CISTERN_OK);
    return replaced;
  }
  check(__LINE__, cistern_directory_add_region(ending, name, strlen(name), 0, &region, 4, &id) == CISTERN_OK);
  return id;
}

// A directory ends while names have memory, some has been replaced and removed in the open tick, and a snapshot sees more.
static void the_end_of_a_directory(cistern_heap *heap, bool keeps_last_value) {
  cistern_directory_options directory_options;
  cistern_reader_options options;
  cistern_name_id staged = 0;
  memset(&directory_options, 0, sizeof directory_options);
  directory_options.struct_byte_count = sizeof directory_options;
  directory_options.keeps_last_value = keeps_last_value;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  closings = 0;
  ending_heap = heap;
  check(__LINE__, cistern_directory_create(heap, &directory_options, &ending) == CISTERN_OK);
  ending_name = ending_region("name 1", 0);
  ending_tombstone = ending_region("name 2", 0);
  staged = ending_region("name 3", 0);
  seal(ending);
  check(__LINE__, cistern_directory_attach(ending, NULL, &ending_subscriber) == CISTERN_OK);
  options.kind = CISTERN_READER_SNAPSHOT;
  check(__LINE__, cistern_directory_attach(ending, &options, &ending_snapshot) == CISTERN_OK);
  ending_region("", ending_name);
  check(__LINE__, cistern_directory_remove(ending, ending_tombstone, NULL) == CISTERN_OK);
  seal(ending);
  ending_region("", ending_name);
  check(__LINE__, cistern_directory_remove(ending, staged, NULL) == CISTERN_OK && closings == 0);
  check(__LINE__, cistern_directory_destroy(ending) == CISTERN_OK && closings == 7);
  check(__LINE__, cistern_verify(heap));
}

void every_end_of_a_directory(cistern_heap *heap) {
  the_end_of_a_directory(heap, false);
  the_end_of_a_directory(heap, true);
}

// Names with memory: handed out and handed in, seen by a snapshot, closed once, at the boundary that nobody needs them after.
void every_owned_region_call(cistern_heap *heap) {
  cistern_directory *directory = NULL;
  cistern_region *made = NULL, *region = NULL, *other = NULL, *child = NULL;
  cistern_directory_reader snapshot, subscriber;
  cistern_reader_options options;
  cistern_directory_statistics now;
  cistern_name_id id = 0, second = 0, plain = 0;
  uint64_t payload = 0;
  closings = 0;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  now.struct_byte_count = sizeof now;
  check(__LINE__, cistern_directory_create(heap, NULL, &directory) == CISTERN_OK);
  check(__LINE__, cistern_directory_add(directory, "plain", 5, 0, 1, &plain) == CISTERN_OK);
  check(__LINE__, cistern_directory_add_region(directory, "made", 4, plain, &made, 5, &id) == CISTERN_OK && made != NULL);
  check(__LINE__, cistern_region_allocate(made, 100) != NULL);
  check(__LINE__, cistern_directory_region(directory, id, NULL, &region, &payload) == CISTERN_OK && region == made && payload == 5);
  check(__LINE__, cistern_directory_set_payload(directory, id, 6, &payload) == CISTERN_OK && payload == 5);
  region = region_with(heap, 1);
  check(__LINE__, cistern_directory_add_region(directory, "given", 5, 0, &region, 7, &second) == CISTERN_OK && closings == 0);
  // A region that is one directory's already, or inside another, or closed; and what the caller keeps when a call fails.
  other = region;
  check(__LINE__, cistern_directory_add_region(directory, "again", 5, 0, &other, 0, &id) == CISTERN_INVALID_ARGUMENT && id == 0);
  check(__LINE__, cistern_region_create_child(region, NULL, &child) == CISTERN_OK);
  check(__LINE__, cistern_directory_replace_region(directory, second, child, 0) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_region_destroy(child) == CISTERN_OK);
  check(__LINE__, cistern_directory_replace_region(directory, second, child, 0) == CISTERN_REGION_CLOSED);
  other = region_with(heap, 2);
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
  region = region_with(heap, 3);
  check(__LINE__, cistern_directory_add_region(directory, "early", 5, 0, &region, 0, &id) == CISTERN_OK);
  check(__LINE__, cistern_region_destroy(region) == CISTERN_OK && closings == 3);
  check(__LINE__, cistern_directory_region(directory, id, NULL, &region, NULL) == CISTERN_OK);
  check(__LINE__, cistern_region_allocate(region, 8) == NULL && cistern_region_last_refusal(region) == CISTERN_REGION_CLOSED);
  region = region_with(heap, 4);
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
