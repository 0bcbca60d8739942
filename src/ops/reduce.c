/* Reductions over axes. */
#include "base/limits.h"
#include "ops/rule.h"

static nnm_status reduce_over(nnm_inference *inference, const nnm_node *node, uint32_t mask, bool keep,
                              nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  int64_t dims[NNM_LIMIT_RANK];
  int32_t rank = 0;
  for (int32_t i = 0; i < shape->rank; i++) {
    if (!(mask >> i & 1)) dims[rank++] = shape->dims[i];
    else if (keep) dims[rank++] = 1;
  }
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

/* axes_input: where the axes are when they are an input. */
static nnm_status reduce(nnm_inference *inference, const nnm_node *node, int axes_input, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const int64_t *axes;
  size_t count;
  nnm_found found = nnm_find_ints(inference, node, "axes", axes_input, &axes, &count);
  if (found == NNM_DEPENDS_ON_DATA) return NNM_OK;
  /* TensorFlow drops reduced dims unless told otherwise, ONNX keeps them */
  bool is_tensorflow = node->op == NNM_OP_ALL || node->op == NNM_OP_ANY;
  bool keep = nnm_attribute_int(node, "keepdims", nnm_attribute_int(node, "keep_dims", !is_tensorflow)) != 0;
  if (!count && nnm_attribute_int(node, "noop_with_empty_axes", 0)) {
    nnm_share_shape(inference, node, 0, shape);
    return NNM_OK;
  }
  uint32_t mask = (1u << shape->rank) - 1;
  if (count && !nnm_resolve_axes(axes, count, shape->rank, &mask))
    return nnm_fail_node(inference, node, error, "reduces an axis that its input of %d dimensions does not have",
                         (int)shape->rank);
  return reduce_over(inference, node, mask, keep, error);
}

nnm_status nnm_rule_reduce(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return reduce(inference, node, 1, error);
}

nnm_status nnm_rule_reduce_integer(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  return reduce(inference, node, -1, error);
}

nnm_status nnm_rule_qlinear_reduce(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return reduce(inference, node, -1, error);
}

nnm_status nnm_rule_arg_reduce(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int32_t axis;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis))
    return nnm_fail_node(inference, node, error, "reduces an axis that its input of %d dimensions does not have",
                         (int)shape->rank);
  return reduce_over(inference, node, 1u << axis, nnm_attribute_int(node, "keepdims", 1) != 0, error);
}

/* A count that depends on data could be anything up to the whole axis. */
nnm_status nnm_rule_top_k(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int32_t axis;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", -1), shape->rank, &axis))
    return nnm_fail_node(inference, node, error, "has an axis that its input of %d dimensions does not have",
                         (int)shape->rank);
  const int64_t *k;
  size_t count;
  nnm_found found = nnm_find_ints(inference, node, "k", 1, &k, &count);
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0; i < shape->rank; i++) dims[i] = shape->dims[i];
  if (found == NNM_KNOWN && count == 1) {
    if (k[0] < 0 || k[0] > dims[axis])
      return nnm_fail_node(inference, node, error, "takes the %lld largest of only %lld elements", (long long)k[0],
                           (long long)dims[axis]);
    dims[axis] = k[0];
  } else if (found == NNM_DEPENDS_ON_DATA) {
    NNM_TRY(nnm_note_node(inference, node, error, "how many it takes depends on the input data; all %lld assumed",
                          (long long)dims[axis]));
  } else {
    return NNM_OK;
  }
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_I64);
  NNM_TRY(nnm_set_shape(inference, node, 0, shape->rank, dims, error));
  return nnm_set_shape(inference, node, 1, shape->rank, dims, error);
}

nnm_status nnm_rule_determinant(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  if (shape->rank < 2) return nnm_fail_node(inference, node, error, "needs a matrix");
  return nnm_set_shape(inference, node, 0, shape->rank - 2, shape->dims, error);
}
