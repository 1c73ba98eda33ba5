#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "scenarios.h"

uint64_t scenario_random(uint64_t *state) {
  *state += 0x9e3779b97f4a7c15u;
  uint64_t z = *state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

void scenario_fill(void *start, size_t byte_count, uint64_t seed) {
  uint8_t *bytes = start;
  for (size_t i = 0; i < byte_count; i++) bytes[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

bool scenario_holds(const void *start, size_t byte_count, uint64_t seed) {
  const uint8_t *bytes = start;
  for (size_t i = 0; i < byte_count; i++)
    if (bytes[i] != (uint8_t)(seed * 31 + i * 7 + (i >> 8))) return false;
  return true;
}

uint64_t scenario_resident_bytes(void) {
  unsigned long all = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%lu %lu", &all, &resident) != 2) resident = 0;
  if (file != NULL) fclose(file);
  return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t scenario_page_faults(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_minflt : UINT64_MAX;
}

typedef struct thread_job {
  int (*body)(uint32_t number);
  uint32_t number;
  int result;
} thread_job;

static void *run_job(void *context) {
  thread_job *job = context;
  job->result = job->body(job->number);
  return NULL;
}

int scenario_in_threads(uint32_t count, int (*body)(uint32_t number)) {
  enum { MOST = 16 };
  pthread_t threads[MOST];
  thread_job jobs[MOST];
  int sum = 0;
  uint32_t started = 0;
  while (started < count && started < MOST) {
    jobs[started] = (thread_job){body, started, 0};
    if (pthread_create(&threads[started], NULL, run_job, &jobs[started]) != 0) break;
    started++;
  }
  for (uint32_t i = 0; i < started; i++) {
    if (pthread_join(threads[i], NULL) != 0) return -1;
    sum += jobs[i].result;
  }
  return started == count ? sum : -1;
}

int skip_run_words(void *text) {
  enum { MOST = 16 };
  static char copy[256], program[] = "program";
  static const char variable[] = "SKIP_CAPACITY=";
  char *words[MOST + 1] = {program};
  int count = 1;
  if (unsetenv("SKIP_CAPACITY") != 0) return 98;
  snprintf(copy, sizeof copy, "%s", (const char *)text);
  for (char *word = strtok(copy, " "); word != NULL && count < MOST; word = strtok(NULL, " ")) {
    if (count == 1 && strncmp(word, variable, sizeof variable - 1) == 0) {
      if (setenv("SKIP_CAPACITY", word + sizeof variable - 1, 1) != 0) return 98;
    } else {
      words[count++] = word;
    }
  }
  SKIP_memory_init(count, words);
  size_t scenarios = 0;
  const skip_scenario *single = skip_single_scenarios(&scenarios);
  for (size_t i = 0; count > 1 && i < scenarios; i++)
    if (strcmp(words[1], single[i].name) == 0) return single[i].run(count > 2 ? strtoull(words[2], NULL, 10) : 1, 1) == 0 ? 0 : 99;
  return 0;
}

static const skip_scenario lasting[] = {
    {"regions-nest", regions_nest},
    {"region-sizes", region_sizes},
    {"clones", clones},
    {"survivors", survivors},
    {"adjacent-large-survivors", adjacent_large_survivors},
    {"copies-to-parent", copies_to_parent},
    {"switches", switches},
    {"collect-advice", collect_advice},
    {"page-search", page_search},
    {"static-answers", static_answers},
    {"persistent-blocks", persistent_blocks},
    {"persistent-graphs", persistent_graphs},
    {"scratch-blocks", scratch_blocks},
    {"root-and-numbers", root_and_numbers},
    {"mutexes", mutexes},
    {"names-without-effect", names_without_effect},
    {"threads-share", threads_share},
};

const skip_scenario *skip_lasting_scenarios(size_t *count) {
  *count = sizeof lasting / sizeof *lasting;
  return lasting;
}
