/* A growing array of items of one size. */
#ifndef NNM_BASE_STACK_H
#define NNM_BASE_STACK_H

#include <stddef.h>

#include "base/status.h"

typedef struct nnm_stack {
  void *items; /* malloc'ed; whoever owns the stack frees it */
  size_t count, item_size;
  size_t capacity; /* bytes */
} nnm_stack;

/* Good until the next push. */
#define NNM_STACK_ITEM(stack, type, index) (&((type *)(stack).items)[index])

/* Copies one item onto the end; item_size must be set. */
nnm_status nnm_stack_push(nnm_stack *stack, const void *item, nnm_error *error);

#endif
