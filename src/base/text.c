#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(nnm_text *text, size_t more) {
  if (text->failed) return false;
  if (text->data && text->capacity - text->length >= more) return true;
  size_t capacity = text->capacity ? text->capacity : 256;
  while (capacity - text->length < more) {
    if (capacity > (size_t)-1 / 4) {
      text->failed = true;
      return false;
    }
    capacity *= 2;
  }
  char *data = realloc(text->data, capacity + 1);
  if (!data) {
    text->failed = true;
    return false;
  }
  text->data = data;
  text->capacity = capacity;
  return true;
}

void nnm_text_add_bytes(nnm_text *text, const char *bytes, size_t length) {
  if (!reserve(text, length)) return;
  if (length) memcpy(text->data + text->length, bytes, length);
  text->length += length;
  text->data[text->length] = '\0';
}

void nnm_text_add(nnm_text *text, const char *piece) { nnm_text_add_bytes(text, piece, strlen(piece)); }

void nnm_text_printf(nnm_text *text, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0) text->failed = true;
  else if (reserve(text, (size_t)length)) {
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
  }
  va_end(again);
}

char *nnm_text_take(nnm_text *text) {
  if (!text->failed && !text->data) nnm_text_add(text, "");
  char *data = text->failed ? NULL : text->data;
  if (text->failed) free(text->data);
  *text = (nnm_text){0};
  return data;
}

void nnm_text_free(nnm_text *text) {
  free(text->data);
  *text = (nnm_text){0};
}

size_t nnm_utf8_length(const char *at, size_t size) {
  const unsigned char *byte = (const unsigned char *)at;
  if (byte[0] < 0x80) return 1;
  size_t length = byte[0] >= 0xc2 && byte[0] <= 0xdf   ? 2
                  : byte[0] >> 4 == 0xe                ? 3
                  : byte[0] >= 0xf0 && byte[0] <= 0xf4 ? 4
                                                       : 0;
  if (!length || length > size) return 0;
  for (size_t i = 1; i < length; i++)
    if ((byte[i] & 0xc0) != 0x80) return 0;
  /* overlong forms, surrogates, beyond U+10FFFF */
  if ((byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f) ||
      (byte[0] == 0xf0 && byte[1] < 0x90) || (byte[0] == 0xf4 && byte[1] > 0x8f))
    return 0;
  return length;
}
