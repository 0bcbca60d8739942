/* Attributes that say nothing because of their kind: whoever reads one of these takes a default then, which is a guess. */
#include <string.h>

#include "base/limits.h"
#include "ir/translate.h"

typedef enum attribute_form { FORM_INTEGERS, FORM_TEXT, FORM_OTHER } attribute_form;

static bool is_named(const char *name, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(name, names[i])) return true;
  return false;
}

static bool is_integers(const char *name) {
  static const char *const names[] = {"axes",           "axis",         "ceil_mode",   "count_include_pad", "dilations",
                                      "group",          "keepdims",     "ks",          "kernel_shape",      "ksize",
                                      "output_padding", "pads",         "perm",        "reduction_indices", "split_dim",
                                      "strides",        "tensor_shape", "weight_shape"};
  return is_named(name, names, sizeof names / sizeof names[0]);
}

static bool is_text(const char *name) {
  static const char *const names[] = {"auto_pad", "padding"};
  return is_named(name, names, sizeof names / sizeof names[0]);
}

static attribute_form form_of(const json_t *value) {
  if (json_is_string(value)) return FORM_TEXT;
  if (json_is_integer(value) || json_is_boolean(value)) return FORM_INTEGERS;
  if (!json_is_array(value) || json_array_size(value) > NNM_LIMIT_RANK) return FORM_OTHER;
  for (size_t i = 0; i < json_array_size(value); i++)
    if (!json_is_integer(json_array_get(value, i))) return FORM_OTHER;
  return FORM_INTEGERS;
}

nnm_status nnm_ir_note_attributes(ir_translation *t, const nnm_ir_node *node) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)node->attributes, name, value) {
    if (json_is_null(value)) continue;
    attribute_form form = form_of(value);
    bool wants_text = form != FORM_TEXT && is_text(name);
    if (!wants_text && (form == FORM_INTEGERS || !is_integers(name))) continue;
    NNM_TRY(nnm_graph_builder_note(t->builder, t->error,
                                   "attribute '%.60s' of node '%.120s' is no %s: taken as if it were not there", name,
                                   node->name, wants_text ? "text" : "integer or short list of them"));
  }
  return NNM_OK;
}
