// The timed loop. It is written once and compiled three times, with the mode as a constant: the loop alone, with the
// allocator calls, and with the first and last byte of each block written.
#define _GNU_SOURCE
#include <stdlib.h>

#include "replay.h"

static inline __attribute__((always_inline)) void touch(void *block, uint64_t byte_count) {
  if (byte_count == 0) return;
  volatile unsigned char *bytes = block;
  bytes[0] = 1;
  bytes[byte_count - 1] = 1;
}

// Makes the block of an allocation or resize event.
static inline __attribute__((always_inline)) void *make_block(const creplay_operations *operations, void *heap,
                                                              const creplay_record *record, void *old) {
  switch (record->operation) {
  case CREPLAY_ALLOCATE:
    return operations->allocate(heap, record->byte_count);
  case CREPLAY_RESIZE:
    return operations->resize(heap, old, record->old_byte_count, record->byte_count);
  case CREPLAY_ALLOCATE_ZEROED:
    return operations->allocate_zeroed(heap, record->byte_count);
  default:
    return operations->allocate_aligned(heap, record->byte_count, (size_t)1 << record->alignment_log2);
  }
}

static inline __attribute__((always_inline)) creplay_failure replay(const creplay_trace *trace, const uint64_t mode,
                                                                     const creplay_operations *operations, void *heap,
                                                                     creplay_result *result) {
  const creplay_record *record = trace->records;
  const creplay_record *end = record + trace->event_count;
  void **blocks = trace->blocks;
  uint64_t hash = 0;
  creplay_failure failure = CREPLAY_NO_FAILURE;
  for (; record < end; record++) {
    void **block = &blocks[record->slot];
    hash = creplay_hash_step(hash, record);
    if (record->operation == CREPLAY_FREE) {
      void *old = *block;
      *block = NULL;
      if (mode != CREPLAY_MODE_NULL) operations->deallocate(heap, old, record->byte_count);
    } else {
      void *made = mode == CREPLAY_MODE_NULL ? (void *)record : make_block(operations, heap, record, *block);
      if (made == NULL) {
        failure = CREPLAY_OUT_OF_MEMORY;
        break;
      }
      *block = made;
      if (mode == CREPLAY_MODE_TOUCH) touch(made, record->byte_count);
    }
  }
  result->event_count = (uint64_t)(record - trace->records);
  result->work_hash = hash;
  return failure;
}

creplay_failure creplay_pass(const creplay_trace *trace, uint64_t mode, const creplay_operations *operations, void *heap,
                             uint64_t seed, creplay_result *result) {
  switch (mode) {
  case CREPLAY_MODE_NULL:
    return replay(trace, CREPLAY_MODE_NULL, operations, heap, result);
  case CREPLAY_MODE_CALLS:
    return replay(trace, CREPLAY_MODE_CALLS, operations, heap, result);
  case CREPLAY_MODE_TOUCH:
    return replay(trace, CREPLAY_MODE_TOUCH, operations, heap, result);
  default:
    return creplay_filling_pass(trace, mode, operations, heap, seed, result);
  }
}
