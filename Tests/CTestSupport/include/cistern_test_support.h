// Helpers of the tests that are easier, or only possible, in C.
#ifndef CISTERN_TEST_SUPPORT_H
#define CISTERN_TEST_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cistern_os.h"

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
} cistern_fault_table;

void cistern_fault_table_init(cistern_fault_table *_Nonnull table);

// Runs `body` in a forked child under a time limit. Returns the wait status: exit code below 256, or 256 + signal number.
int cistern_test_in_child(int (*_Nonnull body)(void *_Nullable context), void *_Nullable context,
                          uint64_t address_space_limit, uint64_t data_limit, unsigned seconds);

// Runs `body` once in each of `count` threads with its number, all at once, and waits for them.
void cistern_test_in_threads(size_t count, void (*_Nonnull body)(size_t number, void *_Nullable context), void *_Nullable context);

// Starts a thread that runs `body`; join it.
typedef struct cistern_test_thread cistern_test_thread;
cistern_test_thread *_Nullable cistern_test_thread_start(void (*_Nonnull body)(void *_Nullable context), void *_Nullable context);
void cistern_test_thread_join(cistern_test_thread *_Nonnull thread);

// A counter that threads share.
static inline uint64_t cistern_test_atomic_load(const uint64_t *_Nonnull word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void cistern_test_atomic_store(uint64_t *_Nonnull word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline uint64_t cistern_test_atomic_add(uint64_t *_Nonnull word, uint64_t value) { return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL); }
static inline uintptr_t cistern_test_atomic_exchange(uintptr_t *_Nonnull word, uintptr_t value) { return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL); }

#endif
