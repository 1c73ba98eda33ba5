// The fast path of cistern_region_allocate as inline code, for callers that are compiled with the library they run with: the first
// two words of a region are where its next bytes begin and how far they may go, and that may change with CISTERN_BINARY_INTERFACE.
#ifndef CISTERN_REGION_INLINE_H
#define CISTERN_REGION_INLINE_H

#include "cistern.h"

typedef struct cistern_region_head {
  uintptr_t head;
  uintptr_t end;
} cistern_region_head;

// cistern_region_allocate, but that `region` must not be NULL. The size is compared with the room that is left, which is a
// multiple of 8: what is smaller also fits rounded up. The exact fit takes the call.
static inline void *cistern_region_allocate_inline(cistern_region *region, size_t byte_count) {
  cistern_region_head *words = (cistern_region_head *)region;
  uintptr_t head = words->head;
  if (byte_count >= words->end - head) return cistern_region_allocate(region, byte_count);
  words->head = (head + byte_count + 7) & ~(uintptr_t)7;
  return (void *)head;
}

// cistern_region_allocate_aligned for 16 bytes, likewise: `end` is a multiple of 16.
static inline void *cistern_region_allocate_aligned16_inline(cistern_region *region, size_t byte_count) {
  cistern_region_head *words = (cistern_region_head *)region;
  uintptr_t start = (words->head + 15) & ~(uintptr_t)15;
  if (byte_count >= words->end - start) return cistern_region_allocate_aligned(region, byte_count, 16);
  words->head = (start + byte_count + 7) & ~(uintptr_t)7;
  return (void *)start;
}

#endif
