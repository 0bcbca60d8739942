#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

typedef struct nnm_arena_chunk {
  struct nnm_arena_chunk *next;
  size_t capacity; /* bytes in data */
  _Alignas(max_align_t) unsigned char data[];
} nnm_arena_chunk;

/* Items of up to ZEROED_AT_ONCE bytes, which most are, are zeroed by a few stores that reach over their end; a call that
 * knows where to stop costs more. */
#ifdef NNM_ARENA_DEBUG
enum { FIRST_CHUNK = 0, LARGEST_CHUNK = 0, ZEROED_AT_ONCE = 0 };
#else
enum { FIRST_CHUNK = 1 << 14, LARGEST_CHUNK = 1 << 22, ZEROED_AT_ONCE = 64 };
#endif

void nnm_arena_free(nnm_arena *arena) {
  nnm_arena_chunk *chunk = arena->chunks;
  while (chunk) {
    nnm_arena_chunk *next = chunk->next;
    free(chunk);
    chunk = next;
  }
  *arena = (nnm_arena){0};
}

static nnm_arena_chunk *add_chunk(nnm_arena *arena, size_t bytes) {
  size_t capacity = arena->chunks ? arena->chunks->capacity * 2 : FIRST_CHUNK;
  if (capacity > LARGEST_CHUNK) capacity = LARGEST_CHUNK;
  if (capacity < bytes) capacity = bytes;
  nnm_arena_chunk *chunk =
      malloc(sizeof *chunk + capacity + ZEROED_AT_ONCE); /* zeroed piece by piece, as it is handed out */
  if (!chunk) return NULL;
  chunk->capacity = capacity;
  chunk->next = arena->chunks;
  arena->chunks = chunk;
  arena->used = 0;
  return chunk;
}

bool nnm_arena_reserve(nnm_arena *arena, size_t bytes) {
#ifdef NNM_ARENA_DEBUG
  (void)arena, (void)bytes;
  return true;
#else
  return add_chunk(arena, bytes) != NULL;
#endif
}

/* Room for count items of size bytes, not zeroed; *bytes is what they take. */
static void *take(nnm_arena *arena, size_t count, size_t size, size_t *bytes) {
  if (!nnm_multiply_size(count, size, bytes) || *bytes > SIZE_MAX / 2) return NULL;
#ifdef NNM_ARENA_DEBUG
  nnm_arena_chunk *chunk = NULL;
#else
  const size_t alignment = _Alignof(max_align_t);
  *bytes = (*bytes + alignment - 1) / alignment * alignment;
  nnm_arena_chunk *chunk = arena->chunks;
#endif
  if (!chunk || chunk->capacity - arena->used < *bytes) {
    chunk = add_chunk(arena, *bytes);
    if (!chunk) return NULL;
  }
  void *item = chunk->data + arena->used;
  arena->used += *bytes;
  return item;
}

void *nnm_arena_alloc(nnm_arena *arena, size_t count, size_t size) {
  size_t bytes;
  void *item = take(arena, count, size, &bytes);
  if (!item) return NULL;
  return bytes <= ZEROED_AT_ONCE ? memset(item, 0, ZEROED_AT_ONCE) : memset(item, 0, bytes);
}

char *nnm_arena_text(nnm_arena *arena, const char *text, size_t length) {
  size_t bytes;
  char *copy = take(arena, length + 1, 1, &bytes);
  if (!copy) return NULL;
  if (length) memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

void *nnm_arena_copy(nnm_arena *arena, const void *items, size_t count, size_t size) {
  size_t bytes;
  void *copy = take(arena, count, size, &bytes);
  if (copy && count && size) memcpy(copy, items, count * size);
  return copy;
}

char *nnm_arena_numbered(nnm_arena *arena, const char *text, size_t number) {
  char tail[24]; /* '#', at most 20 digits, NUL */
  char *end = tail + sizeof tail - 1, *first = end;
  *end = '\0';
  do *--first = (char)('0' + number % 10);
  while (number /= 10);
  *--first = '#';
  size_t length = strlen(text), tail_size = (size_t)(end + 1 - first), bytes;
  char *copy = take(arena, length + tail_size, 1, &bytes);
  if (!copy) return NULL;
  memcpy(copy, text, length);
  memcpy(copy + length, first, tail_size);
  return copy;
}

char *nnm_arena_printf(nnm_arena *arena, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  /* it mostly fits into what is left */
  size_t room = arena->chunks ? arena->chunks->capacity - arena->used : 0, bytes;
  int length = vsnprintf(room ? (char *)arena->chunks->data + arena->used : NULL, room, format, arguments);
  va_end(arguments);
  char *text = length < 0 ? NULL : take(arena, (size_t)length + 1, 1, &bytes);
  if (text && (size_t)length >= room) vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}
