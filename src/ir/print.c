/* nn-Meter IR as JSON, in the manner of Python's json.dump(indent=4, sort_keys=True): what the old tool's get_ir writes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "ir/ir.h"

typedef struct printing {
  nnm_text text;
  int depth;
  bool too_deep;
} printing;

static void new_line(printing *p) {
  nnm_text_add(&p->text, "\n");
  for (int i = 0; i < p->depth; i++) nnm_text_add(&p->text, "    ");
}

/* One code point of UTF-8 that jansson has checked, or that an ONNX file holds unchecked; a bad byte gives U+FFFD. */
static const unsigned char *next_code_point(const unsigned char *at, uint32_t *code) {
  int more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc0 ? 1 : 0;
  *code = more == 3 ? *at & 7u : more == 2 ? *at & 15u : more == 1 ? *at & 31u : *at < 0x80 ? *at : 0xfffdu;
  at++;
  for (; more > 0; more--, at++) {
    if ((*at & 0xc0) != 0x80) {
      *code = 0xfffd;
      return at;
    }
    *code = *code << 6 | (*at & 0x3fu);
  }
  if (*code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)) *code = 0xfffd;
  return at;
}

static void print_text(printing *p, const char *value) {
  static const char short_escapes[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
  nnm_text_add(&p->text, "\"");
  for (const unsigned char *at = (const unsigned char *)value; *at;) {
    uint32_t code;
    at = next_code_point(at, &code);
    if (code == '"' || code == '\\') nnm_text_add_bytes(&p->text, (char[]){'\\', (char)code}, 2);
    else if (code < sizeof short_escapes && short_escapes[code])
      nnm_text_add_bytes(&p->text, (char[]){'\\', short_escapes[code]}, 2);
    else if (code >= 0x20 && code < 0x7f) nnm_text_add_bytes(&p->text, (char[]){(char)code}, 1);
    else if (code < 0x10000) nnm_text_printf(&p->text, "\\u%04x", (unsigned)code);
    else
      nnm_text_printf(&p->text, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
                      (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));
  }
  nnm_text_add(&p->text, "\"");
}

/* The shortest decimal that reads back as the same number, laid out like Python's repr. */
static void print_real(printing *p, double value) {
  if (isnan(value) || isinf(value)) {
    nnm_text_add(&p->text, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
    return;
  }
  char scientific[40];
  for (int digits = 0; digits <= 16; digits++) {
    snprintf(scientific, sizeof scientific, "%.*e", digits, value);
    if (strtod(scientific, NULL) == value) break;
  }
  char digits[24] = {0};
  int count = 0;
  const char *at = scientific;
  if (*at == '-') nnm_text_add(&p->text, "-"), at++;
  for (; *at && *at != 'e'; at++)
    if (*at >= '0' && *at <= '9') digits[count++] = *at; /* whatever the locale's decimal point is */
  int exponent = (int)strtol(at + 1, NULL, 10);
  while (count > 1 && digits[count - 1] == '0') count--;
  if (exponent < -4 || exponent >= 16) {
    nnm_text_add_bytes(&p->text, digits, 1);
    if (count > 1) nnm_text_add(&p->text, "."), nnm_text_add_bytes(&p->text, digits + 1, (size_t)count - 1);
    nnm_text_printf(&p->text, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    return;
  }
  for (int i = exponent < 0 ? exponent : 0; i <= (exponent > count - 1 ? exponent : count - 1); i++) {
    nnm_text_add_bytes(&p->text, i >= 0 && i < count ? &digits[i] : "0", 1);
    if (i == exponent) nnm_text_add(&p->text, ".");
  }
  if (exponent >= count - 1) nnm_text_add(&p->text, "0");
}

static void print_value(printing *p, const json_t *value);

static int by_key(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b); /* UTF-8 sorts like code points */
}

static void print_key(printing *p, const char *key, bool first) {
  if (!first) nnm_text_add(&p->text, ",");
  new_line(p);
  print_text(p, key);
  nnm_text_add(&p->text, ": ");
}

static void print_object(printing *p, const json_t *object) {
  size_t count = json_object_size(object), at = 0;
  if (!count) {
    nnm_text_add(&p->text, "{}");
    return;
  }
  const char **keys = malloc(count * sizeof *keys);
  if (!keys) {
    p->text.failed = true;
    return;
  }
  for (void *item = json_object_iter((json_t *)(uintptr_t)object); item && at < count;
       item = json_object_iter_next((json_t *)(uintptr_t)object, item))
    keys[at++] = json_object_iter_key(item);
  qsort(keys, at, sizeof *keys, by_key);
  nnm_text_add(&p->text, "{");
  p->depth++;
  for (size_t i = 0; i < at; i++) {
    print_key(p, keys[i], i == 0);
    print_value(p, json_object_get(object, keys[i]));
  }
  p->depth--;
  new_line(p);
  nnm_text_add(&p->text, "}");
  free(keys);
}

static void open_item(printing *p, size_t index) {
  nnm_text_add(&p->text, index ? "," : "[");
  p->depth += index == 0;
  new_line(p);
}

static void close_list(printing *p, size_t count) {
  if (count) {
    p->depth--;
    new_line(p);
  }
  nnm_text_add(&p->text, count ? "]" : "[]");
}

static void print_value(printing *p, const json_t *value) {
  if (p->depth > NNM_LIMIT_JSON_DEPTH) {
    p->too_deep = true;
    return;
  }
  switch (json_typeof(value)) {
  case JSON_OBJECT: print_object(p, value); break;
  case JSON_ARRAY:
    for (size_t i = 0; i < json_array_size(value); i++) {
      open_item(p, i);
      print_value(p, json_array_get(value, i));
    }
    close_list(p, json_array_size(value));
    break;
  case JSON_STRING: print_text(p, json_string_value(value)); break;
  case JSON_INTEGER: nnm_text_printf(&p->text, "%lld", (long long)json_integer_value(value)); break;
  case JSON_REAL: print_real(p, json_real_value(value)); break;
  case JSON_TRUE: nnm_text_add(&p->text, "true"); break;
  case JSON_FALSE: nnm_text_add(&p->text, "false"); break;
  default: nnm_text_add(&p->text, "null");
  }
}

static void print_names(printing *p, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++) {
    open_item(p, i);
    print_text(p, names[i]);
  }
  close_list(p, count);
}

static void print_shapes(printing *p, const nnm_shape *shapes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    open_item(p, i);
    size_t rank = shapes[i].rank > 0 ? (size_t)shapes[i].rank : 0;
    for (size_t d = 0; d < rank; d++) {
      open_item(p, d);
      nnm_text_printf(&p->text, "%lld", (long long)shapes[i].dims[d]);
    }
    close_list(p, rank);
  }
  close_list(p, count);
}

static void print_attributes(printing *p, const nnm_ir_node *node) {
  json_t *attributes;
  if (nnm_ir_attributes_json(node, &attributes, NULL) != NNM_OK) {
    p->text.failed = true;
    return;
  }
  print_object(p, attributes);
  json_decref(attributes);
}

static void print_node(printing *p, const nnm_ir_node *node) {
  nnm_text_add(&p->text, "{");
  p->depth++;
  print_key(p, "attr", true);
  nnm_text_add(&p->text, "{");
  p->depth++;
  print_key(p, "attr", true);
  print_attributes(p, node);
  print_key(p, "input_shape", false);
  print_shapes(p, node->input_shapes, node->input_shape_count);
  print_key(p, "output_shape", false);
  print_shapes(p, node->output_shapes, node->output_shape_count);
  print_key(p, "type", false);
  print_text(p, node->type);
  p->depth--;
  new_line(p);
  nnm_text_add(&p->text, "}");
  print_key(p, "inbounds", false);
  print_names(p, node->inbound_names, node->inbound_count);
  print_key(p, "outbounds", false);
  print_names(p, node->outbound_names, node->outbound_count);
  p->depth--;
  new_line(p);
  nnm_text_add(&p->text, "}");
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const nnm_ir_node *const *)a)->name, (*(const nnm_ir_node *const *)b)->name);
}

static void print_nodes(printing *p, const nnm_ir *ir) {
  if (!ir->node_count) {
    nnm_text_add(&p->text, "{}");
    return;
  }
  const nnm_ir_node **sorted = malloc(ir->node_count * sizeof *sorted);
  if (!sorted) {
    p->text.failed = true;
    return;
  }
  for (size_t i = 0; i < ir->node_count; i++) sorted[i] = &ir->nodes[i];
  qsort(sorted, ir->node_count, sizeof *sorted, by_name);
  nnm_text_add(&p->text, "{");
  p->depth++;
  for (size_t i = 0; i < ir->node_count; i++) {
    print_key(p, sorted[i]->name, i == 0);
    print_node(p, sorted[i]);
  }
  p->depth--;
  new_line(p);
  nnm_text_add(&p->text, "}");
  free(sorted);
}

nnm_status nnm_ir_print(const nnm_ir *ir, char **out, nnm_error *error) {
  printing p = {.depth = 0};
  if (ir->document) print_value(&p, ir->document);
  else print_nodes(&p, ir);
  if (p.too_deep) {
    nnm_text_free(&p.text);
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                    "attributes are nested more than %d levels deep; no operator has such, the file is damaged",
                    NNM_LIMIT_JSON_DEPTH);
  }
  char *text = nnm_text_take(&p.text);
  if (!text) return nnm_fail_memory(error);
  *out = text;
  return NNM_OK;
}
