// Runs a program and watches how much memory it and its descendants take together.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "CReplay.h"

enum { text_capacity = 4096, highest_process_count = 64 };

// The whole of a small file as text; false when it cannot be read.
static bool read_text(const char *path, char text[text_capacity]) {
  int64_t length = creplay_read_file(path, text, text_capacity - 1);
  text[length < 0 ? 0 : length] = 0;
  return length >= 0;
}

// The proportional set size of one process; 0 when it has ended, or is just ending.
static uint64_t proportional_bytes(pid_t process) {
  char path[64];
  char text[text_capacity];
  (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)process);   // fits
  if (!read_text(path, text)) return 0;
  const char *line = strstr(text, "\nPss:");
  return line == NULL ? 0 : strtoull(line + strlen("\nPss:"), NULL, 10) * 1024;
}

// A child of posix_spawn has its parent's memory until it becomes a program of its own: that is not counted twice. Where the
// kernel does not tell, it is.
static bool shares_memory(pid_t process, pid_t other) { return syscall(SYS_kcmp, process, other, KCMP_VM, 0, 0) == 0; }

// Sums a process and its descendants, breadth first. A process whose list cannot be read counts alone.
static uint64_t sum_of_tree(pid_t root) {
  pid_t processes[highest_process_count] = {root};
  int count = 1;
  uint64_t sum = 0;
  for (int at = 0; at < count; at++) {
    char path[64];
    char text[text_capacity];
    uint64_t bytes = proportional_bytes(processes[at]);
    bool is_counted = false;
    for (int before = 0; before < at && !is_counted; before++) is_counted = shares_memory(processes[at], processes[before]);
    if (!is_counted) sum += bytes;
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)processes[at], (int)processes[at]);   // fits
    if (!read_text(path, text)) continue;
    char *rest = text;
    for (long child = strtol(rest, &rest, 10); child > 0 && count < highest_process_count; child = strtol(rest, &rest, 10)) {
      processes[count++] = (pid_t)child;
    }
  }
  return sum;
}

// In the child, between fork and exec: async-signal-safe calls only. Returns only when something failed.
static void become(const creplay_watch *watch) {
  if (watch->group_file != NULL) {
    int file = open(watch->group_file, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "0", 1) != 1) _exit(CREPLAY_WATCH_NOT_IN_GROUP);
  }
  (void)execv(watch->arguments[0], (char *const *)watch->arguments);   // returns only on failure
}

creplay_watch_outcome creplay_watch_program(const creplay_watch *watch) {
  creplay_watch_outcome outcome = {.exit_code = -1};
  uint64_t start = creplay_monotonic_nanoseconds();
  pid_t child = fork();
  if (child == 0) {
    become(watch);
    _exit(127);
  }
  if (child < 0) {
    outcome.error = errno;
    return outcome;
  }
  const struct timespec interval = {.tv_nsec = (long)watch->interval_milliseconds * 1000000};
  int status = 0;
  for (;;) {
    pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended < 0 && errno != EINTR) {
      outcome.error = errno;
      return outcome;
    }
    if (ended == child) break;
    uint64_t sum = sum_of_tree(child);
    outcome.sample_count++;
    if (sum > outcome.peak_proportional_bytes) outcome.peak_proportional_bytes = sum;
    (void)nanosleep(&interval, NULL);   // shorter when a signal comes: one sample more
  }
  outcome.nanoseconds = creplay_monotonic_nanoseconds() - start;
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}
