#define _GNU_SOURCE
#include "cistern_os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cistern_program.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_SET_VMA_ANON_NAME
#define PR_SET_VMA_ANON_NAME 0
#endif

// Turns the usual "-1 and errno" into the table's "0 or errno", with the caller's errno as it was.
static int outcome(int status, int saved_errno) {
  int code = status == 0 ? 0 : errno;
  errno = saved_errno;
  return code;
}

static int reserve(void *context, size_t byte_count, void **base) {
  (void)context;
  int saved = errno;
  void *mapping = mmap(NULL, byte_count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return outcome(-1, saved);
  *base = mapping;
  return 0;
}

static int release(void *context, void *address, size_t byte_count) {
  (void)context;
  int saved = errno;
  return outcome(munmap(address, byte_count), saved);
}

static int commit(void *context, void *address, size_t byte_count) {
  (void)context;
  int saved = errno;
  return outcome(mprotect(address, byte_count, PROT_READ | PROT_WRITE), saved);
}

static int decommit(void *context, void *address, size_t byte_count, uint32_t *reads_as) {
  (void)context;
  int saved = errno;
  *reads_as = CISTERN_READS_AS_ZERO;  // private anonymous memory
  return outcome(madvise(address, byte_count, MADV_DONTNEED), saved);
}

// A new mapping over the old one: unlike mprotect it also gives back what was charged for the pages.
static int uncommit(void *context, void *address, size_t byte_count) {
  (void)context;
  int saved = errno;
  void *mapping =
      mmap(address, byte_count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return outcome(mapping == MAP_FAILED ? -1 : 0, saved);
}

static int advise(void *context, void *address, size_t byte_count, uint32_t advice) {
  (void)context;
  static const int system_advice[] = {MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTFORK, MADV_WIPEONFORK};
  if (advice >= sizeof system_advice / sizeof system_advice[0]) return EINVAL;
  int saved = errno;
  return outcome(madvise(address, byte_count, system_advice[advice]), saved);
}

static int set_name(void *context, void *address, size_t byte_count, const char *name) {
  (void)context;
  int saved = errno;
  return outcome(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, byte_count, name), saved);
}

static int read_limit(void *context, uint32_t which, uint64_t *value) {
  (void)context;
  if (which > CISTERN_LIMIT_DATA) return EINVAL;
  int saved = errno;
  struct rlimit limit;
  int code = outcome(getrlimit(which == CISTERN_LIMIT_ADDRESS_SPACE ? RLIMIT_AS : RLIMIT_DATA, &limit), saved);
  if (code == 0) *value = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
  return code;
}

// Reads until the buffer is full or the file ends. A read that a signal interrupts is asked for again.
static int read_all(int file, char *buffer, size_t capacity, size_t *byte_count) {
  size_t count = 0;
  while (count < capacity) {
    ssize_t got = read(file, buffer + count, capacity - count);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    count += (size_t)got;
  }
  *byte_count = count;
  return 0;
}

static int read_file(void *context, const char *path, void *buffer, size_t capacity, size_t *byte_count) {
  (void)context;
  int saved = errno;
  int file;
  do {
    file = open(path, O_RDONLY | O_CLOEXEC);
  } while (file < 0 && errno == EINTR);
  if (file < 0) return outcome(-1, saved);
  int code = read_all(file, buffer, capacity, byte_count);
  // Nothing was written: whatever close says, the bytes are here.
  (void)close(file);
  errno = saved;
  return code;
}

static const cistern_os_calls system_calls = {
    .context = NULL,
    .reserve = reserve,
    .release = release,
    .commit = commit,
    .decommit = decommit,
    .uncommit = uncommit,
    .advise = advise,
    .set_name = set_name,
    .read_limit = read_limit,
    .read_file = read_file,
    .find_program = cistern_program_find,
    .replace_process = cistern_program_replace,
    .start_program = cistern_program_start,
    .wait_for_program = cistern_program_wait,
};

const cistern_os_calls *cistern_os_system(void) { return &system_calls; }

size_t cistern_os_page_byte_count(void) {
  long byte_count = sysconf(_SC_PAGESIZE);
  return byte_count > 0 ? (size_t)byte_count : 4096;
}

const char *cistern_os_mapping_name(void) { return "cistern heap"; }

const char *cistern_os_environment_value(const char *name) { return getenv(name); }
