#define _GNU_SOURCE
#include "cistern_test_support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// Counts a call; nonzero when it is to be refused.
static int refusal(cistern_fault_table *table) {
  uint64_t number = table->call_count++;
  bool fails = number == table->fail_at || (table->fails_for_ever && number > table->fail_at);
  return fails ? table->fail_code : 0;
}

static int fault_reserve(void *context, size_t byte_count, void **base) {
  cistern_fault_table *table = context;
  table->reserve_count++;
  int code = refusal(table);
  if (code == 0) code = cistern_os_system()->reserve(NULL, byte_count, base);
  if (code == 0) {
    table->live_reservations++;
    table->reserved_byte_count = byte_count;
  }
  return code;
}

static int fault_release(void *context, void *address, size_t byte_count) {
  cistern_fault_table *table = context;
  table->release_count++;
  int code = refusal(table);
  if (code == 0) code = cistern_os_system()->release(NULL, address, byte_count);
  if (code == 0) table->live_reservations--;
  return code;
}

static int fault_commit(void *context, void *address, size_t byte_count) {
  cistern_fault_table *table = context;
  table->commit_count++;
  int code = refusal(table);
  return code != 0 ? code : cistern_os_system()->commit(NULL, address, byte_count);
}

static int fault_decommit(void *context, void *address, size_t byte_count, uint32_t *reads_as) {
  cistern_fault_table *table = context;
  table->decommit_count++;
  int code = refusal(table);
  if (code != 0) return code;
  *reads_as = table->reads_as;
  return table->reads_as == CISTERN_READS_AS_STALE ? 0 : cistern_os_system()->decommit(NULL, address, byte_count, reads_as);
}

static int fault_uncommit(void *context, void *address, size_t byte_count) {
  cistern_fault_table *table = context;
  table->uncommit_count++;
  int code = refusal(table);
  return code != 0 ? code : cistern_os_system()->uncommit(NULL, address, byte_count);
}

static int fault_advise(void *context, void *address, size_t byte_count, uint32_t advice) {
  cistern_fault_table *table = context;
  table->advise_count++;
  int code = refusal(table);
  return code != 0 ? code : cistern_os_system()->advise(NULL, address, byte_count, advice);
}

static int fault_set_name(void *context, void *address, size_t byte_count, const char *name) {
  int code = refusal(context);
  return code != 0 ? code : cistern_os_system()->set_name(NULL, address, byte_count, name);
}

static int fault_read_limit(void *context, uint32_t which, uint64_t *value) {
  cistern_fault_table *table = context;
  uint64_t chosen = which == CISTERN_LIMIT_ADDRESS_SPACE ? table->address_space_limit : table->data_limit;
  if (chosen == 0) return cistern_os_system()->read_limit(NULL, which, value);
  *value = chosen;
  return 0;
}

static int fault_read_file(void *context, const char *path, void *buffer, size_t capacity, size_t *byte_count) {
  (void)context;
  return cistern_os_system()->read_file(NULL, path, buffer, capacity, byte_count);
}

void cistern_fault_table_init(cistern_fault_table *table) {
  *table = (cistern_fault_table){
      .calls = {table, fault_reserve, fault_release, fault_commit, fault_decommit, fault_uncommit, fault_advise, fault_set_name,
                fault_read_limit, fault_read_file},
      .fail_at = UINT64_MAX,
      .fail_code = ENOMEM,
  };
}

static void set_limit(int which, uint64_t value) {
  if (value == 0) return;
  struct rlimit limit = {value, value};
  if (setrlimit(which, &limit) != 0) _exit(125);
}

int cistern_test_in_child(int (*body)(void *context), void *context, uint64_t address_space_limit, uint64_t data_limit,
                          unsigned seconds) {
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    struct rlimit no_core = {0, 0};
    if (setrlimit(RLIMIT_CORE, &no_core) != 0) _exit(125);
    signal(SIGILL, SIG_DFL);
    signal(SIGTRAP, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    set_limit(RLIMIT_AS, address_space_limit);
    set_limit(RLIMIT_DATA, data_limit);
    alarm(seconds);
    _exit(body(context));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

typedef struct numbered {
  pthread_barrier_t *barrier;
  void (*body)(size_t number, void *context);
  void *context;
  size_t number;
} numbered;

static void *run_numbered(void *argument) {
  numbered *one = argument;
  pthread_barrier_wait(one->barrier);
  one->body(one->number, one->context);
  return NULL;
}

void cistern_test_in_threads(size_t count, void (*body)(size_t number, void *context), void *context) {
  pthread_barrier_t barrier;
  if (pthread_barrier_init(&barrier, NULL, (unsigned)count) != 0) abort();
  pthread_t threads[64];
  numbered arguments[64];
  if (count > 64) abort();
  for (size_t number = 0; number < count; number++) {
    arguments[number] = (numbered){&barrier, body, context, number};
    if (pthread_create(&threads[number], NULL, run_numbered, &arguments[number]) != 0) abort();
  }
  for (size_t number = 0; number < count; number++)
    if (pthread_join(threads[number], NULL) != 0) abort();
  if (pthread_barrier_destroy(&barrier) != 0) abort();
}

struct cistern_test_thread {
  pthread_t thread;
  void (*body)(void *context);
  void *context;
};

static void *run_one(void *argument) {
  cistern_test_thread *one = argument;
  one->body(one->context);
  return NULL;
}

cistern_test_thread *cistern_test_thread_start(void (*body)(void *context), void *context) {
  cistern_test_thread *one = malloc(sizeof *one);
  if (one == NULL) return NULL;
  *one = (cistern_test_thread){.body = body, .context = context};
  if (pthread_create(&one->thread, NULL, run_one, one) != 0) {
    free(one);
    return NULL;
  }
  return one;
}

void cistern_test_thread_join(cistern_test_thread *thread) {
  if (pthread_join(thread->thread, NULL) != 0) abort();
  free(thread);
}
