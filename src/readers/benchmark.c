/* The graphs of nn-Meter's benchmark and of its block tables: {"id", "family", "ops": [[operator, [input operators],
 * parameters...], ...]}, one JSON object a line, of which the first is read. Batch 1, channels last, TensorFlow's SAME and
 * VALID, no weights: what a convolution needs to know of them (its output channels) is an attribute.
 *
 * Some operators are given by the shape that comes out of them. Which axes a transposition exchanges, and whether a matrix
 * product takes its second operand transposed, follows from the shapes that go in, as far as the file has said them. */
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
  const json_t *ops;          /* the list of operators */
  size_t count;               /* how many there are */
  nnm_tensor_id (*result)[2]; /* of each operator: its output, and the second half of a split in halves (else -1) */
  nnm_shape *said;            /* of each operator: the shape that the file says comes out; rank 0: it says none */
  uint8_t *turn;              /* of each split in halves: which half its next reader takes */
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
  bool in_place;   /* what comes out has the shape of the first input */
} operator_row;

#define REMEDY "take the line from the benchmark again"

typedef struct place {
  char text[64];
} place;

static place place_of(const reading *r) {
  place at;
  snprintf(at.text, sizeof at.text, "$.ops[%zu]", r->at);
  return at;
}

static nnm_status fail(reading *r, nnm_status status, const char *what) {
  return nnm_fail(r->error, status, place_of(r).text, "%.40s: %s; " REMEDY, r->kind, what);
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

/* A word that may stand at parameter `index`; anything else there is a fault. */
static nnm_status optional_word(reading *r, size_t index, const char *word, bool *is_there) {
  const json_t *value = json_array_get(r->op, index + 2);
  *is_there = value != NULL;
  if (value && (!json_is_string(value) || strcmp(json_string_value(value), word) != 0))
    return nnm_fail(r->error, NNM_ERROR_FORMAT, place_of(r).text, "%.40s: has a parameter other than \"%s\"; %s",
                    r->kind, word, REMEDY);
  return NNM_OK;
}

static nnm_status read_conv(reading *r, nnm_node *node) {
  int64_t channels = 0;
  bool bias = false; /* costs next to nothing */
  NNM_TRY(optional_word(r, 4, "bias", &bias));
  NNM_TRY(positive(r, 0, &channels));
  NNM_TRY(add_integer(r, node, "output_channels", channels));
  return add_window(r, node, 1);
}

static nnm_status read_dwconv(reading *r, nnm_node *node) {
  NNM_TRY(add_integer(r, node, "depthwise", 1));
  return add_window(r, node, 0);
}

static nnm_status read_window(reading *r, nnm_node *node) { return add_window(r, node, 0); }

static nnm_status read_mean(reading *r, nnm_node *node) {
  bool keeps_axes = false;
  NNM_TRY(optional_word(r, 0, "keepdims", &keeps_axes));
  NNM_TRY(add_integers(r, node, "axes", (int64_t[]){1, 2}, 2));
  return add_integer(r, node, "keepdims", keeps_axes);
}

static nnm_status read_dense(reading *r, nnm_node *node) {
  int64_t channels = 0;
  NNM_TRY(positive(r, 0, &channels));
  return add_integer(r, node, "output_channels", channels);
}

/* The shape that comes out, given as a list of numbers; `before` is a dimension put in front (0: none). */
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
  r->said[r->at] = (nnm_shape){(int32_t)*rank, dims};
  return NNM_OK;
}

/* What the file has said of the shape that this operator reads as its input `index`. */
static nnm_shape said_of_input(const reading *r, size_t index) {
  return r->said[json_integer_value(json_array_get(json_array_get(r->op, 1), index))];
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

static bool exchanges(const nnm_shape *in, const int64_t *out, size_t i, size_t j) {
  for (size_t k = 0; k < (size_t)in->rank; k++)
    if (out[k] != in->dims[k == i ? j : k == j ? i : k]) return false;
  return true;
}

/* The two axes that are exchanged: the last pair of neighbours that explains the shape, or any pair, the nearest ones
 * first. Where the input's shape was not said, the last two. */
static bool find_exchange(const nnm_shape *in, const int64_t *out, size_t rank, size_t *first, size_t *second) {
  for (size_t distance = 1; distance < rank; distance++)
    for (*second = rank - 1; *second >= distance; --*second) {
      *first = *second - distance;
      if (!in->rank || exchanges(in, out, *first, *second)) return true;
    }
  return false;
}

static nnm_status read_transpose(reading *r, nnm_node *node) {
  const int64_t *dims = NULL;
  size_t rank = 0, first = 0, second = 0;
  NNM_TRY(read_dims(r, 0, &dims, &rank));
  nnm_shape in = said_of_input(r, 0);
  if (rank < 2) return fail(r, NNM_ERROR_FORMAT, "a transposition needs two dimensions");
  if ((in.rank && (size_t)in.rank != rank) || !find_exchange(&in, dims, rank, &first, &second))
    return fail(r, NNM_ERROR_FORMAT, "no exchange of two axes makes this shape of what goes in");
  int64_t order[NNM_LIMIT_RANK];
  for (size_t i = 0; i < rank; i++) order[i] = (int64_t)(i == first ? second : i == second ? first : i);
  return add_integers(r, node, "perm", order, rank);
}

/* The file gives the shape that comes out. The second operand is taken transposed unless only the other way fits. */
static nnm_status read_bmm(reading *r, nnm_node *node) {
  const int64_t *dims = NULL;
  size_t rank = 0;
  NNM_TRY(read_dims(r, 0, &dims, &rank));
  nnm_shape a = said_of_input(r, 0), b = said_of_input(r, 1);
  if (rank < 2 || a.rank != (int32_t)rank || b.rank != (int32_t)rank)
    return fail(r, NNM_ERROR_FORMAT, "the shapes of what is multiplied are not said before, or of other ranks");
  int64_t inner = a.dims[rank - 1], rows = b.dims[rank - 2], columns = b.dims[rank - 1];
  bool plain = rows == inner && columns == dims[rank - 1], transposed = columns == inner && rows == dims[rank - 1];
  if (a.dims[rank - 2] != dims[rank - 2] || (!plain && !transposed))
    return fail(r, NNM_ERROR_FORMAT, "the product of what goes in has another shape");
  return add_integer(r, node, "transpose_b", transposed && !plain);
}

static nnm_status read_pad(reading *r, nnm_node *node) {
  int64_t width = 0;
  NNM_TRY(positive(r, 0, &width));
  return add_integers(r, node, "pads", (int64_t[]){0, width, width, 0, 0, width, width, 0}, 8);
}

static nnm_status read_last_axis(reading *r, nnm_node *node) { return add_integer(r, node, "axis", -1); }

/* -------------------------------------------------------------------- splits */

static nnm_status new_tensor(reading *r, size_t part, nnm_tensor_id *out) {
  char name[48];
  snprintf(name, sizeof name, part ? "op%zu:%zu" : "op%zu", r->at, part);
  const char *interned = intern(r, name);
  if (!interned) return fail_memory(r);
  return nnm_graph_builder_tensor(r->builder, interned, out, r->error);
}

/* Whether operator `index` is a part, given by its shape, of the same tensor as the one being read. */
static bool is_next_part(const reading *r, size_t index) {
  const json_t *op = json_array_get(r->ops, index);
  const char *kind = json_string_value(json_array_get(op, 0));
  return kind && !strcmp(kind, "split") && json_array_size(op) == 3 &&
         json_equal(json_array_get(op, 1), json_array_get(r->op, 1));
}

/* Parts of one tensor stand behind each other, an operator for each: one node, of which the operators are the results.
 * They are cut along the last axis. */
static nnm_status read_parts(reading *r, nnm_node *node) {
  size_t count = 1, rank = 0, first = r->at;
  while (count < NNM_LIMIT_NODE_PORTS && is_next_part(r, first + count)) count++;
  int64_t *sizes = NNM_ARENA_ARRAY(r->arena, int64_t, count);
  nnm_tensor_id *parts = NNM_ARENA_ARRAY(r->arena, nnm_tensor_id, count);
  if (!sizes || !parts) return fail_memory(r);
  nnm_status status = NNM_OK;
  for (size_t i = 0; i < count && status == NNM_OK; i++) {
    const int64_t *dims = NULL;
    r->at = first + i;
    r->op = json_array_get(r->ops, r->at);
    status = read_dims(r, 0, &dims, &rank);
    if (status == NNM_OK) status = new_tensor(r, 0, &parts[i]);
    if (status != NNM_OK) break;
    sizes[i] = dims[rank - 1];
    r->result[r->at][0] = parts[i];
    r->result[r->at][1] = -1;
  }
  NNM_TRY(status);
  node->outputs = parts;
  node->output_count = (uint32_t)count;
  NNM_TRY(add_integer(r, node, "axis", -1));
  return add_integers(r, node, "split", sizes, count);
}

static nnm_status read_split(reading *r, nnm_node *node) {
  if (json_array_size(r->op) > 2) return read_parts(r, node);
  node->output_count = 2;
  return add_integer(r, node, "axis", -1);
}

/* ------------------------------------------------------------------ operators */

static const operator_row rows[] = {
    {"conv", "Conv", 1, 1, read_conv, false},
    {"dwconv", "Conv", 1, 1, read_dwconv, false},
    {"bn", "BatchNormalization", 1, 1, NULL, true},
    {"relu", "Relu", 1, 1, NULL, true},
    {"relu6", "Relu6", 1, 1, NULL, true},
    {"hswish", "HardSwish", 1, 1, NULL, true},
    {"swish", "Swish", 1, 1, NULL, true},
    {"maxpool", "MaxPool", 1, 1, read_window, false},
    {"avgpool", "AveragePool", 1, 1, read_window, false},
    {"mean", "ReduceMean", 1, 1, read_mean, false},
    {"reshape", "Reshape", 1, 1, read_reshape, false},
    {"transpose", "Transpose", 1, 1, read_transpose, false},
    {"pad", "Pad", 1, 1, read_pad, false},
    {"fc", "Gemm", 1, 1, read_dense, false},
    {"dense", "Gemm", 1, 1, read_dense, false},
    {"bmm", "MatMul", 2, 2, read_bmm, false},
    {"softmax", "Softmax", 1, 1, read_last_axis, true},
    {"layernorm", "LayerNormalization", 1, 1, read_last_axis, true},
    {"add", "Add", 2, 2, NULL, false}, /* either input may be the one that is stretched */
    {"mul", "Mul", 2, 2, NULL, false},
    {"add_const", "Add", 1, 1, read_scalar, true},
    {"mul_const", "Mul", 1, 1, read_scalar, true},
    {"concat", "Concat", 1, SIZE_MAX, read_last_axis, false},
    {"split", "Split", 1, 1, read_split, false},
};

static nnm_op op_of(const char *type) {
  nnm_op op = nnm_op_of_onnx("", type);
  return op == NNM_OP_UNKNOWN ? nnm_op_of_tensorflow(type) : op;
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
  if (row->in_place) r->said[r->at] = said_of_input(r, 0);
  if (row->read) NNM_TRY(row->read(r, &node));
  if (!node.outputs) {
    nnm_tensor_id *result = r->result[r->at];
    result[1] = -1;
    for (size_t i = 0; i < node.output_count; i++) NNM_TRY(new_tensor(r, i, &result[i]));
    node.outputs = result;
  }
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
  r->ops = ops;
  r->result = nnm_arena_alloc(r->arena, r->count, sizeof *r->result);
  r->said = nnm_arena_alloc(r->arena, r->count, sizeof *r->said);
  r->turn = nnm_arena_alloc(r->arena, r->count, 1);
  if (!r->result || !r->said || !r->turn) return fail_memory(r);
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
