#include "readers/wire.h"

#include <stdarg.h>
#include <stdio.h>

enum { KEY_TYPE_BITS = 3, LARGEST_FIELD_NUMBER = (1 << 29) - 1 };

nnm_status nnm_wire_fail(nnm_wire_file *file, nnm_status status, const unsigned char *at, const char *format, ...) {
  char place[40], message[512];
  snprintf(place, sizeof place, "byte %zu", (size_t)(at - file->data));
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return nnm_fail(file->error, status, place, "%s", message);
}

nnm_status nnm_wire_spend(nnm_wire_file *file, uint64_t steps) {
  if (steps <= file->budget) {
    file->budget -= steps;
    return NNM_OK;
  }
  file->budget = 0;
  return nnm_fail(file->error, NNM_ERROR_LIMIT, NULL,
                  "its functions call each other so often that inlining them never ends; inline them when exporting");
}

nnm_wire_message nnm_wire_open(nnm_wire_file *file, const nnm_wire_schema *schema, const unsigned char *bytes,
                               size_t size) {
  nnm_cursor cursor = {file->data, bytes, bytes + size, false};
  return (nnm_wire_message){file, schema, cursor, NNM_OK};
}

/* A number of 7 bits per byte, lowest first. */
static uint64_t read_varint(nnm_cursor *cursor) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t byte = nnm_cursor_u8(cursor);
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  cursor->failed = true;
  return 0;
}

static bool fault(nnm_wire_message *message, const unsigned char *at, const char *what) {
  message->status = nnm_wire_fail(message->file, NNM_ERROR_FORMAT, at,
                                  "%s in the %s; the file is damaged or cut short: fetch or export it again", what,
                                  message->schema->what);
  return false;
}

/* Reads the value after a key. false: the wire type is none, or the message ends too early. */
static bool read_value(nnm_cursor *cursor, nnm_wire_field *field) {
  switch (field->type) {
  case NNM_WIRE_VARINT: field->value = read_varint(cursor); break;
  case NNM_WIRE_FIXED64: field->value = nnm_cursor_u64(cursor); break;
  case NNM_WIRE_FIXED32: field->value = nnm_cursor_u32(cursor); break;
  case NNM_WIRE_BYTES: {
    uint64_t size = read_varint(cursor);
    if (cursor->failed || size > nnm_cursor_left(cursor)) return false;
    field->size = (size_t)size;
    field->bytes = nnm_cursor_take(cursor, field->size);
    break;
  }
  default: return false;
  }
  return !cursor->failed;
}

bool nnm_wire_next(nnm_wire_message *message, nnm_wire_field *field) {
  nnm_cursor *cursor = &message->cursor;
  const nnm_wire_schema *schema = message->schema;
  while (message->status == NNM_OK && nnm_cursor_left(cursor)) {
    if (!message->file->budget) {
      message->status = nnm_wire_spend(message->file, 1);
      return false;
    }
    message->file->budget--;
    const unsigned char *start = cursor->at;
    uint64_t key = read_varint(cursor);
    uint64_t number = key >> KEY_TYPE_BITS;
    if (cursor->failed || number == 0 || number > LARGEST_FIELD_NUMBER)
      return fault(message, start, "there is no protobuf field");
    field->number = (uint32_t)number;
    field->type = (uint8_t)(1U << (key & 7));
    field->bytes = start;
    field->size = 0;
    if (!read_value(cursor, field)) return fault(message, start, "a field has an impossible length or type");
    if (number >= schema->count || !schema->accepts[number]) continue;
    if (!(schema->accepts[number] & field->type)) return fault(message, start, "a field has the wrong type");
    return true;
  }
  return false;
}

bool nnm_wire_number(const nnm_wire_field *field, uint8_t element_type, size_t *at, uint64_t *number, bool *damaged) {
  if (field->type != NNM_WIRE_BYTES) {
    *number = field->value;
    return (*at)++ == 0;
  }
  if (*at >= field->size) return false;
  nnm_cursor cursor = nnm_cursor_over(field->bytes + *at, field->size - *at);
  nnm_wire_field element = {.type = element_type};
  if (!read_value(&cursor, &element)) {
    *damaged = true;
    return false;
  }
  *at += nnm_cursor_offset(&cursor);
  *number = element.value;
  return true;
}
