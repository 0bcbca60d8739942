/* Where the channels are. ONNX's convolutions and poolings have them on axis 1; between a transposition that moves them
 * to the end and one that moves them back everything else has them last: networks that were written for channels last
 * (tf2onnx), and layers that want them there (ConvNeXt). Nobody says so in the file, so it is followed from the
 * transpositions, forwards and backwards. */
#include <stdlib.h>

#include "readers/onnx/onnx.h"

enum { FOLLOWS_CHANNELS_LAST = 1, LEADS_TO_CHANNELS_FIRST = 2 };

/* What works the same wherever the channels are. Products of two activations are those of attention, where what looks
 * like channels are heads or rows. */
static bool keeps_layout(const nnm_graph *graph, const nnm_node *node) {
  switch (node->op) {
  case NNM_OP_MATMUL:
    return node->input_count > 1 && node->inputs[1] >= 0 && graph->tensors[node->inputs[1]].flags & NNM_TENSOR_WEIGHT;
  case NNM_OP_REDUCE_MEAN:
  case NNM_OP_REDUCE_SUM:
  case NNM_OP_REDUCE_MAX:
  case NNM_OP_REDUCE_MIN:
  case NNM_OP_LAYER_NORMALIZATION:
  case NNM_OP_SOFTMAX:
  case NNM_OP_CONCAT:
  case NNM_OP_PAD:
  case NNM_OP_IDENTITY:
  case NNM_OP_DROPOUT: return true;
  default: return nnm_op_work((nnm_op)node->op) == NNM_WORK_ELEMENTWISE;
  }
}

static void mark(uint8_t *marks, const nnm_tensor_id *tensors, uint32_t count, uint8_t value) {
  for (uint32_t i = 0; i < count; i++)
    if (tensors[i] >= 0) marks[tensors[i]] |= value;
}

static bool any(const uint8_t *marks, const nnm_tensor_id *tensors, uint32_t count, uint8_t value) {
  for (uint32_t i = 0; i < count; i++)
    if (tensors[i] >= 0 && marks[tensors[i]] & value) return true;
  return false;
}

static void follow(const nnm_graph *graph, const nnm_node *node, uint8_t *marks) {
  if (nnm_moves_channels(node, true) ||
      (keeps_layout(graph, node) && any(marks, node->inputs, node->input_count, FOLLOWS_CHANNELS_LAST)))
    mark(marks, node->outputs, node->output_count, FOLLOWS_CHANNELS_LAST);
}

static void lead_back(const nnm_graph *graph, const nnm_node *node, uint8_t *marks) {
  if (nnm_moves_channels(node, false) ||
      (keeps_layout(graph, node) && any(marks, node->outputs, node->output_count, LEADS_TO_CHANNELS_FIRST)))
    mark(marks, node->inputs, node->input_count, LEADS_TO_CHANNELS_FIRST);
}

static bool has_transposition(const nnm_graph *graph) {
  for (nnm_node_id n = 0; n < graph->node_count; n++)
    if (nnm_moves_channels(&graph->nodes[n], true) || nnm_moves_channels(&graph->nodes[n], false)) return true;
  return false;
}

nnm_status nnm_onnx_find_layouts(nnm_graph *graph, nnm_error *error) {
  if (!has_transposition(graph)) return NNM_OK; /* as nearly all files */
  uint8_t *marks = calloc((size_t)graph->tensor_count + 1, 1);
  if (!marks) return nnm_fail_memory(error);
  for (nnm_block_id b = 0; b < graph->block_count; b++) {
    const nnm_block *block = &graph->blocks[b];
    for (uint32_t i = 0; i < block->node_count; i++) follow(graph, &graph->nodes[block->nodes[i]], marks);
    for (uint32_t i = block->node_count; i-- > 0;) lead_back(graph, &graph->nodes[block->nodes[i]], marks);
  }
  for (nnm_node_id n = 0; n < graph->node_count; n++) {
    nnm_node *node = &graph->nodes[n];
    if (keeps_layout(graph, node) && (any(marks, node->inputs, node->input_count, FOLLOWS_CHANNELS_LAST) ||
                                      any(marks, node->outputs, node->output_count, LEADS_TO_CHANNELS_FIRST)))
      node->layout = NNM_CHANNELS_LAST;
  }
  free(marks);
  return NNM_OK;
}
