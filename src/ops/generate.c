/* Operators that make tensors out of attributes or out of shapes. */
#include <math.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

/* Constant's value is a tensor, or a number, or a list of numbers. */
nnm_status nnm_rule_constant(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  for (uint32_t i = 0; i < node->attribute_count; i++) {
    const nnm_attribute *attribute = &node->attributes[i];
    int64_t count = (int64_t)attribute->count;
    switch (attribute->kind) {
    case NNM_ATTRIBUTE_TENSOR:
      nnm_set_dtype(inference, node, 0, attribute->as.tensor->dtype);
      return nnm_set_shape(inference, node, 0, attribute->as.tensor->rank, attribute->as.tensor->dims, error);
    case NNM_ATTRIBUTE_INT:
    case NNM_ATTRIBUTE_INTS:
      nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
      return nnm_set_shape(inference, node, 0, attribute->kind == NNM_ATTRIBUTE_INTS, &count, error);
    case NNM_ATTRIBUTE_FLOAT:
    case NNM_ATTRIBUTE_FLOATS:
      nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
      return nnm_set_shape(inference, node, 0, attribute->kind == NNM_ATTRIBUTE_FLOATS, &count, error);
    case NNM_ATTRIBUTE_TEXT:
    case NNM_ATTRIBUTE_TEXTS:
      nnm_set_dtype(inference, node, 0, NNM_DTYPE_STRING);
      return nnm_set_shape(inference, node, 0, attribute->kind == NNM_ATTRIBUTE_TEXTS, &count, error);
    default: break;
    }
  }
  return NNM_OK;
}

/* Its shape is declared. */
nnm_status nnm_rule_placeholder(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  size_t count;
  const int64_t *shape = nnm_attribute_ints(node, "shape", &count);
  return count && count <= NNM_LIMIT_RANK ? nnm_set_shape(inference, node, 0, (int32_t)count, shape, error) : NNM_OK;
}

nnm_status nnm_rule_constant_of_shape(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_attribute *value = nnm_find_attribute(node, "value");
  nnm_set_dtype(inference, node, 0,
                value && value->kind == NNM_ATTRIBUTE_TENSOR ? value->as.tensor->dtype
                : nnm_has_input(node, 1) ? nnm_input_dtype(inference, node, 1) /* TensorFlow's Fill */
                                         : NNM_DTYPE_F32);
  const int64_t *dims;
  size_t count;
  if (nnm_find_ints(inference, node, "shape", 0, &dims, &count) != NNM_KNOWN) return NNM_OK;
  if (count > NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "makes a tensor of %zu dimensions; the limit is %d", count,
                         NNM_LIMIT_RANK);
  return nnm_set_shape(inference, node, 0, (int32_t)count, dims, error);
}

nnm_status nnm_rule_shape(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int64_t start = nnm_attribute_int(node, "start", 0), end = nnm_attribute_int(node, "end", shape->rank);
  if (start < 0) start += shape->rank;
  if (end < 0) end += shape->rank;
  if (start < 0) start = 0;
  if (end > shape->rank) end = shape->rank;
  int64_t count = end > start ? end - start : 0;
  return nnm_set_shape(inference, node, 0, 1, &count, error);
}

nnm_status nnm_rule_size(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  return nnm_set_shape(inference, node, 0, 0, NULL, error);
}

nnm_status nnm_rule_range(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_value *start = nnm_input_value(inference, node, 0), *limit = nnm_input_value(inference, node, 1);
  const nnm_value *delta = nnm_has_input(node, 2) ? nnm_input_value(inference, node, 2) : NULL;
  if (!start || !limit || (nnm_has_input(node, 2) && !delta)) return NNM_OK;
  if (!start->count || !limit->count || (delta && !delta->count))
    return nnm_fail_node(inference, node, error, "has an empty bound");
  double step = delta ? nnm_value_float(delta, 0) : 1;
  double count = ceil((nnm_value_float(limit, 0) - nnm_value_float(start, 0)) / step);
  if (step == 0 || !(fabs(count) < (double)NNM_LIMIT_DIMENSION))
    return nnm_fail_node(inference, node, error, "has a step of 0, or more than 2^40 elements");
  int64_t length = count > 0 ? (int64_t)count : 0;
  return nnm_set_shape(inference, node, 0, 1, &length, error);
}

nnm_status nnm_rule_eye_like(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  NNM_TRY(nnm_set_dtype_by(inference, node, "dtype", 0, error));
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_random(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  size_t count;
  const int64_t *shape = nnm_attribute_ints(node, "shape", &count);
  NNM_TRY(nnm_set_dtype_by(inference, node, "dtype", 1, error));
  if (!nnm_find_attribute(node, "shape") || count > NNM_LIMIT_RANK) return NNM_OK;
  return nnm_set_shape(inference, node, 0, (int32_t)count, shape, error);
}

nnm_status nnm_rule_random_like(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_rule_eye_like(inference, node, error);
}

nnm_status nnm_rule_multinomial(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  NNM_TRY(nnm_set_dtype_by(inference, node, "dtype", 6, error));
  if (!shape) return NNM_OK;
  if (shape->rank != 2) return nnm_fail_node(inference, node, error, "needs an input of 2 dimensions");
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){shape->dims[0], nnm_attribute_int(node, "sample_size", 1)},
                       error);
}
