// The life of one child: map, open the allocator, replay, report. Everything after the arguments is this file's business,
// so that a child touches no more of the Swift runtime than its start.
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "own_memory.h"
#include "replay.h"

const uint64_t creplay_result_magic = UINT64_C(0x746c757365726331);

static const int result_descriptor = 3;

bool creplay_report(const void *bytes, size_t byte_count) {
  size_t written = 0;
  while (written < byte_count) {
    ssize_t count = write(result_descriptor, (const char *)bytes + written, byte_count - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    written += (size_t)count;
  }
  return true;
}

bool creplay_parse_number(const char *text, uint64_t *value) {
  *value = 0;
  if (*text == 0) return false;
  for (; *text != 0; text++) {
    if (*text < '0' || *text > '9') return false;
    if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, (uint64_t)(*text - '0'), value)) {
      return false;
    }
  }
  return true;
}

static const int first_number_argument = 4;

static bool parse_request(int argument_count, char **arguments, creplay_request *request) {
  uint64_t *fields[] = {
      &request->mode,          &request->allocator, &request->event_limit, &request->warm_pass_count,
      &request->capacity_bytes, &request->cistern_flags, &request->seed,   &request->workload,
      &request->thread_count,  &request->operation_count,
  };
  int field_count = (int)(sizeof(fields) / sizeof(fields[0]));
  if (argument_count != first_number_argument + field_count) return false;
  for (int field = 0; field < field_count; field++) {
    if (!creplay_parse_number(arguments[first_number_argument + field], fields[field])) return false;
  }
  return true;
}

#pragma weak creplay_inlined_pass

static creplay_failure timed_pass(const creplay_trace *trace, const creplay_request *request,
                                  const creplay_operations *operations, void *heap, creplay_result *result,
                                  uint64_t *nanoseconds) {
  uint64_t start = creplay_monotonic_nanoseconds();
  if (creplay_is_inlined(request)) {
    result->event_count = creplay_inlined_pass(trace->records, trace->event_count, trace->blocks, heap,
                                               request->mode == CREPLAY_MODE_TOUCH, &result->work_hash);
    *nanoseconds = creplay_monotonic_nanoseconds() - start;
    return result->event_count == trace->event_count ? CREPLAY_NO_FAILURE : CREPLAY_OUT_OF_MEMORY;
  }
  creplay_failure failure = creplay_pass(trace, request->mode, operations, heap, request->seed, result);
  *nanoseconds = creplay_monotonic_nanoseconds() - start;
  return failure;
}

static creplay_failure run_passes(const creplay_trace *trace, const creplay_request *request,
                                  const creplay_operations *operations, void *heap, creplay_result *result) {
  creplay_failure failure = timed_pass(trace, request, operations, heap, result, &result->cold_nanoseconds);
  bool frees = request->mode != CREPLAY_MODE_NULL;
  for (uint64_t pass = 0; failure == CREPLAY_NO_FAILURE && pass < request->warm_pass_count; pass++) {
    uint64_t nanoseconds = 0;
    if (frees) creplay_free_remaining(trace, operations, heap);
    failure = timed_pass(trace, request, operations, heap, result, &nanoseconds);
    if (result->warm_nanoseconds == 0 || nanoseconds < result->warm_nanoseconds) result->warm_nanoseconds = nanoseconds;
  }
  if (failure == CREPLAY_NO_FAILURE && request->mode == CREPLAY_MODE_CHECK) {
    creplay_free_remaining(trace, operations, heap);
    if (!creplay_allocator_verify(request, heap)) failure = CREPLAY_HEAP_INCONSISTENT;
  }
  return failure;
}

static creplay_failure replay_with_allocator(const creplay_trace *trace, const creplay_request *request,
                                             creplay_result *result) {
  const creplay_operations *operations = NULL;
  void *heap = NULL;
  // The high-water mark starts before the heap exists: what a heap writes when it is made counts.
  if (request->mode == CREPLAY_MODE_FILL && !creplay_reset_resident_peak()) {
    result->failure_detail = (uint64_t)errno;
    return CREPLAY_SYSTEM_REFUSED;
  }
  result->resident_start_bytes = creplay_status_bytes("VmRSS:");
  creplay_failure failure = creplay_allocator_open(request, &operations, &heap, result);
  if (failure != CREPLAY_NO_FAILURE) return failure;
  if (request->mode == CREPLAY_MODE_THREADS) {
    failure = creplay_run_threads(request, trace->header == NULL ? NULL : trace, operations, heap, result);
    if (failure == CREPLAY_NO_FAILURE && !creplay_allocator_verify(request, heap)) failure = CREPLAY_HEAP_INCONSISTENT;
  } else {
    failure = run_passes(trace, request, operations, heap, result);
  }
  result->resident_peak_bytes = creplay_status_bytes("VmHWM:");
  return failure;
}

static creplay_failure run(const char *flat_path, const char *library, const creplay_request *request,
                           creplay_result *result) {
  creplay_trace trace = {0};
  if (library[0] != 0 && !creplay_malloc_comes_from(library)) return CREPLAY_WRONG_LIBRARY;
  if (flat_path[0] != 0) {
    creplay_failure failure = creplay_trace_map(flat_path, request, &trace, result);
    if (failure != CREPLAY_NO_FAILURE) return failure;
  }
  switch (request->mode) {
  case CREPLAY_MODE_EMPTY:
    return CREPLAY_NO_FAILURE;
  case CREPLAY_MODE_SURVEY:
    creplay_survey(&trace, result);
    return CREPLAY_NO_FAILURE;
  case CREPLAY_MODE_NULL:
    return run_passes(&trace, request, NULL, NULL, result);
  default:
    return replay_with_allocator(&trace, request, result);
  }
}

static int child(int argument_count, char **arguments) {
  creplay_request request = {0};
  creplay_result result = {.magic = creplay_result_magic};
  if (!parse_request(argument_count, arguments, &request)) return 2;
  const char *library = arguments[first_number_argument - 1];
  if (request.mode == CREPLAY_MODE_DESCRIBE) {
    char text[256];
    if (library[0] != 0 && !creplay_malloc_comes_from(library)) return 1;
    size_t length = creplay_malloc_version(text, sizeof(text));
    return creplay_report(text, length) ? 0 : 1;
  }
  result.failure = run(arguments[first_number_argument - 2], library, &request, &result);
  result.completed = result.failure == CREPLAY_NO_FAILURE;
  result.address_space_peak_bytes = creplay_status_bytes("VmPeak:");
  return creplay_report(&result, sizeof(result)) ? 0 : 1;
}

enum { highest_argument_count = 32 };

void creplay_child_main(void) {
  char text[16 << 10];
  char *arguments[highest_argument_count];
  int argument_count = 0;
  int64_t length = creplay_read_file("/proc/self/cmdline", text, sizeof(text) - 1);
  if (length <= 0) _exit(2);
  text[length] = 0;
  for (char *at = text; at < text + length && argument_count < highest_argument_count; at += strlen(at) + 1) {
    arguments[argument_count++] = at;
  }
  bool is_region = argument_count > 1 && strcmp(arguments[1], creplay_region_child_argument) == 0;
  _exit(is_region ? creplay_region_child(argument_count, arguments) : child(argument_count, arguments));
}
