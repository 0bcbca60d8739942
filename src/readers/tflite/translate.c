/* Operators whose inputs or options are not what their shape rules ask for: window sizes in single numbers, axes among
 * the inputs, the output's shape in front of the weights. */
#include <string.h>

#include "readers/tflite/tflite.h"

/* ---- convolutions and pooling */

/* Strides and dilations lie in fields of their own, width first. */
static nnm_status put_steps(tflite_node *x, const char *name, const uint32_t *fields, size_t count, int64_t otherwise) {
  int64_t values[NNM_LIMIT_SPATIAL];
  for (size_t i = 0; i < count; i++) values[i] = nnm_flat_i32(&x->options, fields[i], otherwise);
  NNM_TRY(x->reader->file.status);
  return nnm_tflite_put_ints(x, name, values, count);
}

static nnm_status put_padding(tflite_node *x) {
  int64_t padding = nnm_flat_i8(&x->options, 0, PADDING_SAME);
  NNM_TRY(x->reader->file.status);
  if (padding != PADDING_SAME && padding != PADDING_VALID)
    return nnm_tflite_fail(x, NNM_ERROR_UNSUPPORTED,
                           "has padding %lld, which is not known; fetch the file or convert the model again",
                           (long long)padding);
  return nnm_tflite_put_text(x, "auto_pad", padding == PADDING_SAME ? "SAME_UPPER" : "VALID");
}

/* The window is that of the filter, whose first dimension is something else. */
static nnm_status put_window(tflite_node *x) {
  const tflite_tensor *filter = nnm_tflite_input(x, 1);
  bool is_known = filter && filter->rank == 4 && filter->dims[1] > 0 && filter->dims[2] > 0;
  return is_known ? nnm_tflite_put_ints(x, "kernel_shape", filter->dims + 1, 2) : NNM_OK;
}

static nnm_status convolution_2d(tflite_node *x, uint32_t dilation_width) {
  NNM_TRY(put_padding(x));
  NNM_TRY(put_window(x));
  NNM_TRY(put_steps(x, "strides", (const uint32_t[]){2, 1}, 2, 0));
  return put_steps(x, "dilations", (const uint32_t[]){dilation_width + 1, dilation_width}, 2, 1);
}

nnm_status nnm_tflite_conv_2d(tflite_node *x) { return convolution_2d(x, 4); }

nnm_status nnm_tflite_depthwise(tflite_node *x) {
  NNM_TRY(convolution_2d(x, 5));
  return nnm_tflite_put_int(x, "depthwise", 1);
}

/* Its filter is laid out as TensorFlow's: depth, height, width, inputs, outputs. */
nnm_status nnm_tflite_conv_3d(tflite_node *x) {
  x->node.weight_layout = NNM_WEIGHT_XIO;
  NNM_TRY(put_padding(x));
  NNM_TRY(put_steps(x, "strides", (const uint32_t[]){1, 3, 2}, 3, 0));
  return put_steps(x, "dilations", (const uint32_t[]){5, 7, 6}, 3, 1);
}

/* Inputs: shape of the output, filter, image, bias. A shape that is computed stays an input, behind those. */
static nnm_status transposed(tflite_node *x, size_t spatial) {
  int64_t shape[NNM_LIMIT_RANK];
  size_t count = 0;
  bool is_known = nnm_tflite_constants(x, 0, shape, &count) && count == spatial + 2;
  if (is_known) NNM_TRY(nnm_tflite_put_ints(x, "output_shape", shape + 1, spatial));
  return nnm_tflite_take_inputs(x, (const int[]){2, 1, 3, is_known ? -1 : 0}, 4);
}

nnm_status nnm_tflite_transpose_conv(tflite_node *x) {
  NNM_TRY(put_padding(x));
  NNM_TRY(put_steps(x, "strides", (const uint32_t[]){2, 1}, 2, 0));
  return transposed(x, 2);
}

nnm_status nnm_tflite_conv_3d_transpose(tflite_node *x) {
  NNM_TRY(nnm_tflite_conv_3d(x));
  return transposed(x, 3);
}

nnm_status nnm_tflite_pool(tflite_node *x) {
  NNM_TRY(put_padding(x));
  NNM_TRY(put_steps(x, "strides", (const uint32_t[]){2, 1}, 2, 0));
  return put_steps(x, "kernel_shape", (const uint32_t[]){4, 3}, 2, 0);
}

/* ---- matrices */

/* A fully connected layer flattens what it is given into rows as long as its weights, unless it keeps the dimensions;
 * a view in front does the same. */
nnm_status nnm_tflite_dense(tflite_node *x) {
  enum { KEEP_DIMENSIONS = 2 };
  bool keeps = nnm_flat_u8(&x->options, KEEP_DIMENSIONS, 0) != 0;
  const tflite_tensor *input = nnm_tflite_input(x, 0), *weights = nnm_tflite_input(x, 1);
  if (!input || !weights)
    return nnm_tflite_fail(x, NNM_ERROR_GRAPH, "lacks its input or weights; convert the model again");
  NNM_TRY(nnm_tflite_put_int(x, "transB", 1));
  NNM_TRY(nnm_tflite_take_inputs(x, (const int[]){0, 1, 2}, 3));
  int64_t columns = weights->rank == 2 ? weights->dims[1] : -1;
  bool is_flat = input->rank == 2 && columns >= 0 && input->dims[1] == columns;
  if (keeps || is_flat || columns <= 0) return NNM_OK;
  return nnm_tflite_add_in_front(x, 0, NNM_OP_RESHAPE, "RESHAPE", "shape", (const int64_t[]){-1, columns}, 2);
}

/* With the second kind of kernel the weights are one matrix, and the outputs come in another order. */
nnm_status nnm_tflite_lstm(tflite_node *x) {
  enum { KERNEL_TYPE = 3 };
  return nnm_tflite_put_int(x, "basic", nnm_flat_i8(&x->options, KERNEL_TYPE, 0) != 0);
}

/* ---- shapes */

/* The new shape is an input, or an option in old files. 0 is a size here. */
nnm_status nnm_tflite_reshape(tflite_node *x) {
  int64_t shape[NNM_LIMIT_RANK];
  size_t count;
  NNM_TRY(nnm_tflite_put_int(x, "allowzero", 1));
  const tflite_tensor *wanted = nnm_tflite_input(x, 1);
  if (wanted && wanted->rank >= 0 && wanted->rank != 1) wanted = NULL; /* the runtime looks at the option then */
  if (wanted && !nnm_tflite_constants(x, 1, shape, &count)) return NNM_OK;
  if (!wanted) {
    nnm_flat_vector option = nnm_flat_items(&x->options, 0, 4);
    NNM_TRY(x->reader->file.status);
    if (option.count > NNM_LIMIT_RANK)
      return nnm_tflite_fail(x, NNM_ERROR_LIMIT,
                             "makes a tensor of %zu dimensions; the limit is %d: reshape it before converting",
                             option.count, NNM_LIMIT_RANK);
    count = option.count;
    for (size_t i = 0; i < count; i++) shape[i] = nnm_flat_item_i32(&option, i);
    if (count == 1 && !shape[0]) count = 0; /* how old files write a scalar */
  }
  NNM_TRY(nnm_tflite_put_ints(x, "shape", shape, count));
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

nnm_status nnm_tflite_squeeze(tflite_node *x) {
  nnm_flat_vector option = nnm_flat_items(&x->options, 0, 4);
  int64_t axes[NNM_LIMIT_RANK];
  NNM_TRY(x->reader->file.status);
  if (option.count > NNM_LIMIT_RANK)
    return nnm_tflite_fail(x, NNM_ERROR_FORMAT, "squeezes %zu axes; the file is damaged: fetch it again", option.count);
  for (size_t i = 0; i < option.count; i++) axes[i] = nnm_flat_item_i32(&option, i);
  return option.count ? nnm_tflite_put_ints(x, "axes", axes, option.count) : NNM_OK;
}

nnm_status nnm_tflite_transpose(tflite_node *x) {
  int64_t order[NNM_LIMIT_RANK];
  size_t count;
  if (!nnm_tflite_constants(x, 1, order, &count)) return NNM_OK;
  NNM_TRY(nnm_tflite_put_ints(x, "perm", order, count));
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

/* An axis that is not stored would have to be computed: no converter writes that. */
static nnm_status put_axis(tflite_node *x, size_t input) {
  int64_t axis;
  if (nnm_tflite_constant(x, input, 0, &axis)) return nnm_tflite_put_int(x, "axis", axis);
  return nnm_tflite_fail(x, NNM_ERROR_UNSUPPORTED,
                         "takes its axis from another operator; convert the model again with a constant axis");
}

nnm_status nnm_tflite_split(tflite_node *x) {
  NNM_TRY(put_axis(x, 0));
  return nnm_tflite_take_inputs(x, (const int[]){1}, 1);
}

/* One size may be -1: what is left. */
nnm_status nnm_tflite_split_v(tflite_node *x) {
  int64_t sizes[NNM_LIMIT_RANK], axis;
  size_t count;
  NNM_TRY(put_axis(x, 2));
  if (!nnm_tflite_constants(x, 1, sizes, &count)) return nnm_tflite_take_inputs(x, (const int[]){0, 1}, 2);
  const tflite_tensor *whole = nnm_tflite_input(x, 0);
  bool has_axis = nnm_tflite_constant(x, 2, 0, &axis);
  if (has_axis && whole && axis < 0) axis += whole->rank;
  int64_t left = has_axis && whole && axis >= 0 && axis < whole->rank ? whole->dims[axis] : -1;
  for (size_t i = 0; i < count; i++)
    if (sizes[i] >= 0) left -= left >= sizes[i] ? sizes[i] : 0;
  for (size_t i = 0; i < count; i++)
    if (sizes[i] < 0) sizes[i] = left;
  NNM_TRY(nnm_tflite_put_ints(x, "split", sizes, count));
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

nnm_status nnm_tflite_arg(tflite_node *x) {
  NNM_TRY(put_axis(x, 1));
  NNM_TRY(nnm_tflite_put_int(x, "keepdims", 0));
  return nnm_tflite_take_inputs(x, (const int[]){0}, 1);
}

/* The ids come first, then the table. */
nnm_status nnm_tflite_embedding(tflite_node *x) { return nnm_tflite_take_inputs(x, (const int[]){1, 0}, 2); }

/* The lists are always as long as they may be. */
nnm_status nnm_tflite_select_boxes(tflite_node *x) { return nnm_tflite_put_int(x, "pad_to_max_output_size", 1); }

nnm_status nnm_tflite_multinomial(tflite_node *x) {
  int64_t samples;
  return nnm_tflite_constant(x, 1, 0, &samples) ? nnm_tflite_put_int(x, "sample_size", samples) : NNM_OK;
}

/* A single input is copied: runtimes do that in place. */
nnm_status nnm_tflite_concatenate(tflite_node *x) {
  if (!x->node.input_count) return nnm_tflite_fail(x, NNM_ERROR_GRAPH, "joins nothing; convert the model again");
  return NNM_OK;
}

/* A condition of one dimension chooses rows. */
nnm_status nnm_tflite_select_rows(tflite_node *x) {
  const tflite_tensor *condition = nnm_tflite_input(x, 0), *rows = nnm_tflite_input(x, 1);
  bool is_row_wise = condition && rows && condition->rank == 1 && rows->rank > 1;
  return is_row_wise ? nnm_tflite_put_int(x, "by_row", 1) : NNM_OK;
}

/* ---- one pass over the data */

/* To the type of its output, from floats or from another scale. */
nnm_status nnm_tflite_quantize(tflite_node *x) {
  static const uint8_t onnx_types[] = {[NNM_DTYPE_U8] = 2,  [NNM_DTYPE_I8] = 3,  [NNM_DTYPE_U16] = 4,
                                       [NNM_DTYPE_I16] = 5, [NNM_DTYPE_I32] = 6, [NNM_DTYPE_I4] = 22};
  const tflite_tensor *output = nnm_tflite_output(x, 0);
  bool is_known = output && output->dtype < sizeof onnx_types && onnx_types[output->dtype];
  return is_known ? nnm_tflite_put_int(x, "output_dtype", onnx_types[output->dtype]) : NNM_OK;
}

static nnm_status put_bounds(tflite_node *x, double low, double high) {
  NNM_TRY(nnm_tflite_put_float(x, "min", low));
  return nnm_tflite_put_float(x, "max", high);
}
nnm_status nnm_tflite_clip_n1(tflite_node *x) { return put_bounds(x, -1, 1); }
nnm_status nnm_tflite_clip_01(tflite_node *x) { return put_bounds(x, 0, 1); }
