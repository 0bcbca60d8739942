/* Images at another size, and other operators whose output size is given in numbers. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

/* Factors by axis, given as an input or (Upsample below opset 9) as an attribute. */
static nnm_found find_scales(nnm_inference *inference, const nnm_node *node, uint32_t input, double *scales,
                             size_t *count) {
  *count = 0;
  const nnm_attribute *attribute = nnm_find_attribute(node, "scales");
  if (attribute && attribute->kind == NNM_ATTRIBUTE_FLOATS && attribute->count <= NNM_LIMIT_RANK) {
    *count = attribute->count;
    if (*count) memcpy(scales, attribute->as.numbers, *count * sizeof *scales);
    return NNM_KNOWN;
  }
  const nnm_shape *shape = nnm_shape_of_input(inference, node, input);
  if (!nnm_has_input(node, input) || (shape && nnm_shape_elements(*shape) == 0)) return NNM_ABSENT;
  const nnm_value *value = nnm_input_value(inference, node, input);
  if (!value || value->count > NNM_LIMIT_RANK) return NNM_DEPENDS_ON_DATA;
  for (size_t i = 0; i < value->count; i++) scales[i] = nnm_value_float(value, i);
  *count = value->count;
  return *count ? NNM_KNOWN : NNM_ABSENT;
}

/* The axes that scales or sizes speak of: all, or those of the attribute. */
static nnm_status find_resized_axes(const nnm_inference *inference, const nnm_node *node, int32_t rank, size_t given,
                                    int32_t *axes, nnm_error *error) {
  size_t count;
  const int64_t *listed = nnm_attribute_ints(node, "axes", &count);
  if (given != (count ? count : (size_t)rank))
    return nnm_fail_node(inference, node, error, "has %zu numbers for %zu axes", given, count ? count : (size_t)rank);
  for (size_t i = 0; i < given; i++) {
    axes[i] = (int32_t)i;
    if (count && !nnm_resolve_axis(listed[i], rank, &axes[i]))
      return nnm_fail_node(inference, node, error, "has axis %lld for an input of %d dimensions", (long long)listed[i],
                           (int)rank);
  }
  return NNM_OK;
}

/* The runtimes compute sizes in single precision, and cut. */
static nnm_status scale_shape(nnm_inference *inference, const nnm_node *node, const nnm_shape *shape,
                              const double *scales, size_t count, nnm_error *error) {
  int32_t axes[NNM_LIMIT_RANK];
  int64_t dims[NNM_LIMIT_RANK];
  NNM_TRY(find_resized_axes(inference, node, shape->rank, count, axes, error));
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  const nnm_value *region = NULL;
  if (!strcmp(nnm_attribute_text(node, "coordinate_transformation_mode", ""), "tf_crop_and_resize"))
    region = nnm_input_value(inference, node, 1);
  for (size_t i = 0; i < count; i++) {
    float size = (float)shape->dims[axes[i]] * (float)scales[i];
    if (region && region->count == 2 * count)
      size = (float)floor((double)shape->dims[axes[i]] *
                          (nnm_value_float(region, i + count) - nnm_value_float(region, i)) * scales[i]);
    if (!(size >= 0 && size < (float)NNM_LIMIT_DIMENSION))
      return nnm_fail_node(inference, node, error, "scales a dimension of %lld by %g", (long long)shape->dims[axes[i]],
                           scales[i]);
    dims[axes[i]] = (int64_t)size;
  }
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

static nnm_status size_shape(nnm_inference *inference, const nnm_node *node, const nnm_shape *shape,
                             const int64_t *sizes, size_t count, nnm_error *error) {
  int32_t axes[NNM_LIMIT_RANK];
  int64_t dims[NNM_LIMIT_RANK];
  if (count > NNM_LIMIT_RANK) return nnm_fail_node(inference, node, error, "has %zu sizes", count);
  NNM_TRY(find_resized_axes(inference, node, shape->rank, count, axes, error));
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  const char *policy = nnm_attribute_text(node, "keep_aspect_ratio_policy", "stretch");
  bool smallest = !strcmp(policy, "not_larger"), largest = !strcmp(policy, "not_smaller");
  if (!smallest && !largest && strcmp(policy, "stretch") != 0)
    return nnm_fail_node(inference, node, error,
                         "has keep_aspect_ratio_policy '%.40s'; export it with stretch, not_larger or not_smaller",
                         policy);
  double scale = smallest ? INFINITY : 0;
  for (size_t i = 0; i < count; i++) {
    double own = (double)sizes[i] / (double)shape->dims[axes[i]];
    scale = smallest ? fmin(scale, own) : fmax(scale, own);
  }
  for (size_t i = 0; i < count; i++) {
    double kept = floor((double)shape->dims[axes[i]] * scale + 0.5);
    dims[axes[i]] = sizes[i];
    if ((smallest || largest) && kept >= 0 && kept < (double)NNM_LIMIT_DIMENSION) dims[axes[i]] = (int64_t)kept;
  }
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

/* Opset 10 has (image, scales); later ones (image, region, scales, sizes). */
nnm_status nnm_rule_resize(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  double scales[NNM_LIMIT_RANK];
  size_t count;
  const int64_t *sizes;
  bool early = inference->graph->opset == 10 || (node->input_count == 2 && !nnm_find_attribute(node, "scales"));
  nnm_found found = nnm_find_ints(inference, node, NULL, early ? -1 : 3, &sizes, &count);
  if (found == NNM_DEPENDS_ON_DATA) return NNM_OK;
  if (found == NNM_KNOWN && count) return size_shape(inference, node, shape, sizes, count, error);
  if (find_scales(inference, node, early ? 1 : 2, scales, &count) != NNM_KNOWN) return NNM_OK;
  return scale_shape(inference, node, shape, scales, count, error);
}

nnm_status nnm_rule_upsample(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  double scales[NNM_LIMIT_RANK];
  size_t count;
  if (!shape) return NNM_OK;
  if (find_scales(inference, node, 1, scales, &count) == NNM_KNOWN)
    return scale_shape(inference, node, shape, scales, count, error);
  if (shape->rank != 4 || !nnm_find_attribute(node, "height_scale")) return NNM_OK;
  double early[4] = {1, 1, nnm_attribute_float(node, "height_scale", 1), nnm_attribute_float(node, "width_scale", 1)};
  return scale_shape(inference, node, shape, early, 4, error);
}

/* TensorFlow's resizing: an image channels last, and its new height and width. */
nnm_status nnm_rule_resize_to(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *size;
  size_t count;
  if (!shape || nnm_find_ints(inference, node, "size", 1, &size, &count) != NNM_KNOWN) return NNM_OK;
  if (shape->rank != 4 || count != 2)
    return nnm_fail_node(inference, node, error, "needs an image of 4 dimensions and a height and a width");
  bool first = node->layout == NNM_CHANNELS_FIRST && nnm_find_attribute(node, "data_format") != NULL;
  int64_t last_dims[4] = {shape->dims[0], size[0], size[1], shape->dims[3]};
  int64_t first_dims[4] = {shape->dims[0], shape->dims[1], size[0], size[1]};
  return nnm_set_shape(inference, node, 0, 4, first ? first_dims : last_dims, error);
}

/* Batch and channels of the image, spatial dims of the grid. */
nnm_status nnm_rule_grid_sample(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *image = nnm_shape_of_input(inference, node, 0), *grid = nnm_shape_of_input(inference, node, 1);
  if (!image || !grid) return NNM_OK;
  if (image->rank < 3 || grid->rank != image->rank)
    return nnm_fail_node(inference, node, error, "needs an image and a grid of equally many dimensions");
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, image->dims, 2 * sizeof *dims);
  memcpy(dims + 2, grid->dims + 1, (size_t)(image->rank - 2) * sizeof *dims);
  return nnm_set_shape(inference, node, 0, image->rank, dims, error);
}

/* size is the image's (batch, channels, spatial); the grid holds one position for each pixel. */
nnm_status nnm_rule_affine_grid(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const int64_t *size;
  size_t count;
  if (nnm_find_ints(inference, node, NULL, 1, &size, &count) != NNM_KNOWN) return NNM_OK;
  if (count != 4 && count != 5) return nnm_fail_node(inference, node, error, "needs a size of 4 or 5 numbers");
  int64_t dims[NNM_LIMIT_RANK] = {size[0]};
  memcpy(dims + 1, size + 2, (count - 2) * sizeof *dims);
  dims[count - 1] = (int64_t)count - 2;
  return nnm_set_shape(inference, node, 0, (int32_t)count, dims, error);
}

nnm_status nnm_rule_center_crop_pad(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *wanted;
  size_t count;
  if (!shape || nnm_find_ints(inference, node, NULL, 1, &wanted, &count) != NNM_KNOWN) return NNM_OK;
  return count <= NNM_LIMIT_RANK ? size_shape(inference, node, shape, wanted, count, error) : NNM_OK;
}

/* Columns of blocks become an image again: (batch, channels * block, positions). */
nnm_status nnm_rule_col2im(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *image, *block;
  size_t image_count, block_count;
  int64_t area;
  if (!shape || nnm_find_ints(inference, node, NULL, 1, &image, &image_count) != NNM_KNOWN ||
      nnm_find_ints(inference, node, NULL, 2, &block, &block_count) != NNM_KNOWN)
    return NNM_OK;
  if (shape->rank != 3 || image_count + 2 > NNM_LIMIT_RANK || !nnm_multiply_dims(block, block_count, &area) || !area)
    return nnm_fail_node(inference, node, error, "needs an input of 3 dimensions, an image size and a block size");
  int64_t dims[NNM_LIMIT_RANK] = {shape->dims[0], shape->dims[1] / area};
  memcpy(dims + 2, image, image_count * sizeof *dims);
  return nnm_set_shape(inference, node, 0, (int32_t)image_count + 2, dims, error);
}

nnm_status nnm_rule_one_hot(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *indices = nnm_shape_of_input(inference, node, 0);
  const int64_t *depth;
  size_t count;
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 2));
  if (!indices || nnm_find_ints(inference, node, "depth", 1, &depth, &count) != NNM_KNOWN || count != 1) return NNM_OK;
  int32_t axis;
  if (indices->rank >= NNM_LIMIT_RANK ||
      !nnm_resolve_axis(nnm_attribute_int(node, "axis", -1), indices->rank + 1, &axis))
    return nnm_fail_node(inference, node, error, "has axis %lld for indices of %d dimensions",
                         (long long)nnm_attribute_int(node, "axis", -1), (int)indices->rank);
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0; i <= indices->rank; i++) dims[i] = i == axis ? depth[0] : indices->dims[i > axis ? i - 1 : i];
  return nnm_set_shape(inference, node, 0, indices->rank + 1, dims, error);
}

/* Windows of `size` every `step` along one dimension, each as a new last dimension. */
nnm_status nnm_rule_unfold(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int32_t axis;
  int64_t size = nnm_attribute_int(node, "size", 0), step = nnm_attribute_int(node, "step", 1);
  if (shape->rank >= NNM_LIMIT_RANK || !nnm_resolve_axis(nnm_attribute_int(node, "dim", -1), shape->rank, &axis) ||
      size < 1 || step < 1 || size > shape->dims[axis])
    return nnm_fail_node(inference, node, error, "has windows of %lld every %lld elements, which do not fit",
                         (long long)size, (long long)step);
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  dims[axis] = (shape->dims[axis] - size) / step + 1;
  dims[shape->rank] = size;
  return nnm_set_shape(inference, node, 0, shape->rank + 1, dims, error);
}
