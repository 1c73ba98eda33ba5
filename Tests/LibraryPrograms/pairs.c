// Allocates and frees, for a count of instructions inside the calls. Usage: pairs COUNT LARGEST_SIZE.
#include <cistern.h>
#include <string.h>

#include "check.h"

int main(int argc, char **argv) {
  cistern_heap_options options;
  cistern_heap *heap = NULL;
  check(__LINE__, argc == 3);
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.capacity_bytes = 64 << 20;
  check(__LINE__, cistern_heap_create(&options, &heap) == CISTERN_OK);
  unsigned long count = strtoul(argv[1], NULL, 10), largest = strtoul(argv[2], NULL, 10);
  for (unsigned long number = 0; number < count; number++) {
    size_t size = (number * 2654435761u >> 7) % largest + 1;
    void *block = cistern_allocate(heap, size);
    check(__LINE__, block != NULL);
    cistern_deallocate_sized(heap, block, size);
  }
  return 0;
}
