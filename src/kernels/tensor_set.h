/* A set of tensor ids, for the few that one kernel touches; on the heap only for large kernels. */
#ifndef NNM_KERNELS_TENSOR_SET_H
#define NNM_KERNELS_TENSOR_SET_H

#include <stdbool.h>
#include <stdlib.h>

#include "graph/graph.h"

enum { NNM_TENSOR_SET_SMALL = 128 };

typedef struct nnm_tensor_set {
  nnm_tensor_id small[NNM_TENSOR_SET_SMALL], *slots; /* id + 1; 0: free */
  size_t capacity;
} nnm_tensor_set;

/* Room for `count` tensors; false when memory runs out. */
static inline bool nnm_tensor_set_create(nnm_tensor_set *set, size_t count) {
  *set = (nnm_tensor_set){.capacity = NNM_TENSOR_SET_SMALL};
  while (set->capacity < count * 2) set->capacity *= 2;
  set->slots = set->capacity == NNM_TENSOR_SET_SMALL ? set->small : calloc(set->capacity, sizeof *set->slots);
  return set->slots != NULL;
}

static inline void nnm_tensor_set_free(nnm_tensor_set *set) {
  if (set->slots != set->small) free(set->slots);
}

/* false when it was there already. */
static inline bool nnm_tensor_set_add(nnm_tensor_set *set, nnm_tensor_id tensor) {
  size_t mask = set->capacity - 1, i = (uint32_t)tensor * UINT32_C(2654435761) >> 7 & mask;
  for (; set->slots[i]; i = (i + 1) & mask)
    if (set->slots[i] == tensor + 1) return false;
  set->slots[i] = tensor + 1;
  return true;
}

#endif
