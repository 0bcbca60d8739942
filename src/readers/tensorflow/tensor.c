/* TensorProto: what a tensor is, and where its elements lie. The elements themselves are not looked at, but for small
 * ones that are spelled as numbers. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "readers/tensorflow/tensorflow.h"

/* Elements spelled as protobuf numbers are decoded up to this count: shapes and axes are far smaller, weights larger. */
enum { DECODED_ELEMENTS = 4096 };

typedef struct data_type {
  uint8_t dtype; /* nnm_dtype */
  uint8_t onnx;  /* ONNX's number for it */
  uint8_t size;  /* bytes of one element; 0: not looked at */
  uint8_t field; /* of TensorProto, where such elements lie when spelled as numbers */
  uint8_t wire;  /* their wire type */
} data_type;

enum { VARINT = NNM_WIRE_VARINT, FIXED32 = NNM_WIRE_FIXED32, FIXED64 = NNM_WIRE_FIXED64 };

/* By DataType of types.proto. */
static const data_type data_types[] = {
    [1] = {NNM_DTYPE_F32, 1, 4, TENSOR_PROTO_FLOAT, FIXED32},
    [2] = {NNM_DTYPE_F64, 11, 8, TENSOR_PROTO_DOUBLE, FIXED64},
    [3] = {NNM_DTYPE_I32, 6, 4, TENSOR_PROTO_INT, VARINT},
    [4] = {NNM_DTYPE_U8, 2, 1, TENSOR_PROTO_INT, VARINT},
    [5] = {NNM_DTYPE_I16, 5, 2, TENSOR_PROTO_INT, VARINT},
    [6] = {NNM_DTYPE_I8, 3, 1, TENSOR_PROTO_INT, VARINT},
    [7] = {NNM_DTYPE_STRING, 8, 0, TENSOR_PROTO_STRING, 0},
    [8] = {NNM_DTYPE_COMPLEX, 14, 0, TENSOR_PROTO_COMPLEX64, FIXED32},
    [9] = {NNM_DTYPE_I64, 7, 8, TENSOR_PROTO_INT64, VARINT},
    [10] = {NNM_DTYPE_BOOL, 9, 1, TENSOR_PROTO_BOOL, VARINT},
    [11] = {NNM_DTYPE_I8, 3, 1, TENSOR_PROTO_INT, VARINT},
    [12] = {NNM_DTYPE_U8, 2, 1, TENSOR_PROTO_INT, VARINT},
    [13] = {NNM_DTYPE_I32, 6, 4, TENSOR_PROTO_INT, VARINT},
    [14] = {NNM_DTYPE_BF16, 16, 2, TENSOR_PROTO_HALF, VARINT},
    [15] = {NNM_DTYPE_I16, 5, 2, TENSOR_PROTO_INT, VARINT},
    [16] = {NNM_DTYPE_U16, 4, 2, TENSOR_PROTO_INT, VARINT},
    [17] = {NNM_DTYPE_U16, 4, 2, TENSOR_PROTO_INT, VARINT},
    [18] = {NNM_DTYPE_COMPLEX, 15, 0, TENSOR_PROTO_COMPLEX128, FIXED64},
    [19] = {NNM_DTYPE_F16, 10, 2, TENSOR_PROTO_HALF, VARINT},
    [20] = {NNM_DTYPE_I64, 0, 0, 0, 0}, /* resource: a handle */
    [21] = {NNM_DTYPE_I64, 0, 0, 0, 0}, /* variant: a list of tensors */
    [22] = {NNM_DTYPE_U32, 12, 4, TENSOR_PROTO_UINT32, VARINT},
    [23] = {NNM_DTYPE_U64, 13, 8, TENSOR_PROTO_UINT64, VARINT},
    [24] = {NNM_DTYPE_F8, 19, 0, TENSOR_PROTO_FLOAT8, 0},
    [25] = {NNM_DTYPE_F8, 17, 0, TENSOR_PROTO_FLOAT8, 0},
    [29] = {NNM_DTYPE_I4, 22, 0, TENSOR_PROTO_INT, VARINT},
    [30] = {NNM_DTYPE_U4, 21, 0, TENSOR_PROTO_INT, VARINT},
};
enum { DATA_TYPES = sizeof data_types / sizeof data_types[0], REFERENCE = 100 };

/* Types of TensorFlow 1's variables are references: the number of the type and a hundred. */
static data_type find_type(uint64_t number) {
  if (number > REFERENCE) number -= REFERENCE;
  return number < DATA_TYPES ? data_types[number] : (data_type){0};
}

nnm_dtype nnm_tf_element_type(tf_reader *reader, uint64_t number) {
  nnm_dtype dtype = (nnm_dtype)find_type(number).dtype;
  if (dtype != NNM_DTYPE_UNKNOWN || !number) return dtype;
  reader->odd_types++;
  reader->odd_type = number;
  return dtype;
}

int64_t nnm_tf_onnx_type(uint64_t number) { return find_type(number).onnx; }

/* ------------------------------------------------------------------ shapes */

nnm_status nnm_tf_read_shape(tf_reader *reader, const nnm_wire_field *field, int32_t *rank, const int64_t **out) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_shape, field->bytes, field->size);
  nnm_wire_field part = {0};
  int64_t dims[NNM_LIMIT_RANK];
  int32_t count = 0;
  bool unknown = false;
  while (nnm_wire_next(&message, &part)) {
    if (part.number == SHAPE_UNKNOWN_RANK) {
      unknown = part.value != 0;
      continue;
    }
    if (count == NNM_LIMIT_RANK)
      return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field->bytes,
                           "a tensor of more than %d dimensions; reshape it before exporting", NNM_LIMIT_RANK);
    nnm_wire_message inner = nnm_wire_open(&reader->file, &nnm_tf_shape_dim, part.bytes, part.size);
    nnm_wire_field size = {0};
    dims[count] = 0;
    while (nnm_wire_next(&inner, &size)) dims[count] = (int64_t)size.value;
    NNM_TRY(inner.status);
    count++;
  }
  NNM_TRY(message.status);
  *rank = unknown ? -1 : count;
  *out = nnm_arena_copy(reader->graph_arena, dims, (size_t)count, sizeof *dims);
  return *out ? NNM_OK : nnm_fail_memory(reader->file.error);
}

/* ---------------------------------------------------------------- elements */

typedef struct raw_tensor {
  const nnm_wire_field *whole;
  uint64_t type;
  int32_t rank;
  const int64_t *dims;
  int64_t elements;
  nnm_wire_field content;
} raw_tensor;

static nnm_status fail(tf_reader *reader, const raw_tensor *tensor, nnm_status status, const char *what) {
  return nnm_wire_fail(&reader->file, status, tensor->whole->bytes,
                       "a constant %s; the file is damaged: fetch or export it again", what);
}

static nnm_status read_head(tf_reader *reader, raw_tensor *tensor) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_tensor, tensor->whole->bytes, tensor->whole->size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    switch (field.number) {
    case TENSOR_PROTO_TYPE: tensor->type = field.value; break;
    case TENSOR_PROTO_SHAPE: NNM_TRY(nnm_tf_read_shape(reader, &field, &tensor->rank, &tensor->dims)); break;
    case TENSOR_PROTO_CONTENT: tensor->content = field; break;
    default: break;
    }
  }
  NNM_TRY(message.status);
  if (tensor->rank < 0) return fail(reader, tensor, NNM_ERROR_FORMAT, "without a shape");
  for (int32_t i = 0; i < tensor->rank; i++)
    if (tensor->dims[i] < 0) return fail(reader, tensor, NNM_ERROR_FORMAT, "with a negative dimension");
  if (!nnm_multiply_dims(tensor->dims, (size_t)tensor->rank, &tensor->elements) ||
      tensor->elements > NNM_LIMIT_ELEMENTS)
    return fail(reader, tensor, NNM_ERROR_LIMIT, "of more than 2^50 elements");
  return NNM_OK;
}

static void store(unsigned char *bytes, size_t index, uint64_t number, size_t size) {
  memcpy(bytes + index * size, &number, size); /* little-endian, as all the reader is */
}

/* Decodes spelled elements, `most` of them at most. */
static nnm_status decode(tf_reader *reader, const raw_tensor *tensor, data_type type, size_t most, unsigned char *bytes,
                         size_t *count) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_tensor, tensor->whole->bytes, tensor->whole->size);
  nnm_wire_field field = {0};
  bool damaged = false;
  *count = 0;
  while (nnm_wire_next(&message, &field)) {
    if (field.number != type.field) continue;
    uint64_t number;
    size_t at = 0;
    while (*count < most && nnm_wire_number(&field, type.wire, &at, &number, &damaged))
      store(bytes, (*count)++, number, type.size);
  }
  NNM_TRY(message.status);
  return damaged ? fail(reader, tensor, NNM_ERROR_FORMAT, "whose numbers are none") : NNM_OK;
}

/* The elements that are not written equal the last one that is; without any all are zero. Room for each is made only
 * where they differ: a frozen graph with its weights cut out has one number for megabytes. */
static nnm_status take_numbers(tf_reader *reader, const raw_tensor *tensor, data_type type, nnm_constant *out) {
  enum { ENOUGH = 2 }; /* to tell one that stands for all from more */
  unsigned char first[ENOUGH * sizeof(uint64_t)] = {0}, *bytes;
  size_t elements = (size_t)tensor->elements, count;
  NNM_TRY(decode(reader, tensor, type, ENOUGH, first, &count));
  if (count < ENOUGH || elements == 1) {
    bytes = nnm_arena_copy(reader->graph_arena, first, 1, type.size);
    if (!bytes) return nnm_fail_memory(reader->file.error);
    out->bytes = bytes;
    out->size = type.size;
    out->splat = elements > 1;
    return NNM_OK;
  }
  if (elements > DECODED_ELEMENTS) return NNM_OK;
  bytes = nnm_arena_alloc(reader->graph_arena, elements, type.size);
  if (!bytes) return nnm_fail_memory(reader->file.error);
  NNM_TRY(decode(reader, tensor, type, elements, bytes, &count));
  for (; count < elements; count++) memcpy(bytes + count * type.size, bytes + (count - 1) * type.size, type.size);
  out->bytes = bytes;
  out->size = elements * type.size;
  return NNM_OK;
}

nnm_status nnm_tf_read_tensor(tf_reader *reader, const nnm_wire_field *field, nnm_constant **out) {
  raw_tensor tensor = {.whole = field, .dims = NULL};
  NNM_TRY(read_head(reader, &tensor));
  data_type type = find_type(tensor.type);
  nnm_constant *constant = NNM_ARENA_NEW(reader->graph_arena, nnm_constant);
  if (!tensor.dims) tensor.dims = nnm_arena_alloc(reader->graph_arena, 1, sizeof *tensor.dims);
  if (!constant || !tensor.dims) return nnm_fail_memory(reader->file.error);
  *constant =
      (nnm_constant){.dtype = nnm_tf_element_type(reader, tensor.type), .rank = tensor.rank, .dims = tensor.dims};
  *out = constant;
  if (!tensor.elements) { /* all there, which a shape may hang on; the address only says so */
    constant->bytes = field->bytes;
    return NNM_OK;
  }
  if (!type.size) return NNM_OK;
  if (!tensor.content.size) return take_numbers(reader, &tensor, type, constant);
  size_t needed;
  bool fits = nnm_multiply_size((size_t)tensor.elements, type.size, &needed);
  if (!fits || (tensor.content.size != needed && tensor.content.size != type.size))
    return fail(reader, &tensor, NNM_ERROR_FORMAT, "that holds more or fewer elements than its shape says");
  constant->bytes = tensor.content.bytes;
  constant->size = tensor.content.size;
  constant->splat = tensor.content.size != needed;
  return NNM_OK;
}
