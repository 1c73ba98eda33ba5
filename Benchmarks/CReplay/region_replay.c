// The replay of a trace of regions, written once and compiled for each engine.
#define _GNU_SOURCE
#include <setjmp.h>

#include "region_engines.h"

// The child that replays through malloc does not link cistern: there these are null, and it is never asked for them.
#pragma weak cistern_allocate
#pragma weak cistern_deallocate_sized
#pragma weak cistern_region_create
#pragma weak cistern_region_create_child
#pragma weak cistern_region_destroy
#pragma weak cistern_region_allocate
#pragma weak cistern_region_allocate_zeroed

enum { most_nested = 64 };

// An obstack that gets no memory calls a handler that must not return.
static jmp_buf obstack_refused;
static void refuse_obstack(void) { longjmp(obstack_refused, 1); }

typedef struct replay_state {
  engine_region regions[most_nested];
  engine_region left;       // between a region's leaving and its end
  uint32_t depth;
  uint64_t object_count;    // in the table of objects
} replay_state;

static inline __attribute__((always_inline)) bool open_region(replay_state *state, const creplay_region_trace *trace,
                                                               const uint64_t engine) {
  engine_region *parent = &state->regions[state->depth];
  engine_region *region = parent + 1;
  state->depth++;
  switch (engine) {
  case CREPLAY_ENGINE_CISTERN:
    return cistern_region_create_child(parent->cistern, NULL, &region->cistern) == CISTERN_OK;
  case CREPLAY_ENGINE_PAGES:
    region->page = NULL;
    return pages_add(region, 0);
  case CREPLAY_ENGINE_OBSTACK:
    obstack_init(&region->obstack);
    return true;
  default:
    region->first_object = region->object_end = state->object_count;
    (void)trace;
    return true;
  }
}

// The engine that frees every object finds those of a region between two positions of the table: regions nest, and what is
// allocated in the parent while a region is being left stands behind it. Its end closes the gap.
static inline __attribute__((always_inline)) void close_region(replay_state *state, engine_region *region,
                                                                const creplay_region_trace *trace, const uint64_t engine) {
  switch (engine) {
  case CREPLAY_ENGINE_CISTERN:
    (void)cistern_region_destroy(region->cistern);
    return;
  case CREPLAY_ENGINE_PAGES:
    pages_close(region);
    return;
  case CREPLAY_ENGINE_OBSTACK:
    obstack_free(&region->obstack, NULL);
    return;
  case CREPLAY_ENGINE_MALLOC:
    for (uint64_t at = region->first_object; at < region->object_end; at++) free(trace->objects[at]);
    memmove(&trace->objects[region->first_object], &trace->objects[region->object_end],
            (state->object_count - region->object_end) * sizeof(void *));
    state->object_count -= region->object_end - region->first_object;
    return;
  default:
    return;
  }
}

static inline __attribute__((always_inline)) void *allocate_object(replay_state *state, const creplay_region_trace *trace,
                                                                    const uint64_t engine, const uint32_t operation,
                                                                    uint32_t byte_count) {
  engine_region *region = &state->regions[state->depth];
  void *object;
  switch (engine) {
  case CREPLAY_ENGINE_CISTERN:
    return operation == CREPLAY_REGION_ALLOCATE_ZEROED ? cistern_region_allocate_zeroed(region->cistern, byte_count)
                                                       : cistern_region_allocate_inline(region->cistern, byte_count);
  case CREPLAY_ENGINE_PAGES:
    object = pages_allocate(region, byte_count);
    break;
  case CREPLAY_ENGINE_OBSTACK:
    object = obstack_alloc(&region->obstack, byte_count);
    break;
  case CREPLAY_ENGINE_MALLOC:
    object = operation == CREPLAY_REGION_ALLOCATE_ZEROED ? calloc(1, byte_count) : malloc(byte_count);
    trace->objects[state->object_count++] = object;
    return object;
  default:
    return (void *)trace->records;
  }
  if (operation == CREPLAY_REGION_ALLOCATE_ZEROED && object != NULL) memset(object, 0, byte_count);
  return object;
}

static inline __attribute__((always_inline)) void *allocate_block(const creplay_region_trace *trace, const uint64_t engine,
                                                                   uint32_t byte_count) {
  if (engine == CREPLAY_ENGINE_NULL) return (void *)trace->records;
  return engine == CREPLAY_ENGINE_CISTERN ? cistern_allocate(trace->heap, byte_count) : malloc(byte_count);
}

static inline __attribute__((always_inline)) void free_block(const creplay_region_trace *trace, const uint64_t engine, void *block,
                                                              uint32_t byte_count) {
  if (engine == CREPLAY_ENGINE_NULL) return;
  if (engine == CREPLAY_ENGINE_CISTERN) {
    cistern_deallocate_sized(trace->heap, block, byte_count);
  } else {
    free(block);
  }
}

static inline __attribute__((always_inline)) void touch_object(void *object, uint32_t byte_count, const uint64_t engine) {
  if (byte_count == 0 || engine == CREPLAY_ENGINE_NULL) return;
  volatile unsigned char *bytes = object;
  bytes[0] = 1;
  bytes[byte_count - 1] = 1;
}

// What opens, leaves and closes. False: out of memory.
static inline __attribute__((always_inline)) bool change_region(replay_state *state, const creplay_region_trace *trace,
                                                                 const uint64_t engine, uint32_t operation) {
  switch (operation) {
  case CREPLAY_REGION_OPEN:
    return open_region(state, trace, engine);
  case CREPLAY_REGION_DROP:
    state->regions[state->depth].object_end = state->object_count;
    close_region(state, &state->regions[state->depth], trace, engine);
    state->depth--;
    return true;
  case CREPLAY_REGION_LEAVE:
    state->regions[state->depth].object_end = state->object_count;
    state->left = state->regions[state->depth];
    state->depth--;
    return true;
  default:
    close_region(state, &state->left, trace, engine);
    return true;
  }
}

static inline __attribute__((always_inline)) uint64_t replay(const creplay_region_trace *trace, const uint64_t engine,
                                                              replay_state *state, creplay_region_result *result) {
  const creplay_region_record *record = trace->records;
  const creplay_region_record *end = record + trace->record_count;
  uint64_t hash = 0;
  for (; record < end; record++) {
    uint32_t operation = record->operation_and_slot >> 28;
    uint32_t byte_count = record->byte_count;
    void **block = &trace->blocks[record->operation_and_slot & 0xFFFFFFF];
    hash = (hash << 7 | hash >> 57) + byte_count + operation;
    void *made;
    switch (operation) {
    case CREPLAY_REGION_ALLOCATE:
    case CREPLAY_REGION_CLONE:
      made = allocate_object(state, trace, engine, CREPLAY_REGION_ALLOCATE, byte_count);
      break;
    case CREPLAY_REGION_ALLOCATE_ZEROED:
      made = allocate_object(state, trace, engine, CREPLAY_REGION_ALLOCATE_ZEROED, byte_count);
      break;
    case CREPLAY_PERSISTENT_ALLOCATE:
    case CREPLAY_SCRATCH_ALLOCATE:
      made = allocate_block(trace, engine, byte_count);
      *block = made;
      break;
    case CREPLAY_PERSISTENT_FREE:
    case CREPLAY_SCRATCH_FREE:
      free_block(trace, engine, *block, byte_count);
      continue;
    default:
      if (!change_region(state, trace, engine, operation)) goto done;
      continue;
    }
    if (made == NULL) break;
    touch_object(made, byte_count, engine);
  }
done:
  result->work_hash = hash;
  return (uint64_t)(record - trace->records);
}

// The base region is never dropped.
static bool open_base(replay_state *state, const creplay_region_trace *trace, uint64_t engine) {
  switch (engine) {
  case CREPLAY_ENGINE_CISTERN:
    return cistern_region_create(trace->heap, NULL, &state->regions[0].cistern) == CISTERN_OK;
  case CREPLAY_ENGINE_PAGES:
    return pages_add(&state->regions[0], 0);
  case CREPLAY_ENGINE_OBSTACK:
    obstack_alloc_failed_handler = refuse_obstack;
    obstack_init(&state->regions[0].obstack);
    return true;
  default:
    return true;
  }
}

uint64_t creplay_region_replay(const creplay_region_trace *trace, uint64_t engine, creplay_region_result *result) {
  static replay_state state;
  if (setjmp(obstack_refused) != 0) return 0;
  if (!open_base(&state, trace, engine)) return 0;
  switch (engine) {
  case CREPLAY_ENGINE_NULL:
    return replay(trace, CREPLAY_ENGINE_NULL, &state, result);
  case CREPLAY_ENGINE_CISTERN:
    return replay(trace, CREPLAY_ENGINE_CISTERN, &state, result);
  case CREPLAY_ENGINE_PAGES:
    return replay(trace, CREPLAY_ENGINE_PAGES, &state, result);
  case CREPLAY_ENGINE_OBSTACK:
    return replay(trace, CREPLAY_ENGINE_OBSTACK, &state, result);
  case CREPLAY_ENGINE_MALLOC:
    return replay(trace, CREPLAY_ENGINE_MALLOC, &state, result);
  default:
    return 0;
  }
}
