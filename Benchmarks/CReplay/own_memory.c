#define _GNU_SOURCE
#include "own_memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "CReplay.h"

uint64_t creplay_address_space_bytes(void) { return creplay_status_bytes("VmSize:"); }

uint64_t creplay_status_bytes(const char *field) {
  char text[4096];
  int64_t length = creplay_read_file("/proc/self/status", text, sizeof(text) - 1);
  if (length <= 0) return 0;
  text[length] = 0;
  const char *found = strstr(text, field);
  if (found == NULL) return 0;
  uint64_t kibibytes = 0;
  for (const char *at = found + strlen(field); *at != 0 && *at != '\n'; at++) {
    if (*at >= '0' && *at <= '9') kibibytes = kibibytes * 10 + (uint64_t)(*at - '0');
  }
  return kibibytes << 10;
}

bool creplay_reset_resident_peak(void) { return creplay_write_file("/proc/self/clear_refs", "5", 1); }

void *creplay_map_table(size_t byte_count, bool populated) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | (populated ? MAP_POPULATE : 0);
  void *table = mmap(NULL, byte_count == 0 ? 1 : byte_count, PROT_READ | PROT_WRITE, flags, -1, 0);
  return table == MAP_FAILED ? NULL : table;
}
