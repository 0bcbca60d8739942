#include "ops/ops.h"

#include <string.h>

#include "ops/lookup.h"
#include "ops/rule.h"

typedef struct lookup_slot {
  const char *name; /* NULL: empty */
  uint16_t op;
} lookup_slot;

#include "op_lookup.inc" /* made by make_lookup.c */

static const struct {
  uint8_t work;
  nnm_shape_rule rule;
} descriptors[NNM_OP_COUNT] = {
    [NNM_OP_UNKNOWN] = {NNM_WORK_OTHER, NULL},
#define NNM_OP(id, onnx_name, tensorflow_name, shape_rule, work) \
  [NNM_OP_##id] = {NNM_WORK_##work, nnm_rule_##shape_rule},
#include "ops/op_list.inc"
#undef NNM_OP
};

const char *const *nnm_operator_names(void) { return op_names; }

/* Whether name is "domain.type", or "type" when there is no domain. */
static bool is_name(const char *name, const char *domain, size_t domain_length, const char *type) {
  if (!domain_length) return !strcmp(name, type);
  return !strncmp(name, domain, domain_length) && name[domain_length] == '.' && !strcmp(name + domain_length + 1, type);
}

static nnm_op look_up(const lookup_slot *slots, const char *domain, const char *type) {
  size_t domain_length = strlen(domain);
  uint32_t hash = nnm_op_hash(NNM_OP_HASH_START, domain, domain_length);
  if (domain_length) hash = nnm_op_hash(hash, ".", 1);
  hash = nnm_op_hash(hash, type, strlen(type));
  for (uint32_t slot = hash % NNM_OP_SLOTS; slots[slot].name; slot = (slot + 1) % NNM_OP_SLOTS)
    if (is_name(slots[slot].name, domain, domain_length, type)) return (nnm_op)slots[slot].op;
  return NNM_OP_UNKNOWN;
}

nnm_op nnm_op_of_onnx(const char *domain, const char *type) {
  /* A type with a dot in the standard domain would read like a qualified name; there is none. */
  if (!strcmp(domain, "ai.onnx")) domain = "";
  if (!*domain && strchr(type, '.')) return NNM_OP_UNKNOWN;
  return look_up(onnx_slots, domain, type);
}

nnm_op nnm_op_of_graph_def(const char *type) { return look_up(tensorflow_slots, "", type); }

nnm_op nnm_op_of_tensorflow(const char *type) {
  nnm_op op = look_up(tensorflow_slots, "", type);
  return op != NNM_OP_UNKNOWN ? op : nnm_op_of_onnx("", type);
}

/* Floats that are only stored short (TFLite's float16 weights) are widened once, when the model is loaded. */
static bool is_short_float(nnm_dtype dtype) { return dtype == NNM_DTYPE_F16 || dtype == NNM_DTYPE_BF16; }

nnm_dtype nnm_stored_dtype(const nnm_graph *graph, const nnm_shapes *shapes, nnm_tensor_id tensor) {
  enum { MOST_VIEWS = 8 };
  nnm_tensor_id at = tensor;
  for (int i = 0; i < MOST_VIEWS; i++) {
    nnm_node_id producer = graph->tensors[at].producer;
    if (producer < 0) break;
    const nnm_node *node = &graph->nodes[producer];
    if (!node->input_count || node->inputs[0] < 0) break;
    if (node->op == NNM_OP_DEQUANTIZE_LINEAR || node->op == NNM_OP_MS_DEQUANTIZE_LINEAR)
      return shapes->dtypes[is_short_float(shapes->dtypes[node->inputs[0]]) ? at : node->inputs[0]];
    if (nnm_op_work((nnm_op)node->op) != NNM_WORK_VIEW && node->op != NNM_OP_IDENTITY && node->op != NNM_OP_TRANSPOSE)
      break;
    at = node->inputs[0];
  }
  return shapes->dtypes[tensor];
}

static bool is_op(int32_t op) { return op > NNM_OP_UNKNOWN && op < NNM_OP_COUNT; }

const char *nnm_op_name(nnm_op op) { return is_op((int32_t)op) ? op_names[op - 1] : "custom operator"; }
nnm_work nnm_op_work(nnm_op op) { return (nnm_work)descriptors[is_op((int32_t)op) ? op : NNM_OP_UNKNOWN].work; }
nnm_shape_rule nnm_op_shape_rule(int32_t op) { return descriptors[is_op(op) ? op : NNM_OP_UNKNOWN].rule; }
