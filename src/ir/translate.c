#include "ir/translate.h"

#include <string.h>

#include "base/limits.h"
#include "ops/ops.h"

/* One node being translated. */
typedef struct translating {
  ir_translation *t;
  const nnm_ir_node *from;
  ir_inputs *inputs;
  nnm_node *node;
  ir_attributes *attributes;
} translating;

/* ------------------------------------------------------------- attributes */

static nnm_status put(translating *x, const char *name, nnm_attribute attribute) {
  attribute.name = nnm_graph_builder_intern(x->t->builder, name, strlen(name));
  if (!attribute.name) return nnm_fail_memory(x->t->error);
  if (x->attributes->count < x->attributes->capacity) x->attributes->items[x->attributes->count++] = attribute;
  return NNM_OK;
}

static nnm_status put_integer(translating *x, const char *name, int64_t value) {
  return put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_INT, .as.integer = value});
}

static nnm_status put_integers(translating *x, const char *name, const int64_t *values, size_t count) {
  const int64_t *copy = nnm_arena_copy(x->t->arena, values, count, sizeof *values);
  if (!copy) return nnm_fail_memory(x->t->error);
  return put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_INTS, .count = count, .as.integers = copy});
}

/* The old tool writes texts as Python prints bytes: b'SAME_UPPER'. */
static nnm_status put_text(translating *x, const char *name, const char *value) {
  size_t length = strlen(value);
  if (length >= 3 && value[0] == 'b' && (value[1] == '\'' || value[1] == '"') && value[length - 1] == value[1]) {
    value += 2;
    length -= 3;
  }
  const char *text = nnm_graph_builder_intern(x->t->builder, value, length);
  if (!text) return nnm_fail_memory(x->t->error);
  return put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_TEXT, .as.text = text});
}

/* Lists of other things than numbers mean nothing to any shape rule. */
static nnm_status copy_floats(translating *x, const char *name, const json_t *list) {
  size_t count = json_array_size(list);
  double *values = NNM_ARENA_ARRAY(x->t->arena, double, count);
  if (!values) return nnm_fail_memory(x->t->error);
  for (size_t i = 0; i < count; i++) {
    const json_t *item = json_array_get(list, i);
    if (!json_is_number(item)) return NNM_OK;
    values[i] = json_number_value(item);
  }
  return put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_FLOATS, .count = count, .as.numbers = values});
}

static nnm_status copy_attribute(translating *x, const char *name, const json_t *value) {
  if (json_is_integer(value)) return put_integer(x, name, json_integer_value(value));
  if (json_is_boolean(value)) return put_integer(x, name, json_is_true(value));
  if (json_is_real(value))
    return put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_FLOAT, .as.number = json_real_value(value)});
  if (json_is_string(value)) return put_text(x, name, json_string_value(value));
  if (!json_is_array(value)) return NNM_OK;
  size_t count = json_array_size(value);
  int64_t *values = NNM_ARENA_ARRAY(x->t->arena, int64_t, count);
  if (!values) return nnm_fail_memory(x->t->error);
  for (size_t i = 0; i < count; i++) {
    const json_t *item = json_array_get(value, i);
    if (!json_is_integer(item)) return copy_floats(x, name, value);
    values[i] = json_integer_value(item);
  }
  return put(x, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_INTS, .count = count, .as.integers = values});
}

static nnm_status copy_attributes(translating *x) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)x->from->attributes, name, value) NNM_TRY(copy_attribute(x, name, value));
  return NNM_OK;
}

static bool integers(const translating *x, const char *name, int64_t *out, size_t *count) {
  return nnm_ir_integers(x->from, name, out, NNM_LIMIT_RANK, count);
}

/* Shapes in the graph's layout; rank -1 when the IR has none. */
static nnm_status input_shape(translating *x, size_t index, nnm_shape *out) {
  *out = (nnm_shape){.rank = -1};
  return index < x->from->input_shape_count ? nnm_ir_shape_of(x->t, x->from->input_shapes[index], out) : NNM_OK;
}

static nnm_status output_shape(translating *x, size_t index, nnm_shape *out) {
  *out = (nnm_shape){.rank = -1};
  return index < x->from->output_shape_count ? nnm_ir_shape_of(x->t, x->from->output_shapes[index], out) : NNM_OK;
}

/* A value that the file does not give. Where it says what shape comes out, a wrong guess shows there; else this tells. */
static nnm_status note_guess(translating *x, const char *attribute) {
  if (x->from->output_shape_count && x->from->output_shapes[0].rank >= 0) return NNM_OK;
  return nnm_graph_builder_note(x->t->builder, x->t->error, "node '%.120s' has no '%s': its usual value is assumed",
                                x->from->name, attribute);
}

/* ---------------------------------------------------------------- windows */

/* TensorFlow's lists may have a number for batch and channels as well: 1, height, width, 1. */
static nnm_status put_spatial(translating *x, const char *to, const char *from, bool *found) {
  int64_t values[NNM_LIMIT_RANK];
  size_t count;
  if (!integers(x, from, values, &count) || !count) return NNM_OK;
  *found = true;
  bool full = x->t->tensorflow && count == 4;
  return full ? put_integers(x, to, values + 1, 2) : put_integers(x, to, values, count);
}

static nnm_status put_kernel(translating *x) {
  bool found = false;
  int64_t weight[NNM_LIMIT_RANK];
  size_t count;
  if (integers(x, "weight_shape", weight, &count) && count == 4) return put_integers(x, "kernel_shape", weight, 2);
  NNM_TRY(put_spatial(x, "kernel_shape", "kernel_shape", &found));
  if (!found) NNM_TRY(put_spatial(x, "kernel_shape", "ksize", &found));
  if (!found) NNM_TRY(put_spatial(x, "kernel_shape", "ks", &found));
  return NNM_OK;
}

static nnm_status put_padding(translating *x) {
  const char *padding = json_string_value(json_object_get(x->from->attributes, "padding"));
  if (padding) return put_text(x, "auto_pad", !strcmp(padding, "SAME") ? "SAME_UPPER" : padding);
  NNM_TRY(copy_attribute(x, "auto_pad", json_object_get(x->from->attributes, "auto_pad")));
  return copy_attribute(x, "pads", json_object_get(x->from->attributes, "pads"));
}

static nnm_status put_window(translating *x) {
  bool found;
  x->inputs->count = 1;
  NNM_TRY(put_kernel(x));
  NNM_TRY(put_spatial(x, "strides", "strides", &found));
  NNM_TRY(put_spatial(x, "dilations", "dilations", &found));
  return put_padding(x);
}

static nnm_status translate_pool(translating *x) {
  NNM_TRY(put_window(x));
  NNM_TRY(copy_attribute(x, "ceil_mode", json_object_get(x->from->attributes, "ceil_mode")));
  return copy_attribute(x, "count_include_pad", json_object_get(x->from->attributes, "count_include_pad"));
}

static nnm_status translate_convolution(translating *x) {
  int64_t weight[NNM_LIMIT_RANK];
  size_t count = 0;
  nnm_shape input, output;
  NNM_TRY(put_window(x));
  NNM_TRY(input_shape(x, 0, &input));
  NNM_TRY(output_shape(x, 0, &output));
  bool depthwise = !strncmp(x->node->type, "Depthwise", 9);
  bool described = integers(x, "weight_shape", weight, &count) && count == 4;
  int64_t channels = output.rank < 3 ? -1 : output.dims[x->t->tensorflow ? output.rank - 1 : 1];
  if (described && depthwise && weight[2] > 0 && weight[3] > 0 && weight[2] <= NNM_LIMIT_DIMENSION &&
      weight[3] <= NNM_LIMIT_DIMENSION)
    channels = weight[2] * weight[3];
  else if (described) channels = weight[3];
  if (channels > 0 && channels <= NNM_LIMIT_DIMENSION) NNM_TRY(put_integer(x, "output_channels", channels));
  if (depthwise) return put_integer(x, "depthwise", 1);
  if (!x->t->tensorflow) {
    NNM_TRY(copy_attribute(x, "output_padding", json_object_get(x->from->attributes, "output_padding")));
    return copy_attribute(x, "group", json_object_get(x->from->attributes, "group"));
  }
  if (!described || input.rank < 1 || weight[2] < 1) return NNM_OK;
  int64_t inputs = input.dims[input.rank - 1];
  bool grouped = inputs > weight[2] && inputs % weight[2] == 0;
  return grouped ? put_integer(x, "group", inputs / weight[2]) : NNM_OK;
}

/* ------------------------------------------------------------- arithmetic */

/* Of a constant operand the IR tells nothing in ONNX's dialect: it is a scalar, or what makes the output larger. */
static nnm_status translate_binary(translating *x) {
  nnm_shape input, output, constant = {.rank = 0};
  NNM_TRY(copy_attributes(x));
  if (x->inputs->count != 1) return NNM_OK;
  NNM_TRY(input_shape(x, 0, &input));
  NNM_TRY(output_shape(x, 0, &output));
  if (x->inputs->constant_count) {
    size_t count;
    const nnm_ir_node *node = &x->t->ir->nodes[x->inputs->constants[0]];
    int64_t dims[NNM_LIMIT_RANK];
    if (nnm_ir_integers(node, "tensor_shape", dims, NNM_LIMIT_RANK, &count)) {
      for (size_t i = 0; i < count; i++)
        if (dims[i] < 1 || dims[i] > NNM_LIMIT_DIMENSION) count = 0;
      constant = (nnm_shape){(int32_t)count, nnm_arena_copy(x->t->arena, dims, count, sizeof *dims)};
      if (!constant.dims) return nnm_fail_memory(x->t->error);
    }
  } else if (!x->t->tensorflow && input.rank >= 0 && output.rank >= 0) {
    bool same = input.rank == output.rank;
    for (int32_t i = 0; same && i < input.rank; i++) same = input.dims[i] == output.dims[i];
    for (int32_t i = 0; !same && i < output.rank; i++)
      if (output.dims[i] < 0) same = true;
    if (!same) constant = output;
  }
  return nnm_ir_weight(x->t, x->from->name, constant, &x->inputs->items[x->inputs->count++]);
}

static nnm_status translate_dense(translating *x) {
  nnm_shape output;
  NNM_TRY(output_shape(x, 0, &output));
  if (x->inputs->count == 2 && x->node->op == NNM_OP_MATMUL) return copy_attributes(x);
  x->inputs->count = 1;
  if (output.rank < 1) return NNM_OK;
  return put_integer(x, "output_channels", output.dims[output.rank - 1]);
}

/* -------------------------------------------------------------- movement */

/* The shape that comes out is all there is to it. */
static nnm_status translate_reshape(translating *x) {
  nnm_shape output;
  NNM_TRY(output_shape(x, 0, &output));
  x->inputs->count = 1;
  int free_dimensions = 0;
  for (int32_t i = 0; i < output.rank; i++) free_dimensions += output.dims[i] < 0;
  if (output.rank < 0 || free_dimensions > 1) return copy_attributes(x);
  x->node->op = NNM_OP_RESHAPE;
  return put_integers(x, "shape", output.dims, (size_t)output.rank);
}

/* The order of axes that turns one shape into the other; the first that fits. */
static bool guess_order(nnm_shape input, nnm_shape output, int64_t *order) {
  uint32_t used = 0;
  if (input.rank != output.rank || input.rank < 1) return false;
  for (int32_t i = 0; i < output.rank; i++) {
    int32_t from = 0;
    while (from < input.rank && ((used >> from & 1) || input.dims[from] != output.dims[i])) from++;
    if (from == input.rank) return false;
    used |= 1u << from;
    order[i] = from;
  }
  return true;
}

static nnm_status translate_transpose(translating *x) {
  int64_t order[NNM_LIMIT_RANK];
  size_t count;
  nnm_shape input, output;
  x->inputs->count = 1;
  NNM_TRY(input_shape(x, 0, &input));
  NNM_TRY(output_shape(x, 0, &output));
  if (integers(x, "perm", order, &count)) return put_integers(x, "perm", order, count);
  if (!x->t->tensorflow) return NNM_OK;
  for (size_t i = 0; i < x->inputs->constant_count; i++)
    if (nnm_ir_integers(&x->t->ir->nodes[x->inputs->constants[i]], "constant", order, NNM_LIMIT_RANK, &count) &&
        count == (size_t)(input.rank < 0 ? 0 : input.rank))
      return put_integers(x, "perm", order, count);
  return guess_order(input, output, order) ? put_integers(x, "perm", order, (size_t)input.rank) : NNM_OK;
}

static nnm_status translate_concat(translating *x) {
  int64_t axis[NNM_LIMIT_RANK];
  size_t count;
  bool found = integers(x, "axis", axis, &count) && count == 1;
  if (!found) NNM_TRY(note_guess(x, "axis"));
  return put_integer(x, "axis", found ? axis[0] : x->t->tensorflow ? -1 : 1);
}

static nnm_status translate_split(translating *x) {
  int64_t axis[NNM_LIMIT_RANK], sizes[64];
  size_t count, parts = x->from->output_shape_count;
  nnm_shape input;
  x->inputs->count = 1;
  NNM_TRY(input_shape(x, 0, &input));
  bool found = (integers(x, "axis", axis, &count) || integers(x, "split_dim", axis, &count)) && count == 1;
  if (!found) NNM_TRY(note_guess(x, "axis"));
  if (!found) axis[0] = x->t->tensorflow ? -1 : 0;
  NNM_TRY(put_integer(x, "axis", axis[0]));
  int64_t at = axis[0] < 0 ? axis[0] + input.rank : axis[0], sum = 0;
  if (at < 0 || at >= input.rank || parts < 2 || parts > 64) return NNM_OK;
  for (size_t i = 0; i < parts; i++) {
    nnm_shape output;
    NNM_TRY(output_shape(x, i, &output));
    if (output.rank != input.rank || output.dims[at] < 0) return NNM_OK;
    sizes[i] = output.dims[at];
    sum += sizes[i];
  }
  return sum == input.dims[at] ? put_integers(x, "split", sizes, parts) : NNM_OK;
}

/* Axes may be an input in ONNX, which the IR does not show: then they are those that differ, or the map's. */
static nnm_status translate_mean(translating *x) {
  int64_t axes[NNM_LIMIT_RANK];
  size_t count = 0;
  nnm_shape input, output;
  if (x->inputs->count > 1 && !x->t->tensorflow) return copy_attributes(x); /* ONNX's Mean of several tensors */
  x->inputs->count = 1;
  x->node->op = NNM_OP_REDUCE_MEAN;
  NNM_TRY(input_shape(x, 0, &input));
  NNM_TRY(output_shape(x, 0, &output));
  bool keeps = output.rank >= 0 && output.rank == input.rank;
  if (!integers(x, "axes", axes, &count) && !integers(x, "reduction_indices", axes, &count)) {
    count = 0;
    for (int32_t i = 0; keeps && i < input.rank; i++)
      if (input.dims[i] != output.dims[i]) axes[count++] = i;
    if (!count) NNM_TRY(note_guess(x, "axes"));
    if (!count && input.rank == 4) {
      axes[0] = x->t->tensorflow ? 1 : 2;
      axes[1] = axes[0] + 1;
      count = 2;
    }
  }
  if (x->t->tensorflow) keeps = output.rank == 4; /* the shape of its input is not reliable there */
  const json_t *said = json_object_get(x->from->attributes, "keepdims");
  if (count) NNM_TRY(put_integers(x, "axes", axes, count));
  if (json_is_integer(said)) keeps = json_integer_value(said) != 0;
  else if (json_is_boolean(said)) keeps = json_is_true(said);
  return put_integer(x, "keepdims", keeps);
}

/* ------------------------------------------------------------- the others */

static nnm_status translate_unary(translating *x) {
  x->inputs->count = 1;
  return copy_attributes(x);
}

/* What hangs on inputs that the IR does not show has the shape that the IR declares. */
static nnm_status translate_other(translating *x) {
  NNM_TRY(copy_attributes(x));
  return put_integer(x, "declared_shapes", 1);
}

/* Slices that the old converter has joined and that together are the whole tensor are a split. */
static nnm_status translate_slice(translating *x) {
  int64_t sizes[64], sum = 0;
  size_t parts = x->from->output_shape_count;
  nnm_shape input, output;
  x->inputs->count = 1;
  NNM_TRY(input_shape(x, 0, &input));
  int32_t axis = -1;
  for (size_t i = 0; i < parts && parts > 1 && parts <= 64; i++) {
    NNM_TRY(output_shape(x, i, &output));
    if (output.rank != input.rank) return translate_other(x);
    for (int32_t d = 0; d < input.rank; d++) {
      if (output.dims[d] == input.dims[d]) continue;
      if (axis >= 0 && d != axis) return translate_other(x);
      axis = d;
    }
    if (axis < 0) return translate_other(x); /* all of it */
    sizes[i] = output.dims[axis];
    sum += sizes[i];
  }
  if (axis < 0 || sum != input.dims[axis]) return translate_other(x);
  x->node->op = NNM_OP_SPLIT;
  NNM_TRY(put_integer(x, "axis", axis));
  return put_integers(x, "split", sizes, parts);
}

static const struct translation_row {
  const char *type;
  nnm_status (*translate)(translating *x);
} rows[] = {
    {"Conv", translate_convolution},
    {"Conv2D", translate_convolution},
    {"ConvTranspose", translate_convolution},
    {"DepthwiseConv2dNative", translate_convolution},
    {"MaxPool", translate_pool},
    {"AvgPool", translate_pool},
    {"AveragePool", translate_pool},
    {"Add", translate_binary},
    {"AddV2", translate_binary},
    {"Sub", translate_binary},
    {"Mul", translate_binary},
    {"Div", translate_binary},
    {"RealDiv", translate_binary},
    {"Pow", translate_binary},
    {"Gemm", translate_dense},
    {"MatMul", translate_dense},
    {"Reshape", translate_reshape},
    {"Squeeze", translate_reshape},
    {"Unsqueeze", translate_reshape},
    {"ExpandDims", translate_reshape},
    {"Transpose", translate_transpose},
    {"Concat", translate_concat},
    {"ConcatV2", translate_concat},
    {"Split", translate_split},
    {"Slice", translate_slice},
    {"Mean", translate_mean},
    {"ReduceMean", translate_mean},
    {"BatchNormalization", translate_unary},
    {"FusedBatchNorm", translate_unary},
    {"FusedBatchNormV2", translate_unary},
    {"FusedBatchNormV3", translate_unary},
    {"BiasAdd", translate_unary},
    {"Clip", translate_unary},
    {"Dropout", translate_unary},
    {"Elu", translate_unary},
    {"Flatten", translate_unary},
    {"GlobalAveragePool", translate_unary},
    {"GlobalMaxPool", translate_unary},
    {"HardSigmoid", translate_unary},
    {"HardSwish", translate_unary},
    {"Identity", translate_unary},
    {"LeakyRelu", translate_unary},
    {"PRelu", translate_unary},
    {"Relu", translate_unary},
    {"Relu6", translate_unary},
    {"Sigmoid", translate_unary},
    {"Softmax", translate_unary},
    {"Tanh", translate_unary},
};

nnm_status nnm_ir_translate(ir_translation *t, const nnm_ir_node *ir_node, ir_inputs *inputs, nnm_node *node,
                            ir_attributes *attributes) {
  translating x = {t, ir_node, inputs, node, attributes};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (!strcmp(node->type, rows[i].type)) return rows[i].translate(&x);
  return translate_other(&x);
}
