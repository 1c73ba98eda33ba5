#define _GNU_SOURCE
#include "cistern_ticks_sync.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t cistern_ticks_random(uint64_t salt) {
  const unsigned int non_blocking = 1;
  uint64_t value = 0;
  int saved = errno;
  long filled = syscall(SYS_getrandom, &value, sizeof(value), non_blocking);
  errno = saved;
  // Early in a system's life there may be no randomness yet: then where the stack stands has to do.
  if (filled != (long)sizeof(value)) value = (uint64_t)(uintptr_t)&value * 0x9E3779B97F4A7C15u;
  return value ^ salt;
}
