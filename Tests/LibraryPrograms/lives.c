// Heaps, threads and processes that begin and end: 100,000 heaps without growth, two heaps at once, threads that end with full
// caches, forks beside running threads. Usage: lives [HEAP_COUNT].
#define _GNU_SOURCE
#include <cistern.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { THREAD_COUNT = 3, BLOCK_COUNT = 200 };

static cistern_heap *made(uint64_t capacity_bytes, bool checked, bool not_inherited) {
  cistern_heap_options options;
  cistern_heap *heap = NULL;
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.capacity_bytes = capacity_bytes;
  options.checked = checked;
  options.not_inherited = not_inherited;
  check(__LINE__, cistern_heap_create(&options, &heap) == CISTERN_OK);
  return heap;
}

static cistern_heap_statistics statistics_of(cistern_heap *heap) {
  cistern_heap_statistics statistics;
  memset(&statistics, 0, sizeof statistics);
  statistics.struct_byte_count = sizeof statistics;
  check(__LINE__, cistern_read_statistics(heap, &statistics) == CISTERN_OK);
  return statistics;
}

// Lines of a file of /proc/self, or the number in the line that begins with a label.
static long of_process(const char *path, const char *label) {
  char line[512];
  long value = 0;
  FILE *file = fopen(path, "r");
  check(__LINE__, file != NULL);
  while (fgets(line, sizeof line, file) != NULL)
    if (label == NULL)
      value++;
    else if (strncmp(line, label, strlen(label)) == 0)
      value = atol(line + strlen(label));
  check(__LINE__, fclose(file) == 0);
  return value;
}

static void use_once(bool checked) {
  cistern_heap *heap = made(1 << 20, checked, false);
  void *block = cistern_allocate(heap, 100);
  check(__LINE__, block != NULL);
  memset(block, 1, 100);
  if (checked) cistern_deallocate_sized(heap, block, 100);
  check(__LINE__, cistern_heap_destroy(heap) == CISTERN_OK);
}

static void many_heaps(long count) {
  for (int checked = 0; checked < 2; checked++) {
    for (int warm = 0; warm < 200; warm++) use_once(checked != 0);
    long mappings = of_process("/proc/self/maps", NULL);
    long virtual_kibibytes = of_process("/proc/self/status", "VmSize:");
    long resident_kibibytes = of_process("/proc/self/status", "VmRSS:");
    for (long number = 0; number < count; number++) use_once(checked != 0);
    // The pages of 64 checked heaps that were destroyed may or may not adjoin.
    check(__LINE__, of_process("/proc/self/maps", NULL) <= mappings + (checked != 0 ? 64 : 0));
    check(__LINE__, of_process("/proc/self/status", "VmSize:") <= virtual_kibibytes + 256);
    check(__LINE__, of_process("/proc/self/status", "VmRSS:") <= resident_kibibytes + 256);
  }
}

static void two_heaps(void) {
  cistern_heap *heaps[2] = {made(2 << 20, false, false), made(4 << 20, false, false)};
  void *blocks[2][BLOCK_COUNT];
  for (int number = 0; number < BLOCK_COUNT; number++)
    for (int which = 0; which < 2; which++) {
      blocks[which][number] = cistern_allocate(heaps[which], 50);
      check(__LINE__, blocks[which][number] != NULL && cistern_contains(heaps[which], blocks[which][number]));
      check(__LINE__, !cistern_contains(heaps[1 - which], blocks[which][number]));
      memset(blocks[which][number], number + which, 50);
    }
  check(__LINE__, cistern_heap_destroy(heaps[0]) == CISTERN_OK && !cistern_verify(heaps[0]));
  for (int number = 0; number < BLOCK_COUNT; number++) {
    unsigned char expected[50];
    memset(expected, number + 1, sizeof expected);
    check(__LINE__, memcmp(blocks[1][number], expected, sizeof expected) == 0);
    cistern_deallocate_sized(heaps[1], blocks[1][number], 50);
  }
  check(__LINE__, statistics_of(heaps[1]).live_block_count == 0 && cistern_verify(heaps[1]));
  check(__LINE__, cistern_heap_destroy(heaps[1]) == CISTERN_OK);
}

typedef struct worker {
  cistern_heap *heap;
  void *left_over;
  unsigned stop;
} worker;

// Frees all it allocated but one block, which another thread frees when this one is gone.
static void *allocate_and_end(void *context) {
  worker *own = context;
  void *blocks[BLOCK_COUNT];
  for (size_t number = 0; number < BLOCK_COUNT; number++) {
    blocks[number] = cistern_allocate(own->heap, number + 1);
    check(__LINE__, blocks[number] != NULL);
  }
  for (size_t number = 1; number < BLOCK_COUNT; number++) cistern_deallocate_sized(own->heap, blocks[number], number + 1);
  own->left_over = blocks[0];
  return NULL;
}

static void threads_that_end(void) {
  worker shared = {made(8 << 20, false, false), NULL, 0};
  uint64_t extent = 0;
  for (int number = 0; number < 500; number++) {
    pthread_t thread;
    check(__LINE__, pthread_create(&thread, NULL, allocate_and_end, &shared) == 0 && pthread_join(thread, NULL) == 0);
    cistern_deallocate_sized(shared.heap, shared.left_over, 1);
    if (number == 10) extent = statistics_of(shared.heap).extent_high_water_bytes;
  }
  check(__LINE__, statistics_of(shared.heap).live_block_count == 0 && statistics_of(shared.heap).extent_high_water_bytes <= extent + 65536);
  check(__LINE__, cistern_verify(shared.heap) && cistern_heap_destroy(shared.heap) == CISTERN_OK);
}

#if !defined(__SANITIZE_ADDRESS__)
static void *allocate_until_told(void *context) {
  worker *own = context;
  for (size_t size = 1; __atomic_load_n(&own->stop, __ATOMIC_ACQUIRE) == 0; size = size % 600 + 1) {
    void *block = cistern_allocate(own->heap, size);
    check(__LINE__, block != NULL);
    cistern_deallocate_sized(own->heap, block, size);
  }
  return NULL;
}

// In the child: the heap as it was, a thread of its own, another heap, and the end of both.
static int child(cistern_heap *heap, void *block) {
  unsigned char expected[300];
  memset(expected, 9, sizeof expected);
  if (memcmp(block, expected, sizeof expected) != 0) return 1;
  cistern_deallocate_sized(heap, block, sizeof expected);
  worker own = {heap, NULL, 0};
  pthread_t thread;
  if (pthread_create(&thread, NULL, allocate_and_end, &own) != 0 || pthread_join(thread, NULL) != 0) return 2;
  cistern_deallocate(heap, own.left_over);
  if (!cistern_verify(heap) || cistern_heap_destroy(heap) != CISTERN_OK) return 3;
  use_once(false);
  return 0;
}

static void forks(void) {
  worker shared = {made(8 << 20, false, false), NULL, 0};
  cistern_heap *private_heap = made(8 << 20, false, true);
  void *kept = cistern_allocate(private_heap, 10);
  pthread_t threads[THREAD_COUNT];
  check(__LINE__, kept != NULL);
  for (int number = 0; number < THREAD_COUNT; number++)
    check(__LINE__, pthread_create(&threads[number], NULL, allocate_until_told, &shared) == 0);
  for (int number = 0; number < 20; number++) {
    void *block = cistern_allocate(shared.heap, 300);
    check(__LINE__, block != NULL);
    memset(block, 9, 300);
    pid_t process = fork();
    check(__LINE__, process >= 0);
    if (process == 0) {
      alarm(20);
      // The heap that is not inherited answers, and no more.
      bool refuses = cistern_allocate(private_heap, 10) == NULL && cistern_heap_destroy(private_heap) == CISTERN_INVALID_HANDLE;
      _exit(refuses ? child(shared.heap, block) : 4);
    }
    int status = -1;
    check(__LINE__, waitpid(process, &status, 0) == process && status == 0);
    cistern_deallocate_sized(shared.heap, block, 300);
  }
  __atomic_store_n(&shared.stop, 1, __ATOMIC_RELEASE);
  for (int number = 0; number < THREAD_COUNT; number++) check(__LINE__, pthread_join(threads[number], NULL) == 0);
  check(__LINE__, statistics_of(shared.heap).live_block_count == 0 && cistern_verify(shared.heap) && cistern_verify(private_heap));
  check(__LINE__, cistern_heap_destroy(shared.heap) == CISTERN_OK && cistern_heap_destroy(private_heap) == CISTERN_OK);
}
#endif

int main(int argc, char **argv) {
  many_heaps(argc > 1 ? atol(argv[1]) : 100000);
  two_heaps();
  threads_that_end();
#if !defined(__SANITIZE_ADDRESS__)
  // The sanitizer's own allocator keeps its locks over fork: a child made beside threads waits for them now and then.
  forks();
#endif
  puts("heaps, threads and processes ended");
  return 0;
}
