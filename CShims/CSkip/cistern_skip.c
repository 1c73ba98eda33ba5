#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cistern_os.h"
#include "cistern_skip_state.h"
#include "cistern_sync.h"

_Thread_local __attribute__((tls_model("initial-exec"))) cistern_skip_thread cistern_skip_this_thread;
cistern_heap *cistern_skip_heap;
uintptr_t cistern_skip_scratch_lists[CISTERN_SKIP_SCRATCH_CLASS_COUNT];

static void **constants;
void ***pconsts = &constants;
int sk_is_locked;

static char *root;
static cistern_lock state_lock;
static uint64_t next_number = 1;
static pthread_key_t exit_key;
static void (*thread_ended)(void);

void cistern_skip_lock(void) { cistern_lock_acquire(&state_lock); }
void cistern_skip_unlock(void) { cistern_lock_release(&state_lock); }
// Whoever else held it, or waited, is not in the child.
static void renew_lock(void) { state_lock.word = 0; }

static void notice_end(void *unused) {
  (void)unused;
  // A destructor of somebody else's may allocate after this: then the thread is watched once more.
  cistern_skip_this_thread.is_watched = false;
  thread_ended();
}

const char *cistern_skip_capacity_variable(void) { return cistern_os_environment_value("SKIP_CAPACITY"); }

bool cistern_skip_begin(cistern_heap *heap, void (*ended)(void)) {
  thread_ended = ended;
  if (pthread_key_create(&exit_key, notice_end) != 0) return false;
  if (pthread_atfork(cistern_skip_lock, cistern_skip_unlock, renew_lock) != 0) return false;
  cistern_skip_heap = heap;
  return true;
}

void cistern_skip_watch_thread(void) {
  // Without the notice the pages of this thread stay when it ends; what they hold is right all the same.
  cistern_skip_this_thread.is_watched = pthread_setspecific(exit_key, &cistern_skip_this_thread) == 0;
}

void cistern_skip_note_types(void) { epointer_ty = get_gc_type(sk_get_external_pointer()); }

char *cistern_skip_root_retained(void) {
  cistern_skip_lock();
  char *found = root;
  if (found != NULL) sk_incr_ref_count(found);
  cistern_skip_unlock();
  return found;
}

char *cistern_skip_root(void) {
  cistern_skip_lock();
  char *found = root;
  cistern_skip_unlock();
  return found;
}

void cistern_skip_root_store(char *new_root) {
  cistern_skip_lock();
  root = new_root;
  cistern_skip_unlock();
}

uint64_t cistern_skip_next_number(uint64_t larger_than) {
  uint64_t given = __atomic_load_n(&next_number, __ATOMIC_RELAXED);
  uint64_t next;
  do {
    next = (given < larger_than ? larger_than : given) + 1;
  } while (!__atomic_compare_exchange_n(&next_number, &given, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return given;
}

void cistern_skip_write_last_line(int code, const uint8_t *line, size_t byte_count) {
  static uint32_t is_ending;
  if (cistern_skip_this_thread.is_ending) _exit(code);
  if (__atomic_exchange_n(&is_ending, 1, __ATOMIC_ACQ_REL) != 0) {
    // Another thread ends the process. Its exit handlers may wait for this very thread, so this one waits five seconds at most.
    struct timespec left = {5, 0};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    _exit(code);
  }
  cistern_skip_this_thread.is_ending = true;
  while (byte_count > 0) {
    ssize_t written = write(STDERR_FILENO, line, byte_count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    line += written;
    byte_count -= (size_t)written;
  }
}

_Noreturn void cistern_skip_end(int code) { exit(code); }

void cistern_skip_print_number(uint64_t number) { printf("%llu\n", (unsigned long long)number); }

// --- Mutexes and conditions inside Skip objects.

static_assert(sizeof(pthread_mutex_t) <= 48 && sizeof(pthread_cond_t) <= 48, "what Skip's objects have room for");

static void check(int status, const char *line, size_t byte_count) {
  if (status == 0) return;
  cistern_skip_write_last_line(44, (const uint8_t *)line, byte_count);
  cistern_skip_end(44);
}

void SKIP_mutex_init(pthread_mutex_t *mutex) {
  static const char line[] = "Internal error: a mutex could not be made\n";
  pthread_mutexattr_t attributes;
  check(pthread_mutexattr_init(&attributes), line, sizeof line - 1);
  check(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), line, sizeof line - 1);
  check(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), line, sizeof line - 1);
  check(pthread_mutex_init(mutex, &attributes), line, sizeof line - 1);
  check(pthread_mutexattr_destroy(&attributes), line, sizeof line - 1);
}

void SKIP_mutex_lock(pthread_mutex_t *mutex) {
  static const char line[] = "Internal error: locking failed\n";
  int status = pthread_mutex_lock(mutex);
  // The thread that held it has ended: what it guards is for the caller to judge, who cannot be told.
  if (status == EOWNERDEAD) status = pthread_mutex_consistent(mutex);
  check(status, line, sizeof line - 1);
}

void SKIP_mutex_unlock(pthread_mutex_t *mutex) {
  static const char line[] = "Internal error: unlocking failed\n";
  check(pthread_mutex_unlock(mutex), line, sizeof line - 1);
}

void SKIP_cond_init(pthread_cond_t *condition) {
  static const char line[] = "Internal error: a condition could not be made\n";
  pthread_condattr_t attributes;
  check(pthread_condattr_init(&attributes), line, sizeof line - 1);
  check(pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), line, sizeof line - 1);
  check(pthread_cond_init(condition, &attributes), line, sizeof line - 1);
  check(pthread_condattr_destroy(&attributes), line, sizeof line - 1);
}

// A wait may give the mutex back in a state that says that its owner died; like lock(), it goes on then.
static int recovered(int status, pthread_mutex_t *mutex) {
  return status == EOWNERDEAD ? pthread_mutex_consistent(mutex) : status;
}

void SKIP_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
  static const char line[] = "Internal error: waiting failed\n";
  check(recovered(pthread_cond_wait(condition, mutex), mutex), line, sizeof line - 1);
}

int32_t SKIP_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint32_t seconds) {
  struct timespec end;
  if (clock_gettime(CLOCK_REALTIME, &end) != 0) return errno;
  end.tv_sec += seconds;
  return (int32_t)recovered(pthread_cond_timedwait(condition, mutex, &end), mutex);
}

int32_t SKIP_cond_broadcast(void *condition) { return (int32_t)pthread_cond_broadcast(condition); }

void *SKIP_freeze_lock(void *object) { return object; }
void *SKIP_unfreeze_lock(void *object) { return object; }
void *SKIP_freeze_cond(void *object) { return object; }
void *SKIP_unfreeze_cond(void *object) { return object; }

// --- What does nothing without a file, or at all.

void sk_global_lock(void) {}
void sk_global_unlock(void) {}
void sk_check_has_lock(void) {}
int sk_is_nofile_mode(void) { return 1; }
void SKIP_Obstack_auto_collect(void) {}
void *SKIP_Obstack_collect1(void *note, void *object) {
  (void)note;
  return object;
}
void SKIP_check_memory(void) {}
void sk_memory_check_init(void) {}
void sk_memory_check_init_over(void) {}
