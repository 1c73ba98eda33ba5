// What the threaded workloads share. Threads never allocate while they are timed, except from what is measured.
#ifndef CREPLAY_THREADS_H
#define CREPLAY_THREADS_H

#include <sched.h>
#include <stdatomic.h>

#include "replay.h"

enum { CREPLAY_HIGHEST_THREAD_COUNT = 64 };

typedef struct creplay_barrier {
  _Atomic uint32_t arrived;
  _Atomic uint32_t round;
  uint32_t thread_count;
} creplay_barrier;

typedef struct creplay_worker creplay_worker;

typedef struct creplay_shared {
  const creplay_request *request;
  const creplay_operations *operations;   // NULL: the loop without an allocator
  void *heap;
  creplay_failure (*body)(creplay_worker *worker);
  void *context;
  creplay_barrier barrier;
  _Atomic uint32_t stopped;   // set by the first thread that fails, so that nobody waits for it
} creplay_shared;

struct creplay_worker {
  creplay_shared *shared;
  uint32_t index;
  creplay_failure failure;
  uint64_t start_nanoseconds;
  uint64_t end_nanoseconds;
  uint64_t operation_count;
  uint64_t work_hash;
  char padding[64];   // each worker's counters on cache lines of their own
};

// Waits until all threads are here.
void creplay_wait_at(creplay_barrier *barrier);
creplay_failure creplay_run_workers(creplay_shared *shared, creplay_worker *workers, uint32_t thread_count,
                                    creplay_result *result);

creplay_failure creplay_run_trace_threads(creplay_shared *shared, const creplay_trace *trace, creplay_result *result);
creplay_failure creplay_run_exchange(creplay_shared *shared, creplay_result *result);
creplay_failure creplay_run_server(creplay_shared *shared, creplay_result *result);

// One step of waiting: spins at first, then lets others run.
static inline void creplay_pause(uint32_t spins) {
  if (spins % 64 == 63) (void)sched_yield();   // always succeeds on Linux
}

static inline uint64_t creplay_next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static inline void creplay_touch(void *block, uint64_t byte_count) {
  volatile unsigned char *bytes = block;
  bytes[0] = 1;
  bytes[byte_count - 1] = 1;
}

#endif
