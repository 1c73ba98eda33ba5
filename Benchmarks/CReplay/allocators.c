#define _GNU_SOURCE
#include "allocators.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own_memory.h"

// ---- malloc ----

static void *malloc_allocate(void *heap, size_t byte_count) {
  (void)heap;
  return malloc(byte_count);
}

static void *malloc_allocate_zeroed(void *heap, size_t byte_count) {
  (void)heap;
  return calloc(1, byte_count);
}

static void *malloc_allocate_aligned(void *heap, size_t byte_count, size_t alignment) {
  (void)heap;
  void *block = NULL;
  return posix_memalign(&block, alignment, byte_count) == 0 ? block : NULL;
}

static void malloc_deallocate(void *heap, void *block, size_t byte_count) {
  (void)heap;
  (void)byte_count;
  free(block);
}

static void malloc_deallocate_unsized(void *heap, void *block) {
  (void)heap;
  free(block);
}

static void *malloc_resize(void *heap, void *block, size_t old_byte_count, size_t byte_count) {
  (void)heap;
  (void)old_byte_count;
  return realloc(block, byte_count);
}

static const creplay_operations malloc_operations = {
    .allocate = malloc_allocate,
    .allocate_zeroed = malloc_allocate_zeroed,
    .allocate_aligned = malloc_allocate_aligned,
    .deallocate = malloc_deallocate,
    .resize = malloc_resize,
    .deallocate_unsized = malloc_deallocate_unsized,
};

// ---- the canary: each block begins in the middle of the one before it ----

typedef struct broken_heap {
  unsigned char *next;
  unsigned char *end;
} broken_heap;

static const size_t broken_heap_byte_count = (size_t)1 << 30;
static const size_t broken_heap_header_byte_count = 4096;

static void *broken_allocate(void *heap, size_t byte_count) {
  broken_heap *broken = heap;
  size_t step = (byte_count / 2 + 16) & ~(size_t)15;
  if ((size_t)(broken->end - broken->next) <= byte_count + step) return NULL;
  void *block = broken->next;
  broken->next += step;
  return block;
}

static void *broken_allocate_zeroed(void *heap, size_t byte_count) {
  void *block = broken_allocate(heap, byte_count);
  if (block != NULL) memset(block, 0, byte_count);
  return block;
}

static void *broken_allocate_aligned(void *heap, size_t byte_count, size_t alignment) {
  broken_heap *broken = heap;
  broken->next += (alignment - (uintptr_t)broken->next % alignment) % alignment;
  return broken_allocate(heap, byte_count);
}

static void broken_deallocate(void *heap, void *block, size_t byte_count) {
  (void)heap;
  (void)block;
  (void)byte_count;
}

static void broken_deallocate_unsized(void *heap, void *block) {
  (void)heap;
  (void)block;
}

static void *broken_resize(void *heap, void *block, size_t old_byte_count, size_t byte_count) {
  void *moved = broken_allocate(heap, byte_count);
  if (moved != NULL) memmove(moved, block, old_byte_count < byte_count ? old_byte_count : byte_count);
  return moved;
}

static const creplay_operations broken_operations = {
    .allocate = broken_allocate,
    .allocate_zeroed = broken_allocate_zeroed,
    .allocate_aligned = broken_allocate_aligned,
    .deallocate = broken_deallocate,
    .resize = broken_resize,
    .deallocate_unsized = broken_deallocate_unsized,
};

static creplay_failure open_broken(void **heap) {
  broken_heap *broken = creplay_map_table(broken_heap_byte_count, false);
  if (broken == NULL) return CREPLAY_OUT_OF_MEMORY;
  broken->next = (unsigned char *)broken + broken_heap_header_byte_count;
  broken->end = (unsigned char *)broken + broken_heap_byte_count;
  *heap = broken;
  return CREPLAY_NO_FAILURE;
}

// ---- which one ----

creplay_failure creplay_allocator_open(const creplay_request *request, const creplay_operations **operations, void **heap,
                                       creplay_result *result) {
  *heap = NULL;
  switch (request->allocator) {
  case CREPLAY_ALLOCATOR_CISTERN:
    return creplay_cistern_open(request, operations, heap, result);
  case CREPLAY_ALLOCATOR_BROKEN:
    *operations = &broken_operations;
    return open_broken(heap);
  default:
    *operations = &malloc_operations;
    return CREPLAY_NO_FAILURE;
  }
}

bool creplay_malloc_comes_from(const char *library_path) {
  Dl_info found;
  char wanted[PATH_MAX];
  char actual[PATH_MAX];
  void *entry = dlsym(RTLD_DEFAULT, "malloc");
  if (entry == NULL || dladdr(entry, &found) == 0 || found.dli_fname == NULL) return false;
  if (realpath(library_path, wanted) == NULL || realpath(found.dli_fname, actual) == NULL) return false;
  return strcmp(wanted, actual) == 0;
}

size_t creplay_malloc_version(char *output, size_t capacity) {
  int (*control)(const char *, void *, size_t *, void *, size_t) = NULL;
  const char *(*tcmalloc)(int *, int *, const char **) = NULL;
  int (*mimalloc)(void) = NULL;
  *(void **)&control = dlsym(RTLD_DEFAULT, "mallctl");
  *(void **)&tcmalloc = dlsym(RTLD_DEFAULT, "tc_version");
  *(void **)&mimalloc = dlsym(RTLD_DEFAULT, "mi_version");
  int length;
  const char *version = NULL;
  size_t version_size = sizeof(version);
  if (control != NULL && control("version", &version, &version_size, NULL, 0) == 0) {
    length = snprintf(output, capacity, "jemalloc %s", version);
  } else if (tcmalloc != NULL) {
    length = snprintf(output, capacity, "%s", tcmalloc(NULL, NULL, NULL));
  } else if (mimalloc != NULL) {
    int number = mimalloc();   // 2 digits each for minor and patch, or the older 1 and 2
    length = number >= 10000 ? snprintf(output, capacity, "mimalloc %d.%d.%d", number / 10000, number / 100 % 100, number % 100)
                             : snprintf(output, capacity, "mimalloc %d.%d.%d", number / 100, number / 10 % 10, number % 10);
  } else {
    length = snprintf(output, capacity, "glibc %s", gnu_get_libc_version());
  }
  return length < 0 ? 0 : (size_t)length < capacity ? (size_t)length : capacity;
}
