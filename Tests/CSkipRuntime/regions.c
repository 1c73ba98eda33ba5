// Regions: nesting, sizes, survivors, page search.
#include <stdio.h>
#include <string.h>

#include "scenarios.h"

enum { RECORD = 64 };

// Opens a region, allocates, goes deeper, allocates again, and finds everything as it was; `budget` counts what may still be made.
static int nest(uint64_t *random, uint32_t depth, uint32_t *budget) {
  void *blocks[RECORD];
  size_t sizes[RECORD];
  uint32_t count = 0;
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  uint32_t steps = (uint32_t)(scenario_random(random) % RECORD);
  for (uint32_t step = 0; step < steps && *budget > 0; step++) {
    (*budget)--;
    uint64_t kind = scenario_random(random) % 64;
    if (kind == 0 && depth < 40) {
      int line = nest(random, depth + 1, budget);
      if (line != 0) return line;
    }
    size_t size = kind == 1 ? scenario_random(random) % 300000 : kind < 8 ? scenario_random(random) % 5000 : scenario_random(random) % 100;
    bool is_zeroed = kind % 3 == 0;
    char *block = is_zeroed ? SKIP_Obstack_calloc(size) : SKIP_Obstack_alloc(size);
    if (block == NULL || (uintptr_t)block % 8 != 0 || !sk_is_static(block)) return __LINE__;
    for (size_t i = 0; is_zeroed && i < size; i++)
      if (block[i] != 0) return __LINE__;
    scenario_fill(block, size, (uintptr_t)block);
    blocks[count] = block;
    sizes[count++] = size;
  }
  for (uint32_t i = 0; i < count; i++)
    if (!scenario_holds(blocks[i], sizes[i], (uintptr_t)blocks[i])) return __LINE__;
  SKIP_destroy_Obstack(saved);
  return 0;
}

int regions_nest(uint64_t seed, uint32_t scale) {
  for (uint32_t i = 0; i < 100 * scale; i++) {
    uint32_t budget = 2000;
    size_t before = sk_get_nbr_pages(NULL, NULL);
    int line = nest(&seed, 0, &budget);
    if (line != 0) return line;
    if (sk_get_nbr_pages(NULL, NULL) != before) return __LINE__;
  }
  return 0;
}

// Every size up to 40,000, and sizes around each power of two above, each filled to its end, with a neighbour on either side.
int region_sizes(uint64_t seed, uint32_t scale) {
  size_t step = scale >= 10 ? 1 : 37;
  for (size_t size = 0; size < 4000000; size += size < 40000 ? step : size / 16 + 1) {
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    char *before = SKIP_Obstack_alloc(24);
    char *block = SKIP_Obstack_alloc(size);
    char *after = SKIP_Obstack_alloc(24);
    char *empty = SKIP_Obstack_alloc(0);
    scenario_fill(before, 24, seed);
    scenario_fill(after, 24, seed + 1);
    scenario_fill(block, size, seed + 2);
    if (!scenario_holds(before, 24, seed) || !scenario_holds(after, 24, seed + 1)) return __LINE__;
    if (!scenario_holds(block, size, seed + 2)) return __LINE__;
    if (before == NULL || after == block || empty == NULL || empty == after || empty == block) return __LINE__;
    if (((uintptr_t)before | (uintptr_t)block | (uintptr_t)after) % 8 != 0) return __LINE__;
    SKIP_destroy_Obstack(saved);
  }
  return 0;
}

int clones(uint64_t seed, uint32_t scale) {
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  for (uint32_t i = 0; i < 100 * scale; i++) {
    mini_node *node = mini_new_node(seed + i);
    node->name = mini_new_string("clone", 5);
    node->left = node;
    mini_node *clone = (mini_node *)(void *)SKIP_Obstack_shallowClone(12345, (char *)node);
    if (clone == node || clone->number != seed + i || clone->left != node || clone->name != node->name) return __LINE__;
    if (memcmp((char *)clone - 8, (char *)node - 8, 8) != 0) return __LINE__;
  }
  SKIP_destroy_Obstack(saved);
  return 0;
}

// A value survives its region, nested to a random depth; garbage around it does not.
static int survive(uint64_t *random, uint32_t depth) {
  size_t pages_before = sk_get_nbr_pages(NULL, NULL);
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  uint64_t seed = scenario_random(random);
  uint32_t count = (uint32_t)(scenario_random(random) % 400);
  mini_node *value = mini_tree(count, seed);
  uint64_t digest = mini_digest(value);
  if (depth > 0) {
    int line = survive(random, depth - 1);
    if (line != 0) return line;
  }
  mini_tree((uint32_t)(scenario_random(random) % 2000), seed + 1);
  value = SKIP_destroy_Obstack_with_value(saved, value);
  if (mini_digest(value) != digest) return __LINE__;
  // What survived is in the region around: it is found there, and new allocations leave it alone.
  size_t page_count = sk_get_nbr_pages(NULL, NULL);
  sk_cell_t *cells = sk_get_pages(NULL, page_count);
  bool is_found = value == NULL || sk_get_obstack_idx((char *)value, cells, page_count) < page_count;
  sk_free_size(cells, page_count * sizeof *cells);
  if (!is_found || page_count < pages_before) return __LINE__;
  mini_tree(500, seed + 2);
  return mini_digest(value) == digest ? 0 : __LINE__;
}

int survivors(uint64_t seed, uint32_t scale) {
  for (uint32_t i = 0; i < 30 * scale; i++) {
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    int line = survive(&seed, i % 5);
    if (line != 0) return line;
    SKIP_destroy_Obstack(saved);
  }
  return 0;
}

// Large objects that lie next to each other in the list of pages survive in every order, and the list stays whole.
int adjacent_large_survivors(uint64_t seed, uint32_t scale) {
  (void)scale;
  enum { COUNT = 4, LENGTH = 2000000 };
  static const uint32_t orders[][COUNT] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
  for (size_t order = 0; order < 4; order++) {
    sk_saved_obstack_t *outer = SKIP_new_Obstack();
    char *early = SKIP_Obstack_alloc(100);
    scenario_fill(early, 100, seed);
    size_t pages_before = sk_get_nbr_pages(NULL, NULL);
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    uint64_t *arrays[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
      arrays[i] = mini_new_array(&mini_bytes_vtable, LENGTH);
      scenario_fill(arrays[i], LENGTH * 8, seed + i);
    }
    void **list = mini_new_array(&mini_objects_vtable, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) list[i] = arrays[orders[order][i]];
    list = SKIP_destroy_Obstack_with_value(saved, list);
    size_t pages = sk_get_nbr_pages(NULL, NULL);
    if (pages < pages_before + COUNT || pages > pages_before + COUNT + 1) return __LINE__;
    for (uint32_t i = 0; i < COUNT; i++) {
      if (list[i] != arrays[orders[order][i]]) return __LINE__;
      if (!scenario_holds(list[i], LENGTH * 8, seed + orders[order][i])) return __LINE__;
    }
    if (!scenario_holds(early, 100, seed)) return __LINE__;
    SKIP_destroy_Obstack(outer);
  }
  return 0;
}

int copies_to_parent(uint64_t seed, uint32_t scale) {
  for (uint32_t i = 0; i < 5 * scale; i++) {
    sk_saved_obstack_t *outer = SKIP_new_Obstack();
    sk_saved_obstack_t *inner = SKIP_new_Obstack();
    mini_node *value = mini_tree(300, seed + i);
    uint64_t digest = mini_digest(value);
    sk_obstack_t *leading = SKIP_switch_to_parent(inner);
    mini_node *copy = SKIP_copy_value_to_Obstack(leading, value);
    // Without large objects the copy shares nothing with what it was made from.
    if (copy == value || mini_digest(copy) != digest || mini_digest(value) != digest) return __LINE__;
    SKIP_restore_from_parent(inner, leading);
    SKIP_destroy_Obstack(inner);
    mini_tree(500, seed + i + 1);
    if (mini_digest(copy) != digest) return __LINE__;
    SKIP_destroy_Obstack(outer);
  }
  return 0;
}

int switches(uint64_t seed, uint32_t scale) {
  for (uint32_t i = 0; i < 20 * scale; i++) {
    sk_saved_obstack_t *outer = SKIP_new_Obstack();
    char *in_outer = SKIP_Obstack_alloc(100);
    scenario_fill(in_outer, 100, seed);
    sk_saved_obstack_t *inner = SKIP_new_Obstack();
    size_t inner_size = scenario_random(&seed) % 100000 + 1;
    char *in_inner = SKIP_Obstack_alloc(inner_size);
    scenario_fill(in_inner, inner_size, i);
    size_t pages = sk_get_nbr_pages(NULL, NULL);
    sk_obstack_t *leading = SKIP_switch_to_parent(inner);
    size_t more = scenario_random(&seed) % 100000 + 1;
    char *later = SKIP_Obstack_alloc(more);
    scenario_fill(later, more, i + 1);
    SKIP_restore_from_parent(inner, leading);
    if (sk_get_nbr_pages(NULL, NULL) < pages) return __LINE__;
    char *again = SKIP_Obstack_alloc(50);
    scenario_fill(again, 50, i + 2);
    if (!scenario_holds(in_inner, inner_size, i) || !scenario_holds(later, more, i + 1)) return __LINE__;
    SKIP_destroy_Obstack(inner);
    char *newest = SKIP_Obstack_alloc(50);
    scenario_fill(newest, 50, i + 3);
    if (!scenario_holds(later, more, i + 1) || newest == in_outer) return __LINE__;
    SKIP_destroy_Obstack(outer);
  }
  return 0;
}

// No advice for little, advice for much, and none any more once the region is closed and another one is open.
int collect_advice(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  for (int i = 0; i < 1000; i++) SKIP_Obstack_alloc(1000);
  if (SKIP_should_GC(saved) != 0) return __LINE__;
  for (int i = 0; i < 30000; i++) SKIP_Obstack_alloc(1000);
  if (SKIP_should_GC(saved) != 1) return __LINE__;
  SKIP_destroy_Obstack(saved);
  saved = SKIP_new_Obstack();
  uint32_t advice = SKIP_should_GC(saved);
  SKIP_destroy_Obstack(saved);
  return advice == 0 ? 0 : __LINE__;
}

static size_t search_all(const char *address, const sk_cell_t *cells, size_t count) {
  for (size_t i = 0; i < count; i++)
    if ((uintptr_t)cells[i].key <= (uintptr_t)address && (uint64_t)(uintptr_t)address < cells[i].value) return i;
  return (size_t)-1;
}

static int check_snapshot(sk_cell_t *cells, size_t count, uint64_t *random) {
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && (uintptr_t)cells[i - 1].key >= (uintptr_t)cells[i].key) return __LINE__;
    char *start = (char *)cells[i].key;
    size_t size = (size_t)(cells[i].value - (uintptr_t)start);
    size_t offsets[] = {0, 1, size / 2, size - 1, size, scenario_random(random) % size};
    for (size_t k = 0; k < sizeof offsets / sizeof *offsets; k++) {
      char *address = start + offsets[k];
      if (sk_get_obstack_idx(address, cells, count) != search_all(address, cells, count)) return __LINE__;
    }
    if (sk_get_obstack_idx(start - 1, cells, count) != search_all(start - 1, cells, count)) return __LINE__;
  }
  return 0;
}

// Snapshots of all pages and of some, older ones beside newer ones, against a search through all cells.
int page_search(uint64_t seed, uint32_t scale) {
  char local[16];
  sk_saved_obstack_t *outer = SKIP_new_Obstack();
  for (int i = 0; i < 300; i++) SKIP_Obstack_alloc(scenario_random(&seed) % 20000);
  void *block = sk_palloc(100);
  for (uint32_t round = 0; round < 2 * scale; round++) {
    sk_saved_obstack_t *inner = SKIP_new_Obstack();
    for (int i = 0; i < 100; i++) SKIP_Obstack_alloc(scenario_random(&seed) % (i % 10 == 0 ? 200000 : 20000));
    size_t count = sk_get_nbr_pages(NULL, NULL);
    sk_cell_t *all = sk_get_pages(NULL, count);
    int line = check_snapshot(all, count, &seed);
    // The newest pages alone, which takes them from the first snapshot's hints.
    size_t few = count / 3;
    sk_cell_t *some = sk_get_pages(NULL, few);
    if (line == 0) line = check_snapshot(some, few, &seed);
    if (line == 0) line = check_snapshot(all, count, &seed);
    for (size_t i = 0; line == 0 && i < count; i++)
      if (sk_get_obstack_idx((char *)all[i].key + 70, some, few) != search_all((char *)all[i].key + 70, some, few)) line = __LINE__;
    // A page that stays where it is has `value` set to `key`, and holds nothing any more.
    uint64_t value = all[0].value;
    all[0].value = (uintptr_t)all[0].key;
    if (line == 0 && sk_get_obstack_idx((char *)all[0].key + 70, all, count) != (size_t)-1) line = __LINE__;
    all[0].value = value;
    char *strangers[] = {local, (char *)block, (char *)all, (char *)some, NULL, (char *)-1};
    for (size_t i = 0; line == 0 && i < sizeof strangers / sizeof *strangers; i++)
      if (sk_get_obstack_idx(strangers[i], all, count) != (size_t)-1) line = __LINE__;
    if (line == 0 && sk_get_obstack_idx(local, all, 0) != (size_t)-1) line = __LINE__;
    if (line == 0 && sk_get_obstack_idx((char *)all[0].key, NULL, 5) != (size_t)-1) line = __LINE__;
    sk_free_size(some, few * sizeof *some);
    sk_free_size(all, count * sizeof *all);
    if (line != 0) return line;
    SKIP_destroy_Obstack(inner);
  }
  sk_pfree_size(block, 100);
  SKIP_destroy_Obstack(outer);
  return 0;
}
