// Starting one command, waiting for it, and passing signals on to it: what `cistern run` does that Swift cannot do safely,
// because between fork and exec only async-signal-safe calls are permitted. This header is the contract of the layer.
//
// One child at a time, from a process with one thread. The child stays in the caller's process group and on its terminal, as
// under env, nice and time: what the terminal sends reaches the child without help, and job control works on both.
//
// Every call returns 0, or the errno value that says why not.
#ifndef CISTERN_COMMAND_H
#define CISTERN_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

// clang checks nullability; gcc does not know the words.
#if !defined(__clang__) && !defined(_Nonnull)
#define _Nonnull
#define _Nullable
#endif

typedef struct cistern_child_request {
  char *_Nullable const *_Nonnull arguments;  // the words of the command, then NULL; the first is looked up in PATH
  uint64_t address_space_bytes;               // RLIMIT_AS, soft and hard, for the command; UINT64_MAX: as it is
  int32_t group_file;                         // an open cgroup.procs that the command joins; -1: none
} cistern_child_request;

// What did not work.
enum { CISTERN_STEP_NONE = 0, CISTERN_STEP_START = 1, CISTERN_STEP_ADDRESS_SPACE = 2, CISTERN_STEP_EXECUTE = 3 };

typedef struct cistern_child {
  int32_t process;              // its number
  uint32_t failed_step;         // CISTERN_STEP_*: why there is no command; NONE: there is one
  int32_t group_code;           // errno of joining the group, which does not stop the command; 0: joined, or not asked for
  uint64_t inherited_mask[16];  // the signals that were blocked before: a sigset_t, which plain C has no name for
  bool ignores_end;             // SIGCHLD was ignored before
} cistern_child;

enum { CISTERN_EVENT_TIME = 0, CISTERN_EVENT_SIGNAL = 1, CISTERN_EVENT_END = 2 };

typedef struct cistern_child_event {
  uint32_t kind;                // CISTERN_EVENT_*
  int32_t signal;               // SIGNAL: what was to be passed on; END: what ended the child, 0 when it exited
  int32_t code;                 // SIGNAL: errno of what refused to pass it on, 0 when it was
  int32_t exit_code;            // END by exit
  uint64_t max_resident_bytes;  // END: the largest process among the child and those that it waited for
  uint64_t user_microseconds;   // END: processor time of the same
  uint64_t system_microseconds;
} cistern_child_event;

// Blocks the signals that are passed on and SIGPIPE, for the rest of this process's life: what comes before the start is
// passed on after it, and a reader of diagnostics that goes away does not end the run. The command does not inherit that.
int cistern_child_prepare(cistern_child *_Nonnull child);

// Starts the command; returns when it executes or has failed to. The child was prepared.
int cistern_child_start(const cistern_child_request *_Nonnull request, cistern_child *_Nonnull child);

// Waits for the next event, at most so long. A signal that another process sent to this one is passed on to the child; one
// that the kernel sent, such as the terminal's, is not, because the child was sent it too. Returns errno of a wait that failed.
int cistern_child_wait(const cistern_child *_Nonnull child, uint32_t milliseconds, cistern_child_event *_Nonnull event);

#endif
