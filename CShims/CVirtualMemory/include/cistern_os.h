// What Cistern asks of the operating system, and nothing else: every call goes through one table, so that tests can
// refuse, count or record each of them. This header is the contract of the layer.
//
// Callers guarantee: addresses are multiples of the system's page size and not NULL, byte counts are such multiples and
// above 0, ranges lie inside one reservation, pointers to results are valid. Calls on one range do not overlap in time.
//
// Every call returns 0, or the errno value that says why not; it changes nothing then. errno itself is left alone. No
// call allocates, prints or ends the process; none but `wait_for_program` blocks for long.
#ifndef CISTERN_OS_H
#define CISTERN_OS_H

#include <stddef.h>
#include <stdint.h>

// clang checks nullability; gcc does not know the words.
#if !defined(__clang__) && !defined(_Nonnull)
#define _Nonnull
#define _Nullable
#endif

#ifdef __cplusplus
extern "C" {
#endif

// What decommitted pages read as when they are next touched.
enum { CISTERN_READS_AS_ZERO = 0, CISTERN_READS_AS_STALE = 1 };

enum {
  CISTERN_ADVICE_HUGE_PAGES = 0,      // may be backed by transparent huge pages
  CISTERN_ADVICE_NO_HUGE_PAGES = 1,
  CISTERN_ADVICE_NOT_INHERITED = 2,   // a fork's child does not have these pages
  CISTERN_ADVICE_WIPE_ON_FORK = 3,    // a fork's child reads zeros here
};

enum { CISTERN_LIMIT_ADDRESS_SPACE = 0, CISTERN_LIMIT_DATA = 1 };

// A program to run. `name` with a slash is its path; without one it is looked for in PATH, as execvp does it. Both lists
// end in NULL. What such a program is not: a script without `#!` is refused, not handed to a shell.
typedef struct cistern_program {
  const char *_Nonnull name;
  char *_Nullable const *_Nonnull arguments;     // the first is what the program sees as its own name
  char *_Nullable const *_Nullable environment;  // NULL: this process's
} cistern_program;

// How a program ended.
typedef struct cistern_program_end {
  int32_t exit_code;  // -1 when a signal ended it
  int32_t signal;     // 0 when it ended by itself
} cistern_program_end;

typedef struct cistern_os_calls {
  void *_Nullable context;  // handed to every call

  // Reserves exactly byte_count bytes of address space that nothing can touch and no memory stands behind.
  int (*_Nonnull reserve)(void *_Nullable context, size_t byte_count, void *_Nullable *_Nonnull base);
  // Gives a whole reservation back, or what follows its first pages.
  int (*_Nonnull release)(void *_Nullable context, void *_Nonnull address, size_t byte_count);
  // Makes reserved pages usable. They read as zero unless they were committed before.
  int (*_Nonnull commit)(void *_Nullable context, void *_Nonnull address, size_t byte_count);
  // Takes the memory behind committed pages away; they stay usable. *reads_as: one of CISTERN_READS_AS_*.
  int (*_Nonnull decommit)(void *_Nullable context, void *_Nonnull address, size_t byte_count, uint32_t *_Nonnull reads_as);
  // Makes committed pages what they were before `commit`, accounting included.
  int (*_Nonnull uncommit)(void *_Nullable context, void *_Nonnull address, size_t byte_count);
  // Advice (CISTERN_ADVICE_*) may be refused without harm.
  int (*_Nonnull advise)(void *_Nullable context, void *_Nonnull address, size_t byte_count, uint32_t advice);
  // Names the range in the process's maps. `name` lives until the call returns.
  int (*_Nonnull set_name)(void *_Nullable context, void *_Nonnull address, size_t byte_count, const char *_Nonnull name);
  // The soft limit in bytes, UINT64_MAX for none. `which`: CISTERN_LIMIT_*.
  int (*_Nonnull read_limit)(void *_Nullable context, uint32_t which, uint64_t *_Nonnull value);
  // The first `capacity` bytes of a file; fewer when it is shorter.
  int (*_Nonnull read_file)(void *_Nullable context, const char *_Nonnull path, void *_Nonnull buffer, size_t capacity,
                            size_t *_Nonnull byte_count);
  // Can this program be started, as far as the file system tells?
  int (*_Nonnull find_program)(void *_Nullable context, const cistern_program *_Nonnull program);
  // Turns this process into the program: returns only the reason why not.
  int (*_Nonnull replace_process)(void *_Nullable context, const cistern_program *_Nonnull program);
  // Starts it as a child that has no copy of this process's memory, not even for a moment.
  int (*_Nonnull start_program)(void *_Nullable context, const cistern_program *_Nonnull program, int32_t *_Nonnull identifier);
  // Waits until a child has ended. Signals that interrupt the wait do not end it.
  int (*_Nonnull wait_for_program)(void *_Nullable context, int32_t identifier, cistern_program_end *_Nonnull end);
} cistern_os_calls;

// What an errno of the calls about programs means.
enum {
  CISTERN_PROGRAM_REFUSED = 0,  // none of the following
  CISTERN_PROGRAM_MISSING = 1,
  CISTERN_PROGRAM_UNUSABLE = 2,   // there, and not to be executed
  CISTERN_PROGRAM_TOO_LONG = 3,   // arguments and environment, or the path
  CISTERN_PROGRAM_NO_MEMORY = 4,  // no memory, or no process
};
uint32_t cistern_os_program_refusal(int code);

// The real system. Constant, for ever.
const cistern_os_calls *_Nonnull cistern_os_system(void);

// Bytes of a page of the system: what addresses and counts above are multiples of.
size_t cistern_os_page_byte_count(void);

// How the reservation is called in the process's maps.
const char *_Nonnull cistern_os_mapping_name(void);

// The value of an environment variable, or NULL. Valid until the environment is changed, which no other thread may do
// meanwhile.
const char *_Nullable cistern_os_environment_value(const char *_Nonnull name);

// A reserved range, and how much of it, from its base on, is committed.
typedef struct cistern_reservation {
  uintptr_t base;
  uint64_t capacity_bytes;
  uint64_t committed_bytes;
  uint64_t committed_high_water_bytes;
  const cistern_os_calls *_Nonnull calls;
} cistern_reservation;

#ifdef __cplusplus
}
#endif
#endif
