/* What a node becomes: its operator, and its inputs and attributes in the words that shape rules know. */
#include "readers/tensorflow/tensorflow.h"

#include <string.h>

#include "ops/ops.h"

/* ------------------------------------------------------------ for translations */

const nnm_attribute *nnm_tf_attribute(const tf_translation *x, const char *name) {
  const nnm_attribute *attributes = x->reader->attributes.items;
  for (size_t i = 0; i < x->reader->attributes.count; i++)
    if (!strcmp(attributes[i].name, name)) return &attributes[i];
  return NULL;
}

int64_t nnm_tf_int(const tf_translation *x, const char *name, int64_t otherwise) {
  const nnm_attribute *found = nnm_tf_attribute(x, name);
  return found && found->kind == NNM_ATTRIBUTE_INT ? found->as.integer : otherwise;
}

const char *nnm_tf_text(const tf_translation *x, const char *name, const char *otherwise) {
  const nnm_attribute *found = nnm_tf_attribute(x, name);
  return found && found->kind == NNM_ATTRIBUTE_TEXT ? found->as.text : otherwise;
}

const int64_t *nnm_tf_ints(const tf_translation *x, const char *name, size_t *count) {
  const nnm_attribute *found = nnm_tf_attribute(x, name);
  *count = found && found->kind == NNM_ATTRIBUTE_INTS ? found->count : 0;
  return *count ? found->as.integers : NULL;
}

nnm_status nnm_tf_put(tf_translation *x, const char *name, nnm_attribute attribute) {
  nnm_attribute *found = (nnm_attribute *)(uintptr_t)nnm_tf_attribute(x, name);
  attribute.name = nnm_graph_builder_intern(x->reader->builder, name, strlen(name));
  if (!attribute.name) return nnm_fail_memory(x->reader->file.error);
  if (!found) return nnm_stack_push(&x->reader->attributes, &attribute, x->reader->file.error);
  *found = attribute;
  return NNM_OK;
}

nnm_status nnm_tf_put_int(tf_translation *x, const char *name, int64_t value) {
  return nnm_tf_put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_INT, .as.integer = value});
}

nnm_status nnm_tf_put_ints(tf_translation *x, const char *name, const int64_t *values, size_t count) {
  const int64_t *copy = nnm_arena_copy(x->reader->graph_arena, values, count, sizeof *values);
  if (!copy) return nnm_fail_memory(x->reader->file.error);
  return nnm_tf_put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_INTS, .count = count, .as.integers = copy});
}

nnm_status nnm_tf_put_text(tf_translation *x, const char *name, const char *value) {
  const char *text = nnm_graph_builder_intern(x->reader->builder, value, strlen(value));
  if (!text) return nnm_fail_memory(x->reader->file.error);
  return nnm_tf_put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_TEXT, .as.text = text});
}

nnm_status nnm_tf_input_constant(tf_translation *x, uint32_t index, const nnm_constant **out) {
  tf_port port;
  nnm_constant *constant;
  *out = NULL;
  if (index >= x->from->edge_count) return NNM_OK;
  NNM_TRY(nnm_tf_follow(x->reader, x->instance, nnm_tf_edge_of(x->reader, x->instance, x->index, index), true, &port));
  const tf_node *node = &port.instance->body->nodes[port.node];
  if (node->kind != TF_CONSTANT || node->fed >= 0) return NNM_OK;
  NNM_TRY(nnm_tf_constant_of(x->reader, node, &constant));
  *out = constant;
  return NNM_OK;
}

void nnm_tf_keep_inputs(tf_translation *x, uint32_t first, uint32_t count) {
  uint32_t there = x->node.input_count > first ? x->node.input_count - first : 0;
  if (there && first) x->node.inputs += first;
  x->node.input_count = there < count ? there : count;
}

void nnm_tf_move_input(tf_translation *x, uint32_t from, uint32_t to) {
  nnm_tensor_id *ids = x->reader->inputs.items;
  if (from >= x->node.input_count || to >= x->node.input_count || x->node.inputs != ids) return;
  nnm_tensor_id moved = ids[from];
  if (from < to) memmove(ids + from, ids + from + 1, (to - from) * sizeof *ids);
  else memmove(ids + to + 1, ids + to, (from - to) * sizeof *ids);
  ids[to] = moved;
}

nnm_status nnm_tf_new_tensor(tf_translation *x, const char *suffix, nnm_tensor_id *out) {
  const char *name;
  NNM_TRY(nnm_tf_scoped_name(x->reader, x->instance, x->index, suffix, &name));
  return nnm_graph_builder_local_tensor(x->reader->builder, name, out, x->reader->file.error);
}

/* --------------------------------------------------------------------- any node */

static void set_layout(tf_translation *x) {
  const char *format = nnm_tf_text(x, "data_format", "");
  if (format[0] == 'N') x->reader->layout = format[1] == 'C' ? NNM_CHANNELS_FIRST : NNM_CHANNELS_LAST;
  x->node.layout = x->reader->layout;
  x->node.weight_layout = NNM_WEIGHT_XIO;
}

static uint32_t count_names(const char *names) {
  uint32_t count = names && *names ? 1 : 0;
  for (; names && *names; names++) count += *names == ',';
  return count;
}

nnm_status nnm_tf_translate(tf_translation *x) {
  const tf_op *row = x->from->row;
  x->node.op = row && row->op ? row->op : (int32_t)nnm_op_of_graph_def(x->node.type);
  x->node.output_count = row && row->outputs ? count_names(row->outputs) : x->node.op == NNM_OP_UNKNOWN ? 0 : 1;
  set_layout(x);
  return row && row->translate ? row->translate(x) : NNM_OK;
}
