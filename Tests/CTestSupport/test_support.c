#define _GNU_SOURCE
#include "cistern_test_support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
  cistern_fault_table *table = context;
  if (table->refuses_files) return ENOENT;
  for (int index = 0; index < CISTERN_FAKE_FILE_CAPACITY; index++) {
    const cistern_fake_file *file = &table->files[index];
    if (file->path[0] == 0 || strcmp(path, file->path) != 0) continue;
    size_t length = strlen(file->text);
    *byte_count = length < capacity ? length : capacity;
    memcpy(buffer, file->text, *byte_count);
    return 0;
  }
  return cistern_os_system()->read_file(NULL, path, buffer, capacity, byte_count);
}

// The calls about programs have a code of their own to refuse with: they are not among those that a heap makes all the time.
static int fault_find_program(void *context, const cistern_program *program) {
  cistern_fault_table *table = context;
  return table->find_code != 0 ? table->find_code : cistern_os_system()->find_program(NULL, program);
}

static int fault_replace_process(void *context, const cistern_program *program) {
  cistern_fault_table *table = context;
  return table->start_code != 0 ? table->start_code : cistern_os_system()->replace_process(NULL, program);
}

static int fault_start_program(void *context, const cistern_program *program, int32_t *identifier) {
  cistern_fault_table *table = context;
  return table->start_code != 0 ? table->start_code : cistern_os_system()->start_program(NULL, program, identifier);
}

static int fault_wait_for_program(void *context, int32_t identifier, cistern_program_end *end) {
  cistern_fault_table *table = context;
  int code = cistern_os_system()->wait_for_program(NULL, identifier, end);
  return table->wait_code != 0 ? table->wait_code : code;
}

void cistern_fault_table_init(cistern_fault_table *table) {
  *table = (cistern_fault_table){
      .calls = {table, fault_reserve, fault_release, fault_commit, fault_decommit, fault_uncommit, fault_advise, fault_set_name,
                fault_read_limit, fault_read_file, fault_find_program, fault_replace_process, fault_start_program,
                fault_wait_for_program},
      .fail_at = UINT64_MAX,
      .fail_code = ENOMEM,
  };
}

void cistern_fault_table_set_file(cistern_fault_table *table, const char *path, const char *text) {
  for (int index = 0; index < CISTERN_FAKE_FILE_CAPACITY; index++) {
    cistern_fake_file *file = &table->files[index];
    if (file->path[0] != 0 && strcmp(path, file->path) != 0) continue;
    snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(file->text, sizeof file->text, "%s", text);
    return;
  }
  abort();
}

static void set_limit(int which, uint64_t value) {
  if (value == 0) return;
  struct rlimit limit = {value, value};
  if (setrlimit(which, &limit) != 0) _exit(125);
}

// Where coverage is measured, children leave a profile of their own beside the parent's. The first hundred do, by which
// all kinds of them have had a turn.
extern int __llvm_profile_write_file(void) __attribute__((weak));
extern void __llvm_profile_set_filename(const char *name) __attribute__((weak));

static uint64_t profile_count;

// Gives this process a profile of its own. At the start of a child, also for one whose body calls exit: that would add the
// parent's counts to the parent's file once more, and those of a function with several records once for each.
static bool begin_profile(void) {
  const char *pattern = getenv("LLVM_PROFILE_FILE");
  if (pattern == NULL || __llvm_profile_write_file == NULL || __llvm_profile_set_filename == NULL) return false;
  bool is_kept = cistern_test_atomic_load(&profile_count) <= 100;
  const char *slash = strrchr(pattern, '/');
  static char name[512];
  snprintf(name, sizeof name, "%.*schild-%d.profraw", slash == NULL ? 0 : (int)(slash - pattern + 1), pattern, (int)getpid());
  __llvm_profile_set_filename(is_kept ? name : "/dev/null");
  return is_kept;
}

// The child's side: its limits, its time, its body.
static _Noreturn void run_child(int (*body)(void *context), void *context, uint64_t address_space_limit, uint64_t data_limit,
                                unsigned seconds) {
  struct rlimit no_core = {0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) _exit(125);
  signal(SIGILL, SIG_DFL);
  signal(SIGTRAP, SIG_DFL);
  signal(SIGSEGV, SIG_DFL);
  signal(SIGABRT, SIG_DFL);
  set_limit(RLIMIT_AS, address_space_limit);
  set_limit(RLIMIT_DATA, data_limit);
  // The thread that forked may have signals blocked, the alarm among them.
  sigset_t none;
  if (sigemptyset(&none) != 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0) _exit(125);
  bool is_profiled = begin_profile();
  alarm(seconds);
  int code = body(context);
  if (is_profiled && __llvm_profile_write_file() != 0) _exit(124);
  _exit(code);
}

static int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

int cistern_test_in_child(int (*body)(void *context), void *context, uint64_t address_space_limit, uint64_t data_limit,
                          unsigned seconds) {
  cistern_test_atomic_add(&profile_count, 1);
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) run_child(body, context, address_space_limit, data_limit, seconds);
  return wait_for(child);
}

int cistern_test_in_child_capturing(int (*body)(void *context), void *context, unsigned seconds, char *text, size_t capacity,
                                    size_t *byte_count) {
  int ends[2];
  *byte_count = 0;
  if (pipe(ends) != 0) return -1;
  cistern_test_atomic_add(&profile_count, 1);
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    if (dup2(ends[1], STDERR_FILENO) < 0) _exit(125);
    close(ends[0]);
    close(ends[1]);
    run_child(body, context, 0, 0, seconds);
  }
  close(ends[1]);
  char rest[256];
  for (;;) {
    bool has_room = *byte_count < capacity;
    ssize_t got = has_room ? read(ends[0], text + *byte_count, capacity - *byte_count) : read(ends[0], rest, sizeof rest);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (has_room) *byte_count += (size_t)got;
  }
  close(ends[0]);
  return wait_for(child);
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

void cistern_test_wait_until(const uint64_t *word, uint64_t value) {
  while (cistern_test_atomic_load(word) < value) sched_yield();
}

typedef struct late_work {
  void (*body)(void *context);
  void (*late)(void *context);
  void *context;
  int round;
  pthread_key_t key;
} late_work;

// Destructors run in rounds while any of them leaves a value behind: in the second round all others have run once.
static void late_destructor(void *argument) {
  late_work *work = argument;
  if (++work->round < 2) {
    if (pthread_setspecific(work->key, work) != 0) abort();
    return;
  }
  work->late(work->context);
}

static void *run_late_work(void *argument) {
  late_work *work = argument;
  if (pthread_setspecific(work->key, work) != 0) abort();
  work->body(work->context);
  return NULL;
}

void cistern_test_thread_with_late_work(void (*body)(void *context), void (*late)(void *context),
                                        void *context) {
  late_work work = {body, late, context, 0, 0};
  pthread_t thread;
  if (pthread_key_create(&work.key, late_destructor) != 0) abort();
  if (pthread_create(&thread, NULL, run_late_work, &work) != 0) abort();
  if (pthread_join(thread, NULL) != 0) abort();
  if (pthread_key_delete(work.key) != 0) abort();
}

// Eight bytes at a time, whatever the alignment: tests fill and check a lot, without an optimizer.
static uint64_t pattern_word(uint64_t seed, size_t offset) {
  return (seed + 1) * 0x9E3779B97F4A7C15u + (offset / 8) * 0xD1B54A32D192ED03u;
}

void cistern_test_fill(uintptr_t address, size_t byte_count, uint64_t seed) {
  char *bytes = (char *)address;
  size_t offset = 0;
  for (; offset + 8 <= byte_count; offset += 8) {
    uint64_t word = pattern_word(seed, offset);
    memcpy(bytes + offset, &word, 8);
  }
  uint64_t word = pattern_word(seed, offset);
  memcpy(bytes + offset, &word, byte_count - offset);
}

bool cistern_test_holds(uintptr_t address, size_t byte_count, uint64_t seed) {
  const char *bytes = (const char *)address;
  size_t offset = 0;
  for (; offset + 8 <= byte_count; offset += 8) {
    uint64_t word = pattern_word(seed, offset);
    if (memcmp(bytes + offset, &word, 8) != 0) return false;
  }
  uint64_t word = pattern_word(seed, offset);
  return memcmp(bytes + offset, &word, byte_count - offset) == 0;
}

bool cistern_test_is_zero(uintptr_t address, size_t byte_count) {
  const char *bytes = (const char *)address;
  return byte_count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, byte_count - 1) == 0);
}

// Also where no program may write: misuse is what some tests are about.
__attribute__((no_sanitize("address"))) void cistern_test_write_byte(uintptr_t address, uint8_t value) {
  *(volatile uint8_t *)address = value;
}

uint32_t cistern_test_sanitizer(void) {
#if __has_feature(address_sanitizer)
  return CISTERN_TEST_ADDRESS_SANITIZER;
#elif __has_feature(thread_sanitizer)
  return CISTERN_TEST_THREAD_SANITIZER;
#else
  return CISTERN_TEST_NO_SANITIZER;
#endif
}

uint64_t cistern_test_mapping_count(void) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) return 0;
  uint64_t count = 0;
  for (int byte = fgetc(maps); byte != EOF; byte = fgetc(maps)) count += byte == '\n';
  fclose(maps);
  return count;
}

uint64_t cistern_test_resident_page_count(uintptr_t address, size_t byte_count) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t pages = (byte_count + page - 1) / page;
  unsigned char *flags = malloc(pages);
  uint64_t count = 0;
  if (flags != NULL && mincore((void *)address, byte_count, flags) == 0)
    for (size_t index = 0; index < pages; index++) count += flags[index] & 1;
  free(flags);
  return count;
}

uint64_t cistern_test_mapped_page_count(uintptr_t address, size_t byte_count) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  uint64_t count = 0;
  unsigned char flag;
  uintptr_t first = address & ~(uintptr_t)(page - 1);
  for (size_t offset = 0; offset < byte_count; offset += page) count += mincore((void *)(first + offset), page, &flag) == 0;
  return count;
}

uint64_t cistern_test_mapping_count_in(uintptr_t address, size_t byte_count, uint64_t *named_count) {
  FILE *maps = fopen("/proc/self/maps", "re");
  uint64_t count = 0;
  *named_count = 0;
  if (maps == NULL) return 0;
  char line[512];
  while (fgets(line, sizeof line, maps) != NULL) {
    char *rest = line;
    uintptr_t start = strtoull(line, &rest, 16);
    if (start < address || start >= address + byte_count) continue;
    count++;
    if (strstr(line, "[anon:cistern heap]") != NULL) (*named_count)++;
  }
  fclose(maps);
  return count;
}

uint64_t cistern_test_status_bytes(const char *label) {
  FILE *status = fopen("/proc/self/status", "re");
  if (status == NULL) return 0;
  char line[256];
  uint64_t value = 0;
  while (fgets(line, sizeof line, status) != NULL)
    if (strncmp(line, label, strlen(label)) == 0) value = strtoull(line + strlen(label), NULL, 10) * 1024;
  fclose(status);
  return value;
}

uint64_t cistern_test_limit_above_use(uint32_t which, uint64_t slack) {
  bool is_address_space = which == CISTERN_LIMIT_ADDRESS_SPACE;
  uint64_t value = cistern_test_status_bytes(is_address_space ? "VmSize:" : "VmData:") + slack;
  set_limit(is_address_space ? RLIMIT_AS : RLIMIT_DATA, value);
  return value;
}

uint64_t cistern_test_seed(uint64_t otherwise) {
  const char *text = getenv("CISTERN_TEST_SEED");
  return text != NULL && *text != 0 ? strtoull(text, NULL, 0) : otherwise;
}

uint64_t cistern_test_next_random(uint64_t *state) {
  uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);
  value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
  return value ^ (value >> 31);
}

uint64_t cistern_test_scaled(uint64_t count) {
  const char *text = getenv("CISTERN_TEST_SCALE");
  if (text == NULL || strcmp(text, "small") != 0) return count;
  return count < 10 ? 1 : count / 10;
}
