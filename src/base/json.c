#include "base/json.h"

#include <stdio.h>

#include "base/limits.h"

/* The length of the first value when it is an object or array, else size; fails when it nests too deep. The parser
 * behind it recurses, so this has to come first. */
static nnm_status measure(const char *text, size_t size, size_t *length, nnm_error *error) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') i++;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth <= NNM_LIMIT_JSON_DEPTH) continue;
      char place[48];
      snprintf(place, sizeof place, "byte %zu", i);
      return nnm_fail(error, NNM_ERROR_LIMIT, place,
                      "JSON nests deeper than %d; no model or rule does: the file is damaged", NNM_LIMIT_JSON_DEPTH);
    } else if ((c == '}' || c == ']') && depth && --depth == 0) {
      *length = i + 1;
      return NNM_OK;
    }
  }
  *length = size;
  return NNM_OK;
}

static nnm_status parse(const char *text, size_t size, size_t flags, json_t **out, nnm_error *error) {
  json_error_t fault;
  json_t *document = json_loadb(text, size, flags | JSON_DECODE_ANY, &fault);
  if (document) {
    *out = document;
    return NNM_OK;
  }
  if (json_error_code(&fault) == json_error_out_of_memory || !fault.text[0]) return nnm_fail_memory(error);
  char place[64];
  snprintf(place, sizeof place, "line %d, column %d", fault.line, fault.column);
  return nnm_fail(error, NNM_ERROR_FORMAT, place, "is not valid JSON: %s; correct it, or fetch or write the file again",
                  fault.text);
}

static nnm_status parse_whole(const void *data, size_t size, size_t flags, json_t **out, nnm_error *error) {
  if (size > NNM_LIMIT_JSON_BYTES)
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                    "JSON of %zu bytes, and at most %llu are read; give the model as ONNX", size,
                    (unsigned long long)NNM_LIMIT_JSON_BYTES);
  size_t length;
  NNM_TRY(measure(data, size, &length, error));
  return parse(data, size, flags, out, error);
}

nnm_status nnm_json_parse(const void *data, size_t size, json_t **out, nnm_error *error) {
  return parse_whole(data, size, 0, out, error);
}

nnm_status nnm_json_parse_unique(const void *data, size_t size, json_t **out, nnm_error *error) {
  return parse_whole(data, size, JSON_REJECT_DUPLICATES, out, error);
}

nnm_status nnm_json_parse_first(const void *data, size_t size, json_t **out, nnm_error *error) {
  size_t length;
  NNM_TRY(measure(data, size, &length, error));
  if (length > NNM_LIMIT_JSON_BYTES)
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                    "JSON of %zu bytes, and at most %llu are read; give the model as ONNX", length,
                    (unsigned long long)NNM_LIMIT_JSON_BYTES);
  return parse(data, length, 0, out, error);
}
