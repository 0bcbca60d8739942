/* TensorFlow's files: a GraphDef (frozen graph), or a SavedModel, of which one graph and one signature are taken. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "readers/content.h"
#include "readers/reader.h"
#include "readers/tensorflow/tensorflow.h"

/* Reading everything once takes at most a step per byte and walk; functions that are inlined may cost this much more:
 * about a second. */
enum { WALKS = 8, INLINING_BUDGET = 1 << 26, PROBED_BYTES = 4096 };

/* ---- is it TensorFlow? */

/* An operator's name: letters, digits and a few more. */
static bool is_operator(const nnm_wire_field *field) {
  if (!field->size || field->size > 256 || !(isalpha(field->bytes[0]) || field->bytes[0] == '_')) return false;
  for (size_t i = 0; i < field->size; i++)
    if (!isalnum(field->bytes[i]) && !strchr("_>.-/", field->bytes[i])) return false;
  return true;
}

static bool is_node(nnm_wire_file *file, const nnm_wire_field *field) {
  nnm_wire_message message = nnm_wire_open(file, &nnm_tf_node_name, field->bytes, field->size);
  nnm_wire_field part = {0};
  bool named = false;
  while ((size_t)(message.at - file->data) < PROBED_BYTES && nnm_wire_next(&message, &part)) {
    if (part.number == NODE_DEF_OP) return named && is_operator(&part);
    named = part.size > 0 && part.bytes[0] > 0x20 && part.size < PROBED_BYTES;
  }
  return false;
}

static int probe_graph(const unsigned char *data, size_t size) {
  nnm_wire_file file = {data, NULL, 64};
  nnm_wire_message message = nnm_wire_open(&file, &nnm_tf_graph_probe, data, size);
  nnm_wire_field field = {0};
  while ((size_t)(message.at - data) < PROBED_BYTES && nnm_wire_next(&message, &field))
    if (field.number == GRAPH_DEF_NODE) return is_node(&file, &field) ? 2 : 0;
  return 0;
}

static bool is_saved_model(const unsigned char *data, size_t size) {
  nnm_wire_file file = {data, NULL, 64};
  nnm_wire_message message = nnm_wire_open(&file, &nnm_tf_saved_model, data, size);
  nnm_wire_field field = {0};
  if (size < 8 || data[0] != (SAVED_MODEL_VERSION << 3) || data[2] != (SAVED_MODEL_META_GRAPH << 3 | 2)) return false;
  while (nnm_wire_next(&message, &field)) {
    if (field.number != SAVED_MODEL_META_GRAPH) continue;
    /* the first part of a meta graph is a message; that of ONNX's producer name is text */
    nnm_wire_message inner = nnm_wire_open(&file, &nnm_tf_meta_graph, field.bytes, field.size);
    return nnm_wire_next(&inner, &field) && (field.number == META_GRAPH_INFO || field.number == META_GRAPH_GRAPH);
  }
  return false;
}

static int probe(const unsigned char *data, size_t size) {
  return is_saved_model(data, size) ? 2 : probe_graph(data, size);
}

/* ---- SavedModel */

typedef struct chosen_graph {
  nnm_wire_field whole;
  bool found, serves; /* serves: has the tag for it */
  size_t count;
} chosen_graph;

static nnm_status find_tag(tf_reader *reader, const nnm_wire_field *graph, bool *serves, const char **version) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_meta_graph, graph->bytes, graph->size);
  nnm_wire_field part = {0}, info = {0};
  *serves = false;
  while (nnm_wire_next(&message, &part)) {
    if (part.number != META_GRAPH_INFO) continue;
    nnm_wire_message inner = nnm_wire_open(&reader->file, &nnm_tf_meta_info, part.bytes, part.size);
    while (nnm_wire_next(&inner, &info)) {
      if (info.number == META_INFO_TAG) *serves = *serves || nnm_wire_is_text(&info, "serve");
      else if (info.size && info.size < 64 && nnm_wire_is_utf8(info.bytes, info.size))
        *version = nnm_graph_builder_intern(reader->builder, (const char *)info.bytes, info.size);
    }
    NNM_TRY(inner.status);
    if (!*version) return nnm_fail_memory(reader->file.error);
  }
  return message.status;
}

/* The first graph with the tag "serve", else the first. */
static nnm_status choose_graph(tf_reader *reader, const unsigned char *data, size_t size, chosen_graph *out) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_saved_model, data, size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    bool serves;
    const char *version = reader->empty;
    if (field.number != SAVED_MODEL_META_GRAPH) continue;
    NNM_TRY(find_tag(reader, &field, &serves, &version));
    out->count++;
    if (out->found && (out->serves || !serves)) continue;
    out->whole = field;
    out->found = true;
    out->serves = serves;
    reader->version = version;
  }
  NNM_TRY(message.status);
  if (!out->found)
    return nnm_fail(reader->file.error, NNM_ERROR_FORMAT, NULL,
                    "no graph in this SavedModel; it is cut short or empty: fetch or export it again");
  if (out->serves) return NNM_OK;
  return nnm_graph_builder_note(reader->builder, reader->file.error,
                                "no graph of this SavedModel has the tag 'serve'; the first of %zu is taken",
                                out->count);
}

typedef struct chosen_signature {
  nnm_wire_field key, whole;
  bool found;
  size_t count;
} chosen_signature;

/* What TensorFlow itself needs for loading is no signature of the model. */
static bool is_internal(const nnm_wire_field *key) {
  return key->size > 2 && key->bytes[0] == '_' && key->bytes[1] == '_';
}

static nnm_status choose_signature(tf_reader *reader, const nnm_wire_field *graph, chosen_signature *out) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_meta_graph, graph->bytes, graph->size);
  nnm_wire_field field = {0}, key, value;
  bool is_default = false;
  while (nnm_wire_next(&message, &field)) {
    if (field.number != META_GRAPH_SIGNATURE) continue;
    NNM_TRY(nnm_tf_read_entry(reader, &field, &key, &value));
    if (is_internal(&key)) continue;
    out->count++;
    if (out->found && !nnm_wire_is_text(&key, "serving_default")) continue;
    out->found = true;
    out->key = key;
    out->whole = value;
    is_default = nnm_wire_is_text(&key, "serving_default");
  }
  NNM_TRY(message.status);
  if (!out->found)
    return nnm_graph_builder_note(reader->builder, reader->file.error,
                                  "this SavedModel has no signature; all results that nothing reads are its outputs");
  if (out->count == 1 && is_default) return NNM_OK;
  return nnm_graph_builder_note(reader->builder, reader->file.error,
                                "signature '%.*s' is taken, of %zu in the SavedModel",
                                (int)(out->key.size > 100 ? 100 : out->key.size), out->key.bytes, out->count);
}

static nnm_status read_tensor_info(tf_reader *reader, const nnm_wire_field *entry, tf_signature_input *out) {
  nnm_wire_field value, part = {0};
  *out = (tf_signature_input){0};
  NNM_TRY(nnm_tf_read_entry(reader, entry, &out->key, &value));
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_tensor_info, value.bytes, value.size);
  while (nnm_wire_next(&message, &part)) {
    switch (part.number) {
    case TENSOR_INFO_NAME: out->name = part; break;
    case TENSOR_INFO_TYPE: out->type = part.value; break;
    default: out->shape = part; break;
    }
  }
  NNM_TRY(message.status);
  NNM_TRY(nnm_wire_check_name(&reader->file, &out->key));
  return nnm_wire_check_name(&reader->file, &out->name);
}

static nnm_status read_signature(tf_reader *reader, const nnm_wire_field *signature) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_signature, signature->bytes, signature->size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    tf_signature_input info;
    if (field.number == SIGNATURE_METHOD) continue;
    NNM_TRY(read_tensor_info(reader, &field, &info));
    if (!info.name.size) continue; /* a sparse or composite tensor: its parts are found as what nothing defines */
    if (field.number == SIGNATURE_INPUT) NNM_TRY(nnm_stack_push(&reader->signature_inputs, &info, reader->file.error));
    else NNM_TRY(nnm_stack_push(&reader->signature_outputs, &info.name, reader->file.error));
  }
  return message.status;
}

/* ---- the graph */

static nnm_status read_versions(tf_reader *reader, const nnm_wire_field *field) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_versions, field->bytes, field->size);
  nnm_wire_field part = {0};
  while (nnm_wire_next(&message, &part)) reader->producer = (int64_t)part.value;
  return message.status;
}

static nnm_status index_graph(tf_reader *reader, const nnm_wire_field *graph) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_graph, graph->bytes, graph->size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    if (field.number == GRAPH_DEF_LIBRARY) NNM_TRY(nnm_tf_index_functions(reader, &field));
    else NNM_TRY(read_versions(reader, &field));
  }
  NNM_TRY(message.status);
  return nnm_tf_index_graph(reader, graph, &reader->main);
}

/* A tensor that a signature names. */
static nnm_status find_named(tf_reader *reader, const nnm_wire_field *name, tf_edge *edge) {
  NNM_TRY(nnm_tf_read_edge(reader, &reader->main->names, (const char *)name->bytes, name->size, edge));
  if (edge->node && *edge->node >= 0) return NNM_OK;
  return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, name->bytes,
                       "the signature names '%.*s', which the graph does not have; export the model again",
                       (int)(name->size > 200 ? 200 : name->size), name->bytes);
}

static nnm_status feed_inputs(tf_reader *reader) {
  for (size_t i = 0; i < reader->signature_inputs.count; i++) {
    tf_edge edge;
    NNM_TRY(find_named(reader, &NNM_STACK_ITEM(reader->signature_inputs, tf_signature_input, i)->name, &edge));
    reader->main->nodes[*edge.node].fed = (int32_t)i;
  }
  return NNM_OK;
}

static nnm_status mark_signature(tf_reader *reader, tf_instance *root) {
  for (size_t i = 0; i < reader->signature_outputs.count; i++) {
    tf_edge edge;
    NNM_TRY(find_named(reader, NNM_STACK_ITEM(reader->signature_outputs, nnm_wire_field, i), &edge));
    NNM_TRY(nnm_tf_mark_live(reader, root, (uint32_t)*edge.node, edge.port));
  }
  return NNM_OK;
}

static bool makes_result(const tf_node *node) { return node->kind != TF_CONSTANT && node->kind != TF_PLACEHOLDER; }

/* Results that nothing reads, in roots; constants and inputs that nothing reads are kept with them, unless an input's size
 * would have to be asked for. */
static nnm_status find_roots(tf_reader *reader, uint8_t **roots, size_t *count) {
  const tf_body *body = reader->main;
  *roots = NNM_ARENA_ARRAY(&reader->arena, uint8_t, body->node_count);
  if (!*roots) return nnm_fail_memory(reader->file.error);
  for (uint32_t i = 0; i < body->node_count; i++) {
    uint8_t kind = body->nodes[i].kind;
    (*roots)[i] = kind != TF_EFFECT && kind != TF_VARIABLE;
  }
  for (uint32_t i = 0; i < body->node_count; i++)
    for (uint32_t k = 0; k < body->nodes[i].edge_count; k++) {
      const tf_edge *edge = NNM_STACK_ITEM(reader->edges, tf_edge, body->nodes[i].first_edge + k);
      if (*edge->node >= 0) (*roots)[*edge->node] = 0;
    }
  for (uint32_t i = 0; i < body->node_count; i++) {
    bool fixed = true;
    if ((*roots)[i] && body->nodes[i].kind == TF_PLACEHOLDER)
      NNM_TRY(nnm_tf_has_fixed_shape(reader, &body->nodes[i], &fixed));
    (*roots)[i] = (*roots)[i] && fixed;
    *count += (*roots)[i] && makes_result(&body->nodes[i]);
  }
  return NNM_OK;
}

static nnm_status mark_roots(tf_reader *reader, tf_instance *root, uint8_t **roots) {
  size_t count = 0;
  NNM_TRY(find_roots(reader, roots, &count));
  if (!count)
    return nnm_fail(reader->file.error, NNM_ERROR_GRAPH, NULL,
                    "no node of this graph makes a result; it is cut short, or not a model: export it again");
  for (uint32_t i = 0; i < reader->main->node_count; i++)
    if ((*roots)[i]) NNM_TRY(nnm_tf_mark_live(reader, root, i, 0));
  return NNM_OK;
}

/* ---- outputs and notes */

static nnm_status add_output(tf_reader *reader, tf_instance *root, const tf_edge *edge) {
  nnm_tensor_id tensor;
  NNM_TRY(nnm_tf_tensor_at(reader, root, edge, &tensor));
  return nnm_graph_builder_output(reader->builder, tensor, reader->file.error);
}

static nnm_status add_signature_outputs(tf_reader *reader, tf_instance *root) {
  for (size_t i = 0; i < reader->signature_outputs.count; i++) {
    tf_edge edge;
    NNM_TRY(find_named(reader, NNM_STACK_ITEM(reader->signature_outputs, nnm_wire_field, i), &edge));
    NNM_TRY(add_output(reader, root, &edge));
  }
  return NNM_OK;
}

static nnm_status add_root_outputs(tf_reader *reader, tf_instance *root, const uint8_t *roots) {
  for (uint32_t i = 0; i < reader->main->node_count; i++) {
    const tf_node *node = &reader->main->nodes[i];
    if (!roots[i] || !makes_result(node)) continue;
    int32_t number = (int32_t)i;
    bool several = !(node->row && node->row->outputs) && node->kind == TF_PLAIN;
    for (uint32_t port = 0; port < (several ? root->output_count[i] : 1); port++) {
      tf_edge edge = {.node = &number, .port = port};
      NNM_TRY(add_output(reader, root, &edge));
    }
  }
  return NNM_OK;
}

/* What a signature calls its inputs. */
static nnm_status name_inputs(tf_reader *reader, tf_instance *root) {
  for (size_t i = 0; i < reader->signature_inputs.count; i++) {
    const tf_signature_input *input = NNM_STACK_ITEM(reader->signature_inputs, tf_signature_input, i);
    tf_edge edge;
    nnm_tensor_id tensor;
    NNM_TRY(find_named(reader, &input->name, &edge));
    if (!root->live[*edge.node] || !input->key.size) continue;
    NNM_TRY(nnm_tf_tensor_at(reader, root, &edge, &tensor));
    const char *alias = nnm_graph_builder_intern(reader->builder, (const char *)input->key.bytes, input->key.size);
    if (!alias) return nnm_fail_memory(reader->file.error);
    nnm_graph_builder_set_alias(reader->builder, tensor, alias);
  }
  return NNM_OK;
}

static nnm_status add_notes(tf_reader *reader) {
  nnm_graph_builder *builder = reader->builder;
  nnm_error *error = reader->file.error;
  if (reader->loops)
    NNM_TRY(nnm_graph_builder_note(builder, error,
                                   "loops of TensorFlow 1 (%zu variables): how often they turn depends on the input "
                                   "data; one turn counted",
                                   reader->loops));
  if (reader->branches && !reader->loops)
    NNM_TRY(nnm_graph_builder_note(builder, error,
                                   "branches of TensorFlow 1 (%zu tensors): which one runs depends on the input data; "
                                   "all are counted",
                                   reader->branches));
  if (!reader->odd_types) return NNM_OK;
  return nnm_graph_builder_note(
      builder, error, "%zu tensor%s of an element type that is not known (%llu): counted as 32-bit floats",
      reader->odd_types, reader->odd_types == 1 ? " is" : "s are", (unsigned long long)reader->odd_type);
}

static nnm_status set_producer(tf_reader *reader) {
  reader->name.length = 0;
  nnm_text_printf(&reader->name, "tensorflow%s%s", *reader->version ? " " : "", reader->version);
  if (reader->name.failed) return nnm_fail_memory(reader->file.error);
  return nnm_graph_builder_set_producer(reader->builder, reader->name.data, reader->file.error);
}

static nnm_status read_graph(tf_reader *reader, const nnm_wire_field *graph) {
  tf_instance *root;
  uint8_t *roots = NULL;
  NNM_TRY(index_graph(reader, graph));
  NNM_TRY(set_producer(reader));
  NNM_TRY(feed_inputs(reader));
  NNM_TRY(nnm_tf_new_instance(reader, reader->main, NULL, 0, 0, &root));
  bool by_signature = reader->signature_outputs.count > 0;
  NNM_TRY(by_signature ? mark_signature(reader, root) : mark_roots(reader, root, &roots));
  NNM_TRY(nnm_tf_emit(reader, root));
  NNM_TRY(by_signature ? add_signature_outputs(reader, root) : add_root_outputs(reader, root, roots));
  NNM_TRY(name_inputs(reader, root));
  return add_notes(reader);
}

/* The parts of one meta graph that are needed: its graph. */
static nnm_status read_meta_graph(tf_reader *reader, const nnm_wire_field *whole) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_meta_graph, whole->bytes, whole->size);
  nnm_wire_field field = {0}, graph = {0};
  chosen_signature signature = {0};
  while (nnm_wire_next(&message, &field))
    if (field.number == META_GRAPH_GRAPH) graph = field;
  NNM_TRY(message.status);
  if (!graph.size)
    return nnm_fail(reader->file.error, NNM_ERROR_FORMAT, NULL,
                    "no graph in this SavedModel; it is cut short or empty: fetch or export it again");
  NNM_TRY(choose_signature(reader, whole, &signature));
  if (signature.found) NNM_TRY(read_signature(reader, &signature.whole));
  return read_graph(reader, &graph);
}

static nnm_status read_model(tf_reader *reader, const unsigned char *data, size_t size) {
  nnm_wire_field whole = {.type = NNM_WIRE_BYTES, .bytes = data, .size = size};
  chosen_graph graph = {0};
  reader->empty = reader->version = nnm_graph_builder_intern(reader->builder, "", 0);
  if (!reader->empty) return nnm_fail_memory(reader->file.error);
  if (!is_saved_model(data, size)) return read_graph(reader, &whole);
  NNM_TRY(choose_graph(reader, data, size, &graph));
  return read_meta_graph(reader, &graph.whole);
}

static void free_reader(tf_reader *reader) {
  nnm_stack *stacks[] = {&reader->edges,   &reader->functions, &reader->pending,          &reader->attributes,
                         &reader->values,  &reader->inputs,    &reader->signature_inputs, &reader->signature_outputs,
                         &reader->outputs, &reader->listed};
  for (size_t i = 0; i < reader->functions.count; i++) {
    tf_function *function = NNM_STACK_ITEM(reader->functions, tf_function, i);
    if (function->body) nnm_strings_free(&function->body->names);
  }
  if (reader->main) nnm_strings_free(&reader->main->names);
  for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) free(stacks[i]->items);
  nnm_text_free(&reader->name);
  nnm_strings_free(&reader->function_names);
  nnm_arena_free(&reader->arena);
}

static nnm_status read_tensorflow(const unsigned char *data, size_t size, nnm_graph **graph, nnm_ir **ir,
                                  nnm_error *error) {
  (void)ir;
  if (!probe(data, size)) return nnm_fail_content(error, "tensorflow", data, size);
  uint64_t budget;
  if (__builtin_mul_overflow((uint64_t)size, (uint64_t)WALKS, &budget)) budget = UINT64_MAX / 2;
  tf_reader reader = {.file = {data, error, budget + INLINING_BUDGET},
                      .edges.item_size = sizeof(tf_edge),
                      .functions.item_size = sizeof(tf_function),
                      .pending.item_size = sizeof(tf_port),
                      .attributes.item_size = sizeof(nnm_attribute),
                      .values.item_size = 8,
                      .inputs.item_size = sizeof(nnm_tensor_id),
                      .outputs.item_size = sizeof(nnm_tensor_id),
                      .listed.item_size = sizeof(nnm_tensor_id),
                      .signature_inputs.item_size = sizeof(tf_signature_input),
                      .signature_outputs.item_size = sizeof(nnm_wire_field),
                      .layout = NNM_CHANNELS_LAST};
  reader.function_names.arena = &reader.arena;
  NNM_TRY(nnm_graph_builder_create("tensorflow", &reader.builder, error));
  reader.graph_arena = nnm_graph_builder_arena(reader.builder);
  nnm_status status = read_model(&reader, data, size);
  free_reader(&reader);
  if (status == NNM_OK) return nnm_graph_builder_finish(reader.builder, graph, error);
  nnm_graph_builder_free(reader.builder);
  return status;
}

const nnm_reader nnm_reader_tensorflow = {"tensorflow", probe, read_tensorflow};
