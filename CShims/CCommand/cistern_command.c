#define _GNU_SOURCE
#include "cistern_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What is passed on. SIGTSTP and its like are not: this process stops as any other does, and so does the child, which is in
// the same group.
static const int forwarded_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH};

enum { FORWARDED_SIGNAL_COUNT = sizeof forwarded_signals / sizeof forwarded_signals[0] };

// What the child says through the pipe before it executes the command: which step was refused, and why.
typedef struct report {
  uint32_t step;
  int32_t code;
} report;

enum { STEP_JOIN_GROUP = 100 };  // a step that may be refused

_Static_assert(sizeof(sigset_t) <= sizeof(((cistern_child *)0)->inherited_mask), "the record has room for the mask");

static int fill_signal_set(sigset_t *set) {
  if (sigemptyset(set) != 0 || sigaddset(set, SIGCHLD) != 0) return errno;
  for (int i = 0; i < FORWARDED_SIGNAL_COUNT; i++) {
    if (sigaddset(set, forwarded_signals[i]) != 0) return errno;
  }
  return 0;
}

// In the child. A report is smaller than what a pipe takes at once; when it cannot be written there is nobody to tell.
static void tell(int pipe_end, uint32_t step, int code) {
  report said = {.step = step, .code = code};
  while (write(pipe_end, &said, sizeof said) < 0 && errno == EINTR) continue;
}

// In the child, between fork and exec: async-signal-safe calls only. Returns only when something failed.
static void become(const cistern_child_request *request, const cistern_child *child, int pipe_end) {
  if (request->group_file >= 0) {
    ssize_t written;
    do {
      written = write(request->group_file, "0", 1);  // 0: whoever writes
    } while (written < 0 && errno == EINTR);
    if (written < 0) tell(pipe_end, STEP_JOIN_GROUP, errno);
  }
  if (request->address_space_bytes != UINT64_MAX) {
    struct rlimit limit = {.rlim_cur = request->address_space_bytes, .rlim_max = request->address_space_bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0) {
      tell(pipe_end, CISTERN_STEP_ADDRESS_SPACE, errno);
      return;
    }
  }
  bool restored = !child->ignores_end || signal(SIGCHLD, SIG_IGN) != SIG_ERR;
  sigset_t inherited;
  memcpy(&inherited, child->inherited_mask, sizeof inherited);
  if (!restored || sigprocmask(SIG_SETMASK, &inherited, NULL) != 0) {
    tell(pipe_end, CISTERN_STEP_START, errno);
    return;
  }
  (void)execvp(request->arguments[0], (char *const *)request->arguments);  // returns only on failure
  tell(pipe_end, CISTERN_STEP_EXECUTE, errno);
}

// Reads what the child says until it executes the command or ends, which closes the pipe. Returns errno of what stopped it.
static int hear(int pipe_end, cistern_child *child) {
  int code = 0;
  for (;;) {
    report said;
    ssize_t count = read(pipe_end, &said, sizeof said);
    if (count < 0 && errno == EINTR) continue;
    if (count != (ssize_t)sizeof said) return code;
    if (said.step == STEP_JOIN_GROUP) {
      child->group_code = said.code;
    } else {
      child->failed_step = said.step;
      code = said.code;
    }
  }
}

int cistern_child_prepare(cistern_child *child) {
  memset(child, 0, sizeof *child);
  sigset_t set;
  int code = fill_signal_set(&set);
  if (code != 0) return code;
  if (sigaddset(&set, SIGPIPE) != 0) return errno;
  // A process that ignores SIGCHLD has no children to wait for.
  void (*before)(int) = signal(SIGCHLD, SIG_DFL);
  if (before == SIG_ERR) return errno;
  child->ignores_end = before == SIG_IGN;
  sigset_t inherited;
  if (sigprocmask(SIG_BLOCK, &set, &inherited) != 0) return errno;
  memcpy(child->inherited_mask, &inherited, sizeof inherited);
  return 0;
}

int cistern_child_start(const cistern_child_request *request, cistern_child *child) {
  child->failed_step = CISTERN_STEP_START;
  int ends[2];
  int code = 0;
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  pid_t process = fork();
  if (process == 0) {
    become(request, child, ends[1]);
    _exit(127);
  }
  if (process < 0) code = errno;
  (void)close(ends[1]);  // nothing was written through it here
  if (process > 0) {
    child->process = process;
    child->failed_step = CISTERN_STEP_NONE;
    code = hear(ends[0], child);
    while (code != 0 && waitpid(process, NULL, 0) < 0 && errno == EINTR) continue;
  }
  (void)close(ends[0]);  // was only read from
  return code;
}

static uint64_t microseconds(struct timeval time) { return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec; }

// Takes the child's end, if it has ended. Other children are those of whatever this process was before it executed cistern,
// and orphans when it is the first process of a container; they are taken too, so that none stays a zombie.
static int take_end(const cistern_child *child, cistern_child_event *event) {
  int status;
  struct rusage usage;
  pid_t ended;
  do {
    ended = wait4(-1, &status, WNOHANG, &usage);
  } while ((ended < 0 && errno == EINTR) || (ended > 0 && ended != child->process));
  if (ended < 0) return errno;
  if (ended == 0) return 0;
  event->kind = CISTERN_EVENT_END;
  event->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  event->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  event->max_resident_bytes = (uint64_t)usage.ru_maxrss * 1024;
  event->user_microseconds = microseconds(usage.ru_utime);
  event->system_microseconds = microseconds(usage.ru_stime);
  return 0;
}

int cistern_child_wait(const cistern_child *child, uint32_t milliseconds, cistern_child_event *event) {
  memset(event, 0, sizeof *event);
  int code = take_end(child, event);
  if (code != 0 || event->kind == CISTERN_EVENT_END) return code;
  sigset_t set;
  code = fill_signal_set(&set);
  if (code != 0) return code;
  struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
  siginfo_t information;
  int got = sigtimedwait(&set, &information, &time);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : errno;
  if (got == SIGCHLD) return take_end(child, event);
  if (information.si_code > 0) return 0;  // sent by the kernel
  event->kind = CISTERN_EVENT_SIGNAL;
  event->signal = got;
  // Not waited for yet, so the number is still the child's, even when it has ended.
  // The command may have become another user, whom this one may not send signals: that does not end the run.
  if (kill(child->process, got) != 0) event->code = errno;
  return 0;
}
