// The engines: what a runtime allocates its regions with. Each is a set of functions that the replay and the loops inline.
#ifndef CREPLAY_REGION_ENGINES_H
#define CREPLAY_REGION_ENGINES_H

#include <obstack.h>
#include <stdlib.h>
#include <string.h>

#include <cistern_region_inline.h>

#include "region_replay.h"

// The names that obstack's macros call.
static inline void *obstack_chunk_alloc(size_t byte_count) { return malloc(byte_count); }
static inline void obstack_chunk_free(void *chunk) { free(chunk); }

enum { engine_page_byte_count = 8 << 20 };

// A page of 8 MiB, or as large as an object needs.
typedef struct engine_page {
  struct engine_page *previous;
  char *end;
} engine_page;

// An open region, of whichever engine.
typedef struct engine_region {
  cistern_region *cistern;
  engine_page *page;
  char *head;
  struct obstack obstack;
  uint64_t first_object;   // those of this region, in the table
  uint64_t object_end;
} engine_region;

static inline bool pages_add(engine_region *region, size_t byte_count) {
  size_t needed = byte_count + sizeof(engine_page);
  engine_page *page = malloc(needed > engine_page_byte_count ? needed : engine_page_byte_count);
  if (page == NULL) return false;
  page->previous = region->page;
  page->end = (char *)page + (needed > engine_page_byte_count ? needed : engine_page_byte_count);
  region->page = page;
  region->head = (char *)(page + 1);
  return true;
}

static inline void *pages_allocate(engine_region *region, size_t byte_count) {
  size_t rounded = (byte_count + 7) & ~(size_t)7;
  if (__builtin_expect((size_t)(region->page->end - region->head) < rounded, 0) && !pages_add(region, rounded)) return NULL;
  void *object = region->head;
  region->head += rounded;
  return object;
}

static inline void pages_close(engine_region *region) {
  while (region->page != NULL) {
    engine_page *previous = region->page->previous;
    free(region->page);
    region->page = previous;
  }
}

#endif
