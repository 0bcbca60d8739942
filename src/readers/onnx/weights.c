/* Weights that a model takes as inputs (torch's export_params=False, and tools that drop initializers).
 *
 * A graph input counts as a weight when its shape is fully declared, it is no output, and
 *   1. everything that reads it does so through a port that takes weights in every network (the filter of a Conv, the
 *      scale of a BatchNormalization ...), or
 *   2. it is called as PyTorch calls parameters ("encoder.0.in_proj_weight", "class_token"), or
 *   3. everything that reads it does so through such a port or one that often takes weights (an operand of Add, the
 *      second matrix of a MatMul, the table of a Gather ...), and it stands behind an input that is a weight by 1 or 2:
 *      exporters list the data first.
 * Everything else is data, as are parameters of an unusual name in front of all others: calling data a weight would hide
 * work of the model, the other way round only leaves a constant operand to be counted as data. */
#include <string.h>

#include "readers/onnx/onnx.h"

enum port_kind { PORT_WEIGHT = 1, PORT_PERHAPS = 2, PORT_DATA = 4, SETTLED = 8 };

typedef struct weight_ports {
  const char *type;
  uint32_t surely, perhaps; /* sets of input ports */
} weight_ports;

#define PORT(n) (1U << (n))
static const weight_ports weight_port_table[] = {
    {"Add", 0, PORT(0) | PORT(1)},
    {"BatchNormalization", PORT(1) | PORT(2) | PORT(3) | PORT(4), 0},
    {"Cast", 0, PORT(0)},
    {"Concat", 0, UINT32_MAX},
    {"Conv", PORT(1) | PORT(2), 0},
    {"ConvInteger", PORT(1) | PORT(2) | PORT(3), 0},
    {"ConvTranspose", PORT(1) | PORT(2), 0},
    {"DeformConv", PORT(1) | PORT(3), 0},
    {"DequantizeLinear", PORT(1) | PORT(2), PORT(0)},
    {"Div", 0, PORT(0) | PORT(1)},
    {"Expand", 0, PORT(0)},
    {"GRU", PORT(1) | PORT(2) | PORT(3), 0},
    {"Gather", 0, PORT(0)},
    {"Gemm", PORT(1) | PORT(2), 0},
    {"GroupNormalization", PORT(1) | PORT(2), 0},
    {"Identity", 0, PORT(0)},
    {"InstanceNormalization", PORT(1) | PORT(2), 0},
    {"LSTM", PORT(1) | PORT(2) | PORT(3) | PORT(7), 0},
    {"LayerNormalization", PORT(1) | PORT(2), 0},
    {"MatMul", 0, PORT(1)},
    {"MatMulInteger", PORT(2) | PORT(3), PORT(1)},
    {"Mul", 0, PORT(0) | PORT(1)},
    {"PRelu", PORT(1), 0},
    {"Pow", 0, PORT(1)},
    {"QLinearConv", PORT(1) | PORT(2) | PORT(3) | PORT(4) | PORT(5) | PORT(6) | PORT(7) | PORT(8), 0},
    {"QuantizeLinear", PORT(1) | PORT(2), PORT(0)},
    {"RMSNormalization", PORT(1), 0},
    {"RNN", PORT(1) | PORT(2) | PORT(3), 0},
    {"Reshape", 0, PORT(0)},
    {"Sub", 0, PORT(0) | PORT(1)},
    {"Transpose", 0, PORT(0)},
    {"Unsqueeze", 0, PORT(0)},
};
enum { WEIGHT_PORT_ROWS = sizeof weight_port_table / sizeof weight_port_table[0] };

/* Whether the part of the name behind its last dot contains a word. The dot must be there, for data may be called so as
 * well, but not for what transformers put before their tokens: that stands in front of all other parameters. */
static bool is_named_like_weight(const nnm_wire_field *name) {
  static const char *const words[] = {"weight", "bias", "running_mean", "running_var"};
  static const char *const tokens[] = {"class_token", "cls_token", "pos_embed"};
  for (size_t t = 0; t < sizeof tokens / sizeof tokens[0]; t++) {
    size_t length = strlen(tokens[t]);
    if (name->size >= length && !memcmp(name->bytes, tokens[t], length)) return true;
  }
  size_t start = name->size;
  while (start > 0 && name->bytes[start - 1] != '.') start--;
  for (size_t w = 0; start > 0 && w < sizeof words / sizeof words[0]; w++) {
    size_t length = strlen(words[w]);
    for (size_t at = start; at + length <= name->size; at++)
      if (!memcmp(name->bytes + at, words[w], length)) return true;
  }
  return false;
}

nnm_status nnm_onnx_note_input(onnx_reader *reader, const nnm_wire_field *name, bool known_shape) {
  return nnm_stack_push(&reader->input_uses, &(onnx_input_use){known_shape, is_named_like_weight(name), 0},
                        reader->file.error);
}

static uint8_t kind_of_port(const weight_ports *row, uint32_t port) {
  if (!row || port >= 32) return PORT_DATA;
  return row->surely & PORT(port) ? PORT_WEIGHT : row->perhaps & PORT(port) ? PORT_PERHAPS : PORT_DATA;
}

void nnm_onnx_note_use(onnx_reader *reader, const nnm_node *node) {
  const weight_ports *row = NULL;
  bool looked_up = false;
  for (uint32_t i = 0; i < node->input_count; i++) {
    nnm_tensor_id tensor = node->inputs[i];
    if (tensor < 0 || (size_t)tensor >= reader->input_uses.count) continue;
    for (int r = 0; !looked_up && r < WEIGHT_PORT_ROWS && !*node->domain; r++)
      if (!strcmp(weight_port_table[r].type, node->type)) row = &weight_port_table[r];
    looked_up = true;
    NNM_STACK_ITEM(reader->input_uses, onnx_input_use, tensor)->ports |= kind_of_port(row, i);
  }
}

void nnm_onnx_settle_input(onnx_reader *reader, nnm_tensor_id tensor) {
  if (tensor >= 0 && (size_t)tensor < reader->input_uses.count)
    NNM_STACK_ITEM(reader->input_uses, onnx_input_use, tensor)->ports |= SETTLED;
}

static bool is_weight(const onnx_input_use *use, bool behind_weight) {
  if (!use->known_shape || !use->ports || (use->ports & SETTLED)) return false;
  if (use->ports == PORT_WEIGHT || use->named_like_weight) return true;
  return behind_weight && !(use->ports & PORT_DATA);
}

nnm_status nnm_onnx_mark_weights(onnx_reader *reader) {
  bool behind_weight = false;
  for (size_t i = 0; i < reader->input_uses.count; i++) {
    if (!is_weight(NNM_STACK_ITEM(reader->input_uses, onnx_input_use, i), behind_weight)) continue;
    behind_weight = true;
    NNM_TRY(nnm_graph_builder_weight(reader->builder, (nnm_tensor_id)i, NULL, reader->file.error));
  }
  return NNM_OK;
}
