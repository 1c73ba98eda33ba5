// Scenarios that need a process of their own: they fill the heap, or end the process.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scenarios.h"

enum { MIB = 1 << 20 };

static int start_only(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  return mini_constants_are_right() ? 0 : __LINE__;
}

// --- Exhaustion. None of these comes back, which a compiler shall not know.

static volatile bool is_for_ever = true;

static int fill_region(uint64_t seed, uint32_t scale) {
  (void)scale;
  while (is_for_ever) scenario_fill(SKIP_Obstack_alloc(seed % 1000 + 8), seed % 1000 + 8, seed);
  return __LINE__;
}

static int fill_region_with_large_objects(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  while (is_for_ever) *SKIP_Obstack_alloc(9 * MIB) = 1;
  return __LINE__;
}

static int open_regions(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  while (is_for_ever) SKIP_new_Obstack();
  return __LINE__;
}

static int fill_persistent(uint64_t seed, uint32_t scale) {
  (void)scale;
  while (is_for_ever) *(char *)sk_palloc(seed % 1000) = 1;
  return __LINE__;
}

static int fill_scratch(uint64_t seed, uint32_t scale) {
  (void)scale;
  while (is_for_ever) *(char *)sk_malloc(seed % 30000) = 1;
  return __LINE__;
}

static int fill_small_scratch(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  while (is_for_ever) *(char *)sk_malloc(24) = 1;
  return __LINE__;
}

static int intern_for_ever(uint64_t seed, uint32_t scale) {
  (void)scale;
  while (is_for_ever) {
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    mini_intern(mini_tree(300, seed++));
    SKIP_destroy_Obstack(saved);
  }
  return __LINE__;
}

static int survive_for_ever(uint64_t seed, uint32_t scale) {
  (void)scale;
  void *value = NULL;
  while (is_for_ever) {
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    mini_node *tree = mini_tree(300, seed++);
    tree->left = value;
    value = SKIP_destroy_Obstack_with_value(saved, tree);
  }
  return __LINE__;
}

static int fill_in_thread(uint32_t number) {
  while (is_for_ever) *SKIP_Obstack_alloc(100 + number) = 1;
  return __LINE__;
}

static int fill_in_threads(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  return scenario_in_threads(4, fill_in_thread);
}

static void allocate_at_exit(void) {
  if (fill_region(100, 1) != 0) abort();
}

// What exit() runs wants memory as well.
static int fill_at_exit(uint64_t seed, uint32_t scale) {
  if (atexit(allocate_at_exit) != 0) return __LINE__;
  return fill_persistent(seed, scale);
}

// exit() runs a handler that waits for a thread, which runs out of room then.
static pthread_t late_thread;
static uint32_t is_ending;

static void *run_out_late(void *nothing) {
  while (__atomic_load_n(&is_ending, __ATOMIC_ACQUIRE) == 0) usleep(1000);
  return fill_persistent(100, 1) == 0 ? NULL : nothing;
}

static void join_at_exit(void) {
  __atomic_store_n(&is_ending, 1, __ATOMIC_RELEASE);
  if (pthread_join(late_thread, NULL) != 0) abort();
}

static int exit_joins_who_runs_out(uint64_t seed, uint32_t scale) {
  if (pthread_create(&late_thread, NULL, run_out_late, NULL) != 0 || atexit(join_at_exit) != 0) return __LINE__;
  return fill_persistent(seed, scale);
}

static int persistent_size_above_half(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  return sk_palloc(((size_t)1 << 63) + 1) == NULL ? 1 : __LINE__;
}

static int region_size_wraps(uint64_t seed, uint32_t scale) {
  (void)scale;
  static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 7, SIZE_MAX - 8, SIZE_MAX - 71, (size_t)1 << 63, SIZE_MAX / 2};
  char *before = SKIP_Obstack_alloc(8);
  return SKIP_Obstack_alloc(sizes[seed % 6]) == before ? 1 : __LINE__;
}

static int scratch_size_wraps(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  return sk_malloc(SIZE_MAX - 8) == NULL ? 1 : __LINE__;
}

// Bytes that regions or scratch give before they say no are no more than the capacity, which is 16 MiB here.
static int regions_are_bounded(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  for (size_t given = 0; given <= 16 * MIB; given += 1000) *SKIP_Obstack_alloc(1000) = 1;
  return __LINE__;
}

static int scratch_is_bounded(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  for (size_t given = 0; given <= 16 * MIB; given += 16384) *(char *)sk_malloc(16384) = 1;
  return __LINE__;
}

// --- Large blocks: nothing that comes later overlaps them. Nothing of them is touched but their ends.

static int large_block(size_t size) {
  char *before = sk_palloc(64);
  char *large = sk_palloc(size);
  large[0] = 1;
  large[size - 1] = 2;
  for (int i = 0; i < 100; i++) {
    char *after = sk_palloc(64);
    memset(after, 0x55, 64);
    if (after + 64 > large && after < large + size) return __LINE__;
    if (after + 64 > before && after < before + 64) return __LINE__;
  }
  char *second = sk_palloc(3000000);
  if (second + 3000000 > large && second < large + size) return __LINE__;
  return large[0] == 1 && large[size - 1] == 2 ? 0 : __LINE__;
}

static int one_gibibyte(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  return large_block(((size_t)1 << 30) + 1);
}

static int three_gibibytes(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  return large_block((size_t)3 << 30);
}

static int first_is_large(uint32_t number) {
  char *block = SKIP_Obstack_alloc(9 * MIB);
  scenario_fill(block, 9 * MIB, number);
  char *after = SKIP_Obstack_alloc(100);
  return after != NULL && scenario_holds(block, 9 * MIB, number) ? 0 : 1;
}

// A thread's first region is opened without a page, and a large object survives it.
static int first_is_region(uint32_t number) {
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  uint64_t *array = mini_new_array(&mini_bytes_vtable, 2 * MIB);
  scenario_fill(array, 16 * MIB, number);
  array = SKIP_destroy_Obstack_with_value(saved, array);
  mini_tree(300, number);
  bool is_whole = scenario_holds(array, 16 * MIB, number);
  SKIP_destroy_Obstack(NULL);
  return is_whole && sk_get_nbr_pages(NULL, NULL) == 0 ? 0 : 1;
}

static int first_allocation_is_large(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  if (scenario_in_threads(2, first_is_large) != 0) return __LINE__;
  return scenario_in_threads(2, first_is_region) == 0 ? 0 : __LINE__;
}

// --- Tightness.

static uintptr_t highest_end;

// The end of the mapping that holds an address.
static uintptr_t mapping_end(uintptr_t address) {
  unsigned long start = 0, end = 0;
  FILE *file = fopen("/proc/self/maps", "r");
  if (file == NULL) return 0;
  while (fscanf(file, "%lx-%lx%*[^\n]", &start, &end) == 2)
    if (start <= address && address < end) break;
  fclose(file);
  return end;
}

static void judge_last_bytes(void) {
  // No more than another block would need is left.
  uintptr_t end = mapping_end(highest_end - 1);
  _Exit(end >= highest_end && end - highest_end < 128 ? 0 : 1);
}

static int last_bytes(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  if (atexit(judge_last_bytes) != 0) return __LINE__;
  while (is_for_ever) {
    char *block = sk_palloc(128);
    if ((uintptr_t)block + 128 > highest_end) highest_end = (uintptr_t)block + 128;
  }
  return __LINE__;
}

// All at once in 64-byte blocks, then in others: 12 of 16 MiB.
static int other_sizes_after_free(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  enum { COUNT = 12 * MIB / 64 };
  char **blocks = sk_malloc(COUNT * sizeof *blocks);
  static const size_t sizes[] = {64, 128, 40, 2000, 4000000};
  for (size_t round = 0; round < 5; round++) {
    size_t count = (size_t)COUNT * 64 / sizes[round];
    if (sizes[round] == 40) count /= 2;
    for (size_t i = 0; i < count; i++) blocks[i] = sk_palloc(sizes[round]);
    for (size_t i = 0; i < count; i++) sk_pfree_size(blocks[i], sizes[round]);
  }
  sk_free_size(blocks, COUNT * sizeof *blocks);
  return 0;
}

// 6.7 MB in blocks of 136 bytes, in 8 MiB.
static int rounding(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  for (int i = 0; i < 49000; i++) *(char *)sk_palloc(136) = 1;
  return 0;
}

// Persistent memory that was freed goes back to the system in the course of further work.
static int freed_memory_returns(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  enum { COUNT = 1000000, SIZE = 200 };
  char **blocks = sk_malloc(COUNT * sizeof *blocks);
  for (size_t i = 0; i < COUNT; i++) memset(blocks[i] = sk_palloc(SIZE), 1, SIZE);
  uint64_t before = scenario_resident_bytes();
  if (before < (uint64_t)COUNT * SIZE) return __LINE__;
  for (size_t i = 0; i < COUNT; i++) sk_pfree_size(blocks[i], SIZE);
  sk_free_size(blocks, COUNT * sizeof *blocks);
  for (int i = 0; i < 800; i++) {
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    for (int k = 0; k < 40; k++) SKIP_Obstack_alloc(1000000);
    SKIP_destroy_Obstack(saved);
  }
  return scenario_resident_bytes() < before / 2 ? 0 : __LINE__;
}

// Regions that come and go use the same pages again.
static int pages_are_used_again(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  uint64_t before = 0;
  for (int i = 0; i < 60; i++) {
    if (i == 10) before = scenario_page_faults();
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    for (int k = 0; k < 4000; k++) memset(SKIP_Obstack_alloc(10000), i, 10000);
    SKIP_destroy_Obstack(saved);
  }
  return scenario_page_faults() - before < 2000 ? 0 : __LINE__;
}

// --- Threads.

static int tag_blocks(uint32_t number) {
  enum { COUNT = 200000 };
  uint64_t **blocks = sk_malloc(COUNT * sizeof *blocks);
  int wrong = 0;
  for (int round = 0; round < 5; round++) {
    for (uint64_t i = 0; i < COUNT; i++) {
      blocks[i] = sk_palloc(32);
      blocks[i][1] = (uint64_t)number << 32 | i;
    }
    for (uint64_t i = 0; i < COUNT; i++) {
      if (blocks[i][1] != ((uint64_t)number << 32 | i)) wrong = 1;
      sk_pfree_size(blocks[i], 32);
    }
  }
  sk_free_size(blocks, COUNT * sizeof *blocks);
  return wrong;
}

static int threads_get_different_blocks(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  return scenario_in_threads(4, tag_blocks) == 0 ? 0 : __LINE__;
}

static int end_with_regions(uint32_t number) {
  SKIP_new_Obstack();
  for (int i = 0; i < 20; i++) memset(SKIP_Obstack_alloc(50000), (int)number, 50000);
  memset(SKIP_Obstack_alloc(500000), (int)number, 500000);
  SKIP_new_Obstack();
  return 0;
}

// 500 threads with 1.5 MB in regions each, in 64 MiB.
static int ended_threads_leave_nothing(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  for (int i = 0; i < 500; i++)
    if (scenario_in_threads(1, end_with_regions) != 0) return __LINE__;
  return scenario_resident_bytes() < 64 * MIB ? 0 : __LINE__;
}

// --- Other ends.

static int number_too_large(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  if (SKIP_genSym((uint64_t)1 << 30) == 0) return __LINE__;
  return SKIP_genSym(((uint64_t)1 << 30) + 1) == 0 ? 1 : __LINE__;
}

static int unlock_what_is_not_locked(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  pthread_mutex_t *mutex = sk_palloc(sizeof *mutex);
  SKIP_mutex_init(mutex);
  SKIP_mutex_unlock(mutex);
  return __LINE__;
}

static const skip_scenario single[] = {
    {"start-only", start_only},
    {"fill-region", fill_region},
    {"fill-region-large", fill_region_with_large_objects},
    {"open-regions", open_regions},
    {"fill-persistent", fill_persistent},
    {"fill-scratch", fill_scratch},
    {"fill-small-scratch", fill_small_scratch},
    {"intern-for-ever", intern_for_ever},
    {"survive-for-ever", survive_for_ever},
    {"fill-in-threads", fill_in_threads},
    {"fill-at-exit", fill_at_exit},
    {"exit-joins-who-runs-out", exit_joins_who_runs_out},
    {"persistent-size-above-half", persistent_size_above_half},
    {"region-size-wraps", region_size_wraps},
    {"scratch-size-wraps", scratch_size_wraps},
    {"regions-are-bounded", regions_are_bounded},
    {"scratch-is-bounded", scratch_is_bounded},
    {"one-gibibyte", one_gibibyte},
    {"three-gibibytes", three_gibibytes},
    {"first-allocation-is-large", first_allocation_is_large},
    {"last-bytes", last_bytes},
    {"other-sizes-after-free", other_sizes_after_free},
    {"rounding", rounding},
    {"freed-memory-returns", freed_memory_returns},
    {"pages-are-used-again", pages_are_used_again},
    {"threads-get-different-blocks", threads_get_different_blocks},
    {"ended-threads-leave-nothing", ended_threads_leave_nothing},
    {"forked-child", forked_child},
    {"number-too-large", number_too_large},
    {"unlock-what-is-not-locked", unlock_what_is_not_locked},
};

const skip_scenario *skip_single_scenarios(size_t *count) {
  *count = sizeof single / sizeof *single;
  return single;
}
