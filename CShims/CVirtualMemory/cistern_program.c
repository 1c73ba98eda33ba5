#define _GNU_SOURCE
#include "cistern_program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// 0 when the file may be executed by this process, else errno.
static int check_file(const char *path) {
  struct stat found;
  if (fstatat(AT_FDCWD, path, &found, 0) != 0) return errno;
  if (!S_ISREG(found.st_mode)) return EACCES;
  return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// Writes the path that a name stands for; 0 or errno. A file that is there and may not be executed is remembered, and the
// search goes on, as execvp does it.
static int find_path(const char *name, char path[PATH_MAX]) {
  size_t name_length = strlen(name);
  if (name_length == 0) return ENOENT;
  if (name_length >= PATH_MAX) return ENAMETOOLONG;
  if (strchr(name, '/') != NULL) {
    memcpy(path, name, name_length + 1);
    return check_file(path);
  }
  const char *folder = getenv("PATH");
  if (folder == NULL) folder = "/bin:/usr/bin";
  int outcome = ENOENT;
  for (;;) {
    size_t length = strcspn(folder, ":");
    // An empty folder is the current one. One that is too long cannot have been meant.
    if (length + 1 + name_length < PATH_MAX) {
      memcpy(path, folder, length);
      if (length > 0) path[length] = '/';
      memcpy(path + length + (length > 0), name, name_length + 1);
      int code = check_file(path);
      if (code == 0) return 0;
      if (code == EACCES) outcome = EACCES;
    }
    if (folder[length] == 0) return outcome;
    folder += length + 1;
  }
}

static char *const *environment_of(const cistern_program *program) {
  return program->environment != NULL ? program->environment : environ;
}

int cistern_program_find(void *context, const cistern_program *program) {
  (void)context;
  int saved = errno;
  char path[PATH_MAX];
  int code = find_path(program->name, path);
  errno = saved;
  return code;
}

int cistern_program_replace(void *context, const cistern_program *program) {
  (void)context;
  int saved = errno;
  char path[PATH_MAX];
  int code = find_path(program->name, path);
  if (code == 0) {
    (void)execve(path, program->arguments, environment_of(program));  // returns only on failure
    code = errno;
  }
  errno = saved;
  return code;
}

// posix_spawn shares this process's memory until the child has its own: nothing is copied, and what is committed counts once.
int cistern_program_start(void *context, const cistern_program *program, int32_t *identifier) {
  (void)context;
  int saved = errno;
  char path[PATH_MAX];
  int code = find_path(program->name, path);
  pid_t child = 0;
  if (code == 0) code = posix_spawn(&child, path, NULL, NULL, program->arguments, environment_of(program));
  if (code == 0) *identifier = (int32_t)child;
  errno = saved;
  return code;
}

int cistern_program_wait(void *context, int32_t identifier, cistern_program_end *end) {
  (void)context;
  int saved = errno;
  int status = 0;
  pid_t ended;
  do {
    ended = waitpid(identifier, &status, 0);
  } while (ended < 0 && errno == EINTR);
  int code = ended < 0 ? errno : 0;
  errno = saved;
  if (code != 0) return code;
  bool exited = WIFEXITED(status);
  *end = (cistern_program_end){.exit_code = exited ? WEXITSTATUS(status) : -1, .signal = exited ? 0 : WTERMSIG(status)};
  return 0;
}

uint32_t cistern_os_program_refusal(int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR: return CISTERN_PROGRAM_MISSING;
    case EACCES:
    case EPERM:
    case ENOEXEC:
    case EISDIR:
    case ETXTBSY:
    case ELIBBAD: return CISTERN_PROGRAM_UNUSABLE;
    case E2BIG:
    case ENAMETOOLONG: return CISTERN_PROGRAM_TOO_LONG;
    case ENOMEM:
    case EAGAIN: return CISTERN_PROGRAM_NO_MEMORY;
    default: return CISTERN_PROGRAM_REFUSED;
  }
}
