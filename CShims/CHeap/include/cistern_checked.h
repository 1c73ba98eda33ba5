// What checked mode needs of C: the host's report function, and the address sanitizer where it is built in.
#ifndef CISTERN_CHECKED_H
#define CISTERN_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cistern_heap_layout.h"

// Calls the heap's report function with a misuse (HeapMisuse in Swift) and the block's address. False: there is none.
bool cistern_report_misuse(const cistern_heap *_Nonnull heap, uint32_t misuse, uintptr_t address);

// Tells the address sanitizer that a range may not (or may) be touched. Nothing happens in other builds.
void cistern_sanitizer_poison(uintptr_t address, size_t byte_count);
void cistern_sanitizer_unpoison(uintptr_t address, size_t byte_count);

#endif
