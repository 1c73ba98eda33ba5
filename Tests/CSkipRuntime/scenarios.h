// Shared by the files of scenarios.
#ifndef SKIP_SCENARIOS_PRIVATE_H
#define SKIP_SCENARIOS_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "mini_runtime.h"
#include "skip_scenarios.h"

uint64_t scenario_random(uint64_t *state);
// Fills bytes with a pattern of its seed, and says whether they hold it.
void scenario_fill(void *start, size_t byte_count, uint64_t seed);
bool scenario_holds(const void *start, size_t byte_count, uint64_t seed);
// Resident bytes of the process; page faults so far.
uint64_t scenario_resident_bytes(void);
uint64_t scenario_page_faults(void);
// Runs `body` in `count` threads, with their numbers, and waits. The sum of what they return.
int scenario_in_threads(uint32_t count, int (*body)(uint32_t number));

int regions_nest(uint64_t seed, uint32_t scale);
int region_sizes(uint64_t seed, uint32_t scale);
int clones(uint64_t seed, uint32_t scale);
int survivors(uint64_t seed, uint32_t scale);
int adjacent_large_survivors(uint64_t seed, uint32_t scale);
int copies_to_parent(uint64_t seed, uint32_t scale);
int switches(uint64_t seed, uint32_t scale);
int collect_advice(uint64_t seed, uint32_t scale);
int page_search(uint64_t seed, uint32_t scale);
int static_answers(uint64_t seed, uint32_t scale);
int persistent_blocks(uint64_t seed, uint32_t scale);
int persistent_graphs(uint64_t seed, uint32_t scale);
int scratch_blocks(uint64_t seed, uint32_t scale);
int root_and_numbers(uint64_t seed, uint32_t scale);
int mutexes(uint64_t seed, uint32_t scale);
int names_without_effect(uint64_t seed, uint32_t scale);
int threads_share(uint64_t seed, uint32_t scale);
int forked_child(uint64_t seed, uint32_t scale);

#endif
