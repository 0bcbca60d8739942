#include "predictors/pickle_array.h"

#include <string.h>

#include "base/checked.h"

enum { LARGEST_ITEM = 4096 }; /* bytes; a tree's node has 56 or 64 */

/* The value, or NULL when id is NNM_PICKLE_NOTHING or of another kind. */
static const nnm_pickle_value *of_kind(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_kind kind) {
  const nnm_pickle_value *value = id == NNM_PICKLE_NOTHING ? NULL : nnm_pickle_at(pickle, id);
  return value && value->kind == kind ? value : NULL;
}

static const nnm_pickle_value *call_of(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_global function) {
  const nnm_pickle_value *object = of_kind(pickle, id, NNM_PICKLE_OBJECT);
  return object && nnm_pickle_at(pickle, object->as.object.function)->global == function ? object : NULL;
}

/* ---------------------------------------------------------------- data types */

/* "i8", "f8", "u1", "b1": kind and bytes. */
static bool parse_type_name(const nnm_pickle_value *name, nnm_pickle_field *out) {
  if (!name || name->as.bytes.size != 2) return false;
  unsigned char kind = name->as.bytes.data[0], digit = name->as.bytes.data[1];
  size_t size = (size_t)(digit - '0');
  bool whole = kind == 'i' || kind == 'u' || kind == 'b';
  if (whole ? size != 1 && size != 2 && size != 4 && size != 8 : kind != 'f' || (size != 4 && size != 8)) return false;
  *out = (nnm_pickle_field){.size = size, .is_float = kind == 'f', .is_signed = kind == 'i'};
  return true;
}

/* The state numpy gives a dtype: (version, byte order, subtype, names, fields, item size, alignment, flags, ...). */
enum { TYPE_BYTE_ORDER = 1, TYPE_FIELDS = 4, TYPE_ITEM_SIZE = 5 };

static nnm_pickle_id type_state(const nnm_pickle *pickle, const nnm_pickle_value *type, size_t index) {
  return nnm_pickle_tuple_item(pickle, type->as.object.state, index);
}

static bool simple_type(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_field *out) {
  const nnm_pickle_value *type = call_of(pickle, id, NNM_PICKLE_DTYPE);
  if (!type) return false;
  nnm_pickle_id name = nnm_pickle_tuple_item(pickle, type->as.object.arguments, 0);
  if (!parse_type_name(of_kind(pickle, name, NNM_PICKLE_TEXT), out)) return false;
  const nnm_pickle_value *order = of_kind(pickle, type_state(pickle, type, TYPE_BYTE_ORDER), NNM_PICKLE_TEXT);
  out->big_endian = order && nnm_pickle_text_is(order, ">");
  return true;
}

static bool table_size(const nnm_pickle *pickle, nnm_pickle_id id, size_t *out) {
  const nnm_pickle_value *type = call_of(pickle, id, NNM_PICKLE_DTYPE);
  int64_t size;
  if (!type || !of_kind(pickle, type_state(pickle, type, TYPE_FIELDS), NNM_PICKLE_DICT)) return false;
  if (!nnm_pickle_integer(pickle, type_state(pickle, type, TYPE_ITEM_SIZE), &size)) return false;
  if (size < 1 || size > LARGEST_ITEM) return false;
  *out = (size_t)size;
  return true;
}

bool nnm_pickle_array_field(const nnm_pickle *pickle, const nnm_pickle_array *array, const char *name,
                            nnm_pickle_field *out) {
  const nnm_pickle_value *type = call_of(pickle, array->type, NNM_PICKLE_DTYPE);
  if (!type || array->number.size) return false;
  nnm_pickle_id entry = nnm_pickle_find(pickle, type_state(pickle, type, TYPE_FIELDS), name);
  int64_t offset;
  if (!simple_type(pickle, nnm_pickle_tuple_item(pickle, entry, 0), out)) return false;
  if (!nnm_pickle_integer(pickle, nnm_pickle_tuple_item(pickle, entry, 1), &offset)) return false;
  if (offset < 0 || (uint64_t)offset > array->item_size || out->size > array->item_size - (size_t)offset) return false;
  out->offset = (size_t)offset;
  return true;
}

/* ---------------------------------------------------------------- shapes */

static bool count_items(const nnm_pickle *pickle, nnm_pickle_id shape, size_t *out) {
  const nnm_pickle_value *dims = of_kind(pickle, shape, NNM_PICKLE_TUPLE);
  if (!dims || dims->count > 8) return false;
  size_t count = 1, larger = 0;
  for (size_t i = 0; i < dims->count; i++) {
    int64_t dim;
    if (!nnm_pickle_integer(pickle, nnm_pickle_tuple_item(pickle, shape, i), &dim) || dim < 0) return false;
    if (!nnm_multiply_size(count, (size_t)dim, &count)) return false;
    larger += dim > 1;
  }
  *out = count;
  return larger <= 1;
}

/* An array filled by its state (version, shape, dtype, is_fortran, bytes), or made by
 * _frombuffer(bytes, dtype, shape, order). */
static bool find_parts(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_id *shape, nnm_pickle_array *out) {
  const nnm_pickle_value *array = call_of(pickle, id, NNM_PICKLE_RECONSTRUCT);
  if (array) {
    nnm_pickle_id state = array->as.object.state;
    *shape = nnm_pickle_tuple_item(pickle, state, 1);
    out->type = nnm_pickle_tuple_item(pickle, state, 2);
    out->bytes = nnm_pickle_tuple_item(pickle, state, 4);
    return true;
  }
  array = call_of(pickle, id, NNM_PICKLE_FROM_BUFFER);
  if (!array) return false;
  nnm_pickle_id arguments = array->as.object.arguments;
  out->bytes = nnm_pickle_tuple_item(pickle, arguments, 0);
  out->type = nnm_pickle_tuple_item(pickle, arguments, 1);
  *shape = nnm_pickle_tuple_item(pickle, arguments, 2);
  return true;
}

/* ---------------------------------------------------------------- bytes */

/* The text that _codecs.encode(text, "latin1") turns into bytes; NULL when id is no such call. */
static const nnm_pickle_value *encoded_text(const nnm_pickle *pickle, nnm_pickle_id id) {
  const nnm_pickle_value *call = call_of(pickle, id, NNM_PICKLE_ENCODE);
  if (!call) return NULL;
  const nnm_pickle_value *coding =
      of_kind(pickle, nnm_pickle_tuple_item(pickle, call->as.object.arguments, 1), NNM_PICKLE_TEXT);
  if (!coding || !nnm_pickle_text_is(coding, "latin1")) return NULL;
  return of_kind(pickle, nnm_pickle_tuple_item(pickle, call->as.object.arguments, 0), NNM_PICKLE_TEXT);
}

/* The bytes as the file has them: never fewer than decoded. */
static const nnm_pickle_value *raw_bytes(const nnm_pickle *pickle, nnm_pickle_id id) {
  const nnm_pickle_value *bytes = of_kind(pickle, id, NNM_PICKLE_BYTES);
  return bytes ? bytes : encoded_text(pickle, id);
}

bool nnm_pickle_array_describe(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_array *out) {
  nnm_pickle_array array = {0};
  nnm_pickle_id shape;
  if (!find_parts(pickle, id, &shape, &array) || !count_items(pickle, shape, &array.count)) return false;
  if (simple_type(pickle, array.type, &array.number)) array.item_size = array.number.size;
  else if (!table_size(pickle, array.type, &array.item_size)) return false;
  const nnm_pickle_value *bytes = raw_bytes(pickle, array.bytes);
  size_t needed;
  if (!bytes || !nnm_multiply_size(array.count, array.item_size, &needed) || bytes->as.bytes.size < needed)
    return false;
  *out = array;
  return true;
}

/* UTF-8 of Latin-1; false when a character is none of Latin-1 or size is not met exactly. */
static bool decode_latin1(const nnm_pickle_value *text, unsigned char *to, size_t size) {
  const unsigned char *at = text->as.bytes.data, *end = at + text->as.bytes.size;
  for (size_t i = 0; i < size; i++) {
    if (at == end) return false;
    unsigned char byte = *at++;
    if (byte >= 0x80) {
      if ((byte != 0xc2 && byte != 0xc3) || at == end || (*at & 0xc0) != 0x80) return false;
      byte = (unsigned char)(byte << 6 | (*at++ & 0x3f));
    }
    to[i] = byte;
  }
  return at == end;
}

static nnm_status fail_bytes(nnm_error *error) {
  return nnm_fail(error, NNM_ERROR_FORMAT, NULL,
                  "an array has not the bytes that its shape asks for; the pickle is damaged, copy it again");
}

nnm_status nnm_pickle_array_load(const nnm_pickle *pickle, nnm_pickle_array *array, nnm_arena *arena,
                                 nnm_error *error) {
  size_t size = array->count * array->item_size; /* checked by describe */
  const nnm_pickle_value *bytes = of_kind(pickle, array->bytes, NNM_PICKLE_BYTES);
  if (bytes) {
    if (bytes->as.bytes.size != size) return fail_bytes(error);
    array->data = bytes->as.bytes.data;
    return NNM_OK;
  }
  const nnm_pickle_value *text = encoded_text(pickle, array->bytes);
  unsigned char *decoded = nnm_arena_alloc(arena, size, 1);
  if (!decoded) return nnm_fail_memory(error);
  if (!text || !decode_latin1(text, decoded, size)) return fail_bytes(error);
  array->data = decoded;
  return NNM_OK;
}

/* ---------------------------------------------------------------- numbers */

static uint64_t read_bits(const unsigned char *at, const nnm_pickle_field *field) {
  uint64_t bits = 0;
  for (size_t i = 0; i < field->size; i++) bits |= (uint64_t)at[field->big_endian ? field->size - 1 - i : i] << (8 * i);
  return bits;
}

static int64_t integer_at(const unsigned char *at, const nnm_pickle_field *field) {
  uint64_t bits = read_bits(at, field);
  uint64_t sign = UINT64_C(1) << (8 * field->size - 1);
  if (field->is_signed) bits = (bits ^ sign) - sign; /* extends the sign */
  int64_t integer;
  memcpy(&integer, &bits, sizeof integer);
  return integer;
}

static double number_at(const unsigned char *at, const nnm_pickle_field *field) {
  if (!field->is_float) return (double)integer_at(at, field);
  uint64_t bits = read_bits(at, field);
  if (field->size == 4) {
    uint32_t half = (uint32_t)bits;
    float number;
    memcpy(&number, &half, sizeof number);
    return number;
  }
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

int64_t nnm_pickle_field_integer(const nnm_pickle_array *array, const nnm_pickle_field *field, size_t index) {
  return integer_at(array->data + index * array->item_size + field->offset, field);
}

double nnm_pickle_field_number(const nnm_pickle_array *array, const nnm_pickle_field *field, size_t index) {
  return number_at(array->data + index * array->item_size + field->offset, field);
}

double nnm_pickle_array_number(const nnm_pickle_array *array, size_t index) {
  return nnm_pickle_field_number(array, &array->number, index);
}

/* numpy's scalar(dtype, bytes). */
static bool scalar_integer(const nnm_pickle *pickle, nnm_pickle_id id, int64_t *out) {
  const nnm_pickle_value *call = call_of(pickle, id, NNM_PICKLE_SCALAR);
  if (!call) return false;
  nnm_pickle_field field;
  if (!simple_type(pickle, nnm_pickle_tuple_item(pickle, call->as.object.arguments, 0), &field)) return false;
  const nnm_pickle_value *bytes = raw_bytes(pickle, nnm_pickle_tuple_item(pickle, call->as.object.arguments, 1));
  unsigned char decoded[8];
  if (field.is_float || !bytes || bytes->as.bytes.size > 2 * sizeof decoded) return false;
  if (bytes->kind == NNM_PICKLE_TEXT ? !decode_latin1(bytes, decoded, field.size) : bytes->as.bytes.size != field.size)
    return false;
  *out = integer_at(bytes->kind == NNM_PICKLE_TEXT ? decoded : bytes->as.bytes.data, &field);
  return true;
}

bool nnm_pickle_integer(const nnm_pickle *pickle, nnm_pickle_id id, int64_t *out) {
  const nnm_pickle_value *value = of_kind(pickle, id, NNM_PICKLE_INTEGER);
  if (!value) return scalar_integer(pickle, id, out);
  *out = value->as.integer;
  return true;
}
