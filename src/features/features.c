#include "features/features.h"

#include <math.h>
#include <string.h>

const char *const nnm_feature_names[NNM_FEATURE_COUNT] = {
#define NNM_FEATURE(id, name, quantity, description) name,
#include "features/feature_list.inc"
#undef NNM_FEATURE
};

static double log_of(double value) { return log1p(value); }
static double excess(double value, double limit) { return value > limit ? log(value / limit) : 0; }
static double rounded_up(double value, double unit) { return ceil(value / unit) * unit; }
static double waste(double value, double unit) { return value > 0 ? log(rounded_up(value, unit) / value) : 0; }

/* ------------------------------------------------------------------- bytes */

/* Floats that are only stored short (TFLite's float16 weights) are widened once, when the model is loaded. */
static bool is_quantised(nnm_dtype dtype) { return dtype != NNM_DTYPE_F16 && dtype != NNM_DTYPE_BF16; }

/* Of the tensor as it is kept: 8 bits where the file stores it quantised and only says how to read it as float. */
static double stored_bytes(const nnm_graph *graph, const nnm_shapes *shapes, nnm_tensor_id tensor) {
  nnm_node_id producer = graph->tensors[tensor].producer;
  if (producer >= 0 && graph->nodes[producer].op == NNM_OP_DEQUANTIZE_LINEAR && graph->nodes[producer].input_count &&
      graph->nodes[producer].inputs[0] >= 0 && is_quantised(shapes->dtypes[graph->nodes[producer].inputs[0]]))
    tensor = graph->nodes[producer].inputs[0];
  return nnm_dtype_bits(shapes->dtypes[tensor]) / 8.0;
}

static double input_bytes(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel) {
  return kernel->input_count ? stored_bytes(graph, shapes, kernel->inputs[0]) : 4;
}

/* Of the core's second operand where it has one (the weights of a layer), else as wide as the input. */
static double weight_bytes(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel) {
  const nnm_node *core = kernel->core < 0 ? NULL : &graph->nodes[kernel->core];
  if (kernel->weight_elements && core && core->input_count > 1 && core->inputs[1] >= 0)
    return stored_bytes(graph, shapes, core->inputs[1]);
  return input_bytes(graph, shapes, kernel);
}

/* ------------------------------------------------------------------ groups */

static void put_amounts(const nnm_kernel *kernel, double element, double weight, double outputs, float *out) {
  double macs = (double)kernel->multiply_adds, weights = (double)kernel->weight_elements * weight;
  double bytes = ((double)kernel->input_elements + (double)kernel->output_elements) * element + weights;
  out[NNM_FEATURE_MULTIPLY_ADDS] = (float)log_of(macs);
  out[NNM_FEATURE_INPUT_ELEMENTS] = (float)log_of((double)kernel->input_elements);
  out[NNM_FEATURE_OUTPUT_ELEMENTS] = (float)log_of((double)kernel->output_elements);
  out[NNM_FEATURE_WEIGHT_ELEMENTS] = (float)log_of((double)kernel->weight_elements);
  out[NNM_FEATURE_BYTES] = (float)log_of(bytes);
  out[NNM_FEATURE_INTENSITY] = (float)log((1 + 2 * macs) / (1 + bytes));
  out[NNM_FEATURE_ELEMENT_BYTES] = (float)element;
  out[NNM_FEATURE_WEIGHT_BYTES] = (float)weight;
  out[NNM_FEATURE_INPUTS] = (float)log_of((double)kernel->input_count);
  out[NNM_FEATURE_OUTPUTS] = (float)log_of(outputs);
  out[NNM_FEATURE_OVER_L1] = (float)excess(bytes, 32 << 10);
  out[NNM_FEATURE_OVER_L2] = (float)excess(bytes, 512 << 10);
  out[NNM_FEATURE_OVER_L3] = (float)excess(bytes, 2 << 20);
  out[NNM_FEATURE_WEIGHTS_OVER_L1] = (float)excess(weights, 128 << 10);
  out[NNM_FEATURE_WEIGHTS_OVER_L3] = (float)excess(weights, 1 << 20);
}

static void put_image(const nnm_geometry *g, float *out) {
  out[NNM_FEATURE_BATCH] = (float)log_of((double)g->batch);
  out[NNM_FEATURE_INPUT_HEIGHT] = (float)log_of((double)g->input_height);
  out[NNM_FEATURE_INPUT_WIDTH] = (float)log_of((double)g->input_width);
  out[NNM_FEATURE_OUTPUT_HEIGHT] = (float)log_of((double)g->output_height);
  out[NNM_FEATURE_OUTPUT_WIDTH] = (float)log_of((double)g->output_width);
  out[NNM_FEATURE_INPUT_CHANNELS] = (float)log_of((double)g->input_channels);
  out[NNM_FEATURE_OUTPUT_CHANNELS] = (float)log_of((double)g->output_channels);
  out[NNM_FEATURE_CHANNEL_RATIO] = (float)log((1 + (double)g->output_channels) / (1 + (double)g->input_channels));
  out[NNM_FEATURE_SQUEEZE] = (float)log_of((double)g->squeeze_channels);
  out[NNM_FEATURE_WASTE_IN_4] = (float)waste((double)g->input_channels, 4);
  out[NNM_FEATURE_WASTE_IN_8] = (float)waste((double)g->input_channels, 8);
  out[NNM_FEATURE_WASTE_IN_16] = (float)waste((double)g->input_channels, 16);
  out[NNM_FEATURE_WASTE_IN_32] = (float)waste((double)g->input_channels, 32);
  out[NNM_FEATURE_WASTE_OUT_4] = (float)waste((double)g->output_channels, 4);
  out[NNM_FEATURE_WASTE_OUT_8] = (float)waste((double)g->output_channels, 8);
  out[NNM_FEATURE_WASTE_OUT_16] = (float)waste((double)g->output_channels, 16);
  out[NNM_FEATURE_WASTE_OUT_32] = (float)waste((double)g->output_channels, 32);
  out[NNM_FEATURE_WASTE_WIDTH] = (float)waste((double)g->output_width, 8);
  out[NNM_FEATURE_WASTE_HEIGHT] = (float)waste((double)g->output_height, 4);
}

static double window_area(const nnm_geometry *g) { return (double)g->kernel_height * (double)g->kernel_width; }

static bool has_unit_stride(const nnm_geometry *g) { return g->stride_height == 1 && g->stride_width == 1; }

/* A matrix product as it lies in memory. */
static bool is_pointwise(const nnm_geometry *g, nnm_kernel_type type) {
  return type == NNM_KERNEL_CONV && window_area(g) == 1 && has_unit_stride(g);
}

static void put_window(const nnm_geometry *g, nnm_kernel_type type, float *out) {
  bool is_conv = type == NNM_KERNEL_CONV, unit_stride = has_unit_stride(g);
  bool is_winograd =
      is_conv && g->kernel_height == 3 && g->kernel_width == 3 && unit_stride && g->dilation == 1 && g->group == 1;
  out[NNM_FEATURE_KERNEL_HEIGHT] = (float)log_of((double)g->kernel_height);
  out[NNM_FEATURE_KERNEL_WIDTH] = (float)log_of((double)g->kernel_width);
  out[NNM_FEATURE_STRIDE_HEIGHT] = (float)log_of((double)g->stride_height);
  out[NNM_FEATURE_STRIDE_WIDTH] = (float)log_of((double)g->stride_width);
  out[NNM_FEATURE_DILATION] = (float)log_of((double)g->dilation);
  out[NNM_FEATURE_GROUP] = (float)log_of((double)g->group);
  out[NNM_FEATURE_GROUP_CHANNELS] = (float)log_of((double)g->input_channels / (double)g->group);
  out[NNM_FEATURE_PADDED] = g->padded;
  out[NNM_FEATURE_TRANSPOSED] = g->transposed;
  out[NNM_FEATURE_POINTWISE] = is_pointwise(g, type);
  out[NNM_FEATURE_WINOGRAD] = is_winograd;
  out[NNM_FEATURE_WINOGRAD_WASTE] =
      is_winograd ? (float)(waste((double)g->output_height, 4) + waste((double)g->output_width, 4)) : 0;
  out[NNM_FEATURE_ODD_SIZE] = !unit_stride && (g->input_height % 2 || g->input_width % 2);
}

/* Multiply-adds for one output. */
static double product_depth(const nnm_geometry *g) {
  return (double)g->input_channels / (double)g->group * window_area(g);
}

static double output_positions(const nnm_geometry *g) {
  return (double)g->batch * (double)g->output_height * (double)g->output_width;
}

double nnm_window_elements(const nnm_kernel *kernel, const nnm_geometry *g) {
  switch (kernel->type) {
  case NNM_KERNEL_CONV: return is_pointwise(g, kernel->type) ? 0 : output_positions(g) * product_depth(g);
  case NNM_KERNEL_MAXPOOL:
  case NNM_KERNEL_AVGPOOL: return g->has_window && !g->global ? (double)kernel->output_elements * window_area(g) : 0;
  default: return 0;
  }
}

static void put_product(const nnm_geometry *g, const nnm_kernel *kernel, double element, float *out) {
  double area = window_area(g), depth = product_depth(g), pixels = output_positions(g);
  double channels = (double)g->output_channels;
  double threads = pixels * ceil(channels / 4);
  bool is_layer = kernel->weight_elements > 0 || kernel->type == NNM_KERNEL_MATMUL;
  out[NNM_FEATURE_PIXELS] = (float)log_of(pixels);
  out[NNM_FEATURE_DEPTH] = (float)log_of(depth);
  out[NNM_FEATURE_PATCHES] = kernel->type == NNM_KERNEL_CONV ? (float)log_of(nnm_window_elements(kernel, g)) : 0;
  out[NNM_FEATURE_ROUNDED_WORK] =
      is_layer ? (float)log_of(pixels * rounded_up(channels, 4) *
                               (g->group == g->input_channels
                                    ? area
                                    : rounded_up((double)g->input_channels / (double)g->group, 4) * area))
               : 0;
  out[NNM_FEATURE_WASTE_PIXELS] = (float)waste(pixels, 8);
  out[NNM_FEATURE_ROW_BYTES] =
      (float)log_of((double)g->kernel_height * (double)g->input_width * (double)g->input_channels * element);
  out[NNM_FEATURE_THREADS] = (float)log_of(threads);
  out[NNM_FEATURE_IDLE] = threads < 16384 ? (float)log(16384 / threads) : 0;
}

/* What follows the first part of a name such as "conv-bn-relu-add". A batch normalisation is no work: a file in which it
 * is folded already is the same network. */
static void put_fused(const char *name, float *out) {
  static const char global[] = "global-avgpool";
  int others = 0;
  const char *part = name + (strncmp(name, global, sizeof global - 1) ? 0 : sizeof global - 1);
  while ((part = strchr(part, '-')) != NULL) {
    size_t length = strcspn(++part, "-");
#define IS(text) (length == sizeof(text) - 1 && !memcmp(part, text, length))
    if (IS("bn")) continue;
    if (IS("relu")) out[NNM_FEATURE_FUSED_RELU] = 1;
    else if (IS("add")) out[NNM_FEATURE_FUSED_ADD] = 1;
    else if (IS("hswish") || IS("swish") || IS("mish") || IS("gelu")) out[NNM_FEATURE_FUSED_ACTIVATION] = 1;
    else others++;
#undef IS
  }
  out[NNM_FEATURE_FUSED_OTHERS] = (float)log_of(others);
}

/* Parts of a split, whether one operator makes them or one slice each. */
static double output_count(const nnm_graph *graph, const nnm_kernel *kernel) {
  double count = kernel->core < 0 ? 1 : graph->nodes[kernel->core].output_count;
  if (kernel->type != NNM_KERNEL_SPLIT || count > 1) return kernel->type == NNM_KERNEL_SPLIT ? count : 1;
  count = 0;
  for (size_t i = 0; i < kernel->member_count; i++) count += graph->nodes[kernel->members[i]].op == NNM_OP_SLICE;
  return count > 1 ? count : 1;
}

void nnm_geometry_features(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                           const nnm_geometry *geometry, float out[NNM_FEATURE_COUNT]) {
  double element = input_bytes(graph, shapes, kernel), weight = weight_bytes(graph, shapes, kernel);
  memset(out, 0, NNM_FEATURE_COUNT * sizeof *out);
  put_amounts(kernel, element, weight, output_count(graph, kernel), out);
  put_image(geometry, out);
  put_window(geometry, kernel->type, out);
  put_product(geometry, kernel, element, out);
  put_fused(kernel->name, out);
}

void nnm_kernel_features(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                         float out[NNM_FEATURE_COUNT]) {
  nnm_geometry geometry;
  nnm_kernel_geometry(graph, shapes, kernel, &geometry);
  nnm_geometry_features(graph, shapes, kernel, &geometry, out);
}
