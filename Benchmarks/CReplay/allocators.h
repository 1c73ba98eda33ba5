// The allocators behind one table of calls.
#ifndef CREPLAY_ALLOCATORS_H
#define CREPLAY_ALLOCATORS_H

#include "CReplay.h"

// Every allocator is reached in the same way: an indirect call to a wrapper that ends in a jump to the allocator's own
// entry point. cistern's functions could stand in the table themselves, malloc's could not (they take no heap); so that
// nobody saves a jump, all of them have a wrapper.
typedef struct creplay_operations {
  void *(*allocate)(void *heap, size_t byte_count);
  void *(*allocate_zeroed)(void *heap, size_t byte_count);
  void *(*allocate_aligned)(void *heap, size_t byte_count, size_t alignment);
  void (*deallocate)(void *heap, void *block, size_t byte_count);
  void *(*resize)(void *heap, void *block, size_t old_byte_count, size_t byte_count);
  void (*deallocate_unsized)(void *heap, void *block);   // outside what is measured
} creplay_operations;

// Opens what the request asks for. On success *heap is what the calls take first (NULL for malloc).
creplay_failure creplay_allocator_open(const creplay_request *request, const creplay_operations **operations, void **heap,
                                       creplay_result *result);
// The same for cistern alone.
creplay_failure creplay_cistern_open(const creplay_request *request, const creplay_operations **operations, void **heap,
                                     creplay_result *result);
// True when the replay itself is the one in Swift. The passes that write every byte are the same for all.
bool creplay_is_inlined(const creplay_request *request);
// For cistern: cistern_verify. True for the others.
bool creplay_allocator_verify(const creplay_request *request, void *heap);
// Writes a line of text about the malloc in use to `output`; returns its length.
size_t creplay_malloc_version(char *output, size_t capacity);
// True when `malloc` comes from the library at this path.
bool creplay_malloc_comes_from(const char *library_path);

#endif
