// cistern_capacity.h: how large a heap is to be, and the limits on this process's memory. Include cistern.h.
//
// Any thread may make these calls. Texts that are given end in a zero byte.
#ifndef CISTERN_CAPACITY_H
#define CISTERN_CAPACITY_H

#include "cistern.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#endif

// One limit on the memory of this process.
typedef struct cistern_memory_limit {
  uint32_t kind;             // CISTERN_MEMORY_LIMIT_*
  uint32_t level;            // of a control group: how far above the process's own; else 0
  uint64_t value_bytes;      // as the system states it
  uint64_t available_bytes;  // what a heap can count on: less what is mapped already (RLIMIT_AS); rounded up to a GiB (RAM)
} cistern_memory_limit;

enum {
  CISTERN_MEMORY_LIMIT_NONE = 0,
  CISTERN_MEMORY_LIMIT_ADDRESS_SPACE = 1,   // RLIMIT_AS, ulimit -v
  CISTERN_MEMORY_LIMIT_DATA = 2,            // RLIMIT_DATA, ulimit -d
  CISTERN_MEMORY_LIMIT_GROUP_V1 = 3,        // memory.limit_in_bytes of a version 1 control group
  CISTERN_MEMORY_LIMIT_GROUP_V2_MAX = 4,    // memory.max of a version 2 control group
  CISTERN_MEMORY_LIMIT_GROUP_V2_HIGH = 5,   // memory.high of a version 2 control group
  CISTERN_MEMORY_LIMIT_RAM = 6,             // the machine's memory
};

// Something that would have told a limit and could not be read.
typedef struct cistern_unreadable_limit {
  uint32_t subject;  // 0 RLIMIT_AS, 1 RLIMIT_DATA, 2 /proc/self/statm, 3 /proc/meminfo, 4 /proc/self/cgroup, 5 /proc/self/mountinfo,
                     // 6 and 7 path of the own group (v1, v2), 8 memory.limit_in_bytes, 9 memory.max, 10 memory.high
  uint32_t level;    // of a control group: how far above the process's own
  int32_t code;      // errno; EINVAL for text that makes no sense, EFBIG and ENAMETOOLONG for what is too long
  uint32_t reserved;
} cistern_unreadable_limit;

enum { CISTERN_MEMORY_LIMIT_CAPACITY = 32, CISTERN_UNREADABLE_LIMIT_CAPACITY = 8 };

typedef struct cistern_memory_limits {
  size_t struct_byte_count;       // sizeof(cistern_memory_limits)
  uint32_t count;                 // of `limits`
  uint32_t omitted_count;         // found, and not among them because there were too many
  uint32_t unreadable_count;      // of `unreadable`
  uint32_t reserved;
  cistern_memory_limit tightest;  // the one with the fewest available bytes; CISTERN_MEMORY_LIMIT_NONE when none was found
  cistern_memory_limit limits[CISTERN_MEMORY_LIMIT_CAPACITY];
  cistern_unreadable_limit unreadable[CISTERN_UNREADABLE_LIMIT_CAPACITY];
} cistern_memory_limits;

// Reads RLIMIT_AS, RLIMIT_DATA, every control group's limit up to the root, and the machine's memory. Some ten system calls and 64
// KiB of stack. Errors: CISTERN_INVALID_ARGUMENT. What cannot be read is in `unreadable`.
cistern_status cistern_memory_limits_read(cistern_memory_limits *_Nullable limits);

typedef enum cistern_capacity_source {
  CISTERN_FROM_DEFAULT = 0,      // nobody asked: 16 GiB, or what fits
  CISTERN_FROM_ARGUMENT = 1,     // --capacity on the command line
  CISTERN_FROM_ENVIRONMENT = 2,  // SKIP_CAPACITY
  CISTERN_FROM_CALLER = 3,       // a call of this library
} cistern_capacity_source;

enum {
  CISTERN_REASON_GIVEN = 0,    // somebody gave the number; it is never made smaller
  CISTERN_REASON_DEFAULT = 1,  // nobody asked, and 16 GiB fit, or nothing is known about limits
  CISTERN_REASON_LIMIT = 2,    // computed from `limit`
};

// A capacity and why.
typedef struct cistern_capacity_choice {
  size_t struct_byte_count;       // sizeof(cistern_capacity_choice)
  uint64_t bytes;                 // for cistern_heap_options
  uint32_t source;                // cistern_capacity_source
  uint32_t reason;                // CISTERN_REASON_*
  bool may_shrink;                // for cistern_heap_options: it was fitted, so less will do
  uint8_t reserved[7];
  cistern_memory_limit limit;     // for CISTERN_REASON_LIMIT
  cistern_memory_limit exceeded;  // the tightest limit, when a given capacity is larger; else CISTERN_MEMORY_LIMIT_NONE
} cistern_capacity_choice;

// Reads the strict grammar, that of --capacity and SKIP_CAPACITY: decimal digits, then nothing or one of K, k, M, m, G, g, which
// stand for 1024, 1024^2 and 1024^3. *bytes: 1 to 2^63 - 1. Errors: CISTERN_INVALID_ARGUMENT, CISTERN_TEXT_EMPTY, _MALFORMED,
// _OVERFLOW, _ZERO.
cistern_status cistern_capacity_parse(const char *_Nullable text, uint64_t *_Nullable bytes);

// Decides between a command line and the environment. argument: the word after the first --capacity, NULL when there is none; one
// that begins with '-' stands for the default. environment: the value of SKIP_CAPACITY; NULL or empty when it is not set.
// A pure function. Errors: as cistern_capacity_parse.
cistern_status cistern_capacity_resolve(const char *_Nullable argument, const char *_Nullable environment,
                                        uint64_t *_Nullable bytes, cistern_capacity_source *_Nullable source);

// What a heap may take of a limit: three quarters from 2 GiB on, all but 512 MiB from 1 GiB on, half below; less reserved_bytes, at
// most 16 GiB, in steps of 2 MiB, at least 1 MiB. A pure function.
uint64_t cistern_capacity_fit(uint64_t limit_bytes, uint64_t reserved_bytes);

// cistern_capacity_resolve, and a default becomes what fits. tightest: of cistern_memory_limits; NULL when nothing is known. A pure
// function. Errors: as cistern_capacity_parse.
cistern_status cistern_capacity_choose(const char *_Nullable argument, const char *_Nullable environment,
                                       const cistern_memory_limit *_Nullable tightest, cistern_capacity_choice *_Nullable choice);
// A text of the wider grammar: the strict one and KiB, MiB, GiB, TiB, 75% of the tightest limit, auto (what fits), auto-512M. A
// pure function. Errors: CISTERN_INVALID_ARGUMENT and every CISTERN_TEXT_*.
cistern_status cistern_capacity_choose_text(const char *_Nullable text, const cistern_memory_limit *_Nullable tightest,
                                            cistern_capacity_choice *_Nullable choice);
// cistern_capacity_choose with SKIP_CAPACITY and the limits as they are now; no other thread may be changing the environment.
// Errors: as cistern_capacity_parse.
cistern_status cistern_capacity_from_environment(cistern_capacity_choice *_Nullable choice);

// Can this much be reserved here and now? Reserves it and gives it back. `refusal` may be NULL. Errors: CISTERN_INVALID_ARGUMENT,
// CISTERN_RESERVATION_REFUSED.
cistern_status cistern_capacity_probe(uint64_t byte_count, cistern_refusal *_Nullable refusal);

// Texts. Each is one line of ASCII without a line end. At most line_byte_count bytes are written, a zero byte at the end among
// them; the return value is the length of the whole line, as snprintf's, and 0 for what is NULL or no such thing.

// What is wrong with a text, and what is expected: a CISTERN_TEXT_* status, where the text came from, and the text.
size_t cistern_capacity_error_text(cistern_status status, cistern_capacity_source source, const char *_Nullable text,
                                   char *_Nullable line, size_t line_byte_count);
// The capacity, where it came from, why it is this number, and what it exceeds.
size_t cistern_capacity_choice_text(const cistern_capacity_choice *_Nullable choice, char *_Nullable line, size_t line_byte_count);
// A limit and its value, as a person would look for it.
size_t cistern_memory_limit_text(const cistern_memory_limit *_Nullable limit, char *_Nullable line, size_t line_byte_count);

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

#ifdef __cplusplus
}
#endif
#endif
