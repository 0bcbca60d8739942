/* TensorFlow's recurrent layers and cells in one node. Loops that compute such a layer step by step are loops. */
#include <string.h>

#include "base/checked.h"
#include "ops/recurrent.h"

static bool is_cell(const nnm_node *node) { return node->op == NNM_OP_LSTM_CELL || node->op == NNM_OP_GRU_CELL; }

/* The inputs of each operator: the data, and the state that goes in. */
static nnm_status sizes(const nnm_inference *inference, const nnm_node *node, const nnm_shape **data,
                        const nnm_shape **state, nnm_error *error) {
  bool is_block = node->op == NNM_OP_BLOCK_LSTM, is_cudnn = node->op == NNM_OP_CUDNN_RNN;
  *data = nnm_shape_of_input(inference, node, is_block ? 1 : 0);
  *state = nnm_shape_of_input(inference, node, is_block ? 3 : node->op == NNM_OP_LSTM_CELL ? 2 : 1);
  if (!*data || !*state) return NNM_OK;
  if ((*data)->rank != (is_cell(node) ? 2 : 3) || (*state)->rank != (is_cudnn ? 3 : 2))
    return nnm_fail_node(inference, node, error, "needs data of %d dimensions and a state of %d", is_cell(node) ? 2 : 3,
                         is_cudnn ? 3 : 2);
  return NNM_OK;
}

nnm_status nnm_block_recurrence_of(const nnm_inference *inference, const nnm_node *node, nnm_recurrence *out,
                                   bool *known, nnm_error *error) {
  const nnm_shape *data, *state;
  NNM_TRY(sizes(inference, node, &data, &state, error));
  if (!data || !state) return NNM_OK;
  const char *mode = nnm_attribute_text(node, "rnn_mode", "lstm");
  bool is_gru = node->op == NNM_OP_GRU_CELL || !strcmp(mode, "gru");
  out->gates = is_gru ? 3 : strncmp(mode, "rnn", 3) ? 4 : 1;
  out->steps = is_cell(node) ? 1 : data->dims[0];
  out->batch = data->dims[data->rank - 2];
  out->inputs = data->dims[data->rank - 1];
  out->hidden = state->dims[state->rank - 1];
  out->directions = 1;
  *known = true;
  if (node->op != NNM_OP_CUDNN_RNN) return NNM_OK;
  /* layers on each other: the further ones read what all directions of the one before have made */
  int64_t both = strcmp(nnm_attribute_text(node, "direction", "unidirectional"), "unidirectional") ? 2 : 1, wide, sum;
  int64_t layers = state->dims[0] / both;
  out->directions = state->dims[0];
  if (layers > 1 && nnm_multiply_i64(out->hidden, both, &wide) && nnm_multiply_i64(wide, layers - 1, &sum) &&
      nnm_add_i64(sum, out->inputs, &sum))
    out->inputs = sum / layers;
  return NNM_OK;
}

/* Every output has the size of the state, once for each step. */
nnm_status nnm_rule_block_lstm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *data, *state;
  NNM_TRY(sizes(inference, node, &data, &state, error));
  if (!data || !state) return NNM_OK;
  int64_t dims[3] = {data->dims[0], data->dims[1], state->dims[1]};
  for (uint32_t i = 0; i < node->output_count; i++) NNM_TRY(nnm_set_shape(inference, node, i, 3, dims, error));
  return NNM_OK;
}

nnm_status nnm_rule_recurrent_cell(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *data, *state;
  NNM_TRY(sizes(inference, node, &data, &state, error));
  if (!data || !state) return NNM_OK;
  int64_t dims[2] = {data->dims[0], state->dims[1]};
  for (uint32_t i = 0; i < node->output_count; i++) NNM_TRY(nnm_set_shape(inference, node, i, 2, dims, error));
  return NNM_OK;
}

/* Sequence, state, cell state; what is kept for training is nothing. */
nnm_status nnm_rule_cudnn_rnn(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *data, *state;
  NNM_TRY(sizes(inference, node, &data, &state, error));
  if (!data || !state) return NNM_OK;
  int64_t both = strcmp(nnm_attribute_text(node, "direction", "unidirectional"), "unidirectional") ? 2 : 1, wide;
  if (!nnm_multiply_i64(state->dims[2], both, &wide))
    return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
  NNM_TRY(nnm_set_shape(inference, node, 0, 3, (int64_t[]){data->dims[0], data->dims[1], wide}, error));
  NNM_TRY(nnm_set_shape(inference, node, 1, 3, state->dims, error));
  NNM_TRY(nnm_set_shape(inference, node, 2, 3, state->dims, error));
  for (uint32_t i = 3; i < node->output_count; i++)
    NNM_TRY(nnm_set_shape(inference, node, i, 1, (int64_t[]){0}, error));
  return NNM_OK;
}
