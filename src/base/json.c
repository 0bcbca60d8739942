/* Reads JSON text into jansson's values. jansson's own reader is not used: it asks for memory byte by byte without looking
 * at the answer, so that a refusal made it lose characters and read past its buffer; and it takes three times as long. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

typedef struct reading {
  const char *start, *at, *end;
  bool unique;      /* a key that stands twice is an error */
  int depth;        /* objects and lists around `at` */
  nnm_text scratch; /* the text or number being read, when it cannot be taken as it stands */
  nnm_error *error;
} reading;

/* --------------------------------------------------------------- faults */

static nnm_status fail_at(reading *r, const char *at, nnm_status status, const char *fault) {
  size_t line = 1, column = 1;
  for (const char *c = r->start; c < at; c++) {
    if (*c == '\n') line++, column = 1;
    else column++;
  }
  char place[64];
  snprintf(place, sizeof place, "line %zu, column %zu", line, column);
  return nnm_fail(r->error, status, place, "%s", fault);
}

static nnm_status fail(reading *r, const char *what) {
  char fault[200];
  snprintf(fault, sizeof fault, "is not valid JSON: %s; correct it, or fetch or write the file again",
           r->at < r->end ? what : "it ends too early");
  return fail_at(r, r->at, NNM_ERROR_FORMAT, fault);
}

/* ---------------------------------------------------------------- texts */

static void skip_space(reading *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')) r->at++;
}

static bool take(reading *r, char c) {
  if (r->at >= r->end || *r->at != c) return false;
  r->at++;
  return true;
}

/* The four digits behind \u. */
static nnm_status read_hex(reading *r, uint32_t *out) {
  *out = 0;
  for (int i = 0; i < 4; i++, r->at++) {
    char c = r->at < r->end ? *r->at : 0;
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return fail(r, "\\u needs four hexadecimal digits");
    *out = *out << 4 | (uint32_t)digit;
  }
  return NNM_OK;
}

static void add_character(nnm_text *text, uint32_t code) {
  static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  char bytes[4];
  size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = length; i-- > 1; code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
  bytes[0] = (char)(leads[length == 1 ? 0 : length] | code);
  nnm_text_add_bytes(text, bytes, length);
}

static nnm_status read_unicode(reading *r) {
  uint32_t code, low;
  NNM_TRY(read_hex(r, &code));
  if (code >= 0xdc00 && code <= 0xdfff) return fail(r, "half a surrogate pair");
  if (code >= 0xd800 && code <= 0xdbff) {
    if (!take(r, '\\') || !take(r, 'u')) return fail(r, "half a surrogate pair");
    NNM_TRY(read_hex(r, &low));
    if (low < 0xdc00 || low > 0xdfff) return fail(r, "half a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  if (!code) return fail(r, "a text with a NUL in it");
  add_character(&r->scratch, code);
  return NNM_OK;
}

static nnm_status read_escape(reading *r) {
  static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  const char *name = r->at < r->end && *r->at ? strchr(names, *r->at) : NULL;
  if (name) {
    nnm_text_add_bytes(&r->scratch, &meant[name - names], 1);
    r->at++;
    return NNM_OK;
  }
  return take(r, 'u') ? read_unicode(r) : fail(r, "an escape that is none");
}

/* Behind the opening quote, up to behind the closing one. *text is in the file where nothing is escaped, else in scratch:
 * used up before the next is read. */
static nnm_status read_text(reading *r, const char **text, size_t *length) {
  const char *piece = r->at;
  bool escaped = false;
  r->scratch.length = 0;
  for (;;) {
    while (r->at < r->end && (unsigned char)*r->at >= 0x20 && (unsigned char)*r->at < 0x80 && *r->at != '"' &&
           *r->at != '\\')
      r->at++;
    if (r->at >= r->end) return fail(r, "");
    if (*r->at == '"') break;
    if ((unsigned char)*r->at >= 0x80) {
      size_t size = nnm_utf8_length(r->at, (size_t)(r->end - r->at));
      if (!size) return fail(r, "a byte that is no UTF-8");
      r->at += size;
      continue;
    }
    if (*r->at != '\\') return fail(r, "a control character in a text");
    nnm_text_add_bytes(&r->scratch, piece, (size_t)(r->at - piece));
    r->at++;
    NNM_TRY(read_escape(r));
    piece = r->at;
    escaped = true;
  }
  if (escaped) nnm_text_add_bytes(&r->scratch, piece, (size_t)(r->at - piece));
  if (r->scratch.failed) return nnm_fail_memory(r->error);
  *text = escaped ? r->scratch.data : piece;
  *length = escaped ? r->scratch.length : (size_t)(r->at - piece);
  r->at++;
  return NNM_OK;
}

/* -------------------------------------------------------------- numbers */

static bool is_digit(const reading *r) { return r->at < r->end && *r->at >= '0' && *r->at <= '9'; }

/* Digits without their point, so that the locale's does not matter; the exponent makes up for it. */
static nnm_status read_real(reading *r, const char *from, int64_t fraction_digits, int64_t exponent, double *out) {
  r->scratch.length = 0;
  for (const char *c = from; c < r->at && *c != 'e' && *c != 'E'; c++)
    if (*c != '.') nnm_text_add_bytes(&r->scratch, c, 1);
  nnm_text_printf(&r->scratch, "e%lld", (long long)(exponent - fraction_digits));
  if (r->scratch.failed) return nnm_fail_memory(r->error);
  *out = strtod(r->scratch.data, NULL);
  return isfinite(*out) ? NNM_OK : fail(r, "a number that is too large");
}

static nnm_status read_exponent(reading *r, int64_t *out) {
  enum { LARGEST_EXPONENT = 1 << 30 }; /* far beyond every double, and with room for as many digits */
  bool negative = take(r, '-');
  if (!negative) take(r, '+');
  if (!is_digit(r)) return fail(r, "an exponent without digits");
  for (; is_digit(r); r->at++)
    if (*out < LARGEST_EXPONENT) *out = *out * 10 + (*r->at - '0');
  if (negative) *out = -*out;
  return NNM_OK;
}

static nnm_status read_number(reading *r, json_t **out) {
  const char *from = r->at;
  bool negative = take(r, '-'), is_real = false, fits = true;
  int64_t integer = 0, fraction_digits = 0, exponent = 0;
  if (!is_digit(r)) return fail(r, "a value was expected");
  if (*r->at == '0' && r->end - r->at > 1 && r->at[1] >= '0' && r->at[1] <= '9')
    return fail(r, "a number that begins with 0");
  for (; is_digit(r); r->at++) /* negative, whose range is larger by one */
    fits = fits && !__builtin_mul_overflow(integer, 10, &integer) &&
           !__builtin_sub_overflow(integer, *r->at - '0', &integer);
  if (take(r, '.')) {
    is_real = true;
    if (!is_digit(r)) return fail(r, "a point without digits behind it");
    for (; is_digit(r); r->at++) fraction_digits++;
  }
  if (take(r, 'e') || take(r, 'E')) {
    is_real = true;
    NNM_TRY(read_exponent(r, &exponent));
  }
  if (is_real) {
    double real;
    NNM_TRY(read_real(r, from, fraction_digits, exponent, &real));
    *out = json_real(real);
  } else {
    if (!fits || (!negative && integer == INT64_MIN))
      return fail_at(r, from, NNM_ERROR_FORMAT,
                     "is not valid JSON: an "
                     "integer of more than 64 bits; write it as a float");
    *out = json_integer(negative ? integer : -integer);
  }
  return *out ? NNM_OK : nnm_fail_memory(r->error);
}

/* --------------------------------------------------------------- values */

static nnm_status read_value(reading *r, json_t **out);

static nnm_status read_items(reading *r, json_t *list) {
  skip_space(r);
  if (take(r, ']')) return NNM_OK;
  do {
    json_t *item = NULL;
    NNM_TRY(read_value(r, &item));
    if (json_array_append_new(list, item)) return nnm_fail_memory(r->error);
    skip_space(r);
  } while (take(r, ','));
  return take(r, ']') ? NNM_OK : fail(r, "',' or ']' was expected");
}

/* key: ended by a NUL. */
static nnm_status read_member(reading *r, json_t *object, const char *key, const char *key_at) {
  json_t *value = NULL;
  skip_space(r);
  if (!take(r, ':')) return fail(r, "':' was expected");
  NNM_TRY(read_value(r, &value));
  size_t before = json_object_size(object);
  if (json_object_set_new_nocheck(object, key, value)) return nnm_fail_memory(r->error);
  if (!r->unique || json_object_size(object) > before) return NNM_OK;
  return fail_at(r, key_at, NNM_ERROR_FORMAT, "is not valid JSON: a duplicate object key; rename or remove one");
}

static nnm_status read_members(reading *r, json_t *object) {
  skip_space(r);
  if (take(r, '}')) return NNM_OK;
  do {
    skip_space(r);
    const char *text, *key_at = r->at;
    size_t length;
    char small[64];
    if (!take(r, '"')) return fail(r, "a key in quotes was expected");
    NNM_TRY(read_text(r, &text, &length));
    char *key = length < sizeof small ? small : malloc(length + 1);
    if (!key) return nnm_fail_memory(r->error);
    memcpy(key, text, length);
    key[length] = '\0';
    nnm_status status = read_member(r, object, key, key_at);
    if (key != small) free(key);
    NNM_TRY(status);
    skip_space(r);
  } while (take(r, ','));
  return take(r, '}') ? NNM_OK : fail(r, "',' or '}' was expected");
}

/* An object or a list. Values that are read are given to it at once, so that one json_decref frees all. */
static nnm_status read_container(reading *r, bool is_object, json_t **out) {
  if (++r->depth > NNM_LIMIT_JSON_DEPTH) {
    char fault[120];
    snprintf(fault, sizeof fault, "JSON nests deeper than %d; no model or rule does: the file is damaged",
             NNM_LIMIT_JSON_DEPTH);
    return fail_at(r, r->at, NNM_ERROR_LIMIT, fault);
  }
  r->at++;
  json_t *container = is_object ? json_object() : json_array();
  if (!container) return nnm_fail_memory(r->error);
  nnm_status status = is_object ? read_members(r, container) : read_items(r, container);
  r->depth--;
  if (status == NNM_OK) *out = container;
  else json_decref(container);
  return status;
}

static bool take_word(reading *r, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) return false;
  r->at += length;
  return true;
}

static nnm_status read_string(reading *r, json_t **out) {
  const char *text;
  size_t length;
  r->at++;
  NNM_TRY(read_text(r, &text, &length));
  *out = json_stringn_nocheck(text, length);
  return *out ? NNM_OK : nnm_fail_memory(r->error);
}

static nnm_status read_value(reading *r, json_t **out) {
  skip_space(r);
  if (r->at >= r->end) return fail(r, "");
  switch (*r->at) {
  case '{': return read_container(r, true, out);
  case '[': return read_container(r, false, out);
  case '"': return read_string(r, out);
  default: break;
  }
  if (take_word(r, "true")) *out = json_true();
  else if (take_word(r, "false")) *out = json_false();
  else if (take_word(r, "null")) *out = json_null();
  else return read_number(r, out);
  return NNM_OK;
}

/* -------------------------------------------------------------- a document */

static nnm_status parse(const void *data, size_t size, bool unique, bool whole, json_t **out, nnm_error *error) {
  if (size > NNM_LIMIT_JSON_BYTES) {
    if (whole)
      return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                      "JSON of %zu bytes, and at most %llu are read; give the model as ONNX", size,
                      (unsigned long long)NNM_LIMIT_JSON_BYTES);
    size = NNM_LIMIT_JSON_BYTES; /* a first value of more ends too early */
  }
  const char *text = size ? data : "";
  reading r = {.start = text, .at = text, .end = text + size, .unique = unique, .error = error};
  json_t *document = NULL;
  nnm_status status = read_value(&r, &document);
  if (status == NNM_OK && whole) {
    skip_space(&r);
    if (r.at < r.end) status = fail(&r, "more text behind the value");
  }
  nnm_text_free(&r.scratch);
  if (status == NNM_OK) *out = document;
  else json_decref(document);
  return status;
}

nnm_status nnm_json_parse(const void *data, size_t size, json_t **out, nnm_error *error) {
  return parse(data, size, false, true, out, error);
}

nnm_status nnm_json_parse_unique(const void *data, size_t size, json_t **out, nnm_error *error) {
  return parse(data, size, true, true, out, error);
}

nnm_status nnm_json_parse_first(const void *data, size_t size, json_t **out, nnm_error *error) {
  return parse(data, size, false, false, out, error);
}

/* -------------------------------------------------------------- printing */

static int add_piece(const char *piece, size_t size, void *text) {
  nnm_text_add_bytes(text, piece, size);
  return 0;
}

void nnm_json_print(const json_t *value, size_t flags, nnm_text *text) {
  if (json_dump_callback(value, add_piece, text, flags | JSON_ENCODE_ANY)) text->failed = true;
}
