// A miniature Skip-like runtime, to test the memory layer with: objects with type descriptors, reference counts, interning,
// copies out of a closing region, constants. Written from the memory layer's contract; nothing in it is Skip's.
//
// An object is addressed by its first byte of data. In front of a class instance stands one word, its vtable; in front of an array
// a word with the length in its upper half, then the vtable; in front of a string a word with the size in its upper half and, in
// its lower, a hash whose bit 1 is set, which tells it from a vtable. A persistent object has its reference count in front of all
// that.
#ifndef MINI_RUNTIME_H
#define MINI_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cistern_skip.h"

// What the memory layer reads of it: the kind at byte 1, the user size at byte 8.
typedef struct mini_type {
  uint8_t has_references;
  uint8_t kind;  // 0 class, 1 array
  uint8_t unused[2];
  uint16_t header_byte_count;
  uint16_t unused_too;
  uint64_t user_byte_count;  // of an instance, or of one element
  uint64_t padding;
  uint64_t reference_mask;   // a bit for each word that may be a reference
} mini_type;

typedef struct mini_vtable {
  const mini_type *_Nonnull type;
  uint64_t reserved;
} mini_vtable;

// A tree node: two references, a number, and a reference to a string.
typedef struct mini_node {
  void *_Nullable left;
  void *_Nullable right;
  uint64_t number;
  void *_Nullable name;
} mini_node;

extern const mini_vtable mini_node_vtable;     // class mini_node
extern const mini_vtable mini_bytes_vtable;    // array of 8-byte numbers without references
extern const mini_vtable mini_objects_vtable;  // array of references

// In the thread's current region. Arrays are zero-filled.
mini_node *_Nonnull mini_new_node(uint64_t number);
void *_Nonnull mini_new_array(const mini_vtable *_Nonnull vtable, uint32_t length);
char *_Nonnull mini_new_string(const char *_Nonnull text, size_t byte_count);
uint32_t mini_array_length(const void *_Nonnull array);
uint32_t mini_string_size(const void *_Nonnull string);
bool mini_is_string(const void *_Nonnull object);

// A persistent copy of all that `object` reaches; what is persistent already gets one reference more. The result has one.
void *_Nullable mini_intern(void *_Nullable object);
// References to a persistent object.
uintptr_t sk_get_ref_count(void *_Nonnull object);
void sk_incr_ref_count(void *_Nonnull object);
// Takes one reference away, and frees what nobody refers to any more.
void mini_release(void *_Nullable object);

// A number that two graphs have in common only if they have the same shape and contents. Cycles are not for it.
uint64_t mini_digest(const void *_Nullable object);
// A tree of `count` nodes with strings, its shape and contents from `seed`; some nodes are shared.
mini_node *_Nullable mini_tree(uint32_t count, uint64_t seed);

// Start-up as a Skip program does it: SKIP_memory_init, a region, constants interned and listed in *pconsts, region closed.
void mini_start(int argc, char *_Nullable *_Nonnull argv);
// The same with a command line that says `--capacity` and this.
void mini_start_with_capacity(const char *_Nonnull capacity);
enum { MINI_CONSTANT_COUNT = 40 };
bool mini_constants_are_right(void);

// Ends the program with this code plus 100.
_Noreturn void SKIP_throw_cruntime(int32_t code);

#endif
