/* Sequences of tensors, and optional values. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

/* Room for the items of a new sequence; NULL when that is over the limits or memory runs out (out_of_memory tells). */
static nnm_shape *new_items(nnm_inference *inference, int64_t count) {
  if (count > NNM_LIMIT_FOLDED_ELEMENTS || count > inference->budget) return NULL;
  inference->budget -= count;
  nnm_shape *items = NNM_ARENA_ARRAY(&inference->shapes->arena, nnm_shape, (size_t)count);
  if (!items) inference->out_of_memory = true;
  return items;
}

static nnm_status fail_long(const nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (inference->out_of_memory) return nnm_fail_memory(error);
  return nnm_fail_node(inference, node, error, "makes a sequence of more than %d tensors", NNM_LIMIT_FOLDED_ELEMENTS);
}

nnm_status nnm_rule_sequence_construct(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_shape *items = new_items(inference, node->input_count);
  if (!items) return fail_long(inference, node, error);
  for (uint32_t i = 0; i < node->input_count; i++) {
    const nnm_shape *shape = nnm_shape_of_input(inference, node, i);
    if (!shape) return NNM_OK;
    items[i] = *shape;
  }
  nnm_sequence sequence = {.count = node->input_count, .items = items, .dtype = nnm_input_dtype(inference, node, 0)};
  return nnm_set_sequence(inference, node, 0, &sequence, error);
}

nnm_status nnm_rule_sequence_empty(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_sequence sequence = {.count = 0, .items = NULL, .dtype = nnm_dtype_of_onnx(nnm_attribute_int(node, "dtype", 1))};
  return nnm_set_sequence(inference, node, 0, &sequence, error);
}

/* The position an input names; *known is false when that depends on data. */
static nnm_status find_position(nnm_inference *inference, const nnm_node *node, uint32_t input, int64_t count,
                                int64_t otherwise, int64_t *out, bool *known, nnm_error *error) {
  *known = true;
  *out = otherwise;
  if (!nnm_has_input(node, input)) return NNM_OK;
  const nnm_value *value = nnm_input_value(inference, node, input);
  *known = value && value->count;
  if (!*known) return NNM_OK;
  *out = nnm_value_int(value, 0);
  if (*out < 0) *out += count;
  if (*out < 0 || *out > count || (*out == count && otherwise != count))
    return nnm_fail_node(inference, node, error, "names item %lld of %lld", (long long)nnm_value_int(value, 0),
                         (long long)count);
  return NNM_OK;
}

nnm_status nnm_rule_sequence_insert(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *old = nnm_input_sequence(inference, node, 0);
  const nnm_shape *added = nnm_shape_of_input(inference, node, 1);
  if (!old || !added || old->count < 0) return NNM_OK;
  int64_t position;
  bool known;
  NNM_TRY(find_position(inference, node, 2, old->count, old->count, &position, &known, error));
  nnm_shape *items = new_items(inference, old->count + 1);
  if (!items) return fail_long(inference, node, error);
  if (!known) position = old->count;
  for (int64_t i = 0; i <= old->count; i++) items[i] = i == position ? *added : old->items[i - (i > position)];
  nnm_sequence sequence = {.count = old->count + 1, .items = items, .dtype = nnm_input_dtype(inference, node, 1)};
  return nnm_set_sequence(inference, node, 0, &sequence, error);
}

nnm_status nnm_rule_sequence_erase(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *old = nnm_input_sequence(inference, node, 0);
  if (!old || old->count < 0) return NNM_OK;
  if (!old->count) return nnm_fail_node(inference, node, error, "takes from an empty sequence");
  int64_t position;
  bool known;
  NNM_TRY(find_position(inference, node, 1, old->count, old->count - 1, &position, &known, error));
  nnm_shape *items = new_items(inference, old->count - 1);
  if (!items) return fail_long(inference, node, error);
  if (!known) position = old->count - 1;
  for (int64_t i = 0; i + 1 < old->count; i++) items[i] = old->items[i + (i >= position)];
  nnm_sequence sequence = {.count = old->count - 1, .items = items, .dtype = old->dtype};
  return nnm_set_sequence(inference, node, 0, &sequence, error);
}

nnm_status nnm_rule_sequence_at(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *sequence = nnm_input_sequence(inference, node, 0);
  if (!sequence) return NNM_OK;
  if (!sequence->count) return nnm_fail_node(inference, node, error, "takes from an empty sequence");
  nnm_set_dtype(inference, node, 0, sequence->dtype);
  int64_t position = 0;
  bool known = true, alike = true;
  if (sequence->count > 0)
    NNM_TRY(find_position(inference, node, 1, sequence->count, sequence->count - 1, &position, &known, error));
  for (int64_t i = 1; !known && i < sequence->count; i++)
    alike = alike && nnm_same_shape(&sequence->items[0], &sequence->items[i]);
  if (!alike)
    NNM_TRY(
        nnm_note_node(inference, node, error, "which item it takes depends on the input data; the first one assumed"));
  nnm_share_shape(inference, node, 0, &sequence->items[known ? position : 0]);
  return NNM_OK;
}

nnm_status nnm_rule_sequence_length(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  return nnm_set_shape(inference, node, 0, 0, NULL, error);
}

/* Without sizes: single slices, whose axis is dropped with keepdims 0. One size: parts of that size. */
nnm_status nnm_rule_split_to_sequence(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const int64_t *sizes;
  size_t count;
  int32_t axis;
  nnm_found found = nnm_find_ints(inference, node, NULL, 1, &sizes, &count);
  if (found == NNM_DEPENDS_ON_DATA) return NNM_OK;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis))
    return nnm_fail_node(inference, node, error, "has axis %lld for an input of %d dimensions",
                         (long long)nnm_attribute_int(node, "axis", 0), (int)shape->rank);
  const nnm_shape *size_shape = nnm_shape_of_input(inference, node, 1);
  bool listed = found == NNM_KNOWN && size_shape && size_shape->rank == 1;
  bool drop = found == NNM_ABSENT && !nnm_attribute_int(node, "keepdims", 1);
  int64_t whole = shape->dims[axis], each = found == NNM_KNOWN && !listed && count ? sizes[0] : 1;
  if (each < 1) return nnm_fail_node(inference, node, error, "splits into parts of %lld", (long long)each);
  int64_t parts = listed ? (int64_t)count : nnm_divide_up(whole, each), left = whole;
  nnm_shape *items = new_items(inference, parts * (1 + shape->rank));
  if (!items) return fail_long(inference, node, error);
  int64_t *dims = NNM_ARENA_ARRAY(&inference->shapes->arena, int64_t, (size_t)(parts * shape->rank));
  if (!dims) return nnm_fail_memory(error);
  for (int64_t i = 0; i < parts; i++, dims += shape->rank) {
    int64_t size = listed ? sizes[i] : each < left ? each : left;
    if (size < 0 || size > left) return nnm_fail_node(inference, node, error, "has sizes that do not add up");
    left -= size;
    int32_t rank = 0;
    for (int32_t j = 0; j < shape->rank; j++)
      if (j != axis || !drop) dims[rank++] = j == axis ? size : shape->dims[j];
    items[i] = (nnm_shape){rank, dims};
  }
  nnm_sequence sequence = {.count = parts, .items = items, .dtype = nnm_input_dtype(inference, node, 0)};
  return nnm_set_sequence(inference, node, 0, &sequence, error);
}

nnm_status nnm_rule_concat_from_sequence(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *sequence = nnm_input_sequence(inference, node, 0);
  if (!sequence || sequence->count < 1) return NNM_OK;
  const nnm_shape *first = &sequence->items[0];
  bool stack = nnm_attribute_int(node, "new_axis", 0) != 0;
  int32_t axis, rank = first->rank + stack;
  if (rank > NNM_LIMIT_RANK || !nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), rank, &axis))
    return nnm_fail_node(inference, node, error, "has axis %lld for items of %d dimensions",
                         (long long)nnm_attribute_int(node, "axis", 0), (int)first->rank);
  int64_t dims[NNM_LIMIT_RANK], total = stack ? sequence->count : 0;
  for (int32_t i = 0; i < rank; i++) dims[i] = first->dims[i - (stack && i > axis && i > 0)];
  for (int64_t i = 0; !stack && i < sequence->count; i++) {
    if (sequence->items[i].rank != rank || !nnm_add_i64(total, sequence->items[i].dims[axis], &total))
      return nnm_fail_node(inference, node, error, "joins tensors that do not fit");
  }
  dims[axis] = total;
  nnm_set_dtype(inference, node, 0, sequence->dtype);
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

/* Without an input it holds nothing. */
nnm_status nnm_rule_optional(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (!nnm_has_input(node, 0)) return nnm_set_shape(inference, node, 0, 1, (int64_t[]){0}, error);
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_optional_has(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_BOOL);
  return nnm_set_shape(inference, node, 0, 0, NULL, error);
}

/* Maps a body over the items; further inputs are sequences of the same length, or tensors that every turn sees. All
 * items are taken to be like the first one. */
nnm_status nnm_rule_sequence_map(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_attribute *attribute = nnm_find_attribute(node, "body");
  const nnm_sequence *first = nnm_input_sequence(inference, node, 0);
  if (!attribute || attribute->kind != NNM_ATTRIBUTE_BLOCK || !first) return NNM_OK;
  const nnm_block *body = &inference->graph->blocks[attribute->as.block];
  if (body->input_count < node->input_count || body->output_count < node->output_count)
    return nnm_fail_node(inference, node, error, "has a body that does not fit its inputs");
  if (!first->count) return nnm_rule_sequence_empty(inference, node, error);
  for (uint32_t i = 0; i < node->input_count; i++) {
    const nnm_sequence *sequence = nnm_input_sequence(inference, node, i);
    const nnm_shape *shape = sequence && sequence->count ? &sequence->items[0] : nnm_shape_of_input(inference, node, i);
    if (!shape) return NNM_OK;
    inference->shapes->tensors[body->inputs[i]] = *shape;
    inference->shapes->dtypes[body->inputs[i]] = sequence ? sequence->dtype : nnm_input_dtype(inference, node, i);
  }
  for (int64_t i = 1; i < first->count; i++) {
    if (nnm_same_shape(&first->items[0], &first->items[i])) continue;
    NNM_TRY(nnm_note_node(inference, node, error, "its items differ in shape; all are counted like the first one"));
    break;
  }
  int64_t turns = first->count < 0 ? 1 : first->count;
  NNM_TRY(inference->infer_block(inference, attribute->as.block, turns, error));
  for (uint32_t i = 0; i < node->output_count; i++) {
    const nnm_shape *shape = &inference->shapes->tensors[body->outputs[i]];
    nnm_shape *items = shape->rank >= 0 ? new_items(inference, turns) : NULL;
    if (!items) continue;
    for (int64_t j = 0; j < turns; j++) items[j] = *shape;
    nnm_sequence sequence = {
        .count = first->count < 0 ? -1 : turns, .items = items, .dtype = inference->shapes->dtypes[body->outputs[i]]};
    NNM_TRY(nnm_set_sequence(inference, node, i, &sequence, error));
  }
  return NNM_OK;
}
