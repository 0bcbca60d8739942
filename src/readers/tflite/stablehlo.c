/* Operators of StableHLO, which some converters leave in the file: axes by number, in any order, where ours have layouts
 * and equations. What has no counterpart here stays an unknown operator with the shape that the file declares. */
#include <string.h>

#include "readers/tflite/tflite.h"

typedef struct longs {
  size_t count;
  int64_t values[2 * NNM_LIMIT_RANK];
} longs;

static nnm_status read_longs(tflite_node *x, uint32_t field, longs *out) {
  nnm_flat_vector option = nnm_flat_items(&x->options, field, 8);
  *out = (longs){.count = option.count};
  NNM_TRY(x->reader->file.status);
  if (option.count > 2 * NNM_LIMIT_RANK)
    return nnm_tflite_fail(x, NNM_ERROR_FORMAT, "has %zu numbers in an option; the file is damaged: fetch it again",
                           option.count);
  for (size_t i = 0; i < option.count; i++) out->values[i] = nnm_flat_item_i64(&option, i);
  return x->reader->file.status;
}

static nnm_status put_longs(tflite_node *x, uint32_t field, const char *name) {
  longs option;
  NNM_TRY(read_longs(x, field, &option));
  return option.count ? nnm_tflite_put_ints(x, name, option.values, option.count) : NNM_OK;
}

static bool all_are(const longs *list, int64_t value) {
  for (size_t i = 0; i < list->count; i++)
    if (list->values[i] != value) return false;
  return true;
}

static nnm_status stays_unknown(tflite_node *x) {
  x->node.op = NNM_OP_UNKNOWN;
  return NNM_OK;
}

/* ---- moves */

nnm_status nnm_tflite_hlo_clamp(tflite_node *x) { return nnm_tflite_take_inputs(x, (const int[]){1, 0, 2}, 3); }

/* Only the output says which shape. */
nnm_status nnm_tflite_hlo_reshape(tflite_node *x) {
  const tflite_tensor *output = nnm_tflite_output(x, 0);
  NNM_TRY(nnm_tflite_put_int(x, "allowzero", 1));
  return output && output->rank >= 0 ? nnm_tflite_put_ints(x, "shape", output->dims, (size_t)output->rank) : NNM_OK;
}

nnm_status nnm_tflite_hlo_transpose(tflite_node *x) { return put_longs(x, 0, "perm"); }

nnm_status nnm_tflite_hlo_slice(tflite_node *x) {
  NNM_TRY(put_longs(x, 0, "starts"));
  NNM_TRY(put_longs(x, 1, "ends"));
  return put_longs(x, 2, "steps");
}

/* Where it begins is computed; how much it takes is not, and that is all the shape and the cost depend on. */
nnm_status nnm_tflite_hlo_dynamic_slice(tflite_node *x) {
  longs sizes, starts = {0};
  NNM_TRY(read_longs(x, 0, &sizes));
  if (!sizes.count) return stays_unknown(x);
  starts.count = sizes.count;
  NNM_TRY(nnm_tflite_put_ints(x, "starts", starts.values, starts.count));
  NNM_TRY(nnm_tflite_put_ints(x, "ends", sizes.values, sizes.count));
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

/* Padding between the elements is an insertion, which no operator here is. */
nnm_status nnm_tflite_hlo_pad(tflite_node *x) {
  longs low, high, between;
  NNM_TRY(read_longs(x, 0, &low));
  NNM_TRY(read_longs(x, 1, &high));
  NNM_TRY(read_longs(x, 2, &between));
  if (!low.count || low.count > NNM_LIMIT_RANK || low.count != high.count || !all_are(&between, 0)) {
    x->node.op = NNM_OP_LITE_MOVE;
    return NNM_OK;
  }
  memcpy(low.values + low.count, high.values, high.count * sizeof *high.values);
  NNM_TRY(nnm_tflite_put_ints(x, "pads", low.values, 2 * low.count));
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

/* ---- reductions: what they do is a subgraph of one operator */

static uint32_t builtin_of_body(tflite_node *x, uint32_t field) {
  const uint32_t none = UINT32_MAX;
  int64_t subgraph = nnm_flat_i32(&x->options, field, -1);
  if (subgraph < 0 || (uint64_t)subgraph >= x->reader->subgraphs.count) return none;
  nnm_flat_table table = nnm_flat_item_table(&x->reader->subgraphs, (size_t)subgraph, "subgraph");
  nnm_flat_vector operators = nnm_flat_items(&table, SUBGRAPH_OPERATORS, 4);
  if (operators.count != 1) return none;
  nnm_flat_table only = nnm_flat_item_table(&operators, 0, "operator");
  uint64_t code = nnm_flat_u32(&only, OPERATOR_CODE, 0);
  return code < x->reader->code_count ? x->reader->codes[code].builtin : none;
}

typedef struct reduction {
  uint32_t builtin; /* of the body */
  nnm_op over_axes, over_window;
} reduction;

/* Builtins of TFLite and of StableHLO that do the same; a sum in a window costs what a mean costs. */
static const reduction reductions[] = {
    {0, NNM_OP_REDUCE_SUM, NNM_OP_AVERAGE_POOL},  {163, NNM_OP_REDUCE_SUM, NNM_OP_AVERAGE_POOL},
    {18, NNM_OP_REDUCE_PROD, NNM_OP_LITE_REDUCE}, {165, NNM_OP_REDUCE_PROD, NNM_OP_LITE_REDUCE},
    {55, NNM_OP_REDUCE_MAX, NNM_OP_MAX_POOL},     {166, NNM_OP_REDUCE_MAX, NNM_OP_MAX_POOL},
    {57, NNM_OP_REDUCE_MIN, NNM_OP_LITE_REDUCE},  {181, NNM_OP_REDUCE_MIN, NNM_OP_LITE_REDUCE},
};

static const reduction *find_reduction(tflite_node *x, uint32_t field) {
  uint32_t builtin = builtin_of_body(x, field);
  for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++)
    if (reductions[i].builtin == builtin) return &reductions[i];
  return NULL;
}

/* Inputs: what is reduced, then what each begins with. Several at once stay as the file declares them. */
nnm_status nnm_tflite_hlo_reduce(tflite_node *x) {
  enum { DIMENSIONS = 0, BODY = 1 };
  const reduction *row = find_reduction(x, BODY);
  NNM_TRY(x->reader->file.status);
  if (!row || x->ports[0].count != 2) return NNM_OK;
  x->node.op = (int32_t)row->over_axes;
  NNM_TRY(put_longs(x, DIMENSIONS, "axes"));
  NNM_TRY(nnm_tflite_put_int(x, "keepdims", 0));
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

/* Numbers of the two spatial axes of an image; false: they are not next to each other. */
static bool put_spatial(tflite_node *x, const longs *list, int32_t first, const char *name, nnm_status *status) {
  if (list->count && list->count != 4) return false;
  if (list->count) *status = nnm_tflite_put_ints(x, name, list->values + first, 2);
  return *status == NNM_OK;
}

/* A window over the two spatial axes of an image is a pooling. */
nnm_status nnm_tflite_hlo_reduce_window(tflite_node *x) {
  enum { WINDOW, STRIDES, BASE_DILATIONS, DILATIONS, PADDING, BODY };
  longs window, strides, base, dilations, padding;
  const reduction *row = find_reduction(x, BODY);
  NNM_TRY(read_longs(x, WINDOW, &window));
  NNM_TRY(read_longs(x, STRIDES, &strides));
  NNM_TRY(read_longs(x, BASE_DILATIONS, &base));
  NNM_TRY(read_longs(x, DILATIONS, &dilations));
  NNM_TRY(read_longs(x, PADDING, &padding));
  bool is_image = window.count == 4 && window.values[0] == 1 && (window.values[1] == 1 || window.values[3] == 1);
  bool has_padding = padding.count == 8;
  if (!row || row->over_window == NNM_OP_LITE_REDUCE || x->ports[0].count != 2 || !is_image || !all_are(&base, 1) ||
      (padding.count && !has_padding))
    return NNM_OK;
  int32_t first = window.values[3] == 1 ? 1 : 2;
  nnm_status status = NNM_OK;
  if (!put_spatial(x, &window, first, "kernel_shape", &status) ||
      !put_spatial(x, &strides, first, "strides", &status) || !put_spatial(x, &dilations, first, "dilations", &status))
    return status;
  const int64_t *at = padding.values + 2 * (ptrdiff_t)first;
  if (has_padding) NNM_TRY(nnm_tflite_put_ints(x, "pads", (const int64_t[]){at[0], at[2], at[1], at[3]}, 4));
  x->node.op = (int32_t)row->over_window;
  x->node.layout = first == 1 ? NNM_CHANNELS_LAST : NNM_CHANNELS_FIRST;
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

/* ---- products */

/* Gives axes of an operand the letters from `letter` on; false: an axis that it does not have, or twice. */
static bool name_axes(const longs *axes, char letter, char *letters, int32_t rank) {
  for (size_t i = 0; i < axes->count; i++) {
    int64_t axis = axes->values[i];
    if (axis < 0 || axis >= rank || letters[axis]) return false;
    letters[axis] = (char)(letter + (char)i);
  }
  return true;
}

/* Names the axes that are left and appends them to the output. */
static void name_free_axes(char letter, char *letters, int32_t rank, char *output) {
  char *end = output + strlen(output);
  for (int32_t i = 0; i < rank; i++)
    if (!letters[i]) *end++ = letters[i] = letter++;
  *end = '\0';
}

/* The output has the axes of the batch, then those of the first operand that are left, then those of the second. */
nnm_status nnm_tflite_hlo_dot_general(tflite_node *x) {
  longs axes[4]; /* batch of both operands, contracted of both */
  const tflite_tensor *operands[2] = {nnm_tflite_input(x, 0), nnm_tflite_input(x, 1)};
  char letters[2][NNM_LIMIT_RANK + 1] = {{0}}, output[2 * NNM_LIMIT_RANK + 1] = "";
  for (uint32_t i = 0; i < 4; i++) NNM_TRY(read_longs(x, i, &axes[i]));
  if (!operands[0] || !operands[1] || operands[0]->rank < 0 || operands[1]->rank < 0) return stays_unknown(x);
  enum { MOST_NAMED = 13 }; /* of each kind, so that letters suffice */
  bool fits = axes[0].count == axes[1].count && axes[2].count == axes[3].count && axes[0].count <= MOST_NAMED &&
              axes[2].count <= MOST_NAMED && operands[0]->rank <= MOST_NAMED && operands[1]->rank <= MOST_NAMED;
  for (int i = 0; fits && i < 2; i++)
    fits = name_axes(&axes[i], 'a', letters[i], operands[i]->rank) &&
           name_axes(&axes[2 + i], 'n', letters[i], operands[i]->rank);
  if (!fits)
    return nnm_tflite_fail(x, NNM_ERROR_FORMAT,
                           "multiplies along axes that its inputs do not have; the file is damaged: fetch it again");
  for (size_t i = 0; i < axes[0].count; i++) output[i] = (char)('a' + (char)i);
  name_free_axes('A', letters[0], operands[0]->rank, output);
  name_free_axes('N', letters[1], operands[1]->rank, output);
  const char *equation = nnm_arena_printf(x->reader->arena, "%s,%s->%s", letters[0], letters[1], output);
  if (!equation) return nnm_fail_memory(x->reader->file.error);
  return nnm_tflite_put_text(x, "equation", equation);
}

typedef struct convolution {
  int64_t batch, features, out_batch, out_features, kernel_inputs, kernel_outputs, groups, batch_groups;
  longs spatial, out_spatial, kernel_spatial, strides, padding, input_dilations, dilations;
} convolution;

static nnm_status read_convolution(tflite_node *x, convolution *c) {
  longs *const lists[] = {[0] = &c->strides, [1] = &c->padding,         [2] = &c->input_dilations, [3] = &c->dilations,
                          [7] = &c->spatial, [10] = &c->kernel_spatial, [13] = &c->out_spatial};
  int64_t *const numbers[] = {
      [5] = &c->batch,      [6] = &c->features,      [8] = &c->kernel_inputs, [9] = &c->kernel_outputs,
      [11] = &c->out_batch, [12] = &c->out_features, [14] = &c->groups,       [15] = &c->batch_groups};
  for (uint32_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (lists[i]) NNM_TRY(read_longs(x, i, lists[i]));
  for (uint32_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (numbers[i]) *numbers[i] = (int64_t)nnm_flat_u64(&x->options, i, 0);
  return x->reader->file.status;
}

/* Whether a list counts up from `first`, `count` long. */
static bool counts_up(const longs *list, int64_t first, size_t count) {
  for (size_t i = 0; i < list->count; i++)
    if (list->values[i] != first + (int64_t)i) return false;
  return list->count == count;
}

/* Finds the layouts of image and weights; false when they are none of those known here. */
static bool find_layouts(const convolution *c, nnm_node *node) {
  const size_t count = c->spatial.count;
  const int64_t n = (int64_t)count, last = n + 1;
  bool is_last = c->features == last && c->out_features == last;
  if (c->batch || c->out_batch || count < 1 || count > NNM_LIMIT_SPATIAL || (!is_last && c->features != 1) ||
      (!is_last && c->out_features != 1) || !counts_up(&c->spatial, is_last ? 1 : 2, count) ||
      !counts_up(&c->out_spatial, is_last ? 1 : 2, count))
    return false;
  const struct {
    int64_t outputs, inputs, spatial;
    nnm_weight_layout layout;
  } layouts[] = {{last, n, 0, NNM_WEIGHT_XIO}, {0, last, 1, NNM_WEIGHT_OXI}, {0, 1, 2, NNM_WEIGHT_OIX}};
  for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
    if (c->kernel_outputs != layouts[i].outputs || c->kernel_inputs != layouts[i].inputs ||
        !counts_up(&c->kernel_spatial, layouts[i].spatial, count))
      continue;
    node->layout = is_last ? NNM_CHANNELS_LAST : NNM_CHANNELS_FIRST;
    node->weight_layout = layouts[i].layout;
    return true;
  }
  return false;
}

/* Padding as pairs becomes what is put in front of each axis, then what is put behind. */
static bool order_pads(const longs *pairs, size_t count, int64_t *pads) {
  if (pairs->count && pairs->count != 2 * count) return false;
  for (size_t i = 0; i < 2 * count; i++) {
    pads[i % 2 * count + i / 2] = pairs->count ? pairs->values[i] : 0;
    if (pairs->count && pairs->values[i] < 0) return false;
  }
  return true;
}

/* Dilated images (transposed convolutions), groups of images and layouts that no framework writes stay unknown. */
nnm_status nnm_tflite_hlo_convolution(tflite_node *x) {
  convolution c = {0};
  int64_t pads[2 * NNM_LIMIT_SPATIAL];
  NNM_TRY(read_convolution(x, &c));
  const size_t count = c.spatial.count;
  if (!find_layouts(&c, &x->node) || !all_are(&c.input_dilations, 1) || c.batch_groups > 1 || c.groups < 0 ||
      (c.strides.count && c.strides.count != count) || (c.dilations.count && c.dilations.count != count) ||
      !order_pads(&c.padding, count, pads))
    return stays_unknown(x);
  NNM_TRY(nnm_tflite_put_ints(x, "pads", pads, 2 * count));
  if (c.strides.count) NNM_TRY(nnm_tflite_put_ints(x, "strides", c.strides.values, count));
  if (c.dilations.count) NNM_TRY(nnm_tflite_put_ints(x, "dilations", c.dilations.values, count));
  return c.groups > 1 ? nnm_tflite_put_int(x, "group", c.groups) : NNM_OK;
}
