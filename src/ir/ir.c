#include "ir/ir.h"

#include <stdlib.h>

void nnm_ir_free(nnm_ir *ir) {
  if (!ir) return;
  json_decref(ir->document);
  nnm_strings_free(&ir->strings);
  nnm_arena_free(&ir->arena);
  free(ir);
}

bool nnm_ir_integers(const nnm_ir_node *node, const char *name, int64_t *out, size_t capacity, size_t *count) {
  const json_t *value = json_object_get(node->attributes, name);
  if (json_is_integer(value) && capacity > 0) {
    out[0] = json_integer_value(value);
    *count = 1;
    return true;
  }
  if (!json_is_array(value) || json_array_size(value) > capacity) return false;
  for (size_t i = 0; i < json_array_size(value); i++) {
    const json_t *item = json_array_get(value, i);
    if (!json_is_integer(item)) return false;
    out[i] = json_integer_value(item);
  }
  *count = json_array_size(value);
  return true;
}
