// What the replay's parts share.
#ifndef CREPLAY_REPLAY_H
#define CREPLAY_REPLAY_H

#include "CReplay.h"
#include "allocators.h"

// A mapped trace and the table of pointers, one per slot.
typedef struct creplay_trace {
  const creplay_flat_header *header;
  const creplay_record *records;
  uint64_t event_count;     // of the prefix that is replayed
  void **blocks;            // NULL where no object is live
  uint64_t *byte_counts;    // by slot; only for the modes that write every byte
  uint64_t *identities;     // by slot; only for the mode that checks
} creplay_trace;

// Maps the trace and the tables, all pages present. On failure result->failure_detail is errno.
creplay_failure creplay_trace_map(const char *flat_path, const creplay_request *request, creplay_trace *trace,
                                  creplay_result *result);
// Counts objects and live bytes of the prefix.
void creplay_survey(const creplay_trace *trace, creplay_result *result);

// One pass over the events. Sets result->event_count and work_hash; a failure stops the pass.
creplay_failure creplay_pass(const creplay_trace *trace, uint64_t mode, const creplay_operations *operations, void *heap,
                             uint64_t seed, creplay_result *result);
// The pass through cistern with the heap's fast path inlined, in Swift. Stops at the first event that fails and returns how
// many were done; *hash is the work hash. The heap is one that creplay_inlined_open made. All three are null where Swift is
// not linked.
void *creplay_inlined_open(uint64_t capacity_bytes);
void creplay_inlined_deallocate(void *heap, void *block);
uint64_t creplay_inlined_pass(const creplay_record *records, uint64_t event_count, void **blocks, void *heap, bool touches,
                              uint64_t *hash);
// The same with every byte written, and verified in the mode that checks.
creplay_failure creplay_filling_pass(const creplay_trace *trace, uint64_t mode, const creplay_operations *operations,
                                     void *heap, uint64_t seed, creplay_result *result);
// Frees what the pass left live.
void creplay_free_remaining(const creplay_trace *trace, const creplay_operations *operations, void *heap);

// What a heap may reserve under RLIMIT_AS as it stands; 16 GiB when nothing limits it.
uint64_t creplay_fitting_capacity(void);
// Writes a result to the descriptor that the parent reads.
bool creplay_report(const void *bytes, size_t byte_count);
// A decimal number, nothing before or after it.
bool creplay_parse_number(const char *text, uint64_t *value);

// The hash that shows that every allocator was given the same work: one step per event, cheap enough for the timed loop.
static inline uint64_t creplay_hash_step(uint64_t hash, const creplay_record *record) {
  return (hash << 7 | hash >> 57) + record->byte_count + record->operation;
}

// A threaded workload. `trace` is NULL for those that have none. Sets cold_nanoseconds and operation_count.
creplay_failure creplay_run_threads(const creplay_request *request, const creplay_trace *trace,
                                    const creplay_operations *operations, void *heap, creplay_result *result);

#endif
