/* Operators that only give the same data another shape. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

/* The elements behind -1 in a Reshape; false when they do not divide. */
static bool fill_free_dimension(const nnm_shape *shape, int64_t *dims, size_t rank, int32_t free_dimension) {
  int64_t elements = nnm_shape_elements(*shape), rest = 1;
  for (size_t i = 0; i < rank; i++)
    if ((int32_t)i != free_dimension && !nnm_multiply_i64(rest, dims[i], &rest)) return false;
  if (free_dimension < 0) return rest == elements;
  if (!rest) { /* nothing fits any number of times into nothing */
    dims[free_dimension] = 0;
    return elements == 0;
  }
  dims[free_dimension] = elements / rest;
  return elements % rest == 0;
}

nnm_status nnm_rule_reshape(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const int64_t *wanted;
  size_t count;
  if (nnm_find_ints(inference, node, "shape", 1, &wanted, &count) != NNM_KNOWN) return NNM_OK;
  if (count > NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "makes a tensor of %zu dimensions; the limit is %d", count,
                         NNM_LIMIT_RANK);
  bool zero_is_zero = nnm_attribute_int(node, "allowzero", 0) != 0;
  int64_t dims[NNM_LIMIT_RANK];
  int32_t free_dimension = -1;
  for (size_t i = 0; i < count; i++) {
    dims[i] = wanted[i];
    if (dims[i] == 0 && !zero_is_zero && i < (size_t)shape->rank) dims[i] = shape->dims[i];
    if (dims[i] >= 0) continue;
    if (dims[i] != -1 || free_dimension >= 0)
      return nnm_fail_node(inference, node, error, "has %lld in its shape, or -1 twice", (long long)dims[i]);
    free_dimension = (int32_t)i;
  }
  if (!fill_free_dimension(shape, dims, count, free_dimension)) {
    char from[NNM_SHAPE_TEXT], to[NNM_SHAPE_TEXT];
    nnm_shape target = {(int32_t)count, wanted};
    return nnm_fail_node(inference, node, error,
                         "cannot make %s of %s; the model may be fixed to another input size than the one given",
                         nnm_shape_text(&target, to, sizeof to), nnm_shape_text(shape, from, sizeof from));
  }
  return nnm_set_shape(inference, node, 0, (int32_t)count, dims, error);
}

nnm_status nnm_rule_flatten(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int64_t axis = nnm_attribute_int(node, "axis", 1);
  if (axis < 0) axis += shape->rank;
  if (axis < 0 || axis > shape->rank)
    return nnm_fail_node(inference, node, error, "has axis %lld for an input of %d dimensions", (long long)axis,
                         (int)shape->rank);
  int64_t dims[2];
  if (!nnm_multiply_dims(shape->dims, (size_t)axis, &dims[0]) ||
      !nnm_multiply_dims(shape->dims + axis, (size_t)(shape->rank - axis), &dims[1]))
    return nnm_fail_node(inference, node, error, "has too large an input");
  return nnm_set_shape(inference, node, 0, 2, dims, error);
}

nnm_status nnm_rule_squeeze(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const int64_t *axes;
  size_t count;
  const char *name = nnm_find_attribute(node, "squeeze_dims") ? "squeeze_dims" : "axes"; /* TensorFlow and ONNX */
  nnm_found found = nnm_find_ints(inference, node, name, 1, &axes, &count);
  if (found == NNM_DEPENDS_ON_DATA) return NNM_OK;
  uint32_t mask = 0;
  if (count && !nnm_resolve_axes(axes, count, shape->rank, &mask))
    return nnm_fail_node(inference, node, error, "squeezes an axis that its input of %d dimensions does not have",
                         (int)shape->rank);
  int64_t dims[NNM_LIMIT_RANK];
  int32_t rank = 0;
  for (int32_t i = 0; i < shape->rank; i++) {
    bool drop = count ? mask >> i & 1 : shape->dims[i] == 1;
    if (drop && shape->dims[i] != 1)
      return nnm_fail_node(inference, node, error, "squeezes axis %d, which is %lld and not 1", (int)i,
                           (long long)shape->dims[i]);
    if (!drop) dims[rank++] = shape->dims[i];
  }
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

/* The result has the axes `mask` as 1 and the input's dims in the others. */
static nnm_status insert_axes(nnm_inference *inference, const nnm_node *node, const nnm_shape *shape, uint32_t mask,
                              int32_t rank, nnm_error *error) {
  int64_t dims[NNM_LIMIT_RANK];
  int32_t next = 0;
  for (int32_t i = 0; i < rank; i++) {
    if (mask >> i & 1) dims[i] = 1;
    else if (next < shape->rank) dims[i] = shape->dims[next++];
    else return nnm_fail_node(inference, node, error, "inserts the same axis twice");
  }
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

nnm_status nnm_rule_unsqueeze(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const int64_t *axes;
  size_t count;
  const char *name = nnm_find_attribute(node, "axis") ? "axis" : "axes"; /* ExpandDims of TensorFlow: axis */
  if (nnm_find_ints(inference, node, name, 1, &axes, &count) != NNM_KNOWN) return NNM_OK;
  if (count > NNM_LIMIT_RANK || shape->rank + (int32_t)count > NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "makes a tensor of more than %d dimensions", NNM_LIMIT_RANK);
  int32_t rank = shape->rank + (int32_t)count;
  uint32_t mask;
  if (!nnm_resolve_axes(axes, count, rank, &mask))
    return nnm_fail_node(inference, node, error, "inserts an axis outside of its result of %d dimensions", (int)rank);
  return insert_axes(inference, node, shape, mask, rank, error);
}

nnm_status nnm_rule_expand_dims(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_rule_unsqueeze(inference, node, error);
}

bool nnm_moves_channels(const nnm_node *node, bool to_last) {
  size_t count;
  const int64_t *order = node->op == NNM_OP_TRANSPOSE ? nnm_attribute_ints(node, "perm", &count) : NULL;
  if (!order || count < 4 || count > 5 || order[0] != 0) return false;
  int64_t rank = (int64_t)count;
  for (int64_t i = 1; i < rank; i++) {
    int64_t from = to_last ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
    if (order[i] != from) return false;
  }
  return true;
}
