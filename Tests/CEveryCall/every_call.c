#include "every_call.h"

#include <cistern.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "check.h"
#include "every_directory_call.h"
#include "every_region_call.h"

static cistern_heap_options options_of(uint64_t capacity_bytes) {
  cistern_heap_options options;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.capacity_bytes = capacity_bytes;
  return options;
}

static cistern_heap *made(const cistern_heap_options *options) {
  cistern_heap *heap = NULL;
  check(__LINE__, cistern_heap_create(options, &heap) == CISTERN_OK && heap != NULL);
  return heap;
}

static cistern_heap_statistics statistics_of(cistern_heap *heap) {
  cistern_heap_statistics statistics;
  memset(&statistics, 0, sizeof statistics);
  statistics.struct_byte_count = sizeof statistics;
  check(__LINE__, cistern_read_statistics(heap, &statistics) == CISTERN_OK);
  return statistics;
}

// A block compared with bytes that are all the same.
static bool has_only(const void *block, size_t byte_count, int value) {
  unsigned char expected[256];
  check(__LINE__, byte_count <= sizeof expected);
  memset(expected, value, sizeof expected);
  return memcmp(block, expected, byte_count) == 0;
}

static void blocks(cistern_heap *heap) {
  size_t held = 0;
  void *block = cistern_allocate(heap, 100);
  check(__LINE__, block != NULL && cistern_usable_size(heap, block) >= 100);
  memset(block, 7, 100);
  check(__LINE__, cistern_contains(heap, block) && !cistern_contains(heap, &held) && !cistern_contains(heap, NULL));
  check(__LINE__, cistern_block_holding(heap, block, &held) == block && held >= 100);
  check(__LINE__, cistern_block_holding(heap, &held, &held) == NULL && held == 0);
  check(__LINE__, cistern_block_holding(heap, block, NULL) == block);
  void *larger = cistern_resize(heap, block, 5000);
  check(__LINE__, larger != NULL && has_only(larger, 100, 7));
  larger = cistern_resize_sized(heap, larger, 5000, 90000);
  check(__LINE__, larger != NULL && has_only(larger, 100, 7));
  check(__LINE__, cistern_resize(heap, larger, SIZE_MAX) == NULL && cistern_resize_sized(heap, larger, 90000, SIZE_MAX / 2) == NULL);
  check(__LINE__, has_only(larger, 100, 7));
  cistern_deallocate(heap, larger);
  block = cistern_allocate_zeroed(heap, 200);
  check(__LINE__, block != NULL && has_only(block, 200, 0));
  cistern_deallocate_sized(heap, block, 200);
  for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
    block = cistern_allocate_aligned(heap, 40, alignment);
    uintptr_t address;
    memcpy(&address, &block, sizeof address);
    check(__LINE__, block != NULL && address % alignment == 0);
    cistern_deallocate(heap, block);
  }
  block = cistern_resize(heap, NULL, 30);
  check(__LINE__, block != NULL);
  cistern_deallocate_sized(heap, block, 30);
  block = cistern_allocate(heap, 0);
  check(__LINE__, block != NULL);
  cistern_deallocate_sized(heap, block, 0);
  cistern_deallocate(heap, NULL);
  cistern_deallocate_sized(heap, NULL, 8);
  cistern_deallocate_sized(heap, NULL, 0);
  check(__LINE__, cistern_usable_size(heap, NULL) == 0);
  const size_t too_large[] = {16 << 20, SIZE_MAX, SIZE_MAX - 7, SIZE_MAX / 2, SIZE_MAX / 2 + 1};
  for (size_t index = 0; index < sizeof too_large / sizeof *too_large; index++) {
    check(__LINE__, cistern_allocate(heap, too_large[index]) == NULL && cistern_allocate_zeroed(heap, too_large[index]) == NULL);
    check(__LINE__, cistern_allocate_aligned(heap, too_large[index], 64) == NULL);
  }
  const size_t no_alignment[] = {0, 3, 24, SIZE_MAX, SIZE_MAX / 2 + 1};
  for (size_t index = 0; index < sizeof no_alignment / sizeof *no_alignment; index++)
    check(__LINE__, cistern_allocate_aligned(heap, 8, no_alignment[index]) == NULL);
  check(__LINE__, statistics_of(heap).live_block_count == 0);
  check(__LINE__, cistern_verify(heap));
}

typedef struct tally {
  size_t count, byte_count;
} tally;

static void add(void *context, void *block, size_t byte_count) {
  tally *sum = NULL;
  memcpy(&sum, &context, sizeof sum);
  sum->count += block != NULL;
  sum->byte_count += byte_count;
}

static void whole_heap(cistern_heap *heap) {
  int64_t requested_before = statistics_of(heap).requested_bytes;  // not 0: blocks() does not say the size of every block it frees
  void *first = cistern_allocate(heap, 32);
  void *second = cistern_allocate(heap, 70000);
  check(__LINE__, first != NULL && second != NULL);
  tally sum = {0, 0};
  check(__LINE__, cistern_visit_live_blocks(heap, add, &sum) == CISTERN_OK && sum.count == 2 && sum.byte_count >= 70032);
  check(__LINE__, cistern_visit_live_blocks(heap, NULL, &sum) == CISTERN_INVALID_ARGUMENT);
  cistern_heap_statistics now = statistics_of(heap);
  check(__LINE__, now.capacity_bytes == 16 << 20 && now.live_block_count == 2 && now.requested_bytes - requested_before == 70032);
  check(__LINE__, now.committed_bytes >= now.extent_bytes && now.committed_high_water_bytes >= now.committed_bytes);
  cistern_size_class_statistics one;
  memset(&one, 0, sizeof one);
  one.struct_byte_count = sizeof one;
  check(__LINE__, cistern_size_class_count() == 64);
  check(__LINE__, cistern_read_size_class(heap, 3, &one) == CISTERN_OK && one.block_bytes == 32 && one.used_block_count >= 1);
  check(__LINE__, cistern_read_size_class(heap, 64, &one) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, !cistern_is_above_soft_limit(heap) && cistern_set_soft_limit(heap, 1024) == CISTERN_OK);
  check(__LINE__, cistern_is_above_soft_limit(heap) && cistern_set_soft_limit(heap, 0) == CISTERN_OK && !cistern_is_above_soft_limit(heap));
  cistern_inconsistency found;
  memset(&found, 0xFF, sizeof found);
  found.struct_byte_count = sizeof found;
  check(__LINE__, cistern_verify_explained(heap, &found) == CISTERN_OK && found.rule == 0 && found.offset_bytes == 0);
  check(__LINE__, cistern_last_refusal_code(heap) == 0);
  cistern_deallocate_sized(heap, second, 70000);
  cistern_deallocate_sized(heap, first, 32);
  check(__LINE__, cistern_trim(heap) >= 65536 && statistics_of(heap).live_block_count == 0);
  cistern_maintain(heap);
}

// Memory handed over to programs; the heap is empty afterwards, and can be used again.
static void hand_over(cistern_heap *heap) {
  char name[] = "sh", option[] = "-c", command[] = "exit 7";
  char *const arguments[] = {name, option, command, NULL};
  cistern_program_outcome outcome;
  size_t byte_count = 0;
  memset(&outcome, 0, sizeof outcome);
  outcome.struct_byte_count = sizeof outcome;
  check(__LINE__, cistern_allocate_zeroed(heap, 300000) != NULL);
  check(__LINE__, cistern_hand_over(heap, "no-such-program", arguments, NULL) == CISTERN_PROGRAM_NOT_FOUND);
  check(__LINE__, cistern_hand_over_and_wait(heap, "no-such-program", arguments, NULL, &outcome) == CISTERN_PROGRAM_NOT_FOUND);
  check(__LINE__, !outcome.is_discarded && statistics_of(heap).live_block_count == 1);
  check(__LINE__, cistern_hand_over_and_wait(heap, name, arguments, NULL, &outcome) == CISTERN_OK && outcome.exit_code == 7);
  check(__LINE__, outcome.is_discarded && statistics_of(heap).live_block_count == 0 && cistern_allocate(heap, 100) != NULL);
  check(__LINE__, cistern_discard(heap, &byte_count) == CISTERN_OK && statistics_of(heap).live_block_count == 0);
  check(__LINE__, cistern_trim_at_safe_point(heap) < 65536 && cistern_verify(heap));
  check(__LINE__, cistern_discard(NULL, NULL) == CISTERN_INVALID_HANDLE && cistern_trim_at_safe_point(NULL) == 0);
  check(__LINE__, cistern_hand_over(NULL, name, arguments, NULL) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_hand_over_and_wait(NULL, name, arguments, NULL, &outcome) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_hand_over_and_start(NULL, name, arguments, NULL, &outcome) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_hand_over_and_wait(heap, NULL, arguments, NULL, &outcome) == CISTERN_INVALID_ARGUMENT);
}

// A struct of an older caller is filled as far as it goes, one of a newer caller has zeros behind what is known.
static void sizes_of_structs(cistern_heap *heap) {
  struct {
    cistern_heap_statistics known;
    uint64_t newer[2];
  } longer;
  memset(&longer, 0xFF, sizeof longer);
  longer.known.struct_byte_count = sizeof longer;
  check(__LINE__, cistern_read_statistics(heap, &longer.known) == CISTERN_OK);
  check(__LINE__, longer.known.capacity_bytes == 16 << 20 && longer.newer[0] == 0 && longer.newer[1] == 0);
  memset(&longer, 0xFF, sizeof longer);
  longer.known.struct_byte_count = 16;
  check(__LINE__, cistern_read_statistics(heap, &longer.known) == CISTERN_OK);
  check(__LINE__, longer.known.capacity_bytes == 16 << 20 && longer.known.committed_bytes == UINT64_MAX);
  const size_t unsound[] = {0, 7, 4097, SIZE_MAX};
  for (size_t index = 0; index < sizeof unsound / sizeof *unsound; index++) {
    longer.known.struct_byte_count = unsound[index];
    check(__LINE__, cistern_read_statistics(heap, &longer.known) == CISTERN_INVALID_ARGUMENT);
    cistern_heap_options options = options_of(1 << 20);
    cistern_heap *none = heap;
    options.struct_byte_count = unsound[index];
    check(__LINE__, cistern_heap_create(&options, &none) == CISTERN_INVALID_ARGUMENT && none == NULL);
  }
  struct {
    cistern_heap_options known;
    uint64_t newer;
  } wish = {options_of(1 << 20), 0};
  cistern_heap *other = NULL;
  wish.known.struct_byte_count = sizeof wish;
  check(__LINE__, cistern_heap_create(&wish.known, &other) == CISTERN_OK && cistern_heap_destroy(other) == CISTERN_OK);
  wish.newer = 1;
  check(__LINE__, cistern_heap_create(&wish.known, &other) == CISTERN_INVALID_ARGUMENT && other == NULL);
  cistern_heap_options padded = options_of(1 << 20);
  padded.reserved[6] = 1;
  check(__LINE__, cistern_heap_create(&padded, &other) == CISTERN_INVALID_ARGUMENT);
  padded = options_of(1 << 20);
  padded.minimum_alignment = 32;
  check(__LINE__, cistern_heap_create(&padded, &other) == CISTERN_INVALID_ARGUMENT);
}

static void no_handle(void) {
  cistern_heap_statistics statistics;
  cistern_size_class_statistics one;
  cistern_inconsistency found;
  cistern_heap_options options = options_of(1 << 20);
  size_t held = 1;
  int here = 0;
  check(__LINE__, cistern_heap_create(NULL, NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_heap_create(&options, NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_allocate(NULL, 8) == NULL && cistern_allocate_zeroed(NULL, 8) == NULL);
  check(__LINE__, cistern_allocate_aligned(NULL, 8, 8) == NULL && cistern_resize(NULL, NULL, 8) == NULL);
  check(__LINE__, cistern_resize(NULL, &here, 8) == NULL && cistern_resize_sized(NULL, &here, 4, 8) == NULL);
  cistern_deallocate(NULL, &here);
  cistern_deallocate_sized(NULL, &here, sizeof here);
  cistern_deallocate_sized(NULL, NULL, 8);
  check(__LINE__, cistern_usable_size(NULL, &here) == 0 && !cistern_contains(NULL, &here));
  check(__LINE__, cistern_block_holding(NULL, &here, &held) == NULL && held == 0);
  check(__LINE__, !cistern_is_above_soft_limit(NULL) && cistern_trim(NULL) == 0 && cistern_maintain(NULL) == 0 && !cistern_verify(NULL));
  check(__LINE__, cistern_last_refusal_code(NULL) == 0);
  // An address that is no heap's is not read.
  void *address = &here;
  cistern_heap *wrong[2] = {NULL, NULL};
  memcpy(&wrong[1], &address, sizeof address);
  for (int index = 0; index < 2; index++) {
    check(__LINE__, cistern_read_statistics(wrong[index], &statistics) == CISTERN_INVALID_HANDLE);
    check(__LINE__, cistern_read_size_class(wrong[index], 0, &one) == CISTERN_INVALID_HANDLE);
    check(__LINE__, cistern_verify_explained(wrong[index], &found) == CISTERN_INVALID_HANDLE && !cistern_verify(wrong[index]));
    check(__LINE__, cistern_visit_live_blocks(wrong[index], add, NULL) == CISTERN_INVALID_HANDLE);
    check(__LINE__, cistern_set_soft_limit(wrong[index], 1) == CISTERN_INVALID_HANDLE);
    check(__LINE__, cistern_set_misuse_report(wrong[index], NULL, NULL) == CISTERN_INVALID_HANDLE);
    check(__LINE__, cistern_heap_destroy(wrong[index]) == CISTERN_INVALID_HANDLE);
    check(__LINE__, cistern_trim(wrong[index]) == 0 && cistern_maintain(wrong[index]) == 0 && cistern_last_refusal_code(wrong[index]) == 0);
  }
}

typedef struct report {
  unsigned counts[8];
  const void *address;
} report;

static void note(void *context, cistern_misuse misuse, void *address) {
  report *into = NULL;
  memcpy(&into, &context, sizeof into);
  into->counts[misuse]++;
  into->address = address;
}

static void misuse(void) {
  report seen = {{0, 0, 0, 0, 0, 0, 0, 0}, NULL};
  cistern_heap_options options = options_of(4 << 20);
  options.checked = true;
  cistern_heap *heap = made(&options);
  cistern_heap *other = made(&options);
  check(__LINE__, cistern_set_misuse_report(heap, note, &seen) == CISTERN_OK);
  void *block = cistern_allocate(heap, 13);
  void *foreign = cistern_allocate(other, 13);
  check(__LINE__, block != NULL && foreign != NULL && cistern_usable_size(heap, block) == 13);
  cistern_deallocate(heap, foreign);
  check(__LINE__, seen.counts[CISTERN_FOREIGN_POINTER] == 1 && seen.address == foreign);
  cistern_deallocate_sized(heap, block, 12);
  check(__LINE__, seen.counts[CISTERN_WRONG_SIZE] == 1);
  cistern_deallocate(heap, block);
  check(__LINE__, seen.counts[CISTERN_DOUBLE_FREE] == 1 && seen.address == block);
  block = cistern_allocate(heap, 13);
  memset(block, 1, 14);
  cistern_deallocate(heap, block);
  check(__LINE__, seen.counts[CISTERN_OVERFLOW] == 1 && cistern_verify(heap));
  check(__LINE__, cistern_heap_destroy(other) == CISTERN_OK);
  // After the end: statuses where there are any, else reports.
  check(__LINE__, cistern_heap_destroy(heap) == CISTERN_OK && cistern_heap_destroy(heap) == CISTERN_INVALID_HANDLE);
  check(__LINE__, seen.counts[CISTERN_USE_AFTER_DESTROY] == 0 && !cistern_verify(heap) && cistern_trim(heap) == 0);
  check(__LINE__, cistern_allocate(heap, 8) == NULL && seen.counts[CISTERN_USE_AFTER_DESTROY] == 1 && seen.address != NULL);
  cistern_deallocate(heap, block);
  cistern_deallocate_sized(heap, block, 13);
  check(__LINE__, cistern_resize(heap, block, 99) == NULL && cistern_resize_sized(heap, block, 13, 99) == NULL);
  check(__LINE__, cistern_allocate_zeroed(heap, 9000) == NULL && cistern_allocate_aligned(heap, 8, 64) == NULL);
  check(__LINE__, cistern_usable_size(heap, block) == 0 && cistern_block_holding(heap, block, NULL) == NULL);
  check(__LINE__, seen.counts[CISTERN_USE_AFTER_DESTROY] == 9 && !cistern_contains(heap, block));
  // 63 heaps later it is still known.
  for (int count = 0; count < 62; count++) check(__LINE__, cistern_heap_destroy(made(&options)) == CISTERN_OK);
  check(__LINE__, cistern_allocate(heap, 8) == NULL && seen.counts[CISTERN_USE_AFTER_DESTROY] == 10);
}

static void capacities(void) {
  static const struct {
    const char *text;
    cistern_status status;
    uint64_t bytes;
  } strict[] = {
      {"0", CISTERN_TEXT_ZERO, 0},
      {"1", CISTERN_OK, 1},
      {"512M", CISTERN_OK, 512 << 20},
      {"3G", CISTERN_OK, UINT64_C(3) << 30},
      {"", CISTERN_TEXT_EMPTY, 0},
      {"3GB", CISTERN_TEXT_MALFORMED, 0},
      {" 3G", CISTERN_TEXT_MALFORMED, 0},
      {"1.5G", CISTERN_TEXT_MALFORMED, 0},
      {"9223372036854775807", CISTERN_OK, INT64_MAX},
      {"9223372036854775808", CISTERN_TEXT_OVERFLOW, 0},
      {"99999999999G", CISTERN_TEXT_OVERFLOW, 0},
  };
  char line[512];
  for (size_t index = 0; index < sizeof strict / sizeof *strict; index++) {
    uint64_t bytes = 0;
    cistern_status status = cistern_capacity_parse(strict[index].text, &bytes);
    check(__LINE__, status == strict[index].status && bytes == strict[index].bytes);
    size_t length = cistern_capacity_error_text(status, CISTERN_FROM_ENVIRONMENT, strict[index].text, line, sizeof line);
    check(__LINE__, length == strlen(line) && (length == 0) == (status == CISTERN_OK));
    check(__LINE__, length == 0 || strstr(line, "SKIP_CAPACITY: ") == line);
    check(__LINE__, length == 0 || (cistern_capacity_error_text(status, CISTERN_FROM_ENVIRONMENT, strict[index].text, line, 5) == length &&
                          strcmp(line, "SKIP") == 0));
  }
  uint64_t bytes = 0;
  cistern_capacity_source source = CISTERN_FROM_CALLER;
  check(__LINE__, cistern_capacity_parse(NULL, &bytes) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_capacity_parse("1", NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_capacity_resolve("1048576", "3G", &bytes, &source) == CISTERN_OK);
  check(__LINE__, bytes == 1048576 && source == CISTERN_FROM_ARGUMENT);
  check(__LINE__, cistern_capacity_resolve(NULL, "3G", &bytes, &source) == CISTERN_OK && bytes == UINT64_C(3) << 30);
  check(__LINE__, source == CISTERN_FROM_ENVIRONMENT && cistern_capacity_resolve("-v", "3G", &bytes, &source) == CISTERN_OK);
  check(__LINE__, bytes == UINT64_C(16) << 30 && source == CISTERN_FROM_DEFAULT);
  check(__LINE__, cistern_capacity_resolve(NULL, "x", &bytes, &source) == CISTERN_TEXT_MALFORMED);
  check(__LINE__, cistern_capacity_resolve(NULL, NULL, NULL, &source) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_capacity_fit(UINT64_C(8) << 30, 0) == UINT64_C(6) << 30);
  check(__LINE__, cistern_capacity_fit(UINT64_MAX, 0) == UINT64_C(16) << 30);
  check(__LINE__, cistern_capacity_fit(0, 0) == 1 << 20 && cistern_capacity_fit(UINT64_C(8) << 30, UINT64_MAX) == 1 << 20);
}

static void choices(void) {
  char line[512];
  cistern_memory_limit limit = {CISTERN_MEMORY_LIMIT_ADDRESS_SPACE, 0, UINT64_C(8) << 30, UINT64_C(4) << 30};
  cistern_capacity_choice choice;
  memset(&choice, 0, sizeof choice);
  check(__LINE__, cistern_capacity_choose(NULL, NULL, &limit, &choice) == CISTERN_INVALID_ARGUMENT);
  choice.struct_byte_count = sizeof choice;
  check(__LINE__, cistern_capacity_choose(NULL, NULL, &limit, &choice) == CISTERN_OK && choice.bytes == UINT64_C(3) << 30);
  check(__LINE__, choice.reason == CISTERN_REASON_LIMIT && choice.source == CISTERN_FROM_DEFAULT && choice.may_shrink);
  check(__LINE__, choice.limit.available_bytes == limit.available_bytes && choice.exceeded.kind == CISTERN_MEMORY_LIMIT_NONE);
  check(__LINE__, cistern_capacity_choice_text(&choice, line, sizeof line) == strlen(line));
  check(__LINE__, strcmp(line, "3221225472 bytes (default, fits RLIMIT_AS 8589934592, 4294967296 left (ulimit -v))") == 0);
  check(__LINE__, cistern_capacity_choose("6G", NULL, &limit, &choice) == CISTERN_OK && choice.bytes == UINT64_C(6) << 30);
  check(__LINE__, choice.reason == CISTERN_REASON_GIVEN && !choice.may_shrink);
  check(__LINE__, choice.exceeded.kind == CISTERN_MEMORY_LIMIT_ADDRESS_SPACE);
  check(__LINE__, cistern_capacity_choose(NULL, NULL, NULL, &choice) == CISTERN_OK && choice.bytes == UINT64_C(16) << 30);
  check(__LINE__, cistern_capacity_choose_text("25%", &limit, &choice) == CISTERN_OK && choice.bytes == UINT64_C(1) << 30);
  check(__LINE__, cistern_capacity_choose_text("auto-1GiB", &limit, &choice) == CISTERN_OK && choice.bytes == UINT64_C(2) << 30);
  check(__LINE__, choice.may_shrink);
  check(__LINE__, cistern_capacity_choose_text("1.5G", NULL, &choice) == CISTERN_TEXT_FRACTION);
  check(__LINE__, cistern_capacity_choose_text("3GB", NULL, &choice) == CISTERN_TEXT_AMBIGUOUS_UNIT);
  check(__LINE__, cistern_capacity_choose_text("off", NULL, &choice) == CISTERN_TEXT_UNLIMITED);
  check(__LINE__, cistern_capacity_choose_text("101%", NULL, &choice) == CISTERN_TEXT_PERCENTAGE);
  check(__LINE__, cistern_capacity_choose_text(NULL, NULL, &choice) == CISTERN_INVALID_ARGUMENT);
  choice.source = 99;
  check(__LINE__, cistern_capacity_choice_text(&choice, line, sizeof line) == 0 && line[0] == 0);
  check(__LINE__, cistern_memory_limit_text(&limit, line, sizeof line) == strlen("RLIMIT_AS 8589934592, 4294967296 left (ulimit -v)"));
  check(__LINE__, strcmp(line, "RLIMIT_AS 8589934592, 4294967296 left (ulimit -v)") == 0);
  check(__LINE__, cistern_memory_limit_text(NULL, line, sizeof line) == 0 && line[0] == 0);
  limit.kind = 77;
  check(__LINE__, cistern_memory_limit_text(&limit, line, sizeof line) == 0);
  check(__LINE__, setenv("SKIP_CAPACITY", "20M", 1) == 0);
  check(__LINE__, cistern_capacity_from_environment(&choice) == CISTERN_OK && choice.bytes == 20 << 20);
  check(__LINE__, setenv("SKIP_CAPACITY", "20MB", 1) == 0 && cistern_capacity_from_environment(&choice) == CISTERN_TEXT_MALFORMED);
  check(__LINE__, unsetenv("SKIP_CAPACITY") == 0 && cistern_capacity_from_environment(&choice) == CISTERN_OK && choice.may_shrink);
  cistern_memory_limits limits;
  check(__LINE__, cistern_memory_limits_read(NULL) == CISTERN_INVALID_ARGUMENT);
  limits.struct_byte_count = sizeof limits;
  check(__LINE__, cistern_memory_limits_read(&limits) == CISTERN_OK && limits.count >= 1 && limits.count <= CISTERN_MEMORY_LIMIT_CAPACITY);
  check(__LINE__, limits.tightest.kind != CISTERN_MEMORY_LIMIT_NONE && limits.unreadable_count <= CISTERN_UNREADABLE_LIMIT_CAPACITY);
  bool is_listed = false;
  for (uint32_t index = 0; index < limits.count; index++) {
    check(__LINE__, limits.limits[index].available_bytes >= limits.tightest.available_bytes);
    is_listed = is_listed || limits.limits[index].kind == limits.tightest.kind;
  }
  check(__LINE__, is_listed && cistern_memory_limit_text(&limits.tightest, line, sizeof line) > 0);
}

static void beyond_all_addresses(void) {
  cistern_refusal refusal;
  char line[256];
  memset(&refusal, 0, sizeof refusal);
  refusal.struct_byte_count = sizeof refusal;
  check(__LINE__, cistern_capacity_probe(UINT64_C(1) << 50, &refusal) == CISTERN_RESERVATION_REFUSED && refusal.code == ENOMEM);
  check(__LINE__, refusal.byte_count == UINT64_C(1) << 50 && refusal.operation == CISTERN_REFUSED_RESERVE);
  check(__LINE__, refusal.limit == CISTERN_BLOCKED_BY_ADDRESS_RANGE && cistern_refusal_text(&refusal, line, sizeof line) == strlen(line));
  check(__LINE__, strstr(line, "could not reserve 1125899906842624 bytes: Cannot allocate memory (the address range is ") == line);
}

static void refusals(void) {
  cistern_refusal refusal;
  char line[256];
  memset(&refusal, 0, sizeof refusal);
  refusal.struct_byte_count = sizeof refusal;
  check(__LINE__, cistern_capacity_probe(1 << 20, &refusal) == CISTERN_OK && refusal.code == 0);
  check(__LINE__, cistern_capacity_probe(1 << 20, NULL) == CISTERN_OK);
  check(__LINE__, cistern_refusal_text(&refusal, line, sizeof line) == 0);
  check(__LINE__, cistern_capacity_probe(0, &refusal) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_capacity_probe(UINT64_MAX, NULL) == CISTERN_INVALID_ARGUMENT);
  cistern_heap_options options = options_of(4 << 20);
  cistern_heap *heap = NULL;
  check(__LINE__, cistern_heap_create_explained(&options, &heap, NULL) == CISTERN_INVALID_ARGUMENT && heap == NULL);
  check(__LINE__, cistern_heap_create_explained(&options, &heap, &refusal) == CISTERN_OK && heap != NULL && refusal.code == 0);
  check(__LINE__, cistern_heap_destroy(heap) == CISTERN_OK && cistern_heap_destroy(heap) == CISTERN_INVALID_HANDLE);
  options.capacity_bytes = (1 << 20) - 1;
  check(__LINE__, cistern_heap_create(&options, &heap) == CISTERN_CAPACITY_TOO_SMALL && heap == NULL);
  options.capacity_bytes = UINT64_MAX;
  check(__LINE__, cistern_heap_create(&options, &heap) == CISTERN_CAPACITY_TOO_LARGE && heap == NULL);
}

static void texts(void) {
  check(__LINE__, cistern_version() == CISTERN_VERSION_MAJOR * 1000000 + CISTERN_VERSION_MINOR * 1000 + CISTERN_VERSION_PATCH);
  static const cistern_status all[] = {
      CISTERN_OK, CISTERN_INVALID_ARGUMENT, CISTERN_CAPACITY_TOO_SMALL, CISTERN_CAPACITY_TOO_LARGE, CISTERN_RESERVATION_REFUSED,
      CISTERN_COMMIT_REFUSED, CISTERN_TOO_MANY_HEAPS, CISTERN_INVALID_HANDLE, CISTERN_INCONSISTENT, CISTERN_TEXT_EMPTY,
      CISTERN_TEXT_MALFORMED, CISTERN_TEXT_OVERFLOW, CISTERN_TEXT_ZERO, CISTERN_TEXT_AMBIGUOUS_UNIT, CISTERN_TEXT_FRACTION,
      CISTERN_TEXT_UNLIMITED, CISTERN_TEXT_PERCENTAGE};
  for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
    check(__LINE__, strcmp(cistern_status_text(all[index]), "unknown status") != 0);
    for (size_t other = 0; other < index; other++)
      check(__LINE__, strcmp(cistern_status_text(all[index]), cistern_status_text(all[other])) != 0);
  }
}

void every_call(bool has_whole_address_range) {
  cistern_heap_options options = options_of(16 << 20);
  for (int mode = 0; mode < 4; mode++) {
    options.single_thread = mode == 1;
    options.minimum_alignment = mode == 2 ? 16 : 0;
    options.checked = mode == 3;
    cistern_heap *heap = made(&options);
    errno = 77;
    blocks(heap);
    if (mode != 3) whole_heap(heap);
    sizes_of_structs(heap);
    check(__LINE__, errno == 77);
    if (mode == 0) hand_over(heap);
    check(__LINE__, cistern_heap_destroy(heap) == CISTERN_OK);
  }
  no_handle();
  misuse();
  capacities();
  choices();
  refusals();
  if (has_whole_address_range) beyond_all_addresses();
  texts();
  every_region_call();
  every_directory_call();
}
