// Threaded workloads: starting threads together, and the time from the start of the first to the end of the last.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "own_memory.h"
#include "threads.h"

// Each thread on a CPU of its own; where there are fewer CPUs than threads, the scheduler decides.
static void pin_to(uint32_t index, uint32_t thread_count) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || (uint32_t)CPU_COUNT(&allowed) < thread_count) return;
  uint32_t wanted = index;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    if (wanted == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      (void)pthread_setaffinity_np(pthread_self(), sizeof(one), &one);   // a refusal costs steadiness, not correctness
      return;
    }
    wanted--;
  }
}

void creplay_wait_at(creplay_barrier *barrier) {
  uint32_t round = atomic_load_explicit(&barrier->round, memory_order_acquire);
  uint32_t arrived = atomic_fetch_add_explicit(&barrier->arrived, 1, memory_order_acq_rel) + 1;
  if (arrived == barrier->thread_count) {
    atomic_store_explicit(&barrier->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&barrier->round, round + 1, memory_order_release);
    return;
  }
  for (uint32_t spins = 0; atomic_load_explicit(&barrier->round, memory_order_acquire) == round; spins++) {
    creplay_pause(spins);
  }
}

static void *thread_main(void *argument) {
  creplay_worker *worker = argument;
  pin_to(worker->index, worker->shared->barrier.thread_count);
  creplay_wait_at(&worker->shared->barrier);
  worker->start_nanoseconds = creplay_monotonic_nanoseconds();
  worker->failure = worker->shared->body(worker);
  worker->end_nanoseconds = creplay_monotonic_nanoseconds();
  return NULL;
}

creplay_failure creplay_run_workers(creplay_shared *shared, creplay_worker *workers, uint32_t thread_count,
                                    creplay_result *result) {
  pthread_t threads[CREPLAY_HIGHEST_THREAD_COUNT];
  shared->barrier.thread_count = thread_count;
  for (uint32_t index = 0; index < thread_count; index++) {
    workers[index].shared = shared;
    workers[index].index = index;
    int error = pthread_create(&threads[index], NULL, thread_main, &workers[index]);
    if (error != 0) {
      result->failure_detail = (uint64_t)error;
      return CREPLAY_SYSTEM_REFUSED;   // the process ends now, and with it the threads that wait
    }
  }
  uint64_t start = UINT64_MAX;
  uint64_t end = 0;
  creplay_failure failure = CREPLAY_NO_FAILURE;
  for (uint32_t index = 0; index < thread_count; index++) {
    int error = pthread_join(threads[index], NULL);
    if (error != 0) return CREPLAY_SYSTEM_REFUSED;
    if (workers[index].failure != CREPLAY_NO_FAILURE) failure = workers[index].failure;
    if (workers[index].start_nanoseconds < start) start = workers[index].start_nanoseconds;
    if (workers[index].end_nanoseconds > end) end = workers[index].end_nanoseconds;
    result->operation_count += workers[index].operation_count;
    result->work_hash += workers[index].work_hash;
  }
  result->cold_nanoseconds = end - start;
  return failure;
}

creplay_failure creplay_run_threads(const creplay_request *request, const creplay_trace *trace,
                                    const creplay_operations *operations, void *heap, creplay_result *result) {
  creplay_shared *shared = creplay_map_table(sizeof(creplay_shared), true);
  if (shared == NULL) return CREPLAY_SYSTEM_REFUSED;
  shared->request = request;
  shared->operations = request->allocator == CREPLAY_ALLOCATOR_NULL ? NULL : operations;
  shared->heap = heap;
  if (request->workload == CREPLAY_WORKLOAD_TRACE) {
    return trace == NULL ? CREPLAY_TRACE_UNUSABLE : creplay_run_trace_threads(shared, trace, result);
  }
  if (request->thread_count == 0 || request->thread_count > CREPLAY_HIGHEST_THREAD_COUNT) return CREPLAY_SYSTEM_REFUSED;
  return request->workload == CREPLAY_WORKLOAD_EXCHANGE ? creplay_run_exchange(shared, result)
                                                        : creplay_run_server(shared, result);
}
