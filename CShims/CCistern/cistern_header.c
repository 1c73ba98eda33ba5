#include "cistern.h"

#include <assert.h>

// Callers were compiled against this layout: a field keeps its place for ever, and new ones follow the last.
static_assert(offsetof(cistern_heap_options, struct_byte_count) == 0, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, capacity_bytes) == 8, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, soft_limit_bytes) == 16, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, minimum_alignment) == 24, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, single_thread) == 28, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, checked) == 29, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, no_huge_pages) == 30, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, not_inherited) == 31, "layout of cistern_heap_options");
static_assert(sizeof(cistern_heap_options) == 32, "layout of cistern_heap_options");
static_assert(sizeof(cistern_status) == 4, "the functions behind cistern.h return 32 bits");

uint32_t cistern_version(void) { return CISTERN_VERSION_MAJOR * 1000000 + CISTERN_VERSION_MINOR * 1000 + CISTERN_VERSION_PATCH; }

const char *cistern_status_text(cistern_status status) {
  switch (status) {
    case CISTERN_OK: return "success";
    case CISTERN_INVALID_ARGUMENT: return "an argument is outside its documented range";
    case CISTERN_CAPACITY_TOO_SMALL: return "the capacity is below 1 MiB";
    case CISTERN_CAPACITY_TOO_LARGE: return "the capacity is above 128 GiB";
    case CISTERN_RESERVATION_REFUSED: return "the system refused to reserve the capacity";
    case CISTERN_COMMIT_REFUSED: return "the system refused to make the heap's first pages usable";
    case CISTERN_TOO_MANY_HEAPS: return "4096 heaps are alive in this process";
  }
  return "unknown status";
}
