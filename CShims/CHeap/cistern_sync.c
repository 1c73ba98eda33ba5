#define _GNU_SOURCE
#include "cistern_sync.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

// Critical sections are some tens of nanoseconds: spin a little before the kernel is asked.
enum { SPIN_LIMIT = 200 };

static inline void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

void cistern_lock_wait(cistern_lock *lock) {
  for (int spin = 0; spin < SPIN_LIMIT; spin++) {
    uint32_t free_word = 0;
    if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == 0 &&
        __atomic_compare_exchange_n(&lock->word, &free_word, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
      return;
    pause_briefly();
  }
  int saved = errno;
  // EAGAIN (the word changed) and EINTR both mean: look again, which the loop does.
  while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0)
    (void)syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
  errno = saved;
}

void cistern_lock_wake(cistern_lock *lock) {
  int saved = errno;
  // Fails only for a bad address, which the caller's own use of the lock excludes.
  (void)syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  errno = saved;
}
