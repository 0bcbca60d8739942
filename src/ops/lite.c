/* TFLite's own operators: recurrent layers as one, boxes in lists of fixed length, variables. */
#include "ops/lite.h"

#include <string.h>

#include "base/checked.h"
#include "base/limits.h"

/* Nothing but the file tells the shapes. */
nnm_status nnm_rule_declared(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference, (void)node, (void)error;
  return NNM_OK;
}

/* Each output is like the input of the same number. */
nnm_status nnm_rule_each_same(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  for (uint32_t i = 0; i < node->output_count && i < node->input_count; i++) {
    const nnm_shape *shape = nnm_shape_of_input(inference, node, i);
    if (shape) nnm_share_shape(inference, node, i, shape);
    nnm_set_dtype(inference, node, i, nnm_input_dtype(inference, node, i));
  }
  return NNM_OK;
}

/* ---- recurrent layers */

/* Input, then four matrices for the input and four for the state of before, one for each gate; the matrices of another
 * direction follow at BACKWARDS. A projection of the result is optional. */
enum {
  LSTM_RECURRENT = 6, /* of the forget gate, which is always there: (cells, outputs) */
  LSTM_BACKWARDS = 17,
  RNN_WEIGHTS = 1, /* (outputs, inputs) */
  RNN_BACKWARDS = 4,
  SVDF_FEATURES = 1, /* (filters, inputs); `rank` filters make one output */
};

static int64_t dimension(const nnm_inference *inference, const nnm_node *node, uint32_t input, int32_t axis) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, input);
  return shape && shape->rank == 2 ? shape->dims[axis] : -1;
}

/* Numbers that a step gives, in one direction; -1: not known. */
static int64_t features_of(const nnm_inference *inference, const nnm_node *node, bool backwards) {
  switch (node->op) {
  case NNM_OP_LITE_LSTM:
    if (nnm_attribute_int(node, "basic", 0)) return dimension(inference, node, 1, 1); /* the activation of before */
    return dimension(inference, node, LSTM_RECURRENT, 1);
  case NNM_OP_LITE_BIDIRECTIONAL_LSTM:
    return dimension(inference, node, LSTM_RECURRENT + (backwards ? LSTM_BACKWARDS : 0), 1);
  case NNM_OP_LITE_RNN: return dimension(inference, node, RNN_WEIGHTS, 0);
  case NNM_OP_LITE_BIDIRECTIONAL_RNN:
    return dimension(inference, node, RNN_WEIGHTS + (backwards ? RNN_BACKWARDS : 0), 0);
  case NNM_OP_LITE_SVDF: {
    int64_t rank = nnm_attribute_int(node, "rank", 1), filters = dimension(inference, node, SVDF_FEATURES, 0);
    return rank > 0 && filters >= 0 ? filters / rank : -1;
  }
  default: return -1;
  }
}

static bool is_bidirectional(const nnm_node *node) {
  return node->op == NNM_OP_LITE_BIDIRECTIONAL_LSTM || node->op == NNM_OP_LITE_BIDIRECTIONAL_RNN;
}

nnm_status nnm_rule_lite_layer(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  int64_t forwards = features_of(inference, node, false), backwards = 0;
  if (is_bidirectional(node)) backwards = features_of(inference, node, true);
  if (!shape || shape->rank < 1 || forwards < 0 || backwards < 0) return NNM_OK;
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  bool merges = nnm_attribute_int(node, "merge_outputs", 0) != 0;
  dims[shape->rank - 1] = merges ? forwards + backwards : forwards;
  NNM_TRY(nnm_set_shape(inference, node, 0, shape->rank, dims, error));
  if (!is_bidirectional(node) || merges) return NNM_OK;
  dims[shape->rank - 1] = backwards;
  nnm_set_dtype(inference, node, 1, nnm_input_dtype(inference, node, 0));
  return nnm_set_shape(inference, node, 1, shape->rank, dims, error);
}

/* Every matrix is multiplied with one vector in every step. */
int64_t nnm_lite_layer_work(const nnm_inference *view, const nnm_node *node) {
  const nnm_shape *shape = nnm_shape_of_input(view, node, 0);
  if (!shape || shape->rank < 1) return 0;
  int64_t steps, weights = 0, work;
  if (!nnm_multiply_dims(shape->dims, (size_t)shape->rank - 1, &steps)) return INT64_MAX;
  for (uint32_t i = 1; i < node->input_count; i++) {
    const nnm_shape *matrix = nnm_shape_of_input(view, node, i);
    if (!matrix || matrix->rank != 2 || !view->shapes->constant[node->inputs[i]]) continue;
    int64_t elements = nnm_shape_elements(*matrix);
    if (elements < 0 || !nnm_add_i64(weights, elements, &weights)) return INT64_MAX;
  }
  return nnm_multiply_i64(steps, weights, &work) ? work : INT64_MAX;
}
