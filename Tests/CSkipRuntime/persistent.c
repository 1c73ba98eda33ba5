// Persistent blocks and graphs, scratch, the root, mutexes, threads.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scenarios.h"

// A random program over one allocator against a list of what is live.
static int run_blocks(uint64_t seed, uint32_t steps, void *(*take)(size_t), void (*give)(void *, size_t), int is_static) {
  enum { LIVE = 500 };
  static void *blocks[LIVE];
  static size_t sizes[LIVE];
  memset(blocks, 0, sizeof blocks);
  for (uint32_t step = 0; step < steps; step++) {
    size_t place = scenario_random(&seed) % LIVE;
    if (blocks[place] != NULL) {
      if (!scenario_holds(blocks[place], sizes[place], place + sizes[place])) return __LINE__;
      give(blocks[place], sizes[place]);
      blocks[place] = NULL;
      continue;
    }
    uint64_t kind = scenario_random(&seed) % 100;
    size_t size = kind < 60 ? scenario_random(&seed) % 200 : kind < 97 ? scenario_random(&seed) % 5000 : scenario_random(&seed) % 100000;
    blocks[place] = take(size);
    sizes[place] = size;
    if (blocks[place] == NULL || (uintptr_t)blocks[place] % 8 != 0) return __LINE__;
    if (sk_is_static(blocks[place]) != is_static || sk_is_static((char *)blocks[place] + size / 2) != is_static) return __LINE__;
    scenario_fill(blocks[place], size, place + size);
  }
  for (size_t place = 0; place < LIVE; place++) {
    if (blocks[place] == NULL) continue;
    if (!scenario_holds(blocks[place], sizes[place], place + sizes[place])) return __LINE__;
    give(blocks[place], sizes[place]);
  }
  return 0;
}

int persistent_blocks(uint64_t seed, uint32_t scale) {
  return run_blocks(seed, 20000 * scale, sk_palloc, sk_pfree_size, 0);
}

int scratch_blocks(uint64_t seed, uint32_t scale) {
  sk_free_size(NULL, 0);
  return run_blocks(seed, 5000 * scale, sk_malloc, sk_free_size, 1);
}

int static_answers(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  static int in_data;
  int on_stack = 0;
  char *scratch = sk_malloc(16384);
  char *small_scratch = sk_malloc(24);
  char *small = sk_palloc(8);
  char *medium = sk_palloc(3000);
  char *large = sk_palloc(3000000);
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  char *in_region = SKIP_Obstack_alloc(100);
  char *in_large_page = SKIP_Obstack_alloc(5000000);
  if (!sk_is_static(NULL) || !sk_is_static(&in_data) || !sk_is_static(&on_stack) || !sk_is_static((void *)(uintptr_t)-1)) return __LINE__;
  if (!sk_is_static(scratch) || !sk_is_static(scratch + 16383) || !sk_is_static(small_scratch)) return __LINE__;
  if (!sk_is_static(in_region) || !sk_is_static(in_large_page) || !sk_is_static(in_large_page + 4999999)) return __LINE__;
  if (sk_is_static(small) || sk_is_static(medium) || sk_is_static(large)) return __LINE__;
  if (sk_is_static(small + 7) || sk_is_static(medium + 2999) || sk_is_static(large + 2999999)) return __LINE__;
  SKIP_destroy_Obstack(saved);
  sk_pfree_size(large, 3000000);
  sk_pfree_size(medium, 3000);
  sk_pfree_size(small, 8);
  sk_free_size(small_scratch, 24);
  sk_free_size(scratch, 16384);
  return 0;
}

// Bytes of live persistent blocks, as SKIP_print_persistent_size prints them.
static long persistent_bytes(void) {
  int ends[2];
  char text[32] = {0};
  fflush(stdout);
  int kept = dup(STDOUT_FILENO);
  if (kept < 0 || pipe(ends) != 0) return -1;
  if (dup2(ends[1], STDOUT_FILENO) < 0) return -1;
  SKIP_print_persistent_size();
  fflush(stdout);
  if (dup2(kept, STDOUT_FILENO) < 0) return -1;
  close(kept);
  close(ends[1]);
  ssize_t count = read(ends[0], text, sizeof text - 1);
  close(ends[0]);
  return count > 1 && text[count - 1] == '\n' ? strtol(text, NULL, 10) : -1;
}

// Graphs are made persistent, share parts with earlier ones, outlive their region, and leave nothing behind.
int persistent_graphs(uint64_t seed, uint32_t scale) {
  enum { LIVE = 4 };
  void *live[LIVE] = {0};
  uint64_t digests[LIVE] = {0};
  long before = persistent_bytes();
  for (uint32_t i = 0; i < 20 * scale; i++) {
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    mini_node *tree = mini_tree((uint32_t)(scenario_random(&seed) % 500) + 1, scenario_random(&seed));
    if (i >= LIVE && i % 3 == 0) {
      // A persistent part in a new graph: it is shared, not copied.
      tree->right = live[(i + 1) % LIVE];
    }
    uint64_t digest = mini_digest(tree);
    void *kept = mini_intern(tree);
    if (kept == tree || sk_is_static(kept) || sk_get_ref_count(kept) != 1 || mini_digest(kept) != digest) return __LINE__;
    if (i >= LIVE && i % 3 == 0 && ((mini_node *)kept)->right != tree->right) return __LINE__;
    SKIP_destroy_Obstack(saved);
    if (mini_digest(kept) != digest) return __LINE__;
    mini_release(live[i % LIVE]);
    live[i % LIVE] = kept;
    digests[i % LIVE] = digest;
    for (uint32_t k = 0; k < LIVE; k++)
      if (live[k] != NULL && mini_digest(live[k]) != digests[k]) return __LINE__;
  }
  long during = persistent_bytes();
  for (uint32_t k = 0; k < LIVE; k++) mini_release(live[k]);
  if (before < 0 || during <= before || persistent_bytes() != before) return __LINE__;
  return mini_constants_are_right() ? 0 : __LINE__;
}

int root_and_numbers(uint64_t seed, uint32_t scale) {
  (void)scale;
  if (SKIP_contexts_get() != NULL || SKIP_context_ref_count() != 0 || SKIP_has_context(NULL) != 0) return __LINE__;
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  char *root = mini_intern(mini_tree(10, seed));
  char *other = mini_intern(mini_tree(10, seed + 1));
  SKIP_destroy_Obstack(saved);
  sk_contexts_set(root);
  if (SKIP_context_ref_count() != 1 || SKIP_contexts_get() != root || SKIP_context_ref_count() != 2) return __LINE__;
  if (SKIP_contexts_get_unsafe() != root || SKIP_context_ref_count() != 3) return __LINE__;
  if (SKIP_has_context(root) != 7 || SKIP_has_context(other) != 3) return __LINE__;
  sk_commit(other, 1);
  if (SKIP_contexts_get() != other || SKIP_context_ref_count() != 2) return __LINE__;
  sk_contexts_set_unsafe(root);
  if (SKIP_contexts_get() != root) return __LINE__;
  sk_commit(NULL, 0);
  if (SKIP_contexts_get_unsafe() != NULL) return __LINE__;
  for (int i = 0; i < 4; i++) mini_release(root);
  for (int i = 0; i < 2; i++) mini_release(other);
  uint64_t first = SKIP_genSym(0);
  if (first == 0 || SKIP_genSym(0) != first + 1 || SKIP_genSym(first + 1000) != first + 2) return __LINE__;
  if (SKIP_genSym(1) != first + 1001 || SKIP_genSym(0) != first + 1002) return __LINE__;
  if (sk_is_locked != 0) return __LINE__;
  sk_global_lock();
  int was_locked = sk_is_locked;
  sk_check_has_lock();
  sk_global_unlock();
  return was_locked == 0 && sk_is_nofile_mode() == 1 ? 0 : __LINE__;
}

enum signal_state { SIGNAL_IDLE, SIGNAL_ASKED, SIGNAL_GIVEN };

typedef struct signals {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
  enum signal_state state;
} signals;

static signals *shared_signals;

// One thread asks and the other gives. The one that asks holds the mutex until it waits, so it waits in each round.
static int signal_in_turn(uint32_t number) {
  const enum signal_state awaited = number == 0 ? SIGNAL_GIVEN : SIGNAL_ASKED;
  for (int i = 0; i < 500; i++) {
    SKIP_mutex_lock(&shared_signals->mutex);
    if (number == 0) {
      shared_signals->state = SIGNAL_ASKED;
      if (SKIP_cond_broadcast(&shared_signals->condition) != 0) return 1;
    }
    while (shared_signals->state != awaited) SKIP_cond_wait(&shared_signals->condition, &shared_signals->mutex);
    shared_signals->state = number == 0 ? SIGNAL_IDLE : SIGNAL_GIVEN;
    if (number != 0 && SKIP_cond_broadcast(&shared_signals->condition) != 0) return 1;
    SKIP_mutex_unlock(&shared_signals->mutex);
  }
  return 0;
}

static int die_with_lock(uint32_t number) {
  (void)number;
  SKIP_mutex_lock(&shared_signals->mutex);
  return 0;
}

int mutexes(uint64_t seed, uint32_t scale) {
  (void)seed;
  (void)scale;
  shared_signals = sk_palloc(sizeof *shared_signals);
  shared_signals->state = SIGNAL_IDLE;
  SKIP_mutex_init(&shared_signals->mutex);
  SKIP_cond_init(&shared_signals->condition);
  if (scenario_in_threads(2, signal_in_turn) != 0 || shared_signals->state != SIGNAL_IDLE) return __LINE__;
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  SKIP_mutex_lock(&shared_signals->mutex);
  int32_t status = SKIP_cond_timedwait(&shared_signals->condition, &shared_signals->mutex, 1);
  clock_gettime(CLOCK_MONOTONIC, &end);
  SKIP_mutex_unlock(&shared_signals->mutex);
  double waited = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
  if (status != ETIMEDOUT || waited < 0.99) return __LINE__;
  // A thread that ends with the mutex does not take it along.
  if (scenario_in_threads(1, die_with_lock) != 0) return __LINE__;
  SKIP_mutex_lock(&shared_signals->mutex);
  SKIP_mutex_unlock(&shared_signals->mutex);
  sk_pfree_size(shared_signals, sizeof *shared_signals);
  return 0;
}

int names_without_effect(uint64_t seed, uint32_t scale) {
  (void)scale;
  void *object = &seed;
  SKIP_Obstack_auto_collect();
  SKIP_check_memory();
  sk_memory_check_init();
  sk_memory_check_init_over();
  if (SKIP_Obstack_collect1(NULL, object) != object || SKIP_freeze_lock(object) != object || SKIP_unfreeze_lock(object) != object)
    return __LINE__;
  return SKIP_freeze_cond(object) == object && SKIP_unfreeze_cond(object) == object ? 0 : __LINE__;
}

// --- Threads.

static uint32_t thread_scale;

static int work_in_thread(uint32_t number) {
  uint64_t random = number;
  for (uint32_t i = 0; i < 10 * thread_scale; i++) {
    sk_saved_obstack_t *saved = SKIP_new_Obstack();
    mini_node *tree = mini_tree(200, scenario_random(&random));
    uint64_t digest = mini_digest(tree);
    void *kept = mini_intern(tree);
    sk_saved_obstack_t *inner = SKIP_new_Obstack();
    mini_node *value = SKIP_destroy_Obstack_with_value(inner, mini_tree(100, number));
    if (mini_digest(kept) != digest || mini_digest(tree) != digest || value == NULL) return 1;
    SKIP_destroy_Obstack(saved);
    if (mini_digest(kept) != digest) return 1;
    mini_release(kept);
    char *scratch = sk_malloc(24);
    scenario_fill(scratch, 24, number);
    if (!scenario_holds(scratch, 24, number)) return 1;
    sk_free_size(scratch, 24);
  }
  // What is in no region goes with the thread.
  SKIP_Obstack_alloc(100000);
  return 0;
}

int threads_share(uint64_t seed, uint32_t scale) {
  (void)seed;
  thread_scale = scale;
  return scenario_in_threads(4, work_in_thread) == 0 ? 0 : __LINE__;
}

// A child of a fork goes on with the heap, its parent's thread's regions and all.
int forked_child(uint64_t seed, uint32_t scale) {
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  mini_node *tree = mini_tree(300, seed);
  uint64_t digest = mini_digest(tree);
  pid_t child = fork();
  if (child < 0) return __LINE__;
  if (child == 0) {
    int line = mini_digest(tree) == digest ? 0 : 1;
    tree = SKIP_destroy_Obstack_with_value(saved, tree);
    if (mini_digest(tree) != digest) line = 2;
    if (line == 0 && regions_nest(seed, 1) != 0) line = 3;
    if (line == 0 && persistent_graphs(seed, 1) != 0) line = 4;
    if (line == 0 && threads_share(seed, scale) != 0) line = 5;
    _exit(line);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) return __LINE__;
  bool is_whole = mini_digest(tree) == digest;
  SKIP_destroy_Obstack(saved);
  return is_whole ? 0 : __LINE__;
}
