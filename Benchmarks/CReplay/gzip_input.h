// Reading through the gzip program, for the converters of traces.
#ifndef CREPLAY_GZIP_INPUT_H
#define CREPLAY_GZIP_INPUT_H

#include <sys/types.h>

#include "CReplay.h"

bool creplay_is_gzip(int source);
// Size and time of a trace's file, by which a flat file knows what it was made from. False: there is no such regular file.
bool creplay_stat_source(const char *source_path, uint64_t *byte_count, uint64_t *modified_nanoseconds);
// Starts `gzip -dc` on an open file; *output is what it writes.
creplay_convert_status creplay_gzip_start(int source, int *output, pid_t *gzip);
// Waits for its end, and changes a status for what gzip found wrong.
creplay_convert_status creplay_gzip_verdict(creplay_convert_status status, pid_t gzip, uint64_t event_count);

#endif
