// This thread's stack of regions, for faces that have one.
//
// Regions that were put on it one after the other on one heap are each the parent of the next: so the stack has only the
// youngest of them, and what is below it are its parents. Where the heap changes, another such *pile* begins. What a pile names
// is compared before it is looked at: its heap may be gone, or another region be using the record.
#ifndef CISTERN_REGION_STACK_H
#define CISTERN_REGION_STACK_H

#include <stdint.h>

#include "cistern_os.h"

typedef struct cistern_region_pile {
  uintptr_t region;  // the youngest cistern_region of it
  uint64_t region_incarnation;
  uintptr_t heap;
  uint64_t heap_incarnation;
} cistern_region_pile;

// Thread-local memory of a library that is loaded late is scarce.
enum { CISTERN_REGION_PILE_LIMIT = 8 };

typedef struct cistern_region_stack {
  uint64_t pile_count;
  cistern_region_pile piles[CISTERN_REGION_PILE_LIMIT];
} cistern_region_stack;

extern _Thread_local __attribute__((tls_model("initial-exec"))) cistern_region_stack cistern_this_region_stack;

static inline uint64_t cistern_region_pile_count(void) { return cistern_this_region_stack.pile_count; }

// The pile with a number below `pile_count`; the last is the top.
static inline cistern_region_pile *_Nonnull cistern_region_pile_at(uint64_t number) { return &cistern_this_region_stack.piles[number]; }

// False: there are as many as there can be.
static inline int cistern_region_pile_add(cistern_region_pile pile) {
  cistern_region_stack *stack = &cistern_this_region_stack;
  if (stack->pile_count == CISTERN_REGION_PILE_LIMIT) return 0;
  stack->piles[stack->pile_count++] = pile;
  return 1;
}

static inline void cistern_region_pile_remove(uint64_t number) {
  cistern_region_stack *stack = &cistern_this_region_stack;
  stack->pile_count--;
  for (uint64_t next = number; next < stack->pile_count; next++) stack->piles[next] = stack->piles[next + 1];
}

#endif
