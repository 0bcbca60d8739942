/* Convolutions: plain, grouped, dilated, transposed, quantised, deformable; 1-D to 3-D; either layout. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/window.h"

static uint32_t weight_input(const nnm_node *node) {
  return node->op == NNM_OP_QLINEAR_CONV || node->op == NNM_OP_MS_QLINEAR_CONV ? 3 : 1;
}

static bool is_causal(const nnm_node *node) { return node->op == NNM_OP_CAUSAL_CONV_WITH_STATE; }

static bool is_transposed(const nnm_node *node) { return nnm_op_shape_rule(node->op) == nnm_rule_conv_transpose; }

static bool is_depthwise(const nnm_node *node) {
  return nnm_attribute_int(node, "depthwise", 0) != 0 || !strncmp(node->type, "DepthwiseConv", 13);
}

/* What a weight tensor says, whatever its layout. */
typedef struct weight_view {
  int64_t outputs, inputs; /* inputs: per group; -1 where the layout does not tell */
  const int64_t *kernel;
} weight_view;

static weight_view view_weight(const nnm_node *node, const nnm_shape *weight, int spatial) {
  const int64_t *dims = weight->dims;
  switch (node->weight_layout) {
  case NNM_WEIGHT_XIO:
    if (is_depthwise(node)) return (weight_view){dims[spatial] * dims[spatial + 1], 1, dims};
    return (weight_view){dims[spatial + 1], dims[spatial], dims};
  case NNM_WEIGHT_OXI:
    if (is_depthwise(node)) return (weight_view){dims[spatial + 1], 1, dims + 1};
    return (weight_view){dims[0], dims[spatial + 1], dims + 1};
  default: return (weight_view){dims[0], dims[1], dims + 2};
  }
}

static nnm_status read_kernel(const nnm_inference *inference, const nnm_node *node, const int64_t *of_weight,
                              nnm_window *out, nnm_error *error) {
  size_t count;
  const int64_t *kernel = nnm_attribute_ints(node, "kernel_shape", &count);
  if (!count) {
    kernel = of_weight;
    count = of_weight ? (size_t)out->spatial : 0;
  }
  if (count != (size_t)out->spatial)
    return nnm_fail_node(inference, node, error,
                         "has %zu numbers in kernel_shape, but its image has %d spatial dimensions; export it with one "
                         "number for each",
                         count, out->spatial);
  for (int i = 0; i < out->spatial; i++) {
    if (kernel[i] < 1 || kernel[i] > NNM_LIMIT_DIMENSION)
      return nnm_fail_node(inference, node, error, "has a window of %lld; export it with a kernel_shape of at least 1",
                           (long long)kernel[i]);
    if (of_weight && kernel[i] != of_weight[i])
      return nnm_fail_node(inference, node, error,
                           "has kernel_shape %lld, but its weight has %lld; export it with the weight's",
                           (long long)kernel[i], (long long)of_weight[i]);
    out->kernel[i] = kernel[i];
  }
  return NNM_OK;
}

static nnm_status fail_channels(const nnm_inference *inference, const nnm_node *node, const nnm_window *window,
                                int64_t inputs, nnm_error *error) {
  return nnm_fail_node(inference, node, error,
                       "has weights for %lld input channels in %lld groups, but its input has %lld channels",
                       (long long)inputs, (long long)window->group, (long long)window->input_channels);
}

/* Channels and groups of a transposed convolution; its weight is inputs, outputs per group, spatial. */
static nnm_status transposed_channels(const nnm_inference *inference, const nnm_node *node, const nnm_shape *weight,
                                      nnm_window *out, nnm_error *error) {
  out->group = nnm_attribute_int(node, "group", 1);
  if (out->group < 1)
    return nnm_fail_node(inference, node, error, "has %lld groups; export it with at least 1", (long long)out->group);
  if (!weight) {
    out->output_channels = nnm_attribute_int(node, "output_channels", -1);
    return read_kernel(inference, node, NULL, out, error);
  }
  bool last =
      node->weight_layout != NNM_WEIGHT_OIX; /* TensorFlow and TFLite: spatial (first or second), outputs, inputs */
  int64_t inputs = weight->dims[last ? out->spatial + 1 : 0];
  int64_t outputs = weight->dims[last ? (node->weight_layout == NNM_WEIGHT_XIO ? out->spatial : 0) : 1];
  const int64_t *kernel = weight->dims + (last ? node->weight_layout == NNM_WEIGHT_OXI : 2);
  if (inputs != out->input_channels) return fail_channels(inference, node, out, inputs, error);
  if (!nnm_multiply_i64(outputs, out->group, &out->output_channels))
    return nnm_fail_node(inference, node, error, "has too many output channels");
  return read_kernel(inference, node, kernel, out, error);
}

/* Channels and groups of a node without a weight tensor: attributes tell. */
static nnm_status described_channels(const nnm_inference *inference, const nnm_node *node, nnm_window *out,
                                     nnm_error *error) {
  bool depthwise = is_depthwise(node);
  out->output_channels = nnm_attribute_int(node, "output_channels", depthwise ? out->input_channels : -1);
  if (depthwise) out->group = out->input_channels;
  return read_kernel(inference, node, NULL, out, error);
}

static nnm_status plain_channels(const nnm_inference *inference, const nnm_node *node, const nnm_shape *weight,
                                 nnm_window *out, nnm_error *error) {
  bool depthwise = is_depthwise(node);
  out->group = nnm_attribute_int(node, "group", 1);
  if (out->group < 1)
    return nnm_fail_node(inference, node, error, "has %lld groups; export it with at least 1", (long long)out->group);
  if (!weight) return described_channels(inference, node, out, error);
  weight_view view = view_weight(node, weight, out->spatial);
  out->output_channels = view.outputs;
  if (depthwise || is_causal(node)) out->group = view.inputs > 0 ? out->input_channels / view.inputs : 1;
  else if (node->weight_layout != NNM_WEIGHT_OIX && out->group == 1 && view.inputs > 0)
    out->group = out->input_channels / view.inputs; /* these formats do not store the number of groups */
  int64_t inputs;
  if (!nnm_multiply_i64(view.inputs, out->group, &inputs) || inputs != out->input_channels)
    return fail_channels(inference, node, out, inputs, error);
  if (view.outputs % (out->group ? out->group : 1))
    return nnm_fail_node(inference, node, error,
                         "has %lld output channels, which %lld groups do not divide; export it with groups that do",
                         (long long)view.outputs, (long long)out->group);
  return read_kernel(inference, node, view.kernel, out, error);
}

static nnm_status conv_output(const nnm_inference *inference, const nnm_node *node, nnm_window *out, nnm_error *error) {
  nnm_auto_pad pad;
  NNM_TRY(nnm_window_auto_pad(inference, node, &pad, error));
  for (int i = 0; i < out->spatial; i++) {
    int64_t reach = (out->kernel[i] - 1) * out->dilation[i] + 1, size = out->input[i];
    if (pad == NNM_PAD_SAME_UPPER || pad == NNM_PAD_SAME_LOWER) {
      out->output[i] = nnm_divide_up(size, out->stride[i]);
      int64_t needed = (out->output[i] - 1) * out->stride[i] + reach - size;
      if (needed < 0 || !out->output[i]) needed = 0;
      out->pad_begin[i] = pad == NNM_PAD_SAME_LOWER ? nnm_divide_up(needed, 2) : needed / 2;
      out->pad_end[i] = needed - out->pad_begin[i];
      continue;
    }
    if (pad == NNM_PAD_VALID) out->pad_begin[i] = out->pad_end[i] = 0;
    int64_t room = size + out->pad_begin[i] + out->pad_end[i] - reach;
    if (room < 0)
      return nnm_fail_node(
          inference, node, error,
          "has a window of %lld (with dilation) over only %lld elements of dimension %d; give a larger "
          "input",
          (long long)reach, (long long)(room + reach), i + (int)(2 - node->layout));
    out->output[i] = room / out->stride[i] + 1;
  }
  return NNM_OK;
}

/* Splits the padding that makes a transposed convolution's output the wanted size. */
static void split_transposed_padding(nnm_window *out, int i, int64_t full, int64_t wanted, nnm_auto_pad pad) {
  int64_t total = full - wanted;
  if (total < 0) total = 0;
  out->pad_begin[i] = pad == NNM_PAD_SAME_UPPER ? total / 2 : total - total / 2;
  out->pad_end[i] = total - out->pad_begin[i];
}

/* TensorFlow gives the size of the whole output as an input, the fourth here, behind ONNX's bias; where its value is not
 * known, the padding tells. */
enum { SIZE_INPUT = 3 };

static const int64_t *size_input(const nnm_inference *inference, const nnm_node *node, const nnm_window *window,
                                 int64_t *size) {
  if (node->op != NNM_OP_CONV_TRANSPOSE || !nnm_has_input(node, SIZE_INPUT)) return NULL;
  const nnm_value *value = inference->shapes->values[node->inputs[SIZE_INPUT]];
  size_t spatial = (size_t)window->spatial, skipped = node->layout == NNM_CHANNELS_FIRST ? 2 : 1;
  if (!value || (value->count != spatial && value->count != spatial + 2)) return NULL;
  for (size_t i = 0; i < spatial; i++) size[i] = nnm_value_int(value, value->count == spatial ? i : i + skipped);
  return size;
}

static nnm_status transposed_output(const nnm_inference *inference, const nnm_node *node, nnm_window *out,
                                    nnm_error *error) {
  nnm_auto_pad pad;
  NNM_TRY(nnm_window_auto_pad(inference, node, &pad, error));
  size_t wanted_count, extra_count;
  const int64_t *wanted = nnm_attribute_ints(node, "output_shape", &wanted_count);
  const int64_t *extra = nnm_attribute_ints(node, "output_padding", &extra_count);
  if (wanted_count == (size_t)out->spatial + 2) wanted += 2; /* some exporters list batch and channels as well */
  else if (wanted_count && wanted_count != (size_t)out->spatial)
    return nnm_fail_node(inference, node, error, "has %zu numbers in output_shape", wanted_count);
  int64_t size[NNM_LIMIT_SPATIAL];
  if (!wanted_count && (wanted = size_input(inference, node, out, size))) wanted_count = (size_t)out->spatial;
  if (extra_count && extra_count != (size_t)out->spatial)
    return nnm_fail_node(inference, node, error, "has %zu numbers in output_padding", extra_count);
  for (int i = 0; i < out->spatial; i++) {
    int64_t more = extra_count ? extra[i] : 0, full;
    if (more < 0 || more > NNM_LIMIT_DIMENSION)
      return nnm_fail_node(inference, node, error, "has output_padding %lld", (long long)more);
    if (!nnm_multiply_i64(out->input[i] - 1, out->stride[i], &full) || full > NNM_LIMIT_ELEMENTS)
      return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
    full += more + (out->kernel[i] - 1) * out->dilation[i] + 1;
    if (wanted_count && (wanted[i] < 0 || wanted[i] > NNM_LIMIT_DIMENSION))
      return nnm_fail_node(inference, node, error, "has output_shape %lld", (long long)wanted[i]);
    if (wanted_count) split_transposed_padding(out, i, full, wanted[i], pad);
    else if (pad == NNM_PAD_SAME_UPPER || pad == NNM_PAD_SAME_LOWER)
      split_transposed_padding(out, i, full, out->input[i] * out->stride[i], pad);
    else if (pad == NNM_PAD_VALID) out->pad_begin[i] = out->pad_end[i] = 0;
    out->output[i] = wanted_count ? wanted[i] : full - out->pad_begin[i] - out->pad_end[i];
  }
  return NNM_OK;
}

nnm_status nnm_conv_window(const nnm_inference *inference, const nnm_node *node, nnm_window *out, bool *known,
                           nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0);
  const nnm_shape *weight = nnm_shape_of_input(inference, node, weight_input(node));
  if (!image || (nnm_has_input(node, weight_input(node)) && !weight)) return NNM_OK;
  NNM_TRY(nnm_window_image(inference, node, image, out, error));
  if (weight && weight->rank != image->rank)
    return nnm_fail_node(inference, node, error, "has weights of %d dimensions for an image of %d", (int)weight->rank,
                         (int)image->rank);
  out->transposed = is_transposed(node);
  NNM_TRY(out->transposed ? transposed_channels(inference, node, weight, out, error)
                          : plain_channels(inference, node, weight, out, error));
  if (out->output_channels < 0) return NNM_OK;
  NNM_TRY(nnm_window_steps(inference, node, out, error));
  if (is_causal(node)) out->pad_begin[0] = (out->kernel[0] - 1) * out->dilation[0];
  NNM_TRY(out->transposed ? transposed_output(inference, node, out, error) : conv_output(inference, node, out, error));
  *known = true;
  return NNM_OK;
}

nnm_status nnm_rule_conv(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_window window = {0};
  bool known = false;
  NNM_TRY(nnm_conv_window(inference, node, &window, &known, error));
  return known ? nnm_settle_window(inference, node, &window, error) : NNM_OK;
}

nnm_status nnm_rule_conv_transpose(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (node->op == NNM_OP_CONV_TRANSPOSE)
    (void)nnm_input_value(inference, node, SIZE_INPUT); /* a stored size is decoded when it is asked for */
  return nnm_rule_conv(inference, node, error);
}

nnm_status nnm_rule_nhwc_conv(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_rule_conv(inference, node, error);
}
nnm_status nnm_rule_deform_conv(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_rule_conv(inference, node, error);
}

nnm_status nnm_rule_conv_integer(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  return nnm_rule_conv(inference, node, error);
}

nnm_status nnm_rule_qlinear_conv(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 7)); /* that of the output's zero point */
  return nnm_rule_conv(inference, node, error);
}

nnm_status nnm_rule_causal_conv(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_window window = {0};
  bool known = false;
  NNM_TRY(nnm_conv_window(inference, node, &window, &known, error));
  if (!known) return NNM_OK;
  NNM_TRY(nnm_settle_window(inference, node, &window, error));
  int64_t state[3] = {window.batch, window.input_channels, window.pad_begin[0]};
  return nnm_set_shape(inference, node, 1, 3, state, error);
}
