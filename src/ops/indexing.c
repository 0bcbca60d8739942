/* Operators that pick elements: slices, gathers, selections that depend on data. */
#include "ops/indexing.h"

#include <string.h>

#include "base/checked.h"

static nnm_status fail_axis(const nnm_inference *inference, const nnm_node *node, int64_t axis, int32_t rank,
                            nnm_error *error) {
  return nnm_fail_node(inference, node, error, "has axis %lld for an input of %d dimensions", (long long)axis,
                       (int)rank);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
  return value < low ? low : value > high ? high : value;
}

/* One axis: negative bounds count from the end, and everything is clamped to the axis. */
static void bound_axis(nnm_slice *slice, int32_t axis, int64_t size, int64_t start, int64_t end, int64_t step) {
  if (start < 0) start = start < -size ? -1 : start + size;
  /* the highest numbers mean "to the end", which is the front when going backwards */
  if (end == INT32_MAX || end == INT64_MAX) end = step > 0 ? size : -1;
  else if (end < 0) end = end < -size ? -1 : end + size;
  if (step > 0) {
    start = clamp(start, 0, size);
    end = clamp(end, 0, size);
    slice->length[axis] = end > start ? (end - start - 1) / step + 1 : 0;
  } else {
    start = clamp(start, 0, size - 1); /* backwards, a start in front of the axis still takes the first element */
    end = clamp(end, -1, size - 1);
    /* step may be the lowest number there is: divide by it rather than negate it */
    slice->length[axis] = size && start > end ? (end - start + 1) / step + 1 : 0;
  }
  slice->start[axis] = clamp(start, 0, size);
  slice->step[axis] = step;
}

static nnm_status apply_bounds(nnm_inference *inference, const nnm_node *node, const nnm_shape *shape,
                               const int64_t *axes, const int64_t *starts, const int64_t *ends, const int64_t *steps,
                               size_t count, nnm_slice *out, nnm_error *error) {
  for (size_t i = 0; i < count; i++) {
    int32_t axis = (int32_t)i;
    if (axes ? !nnm_resolve_axis(axes[i], shape->rank, &axis) : i >= (size_t)shape->rank)
      return fail_axis(inference, node, axes ? axes[i] : (int64_t)i, shape->rank, error);
    int64_t step = steps ? steps[i] : 1;
    if (!step) return nnm_fail_node(inference, node, error, "has a step of 0");
    bound_axis(out, axis, shape->dims[axis], starts[i], ends[i], step);
  }
  return NNM_OK;
}

nnm_status nnm_slice_ranges(nnm_inference *inference, const nnm_node *node, nnm_slice *out, bool *known,
                            nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const int64_t *axes, *starts, *ends, *steps;
  size_t axis_count, count, end_count, step_count;
  nnm_found found_axes = nnm_find_ints(inference, node, "axes", 3, &axes, &axis_count);
  nnm_found found_starts = nnm_find_ints(inference, node, "starts", 1, &starts, &count);
  nnm_found found_ends = nnm_find_ints(inference, node, "ends", 2, &ends, &end_count);
  nnm_found found_steps = nnm_find_ints(inference, node, "steps", 4, &steps, &step_count);
  if (found_starts == NNM_ABSENT || found_ends == NNM_ABSENT) return NNM_OK;
  for (int32_t i = 0; i < shape->rank; i++) out->start[i] = 0, out->step[i] = 1, out->length[i] = shape->dims[i];
  out->is_bound = found_axes != NNM_DEPENDS_ON_DATA && found_starts == NNM_KNOWN && found_ends == NNM_KNOWN &&
                  found_steps != NNM_DEPENDS_ON_DATA;
  *known = true;
  if (!out->is_bound) return NNM_OK;
  if (end_count != count || (axes && axis_count != count) || (steps && step_count != count))
    return nnm_fail_node(inference, node, error, "has %zu starts, %zu ends, %zu axes and %zu steps", count, end_count,
                         axis_count, step_count);
  return apply_bounds(inference, node, shape, found_axes == NNM_KNOWN ? axes : NULL, starts, ends,
                      found_steps == NNM_KNOWN ? steps : NULL, count, out, error);
}

nnm_status nnm_rule_slice(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_slice slice;
  bool known = false;
  NNM_TRY(nnm_slice_ranges(inference, node, &slice, &known, error));
  if (!known) return NNM_OK;
  if (!slice.is_bound) {
    nnm_mark_guessed(inference, node, 0);
    NNM_TRY(nnm_note_node(inference, node, error, "where it cuts depends on the input data; nothing cut off assumed"));
  }
  return nnm_set_shape(inference, node, 0, nnm_shape_of_input(inference, node, 0)->rank, slice.length, error);
}

/* TensorFlow's Slice: where it begins, and how many elements; -1: all that are left. */
nnm_status nnm_rule_slice_by_size(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *begin, *size;
  size_t begins, sizes;
  nnm_found found_begin = nnm_find_ints(inference, node, NULL, 1, &begin, &begins);
  nnm_found found_size = nnm_find_ints(inference, node, NULL, 2, &size, &sizes);
  if (!shape || found_size == NNM_ABSENT || found_begin == NNM_ABSENT) return NNM_OK;
  if ((found_size == NNM_KNOWN && sizes != (size_t)shape->rank) ||
      (found_begin == NNM_KNOWN && begins != (size_t)shape->rank))
    return nnm_fail_node(inference, node, error, "has %zu sizes for %d dimensions", sizes, (int)shape->rank);
  bool sized = found_size == NNM_KNOWN, guessed = !sized;
  int64_t dims[NNM_LIMIT_RANK];
  for (int32_t i = 0; i < shape->rank; i++) {
    int64_t start = found_begin == NNM_KNOWN ? begin[i] : 0;
    dims[i] = sized && size[i] != -1 ? size[i] : shape->dims[i] - start;
    guessed = guessed || (sized && size[i] == -1 && found_begin != NNM_KNOWN);
    if (start < 0 || start > shape->dims[i] || dims[i] < 0 || dims[i] > shape->dims[i] - start)
      return nnm_fail_node(inference, node, error, "takes %lld elements from %lld on of dimension %d, which is %lld",
                           (long long)dims[i], (long long)start, (int)i, (long long)shape->dims[i]);
  }
  if (guessed) {
    nnm_mark_guessed(inference, node, 0);
    NNM_TRY(nnm_note_node(inference, node, error, "where it cuts depends on the input data; nothing cut off assumed"));
  }
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

/* TensorFlow's masks: bit i of begin_mask, end_mask: no bound; shrink_axis_mask: one element, axis dropped;
 * new_axis_mask: a 1 inserted; ellipsis_mask: all axes not spoken of. */
typedef struct slice_masks {
  int64_t begin, end, shrink, added, ellipsis;
  bool ends_are_sizes; /* TFLite's "offset": counted from the start */
} slice_masks;

static slice_masks masks_of(const nnm_node *node) {
  return (slice_masks){nnm_attribute_int(node, "begin_mask", 0),       nnm_attribute_int(node, "end_mask", 0),
                       nnm_attribute_int(node, "shrink_axis_mask", 0), nnm_attribute_int(node, "new_axis_mask", 0),
                       nnm_attribute_int(node, "ellipsis_mask", 0),    nnm_attribute_int(node, "offset", 0) != 0};
}

static void cut_axis(nnm_slice *cut, const slice_masks *masks, size_t i, int32_t axis, int64_t size, int64_t start,
                     int64_t end, int64_t step) {
  if (masks->shrink >> i & 1) {
    cut->start[axis] = clamp(start < 0 ? start + size : start, 0, size ? size - 1 : 0);
    cut->length[axis] = 1;
    return;
  }
  if (masks->ends_are_sizes && !nnm_add_i64(start, end, &end)) end = INT64_MAX;
  if (masks->begin >> i & 1) start = step > 0 ? 0 : INT64_MAX;
  if (masks->end >> i & 1) end = step > 0 ? INT64_MAX : INT64_MIN;
  bound_axis(cut, axis, size, start, end, step);
}

static void add_axis(nnm_strided_cut *out, int32_t source, int64_t dim) {
  out->source[out->rank] = source;
  out->dims[out->rank++] = dim;
}

/* Axes that entry i, an ellipsis, stands for. */
static size_t axes_of_ellipsis(const slice_masks *masks, size_t count, int32_t rank) {
  size_t spoken = 0;
  for (size_t i = 0; i < count; i++) spoken += (size_t)(!(masks->ellipsis >> i & 1) && !(masks->added >> i & 1));
  return spoken < (size_t)rank ? (size_t)rank - spoken : 0;
}

static nnm_status cut_axes(nnm_inference *inference, const nnm_node *node, const nnm_shape *shape,
                           const int64_t *starts, const int64_t *ends, const int64_t *steps, size_t count,
                           nnm_strided_cut *out, nnm_error *error) {
  slice_masks masks = masks_of(node);
  int32_t axis = 0;
  for (int32_t i = 0; i < shape->rank; i++)
    out->cut.start[i] = 0, out->cut.step[i] = 1, out->cut.length[i] = shape->dims[i];
  for (size_t i = 0; i < count; i++) {
    if (masks.ellipsis >> i & 1) {
      for (size_t skip = axes_of_ellipsis(&masks, count, shape->rank); skip > 0 && axis < shape->rank; skip--, axis++)
        add_axis(out, axis, shape->dims[axis]);
      continue;
    }
    if (masks.added >> i & 1) {
      add_axis(out, -1, 1);
      continue;
    }
    if (axis >= shape->rank) return fail_axis(inference, node, axis, shape->rank, error);
    int64_t step = steps ? steps[i] : 1;
    if (!step) return nnm_fail_node(inference, node, error, "has a step of 0");
    cut_axis(&out->cut, &masks, i, axis, shape->dims[axis], starts[i], ends[i], step);
    if (!(masks.shrink >> i & 1)) add_axis(out, axis, out->cut.length[axis]);
    axis++;
  }
  for (; axis < shape->rank; axis++) add_axis(out, axis, shape->dims[axis]);
  return NNM_OK;
}

nnm_status nnm_strided_cut_of(nnm_inference *inference, const nnm_node *node, nnm_strided_cut *out, bool *known,
                              nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *starts, *ends, *steps;
  size_t count, end_count, step_count;
  if (!shape || nnm_find_ints(inference, node, "begin", 1, &starts, &count) != NNM_KNOWN ||
      nnm_find_ints(inference, node, "end", 2, &ends, &end_count) != NNM_KNOWN)
    return NNM_OK;
  nnm_found found_steps = nnm_find_ints(inference, node, "strides", 3, &steps, &step_count);
  if (found_steps == NNM_DEPENDS_ON_DATA || count != end_count || (found_steps == NNM_KNOWN && step_count != count) ||
      count > NNM_LIMIT_RANK)
    return NNM_OK;
  NNM_TRY(cut_axes(inference, node, shape, starts, ends, found_steps == NNM_KNOWN ? steps : NULL, count, out, error));
  *known = true;
  return NNM_OK;
}

/* Where it cuts is not known: axes that are dropped, or kept whole, still are. */
static nnm_status guess_strided_slice(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0), *listed = nnm_shape_of_input(inference, node, 1);
  nnm_strided_cut cut = {.rank = 0};
  int64_t zeros[NNM_LIMIT_RANK] = {0}, ends[NNM_LIMIT_RANK];
  if (!shape || !listed || listed->rank != 1 || listed->dims[0] > NNM_LIMIT_RANK) return NNM_OK;
  for (int i = 0; i < NNM_LIMIT_RANK; i++) ends[i] = INT64_MAX;
  NNM_TRY(cut_axes(inference, node, shape, zeros, ends, NULL, (size_t)listed->dims[0], &cut, error));
  nnm_mark_guessed(inference, node, 0);
  NNM_TRY(nnm_note_node(inference, node, error, "where it cuts depends on the input data; nothing cut off assumed"));
  return nnm_set_shape(inference, node, 0, cut.rank, cut.dims, error);
}

nnm_status nnm_rule_strided_slice(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_strided_cut cut = {.rank = 0};
  bool known = false;
  NNM_TRY(nnm_strided_cut_of(inference, node, &cut, &known, error));
  if (!known) return guess_strided_slice(inference, node, error);
  return nnm_set_shape(inference, node, 0, cut.rank, cut.dims, error);
}

nnm_status nnm_rule_gather(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *data = nnm_shape_of_input(inference, node, 0), *indices = nnm_shape_of_input(inference, node, 1);
  if (!data || !indices) return NNM_OK;
  int32_t axis;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), data->rank, &axis))
    return fail_axis(inference, node, nnm_attribute_int(node, "axis", 0), data->rank, error);
  int64_t batch = nnm_attribute_int(node, "batch_dims", 0), dims[2 * NNM_LIMIT_RANK]; /* TensorFlow's */
  int32_t rank = 0;
  if (batch < 0) batch += indices->rank;
  if (batch < 0 || batch > axis || batch > indices->rank)
    return nnm_fail_node(inference, node, error, "has %lld batch dimensions for axis %d", (long long)batch, (int)axis);
  for (int32_t i = 0; i < axis; i++) dims[rank++] = data->dims[i];
  for (int32_t i = (int32_t)batch; i < indices->rank; i++) dims[rank++] = indices->dims[i];
  for (int32_t i = axis + 1; i < data->rank; i++) dims[rank++] = data->dims[i];
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

nnm_status nnm_rule_gather_elements(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  const nnm_shape *indices = nnm_shape_of_input(inference, node, 1);
  if (indices) nnm_share_shape(inference, node, 0, indices);
  return NNM_OK;
}

nnm_status nnm_rule_gather_nd(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *data = nnm_shape_of_input(inference, node, 0), *indices = nnm_shape_of_input(inference, node, 1);
  if (!data || !indices) return NNM_OK;
  int64_t batch = nnm_attribute_int(node, "batch_dims", 0);
  int64_t depth = indices->rank ? indices->dims[indices->rank - 1] : -1;
  if (batch < 0 || depth < 0 || batch >= indices->rank || depth > data->rank - batch)
    return nnm_fail_node(inference, node, error, "has indices of %lld numbers into %d dimensions", (long long)depth,
                         (int)data->rank);
  int64_t dims[2 * NNM_LIMIT_RANK];
  int32_t rank = 0;
  for (int32_t i = 0; i < indices->rank - 1; i++) dims[rank++] = indices->dims[i];
  for (int32_t i = (int32_t)(batch + depth); i < data->rank; i++) dims[rank++] = data->dims[i];
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

/* The table is packed: with 4 bits an element, two to a byte along its last axis. */
nnm_status nnm_rule_gather_block_quantized(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *data = nnm_shape_of_input(inference, node, 0), *indices = nnm_shape_of_input(inference, node, 1);
  if (!data || !indices || data->rank < 1) return NNM_OK;
  int64_t dims[2 * NNM_LIMIT_RANK];
  int32_t rank = 0, axis;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "gather_axis", 0), data->rank, &axis))
    return fail_axis(inference, node, nnm_attribute_int(node, "gather_axis", 0), data->rank, error);
  for (int32_t i = 0; i < axis; i++) dims[rank++] = data->dims[i];
  for (int32_t i = 0; i < indices->rank; i++) dims[rank++] = indices->dims[i];
  for (int32_t i = axis + 1; i < data->rank; i++) dims[rank++] = data->dims[i];
  bool packed = nnm_input_dtype(inference, node, 0) == NNM_DTYPE_U8 && nnm_attribute_int(node, "bits", 4) == 4;
  if (packed && axis < data->rank - 1) dims[rank - 1] *= 2;
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 2));
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

/* ------------------------------------------------------- results that depend on data */

/* The true entries of a condition, or -1 when its value is unknown. */
static int64_t count_true(nnm_inference *inference, const nnm_value *value, size_t limit) {
  if (!value || (int64_t)value->count > inference->budget) return -1;
  inference->budget -= (int64_t)value->count / 8;
  int64_t count = 0;
  for (size_t i = 0; i < value->count && i < limit; i++) count += nnm_value_float(value, i) != 0;
  return count;
}

nnm_status nnm_rule_non_zero(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  int64_t found = count_true(inference, nnm_input_value(inference, node, 0), SIZE_MAX);
  if (found < 0) {
    found = nnm_shape_elements(*shape);
    NNM_TRY(nnm_note_node(inference, node, error,
                          "how many elements are not zero depends on the input data; all %lld assumed",
                          (long long)found));
  }
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){shape->rank, found}, error);
}

nnm_status nnm_rule_compress(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const nnm_attribute *axis_attribute = nnm_find_attribute(node, "axis");
  int32_t axis = 0, rank = axis_attribute ? shape->rank : 1;
  int64_t dims[NNM_LIMIT_RANK];
  if (axis_attribute && !nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis))
    return fail_axis(inference, node, nnm_attribute_int(node, "axis", 0), shape->rank, error);
  dims[0] = nnm_shape_elements(*shape);
  if (axis_attribute) memcpy(dims, shape->dims, (size_t)rank * sizeof *dims);
  int64_t found = count_true(inference, nnm_input_value(inference, node, 1), (size_t)dims[axis]);
  if (found < 0)
    NNM_TRY(nnm_note_node(inference, node, error,
                          "how many elements it keeps depends on the input data; all %lld assumed",
                          (long long)dims[axis]));
  else dims[axis] = found;
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

nnm_status nnm_rule_unique(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  const nnm_attribute *axis_attribute = nnm_find_attribute(node, "axis");
  int32_t axis = 0, rank = axis_attribute ? shape->rank : 1;
  int64_t dims[NNM_LIMIT_RANK] = {nnm_shape_elements(*shape)};
  if (axis_attribute && !nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis))
    return fail_axis(inference, node, nnm_attribute_int(node, "axis", 0), shape->rank, error);
  if (axis_attribute) memcpy(dims, shape->dims, (size_t)rank * sizeof *dims);
  NNM_TRY(nnm_note_node(inference, node, error,
                        "how many different elements there are depends on the input data; all %lld assumed",
                        (long long)dims[axis]));
  NNM_TRY(nnm_set_shape(inference, node, 0, rank, dims, error));
  for (uint32_t i = 1; i < 4; i++) { /* first indices, inverse, counts */
    nnm_set_dtype(inference, node, i, NNM_DTYPE_I64);
    NNM_TRY(nnm_set_shape(inference, node, i, 1, &dims[axis], error));
  }
  return NNM_OK;
}

/* Boxes (batch, count, 4) and scores (batch, classes, count) give triples; at most max_output_boxes_per_class of each
 * class. */
nnm_status nnm_rule_non_max_suppression(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *boxes = nnm_shape_of_input(inference, node, 0), *scores = nnm_shape_of_input(inference, node, 1);
  if (!boxes || !scores) return NNM_OK;
  if (boxes->rank != 3 || scores->rank != 3)
    return nnm_fail_node(inference, node, error, "needs boxes and scores of 3 dimensions each");
  int64_t each = 0, total;
  const int64_t *limit;
  size_t count;
  nnm_found found = nnm_find_ints(inference, node, NULL, 2, &limit, &count);
  if (found == NNM_KNOWN && count) each = limit[0] < 0 ? 0 : limit[0];
  if (found == NNM_DEPENDS_ON_DATA || each > boxes->dims[1]) each = boxes->dims[1];
  if (!nnm_multiply_dims((int64_t[]){scores->dims[0], scores->dims[1], each}, 3, &total))
    return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
  if (total)
    NNM_TRY(nnm_note_node(inference, node, error,
                          "how many boxes it keeps depends on the input data; at most %lld, assumed",
                          (long long)total));
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){total, 3}, error);
}
