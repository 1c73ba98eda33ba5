// The top of this thread's stack of regions, for faces that have one.
#ifndef CISTERN_REGION_STACK_H
#define CISTERN_REGION_STACK_H

#include <stdint.h>

#include "cistern_os.h"

// `incarnation` is that of the region's heap, and compared before the region is looked at: heaps may be gone.
typedef struct cistern_region_stack {
  uintptr_t top;  // a cistern_region; 0: empty
  uint64_t incarnation;
} cistern_region_stack;

extern _Thread_local __attribute__((tls_model("initial-exec"))) cistern_region_stack cistern_this_region_stack;

static inline cistern_region_stack *_Nonnull cistern_thread_region_stack(void) { return &cistern_this_region_stack; }

#endif
