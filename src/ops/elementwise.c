/* One pass over the data: activations, arithmetic, comparisons, casts, quantisation, normalisation. */
#include <string.h>

#include "base/limits.h"
#include "ops/rule.h"
#include "ops/window.h"

nnm_status nnm_rule_same(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  const nnm_sequence *sequence = nnm_input_sequence(inference, node, 0);
  if (sequence) return nnm_set_sequence(inference, node, 0, sequence, error);
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (shape) nnm_share_shape(inference, node, 0, shape);
  return NNM_OK;
}

static nnm_status fail_broadcast(const nnm_inference *inference, const nnm_node *node, const nnm_shape *a,
                                 const nnm_shape *b, nnm_error *error) {
  char first[NNM_SHAPE_TEXT], second[NNM_SHAPE_TEXT];
  return nnm_fail_node(inference, node, error, "combines shapes that do not fit: %s and %s",
                       nnm_shape_text(a, first, sizeof first), nnm_shape_text(b, second, sizeof second));
}

/* Broadcasts the inputs listed in `inputs`, all of them when the list is NULL. */
static nnm_status broadcast_inputs(nnm_inference *inference, const nnm_node *node, const uint32_t *inputs,
                                   uint32_t count, nnm_error *error) {
  int64_t dims[NNM_LIMIT_RANK];
  nnm_shape result = {-1, dims};
  const nnm_shape *whole = NULL; /* an input that already has the result's shape */
  for (uint32_t i = 0; i < count; i++) {
    const nnm_shape *shape = nnm_shape_of_input(inference, node, inputs ? inputs[i] : i);
    if (!shape) return NNM_OK;
    if (!whole && result.rank < 0) whole = shape;
    else if (whole && nnm_same_shape(whole, shape)) continue;
    else {
      nnm_shape before = whole ? *whole : result;
      if (!nnm_broadcast_dims(&before, shape, dims, &result.rank))
        return fail_broadcast(inference, node, &before, shape, error);
      if (nnm_same_shape(&result, shape)) whole = shape;
      else if (whole && !nnm_same_shape(&result, whole)) whole = NULL;
    }
  }
  if (whole) nnm_share_shape(inference, node, 0, whole);
  else if (result.rank >= 0) return nnm_set_shape(inference, node, 0, result.rank, dims, error);
  return NNM_OK;
}

/* Opsets below 7 line B up with A at an axis, and B never widens A. */
static bool is_old_broadcast(const nnm_inference *inference, const nnm_node *node) {
  return inference->graph->opset > 0 && inference->graph->opset < 7 && nnm_attribute_int(node, "broadcast", 0) &&
         node->input_count == 2;
}

nnm_status nnm_rule_broadcast(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (is_old_broadcast(inference, node)) return nnm_rule_same(inference, node, error);
  return broadcast_inputs(inference, node, NULL, node->input_count, error);
}

nnm_status nnm_rule_compare(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_BOOL);
  return nnm_rule_broadcast(inference, node, error);
}

nnm_status nnm_rule_test(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_BOOL);
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_where(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (node->input_count < 3) return NNM_OK; /* TensorFlow's Where with one input is another operator */
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 1));
  /* TensorFlow's first Select: a list of conditions chooses rows */
  if (nnm_attribute_int(node, "by_row", 0))
    return broadcast_inputs(inference, node, (const uint32_t[]){1, 2}, 2, error);
  return broadcast_inputs(inference, node, NULL, 3, error);
}

nnm_status nnm_rule_cast(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  NNM_TRY(nnm_set_dtype_by(inference, node, "to", 0, error));
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_cast_like(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 1));
  return nnm_rule_same(inference, node, error);
}

/* Halves of the last dimension gate each other. */
static nnm_status halve_last(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  if (shape->rank < 1) return nnm_fail_node(inference, node, error, "cannot halve a scalar");
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  dims[shape->rank - 1] /= 2;
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

nnm_status nnm_rule_bias_split_gelu(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return halve_last(inference, node, error);
}

nnm_status nnm_rule_swiglu(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (nnm_has_input(node, 1)) return broadcast_inputs(inference, node, NULL, 2, error);
  return halve_last(inference, node, error);
}

nnm_status nnm_rule_all_finite(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_BOOL);
  return nnm_set_shape(inference, node, 0, 0, NULL, error);
}

nnm_status nnm_rule_dropout(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  nnm_share_shape(inference, node, 0, shape);
  nnm_share_shape(inference, node, 1, shape); /* the mask */
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_BOOL);
  (void)error;
  return NNM_OK;
}

/* ------------------------------------------------------------ quantisation */

nnm_status nnm_rule_quantize(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_dtype wanted = nnm_dtype_of_onnx(nnm_attribute_int(node, "output_dtype", 0));
  if (wanted == NNM_DTYPE_UNKNOWN) wanted = nnm_has_input(node, 2) ? nnm_input_dtype(inference, node, 2) : NNM_DTYPE_U8;
  nnm_set_dtype(inference, node, 0, wanted);
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_dequantize(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 1)); /* that of the scale */
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_dynamic_quantize(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_U8);
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_F32);
  nnm_set_dtype(inference, node, 2, NNM_DTYPE_U8);
  NNM_TRY(nnm_set_shape(inference, node, 1, 0, NULL, error));
  NNM_TRY(nnm_set_shape(inference, node, 2, 0, NULL, error));
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_qlinear_broadcast(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return broadcast_inputs(inference, node, (const uint32_t[]){0, 3}, 2, error); /* each followed by scale, zero point */
}

nnm_status nnm_rule_mul_integer(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  return broadcast_inputs(inference, node, (const uint32_t[]){0, 2}, 2, error); /* each followed by its zero point */
}

nnm_status nnm_rule_qlinear_where(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 1));
  return broadcast_inputs(inference, node, (const uint32_t[]){0, 1, 4}, 3, error);
}

/* ----------------------------------------------------------- normalisation */

/* Further outputs are running statistics of one number per channel (training mode, or opset below 14). */
nnm_status nnm_rule_batch_norm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  nnm_share_shape(inference, node, 0, shape);
  if (node->output_count == 1) return NNM_OK;
  int32_t channel = nnm_node_layout(node) == NNM_CHANNELS_LAST ? shape->rank - 1 : 1;
  int64_t channels = shape->rank > channel && channel >= 0 ? shape->dims[channel] : 1;
  for (uint32_t i = 1; i < node->output_count; i++) NNM_TRY(nnm_set_shape(inference, node, i, 1, &channels, error));
  return NNM_OK;
}

/* Mean and inverse deviation keep the dims before the normalised ones. */
static nnm_status set_statistics(nnm_inference *inference, const nnm_node *node, const nnm_shape *shape, int64_t axis,
                                 nnm_error *error) {
  int32_t first;
  int64_t dims[NNM_LIMIT_RANK];
  if (!nnm_resolve_axis(axis, shape->rank, &first))
    return nnm_fail_node(inference, node, error, "has axis %lld for an input of %d dimensions", (long long)axis,
                         (int)shape->rank);
  for (int32_t i = 0; i < shape->rank; i++) dims[i] = i < first ? shape->dims[i] : 1;
  for (uint32_t i = 1; i < node->output_count && i < 3; i++) {
    nnm_set_dtype(inference, node, i, NNM_DTYPE_F32);
    NNM_TRY(nnm_set_shape(inference, node, i, shape->rank, dims, error));
  }
  return NNM_OK;
}

nnm_status nnm_rule_layer_norm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  nnm_share_shape(inference, node, 0, shape);
  return node->output_count > 1 ? set_statistics(inference, node, shape, nnm_attribute_int(node, "axis", -1), error)
                                : NNM_OK;
}

/* Outputs: result, mean, inverse deviation, sum of input and skip. */
nnm_status nnm_rule_skip_layer_norm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  nnm_share_shape(inference, node, 0, shape);
  nnm_share_shape(inference, node, 3, shape);
  nnm_set_dtype(inference, node, 3, nnm_input_dtype(inference, node, 0));
  return node->output_count > 1 ? set_statistics(inference, node, shape, -1, error) : NNM_OK;
}

nnm_status nnm_rule_skip_group_norm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  nnm_share_shape(inference, node, 0, shape);
  nnm_share_shape(inference, node, 1, shape);
  return NNM_OK;
}

/* Inputs: ids, segment ids, then three embedding tables; outputs: result, mask index, sum of the embeddings. */
nnm_status nnm_rule_embed_layer_norm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *ids = nnm_shape_of_input(inference, node, 0), *table = nnm_shape_of_input(inference, node, 2);
  if (!ids || !table) return NNM_OK;
  if (ids->rank != 2 || table->rank != 2)
    return nnm_fail_node(inference, node, error, "needs ids and an embedding table of 2 dimensions each");
  int64_t dims[3] = {ids->dims[0], ids->dims[1], table->dims[1]};
  for (uint32_t i = 0; i < 3; i++) nnm_set_dtype(inference, node, i, nnm_input_dtype(inference, node, 2));
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_I32);
  NNM_TRY(nnm_set_shape(inference, node, 0, 3, dims, error));
  NNM_TRY(nnm_set_shape(inference, node, 2, 3, dims, error));
  return nnm_set_shape(inference, node, 1, 1, dims, error);
}

/* A loss: one number, or one for each target. */
nnm_status nnm_rule_loss(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *scores = nnm_shape_of_input(inference, node, 0), *target = nnm_shape_of_input(inference, node, 1);
  if (scores) nnm_share_shape(inference, node, 1, scores); /* SoftmaxCrossEntropyLoss: log probabilities */
  if (strcmp(nnm_attribute_text(node, "reduction", "mean"), "none"))
    return nnm_set_shape(inference, node, 0, 0, NULL, error);
  if (target) nnm_share_shape(inference, node, 0, target);
  return NNM_OK;
}
