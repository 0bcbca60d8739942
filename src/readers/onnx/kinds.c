/* Attributes of standard operators whose value is of another kind than the operator takes, or that stand twice. Who asks
 * for an attribute takes a default when there is none of its kind: without this check that would be a silent guess. */
#include <string.h>

#include "readers/onnx/onnx.h"

/* Names that mean one kind in every operator and operator set that has them; others are not checked. */
static const struct known_kind {
  const char *name;
  uint8_t kind; /* nnm_attribute_kind */
} known_kinds[] = {
    {"allowzero", NNM_ATTRIBUTE_INT},
    {"auto_pad", NNM_ATTRIBUTE_TEXT},
    {"axes", NNM_ATTRIBUTE_INTS},
    {"axis", NNM_ATTRIBUTE_INT},
    {"batch_dims", NNM_ATTRIBUTE_INT},
    {"blocksize", NNM_ATTRIBUTE_INT},
    {"body", NNM_ATTRIBUTE_BLOCK},
    {"ceil_mode", NNM_ATTRIBUTE_INT},
    {"coordinate_transformation_mode", NNM_ATTRIBUTE_TEXT},
    {"count_include_pad", NNM_ATTRIBUTE_INT},
    {"dilations", NNM_ATTRIBUTE_INTS},
    {"direction", NNM_ATTRIBUTE_TEXT},
    {"else_branch", NNM_ATTRIBUTE_BLOCK},
    {"equation", NNM_ATTRIBUTE_TEXT},
    {"group", NNM_ATTRIBUTE_INT},
    {"hidden_size", NNM_ATTRIBUTE_INT},
    {"keep_aspect_ratio_policy", NNM_ATTRIBUTE_TEXT},
    {"keepdims", NNM_ATTRIBUTE_INT},
    {"kernel_shape", NNM_ATTRIBUTE_INTS},
    {"kv_num_heads", NNM_ATTRIBUTE_INT},
    {"layout", NNM_ATTRIBUTE_INT},
    {"new_axis", NNM_ATTRIBUTE_INT},
    {"noop_with_empty_axes", NNM_ATTRIBUTE_INT},
    {"num_outputs", NNM_ATTRIBUTE_INT},
    {"num_scan_inputs", NNM_ATTRIBUTE_INT},
    {"output_height", NNM_ATTRIBUTE_INT},
    {"output_padding", NNM_ATTRIBUTE_INTS},
    {"output_shape", NNM_ATTRIBUTE_INTS},
    {"output_width", NNM_ATTRIBUTE_INT},
    {"pads", NNM_ATTRIBUTE_INTS},
    {"perm", NNM_ATTRIBUTE_INTS},
    {"pooled_shape", NNM_ATTRIBUTE_INTS},
    {"q_num_heads", NNM_ATTRIBUTE_INT},
    {"scan_input_axes", NNM_ATTRIBUTE_INTS},
    {"scan_output_axes", NNM_ATTRIBUTE_INTS},
    {"select_last_index", NNM_ATTRIBUTE_INT},
    {"split", NNM_ATTRIBUTE_INTS},
    {"strides", NNM_ATTRIBUTE_INTS},
    {"then_branch", NNM_ATTRIBUTE_BLOCK},
    {"transA", NNM_ATTRIBUTE_INT},
    {"transB", NNM_ATTRIBUTE_INT},
};
enum { KNOWN_KINDS = sizeof known_kinds / sizeof known_kinds[0], ANY_KIND = UINT8_MAX };

static uint8_t look_up(const char *name) {
  for (size_t i = 0; i < KNOWN_KINDS; i++)
    if (!strcmp(known_kinds[i].name, name)) return known_kinds[i].kind;
  return ANY_KIND;
}

/* Names are interned, so the answer can be kept by address; a model has a handful of them. */
static uint8_t kind_of_name(onnx_reader *reader, const char *name) {
  uintptr_t address = (uintptr_t)name;
  size_t slot = (address >> 3 ^ address >> 9) % ONNX_KIND_SLOTS;
  if (reader->kinds[slot].name != name) reader->kinds[slot] = (onnx_kind){name, look_up(name)};
  return reader->kinds[slot].kind;
}

static const char *kind_text(uint8_t kind) {
  static const char *const texts[] = {[NNM_ATTRIBUTE_INT] = "an integer",
                                      [NNM_ATTRIBUTE_FLOAT] = "a float",
                                      [NNM_ATTRIBUTE_TEXT] = "a text",
                                      [NNM_ATTRIBUTE_INTS] = "a list of integers",
                                      [NNM_ATTRIBUTE_FLOATS] = "a list of floats",
                                      [NNM_ATTRIBUTE_TEXTS] = "a list of texts",
                                      [NNM_ATTRIBUTE_TENSOR] = "a tensor",
                                      [NNM_ATTRIBUTE_BLOCK] = "a graph"};
  return texts[kind];
}

nnm_status nnm_onnx_check_kind(onnx_reader *reader, const nnm_wire_field *field, const nnm_node *node,
                               const nnm_attribute *attribute) {
  if (*node->domain || !node->op) return NNM_OK;
  uint8_t kind = kind_of_name(reader, attribute->name);
  if (kind == ANY_KIND || kind == attribute->kind) return NNM_OK;
  return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, field->bytes,
                       "attribute '%.60s' of %.60s '%.120s' is %s, and it takes %s; export the model again",
                       attribute->name, node->type, node->name, kind_text(attribute->kind), kind_text(kind));
}

nnm_status nnm_onnx_check_twice(onnx_reader *reader, const nnm_wire_field *field, const nnm_node *node, size_t first,
                                size_t index) {
  const char *name = NNM_STACK_ITEM(reader->attributes, nnm_attribute, index)->name;
  NNM_TRY(nnm_wire_spend(&reader->file, index - first)); /* a few comparisons, but for nodes made to have thousands */
  for (size_t i = first; i < index; i++)
    if (NNM_STACK_ITEM(reader->attributes, nnm_attribute, i)->name == name)
      return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, field->bytes,
                           "attribute '%.60s' of %.60s '%.120s' stands twice; export the model again", name, node->type,
                           node->name);
  return NNM_OK;
}
