/* One arena per model or prediction: many small allocations, one free. Not thread-safe.
 * Built with -Darena_debug=true every item is its own malloc, so that AddressSanitizer sees overruns. */
#ifndef NNM_BASE_ARENA_H
#define NNM_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct nnm_arena {
  struct nnm_arena_chunk *chunks;
  size_t used; /* bytes of the newest chunk */
} nnm_arena;

void nnm_arena_free(nnm_arena *arena); /* frees everything; the arena is empty and usable again */

/* Makes room for so many bytes in one piece; false when memory runs out. What is never used is never touched. */
bool nnm_arena_reserve(nnm_arena *arena, size_t bytes);

/* Zeroed memory for count items of size bytes, aligned for any type. NULL when memory runs out or count * size
 * overflows. count or size 0 gives a valid pointer. */
void *nnm_arena_alloc(nnm_arena *arena, size_t count, size_t size);

/* Copies; NULL when memory runs out. */
char *nnm_arena_text(nnm_arena *arena, const char *text, size_t length); /* adds the NUL */
void *nnm_arena_copy(nnm_arena *arena, const void *items, size_t count, size_t size);
char *nnm_arena_numbered(nnm_arena *arena, const char *text, size_t number); /* "text#3" */
char *nnm_arena_printf(nnm_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define NNM_ARENA_NEW(arena, type) ((type *)nnm_arena_alloc((arena), 1, sizeof(type)))
#define NNM_ARENA_ARRAY(arena, type, count) ((type *)nnm_arena_alloc((arena), (count), sizeof(type)))

#endif
