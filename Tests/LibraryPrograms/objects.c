// Allocates from a region, for a count of instructions. Usage: objects COUNT call|growing|inline|nothing: within one chunk, in ever
// new chunks, the same by inline code, and the same loop without allocation.
#include <cistern.h>
#include <cistern_region_inline.h>
#include <string.h>

#include "check.h"

int main(int argc, char **argv) {
  cistern_heap_options options;
  cistern_heap *heap = NULL;
  cistern_region *region = NULL;
  check(__LINE__, argc == 3);
  memset(&options, 0, sizeof options);
  options.struct_byte_count = sizeof options;
  options.capacity_bytes = 256 << 20;
  check(__LINE__, cistern_heap_create(&options, &heap) == CISTERN_OK);
  check(__LINE__, cistern_region_create(heap, NULL, &region) == CISTERN_OK);
  unsigned long count = strtoul(argv[1], NULL, 10);
  void *volatile last = NULL;
  switch (argv[2][0]) {
    case 'c':
      for (unsigned long number = 0; number < count; number++) {
        if (number % 64 == 0) check(__LINE__, cistern_region_reset(region) == CISTERN_OK);
        last = cistern_region_allocate(region, number % 8 * 8 + 8);
      }
      break;
    case 'g':
      for (unsigned long number = 0; number < count; number++) last = cistern_region_allocate(region, number % 8 * 8 + 8);
      break;
    case 'i':
      for (unsigned long number = 0; number < count; number++) last = cistern_region_allocate_inline(region, number % 8 * 8 + 8);
      break;
    default:
      for (unsigned long number = 0; number < count; number++) last = &argv[number % 8 * 8 + 8];
      break;
  }
  check(__LINE__, last != NULL && cistern_heap_destroy(heap) == CISTERN_OK);
  return 0;
}
