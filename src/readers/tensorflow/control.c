/* If and While of TensorFlow 2: their functions become blocks, as the bodies of ONNX's If and Loop. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "ops/ops.h"
#include "readers/tensorflow/tensorflow.h"

static nnm_status begin_block(tf_reader *reader, const char *text, nnm_attribute *attribute) {
  const char *name = nnm_graph_builder_intern(reader->builder, text, strlen(text));
  if (!name) return nnm_fail_memory(reader->file.error);
  attribute->name = name;
  attribute->kind = NNM_ATTRIBUTE_BLOCK;
  return nnm_graph_builder_begin_block(reader->builder, name, &attribute->as.block, reader->file.error);
}

static nnm_status end_with_results(tf_reader *reader, tf_instance *instance) {
  for (uint32_t i = 0; i < instance->body->result_count; i++) {
    nnm_tensor_id tensor;
    NNM_TRY(nnm_tf_tensor_at(reader, instance, &instance->body->results[i], &tensor));
    NNM_TRY(nnm_graph_builder_output(reader->builder, tensor, reader->file.error));
  }
  return NNM_OK;
}

/* The node that owns the blocks, with the results of its function. */
static nnm_status add_owner(tf_reader *reader, tf_instance *instance, uint32_t index, nnm_node *node,
                            uint32_t output_count) {
  node->type = instance->body->nodes[index].type;
  node->domain = reader->empty;
  NNM_TRY(nnm_tf_scoped_name(reader, instance, index, "", &node->name));
  nnm_tensor_id *outputs = NNM_ARENA_ARRAY(&reader->arena, nnm_tensor_id, output_count);
  if (!outputs) return nnm_fail_memory(reader->file.error);
  if (output_count) NNM_TRY(nnm_tf_make_room(reader, instance, index, output_count - 1));
  for (uint32_t i = 0; i < output_count; i++) NNM_TRY(nnm_tf_tensor_of(reader, instance, index, i, &outputs[i]));
  if (instance->output_count[index] > output_count)
    return nnm_fail(reader->file.error, NNM_ERROR_GRAPH, node->name,
                    "has fewer results than are read of it; export the model again");
  node->outputs = outputs;
  node->output_count = output_count;
  return nnm_graph_builder_node(reader->builder, node, NULL, reader->file.error);
}

/* ---------------------------------------------------------------------- If */

nnm_status nnm_tf_emit_if(tf_reader *reader, tf_instance *instance, uint32_t index) {
  static const char *const names[] = {"then_branch", "else_branch"};
  nnm_attribute attributes[2];
  tf_instance *branch;
  nnm_tensor_id condition;
  uint32_t results = 0;
  NNM_TRY(nnm_tf_children(reader, instance, index, &branch));
  if (!instance->body->nodes[index].edge_count)
    return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, instance->body->nodes[index].bytes,
                         "a branch without a condition; export the model again");
  NNM_TRY(nnm_tf_tensor_at(reader, instance, nnm_tf_edge_of(reader, instance, index, 0), &condition));
  for (int i = 0; i < 2; i++, branch = branch->sibling) {
    NNM_TRY(begin_block(reader, names[i], &attributes[i]));
    NNM_TRY(nnm_tf_emit(reader, branch));
    NNM_TRY(end_with_results(reader, branch));
    NNM_TRY(nnm_graph_builder_end_block(reader->builder, reader->file.error));
    if (i && branch->body->result_count != results)
      return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, instance->body->nodes[index].bytes,
                           "branches with %u and %u results; export the model again", (unsigned)results,
                           (unsigned)branch->body->result_count);
    results = branch->body->result_count;
  }
  nnm_node node = {.op = NNM_OP_IF,
                   .layout = reader->layout,
                   .input_count = 1,
                   .inputs = &condition,
                   .attribute_count = 2,
                   .attributes = attributes};
  return add_owner(reader, instance, index, &node, results);
}

/* ------------------------------------------------------------------- While */

static nnm_status new_formal(tf_reader *reader, const tf_instance *instance, uint32_t index, const char *what,
                             uint32_t number, nnm_tensor_id *out) {
  const char *name;
  char suffix[48];
  snprintf(suffix, sizeof suffix, "/%s_%u", what, (unsigned)number);
  NNM_TRY(nnm_tf_scoped_name(reader, instance, index, suffix, &name));
  NNM_TRY(nnm_graph_builder_local_tensor(reader->builder, name, out, reader->file.error));
  return nnm_graph_builder_input(reader->builder, *out, reader->file.error);
}

/* The argument of a function that an edge means, or -1. */
static nnm_status argument_at(tf_reader *reader, tf_instance *instance, const tf_edge *edge, int64_t *out) {
  tf_port port;
  *out = -1;
  NNM_TRY(nnm_tf_follow(reader, instance, edge, true, &port));
  bool is_own = port.instance == instance && instance->body->nodes[port.node].kind == TF_ARGUMENT;
  if (is_own) *out = port.node;
  return NNM_OK;
}

static bool is_type(const tf_port *port, const char *type) {
  return !strcmp(port->instance->body->nodes[port->node].type, type);
}

/* Whether a turn adds one to variable `counter`. */
static nnm_status counts_turns(tf_reader *reader, tf_instance *body, int64_t counter, bool *counts) {
  tf_port port;
  *counts = false;
  if (counter < 0 || counter >= body->body->result_count) return NNM_OK;
  NNM_TRY(nnm_tf_follow(reader, body, &body->body->results[counter], true, &port));
  if (port.instance != body || (!is_type(&port, "AddV2") && !is_type(&port, "Add")) ||
      body->body->nodes[port.node].edge_count != 2)
    return NNM_OK;
  for (uint32_t i = 0; i < 2 && !*counts; i++) {
    int64_t argument, one = 0;
    tf_port added;
    NNM_TRY(argument_at(reader, body, nnm_tf_edge_of(reader, body, port.node, i), &argument));
    if (argument != counter) continue;
    NNM_TRY(nnm_tf_follow(reader, body, nnm_tf_edge_of(reader, body, port.node, !i), true, &added));
    const tf_node *node = &added.instance->body->nodes[added.node];
    nnm_constant *constant;
    if (node->kind != TF_CONSTANT) continue;
    NNM_TRY(nnm_tf_constant_of(reader, node, &constant));
    *counts = nnm_constant_int(constant, 0, &one) && one == 1;
  }
  return NNM_OK;
}

/* The limit of a counter: an argument that no turn changes, or a constant of the condition. */
typedef struct turn_limit {
  bool found;
  bool open;              /* another term of the condition may end the loop earlier */
  int64_t counter, limit; /* arguments; limit -1: `constant` */
  nnm_constant *constant;
} turn_limit;

static nnm_status find_limit_in(tf_reader *reader, tf_instance *condition, tf_instance *body, const tf_port *less,
                                turn_limit *out) {
  tf_port limit;
  bool counts;
  NNM_TRY(argument_at(reader, condition, nnm_tf_edge_of(reader, condition, less->node, 0), &out->counter));
  NNM_TRY(counts_turns(reader, body, out->counter, &counts));
  if (!counts) return NNM_OK;
  out->constant = NULL;
  const tf_edge *edge = nnm_tf_edge_of(reader, condition, less->node, 1);
  NNM_TRY(argument_at(reader, condition, edge, &out->limit));
  if (out->limit >= 0 && out->limit < body->body->result_count) {
    int64_t same;
    NNM_TRY(argument_at(reader, body, &body->body->results[out->limit], &same));
    out->found = same == out->limit;
    return NNM_OK;
  }
  NNM_TRY(nnm_tf_follow(reader, condition, edge, true, &limit));
  const tf_node *node = &limit.instance->body->nodes[limit.node];
  if (node->kind != TF_CONSTANT) return NNM_OK;
  NNM_TRY(nnm_tf_constant_of(reader, node, &out->constant));
  out->limit = -1;
  out->found = true;
  return NNM_OK;
}

/* Loops that count: while (counter < limit and ...). The condition's `and` is looked into on both sides; the first limit
 * that is found counts. */
static nnm_status find_limit(tf_reader *reader, tf_instance *condition, tf_instance *body, turn_limit *out) {
  enum { MOST_TERMS = 8 };
  const tf_edge *terms[MOST_TERMS] = {condition->body->result_count ? &condition->body->results[0] : NULL};
  for (int count = terms[0] != NULL; count > 0;) {
    tf_port port;
    turn_limit limit = {0};
    NNM_TRY(nnm_tf_follow(reader, condition, terms[--count], true, &port));
    bool is_own = port.instance == condition && condition->body->nodes[port.node].edge_count == 2;
    if (is_own && is_type(&port, "LogicalAnd") && count + 2 <= MOST_TERMS) {
      terms[count++] = nnm_tf_edge_of(reader, condition, port.node, 0);
      terms[count++] = nnm_tf_edge_of(reader, condition, port.node, 1);
      continue;
    }
    if (is_own && is_type(&port, "Less")) NNM_TRY(find_limit_in(reader, condition, body, &port, &limit));
    bool open = out->open || !limit.found;
    if (limit.found && !out->found) *out = limit;
    out->open = open;
  }
  return NNM_OK;
}

/* The number of turns as a tensor: limit minus what the counter starts with. */
static nnm_status emit_turns(tf_reader *reader, tf_instance *instance, uint32_t index, const turn_limit *limit,
                             nnm_tensor_id *out) {
  nnm_tensor_id operands[2];
  const char *name, *type = nnm_graph_builder_intern(reader->builder, "Sub", 3);
  if (!type) return nnm_fail_memory(reader->file.error);
  NNM_TRY(nnm_tf_tensor_at(reader, instance, nnm_tf_edge_of(reader, instance, index, (uint32_t)limit->counter),
                           &operands[1]));
  if (limit->limit >= 0) {
    NNM_TRY(nnm_tf_tensor_at(reader, instance, nnm_tf_edge_of(reader, instance, index, (uint32_t)limit->limit),
                             &operands[0]));
  } else {
    NNM_TRY(nnm_tf_scoped_name(reader, instance, index, "/limit", &name));
    NNM_TRY(nnm_graph_builder_local_tensor(reader->builder, name, &operands[0], reader->file.error));
    NNM_TRY(nnm_graph_builder_weight(reader->builder, operands[0], limit->constant, reader->file.error));
  }
  NNM_TRY(nnm_tf_scoped_name(reader, instance, index, "/turns", &name));
  NNM_TRY(nnm_graph_builder_local_tensor(reader->builder, name, out, reader->file.error));
  nnm_node node = {.name = name,
                   .type = type,
                   .domain = reader->empty,
                   .op = NNM_OP_SUB,
                   .layout = reader->layout,
                   .input_count = 2,
                   .output_count = 1,
                   .inputs = operands,
                   .outputs = out};
  return nnm_graph_builder_node(reader->builder, &node, NULL, reader->file.error);
}

/* Inputs: number of turns and variables; the body: turn, condition and variables -> condition and variables. */
static nnm_status emit_body(tf_reader *reader, tf_instance *instance, uint32_t index, tf_instance *condition,
                            tf_instance *body, nnm_attribute *block) {
  uint32_t count = body->body->result_count;
  nnm_tensor_id unused, decided;
  nnm_tensor_id *formals = NNM_ARENA_ARRAY(&reader->arena, nnm_tensor_id, count);
  nnm_tensor_id *next = NNM_ARENA_ARRAY(&reader->arena, nnm_tensor_id, count);
  if (!formals || !next) return nnm_fail_memory(reader->file.error);
  NNM_TRY(begin_block(reader, "body", block));
  NNM_TRY(new_formal(reader, instance, index, "turn", 0, &unused));
  NNM_TRY(new_formal(reader, instance, index, "condition", 0, &unused));
  for (uint32_t i = 0; i < count; i++) NNM_TRY(new_formal(reader, instance, index, "variable", i, &formals[i]));
  body->formals = formals;
  NNM_TRY(nnm_tf_emit(reader, body));
  for (uint32_t i = 0; i < count; i++) NNM_TRY(nnm_tf_tensor_at(reader, body, &body->body->results[i], &next[i]));
  condition->formals = next;
  NNM_TRY(nnm_tf_emit(reader, condition));
  NNM_TRY(nnm_tf_tensor_at(reader, condition, &condition->body->results[0], &decided));
  NNM_TRY(nnm_graph_builder_output(reader->builder, decided, reader->file.error));
  for (uint32_t i = 0; i < count; i++) NNM_TRY(nnm_graph_builder_output(reader->builder, next[i], reader->file.error));
  return nnm_graph_builder_end_block(reader->builder, reader->file.error);
}

nnm_status nnm_tf_emit_while(tf_reader *reader, tf_instance *instance, uint32_t index) {
  const tf_node *node = &instance->body->nodes[index];
  tf_instance *condition, *body;
  NNM_TRY(nnm_tf_children(reader, instance, index, &condition));
  body = condition->sibling;
  uint32_t count = body->body->result_count;
  if (count != node->edge_count || body->body->argument_count != count || condition->body->argument_count != count ||
      condition->body->result_count != 1)
    return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, node->bytes,
                         "a loop whose functions do not fit its variables; export the model again");
  turn_limit limit = {0};
  nnm_attribute attributes[2];
  nnm_tensor_id *inputs = NNM_ARENA_ARRAY(&reader->arena, nnm_tensor_id, (size_t)count + 2);
  if (!inputs) return nnm_fail_memory(reader->file.error);
  inputs[0] = inputs[1] = -1;
  for (uint32_t i = 0; i < count; i++)
    NNM_TRY(nnm_tf_tensor_at(reader, instance, nnm_tf_edge_of(reader, instance, index, i), &inputs[i + 2]));
  NNM_TRY(find_limit(reader, condition, body, &limit));
  if (limit.found) NNM_TRY(emit_turns(reader, instance, index, &limit, &inputs[0]));
  NNM_TRY(emit_body(reader, instance, index, condition, body, &attributes[0]));
  bool counted = limit.found && !limit.open;
  const char *name = nnm_graph_builder_intern(reader->builder, "counted", 7);
  if (!name) return nnm_fail_memory(reader->file.error);
  attributes[1] = (nnm_attribute){.name = name, .kind = NNM_ATTRIBUTE_INT, .as.integer = counted};
  nnm_node owner = {.op = NNM_OP_LOOP,
                    .layout = reader->layout,
                    .input_count = count + 2,
                    .inputs = inputs,
                    .attribute_count = 2,
                    .attributes = attributes};
  return add_owner(reader, instance, index, &owner, count);
}
