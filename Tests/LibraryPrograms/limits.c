// Fills a heap until it says no, empties it, and fills it again: under a limit on address space, set from outside.
// Usage: limits CAPACITY. Prints how many blocks there were each time; exit 1 and one line when there is no heap.
#include <cistern.h>
#include <errno.h>
#include <string.h>

#include "check.h"

// Allocates until NULL, each block holding the address of the one before it.
static size_t fill(cistern_heap *heap, size_t byte_count, void **last) {
  size_t count = 0;
  *last = NULL;
  for (void *block; (block = cistern_allocate(heap, byte_count)) != NULL; count++) {
    memcpy(block, last, sizeof *last);
    *last = block;
  }
  return count;
}

static size_t empty(cistern_heap *heap, size_t byte_count, void *last) {
  size_t count = 0;
  for (; last != NULL; count++) {
    void *block = last;
    memcpy(&last, block, sizeof last);
    cistern_deallocate_sized(heap, block, byte_count);
  }
  return count;
}

int main(int argc, char **argv) {
  cistern_heap_options options;
  cistern_refusal refusal;
  cistern_heap *heap = NULL;
  void *last;
  check(__LINE__, argc == 2);
  memset(&options, 0, sizeof options);
  memset(&refusal, 0, sizeof refusal);
  options.struct_byte_count = sizeof options;
  refusal.struct_byte_count = sizeof refusal;
  options.capacity_bytes = strtoull(argv[1], NULL, 10);
  size_t byte_count = options.capacity_bytes / 256;
  errno = 77;
  cistern_status status = cistern_heap_create_explained(&options, &heap, &refusal);
  if (status != CISTERN_OK) {
    char line[256];
    cistern_refusal_text(&refusal, line, sizeof line);
    printf("%s, %s, errno %d\n", cistern_status_text(status), line, errno);
    return 1;
  }
  size_t filled = fill(heap, byte_count, &last);
  size_t emptied = empty(heap, byte_count, last);
  size_t again = fill(heap, byte_count, &last);
  check(__LINE__, empty(heap, byte_count, last) == again && cistern_verify(heap));
  check(__LINE__, cistern_trim(heap) > 0);
  check(__LINE__, cistern_heap_destroy(heap) == CISTERN_OK);
  printf("%zu %zu %zu errno %d\n", filled, emptied, again, errno);
  return 0;
}
