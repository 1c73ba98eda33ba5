// From a gzip trace (format: Benchmarks/Traces/README.md) to a flat file of records that children map.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "CReplay.h"
#include "gzip_input.h"

static const uint64_t flat_magic = UINT64_C(0x3230544c46534943);   // "CISFLT02"
static const char trace_magic[8] = {'A', 'L', 'L', 'O', 'C', 'T', 'R', '1'};
static const uint64_t highest_byte_count = UINT32_MAX;
static const uint32_t freed_slot = UINT32_MAX;

typedef struct trace_object {
  uint32_t byte_count;
  uint32_t slot;   // freed_slot after its free
} trace_object;

typedef struct converter {
  int input;
  int output;
  bool input_ended;
  bool write_failed;
  uint64_t stream_left;    // bytes of the event stream not yet taken
  size_t input_at;
  size_t input_length;
  size_t output_length;
  trace_object *objects;
  uint64_t object_capacity;
  uint32_t *free_slots;
  uint64_t free_slot_count;
  uint64_t free_slot_capacity;
  uint64_t live_bytes;
  uint64_t live_objects;
  uint64_t thread;
  creplay_flat_header counted;   // what the stream itself holds
  unsigned char input_bytes[1 << 16];
  creplay_record records[1 << 12];
} converter;

// ---- bytes in, records out ----

static bool next_byte(converter *c, unsigned char *byte) {
  if (c->input_at == c->input_length) {
    ssize_t count;
    do {
      count = read(c->input, c->input_bytes, sizeof(c->input_bytes));
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
      c->input_ended = true;
      return false;
    }
    c->input_at = 0;
    c->input_length = (size_t)count;
  }
  *byte = c->input_bytes[c->input_at++];
  return true;
}

static bool next_stream_byte(converter *c, unsigned char *byte) {
  if (c->stream_left == 0) return false;
  c->stream_left--;
  return next_byte(c, byte);
}

// An unsigned LEB128 of at most 63 bits.
static bool next_varint(converter *c, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 63; shift += 7) {
    unsigned char byte;
    if (!next_stream_byte(c, &byte)) return false;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

static bool write_all(int file, const void *bytes, size_t byte_count) {
  size_t written = 0;
  while (written < byte_count) {
    ssize_t count = write(file, (const char *)bytes + written, byte_count - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    written += (size_t)count;
  }
  return true;
}

static bool flush_records(converter *c) {
  bool good = write_all(c->output, c->records, c->output_length * sizeof(creplay_record));
  c->output_length = 0;
  c->write_failed = !good;
  return good;
}

static bool emit(converter *c, creplay_record record) {
  record.thread = (uint16_t)c->thread;
  c->records[c->output_length++] = record;
  c->counted.event_count++;
  return c->output_length < sizeof(c->records) / sizeof(c->records[0]) || flush_records(c);
}

// ---- the objects ----

static bool grow(void **table, uint64_t *capacity, size_t element_byte_count) {
  uint64_t wanted = *capacity == 0 ? 1 << 12 : *capacity * 2;
  void *moved = realloc(*table, wanted * element_byte_count);
  if (moved == NULL) return false;
  *table = moved;
  *capacity = wanted;
  return true;
}

static void count_bytes(converter *c, uint64_t before, uint64_t after) {
  c->live_bytes += after - before;
  if (c->live_bytes > c->counted.peak_live_bytes) c->counted.peak_live_bytes = c->live_bytes;
}

static creplay_convert_status take_allocation(converter *c, uint8_t operation, uint64_t value) {
  uint64_t byte_count = value;
  if (operation == CREPLAY_ALLOCATE_ALIGNED) {
    if (value >= 48 || !next_varint(c, &byte_count)) return CREPLAY_DAMAGED;
  }
  if (byte_count > highest_byte_count) return CREPLAY_TOO_LARGE;
  if (c->counted.slot_count >= freed_slot) return CREPLAY_TOO_LARGE;
  if (c->counted.object_count == c->object_capacity &&
      !grow((void **)&c->objects, &c->object_capacity, sizeof(trace_object))) {
    return CREPLAY_NO_MEMORY;
  }
  uint32_t slot = c->free_slot_count > 0 ? c->free_slots[--c->free_slot_count] : (uint32_t)c->counted.slot_count++;
  c->objects[c->counted.object_count++] = (trace_object){.byte_count = (uint32_t)byte_count, .slot = slot};
  c->live_objects++;
  if (c->live_objects > c->counted.peak_live_objects) c->counted.peak_live_objects = c->live_objects;
  count_bytes(c, 0, byte_count);
  creplay_record record = {.byte_count = (uint32_t)byte_count, .slot = slot, .operation = operation};
  if (operation == CREPLAY_ALLOCATE_ALIGNED) record.alignment_log2 = (uint8_t)value;
  return emit(c, record) ? CREPLAY_CONVERTED : CREPLAY_CACHE_UNWRITABLE;
}

static creplay_convert_status take_free_or_resize(converter *c, uint8_t operation, uint64_t distance) {
  if (distance == 0 || distance > c->counted.object_count) return CREPLAY_DAMAGED;
  trace_object *object = &c->objects[c->counted.object_count - distance];
  if (object->slot == freed_slot) return CREPLAY_DAMAGED;
  creplay_record record = {.byte_count = object->byte_count, .slot = object->slot, .operation = operation};
  if (operation == CREPLAY_RESIZE) {
    uint64_t byte_count;
    if (!next_varint(c, &byte_count)) return CREPLAY_DAMAGED;
    if (byte_count > highest_byte_count) return CREPLAY_TOO_LARGE;
    count_bytes(c, object->byte_count, byte_count);
    record.old_byte_count = object->byte_count;
    object->byte_count = (uint32_t)byte_count;
    record.byte_count = object->byte_count;
  } else {
    if (c->free_slot_count == c->free_slot_capacity &&
        !grow((void **)&c->free_slots, &c->free_slot_capacity, sizeof(uint32_t))) {
      return CREPLAY_NO_MEMORY;
    }
    c->free_slots[c->free_slot_count++] = object->slot;
    object->slot = freed_slot;
    c->live_objects--;
    count_bytes(c, object->byte_count, 0);
  }
  return emit(c, record) ? CREPLAY_CONVERTED : CREPLAY_CACHE_UNWRITABLE;
}

// ---- the stream ----

static creplay_convert_status take_event(converter *c) {
  unsigned char tag;
  if (!next_stream_byte(c, &tag)) return CREPLAY_TRUNCATED;
  uint8_t operation = tag & 7;
  uint64_t value = tag >> 3;
  if (value == 31) {
    uint64_t more;
    if (!next_varint(c, &more)) return CREPLAY_DAMAGED;
    value += more;
  }
  switch (operation) {
  case CREPLAY_ALLOCATE:
  case CREPLAY_ALLOCATE_ZEROED:
  case CREPLAY_ALLOCATE_ALIGNED:
    return take_allocation(c, operation, value);
  case CREPLAY_FREE:
  case CREPLAY_RESIZE:
    return take_free_or_resize(c, operation, value);
  case 3:
    if (value >= c->counted.thread_count || value > UINT16_MAX) return CREPLAY_DAMAGED;
    c->thread = value;
    return CREPLAY_CONVERTED;
  default:
    return CREPLAY_DAMAGED;
  }
}

static uint64_t header_field(const unsigned char *header, size_t offset) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; i++) value |= (uint64_t)header[offset + i] << (8 * i);
  return value;
}

static bool agrees_with(const creplay_flat_header *counted, const unsigned char *header) {
  return counted->event_count == header_field(header, 8) && counted->object_count == header_field(header, 16) &&
         counted->peak_live_bytes == header_field(header, 24) && counted->peak_live_objects == header_field(header, 32);
}

static creplay_convert_status convert_stream(converter *c) {
  unsigned char header[64];
  for (size_t i = 0; i < sizeof(header); i++) {
    if (!next_byte(c, &header[i])) return CREPLAY_NOT_A_TRACE;
    if (i == 7 && memcmp(header, trace_magic, 8) != 0) return CREPLAY_NOT_A_TRACE;
  }
  c->stream_left = header_field(header, 48);
  c->counted.thread_count = header_field(header, 40);
  while (c->stream_left > 0) {
    creplay_convert_status status = take_event(c);
    if (c->input_ended) return CREPLAY_TRUNCATED;
    if (status != CREPLAY_CONVERTED) return status;
  }
  unsigned char beyond;
  if (next_byte(c, &beyond) || !agrees_with(&c->counted, header)) return CREPLAY_DAMAGED;
  return flush_records(c) ? CREPLAY_CONVERTED : CREPLAY_CACHE_UNWRITABLE;
}

// ---- files ----

// Starts `gzip -dc` on the file; its output is *output. The name is given as its standard input, so that no name can
// be taken for an option.
creplay_convert_status creplay_gzip_start(int source, int *output, pid_t *gzip) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return CREPLAY_NO_MEMORY;
  *gzip = fork();
  if (*gzip == 0) {
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0 && dup2(nowhere, 2) >= 0 && dup2(source, 0) >= 0 && dup2(ends[1], 1) >= 0) {
      (void)execlp("gzip", "gzip", "-dc", (char *)NULL);   // returns only on failure
    }
    _exit(127);
  }
  bool closed = close(ends[1]) == 0;
  if (*gzip < 0 || !closed) {
    (void)close(ends[0]);   // nothing was read from it: a failure changes nothing
    return CREPLAY_NO_MEMORY;
  }
  *output = ends[0];
  return CREPLAY_CONVERTED;
}

// Exit code 1 of gzip means that the file is cut off or its checksum is wrong; 2 is a warning.
creplay_convert_status creplay_gzip_verdict(creplay_convert_status status, pid_t gzip, uint64_t event_count) {
  int ended = 0;
  while (waitpid(gzip, &ended, 0) < 0) {
    if (errno != EINTR) return CREPLAY_SOURCE_UNREADABLE;
  }
  bool failed = WIFEXITED(ended) && WEXITSTATUS(ended) == 1;
  if (WIFEXITED(ended) && WEXITSTATUS(ended) == 127) return CREPLAY_NO_GZIP_PROGRAM;
  if (status == CREPLAY_CONVERTED && failed) return CREPLAY_DAMAGED;
  if (status == CREPLAY_NOT_A_TRACE && event_count == 0 && failed) return CREPLAY_TRUNCATED;
  return status;
}

bool creplay_is_gzip(int source) {
  unsigned char magic[2];
  return pread(source, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) && magic[0] == 0x1f && magic[1] == 0x8b;
}

bool creplay_stat_source(const char *source_path, uint64_t *byte_count, uint64_t *modified_nanoseconds) {
  struct stat source;
  if (stat(source_path, &source) != 0 || !S_ISREG(source.st_mode)) return false;
  *byte_count = (uint64_t)source.st_size;
  *modified_nanoseconds = (uint64_t)source.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)source.st_mtim.tv_nsec;
  return true;
}

static bool stat_source(const char *source_path, creplay_flat_header *header) {
  return creplay_stat_source(source_path, &header->source_byte_count, &header->source_modified_nanoseconds);
}

static creplay_convert_status convert_open(converter *c, int source, const char *temporary_path) {
  pid_t gzip = -1;
  if (!creplay_is_gzip(source)) return CREPLAY_NOT_GZIP;
  c->output = open(temporary_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (c->output < 0) return CREPLAY_CACHE_UNWRITABLE;
  creplay_convert_status status = creplay_gzip_start(source, &c->input, &gzip);
  if (status == CREPLAY_CONVERTED) {
    c->counted.magic = flat_magic;
    creplay_flat_header none = {0};
    status = write_all(c->output, &none, sizeof(none)) ? convert_stream(c) : CREPLAY_CACHE_UNWRITABLE;
    (void)close(c->input);   // a gzip that still writes ends by SIGPIPE
    status = creplay_gzip_verdict(status, gzip, c->counted.event_count);
  }
  if (c->write_failed) status = CREPLAY_CACHE_UNWRITABLE;
  if (status == CREPLAY_CONVERTED &&
      pwrite(c->output, &c->counted, sizeof(c->counted), 0) != (ssize_t)sizeof(c->counted)) {
    status = CREPLAY_CACHE_UNWRITABLE;
  }
  return close(c->output) != 0 && status == CREPLAY_CONVERTED ? CREPLAY_CACHE_UNWRITABLE : status;
}

creplay_convert_status creplay_convert(const char *source_path, const char *flat_path, creplay_flat_header *header) {
  char temporary_path[4096];
  int length = snprintf(temporary_path, sizeof(temporary_path), "%s.%d.partial", flat_path, (int)getpid());
  if (length < 0 || (size_t)length >= sizeof(temporary_path)) return CREPLAY_CACHE_UNWRITABLE;
  converter *c = calloc(1, sizeof(converter));
  if (c == NULL) return CREPLAY_NO_MEMORY;
  creplay_convert_status status = CREPLAY_SOURCE_UNREADABLE;
  int source = open(source_path, O_RDONLY | O_CLOEXEC);
  if (source >= 0 && stat_source(source_path, &c->counted)) status = convert_open(c, source, temporary_path);
  if (source >= 0 && close(source) != 0) status = CREPLAY_SOURCE_UNREADABLE;
  if (status == CREPLAY_CONVERTED && rename(temporary_path, flat_path) != 0) status = CREPLAY_CACHE_UNWRITABLE;
  if (status != CREPLAY_CONVERTED) (void)unlink(temporary_path);   // may not exist
  *header = c->counted;
  free(c->objects);
  free(c->free_slots);
  free(c);
  return status;
}

bool creplay_flat_is_current(const char *source_path, const char *flat_path, creplay_flat_header *header) {
  creplay_flat_header source = {0};
  struct stat flat;
  if (!stat_source(source_path, &source) || stat(flat_path, &flat) != 0) return false;
  if (creplay_read_file(flat_path, header, sizeof(*header)) != (int64_t)sizeof(*header)) return false;
  return header->magic == flat_magic && header->source_byte_count == source.source_byte_count &&
         header->source_modified_nanoseconds == source.source_modified_nanoseconds &&
         header->event_count <= UINT64_MAX / sizeof(creplay_record) - 8 &&
         (uint64_t)flat.st_size == sizeof(*header) + header->event_count * sizeof(creplay_record);
}
