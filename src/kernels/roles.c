#include "kernels/roles.h"

#include <ctype.h>
#include <string.h>

const nnm_role_entry nnm_roles[NNM_ROLE_COUNT] = {
#define NNM_ROLE(id, name, rule_name, kernel, rank, follows) {name, rule_name, NNM_KERNEL_##kernel, rank, follows},
#include "kernels/role_list.inc"
#undef NNM_ROLE
};

/* Operators that are not what their kind of work says; the rest follows from role_of_work. */
static const uint8_t roles_of_ops[NNM_OP_COUNT] = {
    [NNM_OP_CONV_TRANSPOSE] = NNM_ROLE_CONVTRANS,
    [NNM_OP_MS_CONV_TRANSPOSE_WITH_DYNAMIC_PADS] = NNM_ROLE_CONVTRANS,
    [NNM_OP_MAX_POOL] = NNM_ROLE_MAXPOOL,
    [NNM_OP_MS_NHWC_MAX_POOL] = NNM_ROLE_MAXPOOL,
    [NNM_OP_MS_MAXPOOL_WITH_MASK] = NNM_ROLE_MAXPOOL,
    [NNM_OP_GLOBAL_MAX_POOL] = NNM_ROLE_MAXPOOL,
    [NNM_OP_ADAPTIVE_MAX_POOL] = NNM_ROLE_MAXPOOL,
    [NNM_OP_GLOBAL_AVERAGE_POOL] = NNM_ROLE_GAP,
    [NNM_OP_MS_QLINEAR_GLOBAL_AVERAGE_POOL] = NNM_ROLE_GAP,
    [NNM_OP_MAX_ROI_POOL] = NNM_ROLE_RESIZE,
    [NNM_OP_ROI_ALIGN] = NNM_ROLE_RESIZE,
    [NNM_OP_MS_CROP_AND_RESIZE] = NNM_ROLE_RESIZE,
    [NNM_OP_RESIZE] = NNM_ROLE_RESIZE,
    [NNM_OP_RESIZE_BILINEAR] = NNM_ROLE_RESIZE,
    [NNM_OP_RESIZE_NEAREST_NEIGHBOR] = NNM_ROLE_RESIZE,
    [NNM_OP_UPSAMPLE] = NNM_ROLE_RESIZE,
    [NNM_OP_GRID_SAMPLE] = NNM_ROLE_RESIZE,
    [NNM_OP_MS_GRID_SAMPLE] = NNM_ROLE_RESIZE,
    [NNM_OP_RELU] = NNM_ROLE_RELU,
    [NNM_OP_RELU6] = NNM_ROLE_RELU,
    [NNM_OP_CLIP] = NNM_ROLE_RELU,
    [NNM_OP_LEAKY_RELU] = NNM_ROLE_RELU,
    [NNM_OP_PRELU] = NNM_ROLE_RELU,
    [NNM_OP_THRESHOLDED_RELU] = NNM_ROLE_RELU,
    [NNM_OP_MS_QLINEAR_LEAKY_RELU] = NNM_ROLE_RELU,
    [NNM_OP_HARD_SWISH] = NNM_ROLE_HSWISH,
    [NNM_OP_SWISH] = NNM_ROLE_SWISH,
    [NNM_OP_MS_QUICK_GELU] = NNM_ROLE_SWISH,
    [NNM_OP_MS_SCALED_SILU] = NNM_ROLE_SWISH,
    [NNM_OP_MISH] = NNM_ROLE_MISH,
    [NNM_OP_GELU] = NNM_ROLE_GELU,
    [NNM_OP_MS_GELU] = NNM_ROLE_GELU,
    [NNM_OP_MS_FAST_GELU] = NNM_ROLE_GELU,
    [NNM_OP_MS_BIAS_GELU] = NNM_ROLE_GELU,
    [NNM_OP_HARD_SIGMOID] = NNM_ROLE_HARDSIGMOID,
    [NNM_OP_SOFTPLUS] = NNM_ROLE_SOFTPLUS,
    [NNM_OP_SOFTMAX] = NNM_ROLE_SOFTMAX,
    [NNM_OP_LOG_SOFTMAX] = NNM_ROLE_SOFTMAX,
    [NNM_OP_MS_BIAS_SOFTMAX] = NNM_ROLE_SOFTMAX,
    [NNM_OP_MS_QLINEAR_SOFTMAX] = NNM_ROLE_SOFTMAX,
    [NNM_OP_LAYER_NORMALIZATION] = NNM_ROLE_LAYERNORM,
    [NNM_OP_RMS_NORMALIZATION] = NNM_ROLE_RMSNORM,
    [NNM_OP_SIMPLIFIED_LAYER_NORMALIZATION] = NNM_ROLE_RMSNORM,
    [NNM_OP_INSTANCE_NORMALIZATION] = NNM_ROLE_INSTANCENORM,
    [NNM_OP_GROUP_NORMALIZATION] = NNM_ROLE_GROUPNORM,
    [NNM_OP_LP_NORMALIZATION] = NNM_ROLE_L2NORM,
    [NNM_OP_LRN] = NNM_ROLE_NORM,
    [NNM_OP_MEAN_VARIANCE_NORMALIZATION] = NNM_ROLE_NORM,
    [NNM_OP_MS_SKIP_LAYER_NORMALIZATION] = NNM_ROLE_NORM,
    [NNM_OP_MS_SKIP_SIMPLIFIED_LAYER_NORMALIZATION] = NNM_ROLE_NORM,
    [NNM_OP_MS_SKIP_GROUP_NORM] = NNM_ROLE_NORM,
    [NNM_OP_MS_EMBED_LAYER_NORMALIZATION] = NNM_ROLE_NORM,
    [NNM_OP_MS_QEMBED_LAYER_NORMALIZATION] = NNM_ROLE_NORM,
    [NNM_OP_MS_GROUP_NORM] = NNM_ROLE_GROUPNORM,
    [NNM_OP_MS_GATED_RMS_NORM] = NNM_ROLE_NORM,
    [NNM_OP_MS_BRANCHWISE_RMS_NORM] = NNM_ROLE_NORM,
    [NNM_OP_MS_QORDERED_LAYER_NORMALIZATION] = NNM_ROLE_NORM,
    [NNM_OP_CONCAT] = NNM_ROLE_CONCAT,
    [NNM_OP_PACK] = NNM_ROLE_CONCAT,
    [NNM_OP_CONCAT_FROM_SEQUENCE] = NNM_ROLE_CONCAT,
    [NNM_OP_MS_QLINEAR_CONCAT] = NNM_ROLE_CONCAT,
    [NNM_OP_SPLIT] = NNM_ROLE_SPLIT,
    [NNM_OP_SLICE] = NNM_ROLE_SPLIT,
    [NNM_OP_SLICE_BY_SIZE] = NNM_ROLE_SPLIT,
    [NNM_OP_STRIDED_SLICE] = NNM_ROLE_SPLIT,
    [NNM_OP_UNPACK] = NNM_ROLE_SPLIT,
    [NNM_OP_SPLIT_TO_SEQUENCE] = NNM_ROLE_SPLIT,
    [NNM_OP_PAD] = NNM_ROLE_PAD,
    [NNM_OP_MS_PAD] = NNM_ROLE_PAD,
    [NNM_OP_TRANSPOSE] = NNM_ROLE_TRANSPOSE,
    [NNM_OP_DEPTH_TO_SPACE] = NNM_ROLE_TRANSPOSE,
    [NNM_OP_SPACE_TO_DEPTH] = NNM_ROLE_TRANSPOSE,
    [NNM_OP_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_QATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_PACKED_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_LONGFORMER_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_MULTI_HEAD_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_PACKED_MULTI_HEAD_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_DECODER_MASKED_MULTI_HEAD_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_GROUP_QUERY_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_LINEAR_ATTENTION] = NNM_ROLE_ATTENTION,
    [NNM_OP_MS_CDIST] = NNM_ROLE_MATMUL,
    [NNM_OP_ROTARY_EMBEDDING] = NNM_ROLE_ROTARY,
    [NNM_OP_MS_ROTARY_EMBEDDING] = NNM_ROLE_ROTARY,
    [NNM_OP_MS_GEMMA_ROTARY_EMBEDDING] = NNM_ROLE_ROTARY,
    [NNM_OP_EXPAND] = NNM_ROLE_ELEMENTWISE,
    [NNM_OP_SPACE_TO_BATCH] = NNM_ROLE_TRANSPOSE,
    [NNM_OP_BATCH_TO_SPACE] = NNM_ROLE_TRANSPOSE,
    [NNM_OP_DYNAMIC_UPDATE_SLICE] = NNM_ROLE_CONCAT,
    [NNM_OP_TILE] = NNM_ROLE_ELEMENTWISE,
};

static nnm_role role_of_work(nnm_work work) {
  static const uint8_t roles[] = {
      [NNM_WORK_NONE] = NNM_ROLE_VIEW,
      [NNM_WORK_VIEW] = NNM_ROLE_VIEW,
      [NNM_WORK_ELEMENTWISE] = NNM_ROLE_ELEMENTWISE,
      [NNM_WORK_MOVE] = NNM_ROLE_GATHER,
      [NNM_WORK_REDUCE] = NNM_ROLE_REDUCE,
      [NNM_WORK_WINDOW] = NNM_ROLE_AVGPOOL,
      [NNM_WORK_CONVOLUTION] = NNM_ROLE_CONV,
      [NNM_WORK_MATRIX] = NNM_ROLE_MATMUL,
      [NNM_WORK_RECURRENT] = NNM_ROLE_RECURRENT,
      [NNM_WORK_CONTROL] = NNM_ROLE_OTHER,
      [NNM_WORK_OTHER] = NNM_ROLE_OTHER,
  };
  return (nnm_role)roles[work];
}

static size_t count_data_inputs(const nnm_shapes *shapes, const nnm_node *node) {
  size_t count = 0;
  for (uint32_t i = 0; i < node->input_count; i++) count += node->inputs[i] >= 0 && !shapes->constant[node->inputs[i]];
  return count;
}

/* Whether an operand of a matrix product is a constant matrix; a bias, the third operand of some, is not meant. */
static bool has_weight_matrix(const nnm_shapes *shapes, const nnm_node *node) {
  bool has_bias = node->op == NNM_OP_GEMM || node->op == NNM_OP_MS_FUSED_GEMM;
  for (uint32_t i = 0; i < node->input_count && !(has_bias && i == 2); i++)
    if (node->inputs[i] >= 0 && shapes->constant[node->inputs[i]] && shapes->tensors[node->inputs[i]].rank > 1)
      return true;
  return false;
}

static nnm_role role_of_convolution(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id node) {
  nnm_window window;
  if (!nnm_window_of(graph, shapes, node, &window)) return NNM_ROLE_CONV;
  if (window.transposed) return NNM_ROLE_CONVTRANS;
  return window.group > 1 && window.group == window.input_channels ? NNM_ROLE_DWCONV : NNM_ROLE_CONV;
}

/* The axes that a reduction runs over, as bits; all of them when none are given. */
static uint32_t reduced_axes(const nnm_shapes *shapes, const nnm_node *node, int32_t rank) {
  size_t count;
  const int64_t *axes = nnm_attribute_ints(node, "axes", &count);
  if (!axes && node->input_count > 1 && node->inputs[1] >= 0) {
    const nnm_value *value = shapes->values[node->inputs[1]];
    if (!value || value->is_float) return 0;
    axes = value->as.integers;
    count = value->count;
  }
  uint32_t mask = 0;
  for (size_t i = 0; i < count; i++) {
    int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis >= 0 && axis < rank) mask |= 1u << axis;
  }
  return count ? mask : (1u << rank) - 1;
}

/* A mean over all spatial axes of an image is a global pooling, however it is spelt. */
static bool is_spatial_mean(const nnm_shapes *shapes, const nnm_node *node) {
  if (node->op != NNM_OP_REDUCE_MEAN || !node->input_count || node->inputs[0] < 0) return false;
  int32_t rank = shapes->tensors[node->inputs[0]].rank;
  if (rank != 4 && rank != 5) return false;
  uint32_t spatial = ((1u << (rank - 2)) - 1) << (node->layout == NNM_CHANNELS_LAST ? 1 : 2);
  return reduced_axes(shapes, node, rank) == spatial;
}

/* A batch normalisation that is given no statistics takes those of what it normalises: so Keras 2 writes layer
 * normalisation, behind a reshape that puts what belongs together into one channel. One that is exported in training takes
 * those of the batch. */
static nnm_role role_of_batch_norm(const nnm_shapes *shapes, const nnm_node *node) {
  enum { MEAN = 3 };
  if (node->input_count > MEAN && node->inputs[MEAN] >= 0 &&
      nnm_shape_elements(shapes->tensors[node->inputs[MEAN]]) == 0)
    return NNM_ROLE_LAYERNORM;
  return nnm_attribute_int(node, "training_mode", 0) == 1 ? NNM_ROLE_NORM : NNM_ROLE_BN;
}

static nnm_role role_of_window(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id node) {
  nnm_window window;
  return nnm_window_of(graph, shapes, node, &window) && window.global ? NNM_ROLE_GAP : NNM_ROLE_AVGPOOL;
}

nnm_role nnm_role_of(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id id) {
  const nnm_node *node = &graph->nodes[id];
  if (node->op <= NNM_OP_UNKNOWN || node->op >= NNM_OP_COUNT) return NNM_ROLE_OTHER;
  if (node->op == NNM_OP_LP_NORMALIZATION && nnm_attribute_int(node, "p", 2) != 2) return NNM_ROLE_NORM;
  if (node->op == NNM_OP_BATCH_NORMALIZATION) return role_of_batch_norm(shapes, node);
  if (roles_of_ops[node->op]) return (nnm_role)roles_of_ops[node->op];
  nnm_role role = role_of_work(nnm_op_work((nnm_op)node->op));
  if (role == NNM_ROLE_CONV) return role_of_convolution(graph, shapes, id);
  if (role == NNM_ROLE_REDUCE) return is_spatial_mean(shapes, node) ? NNM_ROLE_GAP : role;
  if (role == NNM_ROLE_AVGPOOL) return role_of_window(graph, shapes, id);
  if (role == NNM_ROLE_MATMUL)
    return count_data_inputs(shapes, node) < 2 || has_weight_matrix(shapes, node) ? NNM_ROLE_FC : NNM_ROLE_MATMUL;
  /* taking one constant index of an axis is a slice */
  if (node->op == NNM_OP_GATHER && node->input_count > 1 && node->inputs[1] >= 0 && shapes->constant[node->inputs[1]] &&
      nnm_shape_elements(shapes->tensors[node->inputs[1]]) == 1)
    return NNM_ROLE_SPLIT;
  bool is_sum = node->op == NNM_OP_ADD || node->op == NNM_OP_SUM || node->op == NNM_OP_MS_QLINEAR_ADD;
  bool is_product = node->op == NNM_OP_MUL || node->op == NNM_OP_MS_QLINEAR_MUL;
  if ((is_sum || is_product) && count_data_inputs(shapes, node) > 1) return is_sum ? NNM_ROLE_ADD : NNM_ROLE_MUL;
  return role;
}

static bool is_called(const char *called, const char *name, size_t length) {
  return called && called[0] == name[0] && !strncmp(called, name, length) && !called[length];
}

nnm_role nnm_role_named(const char *name, size_t length) {
  for (int role = 0; length && role < NNM_ROLE_COUNT; role++)
    if (is_called(nnm_roles[role].name, name, length) || is_called(nnm_roles[role].rule_name, name, length))
      return (nnm_role)role;
  return NNM_ROLE_COUNT;
}

const char *nnm_operator_label(const nnm_graph *graph, nnm_node_id id, nnm_arena *arena) {
  enum { LONGEST_LABEL = 60 };
  const nnm_node *node = &graph->nodes[id];
  const char *name = node->op == NNM_OP_UNKNOWN ? node->type : nnm_op_name((nnm_op)node->op);
  const char *dot = strrchr(name, '.');
  if (dot && dot[1]) name = dot + 1;
  char *label = nnm_arena_text(arena, name, strnlen(name, LONGEST_LABEL));
  for (char *at = label; at && *at; at++)
    *at = isalnum((unsigned char)*at) ? (char)tolower((unsigned char)*at) : '_'; /* "-" separates parts */
  return label;
}
