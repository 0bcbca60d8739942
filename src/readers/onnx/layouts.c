/* Where the channels are. ONNX's convolutions and poolings have them on axis 1; between a transposition that moves them
 * to the end and one that moves them back everything else has them last: networks that were written for channels last
 * (tf2onnx), and layers that want them there (ConvNeXt). Nobody says so in the file, so it is followed from the
 * transpositions, forwards and backwards; and from dense layers and layer normalisation, whose channels are the last axis
 * of whatever they are given (Swin).
 *
 * Queries, keys, values and scores of attention are stacks of matrices and no images: what a row of them holds is last,
 * and axis 1 counts heads. They are what products of two activations make, and what leads to such a product from a
 * reshape, which ends the image. */
#include <stdlib.h>

#include "readers/onnx/onnx.h"

enum {
  FOLLOWS_CHANNELS_LAST = 1,
  LEADS_TO_CHANNELS_FIRST = 2,
  LEADS_TO_DENSE = 4,      /* or to layer normalisation */
  FOLLOWS_RESHAPE = 8,     /* no longer the image that a convolution made */
  FOLLOWS_PRODUCT = 16,    /* a stack of matrices */
  LEADS_TO_PRODUCT = 32,   /* the same, where it follows a reshape */
  IS_RESHAPED_PRODUCT = 64 /* the same, or an image again */
};

static void mark(uint8_t *marks, const nnm_tensor_id *tensors, uint32_t count, uint8_t value) {
  for (uint32_t i = 0; i < count; i++)
    if (tensors[i] >= 0) marks[tensors[i]] |= value;
}

static bool any(const uint8_t *marks, const nnm_tensor_id *tensors, uint32_t count, uint8_t value) {
  for (uint32_t i = 0; i < count; i++)
    if (tensors[i] >= 0 && marks[tensors[i]] & value) return true;
  return false;
}

static void mark_outputs(const nnm_node *node, uint8_t *marks, uint8_t value) {
  mark(marks, node->outputs, node->output_count, value);
}

static void mark_inputs(const nnm_node *node, uint8_t *marks, uint8_t value) {
  mark(marks, node->inputs, node->input_count, value);
}

static bool reads(const nnm_node *node, const uint8_t *marks, uint8_t value) {
  return any(marks, node->inputs, node->input_count, value);
}

static bool makes(const nnm_node *node, const uint8_t *marks, uint8_t value) {
  return any(marks, node->outputs, node->output_count, value);
}

static bool has_weights(const nnm_graph *graph, const nnm_node *node) {
  return node->input_count > 1 && node->inputs[1] >= 0 && graph->tensors[node->inputs[1]].flags & NNM_TENSOR_WEIGHT;
}

/* Products of two activations are those of attention, where what looks like channels are heads or rows. */
static bool is_product(const nnm_graph *graph, const nnm_node *node) {
  if (node->op == NNM_OP_ATTENTION) return true;
  return (node->op == NNM_OP_MATMUL || node->op == NNM_OP_EINSUM) && !has_weights(graph, node);
}

/* Dense layers, and normalisation of the last axis. */
static bool wants_channels_last(const nnm_graph *graph, const nnm_node *node) {
  if (node->op == NNM_OP_LAYER_NORMALIZATION) return nnm_attribute_int(node, "axis", -1) == -1;
  return node->op == NNM_OP_MATMUL && has_weights(graph, node);
}

/* A mean over the image leaves channels alone, wherever they were. */
static bool takes_axes_away(const nnm_node *node) {
  return node->op == NNM_OP_REDUCE_MEAN || node->op == NNM_OP_REDUCE_SUM || node->op == NNM_OP_REDUCE_MAX ||
         node->op == NNM_OP_REDUCE_MIN;
}

/* What works the same wherever the channels are. */
static bool keeps_layout(const nnm_graph *graph, const nnm_node *node) {
  switch (node->op) {
  case NNM_OP_MATMUL: return !is_product(graph, node);
  case NNM_OP_REDUCE_MEAN:
  case NNM_OP_REDUCE_SUM:
  case NNM_OP_REDUCE_MAX:
  case NNM_OP_REDUCE_MIN:
  case NNM_OP_LAYER_NORMALIZATION:
  case NNM_OP_SOFTMAX:
  case NNM_OP_CONCAT:
  case NNM_OP_SPLIT:
  case NNM_OP_SLICE:
  case NNM_OP_PAD:
  case NNM_OP_IDENTITY:
  case NNM_OP_DROPOUT: return true;
  default: return nnm_op_work((nnm_op)node->op) == NNM_WORK_ELEMENTWISE;
  }
}

/* What makes matrices of matrices: rows exchanged, cut out, put in order. */
static bool keeps_matrices(const nnm_node *node) {
  switch (node->op) {
  case NNM_OP_TRANSPOSE:
  case NNM_OP_SPLIT:
  case NNM_OP_SLICE:
  case NNM_OP_GATHER:
  case NNM_OP_EXPAND:
  case NNM_OP_SOFTMAX:
  case NNM_OP_CONCAT:
  case NNM_OP_IDENTITY:
  case NNM_OP_DROPOUT: return true;
  default: return nnm_op_work((nnm_op)node->op) == NNM_WORK_ELEMENTWISE;
  }
}

/* Behind these is no image that a convolution made. */
static bool is_reshape(const nnm_node *node) {
  return node->op == NNM_OP_RESHAPE || node->op == NNM_OP_SQUEEZE || node->op == NNM_OP_UNSQUEEZE ||
         node->op == NNM_OP_GATHER_ND;
}

/* Puts the rows of matrices, or of windows cut out of an image that has its channels last, in another order. */
static bool moves_rows(const nnm_node *node, const uint8_t *marks) {
  size_t rank;
  const int64_t *order = node->op == NNM_OP_TRANSPOSE ? nnm_attribute_ints(node, "perm", &rank) : NULL;
  if (!order || rank < 4 || order[rank - 1] != (int64_t)rank - 1) return false;
  return reads(node, marks, IS_RESHAPED_PRODUCT) || (rank > 5 && order[1] == 1 && reads(node, marks, FOLLOWS_RESHAPE));
}

static void follow(const nnm_graph *graph, const nnm_node *node, uint8_t *marks) {
  bool keeps = keeps_layout(graph, node);
  if (nnm_moves_channels(node, true) || wants_channels_last(graph, node) ||
      (keeps && reads(node, marks, FOLLOWS_CHANNELS_LAST)))
    mark_outputs(node, marks, FOLLOWS_CHANNELS_LAST);
  if (is_reshape(node) || is_product(graph, node) ||
      ((keeps || keeps_matrices(node)) && reads(node, marks, FOLLOWS_RESHAPE)))
    mark_outputs(node, marks, FOLLOWS_RESHAPE);
  if (is_product(graph, node) || (keeps_matrices(node) && reads(node, marks, FOLLOWS_PRODUCT)))
    mark_outputs(node, marks, FOLLOWS_PRODUCT);
  if (is_reshape(node) && reads(node, marks, FOLLOWS_PRODUCT | IS_RESHAPED_PRODUCT))
    mark_outputs(node, marks, IS_RESHAPED_PRODUCT);
}

static void lead_back(const nnm_graph *graph, const nnm_node *node, uint8_t *marks) {
  if (nnm_moves_channels(node, false) || (keeps_layout(graph, node) && makes(node, marks, LEADS_TO_CHANNELS_FIRST)))
    mark_inputs(node, marks, LEADS_TO_CHANNELS_FIRST);
  if (wants_channels_last(graph, node) ||
      (keeps_layout(graph, node) && !takes_axes_away(node) && makes(node, marks, LEADS_TO_DENSE)))
    mark_inputs(node, marks, LEADS_TO_DENSE);
  if (is_product(graph, node) || ((keeps_matrices(node) || is_reshape(node)) && makes(node, marks, LEADS_TO_PRODUCT)))
    mark_inputs(node, marks, LEADS_TO_PRODUCT);
}

static bool leads_to_product(const uint8_t *marks, nnm_tensor_id tensor) {
  const uint8_t both = FOLLOWS_RESHAPE | LEADS_TO_PRODUCT;
  return tensor >= 0 && (marks[tensor] & both) == both;
}

/* Whether a node works on a stack of matrices. */
static bool is_on_matrices(const nnm_graph *graph, const nnm_node *node, const uint8_t *marks) {
  if (is_product(graph, node) || moves_rows(node, marks)) return true;
  if (!keeps_matrices(node)) return false;
  for (uint32_t i = 0; i < node->output_count; i++)
    if (leads_to_product(marks, node->outputs[i])) return true;
  return reads(node, marks, FOLLOWS_PRODUCT);
}

static bool is_on_channels_last(const nnm_graph *graph, const nnm_node *node, const uint8_t *marks) {
  if (!keeps_layout(graph, node)) return false;
  return (!takes_axes_away(node) && makes(node, marks, LEADS_TO_DENSE)) || wants_channels_last(graph, node) ||
         reads(node, marks, FOLLOWS_CHANNELS_LAST) || makes(node, marks, LEADS_TO_CHANNELS_FIRST);
}

static bool are_all_images(const nnm_graph *graph) {
  for (nnm_node_id n = 0; n < graph->node_count; n++) {
    const nnm_node *node = &graph->nodes[n];
    if (nnm_moves_channels(node, true) || nnm_moves_channels(node, false) || is_product(graph, node) ||
        wants_channels_last(graph, node))
      return false;
  }
  return true;
}

nnm_status nnm_onnx_find_layouts(nnm_graph *graph, nnm_error *error) {
  if (are_all_images(graph)) return NNM_OK; /* as nearly all files */
  uint8_t *marks = calloc((size_t)graph->tensor_count + 1, 1);
  if (!marks) return nnm_fail_memory(error);
  for (nnm_block_id b = 0; b < graph->block_count; b++) {
    const nnm_block *block = &graph->blocks[b];
    for (uint32_t i = 0; i < block->node_count; i++) follow(graph, &graph->nodes[block->nodes[i]], marks);
    for (uint32_t i = block->node_count; i-- > 0;) lead_back(graph, &graph->nodes[block->nodes[i]], marks);
  }
  for (nnm_node_id n = 0; n < graph->node_count; n++) {
    nnm_node *node = &graph->nodes[n];
    if (is_on_channels_last(graph, node, marks) || is_on_matrices(graph, node, marks)) node->layout = NNM_CHANNELS_LAST;
  }
  free(marks);
  return NNM_OK;
}
