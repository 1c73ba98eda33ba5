// Copies of the library in one process: the archive in the program, and the shared library loaded from the paths given, which is
// closed again while a thread that used it still runs. Usage: copies PATH...
#define _GNU_SOURCE
#include <cistern.h>
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "check.h"

typedef struct copy {
  void *library;
  cistern_heap *heap;
  cistern_status (*create)(const cistern_heap_options *options, cistern_heap **heap);
  cistern_status (*destroy)(cistern_heap *heap);
  void *(*allocate)(cistern_heap *heap, size_t byte_count);
  void (*deallocate)(cistern_heap *heap, void *block, size_t byte_count);
  bool (*verify)(cistern_heap *heap);
} copy;

static void find(const copy *from, const char *name, void *function) {
  void *found = dlsym(from->library, name);
  check(__LINE__, found != NULL);
  memcpy(function, &found, sizeof found);
}

static copy opened(const char *path) {
  copy made = {.library = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
  if (made.library == NULL) fputs(dlerror(), stderr);
  check(__LINE__, made.library != NULL);
  find(&made, "cistern_heap_create", &made.create);
  find(&made, "cistern_heap_destroy", &made.destroy);
  find(&made, "cistern_allocate", &made.allocate);
  find(&made, "cistern_deallocate_sized", &made.deallocate);
  find(&made, "cistern_verify", &made.verify);
  return made;
}

static void open_heap(copy *with) {
  cistern_heap_options options = {.struct_byte_count = sizeof options, .capacity_bytes = 4 << 20};
  check(__LINE__, with->create(&options, &with->heap) == CISTERN_OK);
}

static void work(const copy *with) {
  void *blocks[300];
  for (size_t size = 0; size < 300; size++) {
    blocks[size] = with->allocate(with->heap, size * 7);
    check(__LINE__, blocks[size] != NULL);
    memset(blocks[size], (int)size, size * 7);
  }
  for (size_t size = 0; size < 300; size++) with->deallocate(with->heap, blocks[size], size * 7);
  check(__LINE__, with->verify(with->heap));
}

static pthread_barrier_t used, closed;

// Its cache is given back by a copy that was closed.
static void *work_and_wait(void *context) {
  work(context);
  pthread_barrier_wait(&used);
  pthread_barrier_wait(&closed);
  return NULL;
}

static void close_beside_a_thread(const char *path) {
  copy made = opened(path);
  pthread_t thread;
  open_heap(&made);
  check(__LINE__, pthread_barrier_init(&used, NULL, 2) == 0 && pthread_barrier_init(&closed, NULL, 2) == 0);
  check(__LINE__, pthread_create(&thread, NULL, work_and_wait, &made) == 0);
  pthread_barrier_wait(&used);
  check(__LINE__, made.destroy(made.heap) == CISTERN_OK && dlclose(made.library) == 0);
  pthread_barrier_wait(&closed);
  check(__LINE__, pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv) {
  copy copies[8] = {{.create = cistern_heap_create, .destroy = cistern_heap_destroy, .allocate = cistern_allocate,
                     .deallocate = cistern_deallocate_sized, .verify = cistern_verify}};
  check(__LINE__, argc >= 2 && argc <= 8);
  for (int number = 1; number < argc; number++) copies[number] = opened(argv[number]);
  for (int number = 0; number < argc; number++) open_heap(&copies[number]);
  for (int round = 0; round < 10; round++)
    for (int number = 0; number < argc; number++) work(&copies[number]);
  for (int number = 0; number < argc; number++)
    for (int other = 0; other < argc; other++) {
      if (other == number) continue;
      // Not the same code, and not the same heaps.
      check(__LINE__, copies[number].allocate != copies[other].allocate && !copies[other].verify(copies[number].heap));
      check(__LINE__, copies[other].destroy(copies[number].heap) == CISTERN_INVALID_HANDLE);
    }
  for (int number = 0; number < argc; number++) check(__LINE__, copies[number].destroy(copies[number].heap) == CISTERN_OK);
  for (int number = 1; number < argc; number++) {
    check(__LINE__, dlclose(copies[number].library) == 0);
    close_beside_a_thread(argv[number]);
    close_beside_a_thread(argv[number]);
  }
  printf("%d copies side by side\n", argc);
  return 0;
}
