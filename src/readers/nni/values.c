/* Values of NNI's graph IR, and the nodes that come of them. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "readers/nni/nni.h"

nnm_status nni_fail(nni_reading *r, nnm_status status, const char *format, ...) {
  char what[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return nnm_fail(r->error, status, r->name, "%.100s %s", r->type, what);
}

/* -------------------------------------------------------------------- nodes */

/* Too many attributes cannot happen: operations give a handful. */
static void with(nni_reading *r, const char *name, nnm_attribute attribute) {
  attribute.name = nnm_graph_builder_intern(r->builder, name, strlen(name));
  if (r->attribute_count < NNI_MOST_ATTRIBUTES) r->attributes[r->attribute_count++] = attribute;
}

void nni_with_int(nni_reading *r, const char *name, int64_t value) {
  with(r, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_INT, .as.integer = value});
}

void nni_with_ints(nni_reading *r, const char *name, const int64_t *values, size_t count) {
  const int64_t *copy = nnm_arena_copy(r->arena, values, count, sizeof *values);
  with(r, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_INTS, .count = copy ? count : 0, .as.integers = copy});
}

void nni_with_text(nni_reading *r, const char *name, const char *value) {
  const char *copy = nnm_graph_builder_intern(r->builder, value, strlen(value));
  with(r, name, (nnm_attribute){.kind = NNM_ATTRIBUTE_TEXT, .as.text = copy ? copy : ""});
}

/* Names of tensors: that of the node, with a number where it is taken. */
static nnm_status new_tensor(nni_reading *r, nnm_tensor_id *out) {
  enum { LONGEST = 200 };
  char name[LONGEST + 24];
  int length = snprintf(name, sizeof name, "%.*s", LONGEST, r->name);
  const char *interned = nnm_graph_builder_intern(r->builder, name, (size_t)length);
  if (!interned) return nnm_fail_memory(r->error);
  if (!length || nnm_graph_builder_find_tensor(r->builder, interned) >= 0) {
    length += snprintf(name + length, sizeof name - (size_t)length, "#%zu", ++r->sequence);
    interned = nnm_graph_builder_intern(r->builder, name, (size_t)length);
    if (!interned) return nnm_fail_memory(r->error);
  }
  return nnm_graph_builder_tensor(r->builder, interned, out, r->error);
}

static nnm_status add_node(nni_reading *r, const char *domain, const char *type, nnm_op op, const nnm_tensor_id *inputs,
                           uint32_t input_count, nnm_tensor_id *outputs, uint32_t output_count) {
  for (uint32_t i = 0; i < r->attribute_count; i++) {
    const nnm_attribute *attribute = &r->attributes[i];
    if (!attribute->name || (attribute->kind == NNM_ATTRIBUTE_INTS && !attribute->as.integers))
      return nnm_fail_memory(r->error);
  }
  for (uint32_t i = 0; i < output_count; i++) NNM_TRY(new_tensor(r, &outputs[i]));
  nnm_node node = {.name = nnm_graph_builder_intern(r->builder, r->name, strlen(r->name)),
                   .type = nnm_graph_builder_intern(r->builder, type, strlen(type)),
                   .domain = nnm_graph_builder_intern(r->builder, domain, strlen(domain)),
                   .op = (int32_t)op,
                   .input_count = input_count,
                   .output_count = output_count,
                   .attribute_count = r->attribute_count,
                   .inputs = inputs,
                   .outputs = outputs,
                   .attributes = r->attributes};
  r->attribute_count = 0;
  if (!node.name || !node.type || !node.domain) return nnm_fail_memory(r->error);
  return nnm_graph_builder_node(r->builder, &node, NULL, r->error);
}

nnm_status nni_emit_several(nni_reading *r, const char *type, const nnm_tensor_id *inputs, uint32_t input_count,
                            nnm_tensor_id *outputs, uint32_t output_count) {
  char domain[40] = ""; /* type: "Conv"; with a domain in front: "com.microsoft.MultiHeadAttention" */
  const char *dot = strrchr(type, '.');
  if (dot) snprintf(domain, sizeof domain, "%.*s", (int)(dot - type), type);
  if (dot) type = dot + 1;
  return add_node(r, domain, type, nnm_op_of_onnx(domain, type), inputs, input_count, outputs, output_count);
}

nnm_status nni_emit(nni_reading *r, const char *type, const nnm_tensor_id *inputs, uint32_t input_count, int32_t rank,
                    nni_value *out) {
  nnm_tensor_id output = -1;
  NNM_TRY(nni_emit_several(r, type, inputs, input_count, &output, 1));
  *out = nni_tensor(output, rank);
  return NNM_OK;
}

nnm_status nni_emit1(nni_reading *r, const char *type, const nni_value *input, int32_t rank, nni_value *out) {
  return nni_emit(r, type, &input->tensor, 1, rank, out);
}

/* The first shape that the IR gives for the outputs; rank -1: none. */
static nnm_status known_output(nni_reading *r, const int64_t **dims, int32_t *rank) {
  const json_t *shape = json_array_get(json_object_get(r->shapes, "output_shape"), 0);
  size_t count = json_array_size(shape);
  *rank = -1;
  if (!json_is_array(shape) || !count || count > NNM_LIMIT_RANK) return NNM_OK;
  int64_t *copy = NNM_ARENA_ARRAY(r->arena, int64_t, count);
  if (!copy) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < count; i++) {
    copy[i] = json_integer_value(json_array_get(shape, i));
    if (copy[i] < 1) return NNM_OK;
  }
  *dims = copy;
  *rank = (int32_t)count;
  return NNM_OK;
}

nnm_status nni_emit_unknown(nni_reading *r, const char *domain, const char *type, nni_value *out) {
  nnm_tensor_id *inputs = NNM_ARENA_ARRAY(r->arena, nnm_tensor_id, r->input_count), output = -1;
  const int64_t *dims = NULL;
  uint32_t count = 0;
  int32_t rank;
  if (!inputs) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < r->input_count; i++)
    if (r->inputs[i].kind == NNI_TENSOR) inputs[count++] = r->inputs[i].tensor;
  NNM_TRY(known_output(r, &dims, &rank));
  NNM_TRY(add_node(r, domain, type, NNM_OP_UNKNOWN, inputs, count, &output, 1));
  if (rank > 0) NNM_TRY(nnm_graph_builder_declare(r->builder, output, NNM_DTYPE_F32, rank, dims, NULL, r->error));
  *out = nni_tensor(output, rank);
  return NNM_OK;
}

/* ---------------------------------------------------------------- constants */

static nnm_status add_constant(nni_reading *r, nnm_dtype dtype, const int64_t *dims, size_t rank, const void *bytes,
                               size_t size, nnm_tensor_id *out) {
  nnm_constant constant = {.dtype = dtype, .rank = (int32_t)rank, .size = size};
  for (size_t i = 0; i < rank; i++)
    if (dims[i] < 0 || dims[i] > NNM_LIMIT_DIMENSION)
      return nni_fail(r, NNM_ERROR_LIMIT, "has a weight of impossible size; export the model again");
  constant.dims = nnm_arena_copy(r->arena, dims, rank, sizeof *dims);
  constant.bytes = bytes ? nnm_arena_copy(r->arena, bytes, size, 1) : NULL;
  const nnm_constant *copy = nnm_arena_copy(r->arena, &constant, 1, sizeof constant);
  if (!constant.dims || (bytes && !constant.bytes) || !copy) return nnm_fail_memory(r->error);
  NNM_TRY(new_tensor(r, out));
  return nnm_graph_builder_weight(r->builder, *out, copy, r->error);
}

nnm_status nni_weight(nni_reading *r, const int64_t *dims, size_t rank, nnm_tensor_id *out) {
  return add_constant(r, NNM_DTYPE_F32, dims, rank, NULL, 0, out);
}

nnm_status nni_integers(nni_reading *r, const int64_t *values, size_t count, nnm_tensor_id *out) {
  return add_constant(r, NNM_DTYPE_I64, (int64_t[]){(int64_t)count}, 1, values, count * sizeof *values, out);
}

nnm_status nni_scales(nni_reading *r, const float *values, size_t count, nnm_tensor_id *out) {
  return add_constant(r, NNM_DTYPE_F32, (int64_t[]){(int64_t)count}, 1, values, count * sizeof *values, out);
}

nnm_status nni_scalar(nni_reading *r, const nni_value *value, bool as_size, nnm_tensor_id *out) {
  float number = value->kind == NNI_FLOAT ? (float)value->number : (float)value->integer;
  if (as_size && value->kind == NNI_INT)
    return add_constant(r, NNM_DTYPE_I64, NULL, 0, &value->integer, sizeof value->integer, out);
  return add_constant(r, NNM_DTYPE_F32, NULL, 0, &number, sizeof number, out);
}

/* ------------------------------------------------------------------- values */

nni_value nni_none(void) { return (nni_value){.kind = NNI_NONE, .tensor = -1, .rank = -1}; }
nni_value nni_integer(int64_t value) {
  return (nni_value){.kind = NNI_INT, .tensor = -1, .rank = -1, .integer = value};
}
nni_value nni_tensor(nnm_tensor_id tensor, int32_t rank) {
  return (nni_value){.kind = NNI_TENSOR, .tensor = tensor, .rank = rank};
}

nnm_status nni_list(nni_reading *r, const nni_value *items, size_t count, nni_value *out) {
  *out = nni_none();
  out->kind = NNI_LIST;
  out->count = count;
  out->items = nnm_arena_copy(r->arena, items, count, sizeof *items);
  return out->items ? NNM_OK : nnm_fail_memory(r->error);
}

bool nni_is_number(const nni_value *value) { return value->kind == NNI_INT || value->kind == NNI_FLOAT; }

bool nni_read_integers(const nni_value *value, int64_t *out, size_t count) {
  if (value->kind == NNI_INT) {
    for (size_t i = 0; i < count; i++) out[i] = value->integer;
    return true;
  }
  if (value->kind != NNI_LIST || (value->count != count && value->count != 1)) return false;
  for (size_t i = 0; i < count; i++) {
    const nni_value *item = &value->items[value->count == 1 ? 0 : i];
    if (item->kind != NNI_INT) return false;
    out[i] = item->integer;
  }
  return true;
}

/* Takes one index of an axis away. */
static nnm_status take_index(nni_reading *r, nnm_tensor_id tensor, int64_t index, int64_t axis, int32_t rank,
                             nni_value *out) {
  nnm_tensor_id inputs[2] = {tensor, -1};
  const nni_value number = nni_integer(index);
  NNM_TRY(nni_scalar(r, &number, true, &inputs[1]));
  nni_with_int(r, "axis", axis);
  return nni_emit(r, "Gather", inputs, 2, rank, out);
}

static nnm_status take_piece(nni_reading *r, const nni_value *value, int64_t index, nni_value *out) {
  int64_t start, end;
  if (index < 0 || __builtin_mul_overflow(index, value->integer, &start) ||
      __builtin_add_overflow(start, value->integer, &end))
    return nni_fail(r, NNM_ERROR_GRAPH, "takes piece %lld of a tensor cut into pieces; export the model again",
                    (long long)index);
  nnm_tensor_id inputs[4] = {value->tensor, -1, -1, -1};
  NNM_TRY(nni_integers(r, &start, 1, &inputs[1]));
  NNM_TRY(nni_integers(r, &end, 1, &inputs[2]));
  NNM_TRY(nni_integers(r, &value->axis, 1, &inputs[3]));
  return nni_emit(r, "Slice", inputs, 4, value->rank, out);
}

nnm_status nni_item(nni_reading *r, const nni_value *value, int64_t index, nni_value *out) {
  switch (value->kind) {
  case NNI_LIST:
    if (index < 0) index += (int64_t)value->count;
    if (index < 0 || (size_t)index >= value->count)
      return nni_fail(r, NNM_ERROR_GRAPH, "takes item %lld of %zu; export the model again", (long long)index,
                      value->count);
    *out = value->items[index];
    return NNM_OK;
  case NNI_SIZES: {
    nni_value shape;
    NNM_TRY(nni_emit1(r, "Shape", value, 1, &shape));
    NNM_TRY(take_index(r, shape.tensor, index, 0, 0, out));
    out->is_size = true;
    return NNM_OK;
  }
  case NNI_PIECES: return take_piece(r, value, index, out);
  case NNI_SLICES: return take_index(r, value->tensor, index, value->axis, value->rank > 0 ? value->rank - 1 : -1, out);
  default: return nni_fail(r, NNM_ERROR_GRAPH, "takes an item of what is no list; export the model again");
  }
}

/* One entry of a shape as a tensor of one dimension. */
static nnm_status shape_entry(nni_reading *r, const nni_value *item, nnm_tensor_id *out) {
  if (item->kind == NNI_INT) return nni_integers(r, &item->integer, 1, out);
  if (item->kind != NNI_TENSOR || !item->is_size)
    return nni_fail(r, NNM_ERROR_UNSUPPORTED, "has a shape that depends on values; export the model with fixed sizes");
  nni_value row;
  nni_with_ints(r, "axes", (int64_t[]){0}, 1);
  NNM_TRY(nni_emit1(r, "Unsqueeze", item, 1, &row));
  *out = row.tensor;
  return NNM_OK;
}

nnm_status nni_shape_tensor(nni_reading *r, const nni_value *list, nnm_tensor_id *out) {
  nni_value whole;
  if (list->kind == NNI_SIZES) {
    NNM_TRY(nni_emit1(r, "Shape", list, 1, &whole));
    *out = whole.tensor;
    return NNM_OK;
  }
  const nni_value *items = list->kind == NNI_LIST ? list->items : list;
  size_t count = list->kind == NNI_LIST ? list->count : 1;
  int64_t numbers[NNM_LIMIT_RANK];
  nnm_tensor_id entries[NNM_LIMIT_RANK];
  if (count > NNM_LIMIT_RANK)
    return nni_fail(r, NNM_ERROR_LIMIT, "has a shape of more than 16 dimensions; reshape the tensor before exporting");
  bool is_fixed = true;
  for (size_t i = 0; i < count; i++) {
    is_fixed = is_fixed && items[i].kind == NNI_INT;
    numbers[i] = items[i].integer;
  }
  if (is_fixed) return nni_integers(r, numbers, count, out);
  for (size_t i = 0; i < count; i++) NNM_TRY(shape_entry(r, &items[i], &entries[i]));
  nni_with_int(r, "axis", 0);
  NNM_TRY(nni_emit(r, "Concat", entries, (uint32_t)count, 1, &whole));
  *out = whole.tensor;
  return NNM_OK;
}

/* ------------------------------------------------------------------- inputs */

nni_value nni_input(const nni_reading *r, size_t index) {
  return index < r->input_count ? r->inputs[index] : nni_none();
}

nnm_status nni_tensor_input(nni_reading *r, size_t index, nni_value *out) {
  *out = nni_input(r, index);
  if (out->kind == NNI_TENSOR) return NNM_OK;
  return nni_fail(
      r, NNM_ERROR_UNSUPPORTED,
      "needs a tensor as input %zu, which the IR does not have: parameters of a model that are used outside "
      "of torch's modules are not kept; use a module for it, or give an ONNX export",
      index);
}

nnm_status nni_integer_input(nni_reading *r, size_t index, int64_t otherwise, int64_t *out) {
  nni_value value = nni_input(r, index);
  *out = value.kind == NNI_INT ? value.integer : otherwise;
  if (value.kind == NNI_INT || value.kind == NNI_NONE) return NNM_OK;
  return nni_fail(r, NNM_ERROR_UNSUPPORTED, "needs a fixed integer as input %zu; export the model with fixed sizes",
                  index);
}
