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

const char *cistern_status_text(cistern_status status) {
  switch (status) {
    case CISTERN_OK: return "success";
    case CISTERN_INVALID_ARGUMENT: return "an argument is outside its documented range";
    case CISTERN_CAPACITY_TOO_SMALL: return "the capacity is below 1 MiB";
    case CISTERN_CAPACITY_TOO_LARGE: return "the capacity is above 128 GiB";
    case CISTERN_RESERVATION_REFUSED: return "the system refused to reserve the capacity";
    case CISTERN_COMMIT_REFUSED: return "the system refused to make the heap's first pages usable";
    case CISTERN_TOO_MANY_HEAPS: return "4096 heaps are alive in this process";
    case CISTERN_PROGRAM_NOT_FOUND: return "there is no such program";
    case CISTERN_PROGRAM_NOT_EXECUTABLE: return "the program is there and cannot be executed";
    case CISTERN_PROGRAM_ARGUMENTS_TOO_LONG: return "arguments and environment are more than the system takes";
    case CISTERN_PROGRAM_NO_MEMORY: return "no memory for the program, or no process";
    case CISTERN_PROGRAM_CANNOT_WAIT: return "the program was started, and how it ended cannot be learned";
    case CISTERN_PROGRAM_SYSTEM_REFUSED: return "the system refused to start the program";
  }
  return "unknown status";
}
