/* The hash behind the operator lookup tables: the generator that fills them at build time and the library that reads
 * them must agree on it. */
#ifndef NNM_OPS_LOOKUP_H
#define NNM_OPS_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

enum { NNM_OP_SLOTS = 2048 }; /* per table; a power of two, about three times the number of names */

/* FNV-1a. Pass the result back in to hash a text in pieces. */
static inline uint32_t nnm_op_hash(uint32_t hash, const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
  return hash;
}
#define NNM_OP_HASH_START 2166136261u

#endif
