// cistern behind the table of calls, through its C entry points.
#define _GNU_SOURCE
#include <cistern.h>
#include <sys/resource.h>

#include "allocators.h"
#include "own_memory.h"
#include "replay.h"

// The child that replays through malloc does not link cistern: there these are null, and it is never asked for one.
#pragma weak cistern_heap_create
#pragma weak cistern_allocate
#pragma weak cistern_allocate_zeroed
#pragma weak cistern_allocate_aligned
#pragma weak cistern_deallocate
#pragma weak cistern_deallocate_sized
#pragma weak cistern_resize
#pragma weak cistern_resize_sized
#pragma weak cistern_verify
#pragma weak creplay_inlined_open
#pragma weak creplay_inlined_deallocate

static void *cistern_wrapped_allocate(void *heap, size_t byte_count) { return cistern_allocate(heap, byte_count); }

static void *cistern_wrapped_allocate_zeroed(void *heap, size_t byte_count) {
  return cistern_allocate_zeroed(heap, byte_count);
}

static void *cistern_wrapped_allocate_aligned(void *heap, size_t byte_count, size_t alignment) {
  return cistern_allocate_aligned(heap, byte_count, alignment);
}

static void cistern_wrapped_deallocate(void *heap, void *block, size_t byte_count) {
  cistern_deallocate_sized(heap, block, byte_count);
}

static void cistern_wrapped_deallocate_ignoring_size(void *heap, void *block, size_t byte_count) {
  (void)byte_count;
  cistern_deallocate(heap, block);
}

static void cistern_wrapped_deallocate_unsized(void *heap, void *block) { cistern_deallocate(heap, block); }

static void *cistern_wrapped_resize(void *heap, void *block, size_t old_byte_count, size_t byte_count) {
  return cistern_resize_sized(heap, block, old_byte_count, byte_count);
}

static void *cistern_wrapped_resize_ignoring_size(void *heap, void *block, size_t old_byte_count, size_t byte_count) {
  (void)old_byte_count;
  return cistern_resize(heap, block, byte_count);
}

static const creplay_operations cistern_operations = {
    .allocate = cistern_wrapped_allocate,
    .allocate_zeroed = cistern_wrapped_allocate_zeroed,
    .allocate_aligned = cistern_wrapped_allocate_aligned,
    .deallocate = cistern_wrapped_deallocate,
    .resize = cistern_wrapped_resize,
    .deallocate_unsized = cistern_wrapped_deallocate_unsized,
};

static const creplay_operations cistern_unsized_operations = {
    .allocate = cistern_wrapped_allocate,
    .allocate_zeroed = cistern_wrapped_allocate_zeroed,
    .allocate_aligned = cistern_wrapped_allocate_aligned,
    .deallocate = cistern_wrapped_deallocate_ignoring_size,
    .resize = cistern_wrapped_resize_ignoring_size,
    .deallocate_unsized = cistern_wrapped_deallocate_unsized,
};

// Between two passes in Swift: only what is left over is freed through this table.
static const creplay_operations cistern_inlined_operations = {.deallocate_unsized = creplay_inlined_deallocate};

// Left outside the heap for the stack to grow into.
static const uint64_t slack_byte_count = 16 << 10;
static const uint64_t page_byte_count = 4 << 10;
static const uint64_t unlimited_capacity_bytes = UINT64_C(16) << 30;

// What a heap may reserve under RLIMIT_AS as it stands; 16 GiB when nothing limits it.
uint64_t creplay_fitting_capacity(void) {
  struct rlimit limit;
  uint64_t mapped = creplay_address_space_bytes();
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unlimited_capacity_bytes;
  if (limit.rlim_cur <= mapped + slack_byte_count) return 0;
  uint64_t room = (limit.rlim_cur - mapped - slack_byte_count) & ~(page_byte_count - 1);
  return room < unlimited_capacity_bytes ? room : unlimited_capacity_bytes;
}

bool creplay_is_inlined(const creplay_request *request) {
  return creplay_inlined_open != NULL && request->allocator == CREPLAY_ALLOCATOR_CISTERN &&
         (request->cistern_flags & CREPLAY_CISTERN_INLINED) != 0 &&
         (request->mode == CREPLAY_MODE_CALLS || request->mode == CREPLAY_MODE_TOUCH);
}

creplay_failure creplay_cistern_open(const creplay_request *request, const creplay_operations **operations, void **heap,
                                     creplay_result *result) {
  if (cistern_heap_create == NULL) return CREPLAY_WRONG_LIBRARY;
  uint64_t flags = request->cistern_flags;
  cistern_heap_options options = {
      .struct_byte_count = sizeof(cistern_heap_options),
      .capacity_bytes = request->capacity_bytes != 0 ? request->capacity_bytes : creplay_fitting_capacity(),
      .minimum_alignment = (flags & CREPLAY_CISTERN_ALIGNED_16) != 0 ? 16 : (flags & CREPLAY_CISTERN_ALIGNED_64) != 0 ? 64 : 0,
      .single_thread = (flags & CREPLAY_CISTERN_SINGLE_THREAD) != 0,
      .checked = (flags & CREPLAY_CISTERN_CHECKED) != 0,
      .no_huge_pages = (flags & CREPLAY_CISTERN_NO_HUGE_PAGES) != 0,
  };
  cistern_heap *created = NULL;
  result->capacity_bytes = options.capacity_bytes;
  if (creplay_is_inlined(request)) {
    *heap = creplay_inlined_open(options.capacity_bytes);
    *operations = &cistern_inlined_operations;
    return *heap == NULL ? CREPLAY_HEAP_REFUSED : CREPLAY_NO_FAILURE;
  }
  cistern_status status = cistern_heap_create(&options, &created);
  if (status != CISTERN_OK) {
    result->failure_detail = (uint64_t)status;
    return CREPLAY_HEAP_REFUSED;
  }
  *heap = created;
  *operations = (flags & CREPLAY_CISTERN_UNSIZED_FREE) != 0 ? &cistern_unsized_operations : &cistern_operations;
  return CREPLAY_NO_FAILURE;
}

bool creplay_allocator_verify(const creplay_request *request, void *heap) {
  return request->allocator != CREPLAY_ALLOCATOR_CISTERN || cistern_verify(heap);
}
