#include "ir/ir.h"

#include <stdlib.h>

void nnm_ir_free(nnm_ir *ir) {
  if (!ir) return;
  json_decref(ir->document);
  nnm_strings_free(&ir->strings);
  nnm_arena_free(&ir->arena);
  free(ir);
}
