#include "report/write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum { DIGITS = 17 };

/* The significant digits of a positive finite number, without trailing zeros; *exponent is that of the first digit.
 * 17 digits always read back as the same double, 15 never cost more than the shortest form does. */
static size_t shortest_digits(double number, char digits[DIGITS + 1], int *exponent) {
  char scratch[64];
  /* subnormal numbers have fewer digits than that */
  for (int precision = number < DBL_MIN ? 1 : 15; precision <= DIGITS; precision++) {
    snprintf(scratch, sizeof scratch, "%.*e", precision - 1, number);
    if (strtod(scratch, NULL) == number) break;
  }
  /* the decimal point is the locale's, perhaps several bytes: only digits are taken */
  size_t count = 0;
  const char *at = scratch;
  for (; *at && *at != 'e'; at++)
    if (*at >= '0' && *at <= '9' && count < DIGITS) digits[count++] = *at;
  *exponent = *at ? atoi(at + 1) : 0;
  while (count > 1 && digits[count - 1] == '0') count--;
  digits[count] = '\0';
  return count;
}

static char *copy(char *to, const char *from, size_t length) {
  memcpy(to, from, length);
  return to + length;
}

const char *nnm_number_text(double number, char buffer[NNM_NUMBER_SIZE]) {
  char *at = buffer;
  if (!isfinite(number)) return strcpy(buffer, "null");
  if (signbit(number)) *at++ = '-';
  if (number == 0) return strcpy(at, "0.0"), buffer;
  char digits[DIGITS + 1];
  int exponent;
  size_t count = shortest_digits(fabs(number), digits, &exponent);
  if (exponent < -4 || exponent >= 16) {
    *at++ = digits[0];
    if (count > 1) *at++ = '.', at = copy(at, digits + 1, count - 1);
    snprintf(at, NNM_NUMBER_SIZE - (size_t)(at - buffer), "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    return buffer;
  }
  if (exponent < 0) {
    at = copy(at, "0.", 2);
    for (int i = -1; i > exponent; i--) *at++ = '0';
    at = copy(at, digits, count);
  } else {
    size_t whole = (size_t)exponent + 1;
    for (size_t i = 0; i < whole; i++) *at++ = i < count ? digits[i] : '0';
    *at++ = '.';
    if (count > whole) at = copy(at, digits + whole, count - whole);
    else *at++ = '0';
  }
  *at = '\0';
  return buffer;
}

static bool is_plain(char character) {
  return (unsigned char)character >= 0x20 && (unsigned char)character < 0x7f && character != '"' && character != '\\';
}

static void write_escape(nnm_text *text, char character) {
  static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
  const char *found = character ? strchr(escaped, character) : NULL;
  if (found) nnm_text_printf(text, "\\%c", letters[found - escaped]);
  else nnm_text_printf(text, "\\u%04x", (unsigned char)character);
}

void nnm_write_json_text(nnm_text *text, const char *value) {
  nnm_text_add(text, "\"");
  size_t size = strlen(value);
  for (size_t i = 0; i < size;) {
    size_t plain = i;
    while (plain < size && is_plain(value[plain])) plain++;
    nnm_text_add_bytes(text, value + i, plain - i);
    i = plain;
    if (i == size) break;
    size_t length = nnm_utf8_length(value + i, size - i);
    bool is_control = length == 2 && (unsigned char)value[i] == 0xc2 && (unsigned char)value[i + 1] < 0xa0;
    if (is_control) nnm_text_printf(text, "\\u%04x", (unsigned char)value[i + 1]); /* terminals obey these too */
    else if (length > 1) nnm_text_add_bytes(text, value + i, length);
    else if (length) write_escape(text, value[i]);
    else nnm_text_add(text, "\xef\xbf\xbd"), length = 1;
    i += length;
  }
  nnm_text_add(text, "\"");
}

void nnm_write_json_number(nnm_text *text, double number) {
  char buffer[NNM_NUMBER_SIZE];
  nnm_text_add(text, nnm_number_text(number, buffer));
}

void nnm_write_json_integers(nnm_text *text, const int64_t *values, size_t count) {
  nnm_text_add(text, "[");
  for (size_t i = 0; i < count; i++) nnm_text_printf(text, "%s%lld", i ? ", " : "", (long long)values[i]);
  nnm_text_add(text, "]");
}

void nnm_write_json_texts(nnm_text *text, const char *const *values, size_t count) {
  nnm_text_add(text, "[");
  for (size_t i = 0; i < count; i++) {
    if (i) nnm_text_add(text, ", ");
    nnm_write_json_text(text, values[i]);
  }
  nnm_text_add(text, "]");
}

void nnm_write_json_key(nnm_text *text, const char *key) {
  nnm_text_add(text, ", ");
  nnm_write_json_text(text, key);
  nnm_text_add(text, ": ");
}

/* Length in bytes of the character at `at`; *printable whether it can stand in a line. A broken byte is a character. */
static size_t character_at(const char *at, size_t size, bool *printable) {
  size_t length = nnm_utf8_length(at, size);
  *printable = length > 1 ? !((unsigned char)at[0] == 0xc2 && (unsigned char)at[1] < 0xa0)
                          : length == 1 && (unsigned char)at[0] >= 0x20 && at[0] != 0x7f;
  return length ? length : 1;
}

size_t nnm_write_cell(nnm_text *text, const char *value, size_t columns, bool keep_end) {
  size_t size = strlen(value), characters = 0;
  bool printable;
  for (size_t i = 0; i < size; i += character_at(value + i, size - i, &printable)) characters++;
  bool cut = characters > columns;
  size_t room = cut ? (columns > 2 ? columns - 2 : 0) : characters;
  size_t skipped = cut && keep_end ? characters - room : 0, index = 0;
  if (cut && keep_end) nnm_text_add(text, columns > 2 ? ".." : "");
  for (size_t i = 0; i < size && index < skipped + room; index++) {
    size_t length = character_at(value + i, size - i, &printable);
    if (index >= skipped) nnm_text_add_bytes(text, printable ? value + i : "?", printable ? length : 1);
    i += length;
  }
  if (cut && !keep_end) nnm_text_add(text, columns > 2 ? ".." : "");
  return cut ? (columns > 2 ? columns : 0) : characters;
}

static void write_shape(nnm_text *text, const nnm_kernel_shape *shape) {
  if (!shape->rank) nnm_text_add(text, shape->dims ? "scalar" : "?");
  for (size_t i = 0; i < shape->rank; i++) nnm_text_printf(text, "%s%lld", i ? "x" : "", (long long)shape->dims[i]);
}

void nnm_write_kernel_shapes(nnm_text *text, const nnm_kernel_result *kernel, const char *arrow) {
  enum { SHOWN = 3 }; /* a concat of 80 maps would push everything else off the line */
  for (size_t i = 0; i < kernel->input_count && i < SHOWN; i++) {
    if (i) nnm_text_add(text, " + ");
    write_shape(text, &kernel->inputs[i]);
  }
  if (kernel->input_count > SHOWN) nnm_text_printf(text, " + %zu more", kernel->input_count - SHOWN);
  if (!kernel->output.dims) return;
  nnm_text_add(text, arrow);
  write_shape(text, &kernel->output);
}

nnm_status nnm_finish_text(nnm_text *text, char **out, nnm_error *error) {
  char *taken = nnm_text_take(text);
  if (!taken) return nnm_fail_memory(error);
  *out = taken;
  return NNM_OK;
}
