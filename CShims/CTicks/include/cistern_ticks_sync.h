// The few words of a directory that are read or written without its lock, and the locks themselves.
//
// Protocol. A reader publishes (attach, acknowledge, cancel) by a store to its own record and a note; the sealing thread
// opens the next tick first, then takes all notes, then decides what is kept. An attaching reader publishes its pin and its
// note, then looks at the open tick again: if that is still the one it published, its note came before the seal's look.
// Each of the four accesses is sequentially consistent, so one of the two sees the other.
#ifndef CISTERN_TICKS_SYNC_H
#define CISTERN_TICKS_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "cistern_sync.h"
#include "cistern_ticks_layout.h"

static inline void cistern_directory_lock_acquire(cistern_directory *_Nonnull directory) { cistern_lock_acquire(&directory->lock); }
static inline void cistern_directory_lock_release(cistern_directory *_Nonnull directory) { cistern_lock_release(&directory->lock); }
static inline void cistern_readers_lock_acquire(cistern_directory *_Nonnull directory) {
  cistern_lock_acquire(&directory->readers_lock);
}
static inline void cistern_readers_lock_release(cistern_directory *_Nonnull directory) {
  cistern_lock_release(&directory->readers_lock);
}

static inline uint64_t cistern_open_tick_load(const cistern_directory *_Nonnull directory) {
  return __atomic_load_n(&directory->open, __ATOMIC_SEQ_CST);
}
static inline void cistern_open_tick_store(cistern_directory *_Nonnull directory, uint64_t tick) {
  __atomic_store_n(&directory->open, tick, __ATOMIC_SEQ_CST);
}

static inline uint64_t cistern_reader_acknowledged_load(const cistern_reader *_Nonnull reader) {
  return __atomic_load_n(&reader->acknowledged, __ATOMIC_ACQUIRE);
}
static inline void cistern_reader_acknowledged_store(cistern_reader *_Nonnull reader, uint64_t tick) {
  __atomic_store_n(&reader->acknowledged, tick, __ATOMIC_RELEASE);
}
// For attaching, where the order against the open tick counts.
static inline void cistern_reader_acknowledged_publish(cistern_reader *_Nonnull reader, uint64_t tick) {
  __atomic_store_n(&reader->acknowledged, tick, __ATOMIC_SEQ_CST);
}
static inline uint64_t cistern_reader_delivered_load(const cistern_reader *_Nonnull reader) {
  return __atomic_load_n(&reader->delivered, __ATOMIC_ACQUIRE);
}
static inline void cistern_reader_delivered_store(cistern_reader *_Nonnull reader, uint64_t tick) {
  __atomic_store_n(&reader->delivered, tick, __ATOMIC_RELEASE);
}
static inline uint64_t cistern_reader_stored_load(const cistern_reader *_Nonnull reader) {
  return __atomic_load_n(&reader->stored, __ATOMIC_ACQUIRE);
}
static inline void cistern_reader_stored_store(cistern_reader *_Nonnull reader, uint64_t tick) {
  __atomic_store_n(&reader->stored, tick, __ATOMIC_RELEASE);
}
static inline uint32_t cistern_reader_batch_serial_load(const cistern_reader *_Nonnull reader) {
  return __atomic_load_n(&reader->batch_serial, __ATOMIC_RELAXED);
}
static inline void cistern_reader_batch_serial_store(cistern_reader *_Nonnull reader, uint32_t serial) {
  __atomic_store_n(&reader->batch_serial, serial, __ATOMIC_RELAXED);
}
static inline uint32_t cistern_reader_state_load(const cistern_reader *_Nonnull reader) {
  return __atomic_load_n(&reader->state, __ATOMIC_ACQUIRE) & CISTERN_READER_STATE_MASK;
}
// False: the reader has been cancelled meanwhile; its state is as it was.
static inline bool cistern_reader_state_change(cistern_reader *_Nonnull reader, uint32_t state) {
  uint32_t found = __atomic_load_n(&reader->state, __ATOMIC_RELAXED);
  while ((found & CISTERN_READER_STATE_MASK) != CISTERN_READER_CANCELLED) {
    uint32_t changed = state | (found & CISTERN_READER_IS_NOTED);
    if (__atomic_compare_exchange_n(&reader->state, &found, changed, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return true;
  }
  return false;
}

// Sets bits of the state, and puts the reader on the list of those that the next boundary looks at, unless it is there. Once
// it is cancelled and on the list, the boundary may take its memory: the one step that cancels it is the last access of whoever
// finds it listed.
static inline void cistern_reader_note_with(
    cistern_directory *_Nonnull directory, cistern_reader *_Nonnull reader, uint64_t offset, uint32_t bits) {
  uint32_t before = __atomic_fetch_or(&reader->state, bits | CISTERN_READER_IS_NOTED, __ATOMIC_SEQ_CST);
  if ((before & CISTERN_READER_IS_NOTED) != 0) return;
  uint64_t head = __atomic_load_n(&directory->note_head, __ATOMIC_RELAXED);
  do {
    __atomic_store_n(&reader->note_next, head, __ATOMIC_RELAXED);
  } while (!__atomic_compare_exchange_n(&directory->note_head, &head, offset, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}
static inline void cistern_reader_note(cistern_directory *_Nonnull directory, cistern_reader *_Nonnull reader, uint64_t offset) {
  cistern_reader_note_with(directory, reader, offset, 0);
}
static inline void cistern_reader_cancel(cistern_directory *_Nonnull directory, cistern_reader *_Nonnull reader, uint64_t offset) {
  cistern_reader_note_with(directory, reader, offset, CISTERN_READER_CANCELLED);
}
// All notes, newest first; 0: none. Only the holder of the directory's lock takes them.
static inline uint64_t cistern_notes_take(cistern_directory *_Nonnull directory) {
  if (__atomic_load_n(&directory->note_head, __ATOMIC_SEQ_CST) == 0) return 0;
  return __atomic_exchange_n(&directory->note_head, 0, __ATOMIC_SEQ_CST);
}
static inline uint64_t cistern_note_next(const cistern_reader *_Nonnull reader) {
  return __atomic_load_n(&reader->note_next, __ATOMIC_RELAXED);
}
// Forgets the note, so that what the reader publishes from now on is noted anew, and answers the state that it had in the same
// step. One cancelled later is on the list again, and not taken away for this note.
static inline uint32_t cistern_note_forget(cistern_reader *_Nonnull reader) {
  return __atomic_fetch_and(&reader->state, ~(uint32_t)CISTERN_READER_IS_NOTED, __ATOMIC_SEQ_CST) & CISTERN_READER_STATE_MASK;
}

// The list of all readers. Offsets count from `base`, the heap's; byte_count is what the reader's block was asked for with.
static inline void cistern_reader_enter(cistern_directory *_Nonnull directory, uint64_t offset, uint64_t byte_count) {
  char *base = (char *)(uintptr_t)directory->base;
  cistern_reader *reader = (cistern_reader *)(base + offset);
  cistern_lock_acquire(&directory->readers_lock);
  directory->next_reader_serial = directory->next_reader_serial == UINT32_MAX ? 1 : directory->next_reader_serial + 1;
  reader->serial = directory->next_reader_serial;
  reader->next = directory->first_reader;
  if (reader->next != 0) ((cistern_reader *)(base + reader->next))->previous = offset;
  directory->first_reader = offset;
  __atomic_store_n(&directory->reader_count, directory->reader_count + 1, __ATOMIC_RELAXED);
  directory->reader_byte_count += byte_count;
  cistern_lock_release(&directory->readers_lock);
}
static inline void cistern_reader_leave(cistern_directory *_Nonnull directory, uint64_t offset, uint64_t byte_count) {
  char *base = (char *)(uintptr_t)directory->base;
  cistern_reader *reader = (cistern_reader *)(base + offset);
  cistern_lock_acquire(&directory->readers_lock);
  if (reader->previous != 0)
    ((cistern_reader *)(base + reader->previous))->next = reader->next;
  else
    directory->first_reader = reader->next;
  if (reader->next != 0) ((cistern_reader *)(base + reader->next))->previous = reader->previous;
  __atomic_store_n(&directory->reader_count, directory->reader_count - 1, __ATOMIC_RELAXED);
  directory->reader_byte_count -= byte_count;
  cistern_lock_release(&directory->readers_lock);
}
static inline uint64_t cistern_reader_count_load(const cistern_directory *_Nonnull directory) {
  return __atomic_load_n(&directory->reader_count, __ATOMIC_RELAXED);
}

// Says that a line will be needed soon.
static inline void cistern_prefetch(const void *_Nonnull address) { __builtin_prefetch(address, 1, 3); }

// 64 bits that an outsider cannot guess, for the hash of names and the identity of a directory.
uint64_t cistern_ticks_random(uint64_t salt);

#endif
