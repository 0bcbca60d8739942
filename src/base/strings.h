/* Interned strings: equal texts share one address, so names compare by pointer and cost nothing to keep. */
#ifndef NNM_BASE_STRINGS_H
#define NNM_BASE_STRINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct nnm_strings {
  nnm_arena *arena; /* owns the texts; must be set before use */
  struct nnm_strings_slot *slots;
  size_t capacity, count;
} nnm_strings;

void nnm_strings_free(nnm_strings *strings); /* frees the table; the texts belong to the arena */

/* The one copy of text, NUL-terminated; text itself need not be. A NUL inside makes it another text, though it shows as
 * far as there only: readers refuse such names. NULL when memory runs out. */
const char *nnm_intern(nnm_strings *strings, const char *text, size_t length);

/* A number attached to an interned text, for maps from names to ids. New texts start at -1. The place lives as long as
 * the arena. NULL when memory runs out. */
int32_t *nnm_strings_value(nnm_strings *strings, const char *text, size_t length);

/* The same for a text that came from nnm_intern, without looking it up. No other text will do. */
static inline int32_t *nnm_interned_value(const char *interned) { return (int32_t *)(uintptr_t)interned - 1; }

uint64_t nnm_hash_bytes(const void *bytes, size_t size); /* well mixed; not against chosen collisions */

#endif
