// What the tests of Skip's memory layer do with the miniature runtime. Each scenario returns the line of the first thing that is
// wrong, or 0. They work on whatever memory layer is linked: the archive, the same sources in the test process, or a model with
// the defects that Skip's own layer had, for which they must not return 0.
#ifndef SKIP_SCENARIOS_H
#define SKIP_SCENARIOS_H

#include <stddef.h>
#include <stdint.h>

typedef struct skip_scenario {
  const char *_Nonnull name;
  int (*_Nonnull run)(uint64_t seed, uint32_t scale);  // scale 10: all of it; 1: a tenth
} skip_scenario;

// Those that leave the process as they found it: any number of them, in any order, after mini_start.
const skip_scenario *_Nonnull skip_lasting_scenarios(size_t *_Nonnull count);
// Those that need a process of their own, because they fill the heap or end the process.
const skip_scenario *_Nonnull skip_single_scenarios(size_t *_Nonnull count);

// For a child process: starts the memory layer with the words of a text, which spaces separate, and runs the scenario that the first
// of them names, if it names one, with the number that the second says as its seed. A word SKIP_CAPACITY=V in front sets that.
int skip_run_words(void *_Nullable text);

#endif
