#include "base/stack.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ITEMS = 64 };

nnm_status nnm_stack_push(nnm_stack *stack, const void *item, nnm_error *error) {
  size_t needed = (stack->count + 1) * stack->item_size;
  if (needed > stack->capacity) {
    size_t capacity = stack->capacity ? stack->capacity * 2 : FIRST_ITEMS * stack->item_size;
    void *items = realloc(stack->items, capacity);
    if (!items) return nnm_fail_memory(error);
    stack->items = items;
    stack->capacity = capacity;
  }
  memcpy((char *)stack->items + stack->count++ * stack->item_size, item, stack->item_size);
  return NNM_OK;
}
