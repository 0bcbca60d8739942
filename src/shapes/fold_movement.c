/* Making, picking and rearranging the elements of small constants. */
#include <string.h>

#include "base/checked.h"
#include "ops/indexing.h"
#include "shapes/folders.h"
#include "shapes/value.h"

static const nnm_shape *output_shape(const nnm_inference *inference, const nnm_node *node, uint32_t output) {
  return &inference->shapes->tensors[node->outputs[output]];
}

static const nnm_shape *shape_of_input(const nnm_inference *inference, const nnm_node *node, uint32_t input) {
  return &inference->shapes->tensors[node->inputs[input]];
}

static void copy_element(nnm_new_value *to, size_t index, const nnm_value *from, size_t from_index) {
  if (to->numbers) to->numbers[index] = nnm_value_float(from, from_index);
  else to->integers[index] = nnm_value_int(from, from_index);
}

/* ------------------------------------------------------------------ making */

const nnm_value *nnm_fold_constant(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  nnm_new_value made;
  for (uint32_t i = 0; i < node->attribute_count; i++) {
    const nnm_attribute *attribute = &node->attributes[i];
    switch (attribute->kind) {
    case NNM_ATTRIBUTE_TENSOR: return nnm_value_of_constant(inference, attribute->as.tensor);
    case NNM_ATTRIBUTE_INT:
    case NNM_ATTRIBUTE_INTS:
      if (!nnm_start_value(inference, count, false, &made)) return NULL;
      for (size_t j = 0; j < count; j++)
        made.integers[j] = attribute->kind == NNM_ATTRIBUTE_INT ? attribute->as.integer : attribute->as.integers[j];
      return made.value;
    case NNM_ATTRIBUTE_FLOAT:
    case NNM_ATTRIBUTE_FLOATS:
      if (!nnm_start_value(inference, count, true, &made)) return NULL;
      for (size_t j = 0; j < count; j++)
        made.numbers[j] = attribute->kind == NNM_ATTRIBUTE_FLOAT ? attribute->as.number : attribute->as.numbers[j];
      return made.value;
    default: break;
    }
  }
  return NULL;
}

const nnm_value *nnm_fold_shape(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  nnm_new_value made;
  if (!shape || !nnm_start_value(inference, count, false, &made)) return NULL;
  int64_t start = nnm_attribute_int(node, "start", 0);
  if (start < 0) start += shape->rank;
  if (start < 0) start = 0;
  for (size_t i = 0; i < count; i++) made.integers[i] = shape->dims[(size_t)start + i];
  return made.value;
}

const nnm_value *nnm_fold_shapes(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, output);
  nnm_new_value made;
  if (!shape || count != (size_t)shape->rank || !nnm_start_value(inference, count, false, &made)) return NULL;
  for (size_t i = 0; i < count; i++) made.integers[i] = shape->dims[i];
  return made.value;
}

const nnm_value *nnm_fold_rank(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  nnm_new_value made;
  if (!shape || count != 1 || !nnm_start_value(inference, 1, false, &made)) return NULL;
  made.integers[0] = shape->rank;
  return made.value;
}

/* All zeros, or all ones, of the input's shape. */
const nnm_value *nnm_fold_alike(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  nnm_new_value made;
  int one = node->op == NNM_OP_ONES_LIKE;
  bool is_float = nnm_is_float_dtype(inference->shapes->dtypes[node->outputs[output]]);
  if (!nnm_start_value(inference, count, is_float, &made)) return NULL;
  for (size_t i = 0; i < count; i++) {
    if (is_float) made.numbers[i] = one;
    else made.integers[i] = one;
  }
  return made.value;
}

/* Two shapes, as values, broadcast. */
const nnm_value *nnm_fold_broadcast_args(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                         size_t count) {
  (void)output;
  const nnm_value *a = nnm_input_value(inference, node, 0), *b = nnm_input_value(inference, node, 1);
  nnm_new_value made;
  if (a->count > count || b->count > count || !nnm_start_value(inference, count, false, &made)) return NULL;
  for (size_t i = 0; i < count; i++) {
    int64_t x = i + a->count < count ? 1 : nnm_value_int(a, i + a->count - count);
    int64_t y = i + b->count < count ? 1 : nnm_value_int(b, i + b->count - count);
    made.integers[i] = x == 1 ? y : x;
  }
  return made.value;
}

const nnm_value *nnm_fold_size(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  nnm_new_value made;
  if (!shape || count != 1 || !nnm_start_value(inference, 1, false, &made)) return NULL;
  made.integers[0] = nnm_shape_elements(*shape);
  return made.value;
}

const nnm_value *nnm_fold_sequence_length(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                          size_t count) {
  (void)output;
  const nnm_sequence *sequence = nnm_input_sequence(inference, node, 0);
  nnm_new_value made;
  if (!sequence || sequence->count < 0 || count != 1 || !nnm_start_value(inference, 1, false, &made)) return NULL;
  made.integers[0] = sequence->count;
  return made.value;
}

const nnm_value *nnm_fold_constant_of_shape(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                            size_t count) {
  const nnm_attribute *attribute = nnm_find_attribute(node, "value");
  bool given = attribute && attribute->kind == NNM_ATTRIBUTE_TENSOR;
  bool is_float = nnm_is_float_dtype(inference->shapes->dtypes[node->outputs[output]]);
  nnm_new_value made;
  int64_t integer = 0;
  double number = 0;
  const nnm_value *filling = nnm_input_value(inference, node, 1); /* TensorFlow's Fill */
  if (filling && filling->count != 1) return NULL;
  if (filling) integer = nnm_value_int(filling, 0), number = nnm_value_float(filling, 0);
  else if (given && !(is_float ? nnm_constant_float(attribute->as.tensor, 0, &number)
                               : nnm_constant_int(attribute->as.tensor, 0, &integer)))
    return NULL;
  if (!nnm_start_value(inference, count, is_float, &made)) return NULL;
  for (size_t i = 0; i < count; i++) {
    if (is_float) made.numbers[i] = number;
    else made.integers[i] = integer;
  }
  return made.value;
}

const nnm_value *nnm_fold_range(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  const nnm_value *start = nnm_input_value(inference, node, 0);
  const nnm_value *delta = nnm_has_input(node, 2) ? nnm_input_value(inference, node, 2) : NULL;
  nnm_new_value made;
  if (!nnm_start_value(inference, count, start->is_float, &made)) return NULL;
  int64_t integer = nnm_value_int(start, 0), step = delta ? nnm_value_int(delta, 0) : 1;
  double number = nnm_value_float(start, 0), float_step = delta ? nnm_value_float(delta, 0) : 1;
  for (size_t i = 0; i < count; i++) {
    if (made.numbers) made.numbers[i] = number + (double)i * float_step;
    /* the range ends before its limit, so this fits */
    else made.integers[i] = (int64_t)((uint64_t)integer + i * (uint64_t)step);
  }
  return made.value;
}

/* The new shape, the second output, with what -1 stands for; indices are not computed. */
const nnm_value *nnm_fold_sparse_reshape(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                         size_t count) {
  const nnm_value *old = nnm_input_value(inference, node, 1), *shape = nnm_input_value(inference, node, 2);
  nnm_new_value made;
  int64_t elements = 1, others = 1;
  bool fits = true;
  for (size_t i = 0; i < old->count; i++) fits = fits && nnm_multiply_i64(elements, nnm_value_int(old, i), &elements);
  for (size_t i = 0; i < shape->count; i++)
    if (nnm_value_int(shape, i) >= 0) fits = fits && nnm_multiply_i64(others, nnm_value_int(shape, i), &others);
  if (!fits || output != 1 || shape->count != count || !nnm_start_value(inference, count, false, &made)) return NULL;
  for (size_t i = 0; i < count; i++) {
    made.integers[i] = nnm_value_int(shape, i);
    if (made.integers[i] < 0) made.integers[i] = others > 0 ? elements / others : 0;
  }
  return made.value;
}

/* The same elements under another shape. */
const nnm_value *nnm_fold_copy(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  const nnm_value *input = nnm_input_value(inference, node, 0);
  return input->count == count ? input : NULL;
}

/* -------------------------------------------------------------- rearranging */

/* Element [i, j, ...] of the output is element offset + i * stride[0] + j * stride[1] + ... of the input. */
static const nnm_value *copy_strided(nnm_inference *inference, const nnm_value *input, const nnm_shape *shape,
                                     int64_t offset, const int64_t *stride, size_t count) {
  nnm_new_value made;
  int64_t index[NNM_LIMIT_RANK] = {0};
  if (!nnm_start_value(inference, count, input->is_float, &made)) return NULL;
  for (size_t i = 0; i < count; i++) {
    if (offset < 0 || (size_t)offset >= input->count) return NULL;
    copy_element(&made, i, input, (size_t)offset);
    for (int32_t axis = shape->rank; axis-- > 0;) {
      offset += stride[axis];
      if (++index[axis] < shape->dims[axis]) break;
      offset -= stride[axis] * shape->dims[axis];
      index[axis] = 0;
    }
  }
  return made.value;
}

static void strides_of(const nnm_shape *shape, int64_t *stride) {
  int64_t step = 1;
  for (int32_t i = shape->rank; i-- > 0; step *= shape->dims[i]) stride[i] = step;
}

const nnm_value *nnm_fold_slice(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  nnm_slice slice;
  bool known = false;
  if (nnm_slice_ranges(inference, node, &slice, &known, NULL) != NNM_OK || !known || !slice.is_bound) return NULL;
  const nnm_shape *shape = shape_of_input(inference, node, 0);
  int64_t stride[NNM_LIMIT_RANK], offset = 0;
  strides_of(shape, stride);
  for (int32_t i = 0; i < shape->rank; i++) {
    offset += slice.start[i] * stride[i];
    /* with one element the step does not matter, and it may be a huge number */
    stride[i] = slice.length[i] > 1 ? stride[i] * slice.step[i] : 0;
  }
  return copy_strided(inference, nnm_input_value(inference, node, 0), output_shape(inference, node, output), offset,
                      stride, count);
}

const nnm_value *nnm_fold_slice_by_size(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = shape_of_input(inference, node, 0);
  const int64_t *begin;
  size_t begins;
  if (nnm_find_ints(inference, node, NULL, 1, &begin, &begins) != NNM_KNOWN || begins != (size_t)shape->rank)
    return NULL;
  int64_t stride[NNM_LIMIT_RANK], offset = 0;
  strides_of(shape, stride);
  for (int32_t i = 0; i < shape->rank; i++) {
    if (begin[i] < 0 || begin[i] > shape->dims[i]) return NULL;
    offset += begin[i] * stride[i];
  }
  return copy_strided(inference, nnm_input_value(inference, node, 0), output_shape(inference, node, output), offset,
                      stride, count);
}

const nnm_value *nnm_fold_strided_slice(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = shape_of_input(inference, node, 0);
  nnm_strided_cut cut = {.rank = 0};
  bool known = false;
  if (nnm_strided_cut_of(inference, node, &cut, &known, NULL) != NNM_OK || !known ||
      cut.rank != output_shape(inference, node, output)->rank)
    return NULL;
  int64_t stride[NNM_LIMIT_RANK], taken[NNM_LIMIT_RANK], offset = 0;
  strides_of(shape, stride);
  for (int32_t i = 0; i < shape->rank; i++) offset += cut.cut.start[i] * stride[i];
  for (int32_t i = 0; i < cut.rank; i++) {
    int32_t source = cut.source[i];
    /* with one element the step does not matter, and it may be a huge number */
    taken[i] = source >= 0 && cut.cut.length[source] > 1 ? stride[source] * cut.cut.step[source] : 0;
  }
  return copy_strided(inference, nnm_input_value(inference, node, 0), output_shape(inference, node, output), offset,
                      taken, count);
}

/* Output i is what stands at i along the axis, which is gone. */
const nnm_value *nnm_fold_unpack(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = shape_of_input(inference, node, 0), *result = output_shape(inference, node, output);
  int32_t axis;
  int64_t stride[NNM_LIMIT_RANK], left[NNM_LIMIT_RANK];
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis) || output >= shape->dims[axis] ||
      result->rank != shape->rank - 1)
    return NULL;
  strides_of(shape, stride);
  for (int32_t i = 0, rank = 0; i < shape->rank; i++)
    if (i != axis) left[rank++] = stride[i];
  return copy_strided(inference, nnm_input_value(inference, node, 0), result, output * stride[axis], left, count);
}

const nnm_value *nnm_fold_split(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = shape_of_input(inference, node, 0);
  int32_t axis;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis)) return NULL;
  int64_t stride[NNM_LIMIT_RANK], start = 0;
  strides_of(shape, stride);
  for (uint32_t i = 0; i < output; i++) {
    if (node->outputs[i] < 0) return NULL;
    start += output_shape(inference, node, i)->dims[axis];
  }
  return copy_strided(inference, nnm_input_value(inference, node, 0), output_shape(inference, node, output),
                      start * stride[axis], stride, count);
}

const nnm_value *nnm_fold_transpose(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = shape_of_input(inference, node, 0);
  const int64_t *order;
  size_t order_count;
  nnm_found found = nnm_find_ints(inference, node, "perm", 1, &order, &order_count);
  if (found == NNM_DEPENDS_ON_DATA) return NULL;
  int64_t stride[NNM_LIMIT_RANK], permuted[NNM_LIMIT_RANK];
  strides_of(shape, stride);
  for (int32_t i = 0; i < shape->rank; i++) {
    int32_t from = shape->rank - 1 - i;
    if (found == NNM_KNOWN && !nnm_resolve_axis(order[i], shape->rank, &from)) return NULL;
    permuted[i] = stride[from];
  }
  return copy_strided(inference, nnm_input_value(inference, node, 0), output_shape(inference, node, output), 0,
                      permuted, count);
}

const nnm_value *nnm_fold_expand(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *from = shape_of_input(inference, node, 0), *to = output_shape(inference, node, output);
  int64_t stride[NNM_LIMIT_RANK], wide[NNM_LIMIT_RANK] = {0};
  strides_of(from, stride);
  for (int32_t i = 1; i <= from->rank; i++)
    wide[to->rank - i] = from->dims[from->rank - i] == 1 ? 0 : stride[from->rank - i];
  return copy_strided(inference, nnm_input_value(inference, node, 0), to, 0, wide, count);
}

const nnm_value *nnm_fold_tile(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *from = shape_of_input(inference, node, 0), *to = output_shape(inference, node, output);
  const nnm_value *input = nnm_input_value(inference, node, 0);
  nnm_new_value made;
  if (!nnm_start_value(inference, count, input->is_float, &made)) return NULL;
  int64_t stride[NNM_LIMIT_RANK];
  strides_of(from, stride);
  for (size_t i = 0; i < count; i++) {
    size_t rest = i, source = 0;
    for (int32_t axis = to->rank; axis-- > 0; rest /= (size_t)to->dims[axis])
      source += rest % (size_t)to->dims[axis] % (size_t)from->dims[axis] * (size_t)stride[axis];
    copy_element(&made, i, input, source);
  }
  return made.value;
}

/* Joins along the axis; Pack's inputs count as 1 there. */
const nnm_value *nnm_fold_concat(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = output_shape(inference, node, output);
  int32_t axis;
  int64_t behind = 1;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", node->op == NNM_OP_PACK ? 0 : 1), shape->rank, &axis))
    return NULL;
  for (int32_t i = axis + 1; i < shape->rank; i++) behind *= shape->dims[i];
  const nnm_value *first = nnm_input_value(inference, node, 0);
  nnm_new_value made;
  if (!nnm_start_value(inference, count, first->is_float, &made)) return NULL;
  size_t row = (size_t)(behind * shape->dims[axis]), rows = row ? count / row : 0, column = 0;
  for (uint32_t i = 0; i < node->input_count; i++) {
    const nnm_value *value = nnm_input_value(inference, node, i);
    if (!value) return NULL; /* an input left out */
    size_t width = rows ? value->count / rows : 0;
    if (column + width > row) return NULL;
    for (size_t r = 0; r < rows; r++)
      for (size_t c = 0; c < width; c++) copy_element(&made, r * row + column + c, value, r * width + c);
    column += width;
  }
  return column == row || !rows ? made.value : NULL;
}

/* ------------------------------------------------------------------ picking */

/* false when the index is out of range. */
static bool resolve_index(int64_t index, int64_t size, size_t *out) {
  if (index < -size || index >= size) return false;
  *out = (size_t)(index < 0 ? index + size : index);
  return true;
}

const nnm_value *nnm_fold_gather(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  const nnm_shape *shape = shape_of_input(inference, node, 0);
  const nnm_value *data = nnm_input_value(inference, node, 0), *indices = nnm_input_value(inference, node, 1);
  int32_t axis;
  nnm_new_value made;
  if (!nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis) ||
      nnm_attribute_int(node, "batch_dims", 0) || !nnm_start_value(inference, count, data->is_float, &made))
    return NULL;
  size_t behind = 1;
  for (int32_t i = axis + 1; i < shape->rank; i++) behind *= (size_t)shape->dims[i];
  for (size_t i = 0; i < count; i++) {
    size_t inner = i % behind, which = i / behind % indices->count, outer = i / behind / indices->count, index;
    if (!resolve_index(nnm_value_int(indices, which), shape->dims[axis], &index)) return NULL;
    copy_element(&made, i, data, (outer * (size_t)shape->dims[axis] + index) * behind + inner);
  }
  return made.value;
}

const nnm_value *nnm_fold_gather_elements(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                          size_t count) {
  const nnm_shape *shape = shape_of_input(inference, node, 0), *to = output_shape(inference, node, output);
  const nnm_value *data = nnm_input_value(inference, node, 0), *indices = nnm_input_value(inference, node, 1);
  int32_t axis;
  nnm_new_value made;
  if (shape->rank != to->rank || !nnm_resolve_axis(nnm_attribute_int(node, "axis", 0), shape->rank, &axis) ||
      !nnm_start_value(inference, count, data->is_float, &made))
    return NULL;
  int64_t stride[NNM_LIMIT_RANK];
  strides_of(shape, stride);
  for (size_t i = 0; i < count; i++) {
    size_t rest = i, source = 0;
    for (int32_t j = to->rank; j-- > 0; rest /= (size_t)to->dims[j]) {
      size_t index = rest % (size_t)to->dims[j];
      if (j == axis && !resolve_index(nnm_value_int(indices, i), shape->dims[j], &index)) return NULL;
      source += index * (size_t)stride[j];
    }
    if (source >= data->count) return NULL;
    copy_element(&made, i, data, source);
  }
  return made.value;
}

/* The element that one row of indices points at: its first element, and how many follow it. */
static bool locate(const nnm_shape *shape, const nnm_value *indices, size_t row, size_t depth, size_t *first,
                   size_t *length) {
  int64_t stride[NNM_LIMIT_RANK];
  strides_of(shape, stride);
  *first = 0;
  for (size_t i = 0; i < depth; i++) {
    size_t index;
    if (!resolve_index(nnm_value_int(indices, row * depth + i), shape->dims[i], &index)) return false;
    *first += index * (size_t)stride[i];
  }
  *length = depth ? (size_t)stride[depth - 1] : (size_t)nnm_shape_elements(*shape);
  return true;
}

const nnm_value *nnm_fold_gather_nd(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  const nnm_shape *shape = shape_of_input(inference, node, 0), *index_shape = shape_of_input(inference, node, 1);
  const nnm_value *data = nnm_input_value(inference, node, 0), *indices = nnm_input_value(inference, node, 1);
  nnm_new_value made;
  size_t depth = index_shape->rank ? (size_t)index_shape->dims[index_shape->rank - 1] : 0;
  if (!depth || depth > (size_t)shape->rank || nnm_attribute_int(node, "batch_dims", 0) ||
      !nnm_start_value(inference, count, data->is_float, &made))
    return NULL;
  size_t filled = 0;
  for (size_t row = 0; row < indices->count / depth; row++) {
    size_t first, length;
    if (!locate(shape, indices, row, depth, &first, &length) || filled + length > count) return NULL;
    for (size_t i = 0; i < length; i++) copy_element(&made, filled++, data, first + i);
  }
  return filled == count ? made.value : NULL;
}

const nnm_value *nnm_fold_scatter_nd(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  (void)output;
  const nnm_shape *shape = shape_of_input(inference, node, 0), *index_shape = shape_of_input(inference, node, 1);
  const nnm_value *data = nnm_input_value(inference, node, 0), *indices = nnm_input_value(inference, node, 1),
                  *updates = nnm_input_value(inference, node, 2);
  nnm_new_value made;
  size_t depth = index_shape->rank ? (size_t)index_shape->dims[index_shape->rank - 1] : 0;
  if (!depth || depth > (size_t)shape->rank || !updates || nnm_find_attribute(node, "reduction") ||
      data->count != count || !nnm_start_value(inference, count, data->is_float, &made))
    return NULL;
  for (size_t i = 0; i < count; i++) copy_element(&made, i, data, i);
  for (size_t row = 0; row < indices->count / depth; row++) {
    size_t first, length;
    if (!locate(shape, indices, row, depth, &first, &length) || (row + 1) * length > updates->count) return NULL;
    for (size_t i = 0; i < length; i++) copy_element(&made, first + i, updates, row * length + i);
  }
  return made.value;
}

/* Positions of the elements that are not zero: one row for each dimension. */
const nnm_value *nnm_fold_non_zero(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = shape_of_input(inference, node, 0);
  const nnm_value *input = nnm_input_value(inference, node, 0);
  nnm_new_value made;
  if (!nnm_start_value(inference, count, false, &made)) return NULL;
  size_t columns = (size_t)output_shape(inference, node, output)->dims[1], column = 0;
  for (size_t i = 0; i < input->count && column < columns; i++) {
    if (nnm_value_float(input, i) == 0) continue;
    size_t rest = i;
    for (int32_t axis = shape->rank; axis-- > 0; rest /= (size_t)shape->dims[axis])
      made.integers[(size_t)axis * columns + column] = (int64_t)(rest % (size_t)shape->dims[axis]);
    column++;
  }
  return made.value;
}
