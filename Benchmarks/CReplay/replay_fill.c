// The passes that write every byte: for the resident high-water mark, and with a pattern that is verified at every free
// and resize. Slower than the timed loop and never timed.
#define _GNU_SOURCE
#include <string.h>

#include "replay.h"

// Eight bytes of the pattern of one object. Each object has its own identity, so that a block handed out twice shows.
static uint64_t pattern_word(uint64_t identity, uint64_t index) {
  uint64_t word = identity * UINT64_C(0x9e3779b97f4a7c15) + index * UINT64_C(0xd1342543de82ef95);
  return word ^ word >> 29;
}

static void write_pattern(unsigned char *bytes, uint64_t byte_count, uint64_t identity) {
  uint64_t at = 0;
  for (; byte_count - at >= 8; at += 8) {
    uint64_t word = pattern_word(identity, at / 8);
    memcpy(bytes + at, &word, 8);
  }
  uint64_t last = pattern_word(identity, at / 8);
  memcpy(bytes + at, &last, byte_count - at);
}

static bool holds_pattern(const unsigned char *bytes, uint64_t byte_count, uint64_t identity) {
  uint64_t at = 0;
  for (; byte_count - at >= 8; at += 8) {
    uint64_t word = pattern_word(identity, at / 8);
    if (memcmp(bytes + at, &word, 8) != 0) return false;
  }
  uint64_t last = pattern_word(identity, at / 8);
  return memcmp(bytes + at, &last, byte_count - at) == 0;
}

static bool holds_zeros(const unsigned char *bytes, uint64_t byte_count) {
  for (uint64_t at = 0; at < byte_count; at++) {
    if (bytes[at] != 0) return false;
  }
  return true;
}

// What every allocator here promises: 16 where the size is a multiple of 16, else 8; a resize in place may keep 8.
static uint64_t promised_alignment(const creplay_record *record) {
  if (record->operation == CREPLAY_ALLOCATE_ALIGNED) return UINT64_C(1) << record->alignment_log2;
  if (record->byte_count < 8) return 1;
  return record->byte_count % 16 == 0 && record->operation != CREPLAY_RESIZE ? 16 : 8;
}

static creplay_failure check_made(const creplay_trace *trace, const creplay_record *record, void *made) {
  if ((uintptr_t)made % promised_alignment(record) != 0) return CREPLAY_WRONG_ALIGNMENT;
  if (record->operation == CREPLAY_ALLOCATE_ZEROED && !holds_zeros(made, record->byte_count)) return CREPLAY_WRONG_CONTENTS;
  if (record->operation == CREPLAY_RESIZE) {
    uint64_t kept = trace->byte_counts[record->slot];
    if (record->byte_count < kept) kept = record->byte_count;
    if (!holds_pattern(made, kept, trace->identities[record->slot])) return CREPLAY_WRONG_CONTENTS;
  }
  return CREPLAY_NO_FAILURE;
}

static creplay_failure fill_event(const creplay_trace *trace, const creplay_operations *operations, void *heap,
                                  const creplay_record *record, uint64_t identity) {
  void **block = &trace->blocks[record->slot];
  uint64_t *byte_count = &trace->byte_counts[record->slot];
  bool checks = trace->identities != NULL;
  if (record->operation == CREPLAY_FREE || record->operation == CREPLAY_RESIZE) {
    if (checks && !holds_pattern(*block, *byte_count, trace->identities[record->slot])) return CREPLAY_WRONG_CONTENTS;
  }
  if (record->operation == CREPLAY_FREE) {
    operations->deallocate(heap, *block, record->byte_count);
    *block = NULL;
    return CREPLAY_NO_FAILURE;
  }
  void *made;
  uint64_t written = 0;   // bytes at the start that need no filling
  switch (record->operation) {
  case CREPLAY_RESIZE:
    made = operations->resize(heap, *block, record->old_byte_count, record->byte_count);
    written = *byte_count < record->byte_count ? *byte_count : record->byte_count;
    break;
  case CREPLAY_ALLOCATE_ZEROED:
    made = operations->allocate_zeroed(heap, record->byte_count);
    break;
  case CREPLAY_ALLOCATE_ALIGNED:
    made = operations->allocate_aligned(heap, record->byte_count, (size_t)1 << record->alignment_log2);
    break;
  default:
    made = operations->allocate(heap, record->byte_count);
  }
  if (made == NULL) return CREPLAY_OUT_OF_MEMORY;
  if (checks) {
    creplay_failure failure = check_made(trace, record, made);
    if (failure != CREPLAY_NO_FAILURE) return failure;
    trace->identities[record->slot] = identity;
    write_pattern(made, record->byte_count, identity);
  } else {
    memset((unsigned char *)made + written, 0x5a, record->byte_count - written);
  }
  *block = made;
  *byte_count = record->byte_count;
  return CREPLAY_NO_FAILURE;
}

creplay_failure creplay_filling_pass(const creplay_trace *trace, uint64_t mode, const creplay_operations *operations,
                                     void *heap, uint64_t seed, creplay_result *result) {
  (void)mode;   // the tables of the trace tell: identities exist only where contents are checked
  uint64_t hash = 0;
  creplay_failure failure = CREPLAY_NO_FAILURE;
  uint64_t at = 0;
  for (; at < trace->event_count; at++) {
    const creplay_record *record = &trace->records[at];
    hash = creplay_hash_step(hash, record);
    failure = fill_event(trace, operations, heap, record, seed + at);
    if (failure != CREPLAY_NO_FAILURE) break;
  }
  for (uint64_t slot = 0; trace->identities != NULL && failure == CREPLAY_NO_FAILURE && slot < trace->header->slot_count;
       slot++) {
    if (trace->blocks[slot] == NULL) continue;
    if (!holds_pattern(trace->blocks[slot], trace->byte_counts[slot], trace->identities[slot])) failure = CREPLAY_WRONG_CONTENTS;
  }
  result->event_count = at;
  result->work_hash = hash;
  return failure;
}
