// A recorded trace with its threads: each thread replays its own events in their order. An event waits until the events
// before it on the same object have happened, whichever thread they belong to; no other order is imposed.
#define _GNU_SOURCE
#include <stdlib.h>

#include "own_memory.h"
#include "threads.h"

typedef struct thread_event {
  creplay_record record;
  uint32_t object;   // never reused, unlike the record's slot
  uint32_t step;     // how many events of this object come before
} thread_event;

typedef struct thread_object {
  void *block;
  _Atomic uint32_t step;
} thread_object;

typedef struct thread_streams {
  thread_event *events;              // of all threads, one thread after the other
  uint64_t first[CREPLAY_HIGHEST_THREAD_COUNT + 1];
  thread_object *objects;
} thread_streams;

static bool wait_for_step(creplay_shared *shared, const thread_object *object, uint32_t step) {
  for (uint32_t spins = 0; atomic_load_explicit(&object->step, memory_order_acquire) != step; spins++) {
    creplay_pause(spins);
    if (spins % 1024 == 1023 && atomic_load_explicit(&shared->stopped, memory_order_relaxed) != 0) return false;
  }
  return true;
}

static bool perform(const creplay_shared *shared, const thread_event *event, thread_object *object) {
  const creplay_operations *operations = shared->operations;
  const creplay_record *record = &event->record;
  if (operations == NULL) {
    object->block = record->operation == CREPLAY_FREE ? NULL : object;
    return true;
  }
  switch (record->operation) {
  case CREPLAY_FREE:
    operations->deallocate(shared->heap, object->block, record->byte_count);
    object->block = NULL;
    return true;
  case CREPLAY_ALLOCATE:
    object->block = operations->allocate(shared->heap, record->byte_count);
    break;
  case CREPLAY_RESIZE:
    object->block = operations->resize(shared->heap, object->block, record->old_byte_count, record->byte_count);
    break;
  case CREPLAY_ALLOCATE_ZEROED:
    object->block = operations->allocate_zeroed(shared->heap, record->byte_count);
    break;
  default:
    object->block = operations->allocate_aligned(shared->heap, record->byte_count, (size_t)1 << record->alignment_log2);
  }
  if (object->block != NULL && record->byte_count > 0) creplay_touch(object->block, record->byte_count);
  return object->block != NULL;
}

static creplay_failure trace_body(creplay_worker *worker) {
  creplay_shared *shared = worker->shared;
  const thread_streams *streams = shared->context;
  const thread_event *event = &streams->events[streams->first[worker->index]];
  const thread_event *end = &streams->events[streams->first[worker->index + 1]];
  worker->operation_count = (uint64_t)(end - event);
  for (; event < end; event++) {
    thread_object *object = &streams->objects[event->object];
    worker->work_hash = creplay_hash_step(worker->work_hash, &event->record);
    if (!wait_for_step(shared, object, event->step)) return CREPLAY_OUT_OF_MEMORY;
    if (!perform(shared, event, object)) {
      atomic_store(&shared->stopped, 1);
      return CREPLAY_OUT_OF_MEMORY;
    }
    atomic_store_explicit(&object->step, event->step + 1, memory_order_release);
  }
  return CREPLAY_NO_FAILURE;
}

// Splits the events by thread, and numbers objects and steps. `thread_count` 1 puts all of them into one stream.
static creplay_failure split(const creplay_trace *trace, uint32_t thread_count, thread_streams *streams) {
  uint64_t slots = trace->header->slot_count;
  uint32_t *object_of_slot = creplay_map_table(slots * sizeof(uint32_t), true);
  uint32_t *step_of_slot = creplay_map_table(slots * sizeof(uint32_t), true);
  streams->events = creplay_map_table(trace->event_count * sizeof(thread_event), true);
  streams->objects = creplay_map_table(trace->header->object_count * sizeof(thread_object), true);
  if (object_of_slot == NULL || step_of_slot == NULL || streams->events == NULL || streams->objects == NULL) {
    return CREPLAY_SYSTEM_REFUSED;
  }
  uint64_t next[CREPLAY_HIGHEST_THREAD_COUNT + 1] = {0};
  for (uint64_t at = 0; at < trace->event_count; at++) next[trace->records[at].thread % thread_count + 1]++;
  for (uint32_t thread = 0; thread < thread_count; thread++) next[thread + 1] += next[thread];
  for (uint32_t thread = 0; thread <= thread_count; thread++) streams->first[thread] = next[thread];
  uint32_t object_count = 0;
  for (uint64_t at = 0; at < trace->event_count; at++) {
    const creplay_record *record = &trace->records[at];
    if (record->operation != CREPLAY_FREE && record->operation != CREPLAY_RESIZE) {
      object_of_slot[record->slot] = object_count++;
      step_of_slot[record->slot] = 0;
    }
    streams->events[next[record->thread % thread_count]++] = (thread_event){
        .record = *record, .object = object_of_slot[record->slot], .step = step_of_slot[record->slot]++};
  }
  return CREPLAY_NO_FAILURE;
}

creplay_failure creplay_run_trace_threads(creplay_shared *shared, const creplay_trace *trace, creplay_result *result) {
  uint64_t recorded = trace->header->thread_count;
  uint64_t asked = shared->request->thread_count;
  uint32_t thread_count = (uint32_t)(asked != 0 && asked < recorded ? asked : recorded);
  if (thread_count == 0 || thread_count > CREPLAY_HIGHEST_THREAD_COUNT) return CREPLAY_TRACE_UNUSABLE;
  thread_streams *streams = creplay_map_table(sizeof(thread_streams), true);
  creplay_worker *workers = creplay_map_table(thread_count * sizeof(creplay_worker), true);
  if (streams == NULL || workers == NULL) return CREPLAY_SYSTEM_REFUSED;
  creplay_failure failure = split(trace, thread_count, streams);
  if (failure != CREPLAY_NO_FAILURE) return failure;
  shared->context = streams;
  shared->body = trace_body;
  return creplay_run_workers(shared, workers, thread_count, result);
}
