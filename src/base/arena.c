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

#ifdef NNM_ARENA_DEBUG
enum { FIRST_CHUNK = 0, LARGEST_CHUNK = 0 };
#else
enum { FIRST_CHUNK = 1 << 14, LARGEST_CHUNK = 1 << 22 };
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
  nnm_arena_chunk *chunk = malloc(sizeof *chunk + capacity); /* zeroed piece by piece, as it is handed out */
  if (!chunk) return NULL;
  chunk->capacity = capacity;
  chunk->next = arena->chunks;
  arena->chunks = chunk;
  arena->used = 0;
  return chunk;
}

void *nnm_arena_alloc(nnm_arena *arena, size_t count, size_t size) {
  size_t bytes;
  if (!nnm_multiply_size(count, size, &bytes) || bytes > SIZE_MAX / 2) return NULL;
#ifndef NNM_ARENA_DEBUG
  const size_t alignment = _Alignof(max_align_t);
  bytes = (bytes + alignment - 1) / alignment * alignment;
#endif
  nnm_arena_chunk *chunk = arena->chunks;
#ifdef NNM_ARENA_DEBUG
  chunk = NULL;
#endif
  if (!chunk || chunk->capacity - arena->used < bytes) {
    chunk = add_chunk(arena, bytes);
    if (!chunk) return NULL;
  }
  void *item = chunk->data + arena->used;
  arena->used += bytes;
  return memset(item, 0, bytes);
}

char *nnm_arena_text(nnm_arena *arena, const char *text, size_t length) {
  char *copy = nnm_arena_alloc(arena, length + 1, 1);
  if (copy && length) memcpy(copy, text, length);
  return copy;
}

void *nnm_arena_copy(nnm_arena *arena, const void *items, size_t count, size_t size) {
  void *copy = nnm_arena_alloc(arena, count, size);
  if (copy && count && size) memcpy(copy, items, count * size);
  return copy;
}

char *nnm_arena_printf(nnm_arena *arena, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *text = length < 0 ? NULL : nnm_arena_alloc(arena, (size_t)length + 1, 1);
  if (text) vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}
