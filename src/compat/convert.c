/* One IR node as nn-Meter 2.0's detector sees it: TensorFlow's and ONNX's words replaced by its own. */
#include <string.h>

#include "base/limits.h"
#include "compat/working.h"

typedef struct type_alias {
  const char *from, *to;
} type_alias;

/* "Biasadd" is the old tool's spelling; TensorFlow's "BiasAdd" is therefore unknown to it. */
static const type_alias aliases[] = {
    {"Add", "add"},
    {"AveragePool", "avgpool"},
    {"AvgPool", "avgpool"},
    {"BatchNormalization", "bn"},
    {"Biasadd", "add"},
    {"Clip", "relu"},
    {"Concat", "concat"},
    {"ConcatV2", "concat"},
    {"Conv", "conv"},
    {"Conv2D", "conv"},
    {"DepthwiseConv2dNative", "dwconv"},
    {"Div", "div"},
    {"Flatten", "reshape"},
    {"FusedBatchNorm", "bn"},
    {"FusedBatchNormV3", "bn"},
    {"Gemm", "fc"},
    {"GlobalAveragePool", "gap"},
    {"HardSigmoid", "hardsigmoid"},
    {"MatMul", "fc"},
    {"MaxPool", "maxpool"},
    {"Mean", "gap"},
    {"Mul", "mul"},
    {"Pad", "pad"},
    {"ReduceMean", "gap"},
    {"Relu", "relu"},
    {"Relu6", "relu"},
    {"Reshape", "reshape"},
    {"Slice", "split"},
    {"Split", "split"},
    {"Transpose", "transpose"},
};

static const char *const dummies[] = {"Const", "Identity", "Placeholder"};

bool nnm_compat_is_dummy(const char *type) {
  for (size_t i = 0; i < sizeof dummies / sizeof dummies[0]; i++)
    if (!strcmp(type, dummies[i])) return true;
  return false;
}

/* A convolution with as many groups as input channels is depthwise. The old tool looks at dimension 3, which is right for
 * images; for signals, on which it fails, the channels are dimension 1. */
bool nnm_compat_is_depthwise(const nnm_ir_node *node) {
  int64_t group;
  if (!nnm_ir_integer(node, "group", &group) || node->input_shape_count == 0) return false;
  nnm_shape input = node->input_shapes[0];
  int channels = input.rank >= 4 ? 3 : 1;
  return input.rank > channels && group == input.dims[channels];
}

const char *nnm_compat_alias_of_type(const char *type) {
  size_t low = 0, high = sizeof aliases / sizeof aliases[0];
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(type, aliases[middle].from);
    if (order == 0) return aliases[middle].to;
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return type;
}

const char *nnm_compat_alias(const nnm_ir_node *node) {
  const char *alias = nnm_compat_alias_of_type(node->type);
  return !strcmp(alias, "conv") && nnm_compat_is_depthwise(node) ? "dwconv" : alias;
}

static nnm_status copy_integers(nnm_arena *arena, const nnm_ir_node *node, const char *name, const int64_t **out,
                                size_t *count, bool *present, nnm_error *error) {
  int64_t values[NNM_LIMIT_RANK];
  size_t found;
  if (!nnm_ir_integers(node, name, values, NNM_LIMIT_RANK, &found)) return NNM_OK;
  *out = nnm_arena_copy(arena, values, found, sizeof *values);
  if (!*out) return nnm_fail_memory(error);
  *count = found;
  *present = true;
  return NNM_OK;
}

static nnm_status read_kernel_size(const nnm_ir_node *node, nnm_arena *arena, nnm_compat_kernel *out,
                                   nnm_error *error) {
  static const char *const names[] = {"ks", "kernel_shape", "weight_shape", "ksize"}; /* a later one wins */
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    bool found = false;
    NNM_TRY(copy_integers(arena, node, names[i], &out->ks, &out->ks_count, &found, error));
    if (found && i == 2 && out->ks_count > 2) out->ks_count = 2; /* height and width of TensorFlow's weights */
    out->has_ks |= found;
  }
  return NNM_OK;
}

static nnm_status read_split_dim(const nnm_ir_node *node, const char *alias, nnm_arena *arena, nnm_compat_kernel *out,
                                 nnm_error *error) {
  bool has_axis = !strcmp(alias, "split") && nnm_ir_has(node, "axis");
  const char *name = has_axis ? "axis" : "split_dim";
  out->split_dim_is_list = nnm_ir_is_list(node, name);
  return copy_integers(arena, node, name, &out->split_dim, &out->split_dim_count, &out->has_split_dim, error);
}

/* Two-operand arithmetic counts its first operand twice, so that a constant does not show. */
static nnm_status repeat_operand(const char *alias, nnm_arena *arena, nnm_compat_kernel *out, nnm_error *error) {
  static const char *const arithmetic[] = {"add", "mul", "div", "sub"};
  bool is_arithmetic = false;
  for (size_t i = 0; i < 4; i++) is_arithmetic |= !strcmp(alias, arithmetic[i]);
  size_t count = out->input_tensor_count;
  if (!is_arithmetic || !count) return NNM_OK;
  bool empty = out->input_tensors[0].rank <= 0;
  if (empty && count < 2) return NNM_OK;
  nnm_shape shape = out->input_tensors[empty ? 1 : 0];
  nnm_shape *shapes = NNM_ARENA_ARRAY(arena, nnm_shape, count);
  if (!shapes) return nnm_fail_memory(error);
  for (size_t i = 0; i < count; i++) shapes[i] = shape;
  out->input_tensors = shapes;
  return NNM_OK;
}

/* Inputs of a node whose IR forgot them: what its producers give. */
static nnm_status inputs_from_producers(const nnm_ir *ir, const nnm_ir_node *node, nnm_arena *arena,
                                        nnm_compat_kernel *out, nnm_error *error) {
  nnm_shape *shapes = NNM_ARENA_ARRAY(arena, nnm_shape, node->inbound_count);
  if (!shapes) return nnm_fail_memory(error);
  size_t count = 0;
  for (size_t i = 0; i < node->inbound_count; i++) {
    const nnm_ir_node *producer = node->inbounds[i] < 0 ? NULL : &ir->nodes[node->inbounds[i]];
    if (producer && producer->output_shape_count) shapes[count++] = producer->output_shapes[0];
  }
  out->input_tensors = shapes;
  out->input_tensor_count = count;
  out->has_input_tensors = count > 0;
  return NNM_OK;
}

/* The channels of an ONNX signal (of rank 3, with its groups) are in the middle; the old tool fails on it. */
nnm_status nnm_compat_read_attributes(const nnm_ir *ir, int32_t index, nnm_arena *arena, nnm_compat_kernel *out,
                                      nnm_error *error) {
  const nnm_ir_node *node = &ir->nodes[index];
  const char *alias = nnm_compat_alias(node);
  NNM_TRY(read_kernel_size(node, arena, out, error));
  NNM_TRY(copy_integers(arena, node, "strides", &out->strides, &out->strides_count, &out->has_strides, error));
  NNM_TRY(read_split_dim(node, alias, arena, out, error));
  if (node->has_input_shapes) {
    out->has_input_tensors = true;
    out->input_tensor_count = node->input_shape_count;
    out->input_tensors = node->input_shapes;
    NNM_TRY(repeat_operand(alias, arena, out, error));
  } else {
    NNM_TRY(inputs_from_producers(ir, node, arena, out, error));
  }
  bool channels_first = (!strcmp(alias, "conv") || !strcmp(alias, "dwconv")) && out->input_tensor_count &&
                        out->input_tensors[0].rank == 3 && nnm_ir_has(node, "group");
  if (out->input_tensor_count && out->input_tensors[0].rank > 0) {
    nnm_shape input = out->input_tensors[0];
    out->has_input_hw = input.rank == 4;
    if (out->has_input_hw) out->inputh = input.dims[1], out->inputw = input.dims[2];
    out->cin = input.dims[channels_first ? 1 : input.rank - 1];
    out->has_cin = true;
  }
  if (node->output_shape_count == 1 && node->output_shapes[0].rank > 0) {
    nnm_shape output = node->output_shapes[0];
    out->cout = output.dims[channels_first && output.rank == 3 ? 1 : output.rank - 1];
    out->has_cout = true;
  } else if (node->output_shape_count > 1) {
    out->output_tensors = node->output_shapes;
    out->output_tensor_count = node->output_shape_count;
    out->has_output_tensors = true;
  }
  return NNM_OK;
}
