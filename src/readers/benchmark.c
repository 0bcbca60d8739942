/* The graphs of nn-Meter's benchmark: {"id", "family", "ops": [[operator, [input operators], parameters...], ...]}, one
 * JSON object a line, of which the first is read. Batch 1, channels last, TensorFlow's SAME and VALID, no weights: what
 * a convolution needs to know of them (its output channels) is an attribute. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "graph/builder.h"
#include "ops/ops.h"
#include "readers/content.h"
#include "readers/reader.h"

typedef struct reading {
  nnm_graph_builder *builder;
  nnm_arena *arena;
  nnm_error *error;
  size_t count;               /* operators in the document */
  nnm_tensor_id (*result)[2]; /* of each operator: its output, and the second half of a split (else -1) */
  uint8_t *turn;              /* of each split: which half its next reader takes */
  size_t at;                  /* the operator being read */
  const json_t *op;           /* its array */
  const char *kind;           /* "conv" */
} reading;

/* What a row of the operator table adds to the node; called with the template already holding type and inputs. */
typedef nnm_status (*row_reader)(reading *r, nnm_node *node);

typedef struct operator_row {
  const char *kind, *type; /* name in the benchmark; operator of the graph */
  size_t least_inputs, most_inputs;
  row_reader read; /* NULL: no parameters */
} operator_row;

static nnm_status fail(reading *r, nnm_status status, const char *what) {
  char place[64];
  snprintf(place, sizeof place, "$.ops[%zu]", r->at);
  return nnm_fail(r->error, status, place, "%.40s: %s; take the line from the benchmark again", r->kind, what);
}

static nnm_status fail_memory(reading *r) { return nnm_fail_memory(r->error); }

static const char *intern(reading *r, const char *text) {
  return nnm_graph_builder_intern(r->builder, text, strlen(text));
}

/* Parameter `index` (0: the first after the inputs) as a positive number. */
static nnm_status positive(reading *r, size_t index, int64_t *out) {
  const json_t *value = json_array_get(r->op, index + 2);
  if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > NNM_LIMIT_DIMENSION)
    return fail(r, NNM_ERROR_FORMAT, "a parameter is missing or not a positive integer");
  *out = json_integer_value(value);
  return NNM_OK;
}

static nnm_status add_attribute(reading *r, nnm_node *node, nnm_attribute attribute, const char *name) {
  attribute.name = intern(r, name);
  if (!attribute.name) return fail_memory(r);
  /* templates are allocated with room for the few attributes that a row sets */
  ((nnm_attribute *)(uintptr_t)node->attributes)[node->attribute_count++] = attribute;
  return NNM_OK;
}

static nnm_status add_integer(reading *r, nnm_node *node, const char *name, int64_t value) {
  return add_attribute(r, node, (nnm_attribute){.kind = NNM_ATTRIBUTE_INT, .as.integer = value}, name);
}

static nnm_status add_integers(reading *r, nnm_node *node, const char *name, const int64_t *values, size_t count) {
  const int64_t *copy = nnm_arena_copy(r->arena, values, count, sizeof *values);
  if (!copy) return fail_memory(r);
  return add_attribute(r, node, (nnm_attribute){.kind = NNM_ATTRIBUTE_INTS, .count = count, .as.integers = copy}, name);
}

/* Kernel size, stride and padding, from parameter `first` on. */
static nnm_status add_window(reading *r, nnm_node *node, size_t first) {
  int64_t kernel = 0, stride = 0;
  NNM_TRY(positive(r, first, &kernel));
  NNM_TRY(positive(r, first + 1, &stride));
  const char *pad = json_string_value(json_array_get(r->op, first + 4));
  if (!pad || (strcmp(pad, "SAME") != 0 && strcmp(pad, "VALID") != 0))
    return fail(r, NNM_ERROR_FORMAT, "the padding is neither \"SAME\" nor \"VALID\"");
  const char *auto_pad = intern(r, pad[0] == 'S' ? "SAME_UPPER" : "VALID");
  if (!auto_pad) return fail_memory(r);
  NNM_TRY(add_integers(r, node, "kernel_shape", (int64_t[]){kernel, kernel}, 2));
  NNM_TRY(add_integers(r, node, "strides", (int64_t[]){stride, stride}, 2));
  return add_attribute(r, node, (nnm_attribute){.kind = NNM_ATTRIBUTE_TEXT, .as.text = auto_pad}, "auto_pad");
}

static nnm_status read_conv(reading *r, nnm_node *node) {
  int64_t channels = 0;
  NNM_TRY(positive(r, 0, &channels));
  NNM_TRY(add_integer(r, node, "output_channels", channels));
  return add_window(r, node, 1);
}

static nnm_status read_dwconv(reading *r, nnm_node *node) {
  NNM_TRY(add_integer(r, node, "depthwise", 1));
  return add_window(r, node, 0);
}

static nnm_status read_pool(reading *r, nnm_node *node) { return add_window(r, node, 0); }

static nnm_status read_mean(reading *r, nnm_node *node) {
  NNM_TRY(add_integers(r, node, "axes", (int64_t[]){1, 2}, 2));
  return add_integer(r, node, "keepdims", 0);
}

static nnm_status read_fc(reading *r, nnm_node *node) {
  int64_t channels = 0;
  NNM_TRY(positive(r, 0, &channels));
  return add_integer(r, node, "output_channels", channels);
}

static nnm_status read_concat(reading *r, nnm_node *node) { return add_integer(r, node, "axis", -1); }

/* A tensor of dims given as a list of numbers; `before` is a dimension put in front (0: none). */
static nnm_status read_dims(reading *r, int64_t before, const int64_t **out, size_t *rank) {
  const json_t *list = json_array_get(r->op, 2);
  size_t count = json_array_size(list), first = before > 0;
  if (!json_is_array(list) || count == 0 || count + first > NNM_LIMIT_RANK)
    return fail(r, NNM_ERROR_FORMAT, "the shape is missing, empty or of too many dimensions");
  int64_t *dims = NNM_ARENA_ARRAY(r->arena, int64_t, count + first);
  if (!dims) return fail_memory(r);
  if (first) dims[0] = before;
  for (size_t i = 0; i < count; i++) {
    const json_t *value = json_array_get(list, i);
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > NNM_LIMIT_DIMENSION)
      return fail(r, NNM_ERROR_FORMAT, "the shape has a dimension that is not a positive integer");
    dims[i + first] = json_integer_value(value);
  }
  *out = dims;
  *rank = count + first;
  return NNM_OK;
}

/* Appends a constant to the node's inputs. */
static nnm_status add_constant(reading *r, nnm_node *node, const nnm_constant *constant) {
  char name[48];
  snprintf(name, sizeof name, "op%zu.constant", r->at);
  const char *interned = intern(r, name);
  nnm_constant *copy = nnm_arena_copy(r->arena, constant, 1, sizeof *constant);
  if (!interned || !copy) return fail_memory(r);
  nnm_tensor_id tensor = -1;
  NNM_TRY(nnm_graph_builder_tensor(r->builder, interned, &tensor, r->error));
  NNM_TRY(nnm_graph_builder_weight(r->builder, tensor, copy, r->error));
  ((nnm_tensor_id *)(uintptr_t)node->inputs)[node->input_count++] = tensor;
  return NNM_OK;
}

static nnm_status read_scalar(reading *r, nnm_node *node) {
  nnm_constant scalar = {.dtype = NNM_DTYPE_F32, .rank = 0};
  return add_constant(r, node, &scalar);
}

static nnm_status read_reshape(reading *r, nnm_node *node) {
  const int64_t *dims = NULL;
  size_t rank = 0;
  NNM_TRY(read_dims(r, 0, &dims, &rank));
  const int64_t *length = nnm_arena_copy(r->arena, (int64_t[]){(int64_t)rank}, 1, sizeof(int64_t));
  if (!length) return fail_memory(r);
  nnm_constant shape = {.dtype = NNM_DTYPE_I64,
                        .rank = 1,
                        .dims = length,
                        .bytes = (const unsigned char *)dims,
                        .size = rank * sizeof *dims};
  return add_constant(r, node, &shape);
}

/* The file gives the shape that comes out; the benchmark only ever exchanges the last two axes. */
static nnm_status read_transpose(reading *r, nnm_node *node) {
  const int64_t *dims = NULL;
  size_t rank = 0;
  NNM_TRY(read_dims(r, 0, &dims, &rank));
  if (rank < 2) return fail(r, NNM_ERROR_FORMAT, "a transposition needs two dimensions");
  int64_t order[NNM_LIMIT_RANK];
  for (size_t i = 0; i < rank; i++) order[i] = (int64_t)i;
  order[rank - 2] = (int64_t)rank - 1;
  order[rank - 1] = (int64_t)rank - 2;
  return add_integers(r, node, "perm", order, rank);
}

static nnm_status read_split(reading *r, nnm_node *node) {
  node->output_count = 2;
  return add_integer(r, node, "axis", -1);
}

static const operator_row rows[] = {
    {"conv", "Conv", 1, 1, read_conv},
    {"dwconv", "Conv", 1, 1, read_dwconv},
    {"bn", "BatchNormalization", 1, 1, NULL},
    {"relu", "Relu", 1, 1, NULL},
    {"relu6", "Relu6", 1, 1, NULL},
    {"maxpool", "MaxPool", 1, 1, read_pool},
    {"avgpool", "AveragePool", 1, 1, read_pool},
    {"mean", "ReduceMean", 1, 1, read_mean},
    {"reshape", "Reshape", 1, 1, read_reshape},
    {"transpose", "Transpose", 1, 1, read_transpose},
    {"fc", "Gemm", 1, 1, read_fc},
    {"add", "Add", 2, 2, NULL},
    {"mul", "Mul", 2, 2, NULL},
    {"add_const", "Add", 1, 1, read_scalar},
    {"mul_const", "Mul", 1, 1, read_scalar},
    {"concat", "Concat", 1, SIZE_MAX, read_concat},
    {"split", "Split", 1, 1, read_split},
};

static nnm_op op_of(const char *type) {
  nnm_op op = nnm_op_of_onnx("", type);
  return op == NNM_OP_UNKNOWN ? nnm_op_of_tensorflow(type) : op;
}

static nnm_status new_tensor(reading *r, size_t part, nnm_tensor_id *out) {
  char name[48];
  snprintf(name, sizeof name, part ? "op%zu:%zu" : "op%zu", r->at, part);
  const char *interned = intern(r, name);
  if (!interned) return fail_memory(r);
  return nnm_graph_builder_tensor(r->builder, interned, out, r->error);
}

static nnm_status read_input(reading *r) {
  const int64_t *dims = NULL;
  size_t rank = 0;
  if (json_array_size(json_array_get(r->op, 1))) return fail(r, NNM_ERROR_FORMAT, "wrong number of inputs");
  NNM_TRY(read_dims(r, 1, &dims, &rank));
  nnm_tensor_id tensor = -1;
  NNM_TRY(new_tensor(r, 0, &tensor));
  NNM_TRY(nnm_graph_builder_declare(r->builder, tensor, NNM_DTYPE_F32, (int32_t)rank, dims, NULL, r->error));
  r->result[r->at][0] = tensor;
  r->result[r->at][1] = -1;
  return nnm_graph_builder_input(r->builder, tensor, r->error);
}

/* The readers of a split take its halves in turn. */
static nnm_tensor_id read_result(reading *r, size_t op) {
  if (r->result[op][1] < 0) return r->result[op][0];
  return r->result[op][r->turn[op]++ & 1];
}

static nnm_status read_inputs(reading *r, const operator_row *row, nnm_node *node) {
  const json_t *list = json_array_get(r->op, 1);
  size_t count = json_array_size(list);
  if (!json_is_array(list) || count < row->least_inputs || count > row->most_inputs || count > NNM_LIMIT_NODE_PORTS)
    return fail(r, NNM_ERROR_FORMAT, "wrong number of inputs");
  nnm_tensor_id *inputs = NNM_ARENA_ARRAY(r->arena, nnm_tensor_id, count + 1); /* one more for a constant */
  if (!inputs) return fail_memory(r);
  for (size_t i = 0; i < count; i++) {
    const json_t *value = json_array_get(list, i);
    json_int_t op = json_integer_value(value);
    if (!json_is_integer(value) || op < 0 || (size_t)op >= r->at)
      return fail(r, NNM_ERROR_FORMAT, "an input is not the number of an operator before it");
    inputs[i] = read_result(r, (size_t)op);
  }
  node->inputs = inputs;
  node->input_count = (uint32_t)count;
  return NNM_OK;
}

static nnm_status read_node(reading *r, const operator_row *row) {
  char name[64];
  snprintf(name, sizeof name, "%s_%zu", row->kind, r->at);
  nnm_attribute attributes[8];
  nnm_node node = {.name = intern(r, name),
                   .type = intern(r, row->type),
                   .domain = intern(r, ""),
                   .op = op_of(row->type),
                   .layout = NNM_CHANNELS_LAST,
                   .weight_layout = NNM_WEIGHT_XIO,
                   .output_count = 1,
                   .attributes = attributes};
  if (!node.name || !node.type || !node.domain) return fail_memory(r);
  NNM_TRY(read_inputs(r, row, &node));
  if (row->read) NNM_TRY(row->read(r, &node));
  nnm_tensor_id *result = r->result[r->at];
  result[1] = -1;
  for (size_t i = 0; i < node.output_count; i++) NNM_TRY(new_tensor(r, i, &result[i]));
  node.outputs = result;
  return nnm_graph_builder_node(r->builder, &node, NULL, r->error);
}

static nnm_status read_op(reading *r, const json_t *op) {
  r->op = op;
  r->kind = json_string_value(json_array_get(op, 0));
  if (!r->kind) {
    r->kind = "operator";
    return fail(r, NNM_ERROR_FORMAT, "is no [name, [inputs], parameters...]");
  }
  if (!strcmp(r->kind, "input")) return read_input(r);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (!strcmp(r->kind, rows[i].kind)) return read_node(r, &rows[i]);
  return fail(r, NNM_ERROR_UNSUPPORTED, "is no operator of the benchmark");
}

/* What nothing reads is a model output. */
static nnm_status mark_outputs(reading *r, const json_t *ops) {
  uint8_t *is_read = NNM_ARENA_ARRAY(r->arena, uint8_t, r->count);
  if (!is_read) return fail_memory(r);
  for (size_t i = 0; i < r->count; i++) {
    const json_t *inputs = json_array_get(json_array_get(ops, i), 1);
    for (size_t k = 0; k < json_array_size(inputs); k++)
      is_read[json_integer_value(json_array_get(inputs, k))] = 1; /* checked when the operator was read */
  }
  for (size_t i = 0; i < r->count; i++)
    if (!is_read[i]) NNM_TRY(nnm_graph_builder_output(r->builder, r->result[i][0], r->error));
  return NNM_OK;
}

static nnm_status read_ops(reading *r, const json_t *ops) {
  if (!json_is_array(ops) || json_array_size(ops) == 0)
    return nnm_fail(r->error, NNM_ERROR_FORMAT, "$.ops", "is no list of operators; expected a line of the benchmark");
  r->count = json_array_size(ops);
  if (r->count > NNM_LIMIT_NODES)
    return nnm_fail(r->error, NNM_ERROR_LIMIT, "$.ops",
                    "more than %d operators; take the line from the benchmark again", NNM_LIMIT_NODES);
  r->result = nnm_arena_alloc(r->arena, r->count, sizeof *r->result);
  r->turn = nnm_arena_alloc(r->arena, r->count, 1);
  if (!r->result || !r->turn) return fail_memory(r);
  for (r->at = 0; r->at < r->count; r->at++) NNM_TRY(read_op(r, json_array_get(ops, r->at)));
  return mark_outputs(r, ops);
}

static nnm_status read_benchmark(const unsigned char *data, size_t size, nnm_graph **graph, nnm_ir **ir,
                                 nnm_error *error) {
  (void)ir;
  json_t *document = NULL;
  NNM_TRY(nnm_json_parse_first(data, size, &document, error));
  reading r = {.error = error};
  nnm_status status = nnm_graph_builder_create("benchmark", &r.builder, error);
  if (status == NNM_OK) {
    r.arena = nnm_graph_builder_arena(r.builder);
    status = read_ops(&r, json_object_get(document, "ops"));
    if (status == NNM_OK) status = nnm_graph_builder_finish(r.builder, graph, error);
    else nnm_graph_builder_free(r.builder);
  }
  json_decref(document);
  return status;
}

/* "ops" stands behind "id" and "family" and before the operators, so it shows early. */
static int probe_benchmark(const unsigned char *data, size_t size) {
  return nnm_is_json_object(data, size) && nnm_begins_with_mention(data, size, "\"ops\"") ? 2 : 0;
}

const nnm_reader nnm_reader_benchmark = {"benchmark", probe_benchmark, read_benchmark};
