// What the parts of the region replay share.
#ifndef CREPLAY_REGION_REPLAY_H
#define CREPLAY_REGION_REPLAY_H

#include <cistern.h>

#include "CReplay.h"

typedef struct creplay_region_trace {
  const creplay_region_record *records;
  uint64_t record_count;
  void **blocks;       // by slot
  void **objects;      // for the engine that frees every object: where they are
  cistern_heap *heap;  // for Cistern
} creplay_region_trace;

// One pass over the trace with an engine. Returns how many records were done.
uint64_t creplay_region_replay(const creplay_region_trace *trace, uint64_t engine, creplay_region_result *result);

// One of the loops. False: it ran out of memory, or there is no such loop.
bool creplay_region_loop(uint64_t work, uint64_t engine, uint64_t flags, uint64_t count, cistern_heap *heap,
                         creplay_region_result *result);

// The loops through the Swift face; null where Swift is not linked. The heap is theirs. They return false without room.
bool creplay_swift_regions(uint64_t work, uint64_t count, uint64_t *hash);

#endif
