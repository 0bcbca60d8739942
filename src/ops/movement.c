/* Operators that move data: joining, cutting, permuting, repeating, resampling. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

static nnm_status fail_axis(const nnm_inference *inference, const nnm_node *node, int64_t axis, int32_t rank,
                            nnm_error *error) {
  return nnm_fail_node(inference, node, error, "has axis %lld for an input of %d dimensions", (long long)axis,
                       (int)rank);
}

/* Joins inputs first, first + step, ... along the axis. */
static nnm_status concat_inputs(nnm_inference *inference, const nnm_node *node, uint32_t first, uint32_t step,
                                uint32_t end, int64_t axis_attribute, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, first);
  if (!shape) return NNM_OK;
  int32_t axis;
  if (!nnm_resolve_axis(axis_attribute, shape->rank, &axis))
    return fail_axis(inference, node, axis_attribute, shape->rank, error);
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  for (uint32_t i = first + step; i < end; i += step) {
    const nnm_shape *next = nnm_shape_of_input(inference, node, i);
    if (!next) return NNM_OK;
    bool fits = next->rank == shape->rank;
    for (int32_t j = 0; fits && j < shape->rank; j++) fits = j == axis || next->dims[j] == shape->dims[j];
    if (!fits) {
      char a[NNM_SHAPE_TEXT], b[NNM_SHAPE_TEXT];
      return nnm_fail_node(inference, node, error, "joins shapes that do not fit along axis %d: %s and %s", (int)axis,
                           nnm_shape_text(shape, a, sizeof a), nnm_shape_text(next, b, sizeof b));
    }
    if (!nnm_add_i64(dims[axis], next->dims[axis], &dims[axis]))
      return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
  }
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

nnm_status nnm_rule_concat(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  /* ONNX below opset 4 had a default of 1 */
  return concat_inputs(inference, node, 0, 1, node->input_count, nnm_attribute_int(node, "axis", 1), error);
}

/* Scale and zero point of the result, then triples of tensor, scale and zero point. */
nnm_status nnm_rule_qlinear_concat(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 1));
  return concat_inputs(inference, node, 2, 3, node->input_count, nnm_attribute_int(node, "axis", 1), error);
}

/* TensorFlow's Pack: equal shapes stacked along a new axis. */
nnm_status nnm_rule_pack(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int32_t axis;
  if (shape->rank >= NNM_LIMIT_RANK || !nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank + 1, &axis))
    return fail_axis(inference, node, nnm_attribute_int(node, "axis", 0), shape->rank, error);
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0; i <= shape->rank; i++)
    dims[i] = i == axis ? node->input_count : shape->dims[i > axis ? i - 1 : i];
  return nnm_set_shape(inference, node, 0, shape->rank + 1, dims, error);
}

nnm_status nnm_rule_unpack(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int32_t axis;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis))
    return fail_axis(inference, node, nnm_attribute_int(node, "axis", 0), shape->rank, error);
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0, rank = 0; i < shape->rank; i++)
    if (i != axis) dims[rank++] = shape->dims[i];
  for (uint32_t i = 0; i < node->output_count; i++)
    NNM_TRY(nnm_set_shape(inference, node, i, shape->rank - 1, dims, error));
  return NNM_OK;
}

/* Sizes not given: equal parts, the last one smaller when they do not divide. */
nnm_status nnm_rule_split(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape || !node->output_count) return NNM_OK;
  int32_t axis;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis))
    return fail_axis(inference, node, nnm_attribute_int(node, "axis", 0), shape->rank, error);
  const int64_t *sizes;
  size_t count;
  nnm_found found = nnm_find_ints(inference, node, "split", 1, &sizes, &count);
  if (found == NNM_DEPENDS_ON_DATA) return NNM_OK;
  if (count && count != node->output_count)
    return nnm_fail_node(inference, node, error, "has %zu sizes for %u outputs", count, (unsigned)node->output_count);
  int64_t dims[NNM_LIMIT_RANK], whole = shape->dims[axis], left = whole;
  int64_t part = nnm_divide_up(whole, node->output_count), spoken = 0;
  for (size_t i = 0; i < count; i++) spoken += sizes[i] > 0 && sizes[i] <= whole ? sizes[i] : 0;
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  for (uint32_t i = 0; i < node->output_count; i++) {
    dims[axis] = count ? sizes[i] : part < left ? part : left;
    if (count && sizes[i] == -1) dims[axis] = whole - spoken; /* TensorFlow: the rest */
    if (dims[axis] < 0 || dims[axis] > left) break;
    left -= dims[axis];
    nnm_set_dtype(inference, node, i, nnm_input_dtype(inference, node, 0));
    NNM_TRY(nnm_set_shape(inference, node, i, shape->rank, dims, error));
  }
  if (left) return nnm_fail_node(inference, node, error, "has sizes that do not add up to %lld", (long long)whole);
  return NNM_OK;
}

nnm_status nnm_rule_transpose(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const int64_t *order;
  size_t count;
  nnm_found found = nnm_find_ints(inference, node, "perm", 1, &order, &count);
  if (found == NNM_DEPENDS_ON_DATA) return NNM_OK;
  if (found == NNM_KNOWN && count != (size_t)shape->rank)
    return nnm_fail_node(inference, node, error, "permutes %zu axes of an input of %d dimensions", count,
                         (int)shape->rank);
  int64_t dims[NNM_LIMIT_RANK];
  uint32_t seen = 0;
  for (int32_t i = 0; i < shape->rank; i++) {
    int32_t from = shape->rank - 1 - i;
    if (found == NNM_KNOWN && !nnm_resolve_axis(order[i], shape->rank, &from))
      return fail_axis(inference, node, order[i], shape->rank, error);
    if (seen >> from & 1) return nnm_fail_node(inference, node, error, "has axis %d twice in perm", (int)from);
    seen |= 1u << from;
    dims[i] = shape->dims[from];
  }
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

nnm_status nnm_rule_expand(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *wanted;
  size_t count;
  if (!shape || nnm_find_ints(inference, node, "shape", 1, &wanted, &count) != NNM_KNOWN) return NNM_OK;
  if (count > NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "makes a tensor of more than %d dimensions", NNM_LIMIT_RANK);
  nnm_shape target = {(int32_t)count, wanted};
  int64_t dims[NNM_LIMIT_RANK];
  int32_t rank;
  if (!nnm_broadcast_dims(shape, &target, dims, &rank)) {
    char from[NNM_SHAPE_TEXT], to[NNM_SHAPE_TEXT];
    return nnm_fail_node(inference, node, error, "cannot widen %s to %s", nnm_shape_text(shape, from, sizeof from),
                         nnm_shape_text(&target, to, sizeof to));
  }
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

nnm_status nnm_rule_tile(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *repeats;
  size_t count;
  if (!shape || nnm_find_ints(inference, node, "repeats", 1, &repeats, &count) != NNM_KNOWN) return NNM_OK;
  if (count != (size_t)shape->rank)
    return nnm_fail_node(inference, node, error, "has %zu repeats for %d dimensions", count, (int)shape->rank);
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0; i < shape->rank; i++)
    if (!nnm_multiply_i64(shape->dims[i], repeats[i], &dims[i]))
      return nnm_fail_node(inference, node, error, "repeats dimension %d %lld times", (int)i, (long long)repeats[i]);
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

/* pads: begins of all axes (or of those in `axes`), then ends. TensorFlow lists pairs, one row an axis. */
nnm_status nnm_rule_pad(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const int64_t *pads, *axes;
  size_t count, axis_count;
  bool in_rows = nnm_has_input(node, 1) && nnm_shape_of_input(inference, node, 1) &&
                 nnm_shape_of_input(inference, node, 1)->rank == 2 &&
                 nnm_shape_of_input(inference, node, 1)->dims[0] != 1;
  const char *name = nnm_find_attribute(node, "paddings") ? "paddings" : "pads"; /* paddings: ONNX opset 1 */
  if (nnm_find_ints(inference, node, name, 1, &pads, &count) != NNM_KNOWN) return NNM_OK;
  nnm_found found = nnm_find_ints(inference, node, NULL, 3, &axes, &axis_count);
  if (found == NNM_DEPENDS_ON_DATA) return NNM_OK;
  size_t padded = found == NNM_KNOWN ? axis_count : (size_t)shape->rank;
  if (count != 2 * padded)
    return nnm_fail_node(inference, node, error, "has %zu pads for %zu dimensions", count, padded);
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  for (size_t i = 0; i < padded; i++) {
    int32_t axis = (int32_t)i;
    if (found == NNM_KNOWN && !nnm_resolve_axis(axes[i], shape->rank, &axis))
      return fail_axis(inference, node, axes[i], shape->rank, error);
    int64_t begin = pads[in_rows ? 2 * i : i], end = pads[in_rows ? 2 * i + 1 : i + padded];
    if (!nnm_add_i64(dims[axis], begin, &dims[axis]) || !nnm_add_i64(dims[axis], end, &dims[axis]))
      return nnm_fail_node(inference, node, error, "has pads that overflow");
  }
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

static nnm_status set_image(nnm_inference *inference, const nnm_node *node, const nnm_shape *shape, int64_t channels,
                            int64_t height, int64_t width, nnm_error *error) {
  bool last = node->layout == NNM_CHANNELS_LAST;
  int64_t first[4] = {shape->dims[0], channels, height, width};
  int64_t channels_last[4] = {shape->dims[0], height, width, channels};
  return nnm_set_shape(inference, node, 0, 4, last ? channels_last : first, error);
}

/* Both directions need 4 dimensions and a block that divides. */
static nnm_status blocks(nnm_inference *inference, const nnm_node *node, bool to_space, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int64_t block = nnm_attribute_int(node, "blocksize", nnm_attribute_int(node, "block_size", 0)), area;
  if (shape->rank != 4 || block < 1 || block > NNM_LIMIT_FOLDED_ELEMENTS)
    return nnm_fail_node(inference, node, error, "needs an input of 4 dimensions and a block size");
  area = block * block;
  bool last = node->layout == NNM_CHANNELS_LAST;
  int64_t channels = shape->dims[last ? 3 : 1], height = shape->dims[last ? 1 : 2], width = shape->dims[last ? 2 : 3];
  bool divides = to_space ? channels % area == 0 : height % block == 0 && width % block == 0;
  if (!divides)
    return nnm_fail_node(inference, node, error, "has block size %lld, which does not divide its input",
                         (long long)block);
  if (to_space) return set_image(inference, node, shape, channels / area, height * block, width * block, error);
  if (!nnm_multiply_i64(channels, area, &channels))
    return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
  return set_image(inference, node, shape, channels, height / block, width / block, error);
}

nnm_status nnm_rule_depth_to_space(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return blocks(inference, node, true, error);
}
nnm_status nnm_rule_space_to_depth(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return blocks(inference, node, false, error);
}
