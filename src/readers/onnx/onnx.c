/* ModelProto: finds the pieces of the file and reads them in the order in which they are needed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "readers/content.h"
#include "readers/onnx/onnx.h"
#include "readers/reader.h"

/* Reading everything once takes at most a step per byte and walk; functions that are inlined may cost this much more:
 * about a second, and some 800,000 nodes. */
enum { WALKS = 8, INLINING_BUDGET = 1 << 26, PROBED_BYTES = 4096, LARGEST_IR_VERSION = 255 };

/* ---- is it ONNX? */

/* Producer names and versions are text. The same place of TensorFlow's SavedModel and of Core ML holds a message, whose
 * first bytes are control characters. */
static bool is_plain_text(const nnm_wire_field *field) {
  for (size_t i = 0; i < field->size && i < 64; i++)
    if (field->bytes[i] < 0x20 && field->bytes[i] != '\n' && field->bytes[i] != '\t') return false;
  return true;
}

static bool is_plausible(const nnm_wire_field *field) {
  switch (field->number) {
  case MODEL_IR_VERSION: return field->value >= 1 && field->value <= LARGEST_IR_VERSION;
  case MODEL_PRODUCER_NAME:
  case MODEL_PRODUCER_VERSION:
  case MODEL_DOMAIN: return is_plain_text(field) && (!field->size || field->bytes[0] >= 0x20);
  default: return true;
  }
}

static int probe(const unsigned char *data, size_t size) {
  nnm_wire_file file = {data, NULL, 64};
  nnm_wire_message message = nnm_wire_open(&file, &nnm_onnx_model_probe, data, size);
  nnm_wire_field field = {0};
  bool has_version = false, has_graph = false;
  while ((size_t)(message.at - data) < PROBED_BYTES && !has_graph && nnm_wire_next(&message, &field)) {
    if (!is_plausible(&field)) return 0;
    has_version |= field.number == MODEL_IR_VERSION;
    has_graph |= field.number == MODEL_GRAPH;
  }
  if (has_version && has_graph) return 2;
  /* cut short, with much text in front, or in an unusual order */
  return has_graph || (has_version && message.at > data + 2) ? 1 : 0;
}

/* ---- reading */

nnm_status nnm_onnx_read_opset(onnx_reader *reader, const nnm_wire_field *field) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_opset, field->bytes, field->size);
  nnm_wire_field part = {0};
  const char *domain = "";
  int64_t version = 0;
  while (nnm_wire_next(&message, &part)) {
    if (part.number == OPSET_DOMAIN) NNM_TRY(nnm_onnx_name(reader, &part, &domain));
    else version = (int64_t)part.value;
  }
  NNM_TRY(message.status);
  if (*domain && strcmp(domain, "ai.onnx")) return NNM_OK;
  if (version < 0 || version > INT32_MAX)
    return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, field->bytes,
                         "operator set %lld; the file is damaged: fetch or export it again", (long long)version);
  if (version > reader->opset) reader->opset = version;
  return NNM_OK;
}

/* What the model's own fields say, in whatever order they lie in the file. */
typedef struct model_parts {
  nnm_wire_field graph, producer, producer_version;
  bool has_graph;
} model_parts;

static nnm_status scan_model(onnx_reader *reader, const unsigned char *data, size_t size, model_parts *parts) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_model, data, size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    switch (field.number) {
    case MODEL_PRODUCER_NAME: parts->producer = field; break;
    case MODEL_PRODUCER_VERSION: parts->producer_version = field; break;
    case MODEL_OPSET_IMPORT: NNM_TRY(nnm_onnx_read_opset(reader, &field)); break;
    case MODEL_GRAPH:
      if (parts->has_graph)
        return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, field.bytes,
                             "a second graph; the file is damaged: fetch or export it again");
      parts->graph = field;
      parts->has_graph = true;
      break;
    default: break;
    }
  }
  NNM_TRY(message.status);
  if (parts->has_graph) return NNM_OK;
  return nnm_fail(reader->file.error, NNM_ERROR_FORMAT, NULL,
                  "no graph in this ONNX file; it is cut short or empty: fetch or export it again");
}

/* After the model's own opset is known: see function.c. */
static nnm_status scan_functions(onnx_reader *reader, const unsigned char *data, size_t size) {
  int64_t opset = reader->opset;
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_model, data, size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field))
    if (field.number == MODEL_FUNCTIONS) NNM_TRY(nnm_onnx_add_function(reader, &field));
  if (opset) reader->opset = opset;
  return message.status;
}

/* Shape rules follow the operator sets that they were written for. */
static nnm_status note_opset(onnx_reader *reader) {
  enum { OLDEST_OPSET = 7, NEWEST_OPSET = 24 };
  nnm_graph_builder *builder = reader->builder;
  nnm_error *error = reader->file.error;
  if (!reader->opset)
    return nnm_graph_builder_note(builder, error, "the file does not say which operator set it uses; read as set 1");
  if (reader->opset > NEWEST_OPSET)
    return nnm_graph_builder_note(
        builder, error,
        "operator set %lld is newer than %d, the newest that is known; what it changes is not "
        "considered",
        (long long)reader->opset, NEWEST_OPSET);
  if (reader->opset < OLDEST_OPSET)
    return nnm_graph_builder_note(builder, error,
                                  "operator set %lld is older than %d, the oldest that is known in full; what was "
                                  "different may be read wrongly",
                                  (long long)reader->opset, OLDEST_OPSET);
  return NNM_OK;
}

static nnm_status set_origin(onnx_reader *reader, const model_parts *parts) {
  const char *name = "", *version = "";
  if (parts->producer.size) NNM_TRY(nnm_onnx_text(reader, &parts->producer, &name));
  if (parts->producer_version.size) NNM_TRY(nnm_onnx_text(reader, &parts->producer_version, &version));
  reader->name.length = 0;
  nnm_text_printf(&reader->name, "%s%s%s", name, *version ? " " : "", version);
  if (reader->name.failed) return nnm_fail_memory(reader->file.error);
  /* files older than operator sets mean the first */
  nnm_graph_builder_set_opset(reader->builder, reader->opset ? (int32_t)reader->opset : 1);
  NNM_TRY(note_opset(reader));
  return nnm_graph_builder_set_producer(reader->builder, reader->name.data, reader->file.error);
}

static nnm_status note_types(onnx_reader *reader) {
  if (!reader->odd_types) return NNM_OK;
  return nnm_graph_builder_note(reader->builder, reader->file.error,
                                "%zu tensor%s of an element type that is not known (%llu): counted as 32-bit floats",
                                reader->odd_types, reader->odd_types == 1 ? " is" : "s are",
                                (unsigned long long)reader->odd_type);
}

static nnm_status read_model(onnx_reader *reader, const unsigned char *data, size_t size) {
  model_parts parts = {0};
  reader->empty = nnm_graph_builder_intern(reader->builder, "", 0);
  if (!reader->empty) return nnm_fail_memory(reader->file.error);
  NNM_TRY(scan_model(reader, data, size, &parts));
  NNM_TRY(scan_functions(reader, data, size));
  NNM_TRY(set_origin(reader, &parts));
  NNM_TRY(nnm_onnx_read_graph(reader, &parts.graph));
  NNM_TRY(note_types(reader));
  return nnm_onnx_mark_weights(reader);
}

static void free_reader(onnx_reader *reader) {
  nnm_stack *stacks[] = {&reader->inputs, &reader->outputs,   &reader->raw_attributes, &reader->attributes,
                         &reader->values, &reader->functions, &reader->input_uses};
  for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) free(stacks[i]->items);
  nnm_text_free(&reader->name);
  nnm_strings_free(&reader->function_names);
  nnm_arena_free(&reader->arena);
}

static nnm_status read_onnx(const unsigned char *data, size_t size, nnm_graph **graph, nnm_ir **ir, nnm_error *error) {
  (void)ir;
  if (!probe(data, size)) return nnm_fail_content(error, "onnx", data, size);
  uint64_t budget;
  if (__builtin_mul_overflow((uint64_t)size, (uint64_t)WALKS, &budget)) budget = UINT64_MAX / 2;
  onnx_reader reader = {.file = {data, error, budget + INLINING_BUDGET},
                        .inputs.item_size = sizeof(nnm_tensor_id),
                        .outputs.item_size = sizeof(nnm_tensor_id),
                        .raw_attributes.item_size = sizeof(nnm_wire_field),
                        .attributes.item_size = sizeof(nnm_attribute),
                        .functions.item_size = sizeof(onnx_function),
                        .input_uses.item_size = sizeof(onnx_input_use)};
  reader.function_names.arena = &reader.arena;
  NNM_TRY(nnm_graph_builder_create("onnx", &reader.builder, error));
  nnm_status status = read_model(&reader, data, size);
  free_reader(&reader);
  if (status != NNM_OK) {
    nnm_graph_builder_free(reader.builder);
    return status;
  }
  NNM_TRY(nnm_graph_builder_finish(reader.builder, graph, error));
  status = nnm_onnx_find_layouts(*graph, error);
  if (status == NNM_OK) return NNM_OK;
  nnm_graph_free(*graph);
  *graph = NULL;
  return status;
}

const nnm_reader nnm_reader_onnx = {"onnx", probe, read_onnx};
