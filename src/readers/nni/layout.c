/* What torch's functions do with shapes, parts and images: view, transpose, split, pad, interpolate. */
#include <string.h>

#include "base/limits.h"
#include "readers/nni/functions.h"

/* ------------------------------------------------------------------ shapes */

nnm_status nni_reshape(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x, shape = nni_input(r, 1);
  NNM_TRY(nni_tensor_input(r, 0, &x));
  nnm_tensor_id tensors[2] = {x.tensor, -1};
  int32_t rank = shape.kind == NNI_LIST ? (int32_t)shape.count : shape.rank;
  if (!strcmp(row->operator, "Expand") && shape.kind == NNI_LIST) { /* torch's -1 keeps a size, as 1 does in ONNX */
    nni_value *items = nnm_arena_copy(r->arena, shape.items, shape.count, sizeof *items);
    if (!items) return nnm_fail_memory(r->error);
    for (size_t i = 0; i < shape.count; i++)
      if (items[i].kind == NNI_INT && items[i].integer == -1) items[i].integer = 1;
    shape.items = items;
  }
  NNM_TRY(nni_shape_tensor(r, &shape, &tensors[1]));
  return nni_emit(r, row->operator, tensors, 2, rank, out);
}

nnm_status nni_expand_as(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x, like;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(nni_tensor_input(r, 1, &like));
  nnm_tensor_id tensors[2] = {x.tensor, -1};
  like.kind = NNI_SIZES;
  NNM_TRY(nni_shape_tensor(r, &like, &tensors[1]));
  return nni_emit(r, row->operator, tensors, 2, like.rank, out);
}

/* The sizes from `start` to `end` of x as a tensor; both may count from behind. */
static nnm_status sizes_between(nni_reading *r, const nni_value *x, int64_t start, int64_t end, nnm_tensor_id *out) {
  nni_value sizes;
  nni_with_int(r, "start", start);
  if (end != INT64_MAX) nni_with_int(r, "end", end);
  NNM_TRY(nni_emit1(r, "Shape", x, 1, &sizes));
  *out = sizes.tensor;
  return NNM_OK;
}

nnm_status nni_flatten(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  nni_value x, shape;
  int64_t start, end;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(nni_integer_input(r, 1, 0, &start));
  NNM_TRY(nni_integer_input(r, 2, -1, &end));
  if (x.rank > 0 && end == x.rank - 1) end = -1;
  if (start == 1 && end == -1) {
    nni_with_int(r, "axis", 1);
    return nni_emit1(r, "Flatten", &x, 2, out);
  }
  nnm_tensor_id parts[3] = {-1, -1, -1};
  uint32_t count = 0;
  if (start) NNM_TRY(sizes_between(r, &x, 0, start, &parts[count++]));
  NNM_TRY(nni_integers(r, (int64_t[]){-1}, 1, &parts[count++]));
  if (end != -1) NNM_TRY(sizes_between(r, &x, end + 1, INT64_MAX, &parts[count++]));
  nni_with_int(r, "axis", 0);
  NNM_TRY(nni_emit(r, "Concat", parts, count, 1, &shape));
  int32_t rank = -1;
  if (end == -1 && start >= 0 && start < NNM_LIMIT_RANK) rank = (int32_t)start + 1;
  return nni_emit(r, "Reshape", (nnm_tensor_id[]){x.tensor, shape.tensor}, 2, rank, out);
}

nnm_status nni_squeeze(nni_reading *r, const nni_function_row *row, nni_value *out) {
  bool adds = !strcmp(row->operator, "Unsqueeze");
  nni_value x;
  int64_t axis;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(nni_integer_input(r, 1, 0, &axis));
  bool has_axis = nni_input(r, 1).kind == NNI_INT;
  if (has_axis || adds) nni_with_ints(r, "axes", &axis, 1);
  return nni_emit1(r, row->operator, & x, x.rank < 0 || !has_axis ? -1 : x.rank + (adds ? 1 : -1), out);
}

nnm_status nni_permute(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x, list = nni_input(r, 1);
  int64_t order[NNM_LIMIT_RANK], exchanged[2];
  NNM_TRY(nni_tensor_input(r, 0, &x));
  size_t rank = list.kind == NNI_LIST ? list.count : x.rank > 0 ? (size_t)x.rank : 0;
  if (list.kind == NNI_LIST) {
    if (!rank || rank > NNM_LIMIT_RANK || !nni_read_integers(&list, order, rank))
      return nni_fail(r, NNM_ERROR_UNSUPPORTED, "exchanges axes that are not fixed; export the model with fixed ones");
    for (size_t i = 0; i < rank; i++)
      if (order[i] < 0) order[i] += (int64_t)rank;
  } else {
    if (!rank)
      return nni_fail(r, NNM_ERROR_UNSUPPORTED,
                      "exchanges axes of a tensor whose number of dimensions the IR does not tell; export it with "
                      "shapes (NNI's GraphConverterWithShape)");
    for (size_t i = 0; i < rank; i++) order[i] = (int64_t)i;
    exchanged[0] = 0, exchanged[1] = 1;
    if (strcmp(row->name, "t") != 0) {
      NNM_TRY(nni_integer_input(r, 1, 0, &exchanged[0]));
      NNM_TRY(nni_integer_input(r, 2, 1, &exchanged[1]));
    }
    for (int i = 0; i < 2; i++) {
      if (exchanged[i] < 0) exchanged[i] += (int64_t)rank;
      if (exchanged[i] < 0 || exchanged[i] >= (int64_t)rank)
        return nni_fail(r, NNM_ERROR_GRAPH, "exchanges an axis that its tensor does not have; export the model again");
    }
    order[exchanged[0]] = exchanged[1];
    order[exchanged[1]] = exchanged[0];
  }
  nni_with_ints(r, "perm", order, rank);
  return nni_emit1(r, "Transpose", &x, (int32_t)rank, out);
}

nnm_status nni_size_of(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  NNM_TRY(nni_tensor_input(r, 0, out));
  nni_value index = nni_input(r, 1);
  nni_value sizes = *out;
  sizes.kind = NNI_SIZES;
  if (index.kind == NNI_INT) return nni_item(r, &sizes, index.integer, out);
  *out = sizes;
  return NNM_OK;
}

nnm_status nni_length_of(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  nni_value x = nni_input(r, 0);
  *out = nni_none();
  if (x.kind == NNI_LIST) *out = nni_integer((int64_t)x.count);
  else if (x.rank >= 0) *out = nni_integer(x.rank);
  return NNM_OK;
}

/* ------------------------------------------------------------ parts and wholes */

nnm_status nni_concatenate(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value list = nni_input(r, 0), part;
  bool stacks = !strcmp(row->name, "stack");
  int64_t axis;
  NNM_TRY(nni_integer_input(r, 1, 0, &axis));
  if (list.kind != NNI_LIST || !list.count || list.count > NNM_LIMIT_NODE_PORTS)
    return nni_fail(r, NNM_ERROR_UNSUPPORTED, "joins what is no list of tensors; export the model again");
  nnm_tensor_id *tensors = NNM_ARENA_ARRAY(r->arena, nnm_tensor_id, list.count);
  if (!tensors) return nnm_fail_memory(r->error);
  int32_t rank = -1;
  for (size_t i = 0; i < list.count; i++) {
    part = list.items[i];
    if (part.kind != NNI_TENSOR)
      return nni_fail(r, NNM_ERROR_UNSUPPORTED, "joins what is no tensor; export the model again");
    if (part.rank >= 0) rank = part.rank + stacks;
    if (stacks) nni_with_ints(r, "axes", &axis, 1);
    if (stacks) NNM_TRY(nni_emit1(r, "Unsqueeze", &part, rank, &part));
    tensors[i] = part.tensor;
  }
  nni_with_int(r, "axis", axis);
  return nni_emit(r, "Concat", tensors, (uint32_t)list.count, rank, out);
}

static nnm_status split_by_sizes(nni_reading *r, const nni_value *x, const nni_value *sizes, uint32_t count,
                                 int64_t axis, nni_value *out) {
  nnm_tensor_id *tensors = NNM_ARENA_ARRAY(r->arena, nnm_tensor_id, count);
  nni_value *parts = NNM_ARENA_ARRAY(r->arena, nni_value, count);
  int64_t *numbers = NNM_ARENA_ARRAY(r->arena, int64_t, count);
  if (!tensors || !parts || !numbers) return nnm_fail_memory(r->error);
  if (sizes && !nni_read_integers(sizes, numbers, count))
    return nni_fail(r, NNM_ERROR_UNSUPPORTED,
                    "splits into sizes that are not fixed; export the model with fixed sizes");
  nni_with_int(r, "axis", axis);
  if (sizes) nni_with_ints(r, "split", numbers, count);
  NNM_TRY(nni_emit_several(r, "Split", &x->tensor, 1, tensors, count));
  for (uint32_t i = 0; i < count; i++) parts[i] = nni_tensor(tensors[i], x->rank);
  return nni_list(r, parts, count, out);
}

nnm_status nni_split(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x, sizes = nni_input(r, 1);
  int64_t axis, count = sizes.kind == NNI_LIST ? (int64_t)sizes.count : sizes.integer;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(nni_integer_input(r, !strcmp(row->name, "unbind") ? 1 : 2, 0, &axis));
  if (!strcmp(row->name, "unbind")) {
    *out = x;
    out->kind = NNI_SLICES;
    out->axis = axis;
    return NNM_OK;
  }
  if ((sizes.kind != NNI_LIST && sizes.kind != NNI_INT) || count < 1)
    return nni_fail(r, NNM_ERROR_UNSUPPORTED,
                    "splits into sizes that are not fixed; export the model with fixed sizes");
  bool counts = !strcmp(row->name, "chunk");
  if (sizes.kind == NNI_INT && !counts) { /* as many as the tensor has */
    *out = x;
    out->kind = NNI_PIECES;
    out->integer = count;
    out->axis = axis;
    return NNM_OK;
  }
  if (count > 1024)
    return nni_fail(r, NNM_ERROR_LIMIT, "splits into more than 1024 parts; export the model with fewer");
  return split_by_sizes(r, &x, counts ? NULL : &sizes, (uint32_t)count, axis, out);
}

nnm_status nni_select_index(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  nni_value x, index = nni_input(r, 2);
  int64_t axis;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(nni_integer_input(r, 1, 0, &axis));
  if (index.kind == NNI_INT) {
    x.kind = NNI_SLICES;
    x.axis = axis;
    return nni_item(r, &x, index.integer, out);
  }
  NNM_TRY(nni_tensor_input(r, 2, &index));
  nni_with_int(r, "axis", axis);
  return nni_emit(r, "Gather", (nnm_tensor_id[]){x.tensor, index.tensor}, 2, x.rank, out);
}

/* One cut: axis, start, end, step as integers or sizes. */
static nnm_status slice_once(nni_reading *r, nni_value *x, const nni_value cut[4]) {
  static const int64_t defaults[4] = {0, 0, INT64_MAX, 1};
  const size_t order[4] = {1, 2, 0, 3}; /* ONNX: starts, ends, axes, steps */
  nnm_tensor_id tensors[5] = {x->tensor, -1, -1, -1, -1};
  for (size_t i = 0; i < 4; i++) {
    nni_value value = cut[order[i]].kind == NNI_NONE ? nni_integer(defaults[order[i]]) : cut[order[i]];
    NNM_TRY(nni_shape_tensor(r, &value, &tensors[i + 1]));
  }
  return nni_emit(r, "Slice", tensors, 5, x->rank, x);
}

/* aten::slice(x, dim, start, end, step); NNI's MergedSlice has several such fours behind x. */
nnm_status nni_slice(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  *out = nni_input(r, 0);
  if (out->kind == NNI_LIST || out->kind == NNI_SIZES)
    return nni_fail(r, NNM_ERROR_UNSUPPORTED, "cuts a list; export the model with fixed sizes");
  NNM_TRY(nni_tensor_input(r, 0, out));
  for (size_t first = 1; first < r->input_count; first += 4) {
    const nni_value cut[4] = {nni_input(r, first), nni_input(r, first + 1), nni_input(r, first + 2),
                              nni_input(r, first + 3)};
    NNM_TRY(slice_once(r, out, cut));
  }
  return NNM_OK;
}

nnm_status nni_item_of(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  nni_value list = nni_input(r, 0);
  int64_t index;
  NNM_TRY(nni_integer_input(r, 1, 0, &index));
  return nni_item(r, &list, index, out);
}

/* ------------------------------------------------------------------- images */

nnm_status nni_pool(nni_reading *r, const nni_function_row *row, nni_value *out) {
  bool is_max = row->operator[0] == 'M';
  size_t spatial = (size_t)(row->name[strlen(row->name) - 2] - '0');
  int64_t kernel[3], numbers[3], pads[6];
  nni_value x, list = nni_input(r, 1), ceil = nni_input(r, is_max ? 5 : 4);
  NNM_TRY(nni_tensor_input(r, 0, &x));
  if (!nni_read_integers(&list, kernel, spatial))
    return nni_fail(r, NNM_ERROR_UNSUPPORTED, "has a window that is not fixed; export the model with a fixed one");
  nni_with_ints(r, "kernel_shape", kernel, spatial);
  list = nni_input(r, 2);
  nni_with_ints(r, "strides", nni_read_integers(&list, numbers, spatial) ? numbers : kernel, spatial);
  list = nni_input(r, 3);
  if (!nni_read_integers(&list, pads, spatial)) memset(pads, 0, sizeof pads);
  memcpy(pads + spatial, pads, spatial * sizeof *pads);
  nni_with_ints(r, "pads", pads, 2 * spatial);
  list = nni_input(r, 4);
  if (is_max && nni_read_integers(&list, numbers, spatial)) nni_with_ints(r, "dilations", numbers, spatial);
  nni_with_int(r, "ceil_mode", ceil.kind == NNI_INT && ceil.integer);
  return nni_emit1(r, row->operator, & x, (int32_t)spatial + 2, out);
}

nnm_status nni_adaptive_pool(nni_reading *r, const nni_function_row *row, nni_value *out) {
  size_t spatial = (size_t)(row->name[strlen(row->name) - 2] - '0');
  bool is_max = strstr(row->name, "max") != NULL, is_global = true;
  int64_t size[3];
  nni_value x, list = nni_input(r, 1);
  NNM_TRY(nni_tensor_input(r, 0, &x));
  if (!nni_read_integers(&list, size, spatial))
    return nni_fail(r, NNM_ERROR_UNSUPPORTED, "has a size that is not fixed; export the model with a fixed one");
  for (size_t i = 0; i < spatial; i++) is_global = is_global && size[i] == 1;
  if (is_global) return nni_emit1(r, is_max ? "GlobalMaxPool" : "GlobalAveragePool", &x, (int32_t)spatial + 2, out);
  nni_with_ints(r, "output_size", size, spatial);
  return nni_emit1(r, is_max ? "pytorch.AdaptiveMaxPool" : "pytorch.AdaptiveAveragePool", &x, (int32_t)spatial + 2,
                   out);
}

/* pad(x, (left, right, top, bottom, ...)): from the last axis on. */
nnm_status nni_pad(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x, list = nni_input(r, 1);
  int64_t pads[2 * NNM_LIMIT_RANK] = {0};
  NNM_TRY(nni_tensor_input(r, 0, &x));
  size_t rank = x.rank > 0 ? (size_t)x.rank : 4, pairs = list.count / 2;
  if (list.kind != NNI_LIST || list.count % 2 || pairs > rank || rank > NNM_LIMIT_RANK)
    return nni_fail(r, NNM_ERROR_UNSUPPORTED, "pads by what is no list of fixed numbers; export the model with one");
  for (size_t i = 0; i < pairs; i++) {
    pads[rank - 1 - i] = list.items[2 * i].integer;
    pads[2 * rank - 1 - i] = list.items[2 * i + 1].integer;
  }
  nnm_tensor_id tensors[2] = {x.tensor, -1};
  NNM_TRY(nni_integers(r, pads, 2 * rank, &tensors[1]));
  return nni_emit(r, row->operator, tensors, 2, (int32_t)rank, out);
}

/* Up and down: a size for the last two axes, or else factors somewhere behind it. */
nnm_status nni_resize(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x, size = nni_input(r, 1);
  NNM_TRY(nni_tensor_input(r, 0, &x));
  nnm_tensor_id tensors[4] = {x.tensor, -1, -1, -1};
  if (size.kind == NNI_LIST && size.count == 2) {
    nni_value sizes = x, entries[4] = {[2] = size.items[0], size.items[1]};
    sizes.kind = NNI_SIZES;
    for (int i = 0; i < 2; i++) NNM_TRY(nni_item(r, &sizes, i, &entries[i]));
    NNM_TRY(nni_list(r, entries, 4, &sizes));
    NNM_TRY(nni_shape_tensor(r, &sizes, &tensors[3]));
    return nni_emit(r, row->operator, tensors, 4, 4, out);
  }
  float scales[4] = {1, 1, 0, 0};
  size_t found = 0;
  for (size_t i = 1; i < r->input_count && found < 2; i++) {
    const nni_value *input = &r->inputs[i];
    size_t count = input->kind == NNI_LIST ? input->count : 1;
    for (size_t k = 0; k < count && found < 2; k++) {
      const nni_value *item = input->kind == NNI_LIST ? &input->items[k] : input;
      if (item->kind == NNI_FLOAT) scales[2 + found++] = (float)item->number;
    }
  }
  if (found == 1) scales[3] = scales[2];
  if (!found)
    return nni_fail(r, NNM_ERROR_UNSUPPORTED, "has neither a fixed size nor fixed factors; export it with one");
  NNM_TRY(nni_scales(r, scales, 4, &tensors[2]));
  return nni_emit(r, row->operator, tensors, 3, 4, out);
}

nnm_status nni_pixel_shuffle(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x;
  int64_t factor;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(nni_integer_input(r, 1, 1, &factor));
  nni_with_int(r, "blocksize", factor);
  return nni_emit1(r, row->operator, & x, 4, out);
}
