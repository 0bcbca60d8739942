/* Fourier transforms, windows, text. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

/* One number given as an input; false when it is left out or depends on data (*absent tells which). */
static bool read_number(nnm_inference *inference, const nnm_node *node, uint32_t input, int64_t *out, bool *absent) {
  *absent = !nnm_has_input(node, input);
  const nnm_value *value = *absent ? NULL : nnm_input_value(inference, node, input);
  if (!value || !value->count) return false;
  *out = nnm_value_int(value, 0);
  return true;
}

/* The last dimension is 1 (real) or 2 (complex). The axis is an attribute below opset 20. */
nnm_status nnm_rule_dft(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  bool as_attribute = inference->graph->opset > 0 && inference->graph->opset < 20, absent;
  int64_t axis = as_attribute ? nnm_attribute_int(node, "axis", 1) : -2, length;
  if (!read_number(inference, node, 2, &axis, &absent) && !absent) return NNM_OK;
  int32_t at;
  if (shape->rank < 2 || !nnm_resolve_axis(axis, shape->rank, &at) || at == shape->rank - 1)
    return nnm_fail_node(inference, node, error, "transforms axis %lld of %d dimensions", (long long)axis,
                         (int)shape->rank);
  bool inverse = nnm_attribute_int(node, "inverse", 0) != 0, one_sided = nnm_attribute_int(node, "onesided", 0) != 0;
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  bool given = read_number(inference, node, 1, &length, &absent);
  if (!given && !absent) return NNM_OK;
  if (given && (length < 0 || length > NNM_LIMIT_DIMENSION))
    return nnm_fail_node(inference, node, error, "has length %lld", (long long)length);
  if (!given) length = one_sided && inverse ? 2 * (dims[at] - 1) : dims[at];
  dims[at] = one_sided && !inverse ? length / 2 + 1 : length;
  dims[shape->rank - 1] = one_sided && inverse ? 1 : 2;
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

nnm_status nnm_rule_stft(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *signal = nnm_shape_of_input(inference, node, 0), *window = nnm_shape_of_input(inference, node, 2);
  int64_t step, length = window && window->rank == 1 ? window->dims[0] : -1;
  bool absent;
  if (!signal || !read_number(inference, node, 1, &step, &absent)) return NNM_OK;
  if (!read_number(inference, node, 3, &length, &absent) && length < 0) return NNM_OK;
  if (signal->rank < 2 || step < 1 || length < 1 || length > signal->dims[1])
    return nnm_fail_node(inference, node, error, "has frames of %lld every %lld samples, which do not fit its signal",
                         (long long)length, (long long)step);
  int64_t bins = nnm_attribute_int(node, "onesided", 1) ? length / 2 + 1 : length;
  int64_t dims[4] = {signal->dims[0], (signal->dims[1] - length) / step + 1, bins, 2};
  return nnm_set_shape(inference, node, 0, 4, dims, error);
}

nnm_status nnm_rule_window(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  int64_t size;
  bool absent;
  NNM_TRY(nnm_set_dtype_by(inference, node, "output_datatype", 1, error));
  if (!read_number(inference, node, 0, &size, &absent)) return NNM_OK;
  return nnm_set_shape(inference, node, 0, 1, &size, error);
}

nnm_status nnm_rule_mel_matrix(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  int64_t bins, length;
  bool absent;
  NNM_TRY(nnm_set_dtype_by(inference, node, "output_datatype", 1, error));
  if (!read_number(inference, node, 0, &bins, &absent) || !read_number(inference, node, 1, &length, &absent))
    return NNM_OK;
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){length / 2 + 1, bins}, error);
}

/* Real to complex pairs in a new last dimension, one-sided, and back. */
nnm_status nnm_rule_rfft(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  bool inverse = node->op == NNM_OP_MS_IRFFT;
  int32_t rank = shape->rank + (inverse ? -1 : 1);
  if (rank < 1 + !inverse || rank > NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "transforms a tensor of %d dimensions", (int)shape->rank);
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)(rank < shape->rank ? rank : shape->rank) * sizeof *dims);
  if (inverse) {
    dims[rank - 1] = 2 * (dims[rank - 1] - 1);
  } else {
    dims[rank - 2] = dims[rank - 2] / 2 + 1;
    dims[rank - 1] = 2;
  }
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

/* The picture's size is in its bytes: only the file's declaration can tell. */
nnm_status nnm_rule_image_decoder(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_U8);
  return NNM_OK;
}

/* The pieces (as many as the longest text has) depend on data; their numbers do not. */
nnm_status nnm_rule_string_split(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_I64);
  if (shape) nnm_share_shape(inference, node, 1, shape);
  return NNM_OK;
}

/* One number for each entry of the vocabulary. */
nnm_status nnm_rule_tfidf(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  size_t count;
  const int64_t *indexes = nnm_attribute_ints(node, "ngram_indexes", &count);
  int64_t width = 0, dims[2];
  for (size_t i = 0; i < count; i++)
    if (indexes[i] >= width && indexes[i] < NNM_LIMIT_DIMENSION) width = indexes[i] + 1;
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  int32_t rank = shape->rank == 2;
  dims[0] = rank ? shape->dims[0] : width;
  dims[1] = width;
  return nnm_set_shape(inference, node, 0, rank + 1, dims, error);
}
