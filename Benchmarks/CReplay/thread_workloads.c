// Two threaded workloads without a trace: an exchange, where every block is freed by another thread than the one that
// made it, and a server, where threads replace blocks at random in slots that change hands now and then.
//
// Without an allocator each place has one block of the largest size that stays with it and is written to in the same way,
// so that the loop alone moves about as many cache lines as the loop with an allocator.
#define _GNU_SOURCE
#include <stdlib.h>

#include "own_memory.h"
#include "threads.h"

static uint64_t seed_of(const creplay_worker *worker) {
  return (worker->shared->request->seed + worker->index + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

// ---- the exchange ----

enum { ring_slot_count = 1024, ring_batch = 64, ring_least_bytes = 16, ring_most_bytes = 256 };

typedef struct ring_entry {
  void *block;
  uint64_t byte_count;
} ring_entry;

// One producer, one consumer; the two counters on cache lines of their own.
typedef struct ring {
  _Atomic uint64_t produced;
  char padding_0[56];
  _Atomic uint64_t consumed;
  char padding_1[56];
  ring_entry entries[ring_slot_count];
} ring;

static creplay_failure produce_batch(creplay_worker *worker, ring *out, uint64_t *random, uint64_t wanted) {
  const creplay_shared *shared = worker->shared;
  uint64_t produced = atomic_load_explicit(&out->produced, memory_order_relaxed);
  uint64_t room = ring_slot_count - (produced - atomic_load_explicit(&out->consumed, memory_order_acquire));
  uint64_t count = room < ring_batch ? room : ring_batch;
  if (wanted - produced < count) count = wanted - produced;
  for (uint64_t i = 0; i < count; i++) {
    ring_entry *entry = &out->entries[(produced + i) % ring_slot_count];
    entry->byte_count = ring_least_bytes + creplay_next_random(random) % (ring_most_bytes - ring_least_bytes + 1);
    worker->work_hash += entry->byte_count;
    if (shared->operations != NULL) {
      entry->block = shared->operations->allocate(shared->heap, entry->byte_count);
      if (entry->block == NULL) return CREPLAY_OUT_OF_MEMORY;
    }
    creplay_touch(entry->block, entry->byte_count);
  }
  atomic_store_explicit(&out->produced, produced + count, memory_order_release);
  return CREPLAY_NO_FAILURE;
}

static void consume_batch(creplay_worker *worker, ring *in) {
  const creplay_shared *shared = worker->shared;
  uint64_t consumed = atomic_load_explicit(&in->consumed, memory_order_relaxed);
  uint64_t count = atomic_load_explicit(&in->produced, memory_order_acquire) - consumed;
  if (count > ring_batch) count = ring_batch;
  for (uint64_t i = 0; i < count; i++) {
    ring_entry *entry = &in->entries[(consumed + i) % ring_slot_count];
    if (shared->operations == NULL) continue;
    shared->operations->deallocate(shared->heap, entry->block, entry->byte_count);
    entry->block = NULL;
  }
  atomic_store_explicit(&in->consumed, consumed + count, memory_order_release);
}

static creplay_failure exchange_body(creplay_worker *worker) {
  creplay_shared *shared = worker->shared;
  ring *rings = shared->context;
  uint64_t wanted = shared->request->operation_count / 2;
  ring *out = &rings[worker->index];
  ring *in = &rings[(worker->index + 1) % shared->request->thread_count];
  uint64_t random = seed_of(worker);
  uint32_t spins = 0;
  for (;;) {
    uint64_t produced_before = atomic_load_explicit(&out->produced, memory_order_relaxed);
    uint64_t consumed_before = atomic_load_explicit(&in->consumed, memory_order_relaxed);
    if (produced_before == wanted && consumed_before == wanted) break;
    creplay_failure failure = produce_batch(worker, out, &random, wanted);
    if (failure != CREPLAY_NO_FAILURE) {
      atomic_store(&shared->stopped, 1);
      return failure;
    }
    consume_batch(worker, in);
    bool moved = atomic_load_explicit(&out->produced, memory_order_relaxed) != produced_before ||
                 atomic_load_explicit(&in->consumed, memory_order_relaxed) != consumed_before;
    if (moved) {
      spins = 0;
    } else {
      if (atomic_load_explicit(&shared->stopped, memory_order_relaxed) != 0) return CREPLAY_OUT_OF_MEMORY;
      creplay_pause(spins++);
    }
  }
  worker->operation_count = wanted * 2;
  return CREPLAY_NO_FAILURE;
}

creplay_failure creplay_run_exchange(creplay_shared *shared, creplay_result *result) {
  uint32_t thread_count = (uint32_t)shared->request->thread_count;
  creplay_worker *workers = creplay_map_table(thread_count * sizeof(creplay_worker), true);
  shared->context = creplay_map_table(thread_count * sizeof(ring), true);
  shared->body = exchange_body;
  if (workers == NULL || shared->context == NULL) return CREPLAY_SYSTEM_REFUSED;
  if (shared->operations == NULL) {
    unsigned char *area = creplay_map_table((size_t)thread_count * ring_slot_count * ring_most_bytes, true);
    if (area == NULL) return CREPLAY_SYSTEM_REFUSED;
    ring *rings = shared->context;
    for (uint32_t at = 0; at < thread_count * ring_slot_count; at++) {
      rings[at / ring_slot_count].entries[at % ring_slot_count].block = area + (size_t)at * ring_most_bytes;
    }
  }
  return creplay_run_workers(shared, workers, thread_count, result);
}

// ---- the server ----

enum {
  server_slot_count = 1024,
  server_generation = 65536,   // replacements before the slots change hands
  server_padding = 64,
  server_least_bytes = 8,
  server_most_bytes = 512,
  large_server_most_bytes = 4096,
};

typedef struct server_slot {
  void *block;
  uint64_t byte_count;
} server_slot;

typedef struct server_slots {
  server_slot slots[server_slot_count];
  char padding[server_padding];
} server_slots;

// Replaces one block; counts as two operations, a free and an allocation.
static inline bool replace(const creplay_shared *shared, server_slot *slot, uint64_t byte_count) {
  if (shared->operations != NULL) {
    if (slot->block != NULL) shared->operations->deallocate(shared->heap, slot->block, slot->byte_count);
    slot->block = shared->operations->allocate(shared->heap, byte_count);
    if (slot->block == NULL) return false;
  }
  slot->byte_count = byte_count;
  creplay_touch(slot->block, byte_count);
  return true;
}

// Inlined for each of its sizes: the loop alone, too, divides by a constant.
static inline __attribute__((always_inline)) creplay_failure serve(creplay_worker *worker, uint64_t most_bytes) {
  creplay_shared *shared = worker->shared;
  server_slots *all = shared->context;
  uint64_t thread_count = shared->request->thread_count;
  uint64_t rounds = shared->request->operation_count / 2;
  uint64_t random = seed_of(worker);
  creplay_failure failure = CREPLAY_NO_FAILURE;
  for (uint64_t generation = 0; generation * server_generation < rounds; generation++) {
    server_slot *slots = all[(worker->index + generation) % thread_count].slots;
    uint64_t left = rounds - generation * server_generation;
    uint64_t count = left < server_generation ? left : server_generation;
    for (uint64_t i = 0; i < count && failure == CREPLAY_NO_FAILURE; i++) {
      uint64_t value = creplay_next_random(&random);
      uint64_t byte_count = server_least_bytes + (value >> 32) % (most_bytes - server_least_bytes + 1);
      worker->work_hash += byte_count;
      if (!replace(shared, &slots[value % server_slot_count], byte_count)) failure = CREPLAY_OUT_OF_MEMORY;
    }
    creplay_wait_at(&shared->barrier);   // the slots change hands
  }
  worker->operation_count = rounds * 2;
  return failure;
}

static creplay_failure server_body(creplay_worker *worker) { return serve(worker, server_most_bytes); }
static creplay_failure large_server_body(creplay_worker *worker) { return serve(worker, large_server_most_bytes); }

creplay_failure creplay_run_server(creplay_shared *shared, creplay_result *result) {
  uint32_t thread_count = (uint32_t)shared->request->thread_count;
  creplay_worker *workers = creplay_map_table(thread_count * sizeof(creplay_worker), true);
  shared->context = creplay_map_table(thread_count * sizeof(server_slots), true);
  bool is_large = shared->request->workload == CREPLAY_WORKLOAD_LARGE_SERVER;
  shared->body = is_large ? large_server_body : server_body;
  if (workers == NULL || shared->context == NULL) return CREPLAY_SYSTEM_REFUSED;
  if (shared->operations == NULL) {
    uint64_t most_bytes = is_large ? large_server_most_bytes : server_most_bytes;
    unsigned char *area = creplay_map_table(thread_count * server_slot_count * most_bytes, true);
    if (area == NULL) return CREPLAY_SYSTEM_REFUSED;
    server_slots *all = shared->context;
    for (uint32_t at = 0; at < thread_count * server_slot_count; at++) {
      all[at / server_slot_count].slots[at % server_slot_count].block = area + at * most_bytes;
    }
  }
  return creplay_run_workers(shared, workers, thread_count, result);
}
