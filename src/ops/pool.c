/* Pooling, regions of interest. */
#include "base/checked.h"
#include "base/limits.h"
#include "ops/window.h"

static nnm_status read_kernel(const nnm_inference *inference, const nnm_node *node, nnm_window *out, nnm_error *error) {
  size_t count;
  const int64_t *kernel = nnm_attribute_ints(node, "kernel_shape", &count);
  if (count != (size_t)out->spatial)
    return nnm_fail_node(inference, node, error,
                         "has %zu numbers in kernel_shape, but its image has %d spatial dimensions; export it with one "
                         "number for each",
                         count, out->spatial);
  for (int i = 0; i < out->spatial; i++) {
    if (kernel[i] < 1 || kernel[i] > NNM_LIMIT_DIMENSION)
      return nnm_fail_node(inference, node, error, "has a window of %lld; export it with a kernel_shape of at least 1",
                           (long long)kernel[i]);
    out->kernel[i] = kernel[i];
  }
  return NNM_OK;
}

/* Rounding up, the last window must still start inside the image or its leading padding, as the runtimes have it. */
static int64_t pooled_size(int64_t size, int64_t begin, int64_t end, int64_t reach, int64_t stride, bool round_up) {
  int64_t room = size + begin + end - reach;
  if (room < 0) return 0;
  if (!round_up) return room / stride + 1;
  int64_t count = nnm_divide_up(room, stride) + 1;
  return (count - 1) * stride >= size + begin ? count - 1 : count;
}

nnm_status nnm_pool_window(const nnm_inference *inference, const nnm_node *node, nnm_window *out, bool *known,
                           nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0);
  if (!image) return NNM_OK;
  NNM_TRY(nnm_window_image(inference, node, image, out, error));
  NNM_TRY(read_kernel(inference, node, out, error));
  NNM_TRY(nnm_window_steps(inference, node, out, error));
  nnm_auto_pad pad;
  NNM_TRY(nnm_window_auto_pad(inference, node, &pad, error));
  bool round_up = nnm_attribute_int(node, "ceil_mode", 0) != 0;
  out->group = out->output_channels = out->input_channels;
  for (int i = 0; i < out->spatial; i++) {
    int64_t reach = (out->kernel[i] - 1) * out->dilation[i] + 1, size = out->input[i];
    if (pad == NNM_PAD_SAME_UPPER || pad == NNM_PAD_SAME_LOWER) {
      int64_t wanted = nnm_divide_up(size, out->stride[i]);
      /* ONNX Runtime leaves the dilation out of it */
      int64_t needed = (wanted - 1) * out->stride[i] + out->kernel[i] - size;
      if (needed < 0 || !wanted) needed = 0;
      out->pad_begin[i] = pad == NNM_PAD_SAME_LOWER ? nnm_divide_up(needed, 2) : needed / 2;
      out->pad_end[i] = needed - out->pad_begin[i];
    } else if (pad == NNM_PAD_VALID) {
      out->pad_begin[i] = out->pad_end[i] = 0;
    }
    out->output[i] = pooled_size(size, out->pad_begin[i], out->pad_end[i], reach, out->stride[i], round_up);
    if (out->output[i] <= 0)
      return nnm_fail_node(inference, node, error, "has a window of %lld over only %lld elements; give a larger input",
                           (long long)reach, (long long)(size + out->pad_begin[i] + out->pad_end[i]));
  }
  *known = true;
  return NNM_OK;
}

nnm_status nnm_global_pool_window(const nnm_inference *inference, const nnm_node *node, nnm_window *out, bool *known,
                                  nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0);
  if (!image) return NNM_OK;
  NNM_TRY(nnm_window_image(inference, node, image, out, error));
  out->group = out->output_channels = out->input_channels;
  for (int i = 0; i < out->spatial; i++) {
    out->kernel[i] = out->input[i];
    out->stride[i] = out->dilation[i] = out->output[i] = 1;
  }
  *known = true;
  return NNM_OK;
}

nnm_status nnm_rule_pool(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_window window = {0};
  bool known = false;
  NNM_TRY(nnm_pool_window(inference, node, &window, &known, error));
  if (!known) return NNM_OK;
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_I64); /* MaxPool's indices */
  NNM_TRY(nnm_set_window_shape(inference, node, &window, 1, error));
  return nnm_settle_window(inference, node, &window, error);
}

/* Any rank: the shape needs no window. */
nnm_status nnm_rule_global_pool(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0);
  if (!image) return NNM_OK;
  if (image->rank < 2) return nnm_fail_node(inference, node, error, "needs an input of at least 2 dimensions");
  int64_t dims[NNM_LIMIT_RANK];
  bool last = nnm_node_layout(node) == NNM_CHANNELS_LAST;
  for (int32_t i = 0; i < image->rank; i++) dims[i] = 1;
  int32_t channels = last ? image->rank - 1 : 1;
  dims[0] = image->dims[0];
  dims[channels] = image->dims[channels];
  return nnm_set_shape(inference, node, 0, image->rank, dims, error);
}

/* torch gives the size of the result; the windows follow from it and overlap by less than one where they do not fit. */
nnm_status nnm_rule_adaptive_pool(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0);
  nnm_window window = {0};
  size_t count;
  const int64_t *sizes = nnm_attribute_ints(node, "output_size", &count);
  if (!image) return NNM_OK;
  NNM_TRY(nnm_window_image(inference, node, image, &window, error));
  if (count != (size_t)window.spatial)
    return nnm_fail_node(inference, node, error, "has %zu numbers in output_size for %d spatial dimensions", count,
                         window.spatial);
  window.group = window.output_channels = window.input_channels;
  for (int i = 0; i < window.spatial; i++) {
    if (sizes[i] < 0 || sizes[i] > NNM_LIMIT_DIMENSION)
      return nnm_fail_node(inference, node, error, "has an output_size of %lld", (long long)sizes[i]);
    window.output[i] = sizes[i] ? sizes[i] : window.input[i]; /* 0: as it is */
    window.dilation[i] = 1;
    window.stride[i] = window.input[i] > window.output[i] ? window.input[i] / window.output[i] : 1;
    window.kernel[i] = nnm_divide_up(window.input[i], window.output[i]);
    if (window.kernel[i] < 1) window.kernel[i] = 1;
  }
  return nnm_settle_window(inference, node, &window, error);
}

nnm_status nnm_rule_max_unpool(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0);
  if (!image) return NNM_OK;
  const int64_t *wanted;
  size_t count;
  nnm_found found = nnm_find_ints(inference, node, NULL, 2, &wanted, &count);
  if (found == NNM_KNOWN && count <= NNM_LIMIT_RANK)
    return nnm_set_shape(inference, node, 0, (int32_t)count, wanted, error);
  if (found == NNM_DEPENDS_ON_DATA) return NNM_OK;
  nnm_window window = {0};
  NNM_TRY(nnm_window_image(inference, node, image, &window, error));
  NNM_TRY(read_kernel(inference, node, &window, error));
  NNM_TRY(nnm_window_steps(inference, node, &window, error));
  window.output_channels = window.input_channels;
  for (int i = 0; i < window.spatial; i++) {
    int64_t full;
    if (!nnm_multiply_i64(window.input[i] - 1, window.stride[i], &full) || full > NNM_LIMIT_ELEMENTS)
      return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
    window.output[i] = full + window.kernel[i] - window.pad_begin[i] - window.pad_end[i];
  }
  return nnm_set_window_shape(inference, node, &window, 0, error);
}

/* MaxRoiPool gives its size as pooled_shape, RoiAlign as output_height and output_width. */
nnm_status nnm_rule_roi_pool(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0), *regions = nnm_shape_of_input(inference, node, 1);
  if (!image || !regions) return NNM_OK;
  if (image->rank != 4 || regions->rank != 2)
    return nnm_fail_node(inference, node, error, "needs an image of 4 dimensions and a list of regions of 2");
  size_t count;
  const int64_t *pooled = nnm_attribute_ints(node, "pooled_shape", &count);
  int64_t dims[4] = {regions->dims[0], image->dims[1], nnm_attribute_int(node, "output_height", 1),
                     nnm_attribute_int(node, "output_width", 1)};
  if (count == 2) dims[2] = pooled[0], dims[3] = pooled[1];
  return nnm_set_shape(inference, node, 0, 4, dims, error);
}

nnm_status nnm_rule_crop_and_resize(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0), *boxes = nnm_shape_of_input(inference, node, 1);
  const nnm_value *size = nnm_input_value(inference, node, 3);
  if (!image || !boxes || !size || size->count != 2) return NNM_OK;
  if (image->rank != 4 || boxes->rank != 2)
    return nnm_fail_node(inference, node, error, "needs an image of 4 dimensions and a list of boxes of 2");
  bool last = node->layout == NNM_CHANNELS_LAST;
  int64_t height = nnm_value_int(size, 0), width = nnm_value_int(size, 1);
  int64_t first[4] = {boxes->dims[0], image->dims[1], height, width};
  int64_t channels_last[4] = {boxes->dims[0], height, width, image->dims[3]};
  return nnm_set_shape(inference, node, 0, 4, last ? channels_last : first, error);
}
