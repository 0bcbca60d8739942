/* Live nodes become nodes, inputs and weights of the graph, in the order of the file. */
#include <string.h>

#include "base/limits.h"
#include "ops/ops.h"
#include "readers/tensorflow/tensorflow.h"

nnm_status nnm_tf_scoped_name(tf_reader *reader, const tf_instance *instance, uint32_t index, const char *suffix,
                              const char **out) {
  const tf_node *node = &instance->body->nodes[index];
  reader->name.length = 0;
  nnm_text_add_bytes(&reader->name, instance->prefix, instance->prefix_length);
  nnm_text_add_bytes(&reader->name, node->name, node->name_length);
  nnm_text_add(&reader->name, suffix);
  if (reader->name.failed) return nnm_fail_memory(reader->file.error);
  NNM_TRY(nnm_wire_spend(&reader->file, reader->name.length / 8));
  *out = nnm_graph_builder_intern(reader->builder, reader->name.data, reader->name.length);
  return *out ? NNM_OK : nnm_fail_memory(reader->file.error);
}

/* ------------------------------------------------------- inputs and weights */

static nnm_status emit_constant(tf_reader *reader, tf_instance *instance, uint32_t index) {
  nnm_tensor_id tensor;
  nnm_constant *constant;
  NNM_TRY(nnm_tf_tensor_of(reader, instance, index, 0, &tensor));
  NNM_TRY(nnm_tf_constant_of(reader, &instance->body->nodes[index], &constant));
  return nnm_graph_builder_weight(reader->builder, tensor, constant, reader->file.error);
}

typedef struct declared_shape {
  int32_t rank; /* -1: unknown */
  const int64_t *dims;
  uint64_t type;
} declared_shape;

static nnm_status read_declared(tf_reader *reader, const tf_node *node, declared_shape *out) {
  nnm_wire_field field;
  bool found;
  *out = (declared_shape){.rank = -1};
  NNM_TRY(nnm_tf_find_attribute(reader, node, "dtype", &field, &found));
  if (found && field.number == VALUE_TYPE) out->type = field.value;
  NNM_TRY(nnm_tf_find_attribute(reader, node, "shape", &field, &found));
  return found && field.number == VALUE_SHAPE ? nnm_tf_read_shape(reader, &field, &out->rank, &out->dims) : NNM_OK;
}

static bool is_fixed(const declared_shape *shape) {
  for (int32_t i = 0; i < shape->rank; i++)
    if (shape->dims[i] < 0) return false;
  return shape->rank >= 0;
}

nnm_status nnm_tf_has_fixed_shape(tf_reader *reader, const tf_node *node, bool *fixed) {
  declared_shape shape;
  NNM_TRY(read_declared(reader, node, &shape));
  *fixed = is_fixed(&shape);
  return NNM_OK;
}

/* A variable's values lie in other files, which nobody needs. */
static nnm_status emit_variable(tf_reader *reader, tf_instance *instance, uint32_t index) {
  const tf_node *node = &instance->body->nodes[index];
  declared_shape shape;
  nnm_tensor_id tensor;
  NNM_TRY(read_declared(reader, node, &shape));
  NNM_TRY(nnm_tf_tensor_of(reader, instance, index, 0, &tensor));
  nnm_constant *constant = NNM_ARENA_NEW(reader->graph_arena, nnm_constant);
  if (!constant) return nnm_fail_memory(reader->file.error);
  *constant = (nnm_constant){nnm_tf_element_type(reader, shape.type), shape.rank, shape.dims, NULL, 0, false};
  return nnm_graph_builder_weight(reader->builder, tensor, is_fixed(&shape) ? constant : NULL, reader->file.error);
}

/* Below this version of the graph format an empty shape of a placeholder meant an unknown one. */
enum { FIRST_WITH_SCALARS = 24 };

static nnm_status emit_input(tf_reader *reader, tf_instance *instance, uint32_t index, uint32_t port) {
  const tf_node *node = &instance->body->nodes[index];
  const tf_signature_input *signature =
      node->fed >= 0 ? NNM_STACK_ITEM(reader->signature_inputs, tf_signature_input, node->fed) : NULL;
  declared_shape shape;
  nnm_tensor_id tensor;
  NNM_TRY(read_declared(reader, node, &shape));
  if (shape.rank == 0 && reader->producer < FIRST_WITH_SCALARS) shape.rank = -1;
  if (signature && signature->shape.size && (shape.rank < 0 || node->kind != TF_PLACEHOLDER))
    NNM_TRY(nnm_tf_read_shape(reader, &signature->shape, &shape.rank, &shape.dims));
  if (signature && signature->type) shape.type = signature->type;
  NNM_TRY(nnm_tf_tensor_of(reader, instance, index, port, &tensor));
  NNM_TRY(nnm_graph_builder_declare(reader->builder, tensor, nnm_tf_element_type(reader, shape.type), shape.rank,
                                    shape.dims, NULL, reader->file.error));
  return nnm_graph_builder_input(reader->builder, tensor, reader->file.error);
}

enum { INLINED_NODE_STEPS = 256 };

/* ------------------------------------------------------------------- nodes */

/* What the file declares of outputs ("_output_shapes"). */
static nnm_status declare_outputs(tf_reader *reader, const nnm_node *node, const nnm_wire_field *declared) {
  if (!declared->size) return NNM_OK;
  nnm_wire_message value = nnm_wire_open(&reader->file, &nnm_tf_value, declared->bytes, declared->size);
  nnm_wire_field list = {0}, item = {0};
  uint32_t output = 0;
  while (nnm_wire_next(&value, &list)) {
    if (list.number != VALUE_LIST) continue;
    nnm_wire_message items = nnm_wire_open(&reader->file, &nnm_tf_list, list.bytes, list.size);
    while (output < node->output_count && nnm_wire_next(&items, &item)) {
      if (item.number != VALUE_SHAPE) continue;
      int32_t rank;
      const int64_t *dims;
      NNM_TRY(nnm_tf_read_shape(reader, &item, &rank, &dims));
      nnm_tensor_id tensor = node->outputs[output++];
      if (tensor >= 0)
        NNM_TRY(nnm_graph_builder_declare(reader->builder, tensor, NNM_DTYPE_UNKNOWN, rank, dims, NULL,
                                          reader->file.error));
    }
    NNM_TRY(items.status);
  }
  return value.status;
}

static nnm_status push_inputs(tf_reader *reader, tf_instance *instance, uint32_t index) {
  const tf_node *node = &instance->body->nodes[index];
  for (uint32_t i = 0; i < node->edge_count; i++) {
    nnm_tensor_id tensor;
    NNM_TRY(nnm_tf_tensor_at(reader, instance, nnm_tf_edge_of(reader, instance, index, i), &tensor));
    NNM_TRY(nnm_stack_push(&reader->inputs, &tensor, reader->file.error));
  }
  return NNM_OK;
}

nnm_status nnm_tf_add_node(tf_translation *x, const nnm_node *node) {
  return nnm_graph_builder_node(x->reader->builder, node, NULL, x->reader->file.error);
}

static nnm_status push_outputs(tf_translation *x) {
  tf_reader *reader = x->reader;
  uint32_t count = x->instance->output_count[x->index];
  if (x->node.output_count > count) count = x->node.output_count;
  reader->outputs.count = 0;
  if (count) NNM_TRY(nnm_tf_make_room(reader, x->instance, x->index, count - 1));
  for (uint32_t i = 0; i < count; i++) {
    nnm_tensor_id tensor;
    NNM_TRY(nnm_tf_tensor_of(reader, x->instance, x->index, i, &tensor));
    NNM_TRY(nnm_stack_push(&reader->outputs, &tensor, reader->file.error));
  }
  x->node.outputs = reader->outputs.items;
  x->node.output_count = count;
  return NNM_OK;
}

/* Translations leave inputs out, and move them. */
static nnm_status keep_listed(tf_translation *x) {
  tf_reader *reader = x->reader;
  reader->listed.count = 0;
  for (size_t i = 0; i < reader->inputs.count; i++)
    NNM_TRY(nnm_stack_push(&reader->listed, NNM_STACK_ITEM(reader->inputs, nnm_tensor_id, i), reader->file.error));
  x->node.listed = reader->listed.items;
  x->node.listed_count = (uint32_t)reader->listed.count;
  return NNM_OK;
}

static nnm_status emit_node(tf_reader *reader, tf_instance *instance, uint32_t index) {
  const tf_node *from = &instance->body->nodes[index];
  nnm_wire_field declared;
  tf_translation x = {.reader = reader, .instance = instance, .from = from, .index = index};
  nnm_tensor_id first;
  x.node = (nnm_node){.type = from->type, .domain = reader->empty};
  NNM_TRY(nnm_wire_spend(&reader->file,
                         instance->caller ? INLINED_NODE_STEPS : 0)); /* what an inlined node's memory is worth */
  NNM_TRY(nnm_tf_scoped_name(reader, instance, index, "", &x.node.name));
  NNM_TRY(nnm_tf_tensor_of(reader, instance, index, 0, &first)); /* tensors are numbered in the order of the file */
  reader->inputs.count = reader->attributes.count = 0;
  NNM_TRY(push_inputs(reader, instance, index));
  NNM_TRY(nnm_tf_read_attributes(reader, from, &declared));
  x.node.inputs = reader->inputs.items;
  x.node.input_count = (uint32_t)reader->inputs.count;
  NNM_TRY(keep_listed(&x));
  NNM_TRY(nnm_tf_translate(&x));
  if (x.emitted) return NNM_OK;
  bool same =
      x.node.inputs == reader->inputs.items && x.node.input_count == x.node.listed_count &&
      (!x.node.input_count || !memcmp(x.node.inputs, x.node.listed, x.node.input_count * sizeof *x.node.inputs));
  if (same) x.node.listed = NULL;
  NNM_TRY(push_outputs(&x));
  NNM_TRY(declare_outputs(reader, &x.node, &declared));
  x.node.attributes = reader->attributes.items;
  x.node.attribute_count = (uint32_t)reader->attributes.count;
  return nnm_tf_add_node(&x, &x.node);
}

/* A call leaves no node behind, but in the graph itself its results keep the names that the file gives them: copies,
 * which cost nothing and which nobody reads. */
static nnm_status name_results(tf_reader *reader, tf_instance *instance, uint32_t index, const tf_instance *child) {
  nnm_node node = {
      .domain = reader->empty, .op = NNM_OP_IDENTITY, .layout = reader->layout, .input_count = 1, .output_count = 1};
  node.type = nnm_graph_builder_intern(reader->builder, "Identity", 8);
  if (!node.type) return nnm_fail_memory(reader->file.error);
  NNM_TRY(nnm_tf_scoped_name(reader, instance, index, "", &node.name));
  for (uint32_t port = 0; port < instance->output_count[index]; port++) {
    int32_t number = (int32_t)index;
    tf_edge edge = {.node = &number, .port = port};
    nnm_tensor_id from, to;
    if (port >= child->body->result_count || !child->result_live[port]) continue;
    NNM_TRY(nnm_tf_tensor_at(reader, instance, &edge, &from));
    NNM_TRY(nnm_tf_tensor_of(reader, instance, index, port, &to));
    node.inputs = &from;
    node.outputs = &to;
    NNM_TRY(nnm_graph_builder_node(reader->builder, &node, NULL, reader->file.error));
  }
  return NNM_OK;
}

static nnm_status emit_call(tf_reader *reader, tf_instance *instance, uint32_t index) {
  tf_instance *child;
  NNM_TRY(nnm_tf_children(reader, instance, index, &child));
  NNM_TRY(nnm_tf_emit(reader, child));
  return instance->caller ? NNM_OK : name_results(reader, instance, index, child);
}

static nnm_status emit_one(tf_reader *reader, tf_instance *instance, uint32_t index) {
  const tf_node *node = &instance->body->nodes[index];
  if (node->fed >= 0 || node->kind == TF_PLACEHOLDER) {
    for (uint32_t port = 0; port < instance->output_count[index]; port++)
      NNM_TRY(emit_input(reader, instance, index, port));
    return NNM_OK;
  }
  switch (node->kind) {
  case TF_ARGUMENT: return NNM_OK;
  case TF_CALL: return emit_call(reader, instance, index);
  case TF_CONSTANT: return emit_constant(reader, instance, index);
  case TF_VARIABLE: return emit_variable(reader, instance, index);
  case TF_IF: return nnm_tf_emit_if(reader, instance, index);
  case TF_WHILE: return nnm_tf_emit_while(reader, instance, index);
  default: return emit_node(reader, instance, index);
  }
}

nnm_status nnm_tf_emit(tf_reader *reader, tf_instance *instance) {
  for (uint32_t i = 0; i < instance->body->node_count; i++)
    if (instance->live[i]) NNM_TRY(emit_one(reader, instance, i));
  return NNM_OK;
}
