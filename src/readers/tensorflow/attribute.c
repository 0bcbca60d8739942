/* AttrValue: the attributes that say something of shapes or kernels. */
#include <string.h>

#include "base/limits.h"
#include "readers/tensorflow/tensorflow.h"

/* Types say little: most are those of inputs ("T", "Tidx"). */
static bool is_wanted_type(const nnm_wire_field *name) {
  static const char *const wanted[] = {"DstT", "dtype", "out_type", "output_type", "Tout", "element_dtype"};
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
    if (nnm_wire_is_text(name, wanted[i])) return true;
  return false;
}

static double float_of(uint64_t bits) {
  uint32_t word = (uint32_t)bits;
  float number;
  memcpy(&number, &word, sizeof number);
  return number;
}

/* A text as far as it is one. */
static nnm_status set_text(tf_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  size_t size = field->size < NNM_LIMIT_NAME_BYTES ? field->size : NNM_LIMIT_NAME_BYTES;
  NNM_TRY(nnm_wire_spend(&reader->file, size / 8));
  if (!nnm_wire_is_utf8(field->bytes, size)) size = 0;
  attribute->kind = NNM_ATTRIBUTE_TEXT;
  attribute->as.text = nnm_graph_builder_intern(reader->builder, size ? (const char *)field->bytes : "", size);
  return attribute->as.text ? NNM_OK : nnm_fail_memory(reader->file.error);
}

static nnm_status fail_list(tf_reader *reader, const nnm_wire_field *field) {
  return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, field->bytes,
                       "an attribute whose numbers are none; the file is damaged: fetch or export it again");
}

static nnm_status collect(tf_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  bool is_float = field->number == VALUE_FLOAT, damaged = false;
  size_t at = 0;
  uint64_t number;
  attribute->kind = is_float ? NNM_ATTRIBUTE_FLOATS : NNM_ATTRIBUTE_INTS;
  NNM_TRY(nnm_wire_spend(&reader->file, field->size));
  while (nnm_wire_number(field, is_float ? NNM_WIRE_FIXED32 : NNM_WIRE_VARINT, &at, &number, &damaged)) {
    if (reader->values.count == NNM_LIMIT_LIST_ITEMS)
      return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field->bytes,
                           "an attribute of more than %d numbers; store them as a tensor", NNM_LIMIT_LIST_ITEMS);
    double as_double = float_of(number);
    NNM_TRY(nnm_stack_push(&reader->values, is_float ? (void *)&as_double : (void *)&number, reader->file.error));
  }
  return damaged ? fail_list(reader, field) : NNM_OK;
}

static nnm_status collect_text(tf_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  nnm_attribute text;
  NNM_TRY(set_text(reader, field, &text));
  attribute->kind = NNM_ATTRIBUTE_TEXTS;
  return nnm_stack_push(&reader->values, &text.as.text, reader->file.error);
}

/* Numbers or texts; lists of shapes, types and functions are of no use here. *used false then. */
static nnm_status set_list(tf_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute, bool *used) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_list, field->bytes, field->size);
  nnm_wire_field item = {0};
  uint32_t kind = 0;
  reader->values.count = 0;
  attribute->kind = NNM_ATTRIBUTE_INTS; /* an empty list is as good as one of numbers */
  while (nnm_wire_next(&message, &item)) {
    if (!kind) kind = item.number;
    if (kind != item.number) continue;
    bool is_number = kind == VALUE_INT || kind == VALUE_FLOAT || kind == VALUE_BOOL;
    if (is_number) NNM_TRY(collect(reader, &item, attribute));
    else if (kind == VALUE_TEXT) NNM_TRY(collect_text(reader, &item, attribute));
    else *used = false;
  }
  NNM_TRY(message.status);
  attribute->count = reader->values.count;
  attribute->as.integers = nnm_arena_copy(reader->graph_arena, reader->values.items, reader->values.count, 8);
  return attribute->as.integers ? NNM_OK : nnm_fail_memory(reader->file.error);
}

static nnm_status set_shape(tf_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute, bool *used) {
  int32_t rank;
  NNM_TRY(nnm_tf_read_shape(reader, field, &rank, &attribute->as.integers));
  attribute->kind = NNM_ATTRIBUTE_INTS;
  attribute->count = rank < 0 ? 0 : (size_t)rank;
  *used = rank >= 0;
  return NNM_OK;
}

static nnm_status set_tensor(tf_reader *reader, const nnm_wire_field *field, nnm_attribute *attribute) {
  nnm_constant *constant;
  NNM_TRY(nnm_tf_read_tensor(reader, field, &constant));
  attribute->kind = NNM_ATTRIBUTE_TENSOR;
  attribute->as.tensor = constant;
  return NNM_OK;
}

static nnm_status set_value(tf_reader *reader, const nnm_wire_field *name, const nnm_wire_field *field,
                            nnm_attribute *attribute, bool *used) {
  switch (field->number) {
  case VALUE_LIST: return set_list(reader, field, attribute, used);
  case VALUE_TEXT: return set_text(reader, field, attribute);
  case VALUE_SHAPE: return set_shape(reader, field, attribute, used);
  case VALUE_TENSOR: return set_tensor(reader, field, attribute);
  case VALUE_INT:
  case VALUE_BOOL:
    attribute->kind = NNM_ATTRIBUTE_INT;
    attribute->as.integer = (int64_t)field->value;
    return NNM_OK;
  case VALUE_FLOAT:
    attribute->kind = NNM_ATTRIBUTE_FLOAT;
    attribute->as.number = float_of(field->value);
    return NNM_OK;
  case VALUE_TYPE:
    *used = is_wanted_type(name);
    attribute->kind = NNM_ATTRIBUTE_INT;
    attribute->as.integer = (int64_t)field->value;
    return NNM_OK;
  default: *used = false; return NNM_OK;
  }
}

nnm_status nnm_tf_read_entry(tf_reader *reader, const nnm_wire_field *entry, nnm_wire_field *key,
                             nnm_wire_field *value) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_map, entry->bytes, entry->size);
  nnm_wire_field part = {0};
  *key = *value = (nnm_wire_field){.bytes = entry->bytes};
  while (nnm_wire_next(&message, &part)) *(part.number == MAP_KEY ? key : value) = part;
  return message.status;
}

static nnm_status read_attribute(tf_reader *reader, const nnm_wire_field *name, const nnm_wire_field *value) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_value, value->bytes, value->size);
  nnm_wire_field field = {0};
  nnm_attribute attribute = {.kind = NNM_ATTRIBUTE_INT};
  bool used = true;
  if (nnm_wire_next(&message, &field)) NNM_TRY(set_value(reader, name, &field, &attribute, &used));
  else used = false;
  NNM_TRY(message.status);
  if (!used) return NNM_OK;
  NNM_TRY(nnm_wire_check_name(&reader->file, name));
  attribute.name = nnm_graph_builder_intern(reader->builder, (const char *)name->bytes, name->size);
  if (!attribute.name) return nnm_fail_memory(reader->file.error);
  return nnm_stack_push(&reader->attributes, &attribute, reader->file.error);
}

nnm_status nnm_tf_read_attributes(tf_reader *reader, const tf_node *node, nnm_wire_field *declared) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_node_attributes, node->bytes, node->size);
  nnm_wire_field field = {0}, name, value;
  size_t first = reader->attributes.count;
  *declared = (nnm_wire_field){0};
  while (nnm_wire_next(&message, &field)) {
    NNM_TRY(nnm_tf_read_entry(reader, &field, &name, &value));
    if (nnm_wire_is_text(&name, "_output_shapes")) *declared = value;
    if (!name.size || name.bytes[0] == '_' || !value.size) continue;
    if (reader->attributes.count - first >= NNM_LIMIT_ATTRIBUTES)
      return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field.bytes,
                           "a node has more than %d attributes; the file is damaged: fetch or export it again",
                           NNM_LIMIT_ATTRIBUTES);
    NNM_TRY(read_attribute(reader, &name, &value));
  }
  return message.status;
}

/* ------------------------------------------------------------ single values */

nnm_status nnm_tf_find_attribute(tf_reader *reader, const tf_node *node, const char *name, nnm_wire_field *out,
                                 bool *found) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_node_attributes, node->bytes, node->size);
  nnm_wire_field field = {0}, key, value;
  *found = false;
  while (!*found && nnm_wire_next(&message, &field)) {
    NNM_TRY(nnm_tf_read_entry(reader, &field, &key, &value));
    if (!nnm_wire_is_text(&key, name)) continue;
    nnm_wire_message inner = nnm_wire_open(&reader->file, &nnm_tf_value, value.bytes, value.size);
    *found = nnm_wire_next(&inner, out);
    NNM_TRY(inner.status);
  }
  return message.status;
}

static nnm_status read_function_name(tf_reader *reader, const nnm_wire_field *field, nnm_wire_field *name) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_function_name, field->bytes, field->size);
  nnm_wire_field part = {0};
  while (nnm_wire_next(&message, &part)) *name = part;
  return message.status;
}

nnm_status nnm_tf_function_of(tf_reader *reader, const tf_node *node, const char *attribute, size_t index,
                              nnm_wire_field *name) {
  nnm_wire_field value;
  bool found;
  *name = (nnm_wire_field){0};
  NNM_TRY(nnm_tf_find_attribute(reader, node, attribute, &value, &found));
  if (!found) return NNM_OK;
  if (value.number == VALUE_FUNCTION) return index ? NNM_OK : read_function_name(reader, &value, name);
  if (value.number != VALUE_LIST) return NNM_OK;
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_list, value.bytes, value.size);
  nnm_wire_field item = {0};
  for (size_t i = 0; nnm_wire_next(&message, &item);)
    if (item.number == VALUE_FUNCTION - 1 && i++ == index) return read_function_name(reader, &item, name);
  return message.status;
}

nnm_status nnm_tf_constant_of(tf_reader *reader, const tf_node *node, nnm_constant **out) {
  nnm_wire_field value;
  bool found;
  NNM_TRY(nnm_tf_find_attribute(reader, node, "value", &value, &found));
  if (!found || value.number != VALUE_TENSOR)
    return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, node->bytes,
                         "constant '%.*s' has no value; the file is damaged: fetch or export it again",
                         (int)(node->name_length > 200 ? 200 : node->name_length), node->name);
  return nnm_tf_read_tensor(reader, &value, out);
}
