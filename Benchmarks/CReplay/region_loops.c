// Loops of one operation each, for counts of instructions and times per operation.
#define _GNU_SOURCE
#include "own_memory.h"
#include "region_engines.h"

#pragma weak cistern_region_create
#pragma weak cistern_region_create_child
#pragma weak cistern_region_destroy
#pragma weak cistern_region_allocate
#pragma weak creplay_swift_regions

const uint32_t creplay_small_sizes[CREPLAY_SMALL_SIZE_COUNT] = {
    24, 16, 40, 32, 8,  24, 48, 16, 24, 32, 64, 16, 24, 40, 16, 24, 32, 56, 16, 24, 40, 8,
    24, 32, 16, 48, 24, 16, 32, 24, 64, 40, 16, 24, 32, 24, 16, 56, 24, 40, 16, 32, 24, 8,
    48, 24, 16, 32, 40, 24, 16, 24, 64, 32, 16, 24, 40, 24, 16, 32, 48, 24, 16, 24,
};

enum { bump_byte_count = 1 << 20 };

// The plain bump pointer: two words, compare, round, store. At its end it begins again.
typedef struct bump_region {
  uintptr_t head;
  uintptr_t end;
  uintptr_t start;
} bump_region;

static __attribute__((noinline)) void *bump_again(bump_region *region, size_t byte_count) {
  if (byte_count > region->end - region->start) return NULL;
  region->head = region->start + ((byte_count + 7) & ~(size_t)7);
  return (void *)region->start;
}

static inline void *bump_allocate(bump_region *region, size_t byte_count) {
  uintptr_t head = region->head;
  if (byte_count > region->end - head) return bump_again(region, byte_count);
  region->head = (head + byte_count + 7) & ~(uintptr_t)7;
  return (void *)head;
}

static inline void touch_object(void *object, size_t byte_count) {
  volatile unsigned char *bytes = object;
  bytes[0] = 1;
  bytes[byte_count - 1] = 1;
}

static inline uint32_t size_at(uint64_t index) { return creplay_small_sizes[index % CREPLAY_SMALL_SIZE_COUNT]; }

static bool open_bump(bump_region *region) {
  void *bytes = creplay_map_table(bump_byte_count, true);
  if (bytes == NULL) return false;
  *region = (bump_region){.head = (uintptr_t)bytes, .end = (uintptr_t)bytes + bump_byte_count, .start = (uintptr_t)bytes};
  return true;
}

static bool small_bump(uint64_t count) {
  bump_region region;
  if (!open_bump(&region)) return false;
  for (uint64_t index = 0; index < count; index++) {
    void *object = bump_allocate(&region, size_at(index));
    if (object == NULL) return false;
    creplay_use(object);
  }
  return true;
}

static bool small_cistern(cistern_heap *heap, uint64_t count) {
  cistern_region *region;
  if (cistern_region_create(heap, NULL, &region) != CISTERN_OK) return false;
  for (uint64_t index = 0; index < count; index++) {
    void *object = cistern_region_allocate_inline(region, size_at(index));
    if (object == NULL) return false;
    creplay_use(object);
  }
  return cistern_region_destroy(region) == CISTERN_OK;
}

static bool small_obstack(uint64_t count) {
  struct obstack region;
  obstack_init(&region);
  for (uint64_t index = 0; index < count; index++) creplay_use(obstack_alloc(&region, size_at(index)));
  obstack_free(&region, NULL);
  return true;
}

// Each object is freed right after the next has been made.
static bool small_malloc(uint64_t count) {
  void *last = NULL;
  for (uint64_t index = 0; index < count; index++) {
    void *object = malloc(size_at(index));
    if (object == NULL) return false;
    creplay_use(object);
    free(last);
    last = object;
  }
  free(last);
  return true;
}

static bool small_objects(uint64_t engine, uint64_t count, cistern_heap *heap) {
  switch (engine) {
  case CREPLAY_ENGINE_NULL:
    for (uint64_t index = 0; index < count; index++) creplay_use((void *)(uintptr_t)size_at(index));
    return true;
  case CREPLAY_ENGINE_BUMP:
    return small_bump(count);
  case CREPLAY_ENGINE_CISTERN:
    return small_cistern(heap, count);
  case CREPLAY_ENGINE_OBSTACK:
    return small_obstack(count);
  case CREPLAY_ENGINE_MALLOC:
    return small_malloc(count);
  default:
    return false;
  }
}

static bool open_regions(uint64_t engine, uint64_t count, cistern_heap *heap, bool alone) {
  cistern_region *parent = NULL;
  if (engine == CREPLAY_ENGINE_CISTERN && cistern_region_create(heap, NULL, &parent) != CISTERN_OK) return false;
  for (uint64_t index = 0; index < count; index++) {
    cistern_region *region = NULL;
    struct obstack obstack;
    switch (engine) {
    case CREPLAY_ENGINE_NULL:
      creplay_use(&region);
      break;
    case CREPLAY_ENGINE_CISTERN:
      if ((alone ? cistern_region_create(heap, NULL, &region) : cistern_region_create_child(parent, NULL, &region)) != CISTERN_OK ||
          cistern_region_destroy(region) != CISTERN_OK) {
        return false;
      }
      break;
    case CREPLAY_ENGINE_OBSTACK:
      obstack_init(&obstack);
      obstack_free(&obstack, NULL);
      break;
    default:
      return false;
    }
  }
  return true;
}

// One level of nesting: objects, the levels inside, and the end of it all.
static bool nested_cistern(cistern_region *parent, uint32_t depth) {
  cistern_region *region;
  if (cistern_region_create_child(parent, NULL, &region) != CISTERN_OK) return false;
  for (uint64_t index = 0; index < CREPLAY_NESTED_OBJECTS; index++) {
    void *object = cistern_region_allocate_inline(region, size_at(index));
    if (object == NULL) return false;
    touch_object(object, size_at(index));
  }
  return (depth == 1 || nested_cistern(region, depth - 1)) && cistern_region_destroy(region) == CISTERN_OK;
}

static bool nested_obstack(uint32_t depth) {
  struct obstack region;
  obstack_init(&region);
  for (uint64_t index = 0; index < CREPLAY_NESTED_OBJECTS; index++) touch_object(obstack_alloc(&region, size_at(index)), size_at(index));
  bool done = depth == 1 || nested_obstack(depth - 1);
  obstack_free(&region, NULL);
  return done;
}

static bool nested_malloc(uint32_t depth) {
  void *objects[CREPLAY_NESTED_OBJECTS];
  for (uint64_t index = 0; index < CREPLAY_NESTED_OBJECTS; index++) {
    objects[index] = malloc(size_at(index));
    if (objects[index] == NULL) return false;
    touch_object(objects[index], size_at(index));
  }
  bool done = depth == 1 || nested_malloc(depth - 1);
  for (uint64_t index = 0; index < CREPLAY_NESTED_OBJECTS; index++) free(objects[index]);
  return done;
}

// The physical limit: one bump pointer, rewound.
static bool nested_bump(bump_region *region, uint32_t depth) {
  uintptr_t head = region->head;
  for (uint64_t index = 0; index < CREPLAY_NESTED_OBJECTS; index++) touch_object(bump_allocate(region, size_at(index)), size_at(index));
  bool done = depth == 1 || nested_bump(region, depth - 1);
  region->head = head;
  return done;
}

static bool nested_rounds(uint64_t engine, uint64_t count, cistern_heap *heap) {
  cistern_region *parent = NULL;
  bump_region bump;
  if (engine == CREPLAY_ENGINE_CISTERN && cistern_region_create(heap, NULL, &parent) != CISTERN_OK) return false;
  if (engine == CREPLAY_ENGINE_BUMP && !open_bump(&bump)) return false;
  for (uint64_t round = 0; round < count; round++) {
    bool done = false;
    switch (engine) {
    case CREPLAY_ENGINE_CISTERN:
      done = nested_cistern(parent, CREPLAY_NESTED_DEPTH);
      break;
    case CREPLAY_ENGINE_OBSTACK:
      done = nested_obstack(CREPLAY_NESTED_DEPTH);
      break;
    case CREPLAY_ENGINE_MALLOC:
      done = nested_malloc(CREPLAY_NESTED_DEPTH);
      break;
    case CREPLAY_ENGINE_BUMP:
      done = nested_bump(&bump, CREPLAY_NESTED_DEPTH);
      break;
    default:
      break;
    }
    if (!done) return false;
  }
  return true;
}

bool creplay_region_loop(uint64_t work, uint64_t engine, uint64_t flags, uint64_t count, cistern_heap *heap,
                         creplay_region_result *result) {
  result->record_count = count;
  if (engine == CREPLAY_ENGINE_CISTERN && (flags & CREPLAY_REGION_FROM_C) == 0) {
    return creplay_swift_regions != NULL && creplay_swift_regions(work, count, &result->work_hash);
  }
  switch (work) {
  case CREPLAY_WORK_SMALL:
    return small_objects(engine, count, heap);
  case CREPLAY_WORK_OPEN:
  case CREPLAY_WORK_OPEN_ALONE:
    return open_regions(engine, count, heap, work == CREPLAY_WORK_OPEN_ALONE);
  case CREPLAY_WORK_NESTED:
    return nested_rounds(engine, count, heap);
  default:
    return false;
  }
}
