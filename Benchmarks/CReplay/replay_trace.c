// A trace in memory: mapped read-only, its tables beside it, all pages present before anything is measured.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own_memory.h"
#include "replay.h"

// Maps the whole file; the caller owns the mapping until the process ends.
static const void *map_file(const char *path, uint64_t *byte_count) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat found;
  if (file < 0) return NULL;
  if (fstat(file, &found) != 0 || found.st_size < (off_t)sizeof(creplay_flat_header)) {
    (void)close(file);   // already failing
    return NULL;
  }
  *byte_count = (uint64_t)found.st_size;
  void *mapped = mmap(NULL, *byte_count, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  int saved = errno;
  bool closed = close(file) == 0;
  errno = saved;
  return mapped == MAP_FAILED || !closed ? NULL : mapped;
}

creplay_failure creplay_trace_map(const char *flat_path, const creplay_request *request, creplay_trace *trace,
                                  creplay_result *result) {
  uint64_t byte_count = 0;
  *trace = (creplay_trace){0};
  trace->header = map_file(flat_path, &byte_count);
  result->failure_detail = (uint64_t)errno;
  if (trace->header == NULL) return CREPLAY_TRACE_UNUSABLE;
  if (byte_count != sizeof(creplay_flat_header) + trace->header->event_count * sizeof(creplay_record)) {
    return CREPLAY_TRACE_UNUSABLE;
  }
  trace->records = (const creplay_record *)(trace->header + 1);
  trace->event_count = trace->header->event_count < request->event_limit ? trace->header->event_count : request->event_limit;
  uint64_t slots = trace->header->slot_count;
  trace->blocks = creplay_map_table(slots * sizeof(void *), true);
  bool fills = request->mode == CREPLAY_MODE_FILL || request->mode == CREPLAY_MODE_CHECK;
  if (fills || request->mode == CREPLAY_MODE_SURVEY) trace->byte_counts = creplay_map_table(slots * sizeof(uint64_t), true);
  if (request->mode == CREPLAY_MODE_CHECK) trace->identities = creplay_map_table(slots * sizeof(uint64_t), true);
  result->failure_detail = (uint64_t)errno;
  if (trace->blocks == NULL || (fills && trace->byte_counts == NULL)) return CREPLAY_SYSTEM_REFUSED;
  if (request->mode == CREPLAY_MODE_SURVEY && trace->byte_counts == NULL) return CREPLAY_SYSTEM_REFUSED;
  if (request->mode == CREPLAY_MODE_CHECK && trace->identities == NULL) return CREPLAY_SYSTEM_REFUSED;
  result->failure_detail = 0;
  return CREPLAY_NO_FAILURE;
}

const creplay_record *creplay_open_records(const char *flat_path, creplay_flat_header *header) {
  uint64_t byte_count = 0;
  const creplay_flat_header *mapped = map_file(flat_path, &byte_count);
  if (mapped == NULL || byte_count != sizeof(*mapped) + mapped->event_count * sizeof(creplay_record)) return NULL;
  *header = *mapped;
  return (const creplay_record *)(mapped + 1);
}

uint64_t creplay_resident_bytes(const void *start, size_t byte_count) {
  enum { page_count = 4096 };
  static const size_t page_bytes = 4096;
  unsigned char flags[page_count];
  uint64_t resident = 0;
  for (size_t offset = 0; offset < byte_count; offset += page_count * page_bytes) {
    size_t left = byte_count - offset;
    size_t part = left < page_count * page_bytes ? left : page_count * page_bytes;
    if (mincore((char *)(uintptr_t)start + offset, part, flags) != 0) return resident;
    for (size_t page = 0; page < (part + page_bytes - 1) / page_bytes; page++) resident += (flags[page] & 1) * page_bytes;
  }
  return resident;
}

void creplay_survey(const creplay_trace *trace, creplay_result *result) {
  uint64_t live_bytes = 0;
  uint64_t live_objects = 0;
  for (uint64_t at = 0; at < trace->event_count; at++) {
    const creplay_record *record = &trace->records[at];
    uint64_t *byte_count = &trace->byte_counts[record->slot];
    result->work_hash = creplay_hash_step(result->work_hash, record);
    if (record->thread >= result->thread_count) result->thread_count = (uint64_t)record->thread + 1;
    if (record->operation == CREPLAY_FREE) {
      live_bytes -= *byte_count;
      live_objects--;
      continue;
    }
    if (record->operation == CREPLAY_RESIZE) {
      live_bytes -= *byte_count;
    } else {
      live_objects++;
      result->object_count++;
    }
    *byte_count = record->byte_count;
    live_bytes += *byte_count;
    if (live_bytes > result->peak_live_bytes) result->peak_live_bytes = live_bytes;
    if (live_objects > result->peak_live_objects) result->peak_live_objects = live_objects;
  }
  result->event_count = trace->event_count;
}

// The sizes of what is left are not in the records; frees are unsized where they are not known.
void creplay_free_remaining(const creplay_trace *trace, const creplay_operations *operations, void *heap) {
  for (uint64_t slot = 0; slot < trace->header->slot_count; slot++) {
    if (trace->blocks[slot] == NULL) continue;
    operations->deallocate_unsized(heap, trace->blocks[slot]);
    trace->blocks[slot] = NULL;
  }
}
