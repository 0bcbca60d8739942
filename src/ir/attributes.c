/* Attributes of an IR node: from the document where there is one, else those of the graph's node, of which the old tool
 * keeps numbers, lists of integers and texts. JSON is only made of the latter when somebody wants to print it. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "ir/ir.h"

/* Tensors, graphs and lists of texts or floats are left out, as the old tool does. */
static bool is_kept(const nnm_attribute *attribute) {
  switch (attribute->kind) {
  case NNM_ATTRIBUTE_INT:
  case NNM_ATTRIBUTE_INTS:
  case NNM_ATTRIBUTE_TEXT:
  case NNM_ATTRIBUTE_FLOAT: return true;
  default: return false;
  }
}

/* Of several of one name the last counts, as in JSON. */
static const nnm_attribute *find(const nnm_node *node, const char *name) {
  for (uint32_t i = node->attribute_count; i-- > 0;) {
    const nnm_attribute *attribute = &node->attributes[i];
    if (is_kept(attribute) && !strcmp(attribute->name, name)) return attribute;
  }
  return NULL;
}

static bool is_of_kind(const nnm_ir_node *node, const char *name, nnm_attribute_kind kind) {
  const nnm_attribute *attribute = find(node->source, name);
  return attribute && attribute->kind == kind;
}

bool nnm_ir_has(const nnm_ir_node *node, const char *name) {
  return node->source ? find(node->source, name) != NULL : json_object_get(node->attributes, name) != NULL;
}

bool nnm_ir_is_list(const nnm_ir_node *node, const char *name) {
  return node->source ? is_of_kind(node, name, NNM_ATTRIBUTE_INTS)
                      : json_is_array(json_object_get(node->attributes, name));
}

bool nnm_ir_integer(const nnm_ir_node *node, const char *name, int64_t *out) {
  if (node->source) {
    if (!is_of_kind(node, name, NNM_ATTRIBUTE_INT)) return false;
    *out = find(node->source, name)->as.integer;
    return true;
  }
  const json_t *value = json_object_get(node->attributes, name);
  if (!json_is_integer(value)) return false;
  *out = json_integer_value(value);
  return true;
}

static bool document_integers(const json_t *list, int64_t *out, size_t capacity, size_t *count) {
  if (!json_is_array(list) || json_array_size(list) > capacity) return false;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    if (!json_is_integer(item)) return false;
    out[i] = json_integer_value(item);
  }
  *count = json_array_size(list);
  return true;
}

bool nnm_ir_integers(const nnm_ir_node *node, const char *name, int64_t *out, size_t capacity, size_t *count) {
  if (capacity > 0 && nnm_ir_integer(node, name, out)) {
    *count = 1;
    return true;
  }
  if (!node->source) return document_integers(json_object_get(node->attributes, name), out, capacity, count);
  const nnm_attribute *attribute = find(node->source, name);
  if (!attribute || attribute->kind != NNM_ATTRIBUTE_INTS || attribute->count > capacity) return false;
  if (attribute->count) memcpy(out, attribute->as.integers, attribute->count * sizeof *out);
  *count = attribute->count;
  return true;
}

/* ------------------------------------------------------------------ JSON */

/* A text as Python prints bytes: b'SAME_UPPER'. */
static json_t *bytes_json(const char *value) {
  nnm_text text = {0};
  char quote = strchr(value, '\'') && !strchr(value, '"') ? '"' : '\'';
  nnm_text_printf(&text, "b%c", quote);
  for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
    if (*at == quote || *at == '\\') nnm_text_printf(&text, "\\%c", *at);
    else if (*at == '\t') nnm_text_add(&text, "\\t");
    else if (*at == '\n') nnm_text_add(&text, "\\n");
    else if (*at == '\r') nnm_text_add(&text, "\\r");
    else if (*at < 0x20 || *at >= 0x7f) nnm_text_printf(&text, "\\x%02x", *at);
    else nnm_text_add_bytes(&text, (const char *)at, 1);
  }
  nnm_text_add_bytes(&text, &quote, 1);
  json_t *json = text.failed ? NULL : json_stringn_nocheck(text.data, text.length);
  nnm_text_free(&text);
  return json;
}

static json_t *integers_json(const nnm_attribute *attribute) {
  json_t *list = json_array();
  for (size_t i = 0; i < attribute->count; i++)
    if (json_array_append_new(list, json_integer(attribute->as.integers[i]))) {
      json_decref(list);
      return NULL;
    }
  return list;
}

/* jansson refuses NaN and infinity, so these go as texts. */
static json_t *attribute_json(const nnm_attribute *attribute) {
  switch (attribute->kind) {
  case NNM_ATTRIBUTE_INT: return json_integer(attribute->as.integer);
  case NNM_ATTRIBUTE_INTS: return integers_json(attribute);
  case NNM_ATTRIBUTE_TEXT: return bytes_json(attribute->as.text);
  default:
    if (isfinite(attribute->as.number)) return json_real(attribute->as.number);
    return json_string(isnan(attribute->as.number) ? "nan" : attribute->as.number > 0 ? "inf" : "-inf");
  }
}

nnm_status nnm_ir_attributes_json(const nnm_ir_node *node, json_t **out, nnm_error *error) {
  *out = node->source ? json_object() : json_incref((json_t *)(uintptr_t)node->attributes);
  if (!node->source) return NNM_OK;
  if (!*out) return nnm_fail_memory(error);
  for (uint32_t i = 0; i < node->source->attribute_count; i++) {
    const nnm_attribute *attribute = &node->source->attributes[i];
    if (!is_kept(attribute) || !json_object_set_new_nocheck(*out, attribute->name, attribute_json(attribute))) continue;
    json_decref(*out);
    return nnm_fail_memory(error);
  }
  return NNM_OK;
}
