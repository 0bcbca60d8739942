/* Tensors. The file lists them apart from the operators and does not say what makes them: a tensor is made here when an
 * operator first speaks of it. Operators stand in the order in which they run, so what is read before anything has
 * written it is a weight, with its elements in a buffer or (a stripped file) without. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/text.h"
#include "readers/tflite/tflite.h"

/* ---- scopes */

nnm_status nnm_tflite_open_scope(tflite_reader *reader, size_t subgraph, nnm_flat_table *table, tflite_scope *scope) {
  *scope = (tflite_scope){.subgraph = subgraph};
  *table = nnm_flat_item_table(&reader->subgraphs, subgraph, "subgraph");
  scope->tables = nnm_flat_items(table, SUBGRAPH_TENSORS, 4);
  NNM_TRY(nnm_flat_spend(&reader->file, scope->tables.count * sizeof(tflite_tensor) / 8));
  if (scope->tables.count > NNM_LIMIT_TENSORS)
    return nnm_flat_fail(&reader->file, NNM_ERROR_LIMIT, table->at,
                         "subgraph %zu has more than %d tensors; simplify the model before converting it", subgraph,
                         NNM_LIMIT_TENSORS);
  scope->tensors = calloc(scope->tables.count + 1, sizeof *scope->tensors);
  if (!scope->tensors) return nnm_fail_memory(reader->file.error);
  reader->in_progress[subgraph] = 1;
  return NNM_OK;
}

void nnm_tflite_close_scope(tflite_reader *reader, tflite_scope *scope) {
  if (scope->tensors) reader->in_progress[scope->subgraph] = 0;
  free(scope->tensors);
  scope->tensors = NULL;
}

/* ---- names */

nnm_status nnm_tflite_free_name(tflite_reader *reader, const char *text, size_t length, const char **out) {
  const char *name = nnm_graph_builder_intern(reader->builder, text, length);
  while (name && nnm_graph_builder_find_tensor(reader->builder, name) >= 0) {
    NNM_TRY(nnm_flat_spend(&reader->file, length + 16));
    const char *other = nnm_arena_printf(reader->arena, "%.*s#%zu", (int)length, text, ++reader->renamed);
    name = other ? nnm_graph_builder_intern(reader->builder, other, strlen(other)) : NULL;
  }
  if (!name) return nnm_fail_memory(reader->file.error);
  *out = name;
  return NNM_OK;
}

static bool is_name(const nnm_flat_vector *text) {
  for (size_t at = 0; at < text->count;) {
    size_t length = text->items[at] ? nnm_utf8_length((const char *)text->items + at, text->count - at) : 0;
    if (!length) return false;
    at += length;
  }
  return true;
}

static nnm_status name_tensor(tflite_reader *reader, const nnm_flat_table *table, int64_t index, const char **out) {
  nnm_flat_vector text = nnm_flat_text(table, TENSOR_NAME);
  NNM_TRY(reader->file.status);
  if (text.count > NNM_LIMIT_NAME_BYTES)
    return nnm_flat_fail(&reader->file, NNM_ERROR_LIMIT, table->at,
                         "tensor %lld has a name of %zu bytes; the limit is %d: shorten it, or convert the model again",
                         (long long)index, text.count, NNM_LIMIT_NAME_BYTES);
  if (!is_name(&text))
    return nnm_flat_fail(&reader->file, NNM_ERROR_FORMAT, table->at,
                         "tensor %lld has a name that is not UTF-8 text; the file is damaged: fetch it again",
                         (long long)index);
  if (text.count) return nnm_tflite_free_name(reader, (const char *)text.items, text.count, out);
  char name[40];
  snprintf(name, sizeof name, "tensor_%lld", (long long)index);
  return nnm_tflite_free_name(reader, name, strlen(name), out);
}

/* ---- types and shapes */

static nnm_dtype dtype_of(tflite_reader *reader, uint32_t type) {
  static const nnm_dtype dtypes[] = {
      NNM_DTYPE_F32,  NNM_DTYPE_F16,     NNM_DTYPE_I32,     NNM_DTYPE_U8,  NNM_DTYPE_I64, NNM_DTYPE_STRING,
      NNM_DTYPE_BOOL, NNM_DTYPE_I16,     NNM_DTYPE_COMPLEX, NNM_DTYPE_I8,  NNM_DTYPE_F64, NNM_DTYPE_COMPLEX,
      NNM_DTYPE_U64,  NNM_DTYPE_UNKNOWN, NNM_DTYPE_UNKNOWN, NNM_DTYPE_U32, NNM_DTYPE_U16, NNM_DTYPE_I4,
      NNM_DTYPE_BF16, NNM_DTYPE_I4,      NNM_DTYPE_U4,      NNM_DTYPE_F8,  NNM_DTYPE_F8};
  if (type < sizeof dtypes / sizeof *dtypes) return dtypes[type];
  reader->odd_types++;
  reader->odd_type = type;
  return NNM_DTYPE_UNKNOWN;
}

/* Bits of an element as the file stores it; 0 where that is not fixed. */
static uint64_t stored_bits(uint32_t type) {
  static const uint8_t bits[] = {32, 16, 32, 8, 64, 0, 8, 16, 64, 8, 64, 128, 64, 0, 0, 32, 16, 4, 16, 2, 4, 8, 8};
  return type < sizeof bits ? bits[type] : 0;
}

/* The shape is what the converter worked out, with 1 for what it did not know; the signature has -1 there. An empty
 * shape is that of a scalar, or of a tensor of unknown rank in files that do not tell the two apart. */
static nnm_status read_shape(tflite_reader *reader, const nnm_flat_table *table, int64_t index, bool is_open,
                             tflite_tensor *tensor) {
  nnm_flat_vector shape = nnm_flat_items(table, TENSOR_SHAPE, 4);
  nnm_flat_vector signature = nnm_flat_items(table, TENSOR_SHAPE_SIGNATURE, 4);
  bool has_rank = nnm_flat_u8(table, TENSOR_HAS_RANK, 0) != 0;
  NNM_TRY(reader->file.status);
  if (shape.count > NNM_LIMIT_RANK)
    return nnm_flat_fail(&reader->file, NNM_ERROR_LIMIT, table->at,
                         "tensor %lld has %zu dimensions; the limit is %d: reshape it before converting",
                         (long long)index, shape.count, NNM_LIMIT_RANK);
  tensor->rank = !shape.count && is_open && !has_rank ? -1 : (int32_t)shape.count;
  if (tensor->rank < 0) return NNM_OK;
  int64_t *dims = NNM_ARENA_ARRAY(reader->arena, int64_t, shape.count);
  if (!dims) return nnm_fail_memory(reader->file.error);
  for (size_t i = 0; i < shape.count; i++) {
    dims[i] = nnm_flat_item_i32(&shape, i);
    if (is_open && signature.count == shape.count && nnm_flat_item_i32(&signature, i) < 0) dims[i] = -1;
    if (dims[i] < 0 && !is_open)
      return nnm_flat_fail(&reader->file, NNM_ERROR_FORMAT, table->at,
                           "tensor %lld is no result, but has dimension %lld; the file is damaged: fetch it again",
                           (long long)index, (long long)dims[i]);
  }
  tensor->dims = dims;
  return NNM_OK;
}

/* ---- weights */

/* The bytes of a buffer. Those of files over 2 GB lie behind the FlatBuffer, at an offset from its start. */
static nnm_status find_bytes(tflite_reader *reader, const nnm_flat_table *tensor, nnm_flat_vector *bytes) {
  enum { NOT_OUTSIDE = 1 }; /* 1 is what the converter writes before it knows the place */
  *bytes = (nnm_flat_vector){.file = &reader->file};
  uint64_t buffer = nnm_flat_u32(tensor, TENSOR_BUFFER, 0);
  if (reader->file.status != NNM_OK || (!buffer && !reader->buffers.count)) return reader->file.status;
  if (buffer >= reader->buffers.count)
    return nnm_flat_fail(&reader->file, NNM_ERROR_FORMAT, tensor->at,
                         "a tensor has buffer %llu, but there are only %zu; the file is damaged: fetch it again",
                         (unsigned long long)buffer, reader->buffers.count);
  nnm_flat_table table = nnm_flat_item_table(&reader->buffers, buffer, "buffer");
  uint64_t offset = nnm_flat_u64(&table, BUFFER_OFFSET, 0), size = nnm_flat_u64(&table, BUFFER_SIZE, 0);
  *bytes = nnm_flat_items(&table, BUFFER_DATA, 1);
  NNM_TRY(reader->file.status);
  if (offset <= NOT_OUTSIDE || bytes->count) return NNM_OK;
  if (offset > reader->file.size || size > reader->file.size - offset)
    return nnm_flat_fail(
        &reader->file, NNM_ERROR_FORMAT, table.at,
        "buffer %llu lies at byte %llu, past the end of the file; the file is cut short: fetch it again",
        (unsigned long long)buffer, (unsigned long long)offset);
  bytes->items = reader->file.data + offset;
  bytes->count = (size_t)size;
  return NNM_OK;
}

/* Whether there are as many bytes as the shape says. */
static nnm_status check_bytes(tflite_reader *reader, const nnm_flat_table *table, int64_t index,
                              const tflite_tensor *tensor, size_t count) {
  int64_t elements, bits;
  uint64_t each = stored_bits(tensor->type);
  if (!nnm_multiply_dims(tensor->dims, (size_t)tensor->rank, &elements) ||
      !nnm_multiply_i64(elements, (int64_t)each, &bits))
    return nnm_flat_fail(&reader->file, NNM_ERROR_LIMIT, table->at,
                         "tensor %lld has more elements than can be counted; the file is damaged: fetch it again",
                         (long long)index);
  if (!each || (uint64_t)count >= (uint64_t)bits / 8 + (bits % 8 != 0)) return NNM_OK;
  return nnm_flat_fail(
      &reader->file, NNM_ERROR_FORMAT, table->at,
      "tensor %lld has %zu bytes, but its shape needs %llu; the file is damaged or cut short: fetch it "
      "again",
      (long long)index, count, (unsigned long long)bits / 8 + (bits % 8 != 0));
}

static nnm_status make_weight(tflite_reader *reader, const nnm_flat_table *table, int64_t index,
                              const nnm_flat_vector *bytes, tflite_tensor *tensor) {
  bool is_sparse = nnm_flat_has(table, TENSOR_SPARSITY); /* the shape is that of the dense tensor */
  if (tensor->rank < 0 || tensor->type == TYPE_RESOURCE || tensor->type == TYPE_VARIANT)
    return nnm_graph_builder_weight(reader->builder, tensor->id, NULL, reader->file.error);
  nnm_constant *constant = NNM_ARENA_NEW(reader->arena, nnm_constant);
  if (!constant) return nnm_fail_memory(reader->file.error);
  *constant = (nnm_constant){.dtype = tensor->dtype, .rank = tensor->rank, .dims = tensor->dims};
  if (bytes->count && !is_sparse) {
    NNM_TRY(check_bytes(reader, table, index, tensor, bytes->count));
    constant->bytes = bytes->items;
    constant->size = bytes->count;
  }
  int64_t elements;
  bool is_empty = nnm_multiply_dims(tensor->dims, (size_t)tensor->rank, &elements) && !elements;
  if (is_empty)
    constant->bytes = reader->file.data; /* all there, which a shape may hang on; the address only says so */
  tensor->constant = constant;
  return nnm_graph_builder_weight(reader->builder, tensor->id, constant, reader->file.error);
}

/* What a layer keeps from one run to the next: neither an input nor a weight. */
static nnm_status make_variable(tflite_reader *reader, const tflite_tensor *tensor, const char *name) {
  nnm_attribute shape = {.name = "shape", .kind = NNM_ATTRIBUTE_INTS, .count = (size_t)tensor->rank};
  shape.as.integers = tensor->dims;
  const char *type = nnm_graph_builder_intern(reader->builder, "VARIABLE", 8);
  if (!type) return nnm_fail_memory(reader->file.error);
  nnm_node node = {.name = name,
                   .type = type,
                   .domain = reader->empty,
                   .op = NNM_OP_PLACEHOLDER,
                   .layout = NNM_CHANNELS_LAST,
                   .weight_layout = NNM_WEIGHT_OXI,
                   .output_count = 1,
                   .attribute_count = tensor->rank > 0,
                   .outputs = &tensor->id,
                   .attributes = &shape};
  return nnm_graph_builder_node(reader->builder, &node, NULL, reader->file.error);
}

/* ---- one tensor */

static nnm_status make_tensor(tflite_reader *reader, tflite_scope *scope, int64_t index, bool is_written,
                              tflite_tensor *tensor) {
  nnm_flat_table table = nnm_flat_item_table(&scope->tables, (size_t)index, "tensor");
  bool is_variable = nnm_flat_u8(&table, TENSOR_IS_VARIABLE, 0) != 0;
  const char *name;
  nnm_flat_vector bytes = {.file = &reader->file};
  NNM_TRY(name_tensor(reader, &table, index, &name));
  if (!is_written) NNM_TRY(find_bytes(reader, &table, &bytes));
  tensor->type = (uint32_t)nnm_flat_u8(&table, TENSOR_TYPE, 0);
  tensor->dtype = dtype_of(reader, tensor->type);
  NNM_TRY(read_shape(reader, &table, index, is_written, tensor));
  NNM_TRY(nnm_graph_builder_local_tensor(reader->builder, name, &tensor->id, reader->file.error));
  tensor->is_made = true;
  if (!is_written && !is_variable) return make_weight(reader, &table, index, &bytes, tensor);
  NNM_TRY(nnm_graph_builder_declare(reader->builder, tensor->id, tensor->dtype, tensor->rank, tensor->dims, NULL,
                                    reader->file.error));
  return is_written ? NNM_OK : make_variable(reader, tensor, name);
}

nnm_status nnm_tflite_tensor(tflite_reader *reader, tflite_scope *scope, int64_t index, bool is_written,
                             tflite_tensor **out) {
  *out = NULL;
  if (index == TFLITE_ABSENT) return NNM_OK;
  if (index < 0 || (uint64_t)index >= scope->tables.count)
    return nnm_flat_fail(&reader->file, NNM_ERROR_FORMAT,
                         scope->tables.items ? (size_t)(scope->tables.items - reader->file.data) : 0,
                         "subgraph %zu has no tensor %lld, which one of its operators or lists names; the file is "
                         "damaged: fetch it again",
                         scope->subgraph, (long long)index);
  *out = &scope->tensors[index];
  return (*out)->is_made ? NNM_OK : make_tensor(reader, scope, index, is_written, *out);
}

nnm_status nnm_tflite_bind(tflite_reader *reader, tflite_scope *scope, int64_t index, const tflite_tensor *actual) {
  tflite_tensor *formal;
  NNM_TRY(nnm_tflite_tensor(reader, scope, index, true, &formal));
  if (!formal) return NNM_OK;
  const char *type = nnm_graph_builder_intern(reader->builder, "ARGUMENT", 8);
  if (!type) return nnm_fail_memory(reader->file.error);
  nnm_node node = {.name = reader->empty,
                   .type = type,
                   .domain = reader->empty,
                   .op = NNM_OP_IDENTITY,
                   .layout = NNM_CHANNELS_LAST,
                   .weight_layout = NNM_WEIGHT_OXI,
                   .input_count = 1,
                   .output_count = 1,
                   .inputs = &actual->id,
                   .outputs = &formal->id};
  formal->constant = actual->constant; /* what the caller hands over is known in here as well */
  return nnm_graph_builder_node(reader->builder, &node, NULL, reader->file.error);
}

nnm_status nnm_tflite_keep_unread(tflite_reader *reader, tflite_scope *scope) {
  for (size_t i = 0; i < scope->tables.count; i++) {
    if (scope->tensors[i].is_made) continue;
    nnm_flat_table table = nnm_flat_item_table(&scope->tables, i, "tensor");
    nnm_flat_vector bytes;
    NNM_TRY(find_bytes(reader, &table, &bytes));
    tflite_tensor *tensor;
    if (bytes.count) NNM_TRY(nnm_tflite_tensor(reader, scope, (int64_t)i, false, &tensor));
  }
  return reader->file.status;
}
