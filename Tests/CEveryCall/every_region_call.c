#include "every_region_call.h"

#include <cistern.h>
#include <cistern_region_inline.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static cistern_heap *made(bool is_checked) {
  cistern_heap_options options;
  cistern_heap *heap = NULL;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.capacity_bytes = 8 << 20;
  options.checked = is_checked;
  check(__LINE__, cistern_heap_create(&options, &heap) == CISTERN_OK);
  return heap;
}

static cistern_region *opened(cistern_heap *heap) {
  cistern_region *region = NULL;
  check(__LINE__, cistern_region_create(heap, NULL, &region) == CISTERN_OK && region != NULL);
  return region;
}

static cistern_region_statistics statistics_of(const cistern_region *region) {
  cistern_region_statistics statistics;
  memset(&statistics, 0, sizeof statistics);
  statistics.struct_byte_count = sizeof statistics;
  check(__LINE__, cistern_region_read_statistics(region, &statistics) == CISTERN_OK);
  return statistics;
}

static size_t cleanups_run;
static uintptr_t last_cleanup;

static void clean_up(uintptr_t context) {
  cleanups_run++;
  last_cleanup = context;
}

static void objects(cistern_heap *heap) {
  cistern_region *region = opened(heap);
  const size_t sizes[] = {0, 1, 7, 8, 9, 100, 4096, 16384, 100000};
  void *last = NULL;
  for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
    void *object = cistern_region_allocate(region, sizes[index]);
    void *zeroed = cistern_region_allocate_zeroed(region, sizes[index]);
    void *aligned = cistern_region_allocate_aligned(region, sizes[index], 64);
    void *quick = cistern_region_allocate_inline(region, sizes[index]);
    void *quicker = cistern_region_allocate_aligned16_inline(region, sizes[index]);
    uintptr_t addresses[5];
    void *all[5] = {object, zeroed, aligned, quick, quicker};
    memcpy(addresses, all, sizeof addresses);
    check(__LINE__, object != NULL && zeroed != NULL && aligned != NULL && quick != NULL && quicker != NULL);
    check(__LINE__, addresses[0] % 8 == 0 && addresses[2] % 64 == 0 && addresses[3] % 8 == 0 && addresses[4] % 16 == 0);
    memset(object, 1, sizes[index]);
    memset(quick, 2, sizes[index]);
    check(__LINE__, sizes[index] == 0 || (cistern_region_contains(region, quick) && cistern_region_owner(heap, object) == region));
    last = quicker;
  }
  check(__LINE__, cistern_region_owner(heap, &region) == NULL && !cistern_region_contains(region, &region) && last != NULL);
  check(__LINE__, cistern_region_allocate(region, SIZE_MAX) == NULL && cistern_region_last_refusal(region) == CISTERN_EXHAUSTED);
  check(__LINE__, cistern_region_allocate_inline(region, SIZE_MAX - 6) == NULL);
  check(__LINE__, cistern_region_allocate_aligned(region, 8, 24) == NULL);
  check(__LINE__, cistern_region_last_refusal(region) == CISTERN_INVALID_ARGUMENT);
  cistern_region_extent extent;
  memset(&extent, 0, sizeof extent);
  size_t byte_count = 0, large = 0;
  while (cistern_region_next_extent(region, &extent)) {
    byte_count += extent.byte_count;
    large += extent.is_large_object;
  }
  cistern_region_statistics now = statistics_of(region);
  check(__LINE__, now.large_object_count == large && large >= 5 && now.run_bytes >= now.used_bytes && byte_count >= now.used_bytes);
  check(__LINE__, cistern_region_reset(region) == CISTERN_OK && statistics_of(region).used_bytes == 0);
  check(__LINE__, cistern_verify(heap) && cistern_region_destroy(region) == CISTERN_OK);
}

static void life(cistern_heap *heap, bool is_checked) {
  cistern_region_options options;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.limit_bytes = 1024;
  cistern_region *parent = opened(heap), *child = NULL;
  check(__LINE__, cistern_region_create_child(parent, &options, &child) == CISTERN_OK && statistics_of(parent).child_count == 1);
  check(__LINE__, cistern_region_allocate(child, 1025) == NULL && cistern_region_last_refusal(child) == CISTERN_LIMIT_REACHED);
  check(__LINE__, cistern_region_set_limit(child, 1 << 20) == CISTERN_OK);
  void *small = cistern_region_allocate(child, 50), *large = cistern_region_allocate(child, 50000), *moved = NULL;
  check(__LINE__, small != NULL && large != NULL);
  memset(small, 5, 50);
  check(__LINE__, cistern_region_promote(child, large, 50000, 8, NULL, 0, &moved) == CISTERN_OK && moved == large);
  check(__LINE__, cistern_region_promote(child, small, 50, 8, NULL, 0, &moved) == CISTERN_OK && moved != small);
  check(__LINE__, memcmp(small, moved, 50) == 0 && cistern_region_owner(heap, moved) == parent);
  check(__LINE__, cistern_region_promote(parent, moved, 50, 8, NULL, 0, &moved) == CISTERN_NO_PARENT);
  check(__LINE__, cistern_region_promote(child, &heap, 8, 8, NULL, 0, &moved) == CISTERN_NOT_IN_REGION);
  cistern_region_place place;
  check(__LINE__, cistern_region_mark(parent, &place) == CISTERN_OK);
  cleanups_run = 0;
  check(__LINE__, cistern_region_add_cleanup(parent, clean_up, 1) == CISTERN_OK);
  check(__LINE__, cistern_region_add_cleanup(parent, clean_up, 2) == CISTERN_OK && statistics_of(parent).cleanup_count == 2);
  check(__LINE__, cistern_region_release(parent, &place) == CISTERN_OK && cleanups_run == 2 && last_cleanup == 1);
  cistern_region *other = opened(heap);
  check(__LINE__, cistern_region_release(other, &place) == CISTERN_STALE_MARK);
  check(__LINE__, cistern_region_exchange(parent, parent) == CISTERN_NOT_EXCHANGEABLE);
  check(__LINE__, cistern_region_exchange(parent, other) == CISTERN_OK && cistern_region_owner(heap, moved) == other);
  check(__LINE__, cistern_region_destroy(parent) == CISTERN_OK);
  // A checked heap would end the process here.
  if (!is_checked) {
    check(__LINE__, cistern_region_destroy(parent) == CISTERN_REGION_CLOSED && cistern_region_allocate(child, 8) == NULL);
    check(__LINE__, cistern_region_mark(parent, &place) == CISTERN_REGION_CLOSED);
  }
  check(__LINE__, cistern_region_destroy(other) == CISTERN_OK);
}

static void stack(cistern_heap *heap, bool is_checked) {
  cistern_region *regions[3] = {NULL, NULL, NULL};
  check(__LINE__, cistern_region_current() == NULL);
  for (int number = 0; number < 3; number++) {
    check(__LINE__, cistern_region_push(heap, NULL, &regions[number]) == CISTERN_OK);
    check(__LINE__, cistern_region_current() == regions[number]);
  }
  check(__LINE__, cistern_region_pop(regions[1]) == CISTERN_OK && cistern_region_current() == regions[0]);
  // A checked heap would end the process here.
  if (!is_checked) check(__LINE__, cistern_region_pop(regions[2]) == CISTERN_REGION_CLOSED);
  cistern_region *aside = opened(heap);
  check(__LINE__, cistern_region_pop(aside) == CISTERN_REGION_NOT_CURRENT && cistern_region_destroy(aside) == CISTERN_OK);
  check(__LINE__, cistern_region_pop(regions[0]) == CISTERN_OK && cistern_region_current() == NULL);
}

// Regions of the stack that are destroyed, not popped, and records that other regions use then.
static void stack_and_destroy(cistern_heap *heap) {
  cistern_region *first = NULL, *second = NULL, *third = NULL;
  check(__LINE__, cistern_region_push(heap, NULL, &first) == CISTERN_OK && cistern_region_destroy(first) == CISTERN_OK);
  check(__LINE__, cistern_region_current() == NULL);
  // A region of another use with the same record is no parent.
  cistern_region *stranger = opened(heap);
  check(__LINE__, cistern_region_push(heap, NULL, &second) == CISTERN_OK && statistics_of(stranger).child_count == 0);
  check(__LINE__, cistern_region_pop(stranger) == CISTERN_REGION_NOT_CURRENT && cistern_region_pop(second) == CISTERN_OK);
  check(__LINE__, cistern_region_destroy(stranger) == CISTERN_OK && cistern_region_current() == NULL);
  // The lower one takes the upper ones with it.
  check(__LINE__, cistern_region_push(heap, NULL, &first) == CISTERN_OK && cistern_region_push(heap, NULL, &second) == CISTERN_OK);
  check(__LINE__, cistern_region_destroy(first) == CISTERN_OK);
  stranger = opened(heap);
  cistern_region *another = opened(heap);
  check(__LINE__, cistern_region_current() == NULL && cistern_region_pop(another) == CISTERN_REGION_NOT_CURRENT);
  check(__LINE__, cistern_region_pop(stranger) == CISTERN_REGION_NOT_CURRENT);
  check(__LINE__, cistern_region_destroy(stranger) == CISTERN_OK && cistern_region_destroy(another) == CISTERN_OK);
  // The upper one leaves the lower ones, with content and without.
  for (size_t byte_count = 0; byte_count < 16; byte_count += 8) {
    check(__LINE__, cistern_region_push(heap, NULL, &first) == CISTERN_OK && cistern_region_push(heap, NULL, &second) == CISTERN_OK);
    check(__LINE__, cistern_region_push(heap, NULL, &third) == CISTERN_OK);
    if (byte_count > 0) check(__LINE__, cistern_region_allocate(third, byte_count) != NULL);
    check(__LINE__, cistern_region_destroy(third) == CISTERN_OK && cistern_region_current() == second);
    check(__LINE__, cistern_region_push(heap, NULL, &third) == CISTERN_OK && statistics_of(second).child_count == 1);
    check(__LINE__, cistern_region_reset(second) == CISTERN_OK && cistern_region_current() == second);
    cistern_region_place place;
    check(__LINE__, cistern_region_mark(first, &place) == CISTERN_OK && cistern_region_release(first, &place) == CISTERN_OK);
    check(__LINE__, cistern_region_current() == second);
    check(__LINE__, cistern_region_reset(first) == CISTERN_OK && cistern_region_current() == first);
    check(__LINE__, cistern_region_push(heap, NULL, &third) == CISTERN_OK && cistern_region_pop(third) == CISTERN_OK);
    check(__LINE__, cistern_region_pop(first) == CISTERN_OK && cistern_region_current() == NULL);
  }
}

// Stacks that change from heap to heap, and heaps that go.
static void stack_of_heaps(bool is_checked) {
  cistern_heap *one = made(is_checked), *other = made(is_checked);
  cistern_region *a = NULL, *b = NULL, *c = NULL, *d = NULL;
  check(__LINE__, cistern_region_push(one, NULL, &a) == CISTERN_OK && cistern_region_push(other, NULL, &b) == CISTERN_OK);
  check(__LINE__, cistern_region_push(one, NULL, &c) == CISTERN_OK && cistern_region_push(one, NULL, &d) == CISTERN_OK);
  check(__LINE__, statistics_of(a).child_count == 0 && statistics_of(c).child_count == 1);
  check(__LINE__, cistern_region_pop(b) == CISTERN_REGION_NOT_CURRENT && cistern_region_pop(a) == CISTERN_REGION_NOT_CURRENT);
  check(__LINE__, cistern_region_destroy(b) == CISTERN_OK && cistern_region_current() == d);
  check(__LINE__, cistern_region_pop(d) == CISTERN_OK && cistern_region_pop(c) == CISTERN_OK && cistern_region_current() == a);
  check(__LINE__, cistern_region_push(other, NULL, &b) == CISTERN_OK && cistern_region_push(one, NULL, &c) == CISTERN_OK);
  check(__LINE__, cistern_heap_destroy(other) == CISTERN_OK && cistern_region_current() == c);
  check(__LINE__, cistern_region_pop(c) == CISTERN_OK && cistern_region_current() == a && cistern_region_pop(a) == CISTERN_OK);
  // A heap that is gone, and one that is discarded; a heap that was destroyed is known as such also by a push.
  if (!is_checked) check(__LINE__, cistern_region_push(other, NULL, &b) == CISTERN_INVALID_HANDLE && b == NULL);
  other = made(is_checked);
  check(__LINE__, cistern_region_push(one, NULL, &a) == CISTERN_OK && cistern_region_push(other, NULL, &b) == CISTERN_OK);
  check(__LINE__, cistern_heap_destroy(other) == CISTERN_OK && cistern_region_current() == a && cistern_region_pop(a) == CISTERN_OK);
  // Eight changes are kept, those of living heaps; a ninth is refused, and takes nothing.
  cistern_heap *heaps[2] = {one, made(is_checked)};
  cistern_region *regions[8], *more = NULL;
  for (int number = 0; number < 8; number++) check(__LINE__, cistern_region_push(heaps[number % 2], NULL, &regions[number]) == CISTERN_OK);
  check(__LINE__, cistern_region_push(heaps[0], NULL, &more) == CISTERN_EXHAUSTED && more == NULL);
  check(__LINE__, cistern_region_push(heaps[1], NULL, &more) == CISTERN_OK && cistern_region_pop(more) == CISTERN_OK);
  check(__LINE__, cistern_region_destroy(regions[3]) == CISTERN_OK && cistern_region_push(heaps[0], NULL, &more) == CISTERN_OK);
  check(__LINE__, cistern_region_pop(more) == CISTERN_OK && cistern_heap_destroy(heaps[1]) == CISTERN_OK);
  check(__LINE__, cistern_region_current() == regions[6]);
  for (int number = 6; number >= 0; number -= 2) check(__LINE__, cistern_region_pop(regions[number]) == CISTERN_OK);
  check(__LINE__, cistern_region_current() == NULL && cistern_verify(one) && cistern_heap_destroy(one) == CISTERN_OK);
}

static cistern_heap *heap_of_cleanup;
static cistern_region *parent_of_cleanup;

static void push_and_pop(uintptr_t context) {
  cistern_region *region = NULL;
  check(__LINE__, cistern_region_push(heap_of_cleanup, NULL, &region) == CISTERN_REGION_BUSY);
  check(__LINE__, context == 7 && cistern_region_pop(parent_of_cleanup) == CISTERN_REGION_BUSY);
  check(__LINE__, cistern_region_destroy(parent_of_cleanup) == CISTERN_REGION_BUSY);
}

static void stack_and_cleanups(cistern_heap *heap) {
  cistern_region *first = NULL, *second = NULL;
  heap_of_cleanup = heap;
  check(__LINE__, cistern_region_push(heap, NULL, &first) == CISTERN_OK && cistern_region_push(heap, NULL, &second) == CISTERN_OK);
  parent_of_cleanup = first;
  check(__LINE__, cistern_region_add_cleanup(second, push_and_pop, 7) == CISTERN_OK);
  check(__LINE__, cistern_region_pop(second) == CISTERN_OK && cistern_region_current() == first);
  check(__LINE__, cistern_region_pop(first) == CISTERN_OK && cistern_region_current() == NULL);
}

// The child of a fork without its heap: no region opens there, and the stack is empty.
static void stack_in_a_fork(void) {
  cistern_heap_options options;
  cistern_heap *heap = NULL;
  cistern_region *region = NULL;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.capacity_bytes = 8 << 20;
  options.not_inherited = true;
  check(__LINE__, cistern_heap_create(&options, &heap) == CISTERN_OK && cistern_region_push(heap, NULL, &region) == CISTERN_OK);
  const pid_t child = fork();
  if (child == 0) {
    cistern_region *none = NULL;
    if (cistern_region_current() != NULL) _exit(1);
    if (cistern_region_create(heap, NULL, &none) == CISTERN_OK || none != NULL) _exit(2);
    if (cistern_region_push(heap, NULL, &none) == CISTERN_OK || none != NULL) _exit(3);
    _exit(0);
  }
  int status = -1;
  check(__LINE__, child > 0 && waitpid(child, &status, 0) == child && status == 0);
  check(__LINE__, cistern_region_pop(region) == CISTERN_OK && cistern_heap_destroy(heap) == CISTERN_OK);
}

static void no_handle(cistern_heap *heap) {
  cistern_region *region = NULL;
  cistern_region_place place;
  cistern_region_statistics statistics;
  cistern_region_extent extent;
  void *moved = NULL;
  memset(&place, 0, sizeof place);
  memset(&extent, 0, sizeof extent);
  check(__LINE__, cistern_region_create(NULL, NULL, &region) == CISTERN_INVALID_HANDLE && region == NULL);
  check(__LINE__, cistern_region_create(heap, NULL, NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_region_create_child(NULL, NULL, &region) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_push(NULL, NULL, &region) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_pop(NULL) == CISTERN_INVALID_HANDLE && cistern_region_destroy(NULL) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_allocate(NULL, 8) == NULL && cistern_region_allocate_zeroed(NULL, 8) == NULL);
  check(__LINE__, cistern_region_allocate_aligned(NULL, 8, 8) == NULL && cistern_region_set_limit(NULL, 8) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_last_refusal(NULL) == CISTERN_INVALID_HANDLE && cistern_region_reset(NULL) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_mark(NULL, &place) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_release(NULL, &place) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_add_cleanup(NULL, clean_up, 0) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_promote(NULL, &place, 8, 8, NULL, 0, &moved) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_exchange(NULL, NULL) == CISTERN_INVALID_HANDLE);
  check(__LINE__, cistern_region_owner(NULL, &place) == NULL && !cistern_region_contains(NULL, &place));
  check(__LINE__, !cistern_region_next_extent(NULL, &extent));
  check(__LINE__, cistern_region_read_statistics(NULL, &statistics) == CISTERN_INVALID_HANDLE);
  region = opened(heap);
  statistics.struct_byte_count = 3;
  check(__LINE__, cistern_region_read_statistics(region, &statistics) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_region_mark(region, NULL) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_region_add_cleanup(region, NULL, 0) == CISTERN_INVALID_ARGUMENT);
  check(__LINE__, cistern_region_destroy(region) == CISTERN_OK);
}

void every_region_call(void) {
  for (int is_checked = 0; is_checked < 2; is_checked++) {
    cistern_heap *heap = made(is_checked != 0);
    objects(heap);
    life(heap, is_checked != 0);
    stack(heap, is_checked != 0);
    stack_and_destroy(heap);
    stack_and_cleanups(heap);
    stack_of_heaps(is_checked != 0);
    no_handle(heap);
    check(__LINE__, cistern_verify(heap) && cistern_heap_destroy(heap) == CISTERN_OK);
  }
  stack_in_a_fork();
}
