#include <string.h>

#include "base/limits.h"
#include "readers/onnx/onnx.h"

/* AttributeProto.AttributeType -> the field that holds such a value. */
static const uint8_t value_fields[] = {0,
                                       ATTRIBUTE_F,
                                       ATTRIBUTE_I,
                                       ATTRIBUTE_S,
                                       ATTRIBUTE_T,
                                       ATTRIBUTE_G,
                                       ATTRIBUTE_FLOATS,
                                       ATTRIBUTE_INTS,
                                       ATTRIBUTE_STRINGS,
                                       ATTRIBUTE_TENSORS,
                                       ATTRIBUTE_GRAPHS,
                                       ATTRIBUTE_SPARSE_TENSOR,
                                       ATTRIBUTE_SPARSE_TENSORS,
                                       ATTRIBUTE_TYPE_PROTO,
                                       ATTRIBUTE_TYPE_PROTOS};
enum { VALUE_FIELDS = sizeof value_fields / sizeof value_fields[0] };

typedef struct raw_attribute {
  nnm_wire_field whole, name, reference;
  uint32_t value_field; /* the field that holds the value; 0: unknown */
  nnm_wire_field first; /* the first such field ... */
  uint32_t count;       /* ... of so many */
} raw_attribute;

static double float_of(uint64_t bits) {
  uint32_t word = (uint32_t)bits;
  float number;
  memcpy(&number, &word, sizeof number);
  return number;
}

/* Appends numbers of a list to reader->values. */
static nnm_status collect_numbers(onnx_reader *reader, const nnm_wire_field *field) {
  bool is_float = field->number == ATTRIBUTE_FLOATS, damaged = false;
  NNM_TRY(nnm_wire_spend(&reader->file, field->size));
  size_t at = 0;
  uint64_t number;
  while (nnm_wire_number(field, is_float ? NNM_WIRE_FIXED32 : NNM_WIRE_VARINT, &at, &number, &damaged)) {
    if (reader->values.count == NNM_LIMIT_LIST_ITEMS)
      return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field->bytes,
                           "an attribute of more than %d numbers; store them as a tensor", NNM_LIMIT_LIST_ITEMS);
    double as_double = float_of(number);
    NNM_TRY(nnm_stack_push(&reader->values, is_float ? (void *)&as_double : (void *)&number, reader->file.error));
  }
  if (!damaged) return NNM_OK;
  return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, field->bytes,
                       "an attribute whose numbers are none; the file is damaged: fetch or export it again");
}

/* Counts a field that may hold the value, or a part of it; numbers are kept as they come, for read_list. */
static nnm_status count_value(onnx_reader *reader, const nnm_wire_field *field, raw_attribute *attribute) {
  if (!attribute->count++) attribute->first = *field;
  bool is_list = field->number == ATTRIBUTE_INTS || field->number == ATTRIBUTE_FLOATS;
  return is_list ? collect_numbers(reader, field) : NNM_OK;
}

/* Some writers add zeros of other kinds: the type says which value counts. */
static nnm_status rescan_attribute(onnx_reader *reader, raw_attribute *attribute) {
  nnm_wire_message message =
      nnm_wire_open(&reader->file, &nnm_onnx_attribute, attribute->whole.bytes, attribute->whole.size);
  nnm_wire_field field = {0};
  attribute->count = 0;
  reader->values.count = 0;
  while (nnm_wire_next(&message, &field))
    if (field.number == attribute->value_field) NNM_TRY(count_value(reader, &field, attribute));
  NNM_TRY(message.status);
  if (attribute->count) return NNM_OK;
  return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, attribute->whole.bytes,
                       "an attribute without a value of its type; the file is damaged: fetch or export it again");
}

/* Finds out what the attribute is. Old files have no type, some writers leave out values that are 0. */
static nnm_status scan_attribute(onnx_reader *reader, raw_attribute *attribute) {
  nnm_wire_message message =
      nnm_wire_open(&reader->file, &nnm_onnx_attribute, attribute->whole.bytes, attribute->whole.size);
  nnm_wire_field field = {0};
  uint64_t type = 0;
  reader->values.count = 0;
  reader->values.item_size = 8;
  while (nnm_wire_next(&message, &field)) {
    switch (field.number) {
    case ATTRIBUTE_NAME: attribute->name = field; break;
    case ATTRIBUTE_REFERENCE: attribute->reference = field; break;
    case ATTRIBUTE_TYPE: type = field.value; break;
    default:
      if (attribute->count && field.number != attribute->first.number) break;
      NNM_TRY(count_value(reader, &field, attribute));
    }
  }
  NNM_TRY(message.status);
  attribute->value_field = type < VALUE_FIELDS ? value_fields[type] : 0;
  if (!attribute->value_field) attribute->value_field = attribute->first.number;
  if (!attribute->count || attribute->value_field == attribute->first.number) return NNM_OK;
  return rescan_attribute(reader, attribute);
}

/* ---- single values */

static nnm_status set_int(onnx_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  (void)reader;
  attribute->kind = NNM_ATTRIBUTE_INT;
  attribute->as.integer = (int64_t)field->value;
  return NNM_OK;
}

static nnm_status set_float(onnx_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  (void)reader;
  attribute->kind = NNM_ATTRIBUTE_FLOAT;
  attribute->as.number = float_of(field->value);
  return NNM_OK;
}

static nnm_status set_text(onnx_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  attribute->kind = NNM_ATTRIBUTE_TEXT;
  return nnm_onnx_text(reader, field, &attribute->as.text);
}

static nnm_status set_tensor(onnx_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  onnx_named_constant constant = {0};
  NNM_TRY(nnm_onnx_constant(reader, field, &constant));
  attribute->kind = NNM_ATTRIBUTE_TENSOR;
  attribute->as.tensor = constant.constant;
  return NNM_OK;
}

static nnm_status set_sparse_tensor(onnx_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  onnx_named_constant constant = {0};
  NNM_TRY(nnm_onnx_sparse_constant(reader, field, &constant));
  attribute->kind = NNM_ATTRIBUTE_TENSOR;
  attribute->as.tensor = constant.constant;
  return NNM_OK;
}

static nnm_status set_graph(onnx_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  attribute->kind = NNM_ATTRIBUTE_BLOCK;
  NNM_TRY(nnm_graph_builder_begin_block(reader->builder, attribute->name, &attribute->as.block, reader->file.error));
  reader->body_depth++;
  nnm_status status = nnm_onnx_read_graph(reader, field);
  reader->body_depth--;
  NNM_TRY(status);
  return nnm_graph_builder_end_block(reader->builder, reader->file.error);
}

/* ---- lists: what is collected on reader->values is copied in one piece */

_Static_assert(sizeof(const char *) <= 8 && sizeof(double) == 8, "list elements fit into reader->values");

static nnm_status collect_texts(onnx_reader *reader, const raw_attribute *raw) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_attribute, raw->whole.bytes, raw->whole.size);
  nnm_wire_field field = {0};
  reader->values.item_size = sizeof(const char *);
  while (raw->count && nnm_wire_next(&message, &field)) {
    if (field.number != ATTRIBUTE_STRINGS) continue;
    const char *text;
    NNM_TRY(nnm_onnx_text(reader, &field, &text));
    NNM_TRY(nnm_stack_push(&reader->values, &text, reader->file.error));
  }
  return message.status;
}

static nnm_status read_list(onnx_reader *reader, const raw_attribute *raw, nnm_attribute *attribute) {
  attribute->kind = raw->value_field == ATTRIBUTE_STRINGS  ? NNM_ATTRIBUTE_TEXTS
                    : raw->value_field == ATTRIBUTE_FLOATS ? NNM_ATTRIBUTE_FLOATS
                                                           : NNM_ATTRIBUTE_INTS;
  if (attribute->kind == NNM_ATTRIBUTE_TEXTS) NNM_TRY(collect_texts(reader, raw));
  void *items = nnm_arena_copy(nnm_graph_builder_arena(reader->builder), reader->values.items, reader->values.count,
                               reader->values.item_size);
  if (!items) return nnm_fail_memory(reader->file.error);
  attribute->count = reader->values.count;
  attribute->as.integers = items;
  return NNM_OK;
}

/* ---- all kinds */

typedef nnm_status set_value(onnx_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute);

/* By the field that holds the value; lists and what is of no use here (types) have none. The graph model has no lists
 * of tensors or bodies (no standard operator takes one): they become several attributes of one name. */
static set_value *const setters[] = {
    [ATTRIBUTE_F] = set_float,
    [ATTRIBUTE_I] = set_int,
    [ATTRIBUTE_S] = set_text,
    [ATTRIBUTE_T] = set_tensor,
    [ATTRIBUTE_G] = set_graph,
    [ATTRIBUTE_TENSORS] = set_tensor,
    [ATTRIBUTE_GRAPHS] = set_graph,
    [ATTRIBUTE_SPARSE_TENSOR] = set_sparse_tensor,
    [ATTRIBUTE_SPARSE_TENSORS] = set_sparse_tensor,
};

static nnm_status push_value(onnx_reader *reader, const nnm_wire_field *field, const char *name) {
  nnm_attribute attribute = {.name = name};
  NNM_TRY(setters[field->number](reader, field, &attribute));
  return nnm_stack_push(&reader->attributes, &attribute, reader->file.error);
}

static nnm_status push_value_or_list(onnx_reader *reader, const raw_attribute *raw, const char *name) {
  uint32_t kind = raw->value_field;
  if (kind == ATTRIBUTE_INTS || kind == ATTRIBUTE_FLOATS || kind == ATTRIBUTE_STRINGS) {
    nnm_attribute attribute = {.name = name};
    NNM_TRY(read_list(reader, raw, &attribute));
    return nnm_stack_push(&reader->attributes, &attribute, reader->file.error);
  }
  if (kind >= sizeof setters / sizeof setters[0] || !setters[kind]) return NNM_OK;
  bool has_default = kind == ATTRIBUTE_F || kind == ATTRIBUTE_I || kind == ATTRIBUTE_S;
  if (!raw->count) return has_default ? push_value(reader, &(nnm_wire_field){.number = kind}, name) : NNM_OK;
  if (raw->count == 1) return push_value(reader, &raw->first, name);
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_attribute, raw->whole.bytes, raw->whole.size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field))
    if (field.number == kind) NNM_TRY(push_value(reader, &field, name));
  return message.status;
}

/* A default that refers to an attribute of its own function could do so for ever. */
static nnm_status check_default(onnx_reader *reader, const nnm_wire_field *field, const char *name) {
  raw_attribute raw = {.whole = *field};
  NNM_TRY(scan_attribute(reader, &raw));
  if (!raw.reference.size) return NNM_OK;
  return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, field->bytes,
                       "the default of attribute '%.200s' refers to another attribute; export the model again", name);
}

nnm_status nnm_onnx_read_attribute(onnx_reader *reader, const nnm_wire_field *field, const char *name) {
  raw_attribute raw = {.whole = *field};
  NNM_TRY(scan_attribute(reader, &raw));
  if (!name) NNM_TRY(nnm_onnx_name(reader, &raw.name, &name));
  if (!raw.reference.size) return push_value_or_list(reader, &raw, name);
  if (!reader->scope)
    return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, field->bytes,
                         "attribute '%.200s' refers to one of a function, but stands in none; export the model again",
                         name);
  /* a placeholder for an attribute of the function being inlined: left out when nobody gives it a value */
  const char *wanted;
  NNM_TRY(nnm_onnx_name(reader, &raw.reference, &wanted));
  nnm_wire_field actual;
  onnx_scope *scope, *here = reader->scope;
  bool found;
  NNM_TRY(nnm_onnx_actual_attribute(reader, wanted, &actual, &scope, &found));
  if (!found) return NNM_OK;
  if (scope == here) NNM_TRY(check_default(reader, &actual, wanted));
  reader->scope = scope;
  nnm_status status = nnm_onnx_read_attribute(reader, &actual, name);
  reader->scope = here;
  return status;
}
