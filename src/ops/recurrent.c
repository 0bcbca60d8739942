/* LSTM, GRU and RNN, forwards, backwards and both ways. */
#include "ops/recurrent.h"

#include <string.h>

static int64_t gates_of(const nnm_node *node) {
  if (node->op == NNM_OP_LSTM || node->op == NNM_OP_MS_DYNAMIC_QUANTIZE_LSTM) return 4;
  return node->op == NNM_OP_GRU ? 3 : 1;
}

static nnm_status count_directions(const nnm_inference *inference, const nnm_node *node, int64_t *out,
                                   nnm_error *error) {
  const char *direction = nnm_attribute_text(node, "direction", "forward");
  bool both = !strcmp(direction, "bidirectional");
  *out = both ? 2 : 1;
  if (both || !strcmp(direction, "forward") || !strcmp(direction, "reverse")) return NNM_OK;
  return nnm_fail_node(inference, node, error,
                       "has direction '%.40s'; export it with forward, reverse or bidirectional", direction);
}

/* Weights are (directions, gates * hidden, inputs); the quantised layer has the last two the other way round. */
nnm_status nnm_recurrence_of(const nnm_inference *inference, const nnm_node *node, nnm_recurrence *out, bool *known,
                             nnm_error *error) {
  nnm_shape_rule rule = nnm_op_shape_rule(node->op);
  if (rule == nnm_rule_lite_layer) return NNM_OK; /* as many matrices as inputs: lite.c */
  if (rule != nnm_rule_lstm && rule != nnm_rule_gru) return nnm_block_recurrence_of(inference, node, out, known, error);
  const nnm_shape *sequence = nnm_shape_of_input(inference, node, 0), *weight = nnm_shape_of_input(inference, node, 1);
  if (!sequence || (nnm_has_input(node, 1) && !weight)) return NNM_OK;
  if (sequence->rank != 3 || (weight && weight->rank != 3))
    return nnm_fail_node(inference, node, error, "needs an input and weights of 3 dimensions each");
  out->batch_first = nnm_attribute_int(node, "layout", 0) != 0;
  out->gates = gates_of(node);
  out->steps = sequence->dims[out->batch_first];
  out->batch = sequence->dims[!out->batch_first];
  out->inputs = sequence->dims[2];
  NNM_TRY(count_directions(inference, node, &out->directions, error));
  bool turned = node->op == NNM_OP_MS_DYNAMIC_QUANTIZE_LSTM;
  out->hidden = nnm_attribute_int(node, "hidden_size", weight ? weight->dims[turned ? 2 : 1] / out->gates : -1);
  if (out->hidden < 0) return NNM_OK;
  if (weight && weight->dims[0] != out->directions)
    return nnm_fail_node(inference, node, error, "has weights for %lld directions, not %lld",
                         (long long)weight->dims[0], (long long)out->directions);
  if (weight && weight->dims[turned ? 1 : 2] != out->inputs)
    return nnm_fail_node(inference, node, error, "has weights for %lld features, but its input has %lld",
                         (long long)weight->dims[turned ? 1 : 2], (long long)out->inputs);
  *known = true;
  return NNM_OK;
}

static nnm_status set_outputs(nnm_inference *inference, const nnm_node *node, uint32_t states, nnm_error *error) {
  nnm_recurrence layer = {0};
  bool known = false;
  NNM_TRY(nnm_recurrence_of(inference, node, &layer, &known, error));
  if (!known) return NNM_OK;
  int64_t sequence[4] = {layer.steps, layer.directions, layer.batch, layer.hidden};
  int64_t batch_first[4] = {layer.batch, layer.steps, layer.directions, layer.hidden};
  int64_t state[3] = {layer.batch_first ? layer.batch : layer.directions,
                      layer.batch_first ? layer.directions : layer.batch, layer.hidden};
  NNM_TRY(nnm_set_shape(inference, node, 0, 4, layer.batch_first ? batch_first : sequence, error));
  for (uint32_t i = 1; i <= states; i++) {
    nnm_set_dtype(inference, node, i, nnm_input_dtype(inference, node, 0));
    NNM_TRY(nnm_set_shape(inference, node, i, 3, state, error));
  }
  return NNM_OK;
}

nnm_status nnm_rule_lstm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return set_outputs(inference, node, 2, error);
}
nnm_status nnm_rule_gru(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return set_outputs(inference, node, 1, error);
}
