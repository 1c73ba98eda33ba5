// The fast path of cistern_region_allocate as inline code, for callers that are compiled with the library they run with: the first
// two words of a region are where its next bytes begin and how far they may go, and that may change with CISTERN_BINARY_INTERFACE.
#ifndef CISTERN_REGION_INLINE_H
#define CISTERN_REGION_INLINE_H

#include "cistern.h"

typedef struct cistern_region_head {
  uintptr_t head;
  uintptr_t end;
} cistern_region_head;

static inline cistern_region_head *cistern_region_words(cistern_region *region) {
#ifdef __cplusplus
  return reinterpret_cast<cistern_region_head *>(region);
#else
  return (cistern_region_head *)region;
#endif
}

static inline void *cistern_region_object(uintptr_t address) {
#ifdef __cplusplus
  return reinterpret_cast<void *>(address);
#else
  return (void *)address;
#endif
}

// An address rounded up to a multiple, a power of two.
static inline uintptr_t cistern_region_rounded(uintptr_t address, uintptr_t multiple) {
  return (address + (multiple - 1)) & ~(multiple - 1);
}

// cistern_region_allocate, but that `region` must not be NULL. The size is compared with the room that is left, which is a
// multiple of 8: what is smaller also fits rounded up. The exact fit takes the call.
static inline void *cistern_region_allocate_inline(cistern_region *region, size_t byte_count) {
  cistern_region_head *words = cistern_region_words(region);
  uintptr_t head = words->head;
  if (byte_count >= words->end - head) return cistern_region_allocate(region, byte_count);
  words->head = cistern_region_rounded(head + byte_count, 8);
  return cistern_region_object(head);
}

// cistern_region_allocate_aligned for 16 bytes, likewise: `end` is a multiple of 16.
static inline void *cistern_region_allocate_aligned16_inline(cistern_region *region, size_t byte_count) {
  cistern_region_head *words = cistern_region_words(region);
  uintptr_t start = cistern_region_rounded(words->head, 16);
  if (byte_count >= words->end - start) return cistern_region_allocate_aligned(region, byte_count, 16);
  words->head = cistern_region_rounded(start + byte_count, 8);
  return cistern_region_object(start);
}

#endif
