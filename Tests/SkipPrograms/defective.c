// A model of a memory layer with the defects that Skip's own layer had, by their description, so that each test can be seen to
// fail: a persistent heap of power-of-two blocks that are never split, joined or given back, whose sizes are computed in 32 bits,
// without a lock; regions of 8 MiB pages and scratch from malloc, whose failure throws, which allocates. Not a line of it is
// Skip's. Only for Linux, and only for the scenarios that say so; never linked with the real layer.
#define _GNU_SOURCE

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mini_runtime.h"

enum { PAGE = 8 << 20, CLASS_COUNT = 64 };

struct sk_saved_obstack {
  char *head;
  sk_obstack_t *page;
  char *end;
};

struct sk_obstack {
  sk_obstack_t *previous;
  size_t size;
  sk_saved_obstack_t saved;
};

static char *heap, *heap_head, *heap_end;
static void *free_lists[CLASS_COUNT + 1];  // the root stands behind the lists
static size_t live_bytes;
static void **constants;
void ***pconsts = &constants;
int sk_is_locked;

// --- Start.

static size_t capacity(int argc, char **argv) {
  const char *text = getenv("SKIP_CAPACITY");
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], "--capacity") == 0) text = argv[i + 1];
  if (text == NULL || *text == 0) return (size_t)16 << 30;
  char *end;
  size_t value = strtoull(text, &end, 10);
  return *end == 'G' ? value << 30 : *end == 'M' ? value << 20 : *end == 'K' ? value << 10 : value;
}

void SKIP_memory_init(int argc, char **argv) {
  extern void *epointer_ty;
  void *get_gc_type(char *object);
  char *sk_get_external_pointer(void);
  size_t size = capacity(argc, argv);
  heap = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (heap == MAP_FAILED) {
    perror("ERROR (MAP FAILED)");
    exit(41);
  }
  heap_head = heap + 1024;
  heap_end = heap + size;
  epointer_ty = get_gc_type(sk_get_external_pointer());
}

int sk_is_nofile_mode(void) { return 1; }

// --- Persistent blocks.

static unsigned class_of(size_t size) {
  if (size < 8) size = 8;
  return size == 1 ? 0 : (unsigned)(64 - __builtin_clzl(size - 1));
}

// A shift of an int.
static size_t class_size(unsigned index) { return (size_t)(int64_t)(int32_t)((uint32_t)1 << (index & 31)); }

void *sk_palloc(size_t size) {
  unsigned index = class_of(size);
  live_bytes += class_size(index);
  void *block = free_lists[index];
  if (block != NULL) {
    memcpy(&free_lists[index], block, sizeof(void *));
    return block;
  }
  if (index == CLASS_COUNT) return heap;
  if (heap_head + class_size(index) >= heap_end) {
    fprintf(stderr, "Error: out of persistent memory.\n");
    exit(24);
  }
  block = heap_head;
  // Lets another thread in where it does harm, so that the test need not wait for it.
  if (live_bytes % 32000 == 0) sched_yield();
  heap_head += class_size(index);
  return block;
}

void sk_pfree_size(void *block, size_t size) {
  unsigned index = class_of(size);
  live_bytes -= class_size(index);
  memcpy(block, &free_lists[index], sizeof(void *));
  free_lists[index] = block;
}

int sk_is_static(void *address) { return !((char *)address >= heap && (char *)address < heap_end); }
void SKIP_print_persistent_size(void) { printf("%zu\n", live_bytes); }

// --- Scratch and regions.

void *sk_malloc(size_t size) {
  void *block = malloc(size);
  if (block == NULL) {
    perror("malloc");
    SKIP_throw_cruntime(24);
  }
  return block;
}

void sk_free_size(void *block, size_t size) {
  (void)size;
  free(block);
}

static _Thread_local sk_saved_obstack_t current, base;

static void insert_behind_current(sk_obstack_t *page) {
  page->previous = current.page->previous;
  current.page->previous = page;
}

static void open_page(void) {
  sk_obstack_t *page = sk_malloc(PAGE);
  page->previous = current.page;
  page->size = PAGE;
  current = (sk_saved_obstack_t){(char *)(page + 1), page, (char *)page + PAGE};
}

char *SKIP_Obstack_alloc(size_t size) {
  size = (size + 15) & ~(size_t)7;
  if (current.head + size >= current.end) {
    if (size + sizeof(sk_obstack_t) > PAGE) {
      sk_obstack_t *page = sk_malloc(size + sizeof(sk_obstack_t));
      page->size = size + sizeof(sk_obstack_t);
      insert_behind_current(page);
      return (char *)(page + 1) + 8;
    }
    open_page();
  }
  char *block = current.head + 8;
  current.head += size;
  return block;
}

void *SKIP_Obstack_calloc(size_t size) { return memset(SKIP_Obstack_alloc(size), 0, size); }

char *SKIP_Obstack_shallowClone(size_t unused, char *object) {
  (void)unused;
  return (char *)memcpy(SKIP_Obstack_alloc(8 + sizeof(mini_node)), object - 8, 8 + sizeof(mini_node)) + 8;
}

sk_saved_obstack_t *SKIP_new_Obstack(void) {
  sk_saved_obstack_t *saved = current.page == NULL ? &base : &current.page->saved;
  *saved = current;
  open_page();
  return saved;
}

void SKIP_destroy_Obstack(sk_saved_obstack_t *saved) {
  sk_saved_obstack_t target = {NULL, NULL, NULL};
  if (saved != NULL) target = *saved;
  while (current.page != NULL && current.page != target.page) {
    sk_obstack_t *page = current.page;
    current.page = page->previous;
    free(page);
  }
  current = target;
}

size_t sk_get_nbr_pages(sk_obstack_t *from, sk_obstack_t *to) {
  size_t count = 0;
  for (sk_obstack_t *page = from != NULL ? from : current.page; page != NULL && page != to; page = page->previous) count++;
  return count;
}

static int by_key(const void *left, const void *right) {
  uintptr_t a = (uintptr_t)((const sk_cell_t *)left)->key, b = (uintptr_t)((const sk_cell_t *)right)->key;
  return (a > b) - (a < b);
}

sk_cell_t *sk_get_pages(sk_obstack_t *from, size_t count) {
  sk_cell_t *cells = sk_malloc(count * sizeof *cells);
  sk_obstack_t *page = from != NULL ? from : current.page, *next = NULL;
  for (size_t i = 0; i < count; i++, next = page, page = page->previous)
    cells[i] = (sk_cell_t){page, (uintptr_t)page + page->size, next};
  qsort(cells, count, sizeof *cells, by_key);
  return cells;
}

size_t sk_get_obstack_idx(char *address, sk_cell_t *cells, size_t count) {
  for (size_t i = 0; cells != NULL && i < count; i++)
    if ((uintptr_t)cells[i].key <= (uintptr_t)address && (uintptr_t)address < cells[i].value) return i;
  return (size_t)-1;
}

int sk_is_large_page(sk_obstack_t *page) { return page->size > PAGE; }

void sk_obstack_attach_page(sk_obstack_t *page, sk_obstack_t *next) {
  if (next != NULL) next->previous = page->previous;
  insert_behind_current(page);
}

void *SKIP_copy_with_pages(void *object, size_t count, sk_cell_t *cells);

void *SKIP_destroy_Obstack_with_value(sk_saved_obstack_t *saved, void *value) {
  size_t count = sk_get_nbr_pages(NULL, saved->page);
  sk_cell_t *cells = sk_get_pages(NULL, count);
  current = *saved;
  value = SKIP_copy_with_pages(value, count, cells);
  for (size_t i = 0; i < count; i++)
    if ((uintptr_t)cells[i].key != cells[i].value) free(cells[i].key);
  sk_free_size(cells, count * sizeof *cells);
  return value;
}

// --- What no scenario for the model looks at: enough to link.

void *SKIP_copy_value_to_Obstack(sk_obstack_t *from, void *value) { return from == NULL ? NULL : value; }
sk_obstack_t *SKIP_switch_to_parent(sk_saved_obstack_t *saved) { return saved->page; }
void SKIP_restore_from_parent(sk_saved_obstack_t *saved, sk_obstack_t *leading) { saved->page = leading; }
uint32_t SKIP_should_GC(sk_saved_obstack_t *saved) { return saved == NULL; }
void sk_global_lock(void) {}
void sk_global_unlock(void) {}
void sk_check_has_lock(void) {}
char *SKIP_contexts_get(void) { return NULL; }
char *SKIP_contexts_get_unsafe(void) { return NULL; }
void sk_contexts_set(char *root) { (void)root; }
void sk_contexts_set_unsafe(char *root) { (void)root; }
void sk_commit(char *root, uint32_t sync) { (void)root, (void)sync; }
uint64_t SKIP_context_ref_count(void) { return 0; }
uint32_t SKIP_has_context(char *fork) { return fork != NULL; }
uint64_t SKIP_genSym(uint64_t larger_than) { return larger_than; }
void SKIP_mutex_init(pthread_mutex_t *mutex) { pthread_mutex_init(mutex, NULL); }
void SKIP_mutex_lock(pthread_mutex_t *mutex) { pthread_mutex_lock(mutex); }
void SKIP_mutex_unlock(pthread_mutex_t *mutex) { pthread_mutex_unlock(mutex); }
void SKIP_cond_init(pthread_cond_t *condition) { pthread_cond_init(condition, NULL); }
void SKIP_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) { pthread_cond_wait(condition, mutex); }
int32_t SKIP_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint32_t seconds) {
  (void)condition, (void)mutex;
  return (int32_t)seconds;
}
int32_t SKIP_cond_broadcast(void *condition) { return pthread_cond_broadcast(condition); }
void *SKIP_freeze_lock(void *object) { return object; }
void *SKIP_unfreeze_lock(void *object) { return object; }
void *SKIP_freeze_cond(void *object) { return object; }
void *SKIP_unfreeze_cond(void *object) { return object; }
void SKIP_Obstack_auto_collect(void) {}
void *SKIP_Obstack_collect1(void *note, void *object) { return note == NULL ? object : note; }
void SKIP_check_memory(void) {}
void sk_memory_check_init(void) {}
void sk_memory_check_init_over(void) {}
