// From a gzip trace of regions (format: Benchmarks/Traces/README-skip.md) to a flat file of records that children map.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "CReplay.h"
#include "gzip_input.h"

static const uint64_t region_flat_magic = UINT64_C(0x3130474552434943);   // "CICREG01"
static const char region_trace_magic[8] = {'S', 'K', 'T', 'R', 'A', 'C', 'E', '1'};
static const uint32_t dead_slot = UINT32_MAX;
static const uint64_t most_slots = (UINT64_C(1) << 28) - 1;

enum { source_record_byte_count = 9, most_nested = 64 };

typedef struct region_object {
  uint32_t byte_count;
  uint32_t slot;   // dead_slot before its allocation and after its free
} region_object;

typedef struct region_converter {
  FILE *input;
  FILE *output;
  region_object *objects;   // by id
  uint64_t object_capacity;
  uint32_t *free_slots;
  uint64_t free_slot_count;
  uint64_t free_slot_capacity;
  uint64_t live_bytes;
  uint64_t region_bytes[most_nested];
  uint64_t left_bytes;      // of the region between its leaving and its end
  bool has_left;
  uint32_t depth;
  creplay_region_header counted;
} region_converter;

static bool ensure(void **table, uint64_t *capacity, uint64_t wanted, size_t element_byte_count) {
  if (wanted <= *capacity) return true;
  uint64_t larger = *capacity == 0 ? 1 << 12 : *capacity;
  while (larger < wanted) larger *= 2;
  void *moved = realloc(*table, larger * element_byte_count);
  if (moved == NULL) return false;
  memset((char *)moved + *capacity * element_byte_count, 0xFF, (larger - *capacity) * element_byte_count);
  *table = moved;
  *capacity = larger;
  return true;
}

static void add_live(region_converter *c, uint64_t byte_count) {
  c->live_bytes += byte_count;
  if (c->live_bytes > c->counted.peak_live_bytes) c->counted.peak_live_bytes = c->live_bytes;
}

static creplay_convert_status take_block(region_converter *c, uint32_t byte_count, uint32_t id, uint32_t *slot) {
  if (!ensure((void **)&c->objects, &c->object_capacity, (uint64_t)id + 1, sizeof(region_object))) return CREPLAY_NO_MEMORY;
  region_object *object = &c->objects[id];
  if (object->slot != dead_slot) return CREPLAY_DAMAGED;
  if (c->free_slot_count == 0 && c->counted.slot_count > most_slots) return CREPLAY_TOO_LARGE;
  *slot = c->free_slot_count > 0 ? c->free_slots[--c->free_slot_count] : (uint32_t)c->counted.slot_count++;
  *object = (region_object){.byte_count = byte_count, .slot = *slot};
  add_live(c, byte_count);
  return CREPLAY_CONVERTED;
}

static creplay_convert_status give_block(region_converter *c, uint32_t byte_count, uint32_t id, uint32_t *slot) {
  if (id >= c->object_capacity || c->objects[id].slot == dead_slot || c->objects[id].byte_count != byte_count) {
    return CREPLAY_DAMAGED;
  }
  *slot = c->objects[id].slot;
  c->objects[id].slot = dead_slot;
  c->live_bytes -= byte_count;
  if (!ensure((void **)&c->free_slots, &c->free_slot_capacity, c->free_slot_count + 1, sizeof(uint32_t))) {
    return CREPLAY_NO_MEMORY;
  }
  c->free_slots[c->free_slot_count++] = *slot;
  return CREPLAY_CONVERTED;
}

static creplay_convert_status take_region_operation(region_converter *c, uint8_t operation, uint32_t byte_count) {
  switch (operation) {
  case CREPLAY_REGION_ALLOCATE:
  case CREPLAY_REGION_ALLOCATE_ZEROED:
  case CREPLAY_REGION_CLONE:
    c->region_bytes[c->depth] += byte_count;
    c->counted.region_allocation_count++;
    add_live(c, byte_count);
    return CREPLAY_CONVERTED;
  case CREPLAY_REGION_OPEN:
    if (c->depth + 1 == most_nested) return CREPLAY_TOO_LARGE;
    c->region_bytes[++c->depth] = 0;
    c->counted.region_count++;
    return CREPLAY_CONVERTED;
  case CREPLAY_REGION_DROP:
    if (c->depth == 0) return CREPLAY_DAMAGED;
    c->live_bytes -= c->region_bytes[c->depth--];
    return CREPLAY_CONVERTED;
  case CREPLAY_REGION_LEAVE:
    if (c->depth == 0 || c->has_left) return CREPLAY_DAMAGED;
    c->has_left = true;
    c->left_bytes = c->region_bytes[c->depth--];
    return CREPLAY_CONVERTED;
  case CREPLAY_REGION_LEFT:
    if (!c->has_left) return CREPLAY_DAMAGED;
    c->has_left = false;
    c->live_bytes -= c->left_bytes;
    return CREPLAY_CONVERTED;
  default:
    return CREPLAY_DAMAGED;
  }
}

static uint32_t little_endian(const unsigned char *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static creplay_convert_status take_record(region_converter *c, const unsigned char *bytes) {
  uint8_t operation = bytes[0];
  uint32_t byte_count = little_endian(bytes + 1);
  uint32_t id = little_endian(bytes + 5);
  uint32_t slot = 0;
  if (operation == 12 || operation == 13) return CREPLAY_CONVERTED;   // what the recorded runtime did with pages
  creplay_convert_status status;
  if (operation == CREPLAY_PERSISTENT_ALLOCATE || operation == CREPLAY_SCRATCH_ALLOCATE) {
    status = take_block(c, byte_count, id, &slot);
  } else if (operation == CREPLAY_PERSISTENT_FREE || operation == CREPLAY_SCRATCH_FREE) {
    status = give_block(c, byte_count, id, &slot);
  } else {
    status = take_region_operation(c, operation, byte_count);
  }
  if (status != CREPLAY_CONVERTED) return status;
  creplay_region_record record = {.byte_count = byte_count, .operation_and_slot = (uint32_t)operation << 28 | slot};
  c->counted.record_count++;
  return fwrite(&record, sizeof(record), 1, c->output) == 1 ? CREPLAY_CONVERTED : CREPLAY_CACHE_UNWRITABLE;
}

static creplay_convert_status convert_records(region_converter *c) {
  unsigned char bytes[source_record_byte_count];
  if (fread(bytes, 1, 8, c->input) != 8 || memcmp(bytes, region_trace_magic, 8) != 0) return CREPLAY_NOT_A_TRACE;
  size_t length;
  while ((length = fread(bytes, 1, sizeof(bytes), c->input)) == sizeof(bytes)) {
    creplay_convert_status status = take_record(c, bytes);
    if (status != CREPLAY_CONVERTED) return status;
  }
  return length == 0 ? CREPLAY_CONVERTED : CREPLAY_TRUNCATED;
}

static bool stat_source(const char *source_path, creplay_region_header *header) {
  return creplay_stat_source(source_path, &header->source_byte_count, &header->source_modified_nanoseconds);
}

// Everything between the open source and the finished temporary file.
static creplay_convert_status convert_source(region_converter *c, int source, const char *temporary_path) {
  int unpacked = -1;
  pid_t gzip = -1;
  if (!creplay_is_gzip(source)) return CREPLAY_NOT_GZIP;
  c->output = fopen(temporary_path, "we");
  if (c->output == NULL) return CREPLAY_CACHE_UNWRITABLE;
  creplay_convert_status status = creplay_gzip_start(source, &unpacked, &gzip);
  if (status == CREPLAY_CONVERTED) {
    c->input = fdopen(unpacked, "r");
    creplay_region_header none = {0};
    if (c->input == NULL) {
      status = CREPLAY_NO_MEMORY;
      (void)close(unpacked);   // nothing was read
    } else {
      status = fwrite(&none, sizeof(none), 1, c->output) == 1 ? convert_records(c) : CREPLAY_CACHE_UNWRITABLE;
      (void)fclose(c->input);   // a gzip that still writes ends by SIGPIPE
    }
    status = creplay_gzip_verdict(status, gzip, c->counted.record_count);
  }
  c->counted.magic = region_flat_magic;
  if (status == CREPLAY_CONVERTED &&
      (fseek(c->output, 0, SEEK_SET) != 0 || fwrite(&c->counted, sizeof(c->counted), 1, c->output) != 1)) {
    status = CREPLAY_CACHE_UNWRITABLE;
  }
  return fclose(c->output) != 0 && status == CREPLAY_CONVERTED ? CREPLAY_CACHE_UNWRITABLE : status;
}

uint32_t creplay_region_convert(const char *source_path, const char *flat_path, creplay_region_header *header) {
  char temporary_path[4096];
  int length = snprintf(temporary_path, sizeof(temporary_path), "%s.%d.partial", flat_path, (int)getpid());
  if (length < 0 || (size_t)length >= sizeof(temporary_path)) return CREPLAY_CACHE_UNWRITABLE;
  region_converter c = {0};
  creplay_convert_status status = CREPLAY_SOURCE_UNREADABLE;
  int source = open(source_path, O_RDONLY | O_CLOEXEC);
  if (source >= 0 && stat_source(source_path, &c.counted)) status = convert_source(&c, source, temporary_path);
  if (source >= 0 && close(source) != 0) status = CREPLAY_SOURCE_UNREADABLE;
  if (status == CREPLAY_CONVERTED && rename(temporary_path, flat_path) != 0) status = CREPLAY_CACHE_UNWRITABLE;
  if (status != CREPLAY_CONVERTED) (void)unlink(temporary_path);   // may not exist
  *header = c.counted;
  free(c.objects);
  free(c.free_slots);
  return status;
}

bool creplay_region_flat_is_current(const char *source_path, const char *flat_path, creplay_region_header *header) {
  creplay_region_header source = {0};
  struct stat flat;
  if (!stat_source(source_path, &source) || stat(flat_path, &flat) != 0) return false;
  if (creplay_read_file(flat_path, header, sizeof(*header)) != (int64_t)sizeof(*header)) return false;
  return header->magic == region_flat_magic && header->source_byte_count == source.source_byte_count &&
         header->source_modified_nanoseconds == source.source_modified_nanoseconds &&
         header->record_count <= UINT64_MAX / sizeof(creplay_region_record) - sizeof(*header) &&
         (uint64_t)flat.st_size == sizeof(*header) + header->record_count * sizeof(creplay_region_record);
}
