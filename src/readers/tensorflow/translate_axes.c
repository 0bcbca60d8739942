/* Operators whose axes, sizes and counts TensorFlow gives as inputs and ONNX as attributes; copies. */
#include <string.h>

#include "base/limits.h"
#include "ops/ops.h"
#include "readers/tensorflow/tensorflow.h"

static nnm_status constant_int(tf_translation *x, uint32_t input, bool *found, int64_t *out) {
  const nnm_constant *constant;
  NNM_TRY(nnm_tf_input_constant(x, input, &constant));
  *found = constant && nnm_constant_int(constant, 0, out);
  return NNM_OK;
}

/* An axis that only shows when the model runs: what is assumed is told. */
static nnm_status put_axis(tf_translation *x, uint32_t input, int64_t otherwise) {
  int64_t axis = otherwise;
  bool found;
  NNM_TRY(constant_int(x, input, &found, &axis));
  if (!found)
    NNM_TRY(nnm_graph_builder_note(x->reader->builder, x->reader->file.error,
                                   "the axis of %.60s '%.120s' is known only when the model runs; %lld assumed",
                                   x->node.type, x->node.name, (long long)axis));
  return nnm_tf_put_int(x, "axis", axis);
}

/* Outputs of a node that says how many it has. */
static void set_output_count(tf_translation *x, int64_t count) {
  if (count > 0 && count <= NNM_LIMIT_NODE_PORTS) x->node.output_count = (uint32_t)count;
}

nnm_status nnm_tf_translate_concat_last(tf_translation *x) {
  uint32_t count = x->node.input_count;
  if (!count) return NNM_OK;
  NNM_TRY(put_axis(x, count - 1, -1));
  nnm_tf_keep_inputs(x, 0, count - 1);
  return NNM_OK;
}

nnm_status nnm_tf_translate_concat_first(tf_translation *x) {
  NNM_TRY(put_axis(x, 0, -1));
  nnm_tf_keep_inputs(x, 1, x->node.input_count);
  return NNM_OK;
}

nnm_status nnm_tf_translate_split(tf_translation *x) {
  set_output_count(x, nnm_tf_int(x, "num_split", 1));
  NNM_TRY(put_axis(x, 0, -1));
  nnm_tf_keep_inputs(x, 1, 1);
  return NNM_OK;
}

/* Sizes may have one -1, which stands for the rest: a list in an attribute cannot tell it. */
nnm_status nnm_tf_translate_split_sizes(tf_translation *x) {
  set_output_count(x, nnm_tf_int(x, "num_split", 1));
  NNM_TRY(put_axis(x, 2, -1));
  nnm_tf_keep_inputs(x, 0, 2);
  return NNM_OK;
}

nnm_status nnm_tf_translate_unpack(tf_translation *x) {
  set_output_count(x, nnm_tf_int(x, "num", 1));
  return NNM_OK;
}

nnm_status nnm_tf_translate_as_many_outputs(tf_translation *x) {
  set_output_count(x, x->node.input_count);
  return NNM_OK;
}

nnm_status nnm_tf_translate_reduce(tf_translation *x) {
  return nnm_tf_put_int(x, "keepdims", nnm_tf_int(x, "keep_dims", 0));
}

nnm_status nnm_tf_translate_arg_reduce(tf_translation *x) {
  NNM_TRY(put_axis(x, 1, 0));
  nnm_tf_keep_inputs(x, 0, 1);
  return nnm_tf_put_int(x, "keepdims", 0);
}

nnm_status nnm_tf_translate_cumulative(tf_translation *x) { return put_axis(x, 1, 0); }

nnm_status nnm_tf_translate_gather(tf_translation *x) {
  if (x->node.input_count > 2) NNM_TRY(put_axis(x, 2, 0));
  nnm_tf_keep_inputs(x, 0, 2);
  return NNM_OK;
}

/* A variable is read where it is gathered from; axis and batch are one. */
nnm_status nnm_tf_translate_resource_gather(tf_translation *x) {
  return nnm_tf_put_int(x, "axis", nnm_tf_int(x, "batch_dims", 0));
}

nnm_status nnm_tf_translate_reshape(tf_translation *x) { return nnm_tf_put_int(x, "allowzero", 1); }

nnm_status nnm_tf_translate_cast(tf_translation *x) {
  return nnm_tf_put_int(x, "to", nnm_tf_onnx_type((uint64_t)nnm_tf_int(x, "DstT", 0)));
}

nnm_status nnm_tf_translate_first_input(tf_translation *x) {
  nnm_tf_keep_inputs(x, 0, 1);
  return NNM_OK;
}

nnm_status nnm_tf_translate_pad(tf_translation *x) {
  nnm_tf_keep_inputs(x, 0, 2);
  return NNM_OK;
}

/* A constant order, as kernel detection looks for it. */
nnm_status nnm_tf_translate_transpose(tf_translation *x) {
  const nnm_constant *constant;
  int64_t order[NNM_LIMIT_RANK];
  size_t count = 0;
  NNM_TRY(nnm_tf_input_constant(x, 1, &constant));
  while (constant && count < NNM_LIMIT_RANK && nnm_constant_int(constant, count, &order[count])) count++;
  if (!count) return NNM_OK;
  nnm_tf_keep_inputs(x, 0, 1);
  return nnm_tf_put_ints(x, "perm", order, count);
}

/* Begin and size as constants: a slice as ONNX has it. */
nnm_status nnm_tf_translate_slice(tf_translation *x) {
  const nnm_constant *begin, *size;
  int64_t starts[NNM_LIMIT_RANK], ends[NNM_LIMIT_RANK], length;
  size_t count = 0;
  NNM_TRY(nnm_tf_input_constant(x, 1, &begin));
  NNM_TRY(nnm_tf_input_constant(x, 2, &size));
  for (; begin && size && count < NNM_LIMIT_RANK; count++) {
    if (!nnm_constant_int(begin, count, &starts[count]) || !nnm_constant_int(size, count, &length)) break;
    if (length == -1) ends[count] = INT64_MAX;
    else if (__builtin_add_overflow(starts[count], length, &ends[count])) break;
  }
  if (!count) return NNM_OK; /* computed when the model runs, or from shapes: the rule for that takes the inputs */
  x->node.op = NNM_OP_SLICE;
  nnm_tf_keep_inputs(x, 0, 1);
  NNM_TRY(nnm_tf_put_ints(x, "starts", starts, count));
  return nnm_tf_put_ints(x, "ends", ends, count);
}

/* ------------------------------------------------------------------ copies */

static nnm_status add_copy(tf_translation *x, nnm_tensor_id from, uint32_t port) {
  nnm_tensor_id to;
  NNM_TRY(nnm_tf_tensor_of(x->reader, x->instance, x->index, port, &to));
  nnm_node node = x->node;
  node.op = NNM_OP_IDENTITY;
  node.inputs = &from;
  node.outputs = &to;
  node.input_count = node.output_count = 1;
  return nnm_tf_add_node(x, &node);
}

/* Output i is input i. */
nnm_status nnm_tf_translate_identities(tf_translation *x) {
  x->emitted = true;
  for (uint32_t i = 0; i < x->node.input_count; i++) NNM_TRY(add_copy(x, x->node.inputs[i], i));
  return NNM_OK;
}

/* Both outputs are the data: which one goes on depends on the condition. */
nnm_status nnm_tf_translate_switch(tf_translation *x) {
  uint32_t asked = x->instance->output_count[x->index];
  x->emitted = true;
  if (!x->node.input_count) return NNM_OK;
  x->reader->branches++;
  nnm_tensor_id data = x->node.inputs[0];
  for (uint32_t i = 0; i < asked && i < 2; i++) NNM_TRY(add_copy(x, data, i));
  return NNM_OK;
}

/* The first input that does not come from the turn before. */
nnm_status nnm_tf_translate_merge(tf_translation *x) {
  nnm_tensor_id chosen = -1;
  for (uint32_t i = 0; i < x->from->edge_count; i++) {
    tf_port port;
    NNM_TRY(nnm_tf_follow(x->reader, x->instance, nnm_tf_edge_of(x->reader, x->instance, x->index, i), false, &port));
    const char *type = port.instance->body->nodes[port.node].type;
    if (!strcmp(type, "NextIteration") || !strcmp(type, "RefNextIteration")) x->reader->loops++;
    else if (chosen < 0) chosen = x->node.inputs[i];
  }
  x->emitted = true;
  if (chosen < 0)
    return nnm_fail(x->reader->file.error, NNM_ERROR_GRAPH, x->node.name,
                    "starts from nothing but its own turn; export the model again");
  NNM_TRY(add_copy(x, chosen, 0));
  nnm_tensor_id which; /* the number of the input that came */
  NNM_TRY(nnm_tf_tensor_of(x->reader, x->instance, x->index, 1, &which));
  nnm_attribute value = {.name = x->reader->empty, .kind = NNM_ATTRIBUTE_INT};
  nnm_node node = x->node;
  node.op = NNM_OP_CONSTANT;
  node.input_count = 0;
  node.outputs = &which;
  node.output_count = 1;
  node.attributes = &value;
  node.attribute_count = 1;
  return nnm_tf_add_node(x, &node);
}

/* ------------------------------------------------------------------ others */

/* SpaceToBatch and BatchToSpace of TensorFlow 1 have one block size, as an attribute. */
nnm_status nnm_tf_translate_old_blocks(tf_translation *x) {
  int64_t *dims = NNM_ARENA_ARRAY(x->reader->graph_arena, int64_t, 1);
  int64_t *block = NNM_ARENA_ARRAY(x->reader->graph_arena, int64_t, 2);
  nnm_constant *constant = NNM_ARENA_NEW(x->reader->graph_arena, nnm_constant);
  nnm_tensor_id inputs[3], *ids = x->reader->inputs.items;
  if (!dims || !block || !constant) return nnm_fail_memory(x->reader->file.error);
  if (x->node.input_count != 2) return NNM_OK;
  dims[0] = 2;
  block[0] = block[1] = nnm_tf_int(x, "block_size", 1);
  *constant = (nnm_constant){NNM_DTYPE_I64, 1, dims, (const unsigned char *)block, 2 * sizeof *block, false};
  x->node.op = !strcmp(x->node.type, "SpaceToBatch") ? NNM_OP_SPACE_TO_BATCH : NNM_OP_BATCH_TO_SPACE;
  NNM_TRY(nnm_tf_new_tensor(x, "/block", &inputs[1]));
  NNM_TRY(nnm_graph_builder_weight(x->reader->builder, inputs[1], constant, x->reader->file.error));
  inputs[0] = ids[0];
  inputs[2] = ids[1];
  x->reader->inputs.count = 0;
  for (int i = 0; i < 3; i++) NNM_TRY(nnm_stack_push(&x->reader->inputs, &inputs[i], x->reader->file.error));
  x->node.inputs = x->reader->inputs.items;
  x->node.input_count = 3;
  return NNM_OK;
}

/* A list without its last item, and that item. */
nnm_status nnm_tf_translate_pop_item(tf_translation *x) {
  nnm_tensor_id item;
  x->emitted = true;
  if (!x->node.input_count) return NNM_OK;
  NNM_TRY(add_copy(x, x->node.inputs[0], 0));
  NNM_TRY(nnm_tf_tensor_of(x->reader, x->instance, x->index, 1, &item));
  nnm_tensor_id inputs[3] = {x->node.inputs[0], -1, x->node.input_count > 1 ? x->node.inputs[1] : -1};
  nnm_node node = x->node;
  node.inputs = inputs;
  node.input_count = 3;
  node.outputs = &item;
  node.output_count = 1;
  return nnm_tf_add_node(x, &node);
}

/* Of a table only the types of what it holds are known. */
nnm_status nnm_tf_translate_table_find(tf_translation *x) {
  nnm_tf_keep_inputs(x, 0, 3);
  return NNM_OK;
}
