#include "cistern.h"

#include <assert.h>

// Callers were compiled against these layouts: a field keeps its place for ever, and new ones follow the last.
static_assert(offsetof(cistern_heap_options, struct_byte_count) == 0, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, capacity_bytes) == 8, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, soft_limit_bytes) == 16, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, minimum_alignment) == 24, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, single_thread) == 28, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, checked) == 29, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, no_huge_pages) == 30, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, not_inherited) == 31, "layout of cistern_heap_options");
static_assert(offsetof(cistern_heap_options, may_shrink) == 32, "layout of cistern_heap_options");
static_assert(sizeof(cistern_heap_options) == 40, "layout of cistern_heap_options");
static_assert(sizeof(cistern_refusal) == 48 && offsetof(cistern_refusal, code) == 32, "layout of cistern_refusal");
static_assert(sizeof(cistern_heap_statistics) == 176, "layout of cistern_heap_statistics");
static_assert(offsetof(cistern_heap_statistics, requested_bytes) == 128, "layout of cistern_heap_statistics");
static_assert(sizeof(cistern_size_class_statistics) == 40, "layout of cistern_size_class_statistics");
static_assert(sizeof(cistern_inconsistency) == 24, "layout of cistern_inconsistency");
static_assert(sizeof(cistern_memory_limit) == 24, "layout of cistern_memory_limit");
static_assert(sizeof(cistern_unreadable_limit) == 16, "layout of cistern_unreadable_limit");
static_assert(offsetof(cistern_memory_limits, limits) == 48, "layout of cistern_memory_limits");
static_assert(offsetof(cistern_memory_limits, unreadable) == 816, "layout of cistern_memory_limits");
static_assert(sizeof(cistern_memory_limits) == 944, "layout of cistern_memory_limits");
static_assert(offsetof(cistern_capacity_choice, limit) == 32, "layout of cistern_capacity_choice");
static_assert(sizeof(cistern_capacity_choice) == 80, "layout of cistern_capacity_choice");
static_assert(sizeof(cistern_program_outcome) == 24, "layout of cistern_program_outcome");
static_assert(offsetof(cistern_program_outcome, is_discarded) == 20, "layout of cistern_program_outcome");
static_assert(sizeof(cistern_directory_options) == 104, "layout of cistern_directory_options");
static_assert(offsetof(cistern_directory_options, release) == 80, "layout of cistern_directory_options");
static_assert(sizeof(cistern_name_status) == 56, "layout of cistern_name_status");
static_assert(sizeof(cistern_seal_report) == 80, "layout of cistern_seal_report");
static_assert(sizeof(cistern_directory_reader) == 16 && sizeof(cistern_reader_position) == 24, "layout of readers");
static_assert(sizeof(cistern_reader_options) == 48, "layout of cistern_reader_options");
static_assert(sizeof(cistern_batch) == 64, "layout of cistern_batch");
static_assert(sizeof(cistern_event) == 24, "layout of cistern_event");
static_assert(sizeof(cistern_directory_statistics) == 168, "layout of cistern_directory_statistics");
static_assert(sizeof(cistern_status) == 4 && sizeof(cistern_capacity_source) == 4 && sizeof(cistern_misuse) == 4,
              "the functions behind cistern.h give and take 32 bits");

static_assert(sizeof(cistern_region_options) == 16, "layout of cistern_region_options");
static_assert(sizeof(cistern_region_place) == 24, "layout of cistern_region_place");
static_assert(sizeof(cistern_region_extent) == 24, "layout of cistern_region_extent");
static_assert(sizeof(cistern_region_statistics) == 72, "layout of cistern_region_statistics");

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
    case CISTERN_INVALID_HANDLE: return "the handle is NULL or that of no heap that is alive";
    case CISTERN_INCONSISTENT: return "the heap's own data contradict each other";
    case CISTERN_TEXT_EMPTY: return "the text of the capacity is empty";
    case CISTERN_TEXT_MALFORMED: return "the text is not a capacity";
    case CISTERN_TEXT_OVERFLOW: return "the text says more than 9223372036854775807 bytes";
    case CISTERN_TEXT_ZERO: return "the text says zero bytes";
    case CISTERN_TEXT_AMBIGUOUS_UNIT: return "the unit may count in 1000 or in 1024";
    case CISTERN_TEXT_FRACTION: return "the text is a fraction";
    case CISTERN_TEXT_UNLIMITED: return "the text says no bound, and a bounded heap needs one";
    case CISTERN_TEXT_PERCENTAGE: return "the text is not a percentage from 1 to 100";
    case CISTERN_EXHAUSTED: return "the heap's capacity does not hold it";
    case CISTERN_LIMIT_REACHED: return "the region's limit does not hold it";
    case CISTERN_REGION_CLOSED: return "the region has been closed";
    case CISTERN_REGION_BUSY: return "cleanup actions of the region are running";
    case CISTERN_REGION_NOT_CURRENT: return "the region is not the top of this thread's stack";
    case CISTERN_NO_PARENT: return "a region that stands alone has nobody to promote to";
    case CISTERN_NOT_IN_REGION: return "the address is not in this region";
    case CISTERN_STALE_MARK: return "the mark is another region's, or has been released";
    case CISTERN_NOT_EXCHANGEABLE: return "the two regions are of different heaps, or the same";
    case CISTERN_PROGRAM_NOT_FOUND: return "there is no such program";
    case CISTERN_PROGRAM_NOT_EXECUTABLE: return "the program is there and cannot be executed";
    case CISTERN_PROGRAM_ARGUMENTS_TOO_LONG: return "arguments and environment are more than the system takes";
    case CISTERN_PROGRAM_NO_MEMORY: return "no memory for the program, or no process";
    case CISTERN_PROGRAM_CANNOT_WAIT: return "the program was started, and how it ended cannot be learned";
    case CISTERN_PROGRAM_REFUSED: return "the system refused to start the program";
    case CISTERN_REGIONS_OPEN: return "a region of the heap is open";
    case CISTERN_DIRECTORIES_OPEN: return "a directory is in the heap";
    case CISTERN_NAME_TOO_LONG: return "the name has more than 4096 bytes";
    case CISTERN_NAME_TAKEN: return "a living region of the directory has the name";
    case CISTERN_UNKNOWN_REGION: return "the directory knows of no such region";
    case CISTERN_REGION_REMOVED: return "the region was removed from the directory";
    case CISTERN_RETENTION_EXHAUSTED: return "readers hold as many tombstones as they may";
    case CISTERN_TICK_EXHAUSTED: return "the last tick is open";
    case CISTERN_TOO_MANY_SNAPSHOTS: return "64 snapshots at different ticks hold payloads";
    case CISTERN_NOT_PINNED: return "the reader does not hold this any more";
    case CISTERN_RESYNC: return "something was dropped, and the reader starts from a baseline";
    case CISTERN_REPEATED: return "the batch was acknowledged before";
    case CISTERN_SUPERSEDED: return "a later poll replaced the batch";
    case CISTERN_FOREIGN_BATCH: return "the batch is another reader's or another directory's";
    case CISTERN_EXPIRED: return "the reader held too much and has expired";
    case CISTERN_FIXED_READER: return "the reader stays where it began";
    case CISTERN_NOT_AN_IMAGE: return "the bytes are not the image of a directory";
    case CISTERN_IMAGE_VERSION: return "the image is of another version";
    case CISTERN_IMAGE_DAMAGED: return "the image is damaged";
    case CISTERN_BUFFER_TOO_SMALL: return "the image has more bytes than the buffer";
    case CISTERN_OWNER_TOO_YOUNG: return "an owner has to be made before what it owns";
    case CISTERN_ALREADY_OWNER: return "the one region owns the other already";
    case CISTERN_NOT_OWNER: return "the one region does not own the other";
    case CISTERN_NO_REGION: return "the named region has no memory of its own";
  }
  return "unknown status";
}
