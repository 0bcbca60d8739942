#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"
#include "shapes/fold.h"
#include "shapes/inputs.h"

enum { FOLDED_IN_ALL = 1 << 24 }; /* elements of all folded constants of one model: 128 MiB at most */

int64_t nnm_shape_elements(nnm_shape shape) {
  int64_t elements;
  return shape.rank >= 0 && nnm_multiply_dims(shape.dims, (size_t)shape.rank, &elements) ? elements : -1;
}

void nnm_shapes_free(nnm_shapes *shapes) {
  if (!shapes) return;
  nnm_arena_free(&shapes->arena);
  free(shapes);
}

/* ---------------------------------------------------------------- one node */

typedef struct node_state {
  bool constant; /* computed from weights alone */
  bool tainted;  /* something it reads comes from a custom operator of unknown shape */
  bool guessed;  /* the shape of something it reads is a guess */
  bool declared; /* an output has the shape that the file declares, for want of a better one */
} node_state;

static node_state look_at_inputs(const nnm_inference *inference, const nnm_node *node) {
  node_state state = {.constant = true};
  for (uint32_t i = 0; i < node->input_count; i++) {
    nnm_tensor_id input = node->inputs[i];
    if (input < 0) continue;
    state.constant = state.constant && inference->shapes->constant[input];
    state.tainted = state.tainted || inference->tainted[input];
    state.guessed = state.guessed || inference->guessed[input];
  }
  return state;
}

static bool is_control(const nnm_node *node) { return nnm_op_work((nnm_op)node->op) == NNM_WORK_CONTROL; }

/* Once shapes are fixed, what only looks at shapes is constant; what is new each time never is. */
static bool is_constant(const nnm_inference *inference, const nnm_node *node, bool inputs_constant) {
  nnm_shape_rule rule = nnm_op_shape_rule(node->op);
  if (rule == nnm_rule_shape || rule == nnm_rule_size || rule == nnm_rule_rank)
    return nnm_shape_of_input(inference, node, 0) != NULL;
  return inputs_constant && rule && rule != nnm_rule_random && rule != nnm_rule_random_like &&
         rule != nnm_rule_multinomial && rule != nnm_rule_placeholder && node->op != NNM_OP_RANDOM_OF_SHAPE;
}

/* If, Loop and Scan say themselves which of their outputs are constant. */
static bool has_constant_outputs(const nnm_inference *inference, const nnm_node *node) {
  for (uint32_t i = 0; i < node->output_count; i++)
    if (node->outputs[i] >= 0 && !inference->shapes->constant[node->outputs[i]]) return false;
  return true;
}

static bool is_fully_declared(const nnm_tensor *tensor) {
  if (tensor->rank < 0) return false;
  for (int32_t i = 0; i < tensor->rank; i++)
    if (tensor->dims[i] < 0) return false;
  return true;
}

/* What the file says, where inference cannot know. */
static nnm_status use_declared(nnm_inference *inference, nnm_tensor_id tensor, nnm_error *error) {
  const nnm_tensor *declared = &inference->graph->tensors[tensor];
  nnm_shape shape = {declared->rank, declared->rank ? declared->dims : nnm_no_dims};
  int64_t elements = 1;
  for (int32_t i = 0; i < shape.rank; i++)
    if (!nnm_multiply_i64(elements, shape.dims[i] ? shape.dims[i] : 1, &elements) || elements > NNM_LIMIT_ELEMENTS)
      return nnm_fail(error, NNM_ERROR_LIMIT, declared->name,
                      "this tensor has more than 2^50 elements; give a smaller input shape");
  inference->shapes->tensors[tensor] = shape;
  return NNM_OK;
}

static nnm_status fail_unknown(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (inference->budget < NNM_LIMIT_FOLDED_ELEMENTS)
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                    "the shapes hang on more than %d elements of constants; simplify the model before", FOLDED_IN_ALL);
  for (uint32_t i = 0; i < node->input_count; i++) {
    nnm_tensor_id input = node->inputs[i];
    if (input >= 0 && inference->needed[input] && !inference->shapes->constant[input] &&
        !inference->shapes->values[input])
      return nnm_fail_node(inference, node, error,
                           "the shape of its output depends on the value of '%.100s', which is known only when the "
                           "model runs; export the model with fixed shapes",
                           inference->graph->tensors[input].name);
  }
  return nnm_fail_node(inference, node, error,
                       "the shape of its output cannot be told from its inputs and attributes; export the model again, "
                       "with value_info (shape inference) if it is a special operator");
}

/* An output that the rule has left open. */
static nnm_status settle_unknown(nnm_inference *inference, const nnm_node *node, nnm_tensor_id tensor,
                                 node_state *state, nnm_error *error) {
  if (is_fully_declared(&inference->graph->tensors[tensor])) {
    state->declared = true;
    return use_declared(inference, tensor, error);
  }
  bool custom = !nnm_op_shape_rule(node->op);
  if (!custom && !state->tainted) return fail_unknown(inference, node, error);
  inference->tainted[tensor] = 1;
  if (!custom || state->tainted) return NNM_OK;
  return nnm_note_node(inference, node, error,
                       "custom operator; the file does not declare the shape of '%.100s', so everything behind it is "
                       "left out",
                       inference->graph->tensors[tensor].name);
}

static bool contradicts(const nnm_tensor *declared, const nnm_shape *shape) {
  if (declared->rank < 0) return false;
  if (declared->rank != shape->rank) return true;
  for (int32_t i = 0; i < shape->rank; i++)
    if (declared->dims[i] >= 0 && declared->dims[i] != shape->dims[i]) return true;
  return false;
}

/* Where a shape is a guess, the dims that the file declares are better ones. */
static nnm_status improve_guess(nnm_inference *inference, nnm_tensor_id tensor, nnm_error *error) {
  const nnm_tensor *declared = &inference->graph->tensors[tensor];
  nnm_shape *shape = &inference->shapes->tensors[tensor];
  if (!contradicts(declared, shape) || declared->rank != shape->rank) return NNM_OK;
  int64_t *dims = nnm_arena_copy(&inference->shapes->arena, shape->dims, (size_t)shape->rank, sizeof *dims),
          elements = 1;
  if (!dims) return nnm_fail_memory(error);
  bool is_open = false;
  for (int32_t i = 0; i < shape->rank; i++) {
    is_open = is_open || declared->dims[i] < 0;
    if (declared->dims[i] >= 0) dims[i] = declared->dims[i];
    if (!nnm_multiply_i64(elements, dims[i] ? dims[i] : 1, &elements) || elements > NNM_LIMIT_ELEMENTS) return NNM_OK;
  }
  shape->dims = dims;
  inference->guessed[tensor] = is_open;
  return NNM_OK;
}

static nnm_status settle_outputs(nnm_inference *inference, const nnm_node *node, node_state *state, nnm_error *error) {
  const nnm_graph *graph = inference->graph;
  nnm_shapes *shapes = inference->shapes;
  for (uint32_t i = 0; i < node->output_count; i++) {
    nnm_tensor_id tensor = node->outputs[i];
    if (tensor < 0) continue;
    if (!is_control(node)) shapes->constant[tensor] = state->constant;
    inference->tainted[tensor] |= state->tainted;
    inference->guessed[tensor] |= state->guessed;
    if (inference->guessed[tensor] && shapes->tensors[tensor].rank >= 0)
      NNM_TRY(improve_guess(inference, tensor, error));
    if (shapes->dtypes[tensor] == NNM_DTYPE_UNKNOWN)
      shapes->dtypes[tensor] =
          graph->tensors[tensor].dtype ? graph->tensors[tensor].dtype : nnm_input_dtype(inference, node, 0);
    if (shapes->tensors[tensor].rank < 0) {
      NNM_TRY(settle_unknown(inference, node, tensor, state, error));
    } else if (contradicts(&graph->tensors[tensor], &shapes->tensors[tensor]) && !inference->contradictions++) {
      inference->contradiction = tensor;
    }
  }
  return NNM_OK;
}

/* What a node costs, to choose between branches: multiply-adds, and elements written. */
static double node_cost(const nnm_inference *inference, nnm_node_id id) {
  const nnm_node *node = &inference->graph->nodes[id];
  double cost = (double)nnm_node_multiply_adds(inference->graph, inference->shapes, id);
  for (uint32_t i = 0; i < node->output_count; i++)
    if (node->outputs[i] >= 0) cost += (double)nnm_shape_elements(inference->shapes->tensors[node->outputs[i]]) + 1;
  return cost;
}

static bool has_declared_outputs(const nnm_inference *inference, const nnm_node *node) {
  for (uint32_t i = 0; i < node->output_count; i++)
    if (node->outputs[i] >= 0 && !is_fully_declared(&inference->graph->tensors[node->outputs[i]])) return false;
  return true;
}

/* nn-Meter IR has the shape of everything, but not every input that shapes hang on: its reader says with an attribute
 * where only the file knows, and where a rule contradicts itself, the file's shape is better than none. */
static nnm_status apply_rule(nnm_inference *inference, nnm_shape_rule rule, const nnm_node *node, nnm_error *error) {
  if (strcmp(inference->graph->format, "nnmeter-ir") != 0 || !has_declared_outputs(inference, node))
    return rule(inference, node, error);
  if (nnm_attribute_int(node, "declared_shapes", 0)) return NNM_OK;
  nnm_error fault = {0};
  const char *advice = inference->advice;
  inference->advice = NULL; /* the shape in the file is the remedy */
  nnm_status status = rule(inference, node, &fault);
  inference->advice = advice;
  if (status == NNM_OK || status == NNM_ERROR_MEMORY) return status == NNM_OK ? NNM_OK : nnm_fail_memory(error);
  return nnm_note_node(inference, node, error, "%.300s; the shape in the file is used", fault.message);
}

static nnm_status infer_node(nnm_inference *inference, nnm_node_id id, nnm_error *error) {
  const nnm_node *node = &inference->graph->nodes[id];
  node_state state = look_at_inputs(inference, node);
  nnm_shape_rule rule = nnm_op_shape_rule(node->op);
  inference->shapes->windows[id] = NULL; /* of the turn before */
  if (rule) NNM_TRY(apply_rule(inference, rule, node, error));
  if (inference->out_of_memory) return nnm_fail_memory(error);
  state.constant =
      is_control(node) ? has_constant_outputs(inference, node) : is_constant(inference, node, state.constant);
  NNM_TRY(settle_outputs(inference, node, &state, error));
  inference->shapes->executed[id] = !state.constant;
  /* a folder may trust the shapes that the rule has computed, but not those of the file */
  if (!state.declared) NNM_TRY(nnm_fold_node(inference, node, error));
  if (node->block && !state.constant) inference->cost += node_cost(inference, id) * (double)inference->turns;
  return NNM_OK;
}

static nnm_status infer_block(nnm_inference *inference, nnm_block_id id, int64_t turns, nnm_error *error) {
  const nnm_block *block = &inference->graph->blocks[id];
  int64_t turns_around = inference->turns;
  if (!nnm_multiply_i64(turns_around, turns, &inference->turns)) inference->turns = INT64_MAX;
  inference->shapes->turns[id] = inference->turns;
  nnm_status status = NNM_OK;
  for (uint32_t i = 0; status == NNM_OK && i < block->node_count; i++)
    status = infer_node(inference, block->nodes[i], error);
  inference->turns = turns_around;
  return status;
}

/* --------------------------------------------------------------- the graph */

static nnm_status allocate(nnm_inference *inference, nnm_error *error) {
  nnm_shapes *shapes = inference->shapes;
  size_t tensors = (size_t)inference->graph->tensor_count;
  shapes->tensors = NNM_ARENA_ARRAY(&shapes->arena, nnm_shape, tensors);
  shapes->dtypes = NNM_ARENA_ARRAY(&shapes->arena, nnm_dtype, tensors);
  shapes->values = NNM_ARENA_ARRAY(&shapes->arena, const nnm_value *, tensors);
  shapes->constant = NNM_ARENA_ARRAY(&shapes->arena, uint8_t, tensors);
  shapes->turns = NNM_ARENA_ARRAY(&shapes->arena, int64_t, (size_t)inference->graph->block_count);
  shapes->executed = NNM_ARENA_ARRAY(&shapes->arena, uint8_t, (size_t)inference->graph->node_count);
  shapes->windows = NNM_ARENA_ARRAY(&shapes->arena, const nnm_window *, (size_t)inference->graph->node_count);
  inference->needed = NNM_ARENA_ARRAY(&shapes->arena, uint8_t, tensors);
  inference->tainted = NNM_ARENA_ARRAY(&shapes->arena, uint8_t, tensors);
  inference->guessed = NNM_ARENA_ARRAY(&shapes->arena, uint8_t, tensors);
  if (!shapes->tensors || !shapes->dtypes || !shapes->values || !shapes->constant || !shapes->turns ||
      !shapes->executed || !shapes->windows || !inference->needed || !inference->tainted || !inference->guessed)
    return nnm_fail_memory(error);
  return NNM_OK;
}

static nnm_status note_contradictions(nnm_inference *inference, nnm_error *error) {
  if (!inference->contradictions) return NNM_OK;
  const nnm_tensor *tensor = &inference->graph->tensors[inference->contradiction];
  nnm_shape declared = {tensor->rank, tensor->dims};
  char theirs[NNM_SHAPE_TEXT], ours[NNM_SHAPE_TEXT], more[40] = "";
  if (inference->contradictions > 1) snprintf(more, sizeof more, " (and %zu more)", inference->contradictions - 1);
  return nnm_note(inference, error, "the file declares '%.120s' as %s, but it is %s%s; the computed shapes are used",
                  tensor->name, nnm_shape_text(&declared, theirs, sizeof theirs),
                  nnm_shape_text(&inference->shapes->tensors[inference->contradiction], ours, sizeof ours), more);
}

/* An impossible node: the sizes given are the first to doubt, then the file. */
static const char *choose_advice(const nnm_inference *inference, const nnm_shape_options *options) {
  if (options && (options->batch_size || options->input_shape_count))
    return "give --input-shape and --batch-size that the model can work with";
  if (!strcmp(inference->graph->format, "onnx"))
    return "check the file (onnx.checker.check_model with full_check), or export the model again";
  return "correct the file, or convert the model again";
}

static nnm_status run(nnm_inference *inference, const nnm_shape_options *options, nnm_error *error) {
  inference->advice = choose_advice(inference, options);
  NNM_TRY(allocate(inference, error));
  NNM_TRY(nnm_set_weight_shapes(inference, error));
  NNM_TRY(nnm_set_input_shapes(inference, options, error));
  nnm_mark_needed_values(inference);
  NNM_TRY(infer_block(inference, 0, 1, error));
  NNM_TRY(note_contradictions(inference, error));
  if (inference->notes_left_out) {
    char *last = nnm_arena_printf(&inference->shapes->arena, "%zu more notes on shapes are not shown",
                                  inference->notes_left_out);
    if (!last) return nnm_fail_memory(error);
    inference->notes[inference->note_count - 1] = last;
  }
  inference->shapes->notes = inference->notes;
  inference->shapes->note_count = inference->note_count;
  return NNM_OK;
}

nnm_status nnm_infer_graph_shapes(const nnm_graph *graph, const nnm_shape_options *options, nnm_shapes **out,
                                  nnm_error *error) {
  nnm_shapes *shapes = calloc(1, sizeof *shapes);
  if (!shapes) return nnm_fail_memory(error);
  nnm_inference inference = {
      .graph = graph, .shapes = shapes, .budget = FOLDED_IN_ALL, .turns = 1, .infer_block = infer_block};
  nnm_status status = run(&inference, options, error);
  if (status == NNM_OK) *out = shapes;
  else nnm_shapes_free(shapes);
  return status;
}
