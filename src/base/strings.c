#include "base/strings.h"

#include <stdlib.h>
#include <string.h>

typedef struct nnm_strings_slot {
  const char *text; /* NULL: empty; its value lies right before it */
  size_t length;
  uint64_t hash;
} nnm_strings_slot;

static uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed) {
  const unsigned char *at = bytes;
  uint64_t hash = (UINT64_C(0x9e3779b97f4a7c15) ^ size) + seed * UINT64_C(0xd6e8feb86659fd93);
  while (size >= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 32;
    at += 8, size -= 8;
  }
  uint64_t tail = 0;
  if (size) memcpy(&tail, at, size);
  hash = (hash ^ tail) * UINT64_C(0xc4ceb9fe1a85ec53);
  hash = (hash ^ (hash >> 32)) * UINT64_C(0xff51afd7ed558ccd);
  return hash ^ (hash >> 32);
}

uint64_t nnm_hash_bytes(const void *bytes, size_t size) { return hash_bytes(bytes, size, 0); }

void nnm_strings_free(nnm_strings *strings) {
  free(strings->slots);
  strings->slots = NULL;
  strings->capacity = strings->count = 0;
}

static nnm_strings_slot *find_slot(nnm_strings_slot *slots, size_t capacity, const char *text, size_t length,
                                   uint64_t hash) {
  for (size_t i = hash & (capacity - 1);; i = (i + 1) & (capacity - 1)) {
    nnm_strings_slot *slot = &slots[i];
    if (!slot->text) return slot;
    if (slot->hash == hash && slot->length == length && !memcmp(slot->text, text, length)) return slot;
  }
}

static int grow(nnm_strings *strings) {
  size_t capacity = strings->capacity ? strings->capacity * 2 : 256;
  nnm_strings_slot *slots = calloc(capacity, sizeof *slots);
  if (!slots) return 0;
  for (size_t i = 0; i < strings->capacity; i++) {
    nnm_strings_slot *old = &strings->slots[i];
    if (old->text) *find_slot(slots, capacity, old->text, old->length, old->hash) = *old;
  }
  free(strings->slots);
  strings->slots = slots;
  strings->capacity = capacity;
  return 1;
}

static nnm_strings_slot *find_or_add(nnm_strings *strings, const char *text, size_t length) {
  const char *end = length ? memchr(text, '\0', length) : NULL;
  if (end) length = (size_t)(end - text);
  if (strings->count * 2 >= strings->capacity && !grow(strings)) return NULL;
  /* names come from files that may have been made to collide: where memory lies is not known to who made them */
  uint64_t hash = hash_bytes(text, length, (uintptr_t)strings->arena);
  nnm_strings_slot *slot = find_slot(strings->slots, strings->capacity, text, length, hash);
  if (slot->text) return slot;
  int32_t *value = nnm_arena_alloc(strings->arena, sizeof *value + length + 1, 1);
  if (!value) return NULL;
  *value = -1;
  char *copy = (char *)(value + 1);
  if (length) memcpy(copy, text, length);
  *slot = (nnm_strings_slot){copy, length, hash};
  strings->count++;
  return slot;
}

const char *nnm_intern(nnm_strings *strings, const char *text, size_t length) {
  nnm_strings_slot *slot = find_or_add(strings, text, length);
  return slot ? slot->text : NULL;
}

int32_t *nnm_strings_value(nnm_strings *strings, const char *text, size_t length) {
  nnm_strings_slot *slot = find_or_add(strings, text, length);
  return slot ? nnm_interned_value(slot->text) : NULL;
}
