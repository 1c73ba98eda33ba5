// Helpers of the tests that are easier, or only possible, in C.
#ifndef CISTERN_TEST_SUPPORT_H
#define CISTERN_TEST_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cistern_os.h"

enum { CISTERN_FAKE_FILE_CAPACITY = 8 };

typedef struct cistern_fake_file {
  char path[64];  // "": none
  char text[8192];
} cistern_fake_file;

// A table of OS calls that counts, and refuses when told to.
typedef struct cistern_fault_table {
  cistern_os_calls calls;      // hand out a pointer to this; context points back here
  uint64_t call_count;         // calls that change something: reserve, release, commit, decommit, uncommit, advise, name
  uint64_t reserve_count;
  uint64_t reserved_byte_count;  // of the last reserve
  uint64_t release_count;
  uint64_t commit_count;
  uint64_t decommit_count;
  uint64_t uncommit_count;
  uint64_t advise_count;
  uint64_t live_reservations;  // reserve less release
  uint64_t fail_at;            // the call with this number (from 0) is refused; UINT64_MAX: none
  bool fails_for_ever;         // and all after it
  int fail_code;               // errno of a refusal
  uint32_t reads_as;           // CISTERN_READS_AS_STALE: decommit does nothing and says so
  uint64_t address_space_limit;  // what read_limit answers; 0: ask the system
  uint64_t data_limit;
  bool refuses_files;            // read_file fails for all
  int find_code;                 // errno of the calls about programs; 0: as the system says
  int start_code;
  int wait_code;
  cistern_fake_file files[CISTERN_FAKE_FILE_CAPACITY];  // what these read as, instead of the system's
} cistern_fault_table;

void cistern_fault_table_init(cistern_fault_table *_Nonnull table);
// Lets a file read as `text`, cut to what fits. An empty text is an empty file.
void cistern_fault_table_set_file(cistern_fault_table *_Nonnull table, const char *_Nonnull path, const char *_Nonnull text);

// Runs `body` in a forked child under a time limit. Returns the wait status: exit code below 256, or 256 + signal number.
int cistern_test_in_child(int (*_Nonnull body)(void *_Nullable context), void *_Nullable context,
                          uint64_t address_space_limit, uint64_t data_limit, unsigned seconds);

// Runs `body` once in each of `count` threads with its number, all at once, and waits for them.
void cistern_test_in_threads(size_t count, void (*_Nonnull body)(size_t number, void *_Nullable context), void *_Nullable context);

// Starts a thread that runs `body`; join it.
typedef struct cistern_test_thread cistern_test_thread;
cistern_test_thread *_Nullable cistern_test_thread_start(void (*_Nonnull body)(void *_Nullable context), void *_Nullable context);
void cistern_test_thread_join(cistern_test_thread *_Nonnull thread);

// Waits until a word that threads share has at least a value.
void cistern_test_wait_until(const uint64_t *_Nonnull word, uint64_t value);

// A counter that threads share.
static inline uint64_t cistern_test_atomic_load(const uint64_t *_Nonnull word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void cistern_test_atomic_store(uint64_t *_Nonnull word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline uint64_t cistern_test_atomic_add(uint64_t *_Nonnull word, uint64_t value) {
  return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
}
static inline uintptr_t cistern_test_atomic_exchange(uintptr_t *_Nonnull word, uintptr_t value) {
  return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
}

// The same, and what the child wrote to stderr, at most `capacity` bytes of it.
int cistern_test_in_child_capturing(int (*_Nonnull body)(void *_Nullable context), void *_Nullable context, unsigned seconds,
                                    char *_Nonnull text, size_t capacity, size_t *_Nonnull byte_count);

// Runs `body` in a thread, and `late` in it again after every other thread-exit destructor has had its turn.
void cistern_test_thread_with_late_work(void (*_Nonnull body)(void *_Nullable context), void (*_Nonnull late)(void *_Nullable context),
                                        void *_Nullable context);

// Fills a block with a pattern of its seed, and says whether a block holds one.
void cistern_test_fill(uintptr_t address, size_t byte_count, uint64_t seed);
bool cistern_test_holds(uintptr_t address, size_t byte_count, uint64_t seed);
bool cistern_test_is_zero(uintptr_t address, size_t byte_count);
void cistern_test_write_byte(uintptr_t address, uint8_t value);

enum { CISTERN_TEST_NO_SANITIZER = 0, CISTERN_TEST_ADDRESS_SANITIZER = 1, CISTERN_TEST_THREAD_SANITIZER = 2 };
uint32_t cistern_test_sanitizer(void);

// How many mappings the process has; how many pages of a range are resident; a line of /proc/self/status in bytes.
uint64_t cistern_test_mapping_count(void);
uint64_t cistern_test_resident_page_count(uintptr_t address, size_t byte_count);
// How many pages of a range are mapped, resident or not.
uint64_t cistern_test_mapped_page_count(uintptr_t address, size_t byte_count);
// How many mappings lie in a range, and how many of them have a heap's name.
uint64_t cistern_test_mapping_count_in(uintptr_t address, size_t byte_count, uint64_t *_Nonnull named_count);
uint64_t cistern_test_status_bytes(const char *_Nonnull label);
// For a child: sets a limit (CISTERN_LIMIT_*) this much above what it uses now. Returns the limit.
uint64_t cistern_test_limit_above_use(uint32_t which, uint64_t slack);

// CISTERN_TEST_SEED, or else `otherwise`. CISTERN_TEST_SCALE=small: a tenth of the steps, and at least one.
uint64_t cistern_test_seed(uint64_t otherwise);
uint64_t cistern_test_scaled(uint64_t count);

// The next of a series of numbers, the same on every machine for the same start (splitmix64).
uint64_t cistern_test_next_random(uint64_t *_Nonnull state);

#endif
