// A program with the miniature runtime in it: skip-program SCENARIO [SEED [SCALE]] [--capacity V ...]. Starts as a Skip program
// does, runs the scenario (`all`: every one that leaves the process as it was), and ends with 0, or with 1 and one line that says
// where it went wrong. Without a scenario it only starts, so that every command line can be tried: skip-program --capacity 0.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mini_runtime.h"
#include "skip_scenarios.h"

static int run(const skip_scenario *scenario, uint64_t seed, uint32_t scale) {
  int line = scenario->run(seed, scale);
  if (line != 0) fprintf(stderr, "%s: line %d, seed %llu\n", scenario->name, line, (unsigned long long)seed);
  return line != 0;
}

static uint64_t number(int argc, char **argv, int index, uint64_t otherwise) {
  if (index >= argc || argv[index][0] < '0' || argv[index][0] > '9') return otherwise;
  return strtoull(argv[index], NULL, 10);
}

int main(int argc, char **argv) {
  // What a runtime must not do.
  if (argc > 1 && strcmp(argv[1], "not-started") == 0) return sk_palloc(8) == NULL;
  mini_start(argc, argv);
  if (argc < 2 || argv[1][0] == '-') return 0;
  uint64_t seed = number(argc, argv, 2, 1);
  uint32_t scale = (uint32_t)number(argc, argv, 3, 10);
  size_t count = 0;
  const skip_scenario *scenarios = skip_lasting_scenarios(&count);
  int failures = 0, found = 0;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(argv[1], "all") != 0 && strcmp(argv[1], scenarios[i].name) != 0) continue;
    failures += run(&scenarios[i], seed, scale);
    found++;
  }
  scenarios = skip_single_scenarios(&count);
  for (size_t i = 0; i < count; i++)
    if (strcmp(argv[1], scenarios[i].name) == 0) {
      failures += run(&scenarios[i], seed, scale);
      found++;
    }
  if (found == 0) {
    fprintf(stderr, "no scenario %s\n", argv[1]);
    return 9;
  }
  return failures != 0;
}
