/* Arithmetic on numbers that come from files: false on overflow, result untouched. */
#ifndef NNM_BASE_CHECKED_H
#define NNM_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool nnm_multiply_size(size_t a, size_t b, size_t *result) {
  return !__builtin_mul_overflow(a, b, result);
}
static inline bool nnm_add_size(size_t a, size_t b, size_t *result) { return !__builtin_add_overflow(a, b, result); }
static inline bool nnm_multiply_i64(int64_t a, int64_t b, int64_t *result) {
  return !__builtin_mul_overflow(a, b, result);
}
static inline bool nnm_add_i64(int64_t a, int64_t b, int64_t *result) { return !__builtin_add_overflow(a, b, result); }

/* Product of dims, each of which must be >= 0. */
bool nnm_multiply_dims(const int64_t *dims, size_t rank, int64_t *elements);

#endif
