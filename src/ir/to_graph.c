/* A graph from nn-Meter IR, for our own mode. Two dialects are told apart: what TensorFlow's converter wrote stays
 * channels last with TensorFlow's attributes put into ONNX's words; what came from ONNX goes back to channels first, so
 * that axes and pads mean what they say and the same model gives the same kernels from either file. Weights are not in
 * the IR: convolutions and dense layers get INT attributes instead, as in benchmark graphs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "graph/builder.h"
#include "ir/ir.h"
#include "ir/translate.h"
#include "ops/ops.h"

/* ---------------------------------------------------------------- dialect */

static bool is_tensorflow(const nnm_ir *ir) {
  static const char *const types[] = {"Placeholder", "Const",    "Conv2D",         "DepthwiseConv2dNative",
                                      "BiasAdd",     "ConcatV2", "FusedBatchNorm", "FusedBatchNormV3",
                                      "Relu6",       "AvgPool"};
  static const char *const attributes[] = {"data_format", "padding", "ksize", "weight_shape"};
  for (size_t i = 0; i < ir->node_count; i++) {
    const nnm_ir_node *node = &ir->nodes[i];
    for (size_t k = 0; node->type && k < sizeof types / sizeof types[0]; k++)
      if (!strcmp(node->type, types[k])) return true;
    for (size_t k = 0; k < sizeof attributes / sizeof attributes[0]; k++)
      if (json_object_get(node->attributes, attributes[k])) return true;
  }
  return false;
}

/* ---------------------------------------------------------------- tensors */

nnm_status nnm_ir_shape_of(ir_translation *t, nnm_shape shape, nnm_shape *out) {
  *out = shape;
  if (shape.rank <= 0) return NNM_OK;
  int64_t *dims = nnm_arena_copy(t->arena, shape.dims, (size_t)shape.rank, sizeof *dims);
  if (!dims) return nnm_fail_memory(t->error);
  if (shape.rank == 4 && !t->tensorflow) {
    dims[1] = shape.dims[3];
    dims[2] = shape.dims[1];
    dims[3] = shape.dims[2];
  }
  for (int32_t i = 0; i < shape.rank; i++)
    if (dims[i] == 0) dims[i] = -1; /* how the old tool writes a size that is not fixed */
  out->dims = dims;
  return NNM_OK;
}

static nnm_status intern(ir_translation *t, const char *text, const char **out) {
  *out = nnm_graph_builder_intern(t->builder, text, strlen(text));
  return *out ? NNM_OK : nnm_fail_memory(t->error);
}

/* A name that no node of the IR has. */
static nnm_status free_name(ir_translation *t, nnm_text *text, const char **out) {
  while (!text->failed) {
    int32_t *node = nnm_strings_value(&t->ir->strings, text->data, text->length);
    if (!node) break;
    if (*node < 0) return intern(t, text->data, out);
    nnm_text_add(text, "'");
  }
  return nnm_fail_memory(t->error);
}

static nnm_status name_part(ir_translation *t, const char *name, size_t part, const char **out) {
  if (!part) return intern(t, name, out);
  nnm_text text = {0};
  nnm_text_printf(&text, "%s:%zu", name, part);
  nnm_status status = free_name(t, &text, out);
  nnm_text_free(&text);
  return status;
}

static nnm_status make_outputs(ir_translation *t, size_t index) {
  const nnm_ir_node *node = &t->ir->nodes[index];
  size_t count = node->output_shape_count ? node->output_shape_count : 1;
  nnm_tensor_id *outputs = NNM_ARENA_ARRAY(t->arena, nnm_tensor_id, count);
  if (!outputs) return nnm_fail_memory(t->error);
  for (size_t i = 0; i < count; i++) {
    const char *name;
    NNM_TRY(name_part(t, node->name, i, &name));
    NNM_TRY(nnm_graph_builder_tensor(t->builder, name, &outputs[i], t->error));
    if (i >= node->output_shape_count) continue;
    nnm_shape shape;
    NNM_TRY(nnm_ir_shape_of(t, node->output_shapes[i], &shape));
    NNM_TRY(
        nnm_graph_builder_declare(t->builder, outputs[i], NNM_DTYPE_UNKNOWN, shape.rank, shape.dims, NULL, t->error));
  }
  t->nodes[index].outputs = outputs;
  t->nodes[index].output_count = count;
  return NNM_OK;
}

/* A model input of the shape: readers of one shape share it, since the IR does not say which input they read; the
 * occurrence tells apart the inputs of one node. */
static nnm_status model_input(ir_translation *t, const nnm_shape *declared, size_t occurrence, nnm_tensor_id *out) {
  nnm_shape shape = {.rank = -1};
  if (declared) NNM_TRY(nnm_ir_shape_of(t, *declared, &shape));
  nnm_text text = {0};
  nnm_text_add(&text, "input");
  for (int32_t i = 0; i < shape.rank; i++) nnm_text_printf(&text, "%c%lld", i ? 'x' : ':', (long long)shape.dims[i]);
  if (occurrence) nnm_text_printf(&text, "#%zu", occurrence + 1);
  const char *name = NULL;
  nnm_status status = free_name(t, &text, &name);
  nnm_text_free(&text);
  NNM_TRY(status);
  *out = nnm_graph_builder_find_tensor(t->builder, name);
  if (*out >= 0) return NNM_OK;
  NNM_TRY(nnm_graph_builder_tensor(t->builder, name, out, t->error));
  NNM_TRY(nnm_graph_builder_declare(t->builder, *out, NNM_DTYPE_UNKNOWN, shape.rank, shape.dims, NULL, t->error));
  return nnm_graph_builder_input(t->builder, *out, t->error);
}

nnm_status nnm_ir_weight(ir_translation *t, const char *name, nnm_shape shape, nnm_tensor_id *out) {
  nnm_text text = {0};
  nnm_text_printf(&text, "%s:weight", name);
  const char *interned = NULL;
  nnm_status status = free_name(t, &text, &interned);
  nnm_text_free(&text);
  NNM_TRY(status);
  nnm_constant *constant = NNM_ARENA_NEW(t->arena, nnm_constant);
  if (!constant) return nnm_fail_memory(t->error);
  *constant = (nnm_constant){.dtype = NNM_DTYPE_F32, .rank = shape.rank, .dims = shape.dims};
  NNM_TRY(nnm_graph_builder_tensor(t->builder, interned, out, t->error));
  return nnm_graph_builder_weight(t->builder, *out, constant, t->error);
}

/* ----------------------------------------------------------------- inputs */

static bool same_shape(nnm_shape a, nnm_shape b) {
  if (a.rank != b.rank) return false;
  return a.rank <= 0 || !memcmp(a.dims, b.dims, (size_t)a.rank * sizeof *a.dims);
}

bool nnm_ir_is_joined(const ir_translation *t, size_t index) {
  const char *type = t->ir->nodes[index].type;
  return type && !strcmp(type, "Slice") && t->nodes[index].output_count > 1;
}

/* Which output of a producer a reader means is not said; the readers of equal ones take them in turn. */
static nnm_tensor_id choose_output(ir_translation *t, int32_t producer, const nnm_shape *wanted) {
  ir_graph_node *from = &t->nodes[producer];
  const nnm_ir_node *node = &t->ir->nodes[producer];
  from->is_read = true;
  if (from->output_count < 2) return from->outputs[0];
  if (nnm_ir_is_joined(t, (size_t)producer)) return from->outputs[0]; /* readers of the others name dropped nodes */
  size_t chosen = from->turn % from->output_count;
  for (size_t i = 0; wanted && i < from->output_count; i++) {
    size_t at = (from->turn + i) % from->output_count;
    if (!same_shape(node->output_shapes[at], *wanted)) continue;
    chosen = at;
    break;
  }
  from->turn = chosen + 1;
  return from->outputs[chosen];
}

static bool is_constant(const nnm_ir_node *node) { return node->type && !strcmp(node->type, "Const"); }

/* What a name stands for is not known: the node gets what its shapes say, as if from outside of the model. */
static void lose_inbound(ir_translation *t, const nnm_ir_node *node, const char *name) {
  if (t->lost.count++) return;
  t->lost.reader = node;
  t->lost.name = name;
}

/* The old converter drops weights and goes on naming them. */
static bool has_weights(const nnm_ir_node *node) {
  static const char *const types[] = {
      "BiasAdd", "Conv2D", "DepthwiseConv2dNative", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "MatMul"};
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (!strcmp(node->type, types[i])) return true;
  return false;
}

/* Inputs of a TensorFlow node: what it reads but for constants; what it names and is no node was a weight, when it may
 * have one and has its data. */
static nnm_status list_tensorflow_inputs(ir_translation *t, const nnm_ir_node *node, ir_inputs *out) {
  size_t unknown = 0;
  const char *name = NULL;
  for (size_t k = 0; k < node->inbound_count; k++) {
    int32_t producer = node->inbounds[k];
    if (producer < 0) {
      if (!unknown++) name = node->inbound_names[k];
      continue;
    }
    if (is_constant(&t->ir->nodes[producer])) {
      if (out->constant_count < IR_CONSTANTS) out->constants[out->constant_count++] = producer;
      continue;
    }
    const nnm_shape *wanted = out->count < node->input_shape_count ? &node->input_shapes[out->count] : NULL;
    out->items[out->count++] = choose_output(t, producer, wanted);
  }
  bool are_weights = out->count && out->count >= node->input_shape_count && has_weights(node);
  for (; unknown && !are_weights; unknown--) lose_inbound(t, node, name);
  if (out->count) return NNM_OK;
  return model_input(t, node->input_shape_count ? node->input_shapes : NULL, 0, &out->items[out->count++]);
}

static bool makes_shape(const nnm_ir_node *producer, nnm_shape wanted) {
  for (size_t i = 0; i < producer->output_shape_count; i++)
    if (same_shape(producer->output_shapes[i], wanted)) return true;
  return false;
}

/* The old converter keeps the first of several slices of a tensor and drops the others, but what made the tensor still
 * lists all of them as its readers: so the k-th name of no node there is the k-th output of the slice that is left.
 * Notes that, as -2 - (number of the link), at the name. */
static nnm_status link_dropped_slices(ir_translation *t) {
  size_t count = 0;
  for (size_t i = 0; i < t->ir->node_count; i++) count += t->ir->nodes[i].outbound_count;
  t->links = NNM_ARENA_ARRAY(t->arena, ir_slice_link, t->tensorflow ? 0 : count);
  if (!t->links) return nnm_fail_memory(t->error);
  for (size_t i = 0, used = 0; i < t->ir->node_count && !t->tensorflow; i++) {
    const nnm_ir_node *node = &t->ir->nodes[i];
    ir_slice_link link = {.node = -1};
    for (size_t k = 0; k < node->outbound_count; k++) {
      int32_t *reader = nnm_interned_value(node->outbound_names[k]);
      if (*reader >= 0 && link.node < 0 && nnm_ir_is_joined(t, (size_t)*reader)) link.node = *reader;
      if (*reader != -1 || link.node < 0 || ++link.part >= t->nodes[link.node].output_count) continue;
      t->links[used] = link;
      *reader = -2 - (int32_t)used++;
    }
  }
  return NNM_OK;
}

/* The output of a slice that a name of no node stands for; -1: of none. */
static nnm_tensor_id linked_output(ir_translation *t, const char *name) {
  int32_t link = -2 - *nnm_interned_value(name);
  if (link < 0) return -1;
  t->nodes[t->links[link].node].is_read = true;
  return t->nodes[t->links[link].node].outputs[t->links[link].part];
}

/* Inputs of an ONNX node: a shape for each; those that no inbound accounts for are inputs of the model, and so are those
 * whose producer the old converter has dropped. */
static nnm_status list_onnx_inputs(ir_translation *t, const nnm_ir_node *node, ir_inputs *out) {
  size_t at = 0, from_model = 0;
  for (size_t i = 0; i < node->input_shape_count; i++) {
    size_t shapes_left = node->input_shape_count - i, inbounds_left = node->inbound_count - at;
    int32_t producer = inbounds_left ? node->inbounds[at] : -1;
    bool fits = inbounds_left && (inbounds_left >= shapes_left || producer < 0 ||
                                  makes_shape(&t->ir->nodes[producer], node->input_shapes[i]));
    nnm_tensor_id linked = fits && producer < 0 ? linked_output(t, node->inbound_names[at]) : -1;
    if (fits && producer < 0 && linked < 0) lose_inbound(t, node, node->inbound_names[at]);
    if (fits) at++;
    if (linked >= 0) out->items[out->count++] = linked;
    else if (fits && producer >= 0) out->items[out->count++] = choose_output(t, producer, &node->input_shapes[i]);
    else NNM_TRY(model_input(t, &node->input_shapes[i], from_model++, &out->items[out->count++]));
  }
  for (; at < node->inbound_count; at++) {
    if (node->inbounds[at] >= 0) out->items[out->count++] = choose_output(t, node->inbounds[at], NULL);
    else lose_inbound(t, node, node->inbound_names[at]);
  }
  if (out->count) return NNM_OK;
  return model_input(t, NULL, 0, &out->items[out->count++]);
}

static nnm_status list_inputs(ir_translation *t, const nnm_ir_node *node, ir_inputs *out) {
  *out = (ir_inputs){.items = NNM_ARENA_ARRAY(t->arena, nnm_tensor_id,
                                              node->inbound_count + node->input_shape_count + IR_CONSTANTS + 1)};
  if (!out->items) return nnm_fail_memory(t->error);
  return t->tensorflow ? list_tensorflow_inputs(t, node, out) : list_onnx_inputs(t, node, out);
}

/* ------------------------------------------------------------------ nodes */

static nnm_op op_of(const ir_translation *t, const char *type) {
  nnm_op first = t->tensorflow ? nnm_op_of_tensorflow(type) : nnm_op_of_onnx("", type);
  if (first != NNM_OP_UNKNOWN) return first;
  return t->tensorflow ? nnm_op_of_onnx("", type) : nnm_op_of_tensorflow(type);
}

static nnm_status add_node(ir_translation *t, nnm_ir_node *ir_node, const nnm_node *node) {
  nnm_node_id id;
  NNM_TRY(nnm_graph_builder_node(t->builder, node, &id, t->error));
  ((nnm_node_id *)(uintptr_t)ir_node->graph_nodes)[ir_node->graph_node_count++] = id;
  return NNM_OK;
}

static nnm_status translate_node(ir_translation *t, size_t index) {
  nnm_ir_node *ir_node = &t->ir->nodes[index];
  ir_graph_node *made = &t->nodes[index];
  nnm_node node = {.layout = t->tensorflow ? NNM_CHANNELS_LAST : NNM_CHANNELS_FIRST,
                   .weight_layout = t->tensorflow ? NNM_WEIGHT_XIO : NNM_WEIGHT_OIX};
  NNM_TRY(intern(t, ir_node->name, &node.name));
  NNM_TRY(intern(t, ir_node->type ? ir_node->type : "", &node.type));
  NNM_TRY(intern(t, "", &node.domain));
  node.op = (int32_t)op_of(t, node.type);
  ir_inputs inputs;
  NNM_TRY(list_inputs(t, ir_node, &inputs));
  ir_attributes attributes = {.capacity = json_object_size(ir_node->attributes) + IR_OWN_ATTRIBUTES};
  attributes.items = NNM_ARENA_ARRAY(t->arena, nnm_attribute, attributes.capacity);
  if (!attributes.items) return nnm_fail_memory(t->error);
  NNM_TRY(nnm_ir_note_attributes(t, ir_node));
  NNM_TRY(nnm_ir_translate(t, ir_node, &inputs, &node, &attributes));
  node.inputs = inputs.items;
  node.input_count = (uint32_t)inputs.count;
  node.attributes = attributes.items;
  node.attribute_count = (uint32_t)attributes.count;
  bool joined = nnm_ir_is_joined(t, index) && node.op == NNM_OP_SLICE; /* as many slices again */
  ir_node->graph_node_count = 0;
  ir_node->graph_nodes = NNM_ARENA_ARRAY(&t->ir->arena, nnm_node_id, joined ? made->output_count : 1);
  if (!ir_node->graph_nodes) return nnm_fail_memory(t->error);
  node.output_count = joined ? 1 : (uint32_t)made->output_count;
  for (size_t i = 0; i < (joined ? made->output_count : 1); i++) {
    node.outputs = made->outputs + i;
    NNM_TRY(add_node(t, ir_node, &node));
  }
  return NNM_OK;
}

/* A placeholder is a model input; a constant stands where it is read; a node without a type says nothing. */
static nnm_status add_ir_node(ir_translation *t, size_t index) {
  nnm_ir_node *node = &t->ir->nodes[index];
  if (!node->type || is_constant(node)) {
    for (size_t i = 0; i < t->nodes[index].output_count; i++)
      NNM_TRY(nnm_graph_builder_weight(t->builder, t->nodes[index].outputs[i], NULL, t->error));
    return NNM_OK;
  }
  if (!strcmp(node->type, "Placeholder") && !node->inbound_count)
    return nnm_graph_builder_input(t->builder, t->nodes[index].outputs[0], t->error);
  return translate_node(t, index);
}

static nnm_status mark_outputs(ir_translation *t) {
  for (size_t i = 0; i < t->ir->node_count; i++) {
    const nnm_ir_node *node = &t->ir->nodes[i];
    if (t->nodes[i].is_read || !node->graph_node_count) continue;
    for (size_t k = 0; k < t->nodes[i].output_count; k++)
      NNM_TRY(nnm_graph_builder_output(t->builder, t->nodes[i].outputs[k], t->error));
  }
  return NNM_OK;
}

static nnm_status translate(ir_translation *t) {
  size_t count = t->ir->node_count;
  t->arena = nnm_graph_builder_arena(t->builder);
  t->tensorflow = is_tensorflow(t->ir);
  t->nodes = NNM_ARENA_ARRAY(t->arena, ir_graph_node, count);
  if (!t->nodes) return nnm_fail_memory(t->error);
  for (size_t i = 0; i < count; i++) NNM_TRY(make_outputs(t, i));
  NNM_TRY(link_dropped_slices(t));
  for (size_t i = 0; i < count; i++) NNM_TRY(add_ir_node(t, i));
  NNM_TRY(mark_outputs(t));
  return nnm_ir_note_losses(t);
}

nnm_status nnm_ir_to_graph(nnm_ir *ir, nnm_graph **out, nnm_error *error) {
  ir_translation t = {.ir = ir, .error = error};
  NNM_TRY(nnm_graph_builder_create("nnmeter-ir", &t.builder, error));
  nnm_status status = translate(&t);
  if (status == NNM_OK) return nnm_graph_builder_finish(t.builder, out, error);
  nnm_graph_builder_free(t.builder);
  return status;
}
