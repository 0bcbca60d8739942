/* Runs at build time: prints the operators' names and the two hash tables (ONNX names, TensorFlow names) over
 * op_list.inc and op_synonyms.inc,
 * so that looking up an operator needs neither a search nor anything initialised at run time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lookup.h"

typedef struct entry {
  const char *name;
  const char *id;
} entry;

static const entry onnx_names[] = {
#define NNM_OP(id, onnx_name, tensorflow_name, shape_rule, work) {onnx_name, #id},
#include "op_list.inc"
#undef NNM_OP
};

static const entry tensorflow_names[] = {
#define NNM_OP(id, onnx_name, tensorflow_name, shape_rule, work) {tensorflow_name, #id},
#include "op_list.inc"
#undef NNM_OP
#define NNM_OP_SYNONYM(name, id) {name, #id},
#include "op_synonyms.inc"
#undef NNM_OP_SYNONYM
};

static void print_table(const char *table_name, const entry *entries, size_t count) {
  const entry *slots[NNM_OP_SLOTS] = {0};
  for (size_t i = 0; i < count; i++) {
    if (!entries[i].name) continue;
    uint32_t slot = nnm_op_hash(NNM_OP_HASH_START, entries[i].name, strlen(entries[i].name)) % NNM_OP_SLOTS;
    for (; slots[slot]; slot = (slot + 1) % NNM_OP_SLOTS)
      if (!strcmp(slots[slot]->name, entries[i].name)) {
        fprintf(stderr, "op_list.inc: '%s' is listed twice\n", entries[i].name);
        exit(1);
      }
    slots[slot] = &entries[i];
  }
  printf("static const lookup_slot %s[NNM_OP_SLOTS] = {\n", table_name);
  for (size_t slot = 0; slot < NNM_OP_SLOTS; slot++)
    if (slots[slot]) printf("  [%zu] = {\"%s\", NNM_OP_%s},\n", slot, slots[slot]->name, slots[slot]->id);
  printf("};\n");
}

/* One name for each operator, in the order of the list, then NULL. */
static void print_names(size_t count) {
  printf("static const char *const op_names[] = {\n");
  for (size_t i = 0; i < count; i++)
    printf("  \"%s\",\n", onnx_names[i].name ? onnx_names[i].name : tensorflow_names[i].name);
  printf("  NULL,\n};\n");
}

int main(void) {
  print_names(sizeof onnx_names / sizeof *onnx_names);
  print_table("onnx_slots", onnx_names, sizeof onnx_names / sizeof *onnx_names);
  print_table("tensorflow_slots", tensorflow_names, sizeof tensorflow_names / sizeof *tensorflow_names);
  return 0;
}
