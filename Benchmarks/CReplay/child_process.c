// Runs child processes under limits that are set between fork and exec.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "CReplay.h"

extern char **environ;

static bool has_name(const char *setting, const char *name) {
  size_t length = strlen(name);
  return strncmp(setting, name, length) == 0 && setting[length] == '=';
}

// This process's environment with LD_PRELOAD replaced, and without the Swift runtime's own crash reporter.
static char **make_environment(const char *preload) {
  size_t count = 0;
  while (environ[count] != NULL) count++;
  char **environment = calloc(count + 3, sizeof(char *));
  if (environment == NULL) return NULL;
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (!has_name(environ[i], "LD_PRELOAD") && !has_name(environ[i], "SWIFT_BACKTRACE")) environment[kept++] = environ[i];
  }
  static char no_backtrace[] = "SWIFT_BACKTRACE=enable=no";
  environment[kept++] = no_backtrace;
  if (preload != NULL && preload[0] != 0) {
    size_t length = strlen("LD_PRELOAD=") + strlen(preload) + 1;
    char *setting = malloc(length);
    if (setting == NULL) {
      free(environment);
      return NULL;
    }
    (void)snprintf(setting, length, "LD_PRELOAD=%s", preload);   // fits: the length was computed from both parts
    environment[kept++] = setting;
  }
  return environment;
}

static void free_environment(char **environment) {
  for (char **setting = environment; *setting != NULL; setting++) {
    if (has_name(*setting, "LD_PRELOAD")) free(*setting);
  }
  free(environment);
}

// In the child, between fork and exec: async-signal-safe calls only. Returns only when something failed.
static void become(const creplay_spawn *spawn, char **environment, int pipe_end) {
  // The pipe first: its own number may be one of those that lead nowhere.
  if (pipe_end == spawn->captured_descriptor) {
    if (fcntl(pipe_end, F_SETFD, 0) != 0) return;
  } else if (dup2(pipe_end, spawn->captured_descriptor) < 0) {
    return;
  }
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0) return;
  for (int descriptor = 0; descriptor <= 3; descriptor++) {
    if (descriptor != spawn->captured_descriptor && dup2(nowhere, descriptor) < 0) return;
  }
  if (spawn->cpu >= 0) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(spawn->cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0) return;
  }
  struct rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) return;
  if (spawn->timeout_seconds != 0) (void)alarm(spawn->timeout_seconds);   // result: what was left of an earlier alarm
  if (spawn->address_space_bytes != 0) {
    struct rlimit limit = {.rlim_cur = spawn->address_space_bytes, .rlim_max = spawn->address_space_bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return;
  }
  (void)execvpe(spawn->arguments[0], (char *const *)spawn->arguments, environment);   // returns only on failure
}

static size_t read_all(int file, void *output, size_t capacity) {
  size_t length = 0;
  char rest[4096];
  for (;;) {
    bool room = length < capacity;
    ssize_t count = room ? read(file, (char *)output + length, capacity - length) : read(file, rest, sizeof(rest));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return length;
    if (room) length += (size_t)count;
  }
}

static void wait_for(pid_t child, creplay_spawn_outcome *outcome) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno == EINTR) continue;
    outcome->error = errno;
    return;
  }
  if (WIFEXITED(status)) outcome->exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome->signal = WTERMSIG(status);
}

creplay_spawn_outcome creplay_run_child(const creplay_spawn *spawn, void *output, size_t capacity) {
  creplay_spawn_outcome outcome = {.exit_code = -1};
  int ends[2];
  char **environment = make_environment(spawn->preload);
  if (environment == NULL || pipe2(ends, O_CLOEXEC) != 0) {
    outcome.error = environment == NULL ? ENOMEM : errno;
    if (environment != NULL) free_environment(environment);
    return outcome;
  }
  pid_t child = fork();
  if (child == 0) {
    become(spawn, environment, ends[1]);
    _exit(127);
  }
  if (child < 0) outcome.error = errno;
  if (close(ends[1]) != 0) outcome.error = errno;
  if (child > 0) {
    outcome.output_byte_count = read_all(ends[0], output, capacity);
    wait_for(child, &outcome);
  }
  if (close(ends[0]) != 0) outcome.error = errno;
  free_environment(environment);
  return outcome;
}
