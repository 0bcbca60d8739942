#include "base/strings.h"

#include <stdlib.h>
#include <string.h>

typedef struct nnm_strings_slot {
  const char *text; /* NULL: empty */
  uint64_t hash;
} nnm_strings_slot;

/* What lies right before every text. */
typedef struct text_header {
  uint32_t length;
  int32_t value;
} text_header;

enum { FIRST_CAPACITY = 64, GROWTH = 4 };

static uint64_t word_at(const unsigned char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

/* Fewer than 8 bytes as a number; different bytes of one length give different numbers. */
static uint64_t short_word(const unsigned char *at, size_t size) {
  if (size >= 4) {
    uint32_t first, last;
    memcpy(&first, at, sizeof first);
    memcpy(&last, at + size - sizeof last, sizeof last);
    return first | (uint64_t)last << 32;
  }
  return size ? at[0] | (uint64_t)at[size / 2] << 8 | (uint64_t)at[size - 1] << 16 : 0;
}

static uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed) {
  const unsigned char *at = bytes, *end = at + size;
  uint64_t hash = (UINT64_C(0x9e3779b97f4a7c15) ^ size) + seed * UINT64_C(0xd6e8feb86659fd93);
  for (; end - at > 8; at += 8) {
    hash = (hash ^ word_at(at)) * UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 32;
  }
  hash = (hash ^ (size >= 8 ? word_at(end - 8) : short_word(at, size))) * UINT64_C(0xc4ceb9fe1a85ec53);
  hash = (hash ^ (hash >> 32)) * UINT64_C(0xff51afd7ed558ccd);
  return hash ^ (hash >> 32);
}

uint64_t nnm_hash_bytes(const void *bytes, size_t size) { return hash_bytes(bytes, size, 0); }

void nnm_strings_free(nnm_strings *strings) {
  free(strings->slots);
  strings->slots = NULL;
  strings->capacity = strings->count = 0;
}

static uint32_t length_of(const char *interned) { return ((const text_header *)(const void *)interned - 1)->length; }

static nnm_strings_slot *find_slot(const nnm_strings *strings, const char *text, size_t length, uint64_t hash) {
  for (size_t i = hash & (strings->capacity - 1);; i = (i + 1) & (strings->capacity - 1)) {
    nnm_strings_slot *slot = &strings->slots[i];
    if (!slot->text) return slot;
    if (slot->hash == hash && length_of(slot->text) == length && !memcmp(slot->text, text, length)) return slot;
  }
}

static int grow(nnm_strings *strings) {
  size_t capacity = strings->capacity ? strings->capacity * GROWTH : FIRST_CAPACITY;
  nnm_strings_slot *slots = calloc(capacity, sizeof *slots);
  if (!slots) return 0;
  for (size_t i = 0; i < strings->capacity; i++) {
    if (!strings->slots[i].text) continue;
    size_t at = strings->slots[i].hash & (capacity - 1);
    while (slots[at].text) at = (at + 1) & (capacity - 1);
    slots[at] = strings->slots[i];
  }
  free(strings->slots);
  strings->slots = slots;
  strings->capacity = capacity;
  return 1;
}

static const char *find_or_add(nnm_strings *strings, const char *text, size_t length) {
  if (length > UINT32_MAX || (strings->count * 4 >= strings->capacity * 3 && !grow(strings))) return NULL;
  /* names come from files that may have been made to collide: where memory lies is not known to who made them */
  uint64_t hash = hash_bytes(text, length, (uintptr_t)strings->arena);
  nnm_strings_slot *slot = find_slot(strings, text, length, hash);
  if (slot->text) return slot->text;
  text_header *header = nnm_arena_alloc(strings->arena, sizeof *header + length + 1, 1);
  if (!header) return NULL;
  *header = (text_header){(uint32_t)length, -1};
  char *copy = (char *)(header + 1);
  if (length) memcpy(copy, text, length);
  *slot = (nnm_strings_slot){copy, hash};
  strings->count++;
  return copy;
}

const char *nnm_intern(nnm_strings *strings, const char *text, size_t length) {
  return find_or_add(strings, text, length);
}

int32_t *nnm_strings_value(nnm_strings *strings, const char *text, size_t length) {
  const char *interned = find_or_add(strings, text, length);
  return interned ? nnm_interned_value(interned) : NULL;
}
