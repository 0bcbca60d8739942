#include "ops/window.h"

#include <string.h>

#include "base/checked.h"
#include "base/limits.h"

nnm_layout nnm_node_layout(const nnm_node *node) {
  switch (node->op) {
  case NNM_OP_MS_NHWC_CONV:
  case NNM_OP_MS_NHWC_FUSED_CONV:
  case NNM_OP_MS_NHWC_MAX_POOL: return NNM_CHANNELS_LAST;
  case NNM_OP_MS_QLINEAR_CONV:
  case NNM_OP_MS_QLINEAR_AVERAGE_POOL:
  case NNM_OP_MS_QLINEAR_GLOBAL_AVERAGE_POOL:
    return nnm_attribute_int(node, "channels_last", 0) ? NNM_CHANNELS_LAST : (nnm_layout)node->layout;
  default: return (nnm_layout)node->layout;
  }
}

nnm_status nnm_window_image(const nnm_inference *inference, const nnm_node *node, const nnm_shape *image,
                            nnm_window *out, nnm_error *error) {
  int32_t spatial = image->rank - 2;
  if (spatial < 1 || spatial > NNM_LIMIT_SPATIAL) {
    char text[NNM_SHAPE_TEXT];
    return nnm_fail_node(inference, node, error, "needs an input of 3 to 5 dimensions, not %s",
                         nnm_shape_text(image, text, sizeof text));
  }
  bool last = nnm_node_layout(node) == NNM_CHANNELS_LAST;
  out->spatial = spatial;
  out->batch = image->dims[0];
  out->input_channels = image->dims[last ? image->rank - 1 : 1];
  memcpy(out->input, image->dims + (last ? 1 : 2), (size_t)spatial * sizeof *out->input);
  return NNM_OK;
}

nnm_status nnm_window_auto_pad(const nnm_inference *inference, const nnm_node *node, nnm_auto_pad *out,
                               nnm_error *error) {
  static const struct {
    const char *name;
    nnm_auto_pad pad;
  } names[] = {{"NOTSET", NNM_PAD_EXPLICIT},       {"", NNM_PAD_EXPLICIT},
               {"SAME_UPPER", NNM_PAD_SAME_UPPER}, {"SAME", NNM_PAD_SAME_UPPER},
               {"SAME_LOWER", NNM_PAD_SAME_LOWER}, {"VALID", NNM_PAD_VALID}};
  const char *name = nnm_attribute_text(node, "auto_pad", "NOTSET");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i].name)) {
      *out = names[i].pad;
      return NNM_OK;
    }
  return nnm_fail_node(inference, node, error,
                       "has auto_pad '%.40s'; export it with NOTSET, SAME_UPPER, SAME_LOWER or VALID", name);
}

/* One attribute with a number for each spatial dimension, each in low..NNM_LIMIT_DIMENSION. */
static nnm_status read_spatial(const nnm_inference *inference, const nnm_node *node, const char *name, int spatial,
                               int64_t low, int64_t *values, nnm_error *error) {
  size_t count;
  const int64_t *given = nnm_attribute_ints(node, name, &count);
  for (int i = 0; i < spatial; i++) values[i] = 1;
  if (!given || !count) return NNM_OK;
  if (count != (size_t)spatial)
    return nnm_fail_node(
        inference, node, error,
        "has %zu numbers in %s, but its image has %d spatial dimensions; export it with one number for each", count,
        name, spatial);
  for (int i = 0; i < spatial; i++) {
    if (given[i] < low || given[i] > NNM_LIMIT_DIMENSION)
      return nnm_fail_node(inference, node, error, "has %lld in %s; export it with numbers of at least %lld",
                           (long long)given[i], name, (long long)low);
    values[i] = given[i];
  }
  return NNM_OK;
}

nnm_status nnm_window_steps(const nnm_inference *inference, const nnm_node *node, nnm_window *out, nnm_error *error) {
  NNM_TRY(read_spatial(inference, node, "strides", out->spatial, 1, out->stride, error));
  NNM_TRY(read_spatial(inference, node, "dilations", out->spatial, 1, out->dilation, error));
  size_t count;
  const int64_t *pads = nnm_attribute_ints(node, "pads", &count);
  if (count && count != 2 * (size_t)out->spatial)
    return nnm_fail_node(inference, node, error, "has %zu pads for %d spatial dimensions; export it with two for each",
                         count, out->spatial);
  for (int i = 0; i < out->spatial; i++) {
    int64_t begin = count ? pads[i] : 0, end = count ? pads[i + out->spatial] : 0;
    if (begin < -NNM_LIMIT_DIMENSION || begin > NNM_LIMIT_DIMENSION || end < -NNM_LIMIT_DIMENSION ||
        end > NNM_LIMIT_DIMENSION)
      return nnm_fail_node(inference, node, error, "has pads %lld and %lld; export it with pads smaller than the image",
                           (long long)begin, (long long)end);
    out->pad_begin[i] = begin;
    out->pad_end[i] = end;
    int64_t reach;
    if (!nnm_multiply_i64(out->kernel[i] - 1, out->dilation[i], &reach) || reach > NNM_LIMIT_DIMENSION)
      return nnm_fail_node(inference, node, error,
                           "has a window of %lld with dilation %lld; export it with a window that fits into the image",
                           (long long)out->kernel[i], (long long)out->dilation[i]);
  }
  return NNM_OK;
}

nnm_status nnm_set_window_shape(nnm_inference *inference, const nnm_node *node, const nnm_window *window,
                                uint32_t output, nnm_error *error) {
  int64_t dims[NNM_LIMIT_SPATIAL + 2];
  bool last = nnm_node_layout(node) == NNM_CHANNELS_LAST;
  dims[0] = window->batch;
  dims[last ? window->spatial + 1 : 1] = window->output_channels;
  memcpy(dims + (last ? 1 : 2), window->output, (size_t)window->spatial * sizeof *dims);
  return nnm_set_shape(inference, node, output, window->spatial + 2, dims, error);
}

static bool is_global(const nnm_window *window) {
  for (int i = 0; i < window->spatial; i++)
    if (window->output[i] != 1 || window->pad_begin[i] || window->pad_end[i] || window->kernel[i] != window->input[i])
      return false;
  return true;
}

nnm_status nnm_settle_window(nnm_inference *inference, const nnm_node *node, const nnm_window *window,
                             nnm_error *error) {
  NNM_TRY(nnm_set_window_shape(inference, node, window, 0, error));
  nnm_window *kept = nnm_arena_copy(&inference->shapes->arena, window, 1, sizeof *window);
  if (!kept) return nnm_fail_memory(error);
  kept->global = is_global(window);
  inference->shapes->windows[node - inference->graph->nodes] = kept;
  return NNM_OK;
}

/* Where shapes are those of the file no rule has run: the window is worked out here. */
static bool work_out(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_node *node, nnm_window *out) {
  /* a view for reading: the window functions neither read values nor set shapes */
  nnm_inference view = {.graph = graph, .shapes = (nnm_shapes *)(uintptr_t)shapes};
  nnm_shape_rule rule = nnm_op_shape_rule(node->op);
  bool known = false;
  nnm_status status = NNM_ERROR_UNSUPPORTED;
  *out = (nnm_window){0};
  if (nnm_op_work((nnm_op)node->op) == NNM_WORK_CONVOLUTION) status = nnm_conv_window(&view, node, out, &known, NULL);
  else if (rule == nnm_rule_pool) status = nnm_pool_window(&view, node, out, &known, NULL);
  else if (rule == nnm_rule_global_pool) status = nnm_global_pool_window(&view, node, out, &known, NULL);
  out->global = is_global(out);
  return status == NNM_OK && known;
}

bool nnm_window_of(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id id, nnm_window *out) {
  const nnm_window *kept = shapes->windows[id];
  if (!kept) return work_out(graph, shapes, &graph->nodes[id], out);
  *out = *kept;
  return true;
}
