/* Operators that run another subgraph. TFLite's subgraphs see nothing of each other: what they work on is handed over in
 * lists. Here they become bodies, as ONNX has them: an IF's bodies read the caller's tensors, a WHILE is a Loop whose body
 * computes the condition first. */
#include <string.h>

#include "readers/tflite/tflite.h"

typedef struct body {
  nnm_flat_table table;
  nnm_flat_vector inputs, outputs;
  tflite_scope scope;
} body;

static nnm_status open_body(tflite_node *x, int64_t subgraph, const char *what, body *out) {
  tflite_reader *reader = x->reader;
  *out = (body){.scope = {.tensors = NULL}};
  if (subgraph < 0 || (uint64_t)subgraph >= reader->subgraphs.count)
    return nnm_tflite_fail(x, NNM_ERROR_FORMAT,
                           "runs subgraph %lld as its %s, but there are only %zu; the file is damaged: fetch it again",
                           (long long)subgraph, what, reader->subgraphs.count);
  if (reader->in_progress[subgraph])
    return nnm_tflite_fail(x, NNM_ERROR_GRAPH,
                           "runs subgraph %lld as its %s, which runs this operator: it would never end; convert the "
                           "model again",
                           (long long)subgraph, what);
  NNM_TRY(nnm_tflite_open_scope(reader, (size_t)subgraph, &out->table, &out->scope));
  out->inputs = nnm_flat_items(&out->table, SUBGRAPH_INPUTS, 4);
  out->outputs = nnm_flat_items(&out->table, SUBGRAPH_OUTPUTS, 4);
  return reader->file.status;
}

static void close_body(tflite_node *x, body *opened) { nnm_tflite_close_scope(x->reader, &opened->scope); }

static nnm_status fail_inputs(const tflite_node *x, const char *what, size_t wanted, size_t given) {
  return nnm_tflite_fail(x, NNM_ERROR_GRAPH, "gives %zu inputs to its %s, which takes %zu; convert the model again",
                         given, what, wanted);
}

/* The body's inputs are the caller's tensors, from its input `first` on. */
static nnm_status bind_inputs(tflite_node *x, body *opened, size_t first, const char *what) {
  size_t given = x->ports[0].count > first ? x->ports[0].count - first : 0;
  if (opened->inputs.count != given) return fail_inputs(x, what, opened->inputs.count, given);
  for (size_t i = 0; i < given; i++) {
    const tflite_tensor *actual = nnm_tflite_input(x, first + i);
    if (actual) NNM_TRY(nnm_tflite_bind(x->reader, &opened->scope, nnm_flat_item_i32(&opened->inputs, i), actual));
  }
  return NNM_OK;
}

static nnm_status list_outputs(tflite_node *x, body *opened) {
  for (size_t i = 0; i < opened->outputs.count; i++) {
    tflite_tensor *tensor;
    NNM_TRY(nnm_tflite_tensor(x->reader, &opened->scope, nnm_flat_item_i32(&opened->outputs, i), false, &tensor));
    if (!tensor)
      return nnm_tflite_fail(x, NNM_ERROR_GRAPH, "runs a subgraph without its output; convert the model again");
    NNM_TRY(nnm_graph_builder_output(x->reader->builder, tensor->id, x->reader->file.error));
  }
  return NNM_OK;
}

static nnm_status begin(tflite_node *x, const char *name, nnm_block_id *block) {
  const char *interned = nnm_graph_builder_intern(x->reader->builder, name, strlen(name));
  if (!interned) return nnm_fail_memory(x->reader->file.error);
  return nnm_graph_builder_begin_block(x->reader->builder, interned, block, x->reader->file.error);
}

/* ---- IF */

static nnm_status read_branch(tflite_node *x, int64_t subgraph, const char *name) {
  body branch;
  nnm_block_id block;
  NNM_TRY(begin(x, name, &block));
  nnm_status status = open_body(x, subgraph, name, &branch);
  if (status == NNM_OK) status = bind_inputs(x, &branch, 1, name);
  if (status == NNM_OK) status = nnm_tflite_read_operators(x->reader, &branch.scope, &branch.table);
  if (status == NNM_OK) status = list_outputs(x, &branch);
  close_body(x, &branch);
  NNM_TRY(status);
  NNM_TRY(nnm_graph_builder_end_block(x->reader->builder, x->reader->file.error));
  return nnm_tflite_put_block(x, name, block);
}

nnm_status nnm_tflite_run_if(tflite_node *x) {
  int64_t branches[2] = {nnm_flat_i32(&x->options, 0, 0), nnm_flat_i32(&x->options, 1, 0)};
  NNM_TRY(x->reader->file.status);
  NNM_TRY(read_branch(x, branches[0], "then_branch"));
  NNM_TRY(read_branch(x, branches[1], "else_branch"));
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

/* ---- WHILE: how often it turns */

enum { BUILTIN_ADD = 0, BUILTIN_LESS = 58, BUILTIN_LOGICAL_AND = 86 };

typedef struct producer { /* an operator of two inputs */
  uint32_t builtin;
  int64_t operands[2];
} producer;

/* The operator that makes a tensor of a subgraph; false when it is none of two inputs. */
static bool find_producer(tflite_reader *reader, const nnm_flat_table *subgraph, int64_t tensor, producer *out) {
  nnm_flat_vector operators = nnm_flat_items(subgraph, SUBGRAPH_OPERATORS, 4);
  for (size_t i = 0; i < operators.count; i++) {
    nnm_flat_table table = nnm_flat_item_table(&operators, i, "operator");
    nnm_flat_vector outputs = nnm_flat_items(&table, OPERATOR_OUTPUTS, 4);
    if (outputs.count != 1 || nnm_flat_item_i32(&outputs, 0) != tensor) continue;
    nnm_flat_vector inputs = nnm_flat_items(&table, OPERATOR_INPUTS, 4);
    uint64_t code = nnm_flat_u32(&table, OPERATOR_CODE, 0);
    if (inputs.count != 2 || code >= reader->code_count) return false;
    *out = (producer){reader->codes[code].builtin, {nnm_flat_item_i32(&inputs, 0), nnm_flat_item_i32(&inputs, 1)}};
    return true;
  }
  return false;
}

/* Which input of a body a tensor is; -1: none. */
static int64_t input_number(const nnm_flat_vector *inputs, int64_t tensor) {
  for (size_t i = 0; i < inputs->count; i++)
    if (nnm_flat_item_i32(inputs, i) == tensor) return (int64_t)i;
  return -1;
}

/* An integer that a body has as a constant of its own. */
static bool own_constant(tflite_node *x, body *opened, int64_t index, int64_t *value) {
  tflite_tensor *tensor;
  if (index < 0 || (uint64_t)index >= opened->scope.tables.count || input_number(&opened->inputs, index) >= 0)
    return false;
  if (opened->scope.tensors[index].is_made) tensor = &opened->scope.tensors[index];
  else if (nnm_tflite_tensor(x->reader, &opened->scope, index, false, &tensor) != NNM_OK) return false;
  return tensor->constant && nnm_constant_int(tensor->constant, 0, value);
}

/* What a counter is compared with: a constant, or something that no turn changes. */
static bool find_limit(tflite_node *x, body *condition, body *loop, int64_t tensor, int64_t *limit) {
  int64_t number = input_number(&condition->inputs, tensor);
  if (number < 0) return own_constant(x, condition, tensor, limit);
  if ((uint64_t)number >= loop->outputs.count || (uint64_t)number >= loop->inputs.count) return false;
  bool stays = nnm_flat_item_i32(&loop->outputs, (size_t)number) == nnm_flat_item_i32(&loop->inputs, (size_t)number);
  return stays && nnm_tflite_constant(x, (size_t)number, 0, limit);
}

/* What each turn adds to input `number`. */
static bool find_step(tflite_node *x, body *loop, int64_t number, int64_t *step) {
  producer sum;
  if ((uint64_t)number >= loop->outputs.count || (uint64_t)number >= loop->inputs.count ||
      !find_producer(x->reader, &loop->table, nnm_flat_item_i32(&loop->outputs, (size_t)number), &sum) ||
      sum.builtin != BUILTIN_ADD)
    return false;
  int64_t counter = nnm_flat_item_i32(&loop->inputs, (size_t)number);
  for (int i = 0; i < 2; i++)
    if (sum.operands[i] == counter && own_constant(x, loop, sum.operands[!i], step)) return *step > 0;
  return false;
}

/* Turns while counter < limit holds, where both are known: the usual loop over time steps. -1: not known. */
static int64_t count_turns(tflite_node *x, body *condition, body *loop, int64_t tensor, int depth) {
  enum { DEEPEST_CONDITION = 8 };
  producer test;
  int64_t start, limit, step;
  if (depth > DEEPEST_CONDITION || !find_producer(x->reader, &condition->table, tensor, &test)) return -1;
  if (test.builtin == BUILTIN_LOGICAL_AND) {
    int64_t first = count_turns(x, condition, loop, test.operands[0], depth + 1);
    int64_t second = count_turns(x, condition, loop, test.operands[1], depth + 1);
    return first < 0 || (second >= 0 && second < first) ? second : first;
  }
  int64_t number = input_number(&condition->inputs, test.operands[0]);
  if (test.builtin != BUILTIN_LESS || number < 0 || !nnm_tflite_constant(x, (size_t)number, 0, &start) ||
      !find_limit(x, condition, loop, test.operands[1], &limit) || !find_step(x, loop, number, &step))
    return -1;
  if (start < INT32_MIN || limit > INT32_MAX) return -1;
  return limit > start ? (limit - start + step - 1) / step : 0;
}

/* ---- WHILE */

static nnm_status new_scalar(tflite_node *x, const char *suffix, nnm_dtype dtype, nnm_tensor_id *out) {
  NNM_TRY(nnm_tflite_new_tensor(x, x->node.name, suffix, dtype, out));
  return nnm_graph_builder_input(x->reader->builder, *out, x->reader->file.error);
}

/* The tensors that a turn starts with: inputs of both the condition and the body. */
static nnm_status make_carried(tflite_node *x, body *condition, body *loop) {
  size_t count = x->ports[0].count;
  if (condition->inputs.count != count) return fail_inputs(x, "condition", condition->inputs.count, count);
  if (loop->inputs.count != count) return fail_inputs(x, "body", loop->inputs.count, count);
  if (loop->outputs.count != count || condition->outputs.count != 1)
    return nnm_tflite_fail(x, NNM_ERROR_GRAPH,
                           "has a body of %zu results for %zu inputs, or no condition; convert the model again",
                           loop->outputs.count, count);
  for (size_t i = 0; i < count; i++) {
    tflite_tensor *tensor;
    NNM_TRY(nnm_tflite_tensor(x->reader, &loop->scope, nnm_flat_item_i32(&loop->inputs, i), true, &tensor));
    if (!tensor) return fail_inputs(x, "body", i, count);
    NNM_TRY(nnm_graph_builder_input(x->reader->builder, tensor->id, x->reader->file.error));
    NNM_TRY(nnm_tflite_bind(x->reader, &condition->scope, nnm_flat_item_i32(&condition->inputs, i), tensor));
  }
  return NNM_OK;
}

static nnm_status fill_loop(tflite_node *x, body *condition, body *loop, int64_t *turns) {
  nnm_tensor_id turn, goes_on;
  NNM_TRY(new_scalar(x, "turn", NNM_DTYPE_I64, &turn));
  NNM_TRY(new_scalar(x, "goes_on", NNM_DTYPE_BOOL, &goes_on));
  NNM_TRY(make_carried(x, condition, loop));
  NNM_TRY(nnm_tflite_read_operators(x->reader, &condition->scope, &condition->table));
  *turns = count_turns(x, condition, loop, nnm_flat_item_i32(&condition->outputs, 0), 0);
  NNM_TRY(x->reader->file.status);
  if (*turns < 0) NNM_TRY(list_outputs(x, condition));
  else NNM_TRY(nnm_graph_builder_output(x->reader->builder, goes_on, x->reader->file.error)); /* it turns that often */
  NNM_TRY(nnm_tflite_read_operators(x->reader, &loop->scope, &loop->table));
  return list_outputs(x, loop);
}

static nnm_status put_turns(tflite_node *x, int64_t turns, nnm_tensor_id *out) {
  nnm_constant *constant = NNM_ARENA_NEW(x->reader->arena, nnm_constant);
  int64_t *value = nnm_arena_copy(x->reader->arena, &turns, 1, sizeof turns);
  if (!constant || !value) return nnm_fail_memory(x->reader->file.error);
  *constant =
      (nnm_constant){.dtype = NNM_DTYPE_I64, .dims = value, .bytes = (unsigned char *)value, .size = sizeof turns};
  NNM_TRY(nnm_tflite_new_tensor(x, x->node.name, "turns", NNM_DTYPE_I64, out));
  return nnm_graph_builder_weight(x->reader->builder, *out, constant, x->reader->file.error);
}

nnm_status nnm_tflite_run_while(tflite_node *x) {
  int64_t subgraphs[2] = {nnm_flat_i32(&x->options, 0, 0), nnm_flat_i32(&x->options, 1, 0)}, turns = -1;
  NNM_TRY(x->reader->file.status);
  body condition = {.scope = {.tensors = NULL}}, loop = condition;
  nnm_block_id block;
  NNM_TRY(begin(x, "body", &block));
  nnm_status status = open_body(x, subgraphs[0], "condition", &condition);
  if (status == NNM_OK) status = open_body(x, subgraphs[1], "body", &loop);
  if (status == NNM_OK) status = fill_loop(x, &condition, &loop, &turns);
  close_body(x, &loop);
  close_body(x, &condition);
  NNM_TRY(status);
  NNM_TRY(nnm_graph_builder_end_block(x->reader->builder, x->reader->file.error));
  NNM_TRY(nnm_tflite_put_block(x, "body", block));
  size_t count = x->node.input_count;
  nnm_tensor_id *inputs = NNM_ARENA_ARRAY(x->reader->arena, nnm_tensor_id, count + 2);
  if (!inputs) return nnm_fail_memory(x->reader->file.error);
  inputs[0] = inputs[1] = -1;
  if (turns >= 0) NNM_TRY(put_turns(x, turns, &inputs[0]));
  if (count) memcpy(inputs + 2, x->inputs, count * sizeof *inputs);
  x->inputs = inputs;
  x->node.input_count = (uint32_t)count + 2;
  return NNM_OK;
}

/* ---- composites */

static nnm_status copy_outputs(tflite_node *x, body *opened) {
  if (opened->outputs.count != x->node.output_count)
    return nnm_tflite_fail(x, NNM_ERROR_GRAPH, "has %u outputs, but its subgraph has %zu; convert the model again",
                           (unsigned)x->node.output_count, opened->outputs.count);
  nnm_node copy = x->node;
  copy.op = NNM_OP_IDENTITY;
  copy.input_count = copy.output_count = 1;
  copy.attribute_count = 0;
  for (size_t i = 0; i < opened->outputs.count; i++) {
    tflite_tensor *tensor;
    NNM_TRY(nnm_tflite_tensor(x->reader, &opened->scope, nnm_flat_item_i32(&opened->outputs, i), false, &tensor));
    if (!tensor || x->outputs[i] < 0) continue;
    copy.inputs = &tensor->id;
    copy.outputs = &x->outputs[i];
    NNM_TRY(nnm_graph_builder_node(x->reader->builder, &copy, NULL, x->reader->file.error));
  }
  return NNM_OK;
}

/* An operator that a device may know as a whole; here it is what its subgraph does. */
nnm_status nnm_tflite_run_composite(tflite_node *x) {
  enum { SUBGRAPH = 1 };
  if (!nnm_flat_has(&x->options, SUBGRAPH)) return x->reader->file.status; /* stays an unknown operator */
  body inlined;
  if (x->reader->depth >= NNM_LIMIT_FUNCTION_DEPTH)
    return nnm_tflite_fail(x, NNM_ERROR_LIMIT, "stands in composites nested more than %d deep; convert the model again",
                           NNM_LIMIT_FUNCTION_DEPTH);
  x->reader->depth++;
  nnm_status status = open_body(x, nnm_flat_i32(&x->options, SUBGRAPH, 0), "subgraph", &inlined);
  if (status == NNM_OK) status = bind_inputs(x, &inlined, 0, "subgraph");
  if (status == NNM_OK) status = nnm_tflite_read_operators(x->reader, &inlined.scope, &inlined.table);
  if (status == NNM_OK) status = copy_outputs(x, &inlined);
  close_body(x, &inlined);
  x->reader->depth--;
  x->is_added = true;
  return status;
}

/* ---- variables */

/* Runs once, before the first run of the model: it sets variables, and costs nothing from then on. */
nnm_status nnm_tflite_run_once(tflite_node *x) {
  x->is_added = true;
  return NNM_OK;
}

/* What a variable holds is known only when the model runs; its shape is that of the file. */
nnm_status nnm_tflite_read_variable(tflite_node *x) {
  const tflite_tensor *output = nnm_tflite_output(x, 0);
  if (!output || output->rank < 1) return NNM_OK;
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0; i < output->rank; i++) dims[i] = output->dims[i] < 0 ? 1 : output->dims[i];
  return nnm_tflite_put_ints(x, "shape", dims, (size_t)output->rank);
}
