/* If, Loop, Scan, SequenceMap: bodies are inferred once; what depends on data is guessed, and the guess is a note. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

static const nnm_block *body_of(const nnm_inference *inference, const nnm_node *node, const char *name,
                                nnm_block_id *id) {
  const nnm_attribute *attribute = nnm_find_attribute(node, name);
  if (!attribute || attribute->kind != NNM_ATTRIBUTE_BLOCK) return NULL;
  *id = attribute->as.block;
  return &inference->graph->blocks[*id];
}

/* A body that turns out not to run. Bodies nest no deeper than NNM_LIMIT_BLOCK_DEPTH. */
static void mark_not_executed(nnm_inference *inference, nnm_block_id id) {
  const nnm_block *block = &inference->graph->blocks[id];
  for (uint32_t i = 0; i < block->node_count; i++) {
    const nnm_node *node = &inference->graph->nodes[block->nodes[i]];
    inference->shapes->executed[block->nodes[i]] = 0;
    for (uint32_t j = 0; nnm_op_work((nnm_op)node->op) == NNM_WORK_CONTROL && j < node->attribute_count; j++)
      if (node->attributes[j].kind == NNM_ATTRIBUTE_BLOCK) mark_not_executed(inference, node->attributes[j].as.block);
  }
}

/* Hands everything known of one tensor to another. */
static nnm_status pass_on(nnm_inference *inference, const nnm_node *node, uint32_t output, nnm_tensor_id from,
                          nnm_error *error) {
  if (output >= node->output_count || node->outputs[output] < 0) return NNM_OK;
  nnm_tensor_id to = node->outputs[output];
  nnm_shapes *shapes = inference->shapes;
  shapes->tensors[to] = shapes->tensors[from];
  shapes->dtypes[to] = shapes->dtypes[from];
  inference->tainted[to] |= inference->tainted[from];
  inference->guessed[to] |= inference->guessed[from];
  if (inference->sequences && inference->sequences[from])
    return nnm_set_sequence(inference, node, output, inference->sequences[from], error);
  return NNM_OK;
}

/* ---------------------------------------------------------------------- If */

typedef struct branch {
  const char *name;
  nnm_block_id id;
  const nnm_block *block; /* NULL: impossible */
  double cost;
} branch;

static nnm_status infer_branch(nnm_inference *inference, const nnm_node *node, branch *taken, nnm_error *error) {
  double before = inference->cost;
  if (taken->block->output_count != node->output_count)
    return nnm_fail_node(inference, node, error, "has %u outputs, but its %s has %u", (unsigned)node->output_count,
                         taken->name, (unsigned)taken->block->output_count);
  NNM_TRY(inference->infer_block(inference, taken->id, 1, error));
  taken->cost = inference->cost - before;
  return NNM_OK;
}

/* The condition is known: the other branch stays as it is, unknown and not executed. */
static nnm_status take_branch(nnm_inference *inference, const nnm_node *node, branch *taken, nnm_error *error) {
  NNM_TRY(infer_branch(inference, node, taken, error));
  for (uint32_t i = 0; i < node->output_count; i++) {
    nnm_tensor_id from = taken->block->outputs[i];
    NNM_TRY(pass_on(inference, node, i, from, error));
    if (node->outputs[i] < 0) continue;
    inference->shapes->constant[node->outputs[i]] = inference->shapes->constant[from];
    inference->shapes->values[node->outputs[i]] = nnm_tensor_value(inference, from);
  }
  return NNM_OK;
}

/* Where the branches disagree on a shape, the one taken to run decides. */
static nnm_status merge_outputs(nnm_inference *inference, const nnm_node *node, const branch *run, const branch *idle,
                                nnm_error *error) {
  for (uint32_t i = 0; i < node->output_count; i++) {
    nnm_tensor_id from = run->block->outputs[i];
    const nnm_shape *ours = &inference->shapes->tensors[from];
    const nnm_shape *theirs = idle->block ? &inference->shapes->tensors[idle->block->outputs[i]] : NULL;
    if (theirs && ours->rank < 0 && theirs->rank >= 0) from = idle->block->outputs[i];
    else if (theirs && theirs->rank >= 0 && !nnm_same_shape(ours, theirs)) {
      char a[NNM_SHAPE_TEXT], b[NNM_SHAPE_TEXT];
      NNM_TRY(nnm_note_node(inference, node, error, "output %u is %s or %s, depending on the branch; %s assumed",
                            (unsigned)i, nnm_shape_text(ours, a, sizeof a), nnm_shape_text(theirs, b, sizeof b), a));
    }
    NNM_TRY(pass_on(inference, node, i, from, error));
  }
  return NNM_OK;
}

/* A branch that these input shapes make impossible is not the one that runs. */
static nnm_status try_branch(nnm_inference *inference, const nnm_node *node, branch *tried, nnm_error *error) {
  nnm_error reason = {0};
  size_t contradictions = inference->contradictions;
  const char *advice = inference->advice;
  inference->advice = NULL; /* the other branch runs, and all is well */
  nnm_status status = infer_branch(inference, node, tried, &reason);
  inference->advice = advice;
  if (status == NNM_OK) return NNM_OK;
  if (status != NNM_ERROR_SHAPE) {
    if (error) *error = reason;
    return status;
  }
  mark_not_executed(inference, tried->id);
  inference->contradictions = contradictions; /* what goes wrong in there says nothing of the file */
  tried->block = NULL;
  return nnm_note_node(inference, node, error, "its %s is impossible with these input shapes (%.120s: %.200s)",
                       tried->name, reason.place, reason.message);
}

nnm_status nnm_rule_if(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  branch branches[2] = {{.name = "then_branch"}, {.name = "else_branch"}};
  for (int i = 0; i < 2; i++) {
    branches[i].block = body_of(inference, node, branches[i].name, &branches[i].id);
    if (!branches[i].block) return nnm_fail_node(inference, node, error, "has no %s", branches[i].name);
  }
  const nnm_value *condition = nnm_input_value(inference, node, 0);
  if (condition && condition->count)
    return take_branch(inference, node, &branches[nnm_value_float(condition, 0) == 0], error);
  double before = inference->cost;
  for (int i = 0; i < 2; i++) NNM_TRY(try_branch(inference, node, &branches[i], error));
  if (!branches[0].block && !branches[1].block)
    return nnm_fail_node(inference, node, error, "has no branch that is possible with these input shapes");
  int run = !branches[0].block || (branches[1].block && branches[1].cost > branches[0].cost);
  inference->cost = before + branches[run].cost;
  if (branches[!run].block) {
    mark_not_executed(inference, branches[!run].id);
    NNM_TRY(nnm_note_node(inference, node, error,
                          "its condition depends on the input data; the %s branch (%s) is taken to run",
                          branches[run].cost == branches[!run].cost ? "first" : "dearer", branches[run].name));
  }
  return merge_outputs(inference, node, &branches[run], &branches[!run], error);
}

/* -------------------------------------------------------------------- Loop */

static void set_tensor(nnm_inference *inference, nnm_tensor_id tensor, const nnm_shape *shape, nnm_dtype dtype) {
  if (shape) inference->shapes->tensors[tensor] = *shape;
  else inference->tainted[tensor] = 1;
  inference->shapes->dtypes[tensor] = dtype;
}

/* A body's formal input takes over what is known of the tensor it starts with. */
static void start_with(nnm_inference *inference, nnm_tensor_id formal, nnm_tensor_id actual) {
  if (actual < 0) return;
  const nnm_shape *shape = &inference->shapes->tensors[actual];
  set_tensor(inference, formal, shape->rank >= 0 ? shape : NULL, inference->shapes->dtypes[actual]);
  if (inference->sequences) inference->sequences[formal] = inference->sequences[actual];
}

/* How often a Loop turns; *known tells whether that is sure. */
static nnm_status count_turns(nnm_inference *inference, const nnm_node *node, int64_t *turns, bool *known,
                              nnm_error *error) {
  const nnm_value *trips = nnm_input_value(inference, node, 0), *condition = nnm_input_value(inference, node, 1);
  *known = true;
  *turns = 1;
  if (condition && condition->count && nnm_value_float(condition, 0) == 0) {
    *turns = 0;
  } else if (trips && trips->count && nnm_value_int(trips, 0) < INT32_MAX) {
    *turns = nnm_value_int(trips, 0) < 0 ? 0 : nnm_value_int(trips, 0);
  } else {
    *known = false;
    return nnm_note_node(inference, node, error, "how often it turns depends on the input data; one turn counted");
  }
  return NNM_OK;
}

/* The body's condition may end the loop before the trip count does. */
static nnm_status look_at_condition(nnm_inference *inference, const nnm_node *node, const nnm_block *body,
                                    int64_t turns, bool known, nnm_error *error) {
  if (nnm_attribute_int(node, "counted", 0)) return NNM_OK; /* TensorFlow's: the condition is the count */
  nnm_tensor_id condition = body->outputs[0];
  const nnm_value *value = nnm_tensor_value(inference, condition);
  bool goes_on = (value && value->count && nnm_value_float(value, 0) != 0) ||
                 (body->input_count > 1 && condition == body->inputs[1]);
  /* an Identity of the condition is what exporters write for "go on" */
  nnm_node_id producer = inference->graph->tensors[condition].producer;
  if (producer >= 0 && inference->graph->nodes[producer].op == NNM_OP_IDENTITY && body->input_count > 1 &&
      nnm_has_input(&inference->graph->nodes[producer], 0))
    goes_on = goes_on || inference->graph->nodes[producer].inputs[0] == body->inputs[1];
  if (goes_on || !known || turns < 2) return NNM_OK;
  return nnm_note_node(inference, node, error,
                       "may end before its %lld turns, depending on the input data; all counted", (long long)turns);
}

/* A tensor carried from turn to turn may grow by the same amount in each. */
static nnm_status carry_out(nnm_inference *inference, const nnm_node *node, uint32_t output, nnm_tensor_id before,
                            nnm_tensor_id after, int64_t turns, nnm_error *error) {
  if (turns == 0) return pass_on(inference, node, output, before, error);
  NNM_TRY(pass_on(inference, node, output, after, error));
  if (output >= node->output_count || node->outputs[output] < 0) return NNM_OK;
  const nnm_shape *start = &inference->shapes->tensors[before], *first = &inference->shapes->tensors[after];
  if (start->rank < 0 || first->rank < 0 || nnm_same_shape(start, first)) return NNM_OK;
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0; i < first->rank; i++) {
    dims[i] = first->dims[i];
    int64_t growth = start->rank == first->rank ? first->dims[i] - start->dims[i] : 0;
    if (growth > 0 && (!nnm_multiply_i64(growth, turns, &growth) || !nnm_add_i64(start->dims[i], growth, &dims[i])))
      return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
  }
  NNM_TRY(nnm_set_shape(inference, node, output, first->rank, dims, error));
  char a[NNM_SHAPE_TEXT], b[NNM_SHAPE_TEXT], c[NNM_SHAPE_TEXT];
  nnm_shape grown = {first->rank, dims};
  return nnm_note_node(inference, node, error,
                       "carries a tensor that is %s before and %s after the first turn; %s assumed after the last",
                       nnm_shape_text(start, a, sizeof a), nnm_shape_text(first, b, sizeof b),
                       nnm_shape_text(&grown, c, sizeof c));
}

/* One result of each turn, stacked along a new axis. */
static nnm_status stack_out(nnm_inference *inference, const nnm_node *node, uint32_t output, nnm_tensor_id each,
                            int64_t axis, int64_t turns, nnm_error *error) {
  if (output >= node->output_count || node->outputs[output] < 0) return NNM_OK;
  const nnm_shape *shape = &inference->shapes->tensors[each];
  nnm_tensor_id to = node->outputs[output];
  inference->shapes->dtypes[to] = inference->shapes->dtypes[each];
  inference->tainted[to] |= inference->tainted[each];
  if (shape->rank < 0) return NNM_OK;
  int32_t at;
  if (shape->rank >= NNM_LIMIT_RANK || !nnm_resolve_axis(axis, shape->rank + 1, &at))
    return nnm_fail_node(inference, node, error, "stacks its results along axis %lld", (long long)axis);
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0; i <= shape->rank; i++) dims[i] = i == at ? turns : shape->dims[i > at ? i - 1 : i];
  return nnm_set_shape(inference, node, output, shape->rank + 1, dims, error);
}

nnm_status nnm_rule_loop(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_block_id id;
  const nnm_block *body = body_of(inference, node, "body", &id);
  uint32_t carried = node->input_count > 2 ? node->input_count - 2 : 0;
  if (!body || body->input_count != 2 + carried || body->output_count < 1 + carried)
    return nnm_fail_node(inference, node, error, "has a body that does not fit its inputs");
  int64_t turns;
  bool known;
  NNM_TRY(count_turns(inference, node, &turns, &known, error));
  nnm_shape scalar = {0, nnm_no_dims};
  set_tensor(inference, body->inputs[0], &scalar, NNM_DTYPE_I64);
  set_tensor(inference, body->inputs[1], &scalar, NNM_DTYPE_BOOL);
  for (uint32_t i = 0; i < carried; i++) start_with(inference, body->inputs[2 + i], node->inputs[2 + i]);
  NNM_TRY(inference->infer_block(inference, id, turns, error));
  if (!turns) mark_not_executed(inference, id);
  NNM_TRY(look_at_condition(inference, node, body, turns, known, error));
  for (uint32_t i = 0; i < carried; i++)
    NNM_TRY(carry_out(inference, node, i, body->inputs[2 + i], body->outputs[1 + i], turns, error));
  for (uint32_t i = carried; i + 1 < body->output_count; i++)
    NNM_TRY(stack_out(inference, node, i, body->outputs[i + 1], 0, turns, error));
  return NNM_OK;
}

/* -------------------------------------------------------------------- Scan */

static int64_t listed_axis(const nnm_node *node, const char *name, uint32_t index) {
  size_t count;
  const int64_t *axes = nnm_attribute_ints(node, name, &count);
  return index < count ? axes[index] : 0;
}

/* The slice of a scanned tensor that one turn sees. `skip` leading dims (the batch of opset 8) are dropped as well. */
static nnm_status slice_in(nnm_inference *inference, const nnm_node *node, nnm_tensor_id formal, nnm_tensor_id actual,
                           int64_t axis, int32_t skip, int64_t *turns, nnm_error *error) {
  const nnm_shape *shape = actual >= 0 ? &inference->shapes->tensors[actual] : NULL;
  nnm_dtype dtype = actual >= 0 ? inference->shapes->dtypes[actual] : NNM_DTYPE_UNKNOWN;
  if (!shape || shape->rank < 0) {
    set_tensor(inference, formal, NULL, dtype);
    return NNM_OK;
  }
  int32_t at;
  if (shape->rank <= skip || !nnm_resolve_axis(axis, shape->rank - skip, &at))
    return nnm_fail_node(inference, node, error, "scans axis %lld of a tensor of %d dimensions", (long long)axis,
                         (int)shape->rank);
  if (*turns >= 0 && *turns != shape->dims[at + skip])
    return nnm_fail_node(inference, node, error, "scans tensors of %lld and %lld steps", (long long)*turns,
                         (long long)shape->dims[at + skip]);
  *turns = shape->dims[at + skip];
  int64_t *dims = NNM_ARENA_ARRAY(&inference->shapes->arena, int64_t, (size_t)shape->rank);
  if (!dims) return nnm_fail_memory(error);
  int32_t rank = 0;
  for (int32_t i = skip; i < shape->rank; i++)
    if (i != at + skip) dims[rank++] = shape->dims[i];
  nnm_shape slice = {rank, dims};
  set_tensor(inference, formal, &slice, dtype);
  return NNM_OK;
}

/* A state loses the batch on its way into the body of opset 8, where every item is scanned on its own. */
static void state_in(nnm_inference *inference, nnm_tensor_id formal, nnm_tensor_id actual, int32_t skip) {
  start_with(inference, formal, actual);
  nnm_shape *shape = &inference->shapes->tensors[formal];
  if (skip && shape->rank > 0) *shape = (nnm_shape){shape->rank - 1, shape->dims + 1};
}

nnm_status nnm_rule_scan(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_block_id id;
  const nnm_block *body = body_of(inference, node, "body", &id);
  bool batched = inference->graph->opset == 8;
  uint32_t first = batched; /* opset 8 has sequence lengths in front */
  int64_t scanned = nnm_attribute_int(node, "num_scan_inputs", 0);
  if (!body || scanned < 1 || node->input_count < first || scanned > (int64_t)(node->input_count - first) ||
      body->input_count < node->input_count - first)
    return nnm_fail_node(inference, node, error, "has a body that does not fit its inputs");
  uint32_t states = node->input_count - first - (uint32_t)scanned;
  if (body->output_count < states) return nnm_fail_node(inference, node, error, "has a body without its states");
  int64_t turns = -1, batch = 1;
  for (uint32_t i = 0; i < states; i++) state_in(inference, body->inputs[i], node->inputs[first + i], batched);
  for (uint32_t i = 0; i < (uint32_t)scanned; i++) {
    const nnm_shape *shape = nnm_shape_of_input(inference, node, first + states + i);
    if (batched && shape && shape->rank > 0) batch = shape->dims[0];
    NNM_TRY(slice_in(inference, node, body->inputs[states + i], node->inputs[first + states + i],
                     batched ? 0 : listed_axis(node, "scan_input_axes", i), batched, &turns, error));
  }
  int64_t all = turns < 0 ? 1 : turns;
  if (!nnm_multiply_i64(all, batch, &all)) all = INT64_MAX;
  NNM_TRY(inference->infer_block(inference, id, all, error));
  for (uint32_t i = 0; i < states; i++) {
    NNM_TRY(carry_out(inference, node, i, body->inputs[i], body->outputs[i], 1, error));
    if (batched && node->inputs[first + i] >= 0 && i < node->output_count && node->outputs[i] >= 0)
      inference->shapes->tensors[node->outputs[i]] = inference->shapes->tensors[node->inputs[first + i]];
  }
  for (uint32_t i = states; turns >= 0 && i < body->output_count; i++) {
    int64_t axis = batched ? 0 : listed_axis(node, "scan_output_axes", i - states);
    NNM_TRY(stack_out(inference, node, i, body->outputs[i], axis, turns, error));
    const nnm_shape *stacked =
        i < node->output_count && node->outputs[i] >= 0 ? &inference->shapes->tensors[node->outputs[i]] : NULL;
    if (!batched || !stacked || stacked->rank < 0 || stacked->rank >= NNM_LIMIT_RANK) continue;
    int64_t dims[NNM_LIMIT_RANK] = {batch};
    memcpy(dims + 1, stacked->dims, (size_t)stacked->rank * sizeof *dims);
    NNM_TRY(nnm_set_shape(inference, node, i, stacked->rank + 1, dims, error));
  }
  return NNM_OK;
}
