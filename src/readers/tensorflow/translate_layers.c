/* Convolutions, pooling, matrix products, normalisation, and what TensorFlow's optimiser has fused of them. */
#include <string.h>

#include "base/limits.h"
#include "ops/ops.h"
#include "readers/tensorflow/tensorflow.h"

/* TensorFlow's lists have a number for each dimension of the image: 1, height, width, 1. */
static nnm_status put_spatial(tf_translation *x, const char *from, const char *to) {
  size_t count;
  const int64_t *values = nnm_tf_ints(x, from, &count);
  if (count < 3 || count > NNM_LIMIT_RANK) return NNM_OK;
  return nnm_tf_put_ints(x, to, values + (x->node.layout == NNM_CHANNELS_LAST ? 1 : 2), count - 2);
}

/* Pairs for each dimension, channels and batch included -> begins, then ends. */
static nnm_status put_explicit_pads(tf_translation *x) {
  size_t count;
  int64_t pads[2 * NNM_LIMIT_SPATIAL];
  const int64_t *pairs = nnm_tf_ints(x, "explicit_paddings", &count);
  size_t spatial = count / 2 < 3 ? 0 : count / 2 - 2, first = x->node.layout == NNM_CHANNELS_LAST ? 1 : 2;
  if (!spatial || spatial > NNM_LIMIT_SPATIAL) return NNM_OK;
  for (size_t i = 0; i < spatial; i++) {
    pads[i] = pairs[2 * (first + i)];
    pads[spatial + i] = pairs[2 * (first + i) + 1];
  }
  return nnm_tf_put_ints(x, "pads", pads, 2 * spatial);
}

static nnm_status put_window(tf_translation *x) {
  const char *padding = nnm_tf_text(x, "padding", "VALID");
  NNM_TRY(put_spatial(x, "strides", "strides"));
  NNM_TRY(put_spatial(x, "dilations", "dilations"));
  if (!strcmp(padding, "EXPLICIT")) return put_explicit_pads(x);
  return nnm_tf_put_text(x, "auto_pad", !strcmp(padding, "SAME") ? "SAME_UPPER" : padding);
}

nnm_status nnm_tf_translate_conv(tf_translation *x) {
  nnm_tf_keep_inputs(x, 0, 2);
  return put_window(x);
}

/* Backwards through a convolution: output size, weights, image -> image, weights, no bias, output size. */
nnm_status nnm_tf_translate_conv_backwards(tf_translation *x) {
  const nnm_tensor_id *given = x->reader->inputs.items;
  if (x->node.input_count >= 3) {
    nnm_tensor_id inputs[] = {given[2], given[1], -1, given[0]};
    x->reader->inputs.count = 0;
    for (int i = 0; i < 4; i++) NNM_TRY(nnm_stack_push(&x->reader->inputs, &inputs[i], x->reader->file.error));
    x->node.inputs = x->reader->inputs.items;
    x->node.input_count = 4;
  }
  return put_window(x);
}

/* A constant list of an input as an attribute. */
static nnm_status put_constant(tf_translation *x, uint32_t input, const char *name) {
  const nnm_constant *constant;
  int64_t values[NNM_LIMIT_RANK];
  size_t count = 0;
  NNM_TRY(nnm_tf_input_constant(x, input, &constant));
  while (constant && count < NNM_LIMIT_RANK && nnm_constant_int(constant, count, &values[count])) count++;
  return count ? nnm_tf_put_ints(x, name, values, count) : NNM_OK;
}

nnm_status nnm_tf_translate_pool(tf_translation *x) {
  if (x->node.input_count > 2) { /* MaxPoolV2 */
    NNM_TRY(put_constant(x, 1, "ksize"));
    NNM_TRY(put_constant(x, 2, "strides"));
  }
  nnm_tf_keep_inputs(x, 0, 1);
  NNM_TRY(put_spatial(x, "ksize", "kernel_shape"));
  NNM_TRY(put_spatial(x, "ksize", "ksize"));
  return put_window(x);
}

nnm_status nnm_tf_translate_matmul(tf_translation *x) {
  bool turned = nnm_tf_int(x, "transpose_a", 0) || nnm_tf_int(x, "transpose_b", 0) || nnm_tf_int(x, "adj_x", 0) ||
                nnm_tf_int(x, "adj_y", 0);
  nnm_tf_keep_inputs(x, 0, 2);
  if (turned) x->node.op = NNM_OP_MS_FUSED_MATMUL;
  return NNM_OK;
}

nnm_status nnm_tf_translate_batch_norm(tf_translation *x) {
  nnm_tf_keep_inputs(x, 0, 5);
  return NNM_OK;
}

/* ------------------------------------------------------------------- fused */

typedef struct fused_step {
  const char *name; /* in fused_ops */
  const char *type;
  uint16_t op;
  uint8_t arguments; /* further inputs that it takes */
} fused_step;

static const fused_step fused_steps[] = {
    {"BiasAdd", "BiasAdd", NNM_OP_BIAS_ADD, 1},
    {"FusedBatchNorm", "FusedBatchNormV3", NNM_OP_BATCH_NORMALIZATION, 4},
    {"Add", "AddV2", NNM_OP_ADD, 1},
    {"Relu", "Relu", NNM_OP_RELU, 0},
    {"Relu6", "Relu6", NNM_OP_RELU6, 0},
    {"Elu", "Elu", NNM_OP_ELU, 0},
    {"LeakyRelu", "LeakyRelu", NNM_OP_LEAKY_RELU, 0},
    {"Tanh", "Tanh", NNM_OP_TANH, 0},
    {"Sigmoid", "Sigmoid", NNM_OP_SIGMOID, 0},
    {"GeluApproximate", "Gelu", NNM_OP_GELU, 0},
    {"GeluExact", "Gelu", NNM_OP_GELU, 0},
    {"_MklSwish", "Swish", NNM_OP_SWISH, 0},
    {"_FusedSwish", "Swish", NNM_OP_SWISH, 0},
    {"_FusedHardSwish", "HardSwish", NNM_OP_HARD_SWISH, 0},
    {"Mish", "Mish", NNM_OP_MISH, 0},
};

static const fused_step *find_step(const char *name) {
  for (size_t i = 0; i < sizeof fused_steps / sizeof fused_steps[0]; i++)
    if (!strcmp(fused_steps[i].name, name)) return &fused_steps[i];
  return NULL;
}

/* The layer itself, with its result in a tensor of its own. */
static nnm_status add_layer(tf_translation *x, nnm_tensor_id *made, uint32_t inputs) {
  nnm_node node = x->node;
  node.input_count = node.input_count < inputs ? node.input_count : inputs;
  node.outputs = made;
  node.output_count = 1;
  node.attributes = x->reader->attributes.items;
  node.attribute_count = (uint32_t)x->reader->attributes.count;
  return nnm_tf_add_node(x, &node);
}

static nnm_status add_step(tf_translation *x, const fused_step *step, nnm_tensor_id from,
                           const nnm_tensor_id *arguments, nnm_tensor_id made) {
  nnm_tensor_id inputs[5] = {from};
  nnm_node node = x->node;
  for (uint32_t i = 0; i < step->arguments; i++) inputs[i + 1] = arguments[i];
  node.type = nnm_graph_builder_intern(x->reader->builder, step->type, strlen(step->type));
  if (!node.type) return nnm_fail_memory(x->reader->file.error);
  node.op = step->op;
  node.inputs = inputs;
  node.input_count = 1u + step->arguments;
  node.outputs = &made;
  node.output_count = 1;
  return nnm_tf_add_node(x, &node);
}

/* "BiasAdd", "Relu" behind a layer of two inputs: as many nodes as there were before TensorFlow fused them. */
static nnm_status unfuse(tf_translation *x, const char *const *steps, size_t count, uint32_t layer_inputs) {
  nnm_tensor_id arguments[NNM_LIMIT_RANK], last, made;
  uint32_t taken = 0, given = x->node.input_count > layer_inputs ? x->node.input_count - layer_inputs : 0;
  if (given > NNM_LIMIT_RANK) given = NNM_LIMIT_RANK;
  for (uint32_t i = 0; i < given; i++) arguments[i] = x->node.inputs[layer_inputs + i];
  NNM_TRY(nnm_tf_tensor_of(x->reader, x->instance, x->index, 0, &last));
  made = last;
  if (count) NNM_TRY(nnm_tf_new_tensor(x, "/layer", &made));
  NNM_TRY(add_layer(x, &made, layer_inputs));
  for (size_t i = 0; i < count; i++) {
    const fused_step *step = find_step(steps[i]);
    fused_step unknown = {steps[i], steps[i], NNM_OP_UNKNOWN, 0};
    char suffix[24] = "/step_0";
    nnm_tensor_id next = last;
    if (!step || given - taken < step->arguments) step = &unknown;
    suffix[6] = (char)('0' + i % 10);
    if (i + 1 < count) NNM_TRY(nnm_tf_new_tensor(x, suffix, &next));
    NNM_TRY(add_step(x, step, made, arguments + taken, next));
    taken += step->arguments;
    made = next;
  }
  x->emitted = true;
  return NNM_OK;
}

static nnm_status unfuse_listed(tf_translation *x) {
  const nnm_attribute *steps = nnm_tf_attribute(x, "fused_ops");
  bool listed = steps && steps->kind == NNM_ATTRIBUTE_TEXTS && steps->count < 8;
  return unfuse(x, listed ? steps->as.texts : NULL, listed ? steps->count : 0, 2);
}

nnm_status nnm_tf_translate_fused_conv(tf_translation *x) {
  NNM_TRY(put_window(x));
  return unfuse_listed(x);
}

nnm_status nnm_tf_translate_fused_matmul(tf_translation *x) {
  if (nnm_tf_int(x, "transpose_a", 0) || nnm_tf_int(x, "transpose_b", 0)) x->node.op = NNM_OP_MS_FUSED_MATMUL;
  return unfuse_listed(x);
}

/* A batch normalisation with an activation, perhaps with a sum in between. */
nnm_status nnm_tf_translate_fused_batch_norm(tf_translation *x) {
  const char *steps[2], *activation = nnm_tf_text(x, "activation_mode", "Identity");
  size_t count = 0;
  if (x->node.input_count > 5) steps[count++] = "Add";
  if (strcmp(activation, "Identity") != 0) steps[count++] = activation;
  return unfuse(x, steps, count, 5);
}

/* --------------------------------------------------------------- quantised */

/* TensorFlow's quantised operators hand on the range of their numbers as two more tensors. */
static nnm_status add_with_ranges(tf_translation *x) {
  nnm_tensor_id outputs[3];
  NNM_TRY(nnm_tf_make_room(x->reader, x->instance, x->index, 2));
  for (uint32_t i = 0; i < 3; i++) NNM_TRY(nnm_tf_tensor_of(x->reader, x->instance, x->index, i, &outputs[i]));
  nnm_node node = x->node;
  node.outputs = outputs;
  node.output_count = 1;
  node.attributes = x->reader->attributes.items;
  node.attribute_count = (uint32_t)x->reader->attributes.count;
  NNM_TRY(nnm_tf_add_node(x, &node));
  node.op = NNM_OP_QUANTIZED_RANGE;
  node.inputs = outputs;
  node.input_count = 1;
  node.outputs = outputs + 1;
  node.output_count = 2;
  node.attribute_count = 0;
  x->emitted = true;
  return nnm_tf_add_node(x, &node);
}

nnm_status nnm_tf_translate_quantized(tf_translation *x) {
  nnm_tf_keep_inputs(x, 0, 1);
  return add_with_ranges(x);
}

nnm_status nnm_tf_translate_quantized_layer(tf_translation *x) {
  nnm_tf_keep_inputs(x, 0, 2);
  return add_with_ranges(x);
}

nnm_status nnm_tf_translate_quantized_conv(tf_translation *x) {
  NNM_TRY(put_window(x));
  if (!strncmp(x->node.type, "QuantizedDepthwise", 18)) NNM_TRY(nnm_tf_put_int(x, "depthwise", 1));
  return nnm_tf_translate_quantized_layer(x);
}

nnm_status nnm_tf_translate_quantized_pool(tf_translation *x) {
  x->node.op = !strcmp(x->node.type, "QuantizedMaxPool") ? NNM_OP_MAX_POOL : NNM_OP_AVERAGE_POOL;
  NNM_TRY(put_spatial(x, "ksize", "kernel_shape"));
  NNM_TRY(put_window(x));
  nnm_tf_keep_inputs(x, 0, 1);
  return add_with_ranges(x);
}
