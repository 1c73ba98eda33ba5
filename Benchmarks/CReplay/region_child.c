// The life of a child that replays regions.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own_memory.h"
#include "region_replay.h"
#include "replay.h"

#pragma weak cistern_heap_create

const char *const creplay_region_child_argument = "region-child";

enum { first_number = 3, number_count = 5 };

typedef struct region_request {
  uint64_t work;
  uint64_t engine;
  uint64_t flags;
  uint64_t capacity_bytes;
  uint64_t count;
} region_request;

// Maps the flat file and the tables, all pages present.
static bool map_trace(const char *path, const region_request *request, creplay_region_trace *trace) {
  struct stat found;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &found) != 0) return false;
  void *mapped = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (close(file) != 0 || mapped == MAP_FAILED) return false;
  const creplay_region_header *header = mapped;
  trace->records = (const creplay_region_record *)(header + 1);
  trace->record_count = header->record_count;
  trace->blocks = creplay_map_table((header->slot_count + 1) * sizeof(void *), true);
  if (trace->blocks == NULL) return false;
  if (request->engine != CREPLAY_ENGINE_MALLOC) return true;
  trace->objects = creplay_map_table(header->region_allocation_count * sizeof(void *), true);
  return trace->objects != NULL;
}

static bool open_heap(const region_request *request, creplay_region_trace *trace, creplay_region_result *result) {
  if (request->engine != CREPLAY_ENGINE_CISTERN) return true;
  if (cistern_heap_create == NULL) return false;
  if (request->work != CREPLAY_WORK_TRACE && (request->flags & CREPLAY_REGION_FROM_C) == 0) return true;   // Swift makes its own
  cistern_heap_options options = {
      .struct_byte_count = sizeof(cistern_heap_options),
      .capacity_bytes = request->capacity_bytes != 0 ? request->capacity_bytes : creplay_fitting_capacity(),
  };
  result->failure_detail = (uint64_t)cistern_heap_create(&options, &trace->heap);
  return trace->heap != NULL;
}

static void run(const char *path, const region_request *request, creplay_region_result *result) {
  creplay_region_trace trace = {0};
  if (path[0] != 0 && !map_trace(path, request, &trace)) {
    result->failure_detail = (uint64_t)errno;
    return;
  }
  if (request->work == CREPLAY_WORK_EMPTY) {
    result->completed = 1;
    return;
  }
  uint64_t start = creplay_monotonic_nanoseconds();
  if (!open_heap(request, &trace, result)) return;
  if (request->work == CREPLAY_WORK_TRACE) {
    result->record_count = creplay_region_replay(&trace, request->engine, result);
    result->completed = result->record_count == trace.record_count;
  } else {
    result->completed = creplay_region_loop(request->work, request->engine, request->flags, request->count, trace.heap, result);
  }
  result->nanoseconds = creplay_monotonic_nanoseconds() - start;
}

int creplay_region_child(int argument_count, char **arguments) {
  region_request request = {0};
  uint64_t *fields[number_count] = {&request.work, &request.engine, &request.flags, &request.capacity_bytes, &request.count};
  if (argument_count != first_number + number_count) return 2;
  for (int field = 0; field < number_count; field++) {
    if (!creplay_parse_number(arguments[first_number + field], fields[field])) return 2;
  }
  creplay_region_result result = {.magic = creplay_result_magic};
  run(arguments[first_number - 1], &request, &result);
  result.address_space_peak_bytes = creplay_status_bytes("VmPeak:");
  result.resident_peak_bytes = creplay_status_bytes("VmHWM:");
  return creplay_report(&result, sizeof(result)) ? 0 : 1;
}
