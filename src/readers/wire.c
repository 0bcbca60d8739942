#include "readers/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"

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
  return nnm_fail(
      file->error, NNM_ERROR_LIMIT, NULL,
      "reading it never ends: its functions call each other too often, or its nodes have thousands of attributes; "
      "inline the functions when exporting");
}

nnm_wire_message nnm_wire_open(nnm_wire_file *file, const nnm_wire_schema *schema, const unsigned char *bytes,
                               size_t size) {
  return (nnm_wire_message){file, schema, bytes, bytes + size, NNM_OK};
}

/* A number of 7 bits per byte, lowest first. Gives where it ends; NULL when it is none or does not end. */
static const unsigned char *read_long_varint(const unsigned char *at, const unsigned char *end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && at < end; shift += 7) {
    *value |= (uint64_t)(*at & 0x7f) << shift;
    if (*at++ < 0x80) return at;
  }
  return NULL;
}

/* Nearly all are of one byte. */
static inline const unsigned char *read_varint(const unsigned char *at, const unsigned char *end, uint64_t *value) {
  if (at == end || *at >= 0x80) return read_long_varint(at, end, value);
  *value = *at;
  return at + 1;
}

static const unsigned char *read_fixed(const unsigned char *at, const unsigned char *end, size_t size,
                                       uint64_t *value) {
  if ((size_t)(end - at) < size) return NULL;
  *value = 0;
  memcpy(value, at, size); /* little-endian, as all the reader is */
  return at + size;
}

/* A number of the wire type. Gives where it ends; NULL: the type is none of a number, or the message ends too early. */
static inline const unsigned char *read_number(uint8_t type, const unsigned char *at, const unsigned char *end,
                                               uint64_t *value) {
  switch (type) {
  case NNM_WIRE_VARINT: return read_varint(at, end, value);
  case NNM_WIRE_FIXED64: return read_fixed(at, end, 8, value);
  case NNM_WIRE_FIXED32: return read_fixed(at, end, 4, value);
  default: return NULL;
  }
}

static bool fault(nnm_wire_message *message, const unsigned char *at, const char *what) {
  message->status = nnm_wire_fail(message->file, NNM_ERROR_FORMAT, at,
                                  "%s in the %s; the file is damaged or cut short: fetch or export it again", what,
                                  message->schema->what);
  return false;
}

/* All is kept in variables until a wanted field is found: most are stepped over. */
bool nnm_wire_next(nnm_wire_message *message, nnm_wire_field *field) {
  const nnm_wire_schema *schema = message->schema;
  const unsigned char *at = message->at, *end = message->end;
  uint64_t steps = message->status == NNM_OK ? message->file->budget : 0;
  while (at < end && steps) {
    const unsigned char *start = at, *bytes = at;
    uint64_t key, value = 0, size = 0;
    steps--;
    at = read_varint(at, end, &key);
    uint64_t number = key >> KEY_TYPE_BITS;
    uint8_t type = (uint8_t)(1U << (key & 7));
    if (!at || number == 0 || number > LARGEST_FIELD_NUMBER) return fault(message, start, "there is no protobuf field");
    if (type != NNM_WIRE_BYTES) {
      at = read_number(type, at, end, &value);
    } else if ((at = read_varint(at, end, &size))) {
      bytes = at;
      at = size <= (uint64_t)(end - at) ? at + size : NULL;
    }
    if (!at) return fault(message, start, "a field has an impossible length or type");
    if (number >= schema->count || !schema->accepts[number]) continue;
    if (!(schema->accepts[number] & type)) return fault(message, start, "a field has the wrong type");
    *field = (nnm_wire_field){(uint32_t)number, type, value, bytes, (size_t)size};
    message->at = at;
    message->file->budget = steps;
    return true;
  }
  if (message->status != NNM_OK) return false;
  message->at = at;
  message->file->budget = steps;
  if (at < end) message->status = nnm_wire_spend(message->file, 1);
  return false;
}

bool nnm_wire_number(const nnm_wire_field *field, uint8_t element_type, size_t *at, uint64_t *number, bool *damaged) {
  if (field->type != NNM_WIRE_BYTES) {
    *number = field->value;
    return (*at)++ == 0;
  }
  if (*at >= field->size) return false;
  const unsigned char *next = read_number(element_type, field->bytes + *at, field->bytes + field->size, number);
  *damaged |= !next;
  if (next) *at = (size_t)(next - field->bytes);
  return next != NULL;
}

/* ---- texts */

/* The length of the character at text, 0 when it is no UTF-8 or NUL. */
size_t nnm_wire_character(const unsigned char *text, size_t left) {
  return *text ? nnm_utf8_length((const char *)text, left) : 0;
}

bool nnm_wire_is_text(const nnm_wire_field *field, const char *text) {
  return field->size == strlen(text) && !memcmp(field->bytes, text, field->size);
}

/* Eight bytes, all of them ASCII and none NUL. */
static bool is_plain(const unsigned char *text) {
  uint64_t word;
  memcpy(&word, text, sizeof word);
  return !(((word - UINT64_C(0x0101010101010101)) | word) & UINT64_C(0x8080808080808080));
}

bool nnm_wire_is_utf8(const unsigned char *text, size_t size) {
  size_t start = 0;
  while (size - start >= 8 && is_plain(text + start)) start += 8;
  if (size >= 8 && size - start < 8 && is_plain(text + size - 8)) return true;
  for (size_t at = start; at < size;) {
    size_t length = text[at] < 0x80 && text[at] ? 1 : nnm_wire_character(text + at, size - at);
    if (!length) return false;
    at += length;
  }
  return true;
}

nnm_status nnm_wire_check_name(nnm_wire_file *file, const nnm_wire_field *field) {
  if (field->size > NNM_LIMIT_NAME_BYTES)
    return nnm_wire_fail(file, NNM_ERROR_LIMIT, field->bytes,
                         "a name of %zu bytes; the limit is %d: shorten it, or export the model again", field->size,
                         NNM_LIMIT_NAME_BYTES);
  if (!nnm_wire_is_utf8(field->bytes, field->size))
    return nnm_wire_fail(file, NNM_ERROR_FORMAT, field->bytes,
                         "a name that is not UTF-8 text; the file is damaged: fetch or export it again");
  return nnm_wire_spend(file, field->size / 8);
}
