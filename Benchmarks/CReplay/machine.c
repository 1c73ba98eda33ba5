// Facts about the machine, and the few file operations that the Swift side needs without Foundation.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "CReplay.h"

uint64_t creplay_address_space_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return UINT64_MAX;
  return limit.rlim_max;
}

uint32_t creplay_cpu_count(int32_t *highest) {
  cpu_set_t allowed;
  *highest = -1;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  for (int32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &allowed)) *highest = cpu;
  }
  return (uint32_t)CPU_COUNT(&allowed);
}

int64_t creplay_read_file(const char *path, void *output, size_t capacity) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  size_t length = 0;
  while (length < capacity) {
    ssize_t count = read(file, (char *)output + length, capacity - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      length = SIZE_MAX;
      break;
    }
    if (count == 0) break;
    length += (size_t)count;
  }
  return close(file) != 0 || length == SIZE_MAX ? -1 : (int64_t)length;
}

bool creplay_write_file(const char *path, const void *bytes, size_t byte_count) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) return false;
  size_t written = 0;
  bool good = true;
  while (good && written < byte_count) {
    ssize_t count = write(file, (const char *)bytes + written, byte_count - written);
    if (count < 0 && errno == EINTR) continue;
    good = count > 0;
    written += good ? (size_t)count : 0;
  }
  return close(file) == 0 && good;
}

int64_t creplay_executable_path(void *output, size_t capacity) {
  ssize_t length = readlink("/proc/self/exe", output, capacity);
  return length > 0 && (size_t)length < capacity ? (int64_t)length : -1;
}

bool creplay_make_directory(const char *path) {
  char partial[PATH_MAX];
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof(partial)) return false;
  memcpy(partial, path, length + 1);
  for (size_t at = 1; at <= length; at++) {
    if (partial[at] != '/' && partial[at] != 0) continue;
    char separator = partial[at];
    partial[at] = 0;
    if (mkdir(partial, 0777) != 0 && errno != EEXIST) return false;
    partial[at] = separator;
  }
  return access(path, W_OK | X_OK) == 0;
}

bool creplay_is_readable(const char *path) { return access(path, R_OK) == 0; }

int64_t creplay_resolved_path(const char *path, void *output, size_t capacity) {
  char resolved[PATH_MAX];
  if (realpath(path, resolved) == NULL) return -1;
  size_t length = strlen(resolved);
  if (length >= capacity) return -1;
  memcpy(output, resolved, length + 1);
  return (int64_t)length;
}

int64_t creplay_list_directory(const char *path, void *output, size_t capacity) {
  DIR *directory = opendir(path);
  if (directory == NULL) return -1;
  size_t length = 0;
  for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
    size_t name = strlen(entry->d_name);
    if (capacity - length <= name + 1) break;
    memcpy((char *)output + length, entry->d_name, name);
    ((char *)output)[length + name] = '\n';
    length += name + 1;
  }
  return closedir(directory) == 0 ? (int64_t)length : -1;
}

uint64_t creplay_monotonic_nanoseconds(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
