#include "cistern_checked.h"

typedef void (*report_function)(void *context, uint32_t misuse, void *address);

bool cistern_report_misuse(const cistern_heap *heap, uint32_t misuse, uintptr_t address) {
  if (heap->report_function == 0) return false;
  ((report_function)heap->report_function)((void *)heap->report_context, misuse, (void *)address);
  return true;
}

#if defined(__has_feature) && __has_feature(address_sanitizer)
void __asan_poison_memory_region(void const volatile *address, size_t byte_count);
void __asan_unpoison_memory_region(void const volatile *address, size_t byte_count);
void cistern_sanitizer_poison(uintptr_t address, size_t byte_count) { __asan_poison_memory_region((void *)address, byte_count); }
void cistern_sanitizer_unpoison(uintptr_t address, size_t byte_count) { __asan_unpoison_memory_region((void *)address, byte_count); }
#else
void cistern_sanitizer_poison(uintptr_t address, size_t byte_count) { (void)address, (void)byte_count; }
void cistern_sanitizer_unpoison(uintptr_t address, size_t byte_count) { (void)address, (void)byte_count; }
#endif
