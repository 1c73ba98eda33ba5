#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mini_runtime.h"

enum { CLASS_KIND = 0, ARRAY_KIND = 1, WORD = 8, MASK_BITS = 64 };

static const mini_type node_type = {
    .has_references = 1, .kind = CLASS_KIND, .header_byte_count = 8, .user_byte_count = sizeof(mini_node), .reference_mask = 0xb};
static const mini_type bytes_type = {.kind = ARRAY_KIND, .header_byte_count = 16, .user_byte_count = 8};
static const mini_type objects_type = {
    .has_references = 1, .kind = ARRAY_KIND, .header_byte_count = 16, .user_byte_count = 8, .reference_mask = 1};
static const mini_type external_type = {.kind = CLASS_KIND, .header_byte_count = 8, .user_byte_count = 16};

const mini_vtable mini_node_vtable = {&node_type, 0};
const mini_vtable mini_bytes_vtable = {&bytes_type, 0};
const mini_vtable mini_objects_vtable = {&objects_type, 0};
static const mini_vtable external_vtable = {&external_type, 0};

static uint64_t load(const void *object, ptrdiff_t offset) {
  uint64_t word;
  memcpy(&word, (const char *)object + offset, sizeof word);
  return word;
}

static void store(void *object, ptrdiff_t offset, uint64_t word) { memcpy((char *)object + offset, &word, sizeof word); }

// --- What the memory layer calls.

void *epointer_ty;

void *get_gc_type(char *object) { return (void *)(uintptr_t)((const mini_vtable *)(uintptr_t)load(object, -WORD))->type; }

char *sk_get_external_pointer(void) {
  char *object = SKIP_Obstack_alloc(WORD + external_type.user_byte_count) + WORD;
  store(object, -WORD, (uintptr_t)&external_vtable);
  return object;
}

uint32_t SKIP_has_fork_context(char *root, char *fork) { return root == fork ? 7 : 3; }

_Noreturn void SKIP_throw_cruntime(int32_t code) {
  // As Skip does it: the exception is an object in the region.
  char *exception = SKIP_Obstack_alloc(16);
  store(exception, 0, (uint64_t)code);
  fprintf(stderr, "uncaught exception %d\n", code);
  _Exit(100 + code);
}

// --- Shapes.

bool mini_is_string(const void *object) { return (load(object, -WORD) & 2) != 0; }
uint32_t mini_string_size(const void *string) { return (uint32_t)(load(string, -WORD) >> 32); }
uint32_t mini_array_length(const void *array) { return (uint32_t)(load(array, -2 * WORD) >> 32); }

static const mini_type *type_of(const void *object) { return get_gc_type((char *)(uintptr_t)object); }

// What stands in front of the data and belongs to the object, the reference count apart.
static size_t header_byte_count(const void *object) {
  return mini_is_string(object) ? WORD : type_of(object)->header_byte_count;
}

static size_t data_byte_count(const void *object) {
  if (mini_is_string(object)) return (size_t)mini_string_size(object) + 1;
  const mini_type *type = type_of(object);
  return type->user_byte_count * (type->kind == ARRAY_KIND ? mini_array_length(object) : 1);
}

// The offset of the first reference at or behind an offset; the object's size when there is none.
static size_t next_reference(const void *object, size_t offset) {
  size_t end = data_byte_count(object);
  if (mini_is_string(object) || !type_of(object)->has_references) return end;
  uint64_t mask = type_of(object)->reference_mask;
  size_t stride = type_of(object)->user_byte_count;
  while (offset < end && !(mask >> (offset % stride / WORD) & 1)) offset += WORD;
  return offset < end ? offset : end;
}

// --- New objects.

mini_node *mini_new_node(uint64_t number) {
  mini_node *node = (mini_node *)(void *)((char *)SKIP_Obstack_calloc(WORD + sizeof(mini_node)) + WORD);
  store(node, -WORD, (uintptr_t)&mini_node_vtable);
  node->number = number;
  return node;
}

void *mini_new_array(const mini_vtable *vtable, uint32_t length) {
  size_t byte_count = 2 * WORD + vtable->type->user_byte_count * length;
  char *array = (char *)SKIP_Obstack_calloc(byte_count) + 2 * WORD;
  store(array, -2 * WORD, (uint64_t)length << 32);
  store(array, -WORD, (uintptr_t)vtable);
  return array;
}

char *mini_new_string(const char *text, size_t byte_count) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < byte_count; i++) hash = (hash ^ (uint8_t)text[i]) * 16777619u;
  char *string = SKIP_Obstack_alloc(WORD + byte_count + 1) + WORD;
  store(string, -WORD, (uint64_t)byte_count << 32 | (hash & ~1u) | 2);
  memcpy(string, text, byte_count);
  string[byte_count] = 0;
  return string;
}

// --- A work list in scratch memory, which grows by doubling.

typedef struct work_list {
  uint64_t (*entries)[2];
  size_t count;
  size_t capacity;
} work_list;

static void start_list(work_list *list, size_t capacity) {
  list->entries = sk_malloc(capacity * sizeof *list->entries);
  list->count = 0;
  list->capacity = capacity;
}

static void end_list(work_list *list) { sk_free_size(list->entries, list->capacity * sizeof *list->entries); }

static void add(work_list *list, uint64_t first, uint64_t second) {
  if (list->count == list->capacity) {
    work_list larger;
    start_list(&larger, list->capacity * 2);
    memcpy(larger.entries, list->entries, list->count * sizeof *list->entries);
    larger.count = list->count;
    end_list(list);
    *list = larger;
  }
  list->entries[list->count][0] = first;
  list->entries[list->count][1] = second;
  list->count++;
}

// Which object became which, by open addressing in scratch memory.
typedef struct forwarding {
  uint64_t (*cells)[2];
  unsigned bits;
  size_t count;
} forwarding;

static void start_forwarding(forwarding *table, unsigned bits) {
  table->bits = bits;
  table->count = 0;
  size_t byte_count = sizeof *table->cells << bits;
  table->cells = sk_malloc(byte_count);
  memset(table->cells, 0, byte_count);
}

static void end_forwarding(forwarding *table) { sk_free_size(table->cells, sizeof *table->cells << table->bits); }

static uint64_t *forwarded(forwarding *table, uint64_t object) {
  size_t mask = ((size_t)1 << table->bits) - 1;
  size_t place = (size_t)((object >> 3) * 0x9e3779b97f4a7c15u >> 20) & mask;
  while (table->cells[place][0] != 0 && table->cells[place][0] != object) place = (place + 1) & mask;
  return table->cells[place];
}

static void forward(forwarding *table, uint64_t object, uint64_t result) {
  if (table->count * 2 >= (size_t)1 << table->bits) {
    forwarding larger;
    start_forwarding(&larger, table->bits + 1);
    for (size_t i = 0; i < (size_t)1 << table->bits; i++)
      if (table->cells[i][0] != 0) memcpy(forwarded(&larger, table->cells[i][0]), table->cells[i], sizeof *table->cells);
    larger.count = table->count;
    end_forwarding(table);
    *table = larger;
  }
  uint64_t *cell = forwarded(table, object);
  cell[0] = object;
  cell[1] = result;
  table->count++;
}

// --- Reference counts and persistent objects.

static char *count_place(const void *object) { return (char *)(uintptr_t)object - header_byte_count(object) - WORD; }

void sk_incr_ref_count(void *object) {
  uint64_t *count = (uint64_t *)(void *)count_place(object);
  __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

uintptr_t sk_get_ref_count(void *object) { return (uintptr_t)load(count_place(object), 0); }

static size_t persistent_byte_count(const void *object) { return WORD + header_byte_count(object) + data_byte_count(object); }

static char *persistent_copy(const void *object) {
  size_t header = header_byte_count(object);
  char *block = sk_palloc(persistent_byte_count(object));
  store(block, 0, 1);
  memcpy(block + WORD, (const char *)object - header, header + data_byte_count(object));
  return block + WORD + header;
}

typedef struct interning {
  sk_cell_t *cells;
  size_t page_count;
  forwarding table;
  work_list pending;
} interning;

// The persistent form of a reference; its own references are looked at later.
static uint64_t interned(interning *state, uint64_t reference) {
  char *object = (char *)(uintptr_t)reference;
  if (object == NULL) return 0;
  if (sk_get_obstack_idx(object, state->cells, state->page_count) == (size_t)-1) {
    if (!sk_is_static(object)) sk_incr_ref_count(object);
    return reference;
  }
  uint64_t *known = forwarded(&state->table, reference);
  if (known[0] != 0) {
    sk_incr_ref_count((void *)(uintptr_t)known[1]);
    return known[1];
  }
  char *copy = persistent_copy(object);
  forward(&state->table, reference, (uintptr_t)copy);
  add(&state->pending, (uintptr_t)copy, 0);
  return (uintptr_t)copy;
}

void *mini_intern(void *object) {
  interning state;
  sk_global_lock();
  sk_check_has_lock();
  state.page_count = sk_get_nbr_pages(NULL, NULL);
  state.cells = sk_get_pages(NULL, state.page_count);
  start_forwarding(&state.table, 4);
  start_list(&state.pending, 16);
  void *result = (void *)(uintptr_t)interned(&state, (uintptr_t)object);
  while (state.pending.count > 0) {
    char *copy = (char *)(uintptr_t)state.pending.entries[--state.pending.count][0];
    size_t end = data_byte_count(copy);
    for (size_t at = next_reference(copy, 0); at < end; at = next_reference(copy, at + WORD))
      store(copy, (ptrdiff_t)at, interned(&state, load(copy, (ptrdiff_t)at)));
  }
  end_list(&state.pending);
  end_forwarding(&state.table);
  sk_free_size(state.cells, state.page_count * sizeof *state.cells);
  sk_global_unlock();
  return result;
}

void mini_release(void *object) {
  work_list pending;
  start_list(&pending, 16);
  add(&pending, (uintptr_t)object, 0);
  while (pending.count > 0) {
    char *next = (char *)(uintptr_t)pending.entries[--pending.count][0];
    if (next == NULL || sk_is_static(next)) continue;
    uint64_t *count = (uint64_t *)(void *)count_place(next);
    if (__atomic_sub_fetch(count, 1, __ATOMIC_ACQ_REL) != 0) continue;
    size_t end = data_byte_count(next);
    for (size_t at = next_reference(next, 0); at < end; at = next_reference(next, at + WORD))
      add(&pending, load(next, (ptrdiff_t)at), 0);
    sk_pfree_size(count, persistent_byte_count(next));
  }
  end_list(&pending);
}

// --- Copies out of a region. An object that was copied has the copy's address, with bit 0 set, in place of its vtable or size
// word: the old pages stay readable and writable until the end.

typedef struct copying {
  sk_cell_t *cells;
  size_t page_count;
  work_list pending;
  work_list marked;  // of objects that stay where they are the word must come back
} copying;

static uint64_t copied(copying *state, uint64_t reference) {
  char *object = (char *)(uintptr_t)reference;
  size_t index = object == NULL ? (size_t)-1 : sk_get_obstack_idx(object, state->cells, state->page_count);
  if (index == (size_t)-1) return reference;
  uint64_t word = load(object, -WORD);
  if (word & 1) return word & ~(uint64_t)1;
  char *copy = object;
  if (sk_is_large_page(state->cells[index].key)) {
    sk_obstack_attach_page(state->cells[index].key, state->cells[index].next);
    state->cells[index].value = (uintptr_t)state->cells[index].key;
  } else {
    size_t header = header_byte_count(object);
    size_t byte_count = header + data_byte_count(object);
    copy = SKIP_Obstack_alloc(byte_count) + header;
    memcpy(copy - header, object - header, byte_count);
  }
  size_t end = data_byte_count(object);
  for (size_t at = next_reference(object, 0); at < end; at = next_reference(object, at + WORD))
    add(&state->pending, (uintptr_t)copy + at, 0);
  add(&state->marked, (uintptr_t)object, word);
  store(object, -WORD, (uintptr_t)copy | 1);
  return (uintptr_t)copy;
}

void *SKIP_copy_with_pages(void *object, size_t page_count, sk_cell_t *cells) {
  copying state = {.cells = cells, .page_count = page_count};
  start_list(&state.pending, 16);
  start_list(&state.marked, 16);
  void *result = (void *)(uintptr_t)copied(&state, (uintptr_t)object);
  while (state.pending.count > 0) {
    char *place = (char *)(uintptr_t)state.pending.entries[--state.pending.count][0];
    store(place, 0, copied(&state, load(place, 0)));
  }
  for (size_t i = 0; i < state.marked.count; i++)
    store((char *)(uintptr_t)state.marked.entries[i][0], -WORD, state.marked.entries[i][1]);
  end_list(&state.marked);
  end_list(&state.pending);
  return result;
}

// --- Graphs to try it on.

uint64_t mini_digest(const void *object) {
  if (object == NULL) return 0x1234567;
  uint64_t digest = load(object, -WORD);
  size_t byte_count = data_byte_count(object);
  size_t reference = next_reference(object, 0);
  for (size_t at = 0; at + WORD <= byte_count; at += WORD) {
    uint64_t word = load(object, (ptrdiff_t)at);
    if (at == reference) {
      word = mini_digest((const void *)(uintptr_t)word);
      reference = next_reference(object, at + WORD);
    }
    digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
    digest ^= digest >> 29;
  }
  return digest;
}

static uint64_t next_random(uint64_t *state) {
  *state += 0x9e3779b97f4a7c15u;
  uint64_t z = *state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

// A leaf: a string, an array of numbers, which now and then is a large object, or an array of two references to `shared`.
static void *random_leaf(uint64_t *random, void *shared) {
  uint64_t kind = next_random(random) % 16;
  uint32_t size = (uint32_t)(next_random(random) % 60);
  if (kind < 10) {
    char text[64];
    memset(text, 'a' + (int)(size % 26), sizeof text);
    return mini_new_string(text, size);
  }
  if (kind < 13) {
    void **array = mini_new_array(&mini_objects_vtable, 3);
    array[0] = shared;
    array[2] = shared;
    return array;
  }
  uint32_t length = kind == 15 && size < 4 ? 30000 + size * 500 : size * 20;
  uint64_t *array = mini_new_array(&mini_bytes_vtable, length);
  for (uint32_t i = 0; i < length; i++) array[i] = next_random(random);
  return array;
}

mini_node *mini_tree(uint32_t count, uint64_t seed) {
  if (count == 0) return NULL;
  uint64_t random = seed;
  mini_node **nodes = sk_malloc(count * sizeof *nodes);
  void *shared = NULL;
  for (uint32_t i = count; i-- > 0;) {
    nodes[i] = mini_new_node(next_random(&random));
    nodes[i]->name = random_leaf(&random, shared);
    if (next_random(&random) % 8 == 0 && mini_is_string(nodes[i]->name)) shared = nodes[i]->name;
    nodes[i]->left = (uint64_t)2 * i + 1 < count ? nodes[2 * i + 1] : NULL;
    nodes[i]->right = (uint64_t)2 * i + 2 < count ? nodes[2 * i + 2] : NULL;
  }
  mini_node *root = nodes[0];
  sk_free_size(nodes, count * sizeof *nodes);
  return root;
}

// --- Start-up.

static uint64_t constant_digests[MINI_CONSTANT_COUNT];

void mini_start(int argc, char **argv) {
  SKIP_memory_init(argc, argv);
  sk_saved_obstack_t *saved = SKIP_new_Obstack();
  void *constants[MINI_CONSTANT_COUNT];
  for (uint32_t i = 0; i < MINI_CONSTANT_COUNT; i++) {
    void *made = i % 2 == 0 ? (void *)mini_tree(i % 6, i) : mini_new_string("a constant", i % 10);
    constant_digests[i] = mini_digest(made);
    constants[i] = mini_intern(made);
  }
  *pconsts = sk_palloc(sizeof constants);
  memcpy(*pconsts, constants, sizeof constants);
  SKIP_destroy_Obstack(saved);
}

void mini_start_with_capacity(const char *capacity) {
  static char program[] = "program", option[] = "--capacity";
  static char value[32];
  static char *words[] = {program, option, value, NULL};
  snprintf(value, sizeof value, "%s", capacity);
  mini_start(3, words);
}

bool mini_constants_are_right(void) {
  for (uint32_t i = 0; i < MINI_CONSTANT_COUNT; i++) {
    void *constant = (*pconsts)[i];
    if (mini_digest(constant) != constant_digests[i] || (constant != NULL && sk_is_static(constant))) return false;
  }
  return true;
}
