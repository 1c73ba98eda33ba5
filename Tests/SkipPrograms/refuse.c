// Stands in for the C library's calls for memory and refuses one of them: the one whose number REFUSE_AT says, counted from 0, or
// with REFUSE_FOR_EVER that one and all after it.
#define _GNU_SOURCE

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long count;

static int is_refused(void) {
  const char *at = getenv("REFUSE_AT");
  long number = count++;
  if (at == NULL || (number != atol(at) && (getenv("REFUSE_FOR_EVER") == NULL || number < atol(at)))) return 0;
  errno = ENOMEM;
  return 1;
}

void *mmap(void *address, size_t byte_count, int protection, int flags, int file, off_t offset) {
  if (is_refused()) return MAP_FAILED;
  return (void *)syscall(SYS_mmap, address, byte_count, protection, flags, file, offset);
}

int mprotect(void *address, size_t byte_count, int protection) {
  return is_refused() ? -1 : (int)syscall(SYS_mprotect, address, byte_count, protection);
}

int madvise(void *address, size_t byte_count, int advice) {
  return is_refused() ? -1 : (int)syscall(SYS_madvise, address, byte_count, advice);
}
