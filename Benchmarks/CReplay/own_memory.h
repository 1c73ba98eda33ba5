// What the kernel says about this process's memory, and the harness's own mappings. Nothing here allocates.
#ifndef CREPLAY_OWN_MEMORY_H
#define CREPLAY_OWN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// VmSize: what RLIMIT_AS counts.
uint64_t creplay_address_space_bytes(void);
// Fields of /proc/self/status in bytes; 0 when unknown. `field` includes the colon.
uint64_t creplay_status_bytes(const char *field);
// Sets VmHWM to what is resident now; false when the kernel refuses.
bool creplay_reset_resident_peak(void);
// A zeroed private mapping, its pages present already when `populated`; NULL when there is no room.
void *creplay_map_table(size_t byte_count, bool populated);

#endif
