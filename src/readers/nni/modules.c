/* torch's modules in NNI's graph IR: their weights are not in it, but the arguments they were made with are. What is not
 * given has torch's default. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "readers/nni/nni.h"

/* --------------------------------------------------------------- parameters */

static const json_t *parameter(const nni_reading *r, const char *name) {
  const json_t *value = json_object_get(r->parameters, name);
  return json_is_null(value) ? NULL : value;
}

static int64_t integer_or(const nni_reading *r, const char *name, int64_t otherwise) {
  const json_t *value = parameter(r, name);
  if (json_is_boolean(value)) return json_is_true(value);
  return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static nnm_status positive(nni_reading *r, const char *name, int64_t *out) {
  const json_t *value = parameter(r, name);
  *out = json_is_integer(value) ? json_integer_value(value) : 0;
  if (*out >= 1 && *out <= NNM_LIMIT_DIMENSION) return NNM_OK;
  return nni_fail(r, NNM_ERROR_FORMAT, "has no parameter %s that is a positive integer; export the model again", name);
}

/* One number for each of `count` dimensions: an integer, or a list of one or `count`. */
static nnm_status per_dimension(nni_reading *r, const char *name, int64_t otherwise, size_t count, int64_t *out) {
  const json_t *value = parameter(r, name);
  size_t given = json_array_size(value);
  for (size_t i = 0; i < count; i++) {
    const json_t *item = json_is_array(value) ? json_array_get(value, given == 1 ? 0 : i) : value;
    out[i] = json_is_integer(item) ? json_integer_value(item) : otherwise;
    bool is_wrong = (item && !json_is_integer(item) && !json_is_null(item)) ||
                    (json_is_array(value) && given != 1 && given != count);
    if (is_wrong || out[i] < -NNM_LIMIT_DIMENSION || out[i] > NNM_LIMIT_DIMENSION)
      return nni_fail(r, NNM_ERROR_FORMAT, "has a parameter %s that is no list of %zu integers; export the model again",
                      name, count);
  }
  return NNM_OK;
}

/* ------------------------------------------------------------------ windows */

/* Number of spatial dimensions by the class's name: Conv2d. */
static size_t dimensions_of(const char *type) {
  char digit = strlen(type) > 1 ? type[strlen(type) - 2] : '2';
  return digit >= '1' && digit <= '3' ? (size_t)(digit - '0') : 2;
}

static nnm_status with_window(nni_reading *r, size_t spatial, int64_t stride_otherwise, int64_t kernel[3]) {
  int64_t numbers[3], pads[6];
  const char *pad = json_string_value(parameter(r, "padding"));
  NNM_TRY(per_dimension(r, "kernel_size", 0, spatial, kernel));
  nni_with_ints(r, "kernel_shape", kernel, spatial);
  NNM_TRY(per_dimension(r, "stride", stride_otherwise, spatial, numbers));
  if (!parameter(r, "stride") && !stride_otherwise) memcpy(numbers, kernel, sizeof numbers); /* poolings */
  nni_with_ints(r, "strides", numbers, spatial);
  NNM_TRY(per_dimension(r, "dilation", 1, spatial, numbers));
  nni_with_ints(r, "dilations", numbers, spatial);
  if (pad) {
    nni_with_text(r, "auto_pad", strcmp(pad, "same") != 0 ? "VALID" : "SAME_UPPER");
    return NNM_OK;
  }
  NNM_TRY(per_dimension(r, "padding", 0, spatial, pads));
  memcpy(pads + spatial, pads, spatial * sizeof *pads);
  nni_with_ints(r, "pads", pads, 2 * spatial);
  return NNM_OK;
}

static nnm_status convolution(nni_reading *r, const char *type, nni_value *out) {
  bool transposed = !strncmp(type, "ConvTranspose", sizeof "ConvTranspose" - 1);
  size_t spatial = dimensions_of(type);
  int64_t inputs, outputs, groups = integer_or(r, "groups", 1), kernel[3], more[3];
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(positive(r, "in_channels", &inputs));
  NNM_TRY(positive(r, "out_channels", &outputs));
  if (groups < 1 || inputs % groups || outputs % groups)
    return nni_fail(r, NNM_ERROR_FORMAT, "has channels that its groups do not divide; export the model again");
  NNM_TRY(with_window(r, spatial, 1, kernel));
  nni_with_int(r, "group", groups);
  if (transposed) {
    NNM_TRY(per_dimension(r, "output_padding", 0, spatial, more));
    nni_with_ints(r, "output_padding", more, spatial);
  }
  int64_t dims[5] = {transposed ? inputs : outputs, (transposed ? outputs : inputs) / groups};
  memcpy(dims + 2, kernel, spatial * sizeof *kernel);
  nnm_tensor_id tensors[3] = {x.tensor, -1, -1};
  NNM_TRY(nni_weight(r, dims, 2 + spatial, &tensors[1]));
  bool has_bias = integer_or(r, "bias", 1) != 0;
  if (has_bias) NNM_TRY(nni_weight(r, &outputs, 1, &tensors[2]));
  return nni_emit(r, transposed ? "ConvTranspose" : "Conv", tensors, has_bias ? 3 : 2, (int32_t)spatial + 2, out);
}

static nnm_status pooling(nni_reading *r, const char *type, nni_value *out) {
  int64_t kernel[3];
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(with_window(r, dimensions_of(type), 0, kernel));
  nni_with_int(r, "ceil_mode", integer_or(r, "ceil_mode", 0));
  return nni_emit1(r, type[0] == 'M' ? "MaxPool" : "AveragePool", &x, (int32_t)dimensions_of(type) + 2, out);
}

static nnm_status adaptive_pooling(nni_reading *r, const char *type, nni_value *out) {
  size_t spatial = dimensions_of(type);
  int64_t size[3];
  nni_value x;
  bool is_max = strstr(type, "Max") != NULL, is_global = true;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(per_dimension(r, "output_size", 0, spatial, size)); /* 0: as it is */
  for (size_t i = 0; i < spatial; i++) is_global = is_global && size[i] == 1;
  if (is_global) return nni_emit1(r, is_max ? "GlobalMaxPool" : "GlobalAveragePool", &x, (int32_t)spatial + 2, out);
  nni_with_ints(r, "output_size", size, spatial);
  return nni_emit1(r, is_max ? "pytorch.AdaptiveMaxPool" : "pytorch.AdaptiveAveragePool", &x, (int32_t)spatial + 2,
                   out);
}

/* ------------------------------------------------------- layers with weights */

static nnm_status dense(nni_reading *r, const nni_value *x, int64_t inputs, int64_t outputs, bool has_bias,
                        nni_value *out) {
  nnm_tensor_id product[2] = {x->tensor, -1}, sum[2];
  NNM_TRY(nni_weight(r, (int64_t[]){inputs, outputs}, 2, &product[1]));
  NNM_TRY(nni_emit(r, "MatMul", product, 2, x->rank, out));
  if (!has_bias) return NNM_OK;
  sum[0] = out->tensor;
  NNM_TRY(nni_weight(r, &outputs, 1, &sum[1]));
  return nni_emit(r, "Add", sum, 2, x->rank, out);
}

static nnm_status linear(nni_reading *r, const char *type, nni_value *out) {
  (void)type;
  int64_t inputs, outputs;
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(positive(r, "in_features", &inputs));
  NNM_TRY(positive(r, "out_features", &outputs));
  return dense(r, &x, inputs, outputs, integer_or(r, "bias", 1) != 0, out);
}

static nnm_status normalisation(nni_reading *r, const char *type, nni_value *out) {
  bool is_group = !strcmp(type, "GroupNorm"), is_instance = !strncmp(type, "Instance", 8);
  int64_t channels;
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(positive(r, is_group ? "num_channels" : "num_features", &channels));
  nnm_tensor_id tensors[5] = {x.tensor};
  uint32_t count = is_group || is_instance ? 3 : 5;
  for (uint32_t i = 1; i < count; i++) NNM_TRY(nni_weight(r, &channels, 1, &tensors[i]));
  if (is_group) nni_with_int(r, "num_groups", integer_or(r, "num_groups", 1));
  return nni_emit(r,
                  is_group      ? "GroupNormalization"
                  : is_instance ? "InstanceNormalization"
                                : "BatchNormalization",
                  tensors, count, x.rank, out);
}

static nnm_status layer_norm(nni_reading *r, const char *type, nni_value *out) {
  const json_t *shape = parameter(r, "normalized_shape");
  size_t count = json_is_array(shape) ? json_array_size(shape) : 1;
  int64_t dims[NNM_LIMIT_RANK];
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  if (!count || count > NNM_LIMIT_RANK || !shape)
    return nni_fail(r, NNM_ERROR_FORMAT, "has no parameter normalized_shape; export the model again");
  NNM_TRY(per_dimension(r, "normalized_shape", 1, count, dims));
  bool is_rms = !strcmp(type, "RMSNorm");
  nnm_tensor_id tensors[3] = {x.tensor};
  for (int i = 1; i < 3 - is_rms; i++) NNM_TRY(nni_weight(r, dims, count, &tensors[i]));
  nni_with_int(r, "axis", -(int64_t)count);
  return nni_emit(r, is_rms ? "RMSNormalization" : "LayerNormalization", tensors, is_rms ? 2 : 3, x.rank, out);
}

static nnm_status embedding(nni_reading *r, const char *type, nni_value *out) {
  (void)type;
  int64_t dims[2];
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(positive(r, "num_embeddings", &dims[0]));
  NNM_TRY(positive(r, "embedding_dim", &dims[1]));
  nnm_tensor_id tensors[2] = {-1, x.tensor};
  NNM_TRY(nni_weight(r, dims, 2, &tensors[0]));
  return nni_emit(r, "Gather", tensors, 2, x.rank < 0 ? -1 : x.rank + 1, out);
}

static nnm_status exchange(nni_reading *r, nni_value *x, const int64_t *order, size_t count) {
  nni_with_ints(r, "perm", order, count);
  return nni_emit1(r, "Transpose", x, (int32_t)count, x);
}

/* One layer of a recurrent network: (steps, batch, inputs) to (steps, batch, directions * hidden). */
static nnm_status recurrent_layer(nni_reading *r, const char *type, nni_value *x, int64_t inputs, int64_t hidden,
                                  int64_t directions, nni_value states[2]) {
  int64_t gates = type[0] == 'L' ? 4 : type[0] == 'G' ? 3 : 1;
  uint32_t outputs = type[0] == 'L' ? 3 : 2;
  nnm_tensor_id tensors[4] = {x->tensor, -1, -1, -1}, made[3];
  NNM_TRY(nni_weight(r, (int64_t[]){directions, gates * hidden, inputs}, 3, &tensors[1]));
  NNM_TRY(nni_weight(r, (int64_t[]){directions, gates * hidden, hidden}, 3, &tensors[2]));
  NNM_TRY(nni_weight(r, (int64_t[]){directions, 2 * gates * hidden}, 2, &tensors[3]));
  nni_with_int(r, "hidden_size", hidden);
  if (directions == 2) nni_with_text(r, "direction", "bidirectional");
  NNM_TRY(nni_emit_several(r, type, tensors, 4, made, outputs));
  for (uint32_t i = 1; i < outputs; i++) states[i - 1] = nni_tensor(made[i], 3);
  *x = nni_tensor(made[0], 4);
  NNM_TRY(exchange(r, x, (int64_t[]){0, 2, 1, 3}, 4));
  nnm_tensor_id joined[2] = {x->tensor, -1};
  NNM_TRY(nni_integers(r, (int64_t[]){0, 0, -1}, 3, &joined[1]));
  return nni_emit(r, "Reshape", joined, 2, 3, x);
}

static nnm_status recurrent(nni_reading *r, const char *type, nni_value *out) {
  enum { MOST_LAYERS = 1000 };
  int64_t inputs, hidden, layers = integer_or(r, "num_layers", 1);
  int64_t directions = integer_or(r, "bidirectional", 0) ? 2 : 1;
  bool batch_first = integer_or(r, "batch_first", 0) != 0;
  nni_value x, states[2] = {nni_none(), nni_none()}, results[2];
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(positive(r, "input_size", &inputs));
  NNM_TRY(positive(r, "hidden_size", &hidden));
  if (layers < 1 || layers > MOST_LAYERS || hidden > NNM_LIMIT_DIMENSION / 16)
    return nni_fail(r, NNM_ERROR_LIMIT, "has an impossible number of layers or hidden units; export the model again");
  if (batch_first) NNM_TRY(exchange(r, &x, (int64_t[]){1, 0, 2}, 3));
  for (int64_t i = 0; i < layers; i++)
    NNM_TRY(recurrent_layer(r, type, &x, i ? hidden * directions : inputs, hidden, directions, states));
  if (batch_first) NNM_TRY(exchange(r, &x, (int64_t[]){1, 0, 2}, 3));
  results[0] = x;
  results[1] = states[0];
  if (type[0] == 'L') NNM_TRY(nni_list(r, states, 2, &results[1]));
  return nni_list(r, results, 2, out);
}

/* Projections, attention over all heads, a last projection; queries, keys, values may be one tensor. */
static nnm_status multi_head_attention(nni_reading *r, const char *type, nni_value *out) {
  (void)type;
  int64_t size, heads;
  bool batch_first = integer_or(r, "batch_first", 0) != 0, has_bias = integer_or(r, "bias", 1) != 0;
  nni_value parts[3], results[2];
  nnm_tensor_id tensors[3];
  NNM_TRY(positive(r, "embed_dim", &size));
  NNM_TRY(positive(r, "num_heads", &heads));
  const char *const sizes[] = {"embed_dim", "kdim", "vdim"};
  for (size_t i = 0; i < 3; i++) {
    int64_t width = integer_or(r, sizes[i], size);
    NNM_TRY(nni_tensor_input(r, i, &parts[i]));
    if (!batch_first) NNM_TRY(exchange(r, &parts[i], (int64_t[]){1, 0, 2}, 3));
    NNM_TRY(dense(r, &parts[i], width, size, has_bias, &parts[i]));
    tensors[i] = parts[i].tensor;
  }
  nni_with_int(r, "num_heads", heads);
  NNM_TRY(nni_emit(r, "com.microsoft.MultiHeadAttention", tensors, 3, 3, &results[0]));
  NNM_TRY(dense(r, &results[0], size, size, has_bias, &results[0]));
  if (!batch_first) NNM_TRY(exchange(r, &results[0], (int64_t[]){1, 0, 2}, 3));
  results[1] = nni_none();
  return nni_list(r, results, 2, out);
}

/* ------------------------------------------------------------ without weights */

static nnm_status pass(nni_reading *r, const char *type, nni_value *out) {
  (void)type;
  *out = nni_input(r, 0);
  return NNM_OK;
}

static nnm_status flatten(nni_reading *r, const char *type, nni_value *out) {
  (void)type;
  const nni_value inputs[3] = {nni_input(r, 0), nni_integer(integer_or(r, "start_dim", 1)),
                               nni_integer(integer_or(r, "end_dim", -1))};
  r->inputs = inputs;
  r->input_count = 3;
  r->type = "aten::flatten";
  nnm_status status = nni_function(r, out);
  r->inputs = NULL;
  r->input_count = 0;
  return status;
}

static nnm_status soft_max(nni_reading *r, const char *type, nni_value *out) {
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  nni_with_int(r, "axis", integer_or(r, "dim", 1));
  return nni_emit1(r, type[0] == 'L' ? "LogSoftmax" : "Softmax", &x, x.rank, out);
}

static nnm_status prelu(nni_reading *r, const char *type, nni_value *out) {
  (void)type;
  nni_value x;
  int64_t count = integer_or(r, "num_parameters", 1);
  NNM_TRY(nni_tensor_input(r, 0, &x));
  nnm_tensor_id tensors[2] = {x.tensor, -1};
  NNM_TRY(nni_weight(r, (int64_t[]){count, 1, 1}, count > 1 ? 3 : 1, &tensors[1]));
  return nni_emit(r, "PRelu", tensors, 2, x.rank, out);
}

static nnm_status upsample(nni_reading *r, const char *type, nni_value *out) {
  (void)type;
  const json_t *scale = parameter(r, "scale_factor");
  const json_t *rows = json_is_array(scale) ? json_array_get(scale, 0) : scale;
  const json_t *columns = json_is_array(scale) ? json_array_get(scale, json_array_size(scale) - 1) : scale;
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  nnm_tensor_id tensors[4] = {x.tensor, -1, -1, -1};
  if (json_is_number(rows) && json_is_number(columns)) {
    float scales[4] = {1, 1, (float)json_number_value(rows), (float)json_number_value(columns)};
    NNM_TRY(nni_scales(r, scales, 4, &tensors[2]));
    return nni_emit(r, "Resize", tensors, 3, 4, out);
  }
  int64_t size[2];
  NNM_TRY(per_dimension(r, "size", 0, 2, size));
  if (size[0] < 1 || size[1] < 1)
    return nni_fail(r, NNM_ERROR_FORMAT, "has neither a size nor a scale_factor; export the model again");
  nni_value whole = x, entries[4];
  whole.kind = NNI_SIZES;
  for (int i = 0; i < 2; i++) NNM_TRY(nni_item(r, &whole, i, &entries[i]));
  for (int i = 0; i < 2; i++) entries[2 + i] = nni_integer(size[i]);
  NNM_TRY(nni_list(r, entries, 4, &whole));
  NNM_TRY(nni_shape_tensor(r, &whole, &tensors[3]));
  return nni_emit(r, "Resize", tensors, 4, 4, out);
}

static nnm_status pixel_shuffle(nni_reading *r, const char *type, nni_value *out) {
  bool shuffles = !strcmp(type, "PixelShuffle");
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  nni_with_int(r, "blocksize", integer_or(r, shuffles ? "upscale_factor" : "downscale_factor", 1));
  return nni_emit1(r, shuffles ? "DepthToSpace" : "SpaceToDepth", &x, 4, out);
}

/* torch: left, right, top, bottom; ONNX: the starts of all axes, then the ends. */
static nnm_status pad(nni_reading *r, const char *type, nni_value *out) {
  size_t spatial = dimensions_of(type), rank = spatial + 2;
  int64_t given[6], pads[10] = {0};
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(per_dimension(r, "padding", 0, 2 * spatial, given));
  for (size_t i = 0; i < spatial; i++) {
    pads[rank - 1 - i] = given[2 * i];
    pads[2 * rank - 1 - i] = given[2 * i + 1];
  }
  nnm_tensor_id tensors[2] = {x.tensor, -1};
  NNM_TRY(nni_integers(r, pads, 2 * rank, &tensors[1]));
  return nni_emit(r, "Pad", tensors, 2, (int32_t)rank, out);
}

/* -------------------------------------------------------------------- table */

typedef struct module_row {
  const char *name; /* the class; a "*" at its end stands for 1d, 2d, 3d */
  nnm_status (*read)(nni_reading *r, const char *type, nni_value *out); /* NULL: `operator` of one input */
  const char *operator;
} module_row;

static const module_row rows[] = {
    {"Conv*", convolution, NULL},
    {"ConvTranspose*", convolution, NULL},
    {"BatchNorm*", normalisation, NULL},
    {"SyncBatchNorm", normalisation, NULL},
    {"InstanceNorm*", normalisation, NULL},
    {"GroupNorm", normalisation, NULL},
    {"LayerNorm", layer_norm, NULL},
    {"RMSNorm", layer_norm, NULL},
    {"Linear", linear, NULL},
    {"Embedding", embedding, NULL},
    {"LSTM", recurrent, NULL},
    {"GRU", recurrent, NULL},
    {"RNN", recurrent, NULL},
    {"MultiheadAttention", multi_head_attention, NULL},
    {"MaxPool*", pooling, NULL},
    {"AvgPool*", pooling, NULL},
    {"AdaptiveAvgPool*", adaptive_pooling, NULL},
    {"AdaptiveMaxPool*", adaptive_pooling, NULL},
    {"Upsample", upsample, NULL},
    {"UpsamplingNearest2d", upsample, NULL},
    {"UpsamplingBilinear2d", upsample, NULL},
    {"PixelShuffle", pixel_shuffle, NULL},
    {"PixelUnshuffle", pixel_shuffle, NULL},
    {"ZeroPad*", pad, NULL},
    {"ConstantPad*", pad, NULL},
    {"ReflectionPad*", pad, NULL},
    {"ReplicationPad*", pad, NULL},
    {"Flatten", flatten, NULL},
    {"Softmax", soft_max, NULL},
    {"LogSoftmax", soft_max, NULL},
    {"PReLU", prelu, NULL},
    {"Identity", pass, NULL},
    {"Dropout", pass, NULL},
    {"Dropout*", pass, NULL},
    {"AlphaDropout", pass, NULL},
    {"FeatureAlphaDropout", pass, NULL},
    {"ReLU", NULL, "Relu"},
    {"ReLU6", NULL, "Clip"},
    {"Hardtanh", NULL, "Clip"},
    {"LeakyReLU", NULL, "LeakyRelu"},
    {"RReLU", NULL, "LeakyRelu"},
    {"ELU", NULL, "Elu"},
    {"CELU", NULL, "Celu"},
    {"SELU", NULL, "Selu"},
    {"GELU", NULL, "Gelu"},
    {"SiLU", NULL, "Swish"},
    {"Mish", NULL, "Mish"},
    {"Sigmoid", NULL, "Sigmoid"},
    {"Hardsigmoid", NULL, "HardSigmoid"},
    {"Hardswish", NULL, "HardSwish"},
    {"Tanh", NULL, "Tanh"},
    {"Softplus", NULL, "Softplus"},
    {"Softsign", NULL, "Softsign"},
    {"Hardshrink", NULL, "Shrink"},
    {"Softshrink", NULL, "Shrink"},
    {"Threshold", NULL, "ThresholdedRelu"},
};

static bool is_called(const char *row, const char *name) {
  size_t length = strlen(row);
  if (row[length - 1] != '*') return !strcmp(row, name);
  return !strncmp(row, name, length - 1) && name[length - 1] >= '1' && name[length - 1] <= '3' &&
         !strcmp(name + length, "d");
}

/* Classes of torch, NNI's wrappers of them, and the user's own. */
bool nni_is_module(const char *type) { return !strncmp(type, "__", 2); }

nnm_status nni_module(nni_reading *r, nni_value *out) {
  const char *dot = strrchr(r->type, '.'), *name = dot ? dot + 1 : r->type;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (!is_called(rows[i].name, name)) continue;
    if (rows[i].read) return rows[i].read(r, name, out);
    nni_value x;
    NNM_TRY(nni_tensor_input(r, 0, &x));
    return nni_emit1(r, rows[i].operator, & x, x.rank, out);
  }
  return nni_emit_unknown(r, "torch", name, out);
}
