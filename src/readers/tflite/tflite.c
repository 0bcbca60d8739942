/* The model: operator codes, buffers, and which subgraph is meant. */
#include <stdlib.h>
#include <string.h>

#include "readers/content.h"
#include "readers/reader.h"
#include "readers/tflite/tflite.h"

/* A file is paid for by its size; subgraphs that several operators run may cost this much more: about a second, and
 * some 200,000 nodes. */
enum { LOOKS = 8, RUNNING_BUDGET = 1 << 24, IDENTIFIER_AT = 4, IDENTIFIER_SIZE = 4 };

static bool has_identifier(const unsigned char *data, size_t size) {
  return size >= IDENTIFIER_AT + IDENTIFIER_SIZE && !memcmp(data + IDENTIFIER_AT, "TFL3", IDENTIFIER_SIZE);
}

static int probe(const unsigned char *data, size_t size) { return has_identifier(data, size) ? 2 : 0; }

/* Some tools leave the identifier out; then the root must look like a model's. */
static bool looks_like_model(const unsigned char *data, size_t size) {
  nnm_flat_file file = {.data = data, .size = size, .budget = 1 << 16};
  nnm_flat_table model = nnm_flat_root(&file, "model");
  uint64_t version = nnm_flat_u32(&model, MODEL_VERSION, 0);
  nnm_flat_vector subgraphs = nnm_flat_items(&model, MODEL_SUBGRAPHS, 4);
  return file.status == NNM_OK && version >= 1 && version <= 255 && subgraphs.count > 0;
}

/* ---- operator codes */

static nnm_status read_code(tflite_reader *reader, const nnm_flat_table *table, tflite_code *code) {
  /* the old field holds at most 127; newer files have the number in both, or 127 in the old one */
  int64_t old = nnm_flat_i8(table, CODE_OLD_BUILTIN, 0), now = nnm_flat_i32(table, CODE_BUILTIN, 0);
  nnm_flat_vector custom = nnm_flat_text(table, CODE_CUSTOM_NAME);
  NNM_TRY(reader->file.status);
  int64_t number = now > old ? now : old;
  code->builtin = number < 0 ? UINT32_MAX : (uint32_t)number;
  code->custom = reader->empty;
  if (code->builtin != BUILTIN_CUSTOM) return NNM_OK;
  size_t length = custom.count < NNM_LIMIT_NAME_BYTES ? custom.count : NNM_LIMIT_NAME_BYTES;
  char *name = nnm_arena_text(reader->arena, length ? (const char *)custom.items : "custom", length ? length : 6);
  if (!name) return nnm_fail_memory(reader->file.error);
  nnm_make_printable(name);
  code->custom = nnm_graph_builder_intern(reader->builder, name, strlen(name));
  return code->custom ? NNM_OK : nnm_fail_memory(reader->file.error);
}

static nnm_status read_codes(tflite_reader *reader, const nnm_flat_table *model) {
  nnm_flat_vector tables = nnm_flat_items(model, MODEL_OPERATOR_CODES, 4);
  reader->codes = NNM_ARENA_ARRAY(reader->arena, tflite_code, tables.count);
  if (!reader->codes) return nnm_fail_memory(reader->file.error);
  for (; reader->code_count < tables.count; reader->code_count++) {
    nnm_flat_table table = nnm_flat_item_table(&tables, reader->code_count, "operator code");
    NNM_TRY(read_code(reader, &table, &reader->codes[reader->code_count]));
  }
  return reader->file.status;
}

/* ---- the model */

/* Who made the file, as far as it says. */
static nnm_status read_description(tflite_reader *reader, const nnm_flat_table *model) {
  nnm_flat_vector text = nnm_flat_text(model, MODEL_DESCRIPTION);
  NNM_TRY(reader->file.status);
  size_t length = text.count < NNM_LIMIT_NAME_BYTES ? text.count : NNM_LIMIT_NAME_BYTES;
  char *producer = nnm_arena_text(reader->arena, length ? (const char *)text.items : "", length);
  if (!producer) return nnm_fail_memory(reader->file.error);
  nnm_make_printable(producer);
  return nnm_graph_builder_set_producer(reader->builder, producer, reader->file.error);
}

/* A file may hold several models, each a signature with a subgraph of its own: the first is read. */
static nnm_status choose_subgraph(tflite_reader *reader, const nnm_flat_table *model, size_t *subgraph) {
  nnm_flat_vector signatures = nnm_flat_items(model, MODEL_SIGNATURES, 4);
  *subgraph = 0;
  if (reader->file.status != NNM_OK || !signatures.count) return reader->file.status;
  nnm_flat_table first = nnm_flat_item_table(&signatures, 0, "signature");
  uint64_t chosen = nnm_flat_u32(&first, SIGNATURE_SUBGRAPH, 0);
  nnm_flat_vector key = nnm_flat_text(&first, SIGNATURE_KEY);
  NNM_TRY(reader->file.status);
  if (chosen >= reader->subgraphs.count)
    return nnm_flat_fail(&reader->file, NNM_ERROR_FORMAT, first.at,
                         "the first signature is subgraph %llu, but there are only %zu; the file is damaged: fetch it "
                         "again",
                         (unsigned long long)chosen, reader->subgraphs.count);
  *subgraph = (size_t)chosen;
  if (signatures.count == 1) return NNM_OK;
  return nnm_graph_builder_note(reader->builder, reader->file.error,
                                "the file has %zu signatures, which run on their own; only the first, '%.*s', is read",
                                signatures.count, (int)(key.count < 100 ? key.count : 100),
                                key.count ? (const char *)key.items : "");
}

static nnm_status note_types(tflite_reader *reader) {
  if (!reader->odd_types) return NNM_OK;
  return nnm_graph_builder_note(reader->builder, reader->file.error,
                                "%zu tensor%s of an element type that is not known (%u): counted as 32-bit floats",
                                reader->odd_types, reader->odd_types == 1 ? " is" : "s are",
                                (unsigned)reader->odd_type);
}

static nnm_status read_model(tflite_reader *reader) {
  nnm_flat_table model = nnm_flat_root(&reader->file, "model");
  reader->subgraphs = nnm_flat_items(&model, MODEL_SUBGRAPHS, 4);
  reader->buffers = nnm_flat_items(&model, MODEL_BUFFERS, 4);
  NNM_TRY(reader->file.status);
  if (!reader->subgraphs.count)
    return nnm_fail(reader->file.error, NNM_ERROR_FORMAT, NULL,
                    "no graph in this TensorFlow Lite file; it is damaged or empty: fetch or convert it again");
  reader->arena = nnm_graph_builder_arena(reader->builder);
  reader->empty = nnm_graph_builder_intern(reader->builder, "", 0);
  reader->in_progress = calloc(reader->subgraphs.count, 1);
  if (!reader->empty || !reader->in_progress) return nnm_fail_memory(reader->file.error);
  size_t subgraph;
  NNM_TRY(read_description(reader, &model));
  NNM_TRY(read_codes(reader, &model));
  NNM_TRY(choose_subgraph(reader, &model, &subgraph));
  NNM_TRY(nnm_tflite_read_model_graph(reader, subgraph));
  return note_types(reader);
}

static nnm_status read_tflite(const unsigned char *data, size_t size, nnm_graph **graph, nnm_ir **ir,
                              nnm_error *error) {
  (void)ir;
  if (!has_identifier(data, size) && !looks_like_model(data, size))
    return nnm_fail_content(error, "tflite", data, size);
  uint64_t budget;
  if (__builtin_mul_overflow((uint64_t)size, (uint64_t)LOOKS, &budget)) budget = UINT64_MAX / 2;
  tflite_reader reader = {.file = {.data = data, .size = size, .error = error, .budget = budget + RUNNING_BUDGET}};
  NNM_TRY(nnm_graph_builder_create("tflite", &reader.builder, error));
  nnm_status status = read_model(&reader);
  free(reader.in_progress);
  if (status != NNM_OK) {
    nnm_graph_builder_free(reader.builder);
    return status;
  }
  NNM_TRY(nnm_graph_builder_finish(reader.builder, graph, error));
  (*graph)->is_converted = true;
  return NNM_OK;
}

const nnm_reader nnm_reader_tflite = {"tflite", probe, read_tflite};
