/* TensorProto: what a tensor is, and where its elements lie. The elements themselves are not looked at, but for small
 * ones that are spelled as numbers. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "readers/onnx/onnx.h"

/* Elements spelled as protobuf numbers are decoded up to this count: shapes and axes are far smaller, weights larger. */
enum { DECODED_ELEMENTS = 4096 };

typedef struct data_type {
  uint8_t dtype;       /* nnm_dtype */
  uint8_t bits;        /* of one element; 0: not known here, and not checked */
  uint8_t field;       /* of TensorProto, where such elements lie when spelled as numbers */
  uint8_t entry_bytes; /* of one number of that field once decoded; complex elements take two, 4-bit ones half of one */
} data_type;

/* By TensorProto.DataType. Types of fewer than 8 bits but 4 have no dtype of their own and count as 4-bit integers. */
static const data_type data_types[] = {
    [1] = {NNM_DTYPE_F32, 32, TENSOR_FLOAT_DATA, 4},        [2] = {NNM_DTYPE_U8, 8, TENSOR_INT32_DATA, 1},
    [3] = {NNM_DTYPE_I8, 8, TENSOR_INT32_DATA, 1},          [4] = {NNM_DTYPE_U16, 16, TENSOR_INT32_DATA, 2},
    [5] = {NNM_DTYPE_I16, 16, TENSOR_INT32_DATA, 2},        [6] = {NNM_DTYPE_I32, 32, TENSOR_INT32_DATA, 4},
    [7] = {NNM_DTYPE_I64, 64, TENSOR_INT64_DATA, 8},        [8] = {NNM_DTYPE_STRING, 0, TENSOR_STRING_DATA, 0},
    [9] = {NNM_DTYPE_BOOL, 8, TENSOR_INT32_DATA, 1},        [10] = {NNM_DTYPE_F16, 16, TENSOR_INT32_DATA, 2},
    [11] = {NNM_DTYPE_F64, 64, TENSOR_DOUBLE_DATA, 8},      [12] = {NNM_DTYPE_U32, 32, TENSOR_UINT64_DATA, 4},
    [13] = {NNM_DTYPE_U64, 64, TENSOR_UINT64_DATA, 8},      [14] = {NNM_DTYPE_COMPLEX, 64, TENSOR_FLOAT_DATA, 4},
    [15] = {NNM_DTYPE_COMPLEX, 128, TENSOR_DOUBLE_DATA, 8}, [16] = {NNM_DTYPE_BF16, 16, TENSOR_INT32_DATA, 2},
    [17] = {NNM_DTYPE_F8, 8, TENSOR_INT32_DATA, 1},         [18] = {NNM_DTYPE_F8, 8, TENSOR_INT32_DATA, 1},
    [19] = {NNM_DTYPE_F8, 8, TENSOR_INT32_DATA, 1},         [20] = {NNM_DTYPE_F8, 8, TENSOR_INT32_DATA, 1},
    [21] = {NNM_DTYPE_U4, 4, TENSOR_INT32_DATA, 1},         [22] = {NNM_DTYPE_I4, 4, TENSOR_INT32_DATA, 1},
    [23] = {NNM_DTYPE_I4, 4, TENSOR_INT32_DATA, 1},         [24] = {NNM_DTYPE_F8, 8, TENSOR_INT32_DATA, 1},
    [25] = {NNM_DTYPE_U4, 2, TENSOR_INT32_DATA, 1},         [26] = {NNM_DTYPE_I4, 2, TENSOR_INT32_DATA, 1},
    [27] = {NNM_DTYPE_F8, 0, TENSOR_INT32_DATA, 1},         [28] = {NNM_DTYPE_F8, 0, TENSOR_INT32_DATA, 1},
};
enum { DATA_TYPES = sizeof data_types / sizeof data_types[0], LOCATION_EXTERNAL = 1 };

static data_type find_data_type(uint64_t number) {
  return number < DATA_TYPES ? data_types[number] : (data_type){NNM_DTYPE_UNKNOWN, 0, 0, 0};
}

nnm_dtype nnm_onnx_element_type(onnx_reader *reader, uint64_t number) {
  nnm_dtype dtype = (nnm_dtype)find_data_type(number).dtype;
  if (dtype != NNM_DTYPE_UNKNOWN || !number) return dtype;
  reader->odd_types++;
  reader->odd_type = number;
  return dtype;
}

/* A TensorProto as it lies in the file. */
typedef struct raw_tensor {
  int64_t dims[NNM_LIMIT_RANK];
  int32_t rank;
  uint64_t type_number;
  bool is_external;
  nnm_wire_field whole, name, raw, numbers; /* numbers: the first field of spelled elements; size or value as read */
  uint32_t number_fields;                   /* how many such fields there are */
} raw_tensor;

static nnm_status read_dims(onnx_reader *reader, const nnm_wire_field *field, int64_t *dims, int32_t *rank) {
  size_t at = 0;
  uint64_t number;
  bool damaged = false;
  while (nnm_wire_number(field, NNM_WIRE_VARINT, &at, &number, &damaged)) {
    if (*rank == NNM_LIMIT_RANK)
      return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field->bytes,
                           "a tensor of more than %d dimensions; reshape it before exporting", NNM_LIMIT_RANK);
    dims[(*rank)++] = (int64_t)number;
  }
  if (!damaged) return NNM_OK;
  return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, field->bytes,
                       "dimensions that are no numbers; the file is damaged: fetch or export it again");
}

static nnm_status read_tensor(onnx_reader *reader, raw_tensor *tensor) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_tensor, tensor->whole.bytes, tensor->whole.size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    switch (field.number) {
    case TENSOR_DIMS: NNM_TRY(read_dims(reader, &field, tensor->dims, &tensor->rank)); break;
    case TENSOR_DATA_TYPE: tensor->type_number = field.value; break;
    case TENSOR_NAME: tensor->name = field; break;
    case TENSOR_RAW_DATA: tensor->raw = field; break;
    case TENSOR_DATA_LOCATION: tensor->is_external = field.value == LOCATION_EXTERNAL; break;
    default:
      if (!tensor->number_fields++) tensor->numbers = field;
      break;
    }
  }
  return message.status;
}

static nnm_status count_elements(onnx_reader *reader, const raw_tensor *tensor, int64_t *elements) {
  const unsigned char *at = tensor->whole.bytes;
  for (int32_t i = 0; i < tensor->rank; i++)
    if (tensor->dims[i] < 0)
      return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, at,
                           "tensor '%.*s' has a negative dimension; the file is damaged: fetch or export it again",
                           (int)(tensor->name.size > 200 ? 200 : tensor->name.size), (const char *)tensor->name.bytes);
  if (nnm_multiply_dims(tensor->dims, (size_t)tensor->rank, elements) && *elements <= NNM_LIMIT_ELEMENTS) return NNM_OK;
  return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, at,
                       "tensor '%.*s' has more than %lld elements; the file is damaged: fetch or export it again",
                       (int)(tensor->name.size > 200 ? 200 : tensor->name.size), (const char *)tensor->name.bytes,
                       (long long)NNM_LIMIT_ELEMENTS);
}

static nnm_status fail_size(onnx_reader *reader, const raw_tensor *tensor, uint64_t has, uint64_t needs,
                            const char *unit) {
  return nnm_wire_fail(
      &reader->file, NNM_ERROR_FORMAT, tensor->whole.bytes,
      "tensor '%.*s' holds %llu %s, but its dimensions need %llu; the file is damaged: fetch or export "
      "it again",
      (int)(tensor->name.size > 200 ? 200 : tensor->name.size), (const char *)tensor->name.bytes,
      (unsigned long long)has, unit, (unsigned long long)needs);
}

/* Takes elements that lie in the file as they are. Some tools that strip weights leave one element to stand for all. */
static nnm_status take_bytes(onnx_reader *reader, const raw_tensor *tensor, const unsigned char *bytes, size_t size,
                             int64_t elements, nnm_constant *constant) {
  unsigned bits = find_data_type(tensor->type_number).bits;
  if (!size || !bits) return NNM_OK;
  uint64_t needs = ((uint64_t)elements * bits + 7) / 8;
  constant->splat = size != needs && size == (bits + 7) / 8 && elements > 1;
  if (size != needs && !constant->splat) return fail_size(reader, tensor, size, needs, "bytes");
  constant->bytes = bytes;
  constant->size = size;
  return NNM_OK;
}

/* Decodes elements spelled as numbers, however they are spread over fields. */
static nnm_status decode_numbers(onnx_reader *reader, const raw_tensor *tensor, data_type type, size_t needs,
                                 unsigned char *bytes, size_t *count) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_tensor, tensor->whole.bytes, tensor->whole.size);
  nnm_wire_field field = {0};
  uint8_t element_type = type.field == TENSOR_FLOAT_DATA    ? NNM_WIRE_FIXED32
                         : type.field == TENSOR_DOUBLE_DATA ? NNM_WIRE_FIXED64
                                                            : NNM_WIRE_VARINT;
  *count = 0;
  while (nnm_wire_next(&message, &field)) {
    if (field.number != type.field) continue;
    NNM_TRY(nnm_wire_spend(&reader->file, field.size));
    size_t at = 0;
    uint64_t number;
    bool damaged = false;
    while (nnm_wire_number(&field, element_type, &at, &number, &damaged)) {
      if (*count < needs) memcpy(bytes + *count * type.entry_bytes, &number, type.entry_bytes);
      ++*count;
    }
    if (damaged)
      return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, field.bytes,
                           "tensor elements that are no numbers; the file is damaged: fetch or export it again");
  }
  return message.status;
}

static nnm_status take_numbers(onnx_reader *reader, const raw_tensor *tensor, int64_t elements,
                               nnm_constant *constant) {
  data_type type = find_data_type(tensor->type_number);
  if (!tensor->number_fields || !type.entry_bytes || !type.bits || tensor->numbers.number != type.field) return NNM_OK;
  bool is_fixed = type.field == TENSOR_FLOAT_DATA || type.field == TENSOR_DOUBLE_DATA;
  if (is_fixed && tensor->number_fields == 1 && tensor->numbers.type == NNM_WIRE_BYTES)
    return take_bytes(reader, tensor, tensor->numbers.bytes, tensor->numbers.size, elements, constant);
  if (elements > DECODED_ELEMENTS) return NNM_OK;
  size_t needs = ((size_t)elements * type.bits + type.entry_bytes * 8U - 1) / (type.entry_bytes * 8U), count;
  unsigned char *bytes = nnm_arena_alloc(nnm_graph_builder_arena(reader->builder), needs + 1, type.entry_bytes);
  if (!bytes) return nnm_fail_memory(reader->file.error);
  NNM_TRY(decode_numbers(reader, tensor, type, needs, bytes, &count));
  if (!count) return NNM_OK;
  constant->splat = count == 1 && needs > 1;
  if (count != needs && !constant->splat) return fail_size(reader, tensor, count, needs, "numbers");
  constant->bytes = bytes;
  constant->size = count * type.entry_bytes;
  return NNM_OK;
}

static nnm_status make_constant(onnx_reader *reader, const raw_tensor *tensor, nnm_constant **out) {
  nnm_arena *arena = nnm_graph_builder_arena(reader->builder);
  nnm_constant *constant = NNM_ARENA_NEW(arena, nnm_constant);
  int64_t *dims = nnm_arena_copy(arena, tensor->dims, (size_t)tensor->rank, sizeof *dims);
  if (!constant || !dims) return nnm_fail_memory(reader->file.error);
  *constant =
      (nnm_constant){.dtype = nnm_onnx_element_type(reader, tensor->type_number), .rank = tensor->rank, .dims = dims};
  *out = constant;
  return NNM_OK;
}

nnm_status nnm_onnx_constant(onnx_reader *reader, const nnm_wire_field *field, onnx_named_constant *out) {
  raw_tensor tensor = {.whole = *field};
  NNM_TRY(read_tensor(reader, &tensor));
  int64_t elements;
  NNM_TRY(count_elements(reader, &tensor, &elements));
  NNM_TRY(make_constant(reader, &tensor, &out->constant));
  out->name = tensor.name;
  if (!elements) { /* all there, which a shape may hang on; the address only says so */
    out->constant->bytes = field->bytes;
    return NNM_OK;
  }
  if (tensor.is_external) return NNM_OK;
  if (tensor.raw.size) return take_bytes(reader, &tensor, tensor.raw.bytes, tensor.raw.size, elements, out->constant);
  return take_numbers(reader, &tensor, elements, out->constant);
}

/* A sparse tensor is the dense tensor that it stands for, without its elements. */
nnm_status nnm_onnx_sparse_constant(onnx_reader *reader, const nnm_wire_field *field, onnx_named_constant *out) {
  raw_tensor values = {0}, dense = {.whole = *field};
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_sparse, field->bytes, field->size);
  nnm_wire_field part = {0};
  while (nnm_wire_next(&message, &part)) {
    if (part.number == SPARSE_VALUES) {
      values = (raw_tensor){.whole = part};
      NNM_TRY(read_tensor(reader, &values));
      continue;
    }
    NNM_TRY(read_dims(reader, &part, dense.dims, &dense.rank));
  }
  NNM_TRY(message.status);
  dense.type_number = values.type_number;
  out->name = dense.name = values.name;
  int64_t elements;
  NNM_TRY(count_elements(reader, &dense, &elements));
  return make_constant(reader, &dense, &out->constant);
}
